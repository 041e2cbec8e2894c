//! The frames between a caller and a provider.
//!
//! Owns what is passed on, in which order, and when a side counts as gone. Leaves what is said at the end to `session`.
//! **Invariant:** a side is read only when the other has taken what it said before, so that a slow reader slows the one
//! who speaks and no more than [`OUTBOX_MAX`] messages are held for anyone. **Invariant:** control frames of the gateway's
//! own never stand before a message.

use super::account::Account;
use super::context::Means;
use super::events::{Names, Upward};
use super::tab::Room;
use crate::error::{Rejection, realtime_error};
use bytes::Bytes;
use futures_util::{Sink, Stream};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tollgate_upstream::websocket::WebSocket;

/// Most messages that wait for one side: one that is passed on, and one of the gateway's own.
const OUTBOX_MAX: usize = 2;
/// Most rounds before other connections of the thread have their turn.
const ROUNDS_MAX: usize = 64;
/// How often limits are looked at.
const TICK: Duration = Duration::from_secs(5);
/// A side that has said nothing for so long is asked whether it is there.
const PING_AFTER: Duration = Duration::from_secs(30);
/// A side that was asked and says nothing for so long is gone, and so is one that takes nothing for so long.
const GONE_AFTER: Duration = Duration::from_secs(60);
/// A session in which neither side sends a message for so long is over; a caller may well listen for some minutes.
const IDLE_MAX: Duration = Duration::from_secs(1_800);
/// Longest session: twice OpenAI's own limit of an hour (Realtime guide).
const LIFE_MAX: Duration = Duration::from_secs(7_200);
/// What the gateway's own pings say.
const PING: Bytes = Bytes::from_static(b"tollgate");

/// Why a side's bytes cannot be used any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It ended without a goodbye, or is not there.
    Gone,
    /// It takes nothing.
    Stalled,
    /// A message larger than the cap.
    TooLarge,
    /// Text that is not UTF-8.
    NotUtf8,
    /// Not WebSocket.
    Protocol,
}

/// Who.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Caller,
    Provider,
}

/// Why a session ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// A side said goodbye.
    Closed(Who, Option<CloseFrame>),
    /// A side broke off.
    Broke(Who, Fault),
    /// Nobody says anything.
    Idle,
    /// It has lasted long enough.
    Old,
    /// The gateway ends.
    Over,
    /// The caller's budgets or limits leave no more answers: the type, the code and the words of it.
    Spent(&'static str, &'static str, String),
}

impl Ended {
    fn spent(rejection: &Rejection) -> Self {
        Self::Spent(rejection.kind(), code_of(rejection), rejection.message().to_owned())
    }
}

/// What an error event calls a limit that stands in the way, in OpenAI's words where there are any.
fn code_of(rejection: &Rejection) -> &'static str {
    match (rejection.kind(), rejection.status().as_u16()) {
        ("budget_exceeded", _) => "budget_exceeded",
        (_, 429) => "rate_limit_exceeded",
        (_, 401 | 403) => "invalid_api_key",
        _ => "server_error",
    }
}

/// A caller's message that waits until an answer may follow from it.
struct Parked {
    message: Message,
    means: Means,
    /// The caller's own id of it.
    event_id: Option<String>,
}

/// One side.
pub(super) struct Side {
    pub(super) socket: WebSocket,
    pub(super) outbox: VecDeque<Message>,
    /// Written, but not known to be on its way.
    is_unflushed: bool,
    /// Writing has failed; what it still says is listened to.
    is_deaf: bool,
    heard: Instant,
    pinged: Option<Instant>,
    waits_since: Option<Instant>,
    /// The last ping that was passed on to it. Its sender has been answered, so the answer to it goes nowhere.
    passed_ping: Option<Bytes>,
}

impl Side {
    fn new(socket: WebSocket) -> Self {
        Self {
            socket,
            outbox: VecDeque::with_capacity(OUTBOX_MAX),
            is_unflushed: false,
            is_deaf: false,
            heard: Instant::now(),
            pinged: None,
            waits_since: None,
            passed_ping: None,
        }
    }

