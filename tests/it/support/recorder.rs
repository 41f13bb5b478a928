//! A proxy in front of a Gearman server that writes down every packet, in both directions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use layshaft::gearman::codec::{Codec, DEFAULT_MAX_BODY, Frame};
use layshaft::gearman::{Kind, Magic, Packet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::Decoder;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A recording proxy; it stops when this is dropped.
pub(crate) struct Recorder {
    pub(crate) address: String,
    tape: Arc<Mutex<Tape>>,
    _stop: DropGuard,
}

/// What passed, in order.
#[derive(Default)]
struct Tape {
    connections: u64,
    /// The client id of each connection that gave one.
    names: BTreeMap<u64, String>,
    packets: Vec<(u64, Packet)>,
}

impl Recorder {
    pub(crate) async fn start(server: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let tape = Arc::<Mutex<Tape>>::default();
        let stop = CancellationToken::new();
        let accepting = accept(listener, server, Arc::clone(&tape));
        tokio::spawn(stop.clone().run_until_cancelled_owned(accepting));
        Self { address, tape, _stop: stop.drop_guard() }
    }

    /// Returns how many packets have passed, to ask later what came after them.
    pub(crate) fn now(&self) -> usize {
        self.tape.lock().unwrap().packets.len()
    }

    /// Returns the packets that the clients sent since a moment, each with its client id.
    pub(crate) fn sent_since(&self, moment: usize) -> Vec<(String, Packet)> {
        self.since(moment, Magic::Request)
    }

    /// Returns what one client sent since a moment, as text such as `CAN_DO function="stop:ci"`.
    pub(crate) fn sent_by(&self, client_id: &str, moment: usize) -> Vec<String> {
        let sent = self.sent_since(moment).into_iter().filter(|(id, _)| id == client_id);
        sent.map(|(_, packet)| format!("{packet:?}")).collect()
    }

    /// Returns how often a client sent, or was sent, a kind of packet since a moment.
    pub(crate) fn count(&self, client_id: &str, kind: Kind, moment: usize) -> usize {
        let both = [Magic::Request, Magic::Response].into_iter().flat_map(|magic| self.since(moment, magic));
        both.filter(|(id, packet)| id == client_id && packet.kind == kind).count()
    }

    /// Returns what each connection sent, connection by connection, those of workers only.
    pub(crate) fn conversations(&self) -> Vec<(String, Vec<Packet>)> {
        let tape = self.tape.lock().unwrap();
        let of = |connection: u64| {
            let own = tape.packets.iter().filter(|(c, packet)| *c == connection && packet.magic == Magic::Request);
            own.map(|(_, packet)| packet.clone()).collect()
        };
        tape.names.iter().map(|(connection, name)| (name.clone(), of(*connection))).collect()
    }

    fn since(&self, moment: usize, magic: Magic) -> Vec<(String, Packet)> {
        let tape = self.tape.lock().unwrap();
        let name = |connection: u64| tape.names.get(&connection).cloned().unwrap_or_default();
        let packets = tape.packets[moment..].iter().filter(|(_, packet)| packet.magic == magic);
        packets.map(|(connection, packet)| (name(*connection), packet.clone())).collect()
    }
}

async fn accept(listener: TcpListener, server: String, tape: Arc<Mutex<Tape>>) {
    while let Ok((client, _)) = listener.accept().await {
        let (server, tape) = (server.clone(), Arc::clone(&tape));
        tokio::spawn(async move {
            // While the server is away, connections through the proxy break too.
            let Ok(upstream) = TcpStream::connect(&server).await else { return };
            client.set_nodelay(true).unwrap();
            upstream.set_nodelay(true).unwrap();
            let connection = {
                let mut tape = tape.lock().unwrap();
                tape.connections += 1;
                tape.connections
            };
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = upstream.into_split();
            tokio::join!(
                pass(from_client, to_server, connection, Arc::clone(&tape)),
                pass(from_server, to_client, connection, tape)
            );
        });
    }
}

/// Passes bytes on until one side ends, and writes down what they mean before they arrive.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, connection: u64, tape: Arc<Mutex<Tape>>) {
    let mut codec = Codec::with_lines(DEFAULT_MAX_BODY);
    let (mut bytes, mut undecoded) = (BytesMut::new(), BytesMut::new());
    while from.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {
        undecoded.extend_from_slice(&bytes);
        while let Some(frame) = codec.decode(&mut undecoded).unwrap() {
            // Lines are the administrative protocol's.
            let Frame::Packet(packet) = frame else { continue };
            let mut tape = tape.lock().unwrap();
            if packet.kind == Kind::SetClientId {
                let name = String::from_utf8_lossy(packet.argument(0)).into_owned();
                tape.names.insert(connection, name);
            }
            tape.packets.push((connection, packet));
        }
        if to.write_all(&bytes).await.is_err() {
            break;
        }
        bytes.clear();
    }
    // The other side may have closed already.
    let _closed = to.shutdown().await;
}
