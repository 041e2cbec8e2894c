//! A provider that answers every request with the same bytes, and counts who came.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

#[derive(Debug, Default)]
struct Log {
    connects: AtomicUsize,
    open: AtomicUsize,
    written: AtomicUsize,
}

/// Listens until it is dropped.
pub(crate) struct RawProvider {
    pub(crate) address: SocketAddr,
    log: Arc<Log>,
    accepting: JoinHandle<()>,
}

impl Drop for RawProvider {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl RawProvider {
    /// A provider of these bytes; it closes the connection behind them.
    pub(crate) async fn start(reply: impl Into<Vec<u8>>) -> Self {
        Self::flood(reply, Vec::new(), 0).await
    }

    /// A provider of these bytes and then of others so many times.
    pub(crate) async fn flood(reply: impl Into<Vec<u8>>, again: impl Into<Vec<u8>>, times: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (log, reply) = (Arc::new(Log::default()), Arc::new((reply.into(), again.into(), times)));
        let shared = Arc::clone(&log);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.connects.fetch_add(1, Ordering::SeqCst);
                shared.open.fetch_add(1, Ordering::SeqCst);
                let (reply, log) = (Arc::clone(&reply), Arc::clone(&shared));
                tokio::spawn(async move {
                    answer(stream, &reply, &log).await;
                    log.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, log, accepting }
    }

    /// A provider of a 200 with this type and body.
    pub(crate) async fn of(content_type: &str, body: &str) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n");
        Self::start(format!("{head}connection: close\r\n\r\n{body}")).await
    }

    /// Connections that came.
    pub(crate) fn connects(&self) -> usize {
        self.log.connects.load(Ordering::SeqCst)
    }

    /// Connections that are open.
    pub(crate) fn open(&self) -> usize {
        self.log.open.load(Ordering::SeqCst)
    }

    /// Bytes written, over all connections.
    pub(crate) fn written(&self) -> usize {
        self.log.written.load(Ordering::SeqCst)
    }
}

async fn answer(mut stream: TcpStream, (reply, again, times): &(Vec<u8>, Vec<u8>, usize), log: &Log) {
    let mut request = Vec::new();
    while !is_whole(&request) {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    // Whoever has enough of the reply may close before its end.
    for piece in std::iter::once(reply).chain(std::iter::repeat_n(again, *times)) {
        if stream.write_all(piece).await.is_err() {
            return;
        }
        log.written.fetch_add(piece.len(), Ordering::SeqCst);
    }
    let _ = stream.shutdown().await;
    let _ = stream.read_to_end(&mut request).await;
}

/// Whether a request has come with all of its body.
pub(crate) fn is_whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    request.len() >= end + 4 + length.unwrap_or(0)
}