    /// Writes what waits, as far as the side takes it; true where something went out.
    fn deliver(&mut self, context: &mut Context<'_>) -> bool {
        let written = self.write(context);
        let moved = *written.as_ref().unwrap_or(&false);
        if written.is_err() {
            // Why it takes nothing, its last words may say; they are read next.
            self.is_deaf = true;
        }
        if self.is_deaf {
            self.outbox.clear();
            self.is_unflushed = false;
        }
        let waits = self.is_unflushed || !self.outbox.is_empty();
        self.waits_since = match self.waits_since {
            Some(since) if waits && !moved => Some(since),
            _ => waits.then(Instant::now),
        };
        moved
    }

    fn write(&mut self, context: &mut Context<'_>) -> Result<bool, Error> {
        let mut moved = false;
        while !self.outbox.is_empty() {
            let Poll::Ready(ready) = Pin::new(&mut self.socket).poll_ready(context) else { break };
            ready?;
            if let Some(message) = self.outbox.pop_front() {
                Pin::new(&mut self.socket).start_send(message)?;
                self.is_unflushed = true;
                moved = true;
            }
        }
        if self.is_unflushed
            && let Poll::Ready(flushed) = Pin::new(&mut self.socket).poll_flush(context)
        {
            flushed?;
            self.is_unflushed = false;
            moved = true;
        }
        Ok(moved)
    }

    /// The next thing that it says.
    fn listen(&mut self, context: &mut Context<'_>) -> Poll<Result<Message, Fault>> {
        let heard = std::task::ready!(Pin::new(&mut self.socket).poll_next(context));
        self.heard = Instant::now();
        self.pinged = None;
        Poll::Ready(match heard {
            Some(Ok(message)) => Ok(message),
            Some(Err(error)) => Err(fault_of(&error)),
            None => Err(Fault::Gone),
        })
    }

    /// Whether a pong answers a ping that has been answered already, or one of our own.
    fn is_spare(&self, pong: &Bytes) -> bool {
        *pong == PING || self.passed_ping.as_ref() == Some(pong)
    }

