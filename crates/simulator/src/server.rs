//! The running simulator: its listener and connections.
//!
//! Owns: [`Simulator`], what its connections share, their count and end. Leaves to others: a request's life
//! (`exchange`), the fast mode (`bench`).
//!
//! **Invariant:** no task outlives the simulator: dropping or stopping it closes the listener and every connection.

use crate::bench;
use crate::body::Active;
use crate::clouds;
use crate::entra::Issued;
use crate::exchange;
use crate::limits::Limits;
use crate::platform;
use crate::realtime;
use crate::received::{Received, Recorder};
use crate::replicate;
use crate::script::{Script, ScriptHandle};
use crate::socket::{SharedStream, Socket};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Pause after a failed accept (out of file descriptors), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// Most headers of a request.
const HEADERS_MAX: usize = 200;

/// What the connections of a simulator share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) script: ScriptHandle,
    pub(crate) recorder: Recorder,
    pub(crate) limits: Limits,
    pub(crate) issued: Issued,
    pub(crate) predictions: replicate::Store,
    pub(crate) platform: platform::State,
    pub(crate) clouds: clouds::State,
    pub(crate) connections: AtomicU64,
    pub(crate) open_connections: AtomicUsize,
    pub(crate) active: Arc<Active>,
    pub(crate) redirected: AtomicU64,
}

/// A running simulator. It ends when it is dropped.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Simulator {
    /// Serves on the listener, on the current tokio runtime.
    ///
    /// # Errors
    /// When the listener has no address.
    #[expect(clippy::unused_async, reason = "starting is an operation on the runtime, and callers need one")]
    pub async fn start(listener: TcpListener, script: Script) -> io::Result<Simulator> {
        let address = listener.local_addr()?;
        let bench = script.bench.clone().map(|bench| Arc::new(bench::Canned::new(&bench)));
        let shared = Arc::new(Shared { script: ScriptHandle::new(script), ..Shared::default() });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared), bench));
        Ok(Simulator { address, shared, accepting })
    }

    /// Serves on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn bind(script: Script) -> io::Result<Simulator> {
        Simulator::start(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?, script).await
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://` and the address, to put a path behind.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests received, oldest first; of many the newest.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.recorder.snapshot()
    }

    /// Lets the requests received so far go.
    pub fn forget_received(&self) {
        self.shared.recorder.clear();
    }

    /// The script, to be changed while the simulator runs.
    #[must_use]
    pub fn script(&self) -> ScriptHandle {
        self.shared.script.clone()
    }

    /// Connections that are open.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.shared.open_connections.load(Ordering::Acquire)
    }

    /// Connections ever accepted.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Acquire)
    }

    /// Requests whose reply is not yet over.
    #[must_use]
    pub fn active_requests(&self) -> usize {
        self.shared.active.now()
    }

    /// The most requests that were ever under way at once.
    #[must_use]
    pub fn most_active_requests(&self) -> usize {
        self.shared.active.most()
    }

    /// How often a redirect to `/sim/redirected` was followed.
    #[must_use]
    pub fn redirects_followed(&self) -> u64 {
        self.shared.redirected.load(Ordering::Acquire)
    }

    /// Closes the listener and every connection, and waits until they are closed.
    pub async fn stop(mut self) {
        self.accepting.abort();
        // The task ends as aborted, and its connections with it.
        let _ = (&mut self.accepting).await;
        while self.open_connections() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, bench: Option<Arc<bench::Canned>>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // A peer that is already gone fails here; serving it ends at once.
        let _ = stream.set_nodelay(true);
        let number = shared.connections.fetch_add(1, Ordering::AcqRel) + 1;
        let open = Open::new(&shared);
        match &bench {
            Some(canned) => connections.spawn(serve_canned(stream, Arc::clone(canned), open)),
            None => connections.spawn(serve(stream, number, Arc::clone(&shared), open)),
        };
    }
}

/// Counts a connection as open while it lives.
#[derive(Debug)]
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: &Arc<Shared>) -> Open {
        shared.open_connections.fetch_add(1, Ordering::AcqRel);
        Open(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open_connections.fetch_sub(1, Ordering::AcqRel);
    }
}

async fn serve(stream: TcpStream, number: u64, shared: Arc<Shared>, open: Open) {
    let socket = Socket::new(stream);
    let slot = Arc::new(realtime::Slot::default());
    let service = service_fn(|request| {
        exchange::serve(Arc::clone(&shared), Arc::clone(&socket), (number, Arc::clone(&slot)), request)
    });
    let io = TokioIo::new(SharedStream(Arc::clone(&socket)));
    // How a connection ends is seen in the records of its requests.
    let _ =
        http1::Builder::new().max_headers(HEADERS_MAX).serve_connection(io, service).with_upgrades().await;
    if let Some(opened) = slot.take() {
        realtime::talk(opened, &socket).await;
    }
    drop(open);
}

async fn serve_canned(stream: TcpStream, canned: Arc<bench::Canned>, open: Open) {
    let service = service_fn(|request| bench::serve(Arc::clone(&canned), request));
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    drop(open);
}
