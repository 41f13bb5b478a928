//! A TCP proxy before a Gearman server that can be cut, refuse connections, swallow what workers say, change what they
//! are told, and go without a trace.

use std::sync::{Arc, Mutex};

use socket2::{SockFilter, SockRef};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Passes bytes on until it is told otherwise; it ends when this is dropped.
pub(crate) struct Proxy {
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
    _stop: DropGuard,
}

#[derive(Default)]
struct State {
    /// Ends the connections that are there.
    cut: CancellationToken,
    /// Ends all that is passed on by the connections that are there, but leaves them open.
    vanish: CancellationToken,
    /// Ends those that have vanished.
    cut_vanished: CancellationToken,
    /// The workers' ends of the connections.
    workers: Vec<std::net::TcpStream>,
    is_refusing: bool,
    is_swallowing: bool,
    swallowed: Vec<u8>,
    rewrite: Option<(Vec<u8>, Vec<u8>)>,
}

impl Proxy {
    pub(crate) async fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let stop = CancellationToken::new();
        let accepting = accept(listener, upstream.to_owned(), Arc::clone(&state));
        tokio::spawn(stop.clone().run_until_cancelled_owned(accepting));
        Self { address, state, _stop: stop.drop_guard() }
    }

    /// Cuts every connection at once, without a word. New ones are taken.
    pub(crate) fn cut(&self) {
        let mut state = self.state.lock().unwrap();
        state.workers.clear();
        std::mem::take(&mut state.cut).cancel();
    }

    /// Vanishes from the connections that are there as a host does whose cable was pulled: no byte passes in either
    /// direction, and not even the kernel answers. New connections are taken.
    pub(crate) fn vanish(&self) {
        const RETURN: u16 = 0x06;
        let mut state = self.state.lock().unwrap();
        for worker in state.workers.drain(..) {
            // Of every segment that comes in from now on, no byte is accepted, nor is its arrival confirmed.
            SockRef::from(&worker).attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)]).unwrap();
        }
        state.cut_vanished = std::mem::take(&mut state.cut);
        std::mem::take(&mut state.vanish).cancel();
    }

    /// Lets the server know what became of the connections that have vanished.
    pub(crate) fn cut_vanished(&self) {
        self.state.lock().unwrap().cut_vanished.cancel();
    }

    /// Closes new connections as soon as they come, or no longer.
    pub(crate) fn refuse(&self, is_refusing: bool) {
        self.state.lock().unwrap().is_refusing = is_refusing;
    }

    /// Takes what workers say and passes none of it on, as a host does that has just died, or no longer.
    pub(crate) fn swallow(&self, is_swallowing: bool) {
        self.state.lock().unwrap().is_swallowing = is_swallowing;
    }

    pub(crate) fn has_swallowed(&self, text: &str) -> bool {
        let state = self.state.lock().unwrap();
        state.swallowed.windows(text.len()).any(|window| window == text.as_bytes())
    }

    /// Replaces a text by one of the same length in what the server says.
    pub(crate) fn rewrite_to_workers(&self, from: &str, to: &str) {
        assert_eq!(from.len(), to.len());
        self.state.lock().unwrap().rewrite = Some((from.into(), to.into()));
    }
}

async fn accept(listener: TcpListener, upstream: String, state: Arc<Mutex<State>>) {
    while let Ok((worker, _)) = listener.accept().await {
        let (cut, vanish, is_refusing) = {
            let state = state.lock().unwrap();
            (state.cut.clone(), state.vanish.clone(), state.is_refusing)
        };
        if is_refusing {
            continue;
        }
        let Ok(server) = TcpStream::connect(&upstream).await else { continue };
        server.set_nodelay(true).unwrap();
        worker.set_nodelay(true).unwrap();
        let end = SockRef::from(&worker).try_clone().unwrap();
        state.lock().unwrap().workers.push(end.into());
        tokio::spawn(cut.run_until_cancelled_owned(pass(worker, server, vanish, Arc::clone(&state))));
    }
}

async fn pass(worker: TcpStream, server: TcpStream, vanish: CancellationToken, state: Arc<Mutex<State>>) {
    let (mut from_worker, mut to_worker) = worker.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let upwards = async {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from_worker.read(&mut bytes).await {
            let is_swallowed = {
                let mut state = state.lock().unwrap();
                if state.is_swallowing {
                    state.swallowed.extend_from_slice(&bytes[..read]);
                }
                state.is_swallowing
            };
            if !is_swallowed && to_server.write_all(&bytes[..read]).await.is_err() {
                break;
            }
        }
        let _closed = to_server.shutdown().await;
    };
    let downwards = async {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from_server.read(&mut bytes).await {
            let rewrite = state.lock().unwrap().rewrite.clone();
            if let Some((from, to)) = rewrite {
                replace(&mut bytes[..read], &from, &to);
            }
            if to_worker.write_all(&bytes[..read]).await.is_err() {
                break;
            }
        }
        let _closed = to_worker.shutdown().await;
    };
    tokio::select! {
        _ended = async { tokio::join!(upwards, downwards) } => {}
        () = vanish.cancelled() => std::future::pending().await,
    }
}

/// Good enough for packets that arrive in one piece, as those of the tests do.
fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(from.len()).position(|window| window == from) {
        at += found;
        bytes[at..at + from.len()].copy_from_slice(to);
        at += from.len();
    }
}
