//! The gateway's sockets on the simulated network: what it dials and what it accepts, watched byte by byte.
//!
//! Owns the wrappers and the resets that happen on them. Leaves to others what the bytes mean (ledger).
//! **Invariant:** what a wrapper notes it notes before the gateway can act on it.

use crate::ledger::Ledger;
use crate::scenario::{Blow, Draws, GATEWAY_PORT, Scenario};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tollgate_server::Listener;
use tollgate_upstream::{Dial, Dialing, Socket};
use turmoil::net::{TcpListener, TcpStream};

/// Most bytes of one read.
const READ_MAX: usize = 4 << 10;

/// The way to providers.
pub(crate) struct Network {
    scenario: Arc<Scenario>,
    ledger: Arc<Ledger>,
    draws: Mutex<Draws>,
}

impl Network {
    pub(crate) fn new(scenario: &Arc<Scenario>, ledger: &Arc<Ledger>) -> Arc<Self> {
        let draws = Mutex::new(Draws::new(scenario.seed ^ 0x5EED));
        Arc::new(Self { scenario: Arc::clone(scenario), ledger: Arc::clone(ledger), draws })
    }

    /// After how many bytes of replies a connection that is opened now is reset.
    fn reset_after(&self) -> Option<u64> {
        let now = self.ledger.now();
        let mut draws = self.draws.lock().unwrap();
        self.scenario.faults.iter().find_map(|fault| match fault.blow {
            Blow::Resets { percent, bytes_max } if (fault.from..fault.to).contains(&now) => {
                draws.chance(percent).then(|| draws.between(0, bytes_max))
            }
            _ => None,
        })
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

impl Dial for Network {
    fn dial(&self, address: SocketAddr) -> Dialing {
        let (ledger, reset_after) = (Arc::clone(&self.ledger), self.reset_after());
        let dialed = ledger.now();
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            let line = ledger.opened(dialed);
            Ok(Box::new(Line { stream, ledger, line, reset_after }) as Box<dyn Socket>)
        })
    }
}

/// A connection to a provider.
struct Line {
    stream: TcpStream,
    ledger: Arc<Ledger>,
    line: usize,
    /// Bytes that are still read before it is reset.
    reset_after: Option<u64>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.ledger.closed(self.line);
    }
}

impl AsyncRead for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.reset_after == Some(0) {
            this.ledger.broke(this.line, true);
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let room =
            this.reset_after.map_or(READ_MAX, |left| READ_MAX.min(left as usize)).min(buffer.remaining());
        let mut piece = [0; READ_MAX];
        let mut read = ReadBuf::new(&mut piece[..room]);
        let outcome = ready!(Pin::new(&mut this.stream).poll_read(context, &mut read));
        let (bytes, count) = (read.filled(), read.filled().len());
        buffer.put_slice(bytes);
        if let Some(left) = &mut this.reset_after {
            *left -= count as u64;
        }
        if count > 0 {
            this.ledger.heard(this.line, bytes);
        } else {
            this.ledger.broke(this.line, false);
        }
        Poll::Ready(outcome)
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write(context, bytes))?;
        this.ledger.said(this.line, &bytes[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// Where callers come in.
pub(crate) struct Door {
    listener: TcpListener,
    open: Arc<AtomicUsize>,
}

impl Door {
    pub(crate) async fn open(open: Arc<AtomicUsize>) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind((Ipv4Addr::UNSPECIFIED, GATEWAY_PORT)).await?, open })
    }
}

impl Listener for Door {
    type Socket = Entered;

    async fn accept(&self) -> io::Result<Entered> {
        let (stream, _) = self.listener.accept().await?;
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(Entered { stream, open: Arc::clone(&self.open) })
    }
}

/// A caller's connection.
pub(crate) struct Entered {
    stream: TcpStream,
    open: Arc<AtomicUsize>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsyncRead for Entered {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Entered {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
