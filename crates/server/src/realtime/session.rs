//! A session from the moment its caller's connection has left HTTP to its end.
//!
//! Owns what each side is told at the end, and how long it may take over its goodbye. **Invariant:** both sides are told
//! why, as far as they listen; after at most [`GOODBYE_MAX`] both sockets are closed whatever they do. **Invariant:** what
//! a provider still reports while it is being left is counted.

use super::account::Account;
use super::events::Names;
use super::relay::{Ended, Fault, Relay, Side, Who};
use crate::drain::Stage;
use crate::error::realtime_error;
use crate::pipeline::settle::Ending;
use crate::reply::DrainHandle;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::OnUpgrade;
use std::borrow::Cow;
use std::future::poll_fn;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tollgate_upstream::websocket::{End, WebSocket, frame};

/// How long a side may take over its goodbye.
const GOODBYE_MAX: Duration = Duration::from_secs(2);
/// What is still read of a caller whose message was too large, so that its connection is not reset before it has read
/// why.
const LINGER_BYTES_MAX: usize = 64 << 20;

/// What a session is made of.
pub(super) struct SessionParts {
    /// The caller's connection, once it has left HTTP.
    pub(super) upgrade: OnUpgrade,
    /// The provider's.
    pub(super) provider: WebSocket,
    /// What is due at the end.
    pub(super) account: Account,
    /// The names of its model.
    pub(super) names: Names,
    /// The gateway's end.
    pub(super) drain: DrainHandle,
    /// Largest message.
    pub(super) message_bytes_max: usize,
}

/// A session that is to begin. Dropped before, it closes the provider's connection and is settled.
pub(crate) struct Session(SessionParts);

impl Session {
    pub(super) fn new(parts: SessionParts) -> Self {
        Self(parts)
    }

    /// Runs it to its end.
    pub(crate) async fn run(self) {
        let SessionParts { upgrade, provider, account, names, drain, message_bytes_max } = self.0;
        let Ok(upgraded) = upgrade.await else { return };
        let caller = frame(upgraded, End::Server, message_bytes_max).await;
        let mut stage = drain.subscribe();
        let mut relay = Relay::new(caller, provider, account, names);
        let ended = tokio::select! {
            ended = poll_fn(|context| relay.poll(context)) => ended,
            // An error would mean that the drain, and with it the gateway, is gone.
            _ = stage.wait_for(|stage| *stage == Stage::Over) => Ended::Over,
        };
        let farewell = Farewell::of(&ended);
        let ending = farewell.ending;
        tracing::debug!(?ended, "realtime session ends");
        part(&mut relay, farewell).await;
        relay.account.settle(ending);
    }
}

/// How a provider's connection was lost.
fn lost(fault: &Fault) -> &'static str {
    match fault {
        Fault::Gone => "The provider's connection broke.",
        Fault::Stalled => "The provider takes no more messages.",
        _ => "The provider's messages could not be read.",
    }
}

