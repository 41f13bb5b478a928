use std::net::SocketAddr;

use bytes::Bytes;
use layshaft::gearman::{Kind, Packet, Priority};

use super::wire::Wire;

/// Submissions on their way at once: few enough for the sockets' buffers to hold all answers.
const BATCH: usize = 500;

/// Who submits the jobs.
#[derive(Debug)]
pub(crate) struct Client {
    wire: Wire,
}

impl Client {
    pub(crate) fn connect(server: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self { wire: Wire::connect(server)? })
    }

    /// Submits a job in the foreground, and waits until the server has taken it.
    pub(crate) fn submit(&mut self, function: &str, payload: &[u8], priority: Priority) -> anyhow::Result<()> {
        self.submit_unconfirmed(function, payload, priority)?;
        self.wire.wait_for(Kind::JobCreated, &[])
    }

    /// Submits a job in the foreground.
    pub(crate) fn submit_unconfirmed(
        &mut self,
        function: &str,
        payload: &[u8],
        priority: Priority,
    ) -> anyhow::Result<()> {
        self.wire.send([&submission(priority.to_submit(false), function, payload)])
    }

    /// Submits many jobs in the background, and waits until the server has taken them all.
    pub(crate) fn submit_in_background(&mut self, function: &str, payload: &[u8], count: usize) -> anyhow::Result<()> {
        let packet = submission(Priority::Normal.to_submit(true), function, payload);
        self.submit_each(std::iter::repeat_n(packet, count))
    }

    /// Submits a job in the background for each of these functions.
    pub(crate) fn submit_to_each(&mut self, functions: &[String], payload: &[u8]) -> anyhow::Result<()> {
        let kind = Priority::Normal.to_submit(true);
        self.submit_each(functions.iter().map(|function| submission(kind, function, payload)))
    }

    /// Waits until a job that was submitted in the foreground is complete.
    pub(crate) fn wait_for_completion(&mut self) -> anyhow::Result<()> {
        self.wire.wait_for(Kind::WorkComplete, &[Kind::JobCreated])
    }

    fn submit_each(&mut self, submissions: impl Iterator<Item = Packet>) -> anyhow::Result<()> {
        let mut submissions = submissions.peekable();
        while submissions.peek().is_some() {
            let batch: Vec<Packet> = submissions.by_ref().take(BATCH).collect();
            self.wire.send(&batch)?;
            for _ in &batch {
                self.wire.wait_for(Kind::JobCreated, &[])?;
            }
        }
        Ok(())
    }
}

fn submission(kind: Kind, function: &str, payload: &[u8]) -> Packet {
    let arguments = [Bytes::copy_from_slice(function.as_bytes()), Bytes::new(), Bytes::copy_from_slice(payload)];
    Packet::request(kind, arguments)
}
