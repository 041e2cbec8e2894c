//! A wire between the books and PostgreSQL that can be cut, or go dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What the wire does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Carries what it is given.
    Whole = 0,
    /// Takes everything and carries nothing.
    Dead = 1,
    /// Breaks when a `COMMIT` is sent, by turns before it arrives and when the server has carried it out.
    CutAtCommit = 2,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    wire: AtomicU8,
    cuts: AtomicU64,
}

impl Proxy {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    if let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await {
                        carry(near, far, &state).await;
                    }
                });
            }
        });
        Self { port: own, state }
    }

    pub(crate) fn set(&self, wire: Wire) {
        self.state.wire.store(wire as u8, Ordering::SeqCst);
    }

    /// How often it broke.
    pub(crate) fn cuts(&self) -> u64 {
        self.state.cuts.load(Ordering::SeqCst)
    }
}

/// Carries both ways until an end closes or the wire breaks.
async fn carry(mut near: TcpStream, mut far: TcpStream, state: &State) {
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = near.read(&mut up) => {
                let Ok(length @ 1..) = read else { return };
                let wire = state.wire.load(Ordering::SeqCst);
                if wire == Wire::Dead as u8 {
                    continue;
                }
                let sent = &up[..length];
                let is_commit = sent.windows(7).any(|window| window == b"COMMIT\0");
                if wire == Wire::CutAtCommit as u8 && is_commit {
                    let number = state.cuts.fetch_add(1, Ordering::SeqCst);
                    if number.is_multiple_of(2) {
                        let _ = far.write_all(sent).await;
                        // The answer is that it is done; nobody will hear it.
                        let _ = far.read(&mut down).await;
                    }
                    return;
                }
                if far.write_all(sent).await.is_err() { return }
            }
            read = far.read(&mut down) => {
                let Ok(length @ 1..) = read else { return };
                if state.wire.load(Ordering::SeqCst) == Wire::Dead as u8 {
                    continue;
                }
                if near.write_all(&down[..length]).await.is_err() { return }
            }
        }
    }
}
