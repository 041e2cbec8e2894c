//! The fault proxy between a caller and an echo.

use crate::common::{PATIENCE, read_until_silence, until};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tollgate_simulator::FaultProxy;
use tollgate_simulator::proxy::Plan;

/// Sends every byte back.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    address
}

async fn proxy() -> FaultProxy {
    FaultProxy::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), echo().await).await.unwrap()
}

async fn connect(proxy: &FaultProxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

/// Writes and reads to the end.
async fn say(stream: &mut TcpStream, text: &[u8]) -> (Vec<u8>, io::Result<usize>) {
    let _ = stream.write_all(text).await;
    let mut got = Vec::new();
    let end = timeout(PATIENCE, stream.read_to_end(&mut got)).await.unwrap();
    (got, end)
}

async fn hear(stream: &mut TcpStream, text: &[u8]) {
    let mut got = vec![0; text.len()];
    timeout(PATIENCE, stream.read_exact(&mut got)).await.unwrap().unwrap();
    assert_eq!(got, text);
}

#[tokio::test]
async fn a_healthy_plan_passes_everything_on() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    stream.write_all(b"hello").await.unwrap();
    hear(&mut stream, b"hello").await;
    stream.shutdown().await.unwrap();
    assert_eq!(read_until_silence(&mut stream).await, b"");
    drop(stream);
    until("the connection is closed", || proxy.open_connections() == 0).await;
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn a_reset_comes_after_just_so_many_bytes() {
    let proxy = proxy().await;
    proxy.handle().set(Plan::reset_after(3));
    let (got, end) = say(&mut connect(&proxy).await, b"hello").await;
    assert_eq!(
        (got.as_slice(), end.unwrap_err().kind()),
        (b"hel".as_slice(), io::ErrorKind::ConnectionReset)
    );
    proxy.handle().set(Plan::reset_after(0).on_requests());
    let (got, end) = say(&mut connect(&proxy).await, b"hello").await;
    assert_eq!((got.as_slice(), end.is_err()), (b"".as_slice(), true));
}

#[tokio::test]
async fn a_stall_goes_on_until_the_proxy_is_healed() {
    let proxy = proxy().await;
    proxy.handle().set(Plan::stall_after(2));
    let mut stream = connect(&proxy).await;
    stream.write_all(b"hello").await.unwrap();
    assert_eq!(read_until_silence(&mut stream).await, b"he");
    proxy.handle().heal();
    hear(&mut stream, b"llo").await;
}

#[tokio::test]
async fn a_hang_goes_on_until_the_proxy_is_healed() {
    let proxy = proxy().await;
    proxy.handle().set(Plan::hang());
    let mut stream = connect(&proxy).await;
    stream.write_all(b"hello").await.unwrap();
    assert_eq!(read_until_silence(&mut stream).await, b"");
    proxy.handle().heal();
    hear(&mut stream, b"hello").await;
}

#[tokio::test]
async fn refusing_is_a_reset_or_a_closed_port() {
    let proxy = proxy().await;
    let handle = proxy.handle();
    handle.next(Plan::refuse());
    let (got, end) = say(&mut connect(&proxy).await, b"hello").await;
    assert!(got.is_empty() && end.is_err());
    handle.refuse(true);
    let mut refused = false;
    for _ in 0..1_000 {
        refused = TcpStream::connect(proxy.address()).await.is_err();
        if refused {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(refused);
    handle.heal();
    let mut stream = loop {
        if let Ok(stream) = TcpStream::connect(proxy.address()).await {
            break stream;
        }
        tokio::task::yield_now().await;
    };
    stream.write_all(b"again").await.unwrap();
    hear(&mut stream, b"again").await;
}

#[tokio::test]
async fn a_half_close_leaves_the_other_direction_open() {
    let proxy = proxy().await;
    proxy.handle().set(Plan::half_close_after(2));
    let mut stream = connect(&proxy).await;
    let (got, end) = say(&mut stream, b"hello").await;
    assert_eq!((got.as_slice(), end.unwrap()), (b"he".as_slice(), 2));
    stream.write_all(b"still open").await.unwrap();
    assert_eq!(proxy.open_connections(), 1);
}

#[tokio::test]
async fn bytes_are_sliced_corrupted_and_held_back_in_order() {
    let proxy = proxy().await;
    let slow = Plan::healthy().slice(1).corrupt(1).delay(Duration::from_millis(1)).throttle(1_000_000);
    proxy.handle().next(slow);
    let mut stream = connect(&proxy).await;
    stream.write_all(b"hello").await.unwrap();
    hear(&mut stream, &[b'h', !b'e', b'l', b'l', b'o']).await;
    let mut next = connect(&proxy).await;
    next.write_all(b"hello").await.unwrap();
    hear(&mut next, b"hello").await;
}

#[tokio::test]
async fn all_connections_are_reset_on_demand() {
    let proxy = proxy().await;
    let mut streams = [connect(&proxy).await, connect(&proxy).await];
    for stream in &mut streams {
        stream.write_all(b"x").await.unwrap();
        hear(stream, b"x").await;
    }
    proxy.handle().reset_all();
    for mut stream in streams {
        assert!(say(&mut stream, b"").await.1.is_err());
    }
}
