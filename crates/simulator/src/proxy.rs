//! A TCP proxy with faults, to stand between the gateway and anything: a provider, Redis, PostgreSQL.
//!
//! Owns: [`FaultProxy`], [`Plan`]. Leaves to others: what the bytes mean.
//!
//! **Invariant:** bytes pass unchanged and in order up to the fault, apart from one that a plan corrupts. A plan is
//! fixed when its connection is accepted; healing lets go what hangs.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// Most bytes read at once.
const BUFFER: usize = 16 * 1024;
/// Pause after a failed accept or bind.
const RETRY_PAUSE: Duration = Duration::from_millis(10);
/// How long data that was passed on has to arrive before the reset behind it.
const RESET_GRACE: Duration = Duration::from_millis(10);

/// What happens to a connection. Offsets count bytes of the replies (target to caller) unless the plan is
/// [on requests](Plan::on_requests).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    ending: Option<Ending>,
    delay: Duration,
    slice: Option<usize>,
    bytes_per_second: Option<u64>,
    corrupt: Option<usize>,
    on_requests: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Refuse,
    Hang,
    ResetAfter(usize),
    StallAfter(usize),
    HalfCloseAfter(usize),
}

impl Plan {
    /// Passes everything on.
    #[must_use]
    pub fn healthy() -> Plan {
        Plan::default()
    }

    /// Resets the connection as soon as it is accepted. See [`ProxyHandle::refuse`] for a port that is closed.
    #[must_use]
    pub fn refuse() -> Plan {
        Plan { ending: Some(Ending::Refuse), ..Plan::default() }
    }

    /// Accepts and does nothing more.
    #[must_use]
    pub fn hang() -> Plan {
        Plan { ending: Some(Ending::Hang), ..Plan::default() }
    }

    /// Resets both sides after so many bytes.
    #[must_use]
    pub fn reset_after(bytes: usize) -> Plan {
        Plan { ending: Some(Ending::ResetAfter(bytes)), ..Plan::default() }
    }

    /// Passes nothing on after so many bytes, until the proxy is healed.
    #[must_use]
    pub fn stall_after(bytes: usize) -> Plan {
        Plan { ending: Some(Ending::StallAfter(bytes)), ..Plan::default() }
    }

    /// Closes this direction in good order after so many bytes; the other stays open.
    #[must_use]
    pub fn half_close_after(bytes: usize) -> Plan {
        Plan { ending: Some(Ending::HalfCloseAfter(bytes)), ..Plan::default() }
    }

    /// Holds each piece back for so long.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Plan {
        self.delay = delay;
        self
    }

    /// Passes on at most so many bytes in one write.
    #[must_use]
    pub fn slice(mut self, bytes: usize) -> Plan {
        self.slice = Some(bytes.max(1));
        self
    }

    /// Passes on at most so many bytes a second.
    #[must_use]
    pub fn throttle(mut self, bytes_per_second: u64) -> Plan {
        self.bytes_per_second = Some(bytes_per_second.max(1));
        self
    }

    /// Inverts the byte at this offset.
    #[must_use]
    pub fn corrupt(mut self, offset: usize) -> Plan {
        self.corrupt = Some(offset);
        self
    }

    /// Applies the plan to the bytes of the requests.
    #[must_use]
    pub fn on_requests(mut self) -> Plan {
        self.on_requests = true;
        self
    }
}

#[derive(Debug)]
struct State {
    standing: Plan,
    next: VecDeque<Plan>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Whether the port is closed.
    refusing: watch::Sender<bool>,
    /// Counts the healings; what hangs waits for the next.
    healed: watch::Sender<u64>,
    /// Counts the orders to reset all connections.
    resets: watch::Sender<u64>,
    accepted: AtomicUsize,
    open: AtomicUsize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_plan(&self) -> Plan {
        let mut state = self.lock();
        state.next.pop_front().unwrap_or_else(|| state.standing.clone())
    }
}

/// Changes what a running proxy does; may be used from any thread.
#[derive(Debug, Clone)]
pub struct ProxyHandle {
    shared: Arc<Shared>,
}

impl ProxyHandle {
    /// The plan of connections from now on.
    pub fn set(&self, plan: Plan) {
        self.shared.lock().standing = plan;
    }

    /// The plan of the next connection that has none yet.
    pub fn next(&self, plan: Plan) {
        self.shared.lock().next.push_back(plan);
    }

    /// Closes the port, so that connections are refused by the system, or opens it again.
    pub fn refuse(&self, refusing: bool) {
        self.shared.refusing.send_replace(refusing);
    }

    /// Resets every open connection.
    pub fn reset_all(&self) {
        self.shared.resets.send_modify(|resets| *resets += 1);
    }

    /// Ends all faults: plans are dropped, the port is opened, what hangs or stalls goes on.
    pub fn heal(&self) {
        *self.shared.lock() = State { standing: Plan::healthy(), next: VecDeque::new() };
        self.refuse(false);
        self.shared.healed.send_modify(|healed| *healed += 1);
    }
}