/// What is said at the end.
#[derive(Debug, PartialEq, Eq)]
struct Farewell {
    /// An error event for the caller.
    event: Option<(&'static str, &'static str, Cow<'static, str>)>,
    /// The close for the caller; `None` where it closed itself or is gone.
    to_caller: Option<Option<CloseFrame>>,
    /// The same for the provider.
    to_provider: Option<Option<CloseFrame>>,
    /// The caller's bytes cannot be read as frames, so that it cannot say goodbye in one.
    lingers: bool,
    /// For the settlement.
    ending: Ending,
}

impl Farewell {
    fn of(ended: &Ended) -> Self {
        let to_provider = Some(close(CloseCode::Away, "the caller is gone"));
        match ended {
            Ended::Closed(Who::Caller, frame) => Self {
                event: None,
                to_caller: None,
                to_provider: Some(frame.clone()),
                lingers: false,
                ending: Ending::Complete,
            },
            Ended::Closed(Who::Provider, frame) => {
                let is_normal = frame.as_ref().is_none_or(|frame| frame.code == CloseCode::Normal);
                let ending = if is_normal { Ending::Complete } else { Ending::Cut };
                Self {
                    event: None,
                    to_caller: Some(frame.clone()),
                    to_provider: None,
                    lingers: false,
                    ending,
                }
            }
            Ended::Broke(Who::Caller, Fault::Gone | Fault::Stalled) => {
                Self { event: None, to_caller: None, to_provider, lingers: false, ending: Ending::CallerGone }
            }
            Ended::Broke(Who::Caller, fault) => {
                let (code, name, reason) = match fault {
                    Fault::TooLarge => {
                        (CloseCode::Size, "message_too_large", "The message is larger than the cap.")
                    }
                    Fault::NotUtf8 => (CloseCode::Invalid, "invalid_utf8", "The message is not UTF-8."),
                    _ => (CloseCode::Protocol, "invalid_frame", "The frame breaks a rule of WebSocket."),
                };
                let event = Some(("invalid_request_error", name, Cow::Borrowed(reason)));
                Self {
                    event,
                    to_caller: Some(close(code, reason)),
                    to_provider,
                    lingers: true,
                    // Its own fault, of which no deployment learns.
                    ending: Ending::CallerGone,
                }
            }
            Ended::Broke(Who::Provider, fault) => {
                let reason = lost(fault);
                Self {
                    event: Some(("server_error", "provider_connection_lost", Cow::Borrowed(reason))),
                    to_caller: Some(close(CloseCode::Error, reason)),
                    to_provider: Some(close(CloseCode::Protocol, "")),
                    lingers: false,
                    ending: Ending::Cut,
                }
            }
            Ended::Idle => {
                Self::limit("session_idle", "The session was idle for too long.", Ending::Complete)
            }
            Ended::Old => {
                let reason = "The session has reached its longest duration.";
                Self::limit("session_expired", reason, Ending::Complete)
            }
            Ended::Over => Self::limit("gateway_shutting_down", "The gateway is shutting down.", Ending::Cut),
            Ended::Spent(kind, code, message) => Self::spent(kind, code, message),
        }
    }

    fn spent(kind: &'static str, code: &'static str, message: &str) -> Self {
        Self {
            event: Some((kind, code, Cow::Owned(message.to_owned()))),
            to_caller: Some(close(CloseCode::Policy, "The caller's budgets or limits leave no more.")),
            to_provider: Some(close(CloseCode::Away, "")),
            lingers: false,
            ending: Ending::Complete,
        }
    }