    /// Looks at the clock: asks whether it is there, or says that it is not.
    fn check(&mut self, now: Instant) -> Result<(), Fault> {
        let since = |then: Instant| now.saturating_duration_since(then);
        if self.waits_since.is_some_and(|then| since(then) >= GONE_AFTER) {
            return Err(Fault::Stalled);
        }
        match self.pinged {
            Some(then) if since(then) >= GONE_AFTER => Err(Fault::Gone),
            None if since(self.heard) >= PING_AFTER && self.outbox.is_empty() => {
                self.pinged = Some(now);
                self.outbox.push_back(Message::Ping(PING));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn fault_of(error: &Error) -> Fault {
    match error {
        Error::Capacity(_) => Fault::TooLarge,
        Error::Utf8(_) => Fault::NotUtf8,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Fault::Gone,
        Error::Protocol(_) => Fault::Protocol,
        _ => Fault::Gone,
    }
}

/// Both sides of a session.
pub(super) struct Relay {
    pub(super) caller: Side,
    pub(super) provider: Side,
    pub(super) account: Account,
    names: Names,
    parked: Option<Parked>,
    began: Instant,
    /// When either side last sent a message.
    spoke: Instant,
    ticks: Interval,
}

impl Relay {
    /// Joins two sides.
    pub(super) fn new(caller: WebSocket, provider: WebSocket, account: Account, names: Names) -> Self {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let now = Instant::now();
        let (caller, provider) = (Side::new(caller), Side::new(provider));
        Self { caller, provider, account, names, parked: None, began: now, spoke: now, ticks }
    }

    /// Passes messages on until the session ends.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        while self.ticks.poll_tick(context).is_ready() {
            if let Err(ended) = self.check(Instant::now()) {
                return Poll::Ready(ended);
            }
        }
        if let Err(rejection) = self.account.poll(context) {
            return Poll::Ready(Ended::spent(&rejection));
        }
        for _ in 0..ROUNDS_MAX {
            match self.round(context) {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(ended) => return Poll::Ready(ended),
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn check(&mut self, now: Instant) -> Result<(), Ended> {
        self.caller.check(now).map_err(|fault| Ended::Broke(Who::Caller, fault))?;
        self.provider.check(now).map_err(|fault| Ended::Broke(Who::Provider, fault))?;
        if now.saturating_duration_since(self.began) >= LIFE_MAX {
            return Err(Ended::Old);
        }
        if now.saturating_duration_since(self.spoke) >= IDLE_MAX { Err(Ended::Idle) } else { Ok(()) }
    }

    /// Writes and reads each side once; true where something moved.
    fn round(&mut self, context: &mut Context<'_>) -> Result<bool, Ended> {
        let mut moved = self.provider.deliver(context) | self.caller.deliver(context);
        // A caller's message goes on to the provider, or is answered.
        if self.provider.outbox.is_empty() && self.caller.outbox.len() < OUTBOX_MAX {
            if let Some(parked) = self.parked.take() {
                moved |= self.let_up(parked)?;
            } else if let Poll::Ready(heard) = self.caller.listen(context) {
                self.pass_up(heard.map_err(|fault| Ended::Broke(Who::Caller, fault))?)?;
                moved = true;
            }
        }
        if self.caller.outbox.is_empty()
            && let Poll::Ready(heard) = self.provider.listen(context)
        {
            self.pass_down(heard.map_err(|fault| Ended::Broke(Who::Provider, fault))?)?;
            moved = true;
        }
        Ok(moved)
    }

    fn pass_up(&mut self, message: Message) -> Result<(), Ended> {
        match message {
            Message::Text(text) => {
                self.spoke = Instant::now();
                let (upward, means) = self.names.upward(text.as_str());
                let event_id = || Names::event_id(text.as_str());
                let event_id = if matches!(means, Means::Asks(_)) { event_id() } else { None };
                let message = match upward {
                    Upward::Same => Message::Text(text),
                    Upward::Changed(text) => Message::Text(text.into()),
                    Upward::Refused(event) => {
                        self.caller.outbox.push_back(Message::Text(event.into()));
                        return Ok(());
                    }
                };
                self.account.add(&means);
                self.let_up(Parked { message, means, event_id }).map(drop)
            }
            Message::Close(frame) => Err(Ended::Closed(Who::Caller, frame)),
            other => {
                pass_other(other, &self.caller, &mut self.provider, &mut self.spoke);
                Ok(())
            }
        }
    }

    /// Passes a caller's message up, once whatever can follow from it is held for; true where it went, or was answered.
    fn let_up(&mut self, parked: Parked) -> Result<bool, Ended> {
        match self.account.room_for(&parked.means) {
            Room::Held => self.provider.outbox.push_back(parked.message),
            Room::Later => {
                self.parked = Some(parked);
                return Ok(false);
            }
            Room::Not(rejection) => {
                let kind = (rejection.kind(), code_of(&rejection));
                let event = realtime_error(kind, rejection.message(), parked.event_id.as_deref());
                self.caller.outbox.push_back(Message::Text(event.into()));
            }
            Room::Over(rejection) => return Err(Ended::spent(&rejection)),
        }
        Ok(true)
    }

    fn pass_down(&mut self, message: Message) -> Result<(), Ended> {
        match message {
            Message::Text(text) => {
                self.spoke = Instant::now();
                let read = self.names.downward(text.as_str());
                let message = read.changed.map_or(Message::Text(text), |text| Message::Text(text.into()));
                self.caller.outbox.push_back(message);
                self.account.note(&read.news).map_err(|rejection| Ended::spent(&rejection))
            }
            Message::Close(frame) => Err(Ended::Closed(Who::Provider, frame)),
            other => {
                pass_other(other, &self.provider, &mut self.caller, &mut self.spoke);
                Ok(())
            }
        }
    }

    /// Takes note of what a provider says while it is being left.
    pub(super) fn heed(account: &mut Account, names: &Names, message: &Message) {
        if let Message::Text(text) = message {
            account.heed(&names.downward(text.as_str()).news);
        }
    }

    /// The parts that a goodbye needs, each by itself.
    pub(super) fn parts(&mut self) -> (&mut Side, &mut Side, &mut Account, &Names) {
        (&mut self.caller, &mut self.provider, &mut self.account, &self.names)
    }
}

/// Passes on what has no text. A ping has been answered by the library; it is passed on so that the far side's silence
/// is known, and the answer to it is not.
fn pass_other(message: Message, from: &Side, to: &mut Side, spoke: &mut Instant) {
    match message {
        Message::Binary(_) => {
            *spoke = Instant::now();
            to.outbox.push_back(message);
        }
        Message::Ping(payload) => {
            to.passed_ping = Some(payload.clone());
            to.outbox.push_back(Message::Ping(payload));
        }
        Message::Pong(payload) if !from.is_spare(&payload) => to.outbox.push_back(Message::Pong(payload)),
        _ => {}
    }
}
