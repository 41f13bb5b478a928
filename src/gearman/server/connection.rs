//! One peer of the server: reads frames for the core, writes what the core has for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::core::Core;
use super::outbox::{Ending, Outbox};
use super::state::ConnectionId;
use crate::gearman::codec::{Codec, CodecError};
use crate::gearman::stream::Stream;

const READ_AT_ONCE: usize = 8 << 10;

/// A buffer that grew beyond this for a large packet is not kept for small ones.
pub(super) const KEEP_AT_MOST: usize = 1 << 20;

/// A peer with this much unsent is not read from.
const PAUSE_READING_AT: usize = 1 << 20;

/// How long a peer that is being closed has to take the rest.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("peer does not read what it is sent")]
    SlowReader,
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        Self::Codec(error.into())
    }
}

/// Serves a peer until it leaves, breaks the protocol, or the server stops.
pub(super) async fn serve(
    core: &Core,
    id: ConnectionId,
    mut stream: Stream,
    outbox: &Arc<Outbox>,
    stop: &CancellationToken,
) -> Result<(), Broken> {
    let (mut reader, mut writer) = stream.split();
    let mut codec = Codec::with_lines(core.max_body());
    let mut input = BytesMut::new();
    let mut output = BytesMut::new();
    loop {
        let ending = if output.is_empty() { outbox.take(&mut output) } else { outbox.ending() };
        match ending {
            Some(Ending::Overflow) => return Err(Broken::SlowReader),
            Some(Ending::Flush) => break,
            None => {}
        }
        if input.is_empty() && input.capacity() > KEEP_AT_MOST {
            input = BytesMut::new();
        }
        input.reserve(READ_AT_ONCE);
        // All four may be dropped half-way without losing anything.
        tokio::select! {
            () = stop.cancelled() => break,
            read = reader.read_buf(&mut input), if outbox.backlog() < PAUSE_READING_AT => {
                if read? == 0 {
                    break;
                }
                core.receive(id, &mut codec, &mut input)?;
            }
            written = writer.write_buf(&mut output), if !output.is_empty() => { written?; }
            () = outbox.changed() => {}
        }
    }
    let _late_peer_gets_no_more = tokio::time::timeout(FLUSH_LIMIT, async {
        writer.write_all_buf(&mut output).await?;
        outbox.take(&mut output);
        writer.write_all_buf(&mut output).await?;
        writer.shutdown().await
    })
    .await;
    Ok(())
}