    fn limit(name: &'static str, reason: &'static str, ending: Ending) -> Self {
        Self {
            event: Some(("server_error", name, Cow::Borrowed(reason))),
            to_caller: Some(close(CloseCode::Away, reason)),
            to_provider: Some(close(CloseCode::Away, "")),
            lingers: false,
            ending,
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a close without a code is one too")]
fn close(code: CloseCode, reason: &'static str) -> Option<CloseFrame> {
    Some(CloseFrame { code, reason: reason.into() })
}

/// Says goodbye to both sides at once.
async fn part(relay: &mut Relay, farewell: Farewell) {
    let Farewell { event, to_caller, to_provider, lingers, .. } = farewell;
    let (caller, provider, account, names) = relay.parts();
    let event = event.map(|(kind, code, message)| realtime_error((kind, code), &message, None));
    let to_caller = async {
        caller.outbox.extend(event.map(|text| Message::Text(text.into())));
        say_goodbye(caller, to_caller, |_| {}).await;
        if lingers {
            linger(caller).await;
        }
    };
    provider.outbox.clear();
    let to_provider = say_goodbye(provider, to_provider, |message| Relay::heed(account, names, &message));
    // Whoever takes longer is left.
    let _ = tokio::join!(timeout(GOODBYE_MAX, to_caller), timeout(GOODBYE_MAX, to_provider));
}

/// Says what is still to be said and reads to the end of what the side says. A side that is gone needs no goodbye.
async fn say_goodbye(side: &mut Side, close: Option<Option<CloseFrame>>, mut heed: impl FnMut(Message)) {
    while let Some(message) = side.outbox.pop_front() {
        if side.socket.send(message).await.is_err() {
            break;
        }
    }
    match close {
        Some(frame) => drop(side.socket.send(Message::Close(frame)).await),
        // The library's answer to its close.
        None => drop(side.socket.flush().await),
    }
    while let Some(Ok(message)) = side.socket.next().await {
        heed(message);
    }
}

/// Ends our half and reads what is still under way: a socket that is closed with unread bytes resets the connection, and
/// the caller loses what was said last.
async fn linger(side: &mut Side) {
    let raw = side.socket.get_mut();
    if raw.shutdown().await.is_err() {
        return;
    }
    let mut scratch = vec![0; 16 << 10];
    let mut left = LINGER_BYTES_MAX;
    while left > 0 {
        match raw.read(&mut scratch).await {
            Ok(0) | Err(_) => return,
            Ok(read) => left = left.saturating_sub(read),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_is_told_to_whoever_still_listens() {
        let mine = Some(CloseFrame { code: CloseCode::from(4_008), reason: "mine".into() });
        let check = |ended: Ended, event: Option<&str>, codes: (Option<u16>, Option<u16>), ending: Ending| {
            let farewell = Farewell::of(&ended);
            let code = |close: &Option<Option<CloseFrame>>| {
                close.as_ref().map(|frame| frame.as_ref().map_or(0, |frame| frame.code.into()))
            };
            assert_eq!(farewell.event.map(|(_, name, _)| name), event, "{ended:?}");
            assert_eq!((code(&farewell.to_caller), code(&farewell.to_provider)), codes, "{ended:?}");
            assert_eq!(farewell.ending, ending, "{ended:?}");
        };
        check(Ended::Closed(Who::Caller, mine.clone()), None, (None, Some(4_008)), Ending::Complete);
        check(Ended::Closed(Who::Caller, None), None, (None, Some(0)), Ending::Complete);
        check(Ended::Closed(Who::Provider, mine), None, (Some(4_008), None), Ending::Cut);
        check(Ended::Closed(Who::Provider, None), None, (Some(0), None), Ending::Complete);
        let broke = |who, fault| Ended::Broke(who, fault);
        check(broke(Who::Caller, Fault::Gone), None, (None, Some(1_001)), Ending::CallerGone);
        check(broke(Who::Caller, Fault::Stalled), None, (None, Some(1_001)), Ending::CallerGone);
        for (fault, event, code) in [
            (Fault::TooLarge, "message_too_large", 1_009),
            (Fault::NotUtf8, "invalid_utf8", 1_007),
            (Fault::Protocol, "invalid_frame", 1_002),
        ] {
            check(broke(Who::Caller, fault), Some(event), (Some(code), Some(1_001)), Ending::CallerGone);
        }
        for fault in [Fault::Gone, Fault::Stalled, Fault::TooLarge, Fault::NotUtf8, Fault::Protocol] {
            let event = Some("provider_connection_lost");
            check(broke(Who::Provider, fault), event, (Some(1_011), Some(1_002)), Ending::Cut);
        }
        check(Ended::Idle, Some("session_idle"), (Some(1_001), Some(1_001)), Ending::Complete);
        check(Ended::Old, Some("session_expired"), (Some(1_001), Some(1_001)), Ending::Complete);
        let spent = Ended::Spent("budget_exceeded", "budget_exceeded", "spent".to_owned());
        check(spent, Some("budget_exceeded"), (Some(1_008), Some(1_001)), Ending::Complete);
        check(Ended::Over, Some("gateway_shutting_down"), (Some(1_001), Some(1_001)), Ending::Cut);
    }
}
