//! What a network does to whoever connects: nobody answers, somebody listens who says little.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A listener whose queue is full, so that whoever else connects hears nothing.
pub(crate) struct BlackHole {
    pub(crate) address: SocketAddr,
    _listener: socket2::Socket,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    pub(crate) fn new() -> Self {
        let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut queue = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            queue.push(stream);
            assert!(queue.len() < 1_000, "this machine's queue is never full");
        }
        Self { address, _listener: listener, _queue: queue }
    }
}

/// A listener that keeps all that it is told, and answers the first bytes of a connection with some of its own or not
/// at all.
pub(crate) struct Eavesdropper {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    connects: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Eavesdropper {
    pub(crate) async fn start(answer: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&heard);
        let connects = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connects);
        let accepting = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let all: Arc<Mutex<Vec<Vec<u8>>>> = Arc::clone(&all);
                tokio::spawn(async move {
                    let mut bytes = Vec::new();
                    let mut is_answered = false;
                    while stream.read_buf(&mut bytes).await.unwrap_or(0) > 0 {
                        if let (false, Some(answer)) = (is_answered, answer) {
                            // Whoever was told enough may have closed.
                            let _ = stream.write_all(answer.as_bytes()).await;
                            is_answered = true;
                        }
                    }
                    all.lock().unwrap().push(bytes);
                });
            }
        });
        Self { address, heard, connects, accepting }
    }

    /// Connections that came.
    pub(crate) fn connects(&self) -> usize {
        self.connects.load(Ordering::SeqCst)
    }

    /// What connections that are closed again said, one entry for each.
    pub(crate) fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Eavesdropper {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
