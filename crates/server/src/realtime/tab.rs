//! What a session holds of its caller's budgets and limits: for each answer that runs, and for the one that comes next.
//!
//! A provider may begin an answer whenever it has heard somebody speak, so the most that the next one can cost is held as
//! long as the session lasts, and more as its conversation grows. Owns the holds. Leaves what an answer came to to the
//! account, and waiting to the relay.
//!
//! **Invariant:** between two answers the next is held for, by a key that is good still, or the session ends.
//! **Invariant:** while answers run, nothing from which one more can follow goes to the provider before that one is held
//! for too, and its intent written.
//! **Invariant:** each answer is booked once, by itself.

use super::context::{Conversation, Means};
use super::events::News;
use crate::auth::Caller;
use crate::error::Rejection;
use crate::gateway::Gateway;
use crate::pipeline::ceiling::ModelFacts;
use crate::target::Target;
use crate::toll::{Spent, Stake, Toll};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tollgate_catalog::{Bounds, PicoDollars, Prices, Served, Terms};
use tollgate_dialect::conversation;
use tollgate_ledger::{Admission, Refused};
use tollgate_policy::accounts::Tokens;

/// Tokens of what is written down for each of sound: OpenAI counts ten for a second that is heard, and nobody says more than
/// fifteen in one.
const WRITTEN_TOKENS_PER_HEARD: u64 = 2;
/// What it may have beyond that: an answer to noise.
const WRITTEN_BEYOND: u64 = 256;

/// Whether there is room for one more answer.
#[derive(Debug)]
pub(super) enum Room {
    /// It is held for.
    Held,
    /// There may be when an answer that runs is over, or its intent is written.
    Later,
    /// The caller asks for more than its limits allow at this moment.
    Not(Box<Rejection>),
    /// There is none, and nothing runs that could leave any.
    Over(Box<Rejection>),
}

/// None where it does not fit beside what other gateways hold.
type Coming = Pin<Box<dyn Future<Output = Result<Option<Stake>, Rejection>> + Send>>;

/// An answer that runs.
struct Running {
    id: String,
    stake: Option<Stake>,
    /// What it takes of rates.
    passage: Option<Admission>,
}

/// The holds of a session.
pub(super) struct Tab {
    gateway: Arc<Gateway>,
    toll: Arc<Toll>,
    target: Arc<Target>,
    caller: Caller,
    /// How long an attempt may take.
    time_max: Duration,
    conversation: Conversation,
    /// The prices of the model that writes down what the caller says; `None` while there is none.
    transcriber: Option<Prices>,
    /// For the next answer.
    ready: Option<Stake>,
    /// The same, while its intent is being written.
    coming: Option<Coming>,
    /// Answers that were asked for and have not begun: what they take of rates.
    asked: VecDeque<Admission>,
    running: Vec<Running>,
    was_booked: bool,
}

impl Tab {
    /// A session that was opened with this stake.
    pub(super) fn new(
        gateway: &Arc<Gateway>,
        toll: &Arc<Toll>,
        (target, time_max): (&Arc<Target>, Duration),
        caller: &Caller,
        stake: Option<Stake>,
    ) -> Self {
        Self {
            gateway: Arc::clone(gateway),
            toll: Arc::clone(toll),
            target: Arc::clone(target),
            caller: caller.clone(),
            time_max,
            conversation: Conversation::default(),
            transcriber: None,
            ready: stake,
            coming: None,
            asked: VecDeque::new(),
            running: Vec::new(),
            was_booked: false,
        }
    }

    /// A message is to go to the provider: it counts from here on, whenever it goes.
    pub(super) fn add(&mut self, means: &Means) {
        match means {
            Means::Nothing => {}
            Means::Adds(addition) | Means::Asks(addition) => self.conversation.add(*addition),
        }
    }

    /// Whether it may go now.
    pub(super) fn room_for(&mut self, means: &Means) -> Room {
        if matches!(means, Means::Nothing) {
            return Room::Held;
        }
        match self.cover() {
            Room::Held if matches!(means, Means::Asks(_)) => match self.admit() {
                Ok(passage) => {
                    self.asked.push_back(passage);
                    Room::Held
                }
                Err(rejection) => Room::Not(rejection),
            },
            room => room,
        }
    }

    /// Holds the most that the next answer can cost, as the conversation is now.
    pub(super) fn cover(&mut self) -> Room {
        if let Err(rejection) = self.caller.check_again(self.gateway.ledger()) {
            return self.without(Box::new(rejection));
        }
        let snapshot = self.gateway.snapshot();
        let rules = snapshot.toll_rules();
        let bounds = self.bounds();
        let most =
            if self.toll.is_bound(rules, &self.target) { self.most(&bounds) } else { PicoDollars::ZERO };
        let held = match &mut self.ready {
            Some(stake) if stake.held() == most => return Room::Held,
            Some(stake) => stake.rebook(rules, most).map(|()| Room::Held),
            None if self.coming.is_some() => return Room::Later,
            None => self.toll.stake_most(rules, &self.target, (most, bounds.output_tokens)).map(|stake| {
                self.coming = Some(Box::pin(async move {
                    let Ok(mut stake) = stake.confirmed().await else { return Ok(None) };
                    stake.intend().await.map(|()| Some(stake))
                }));
                Room::Later
            }),
        };
        if let Some(stake) = self.ready.take_if(|stake| stake.is_unconfirmed()) {
            self.coming = Some(Box::pin(async move { Ok(stake.confirmed().await.ok()) }));
            return Room::Later;
        }
        held.unwrap_or_else(|refused| self.without(self.reject(&refused)))
    }

