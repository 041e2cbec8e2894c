//! The messages of a Realtime session on the wire.
//!
//! Owns: the loop between caller and session, pacing, and the faults that happen there. Leaves to others: what is said
//! (`session`).
//!
//! **Invariant:** what the session says goes out in its order, and the caller is listened to while it does.

use super::respond;
use super::{Opened, Session};
use crate::body::Exchange;
use crate::fault::{CutEnding, Fault, ResetPoint};
use crate::reply::{Event, Role};
use crate::socket::Socket;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role as Side, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Largest message of a caller, in bytes.
const MESSAGE_BYTES_MAX: usize = 32 << 20;

/// How long a caller may take to answer a close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

type Wire = WebSocketStream<TokioIo<Upgraded>>;

/// How a session goes on after something was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    /// Say nothing more, and keep the connection.
    Silence,
    /// Close with this code.
    Close(u16),
    /// End the connection without a word.
    Drop,
}

/// Runs a session to its end.
pub(crate) async fn talk(opened: Opened, socket: &Socket) {
    let Opened { mut session, upgrade, mut exchange } = opened;
    let Ok(upgraded) = upgrade.await else { return };
    let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES_MAX));
    let mut wire = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Side::Server, Some(config)).await;
    if session.model.is_empty() {
        session.without_model();
        let _ = flush(&mut wire, &mut session, &exchange).await;
        return close(&mut wire, 4_000, "invalid_request_error.missing_model", &mut exchange).await;
    }
    match converse(&mut wire, &mut session, &exchange).await {
        Next::GoOn => exchange.finish(),
        Next::Close(code) => close(&mut wire, code, "simulated", &mut exchange).await,
        Next::Silence => {
            // The caller may say what it likes; nothing comes back until it leaves.
            while let Some(Ok(_)) = wire.next().await {}
        }
        Next::Drop => {
            exchange.give_up();
            if matches!(session.behaviour.fault, Some(Fault::Reset(_))) {
                socket.reset_on_close();
            }
        }
    }
}

async fn close(wire: &mut Wire, code: u16, reason: &'static str, exchange: &mut Exchange) {
    let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
    // A caller that is gone needs no goodbye.
    let _ = wire.close(Some(frame)).await;
    let answered = async { while let Some(Ok(_)) = wire.next().await {} };
    let _ = tokio::time::timeout(CLOSE_PATIENCE, answered).await;
    exchange.finish();
}

async fn flush(wire: &mut Wire, session: &mut Session, exchange: &Exchange) -> Result<(), Error> {
    while let Some(said) = session.outbox.pop_front() {
        let text = said.event.to_string();
        exchange.wrote(&Event { bytes: Bytes::new(), role: said.role });
        wire.send(Message::text(text)).await?;
    }
    Ok(())
}

/// Until the caller closes (`GoOn`), or a fault happens.
async fn converse(wire: &mut Wire, session: &mut Session, exchange: &Exchange) -> Next {
    let mut contents = 0;
    let mut due = Instant::now();
    loop {
        let content = session.outbox.front().is_some_and(|said| said.role == Role::Content);
        if contents == 0
            && content
            && let Some(Fault::SlowFirstEvent(wait)) = session.behaviour.fault
        {
            due = due.max(Instant::now()) + wait;
            contents = 1;
        }
        tokio::select! {
            biased;
            message = wire.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    exchange.heard(&text);
                    let quiet = session.outbox.is_empty();
                    session.receive(&text);
                    if quiet {
                        due = due.max(Instant::now() + session.behaviour.pace);
                    }
                }
                Some(Ok(Message::Binary(_))) => return Next::Close(1_003),
                Some(Ok(_)) => {}
                Some(Err(Error::ConnectionClosed | Error::AlreadyClosed)) | None => return Next::GoOn,
                // Without a goodbye; the exchange says that the caller hung up.
                Some(Err(_)) => return Next::Silence,
            },
            () = wait(due, content), if !session.outbox.is_empty() => {
                let next = say(wire, session, exchange, &mut contents).await;
                if next != Next::GoOn {
                    return next;
                }
                if content {
                    due = Instant::now() + session.behaviour.pace;
                }
            }
        }
    }
}

async fn wait(due: Instant, content: bool) {
    if content && due > Instant::now() {
        sleep_until(due).await;
    }
}

/// Says the next thing, or does what the fault has in its place.
async fn say(wire: &mut Wire, session: &mut Session, exchange: &Exchange, contents: &mut usize) -> Next {
    let Some(said) = session.outbox.pop_front() else { return Next::GoOn };
    let ends = session.active.is_some() && matches!(said.role, Role::Content | Role::Closing);
    let after = session.behaviour.fault.as_ref().filter(|_| ends).and_then(after);
    let malforms = matches!(session.behaviour.fault, Some(Fault::MalformedEvent { .. }));
    if after.is_some_and(|after| {
        *contents == after || (*contents < after && said.role == Role::Closing && !malforms)
    }) {
        match &session.behaviour.fault {
            Some(Fault::Cut { ending: CutEnding::Terminated, .. }) => return Next::Close(1_000),
            Some(Fault::Cut { .. } | Fault::Reset(_)) => return Next::Drop,
            Some(Fault::Stall { .. }) => return Next::Silence,
            Some(Fault::Close { code, .. }) => return Next::Close(*code),
            Some(Fault::MalformedEvent { .. }) => {
                *contents += 1;
                session.outbox.push_front(said);
                let sent = wire.send(Message::text("{\"broken\": [")).await;
                return if sent.is_ok() { Next::GoOn } else { Next::Silence };
            }
            _ => {
                respond::broken(session);
                return Next::GoOn;
            }
        }
    }
    if said.role == Role::Closing {
        session.active = None;
        *contents = 0;
    }
    *contents += usize::from(said.role == Role::Content);
    exchange.wrote(&Event { bytes: Bytes::new(), role: said.role });
    if let Some(usage) = said.event.pointer("/response/usage") {
        let count = |name: &str| crate::ask::number_at(usage, name).unwrap_or(0);
        exchange.set_tokens(count("input_tokens"), count("output_tokens"));
    }
    match wire.send(Message::text(said.event.to_string())).await {
        Ok(()) => Next::GoOn,
        Err(_) => Next::Silence,
    }
}

/// After how many tokens of a response a fault happens.
fn after(fault: &Fault) -> Option<usize> {
    match fault {
        Fault::ErrorEvent { after, .. }
        | Fault::Failed { after }
        | Fault::Cut { after, .. }
        | Fault::Stall { after }
        | Fault::Close { after, .. }
        | Fault::MalformedEvent { after }
        | Fault::Reset(ResetPoint::AfterEvents(after)) => Some(*after),
        _ => None,
    }
}