/// A running proxy. It ends when it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl FaultProxy {
    /// Passes connections of the listener on to the target, on the current tokio runtime.
    ///
    /// # Errors
    /// When the listener has no address.
    #[expect(clippy::unused_async, reason = "starting is an operation on the runtime, and callers need one")]
    pub async fn start(listener: TcpListener, target: SocketAddr) -> io::Result<FaultProxy> {
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State { standing: Plan::healthy(), next: VecDeque::new() }),
            refusing: watch::Sender::new(false),
            healed: watch::Sender::new(0),
            resets: watch::Sender::new(0),
            accepted: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn(accept(listener, address, target, Arc::clone(&shared)));
        Ok(FaultProxy { address, shared, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The handle to change what it does.
    #[must_use]
    pub fn handle(&self) -> ProxyHandle {
        ProxyHandle { shared: Arc::clone(&self.shared) }
    }

    /// Connections ever accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.accepted.load(Ordering::Acquire)
    }

    /// Connections that are open.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::Acquire)
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

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, address: SocketAddr, target: SocketAddr, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let mut refusing = shared.refusing.subscribe();
    let mut listening = Some(listener);
    loop {
        if *refusing.borrow_and_update() {
            listening = None;
        } else if listening.is_none() {
            listening = TcpListener::bind(address).await.ok();
            if listening.is_none() {
                sleep(RETRY_PAUSE).await;
                continue;
            }
        }
        let accepted = async {
            match &listening {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = accepted => match accepted {
                Ok((stream, _)) => {
                    shared.accepted.fetch_add(1, Ordering::AcqRel);
                    shared.open.fetch_add(1, Ordering::AcqRel);
                    let open = Open(Arc::clone(&shared));
                    connections.spawn(serve(stream, target, shared.take_plan(), open));
                }
                Err(_) => sleep(RETRY_PAUSE).await,
            },
            _ = refusing.changed() => {}
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Counts a connection as open while it lives.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A connection is to be reset on both sides: the plan says so, or a side broke.
#[derive(Debug)]
struct Broken;

async fn serve(caller: TcpStream, target: SocketAddr, plan: Plan, open: Open) {
    let shared = &open.0;
    let mut resets = shared.resets.subscribe();
    match plan.ending {
        Some(Ending::Refuse) => return reset_on_close(&caller),
        Some(Ending::Hang) => {
            let mut healed = shared.healed.subscribe();
            tokio::select! {
                _ = healed.changed() => {}
                _ = resets.changed() => return reset_on_close(&caller),
            }
        }
        _ => {}
    }
    let Ok(target) = TcpStream::connect(target).await else { return reset_on_close(&caller) };
    // A peer that is already gone fails here; the passing then ends at once.
    let _ = (caller.set_nodelay(true), target.set_nodelay(true));
    let (mut caller, mut target) = (caller, target);
    let ended = tokio::select! {
        ended = pass_both(&mut caller, &mut target, &plan, shared) => ended,
        _ = resets.changed() => Err(Broken),
    };
    if ended.is_err() {
        sleep(RESET_GRACE).await;
        reset_on_close(&caller);
        reset_on_close(&target);
    }
}

/// Makes the coming close of a stream a reset.
fn reset_on_close(stream: &TcpStream) {
    // Where this fails the stream is closed in good order.
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Passes both directions on until both are closed in good order or either is to be reset.
async fn pass_both(
    caller: &mut TcpStream,
    target: &mut TcpStream,
    plan: &Plan,
    shared: &Shared,
) -> Result<(), Broken> {
    let plain = Plan::default();
    let (on_requests, on_replies) = if plan.on_requests { (plan, &plain) } else { (&plain, plan) };
    let (from_caller, to_caller) = caller.split();
    let (from_target, to_target) = target.split();
    tokio::try_join!(
        pass(from_caller, to_target, on_requests, shared),
        pass(from_target, to_caller, on_replies, shared),
    )?;
    Ok(())
}

/// Passes one direction on until its source closes it.
async fn pass(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    plan: &Plan,
    shared: &Shared,
) -> Result<(), Broken> {
    let mut healed = shared.healed.subscribe();
    let mut buffer = vec![0; BUFFER];
    let mut passed = 0;
    let mut ending = plan.ending;
    loop {
        let room = room(ending, passed);
        if room == 0 {
            match ending {
                Some(Ending::ResetAfter(_)) => return Err(Broken),
                Some(Ending::HalfCloseAfter(_)) => break,
                _ => {
                    healed.changed().await.map_err(|_| Broken)?;
                    ending = None;
                    continue;
                }
            }
        }
        let most = room.min(plan.slice.unwrap_or(BUFFER)).min(BUFFER);
        let read = from.read(buffer.get_mut(..most).unwrap_or_default()).await.map_err(|_| Broken)?;
        if read == 0 {
            break;
        }
        let piece = buffer.get_mut(..read).unwrap_or_default();
        if let Some(byte) =
            plan.corrupt.and_then(|at| at.checked_sub(passed)).and_then(|at| piece.get_mut(at))
        {
            *byte = !*byte;
        }
        hold_back(plan, read).await;
        to.write_all(piece).await.map_err(|_| Broken)?;
        passed += read;
    }
    to.shutdown().await.map_err(|_| Broken)
}

/// How many bytes may pass before the ending.
fn room(ending: Option<Ending>, passed: usize) -> usize {
    match ending {
        Some(Ending::ResetAfter(bytes) | Ending::StallAfter(bytes) | Ending::HalfCloseAfter(bytes)) => {
            bytes.saturating_sub(passed)
        }
        Some(Ending::Refuse | Ending::Hang) | None => usize::MAX,
    }
}

async fn hold_back(plan: &Plan, bytes: usize) {
    let throttle = plan.bytes_per_second.map_or(Duration::ZERO, |rate| {
        Duration::from_nanos((bytes as u64).saturating_mul(1_000_000_000) / rate)
    });
    let wait = plan.delay + throttle;
    if !wait.is_zero() {
        sleep(wait).await;
    }
}