    /// There is no room: what runs is heard to its end.
    fn without(&self, rejection: Box<Rejection>) -> Room {
        if self.running.is_empty() { Room::Over(rejection) } else { Room::Later }
    }

    /// Whether the intent of the next answer has been written meanwhile.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Result<bool, Box<Rejection>> {
        let Some(coming) = &mut self.coming else { return Ok(false) };
        let Poll::Ready(written) = coming.as_mut().poll(context) else { return Ok(false) };
        self.coming = None;
        self.ready = written?;
        Ok(true)
    }

    /// What can be used by the next answer, at most.
    fn bounds(&self) -> Bounds {
        let facts = ModelFacts::of(&self.target, self.time_max);
        self.toll.bounds().of_answer(&facts, self.conversation.tokens_max())
    }

    fn most(&self, bounds: &Bounds) -> PicoDollars {
        let facts = ModelFacts::of(&self.target, self.time_max);
        let terms = |prices| Terms {
            prices,
            served: self.toll.bounds().served(&facts),
            adjustment: self.target.adjustment,
        };
        let answer = terms(&self.target.prices).ceiling(bounds).unwrap_or(PicoDollars::ZERO);
        let Some(prices) = &self.transcriber else { return answer };
        let heard = self.conversation.unwritten_max();
        let written = Bounds {
            input_tokens: heard,
            input_audio_tokens: heard,
            output_tokens: heard.saturating_mul(WRITTEN_TOKENS_PER_HEARD).saturating_add(WRITTEN_BEYOND),
            ..Bounds::default()
        };
        let terms = Terms { served: Served::Asked(None), ..terms(prices) };
        answer.saturating_add(terms.ceiling(&written).unwrap_or(PicoDollars::ZERO))
    }

    /// One answer more, by the rates.
    fn admit(&self) -> Result<Admission, Box<Rejection>> {
        self.toll.answer().map_err(|refused| self.reject(&refused))
    }

    fn reject(&self, refused: &Refused) -> Box<Rejection> {
        Box::new(self.toll.reject(refused, self.gateway.snapshot().toll_rules(), &self.caller))
    }

    /// What the provider says of the conversation.
    pub(super) fn note(&mut self, news: &News, transcriber: Option<&Prices>) {
        self.conversation.note(news);
        if let News::Settings { .. } = news {
            self.transcriber = transcriber.cloned();
        }
    }

    /// An answer has begun. One that nobody asked for counts as a request as well.
    ///
    /// # Errors
    /// It is one more than the limits allow: it is booked all the same, and the session has to end.
    pub(super) fn begin(&mut self, id: &str) -> Result<(), Box<Rejection>> {
        let admitted = self.asked.pop_front().map_or_else(|| self.admit(), Ok);
        let (passage, refused) = match admitted {
            Ok(passage) => (Some(passage), Ok(())),
            Err(rejection) => (None, Err(rejection)),
        };
        let stake = self.ready.take().or_else(|| self.beside());
        self.running.push(Running { id: id.to_owned(), stake, passage });
        refused
    }

    fn beside(&self) -> Option<Stake> {
        self.toll.beside(self.gateway.snapshot().toll_rules(), &self.target)
    }

    /// An answer is over and came to this much, or to nothing; what nobody saw begin is booked too.
    pub(super) fn end(&mut self, id: &str, spent: Option<&Spent>) {
        let at = self.running.iter().position(|running| running.id == id);
        let running = at.map(|at| self.running.swap_remove(at));
        let (stake, passage) = match running {
            Some(Running { stake, passage, .. }) => (stake, passage),
            None => (spent.and_then(|_| self.beside()), None),
        };
        let Some(spent) = spent else { return stake.into_iter().for_each(Stake::release) };
        if let Some(passage) = passage {
            let conversation::Usage { input_tokens: input, output_tokens: output, .. } = spent.usage;
            passage.note_tokens(Tokens { input, output });
        }
        self.book(stake, spent);
    }

    /// Something beside the answers came to this much; it was held for with the next one.
    pub(super) fn book_beside(&mut self, spent: &Spent) {
        let stake = self.beside();
        self.book(stake, spent);
    }

    fn book(&mut self, stake: Option<Stake>, spent: &Spent) {
        self.was_booked = true;
        if let Some(stake) = stake {
            stake.settle(spent);
        }
    }

    /// The session is over, and so are its answers. One without any is a row that costs nothing.
    pub(super) fn close(&mut self) {
        self.coming = None;
        self.asked.clear();
        match self.ready.take() {
            Some(stake) if !self.was_booked => self.book(
                Some(stake),
                &Spent { is_free: true, cost: Some(PicoDollars::ZERO), ..Spent::default() },
            ),
            stake => stake.into_iter().for_each(Stake::release),
        }
    }

    /// The ids of the answers that run.
    pub(super) fn running(&self) -> impl Iterator<Item = &str> {
        self.running.iter().map(|running| running.id.as_str())
    }
}
