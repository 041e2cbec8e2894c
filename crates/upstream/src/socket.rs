//! The socket of a connection to a provider: TCP, or one of a network that the caller of this crate gives.
//!
//! Owns how sockets are opened. Leaves to others which address, how long, and what is spoken. Like an accept loop that
//! takes its listener as an argument, a client takes its way to open sockets, so that a test owns the network between.
//! **Invariant:** whoever opens it, a socket goes to an address that has been judged.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connected socket of another network than the machine's.
pub trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// A socket that is being connected.
pub type Dialing = Pin<Box<dyn Future<Output = io::Result<Box<dyn Socket>>> + Send>>;

/// Opens sockets to addresses in place of the machine's TCP.
pub trait Dial: fmt::Debug + Send + Sync {
    /// Connects. Dropped before it is done, it lets go of the socket.
    fn dial(&self, address: SocketAddr) -> Dialing;
}

/// Opens a socket: the machine's, unless another way is given.
pub(crate) async fn dial(other: Option<Arc<dyn Dial>>, address: SocketAddr) -> io::Result<Stream> {
    if let Some(other) = other {
        return Ok(Stream::Other(other.dial(address).await?));
    }
    let stream = TcpStream::connect(address).await?;
    // Without this, a small write waits for the peer's delayed acknowledgement (40 ms).
    stream.set_nodelay(true)?;
    Ok(Stream::Tcp(stream))
}

/// The socket of a connection.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Other(Box<dyn Socket>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Other(socket) => Pin::new(socket).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Other(socket) => Pin::new(socket).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
            Self::Other(socket) => Pin::new(socket).poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Other(socket) => socket.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Other(socket) => Pin::new(socket).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Other(socket) => Pin::new(socket).poll_shutdown(context),
        }
    }
}
