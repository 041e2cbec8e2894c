//! What a session comes to: the counts and the cost of all its responses, and of what was written down of its caller.
//!
//! Owns the sums. Leaves reading the counts to `events`, holding for answers to the `tab`, metrics and log to the settlement.
//! **Invariant:** a session is settled exactly once, when its account is dropped at the latest. **Invariant:** each response
//! is priced and booked by itself, so that a price per request, or one that depends on a prompt's length, is what the
//! provider bills.

use super::context::Means;
use super::events::News;
use super::tab::{Room, Tab};
use crate::error::Rejection;
use crate::pipeline::settle::{Ending, SessionSpend, Settlement, is_plausible};
use crate::target::Target;
use crate::toll::Spent;
use std::sync::Arc;
use std::task::Context;
use tollgate_catalog::{Adjustment, Prices, Usage, cost};
use tollgate_dialect::conversation;

/// Bytes of text per token where a provider reports none: OpenAI's rule of thumb for English.
const BYTES_PER_TOKEN: u64 = 4;
/// Bytes of sound in base64 per token where a provider reports none: a token is 50 ms of what a model says (OpenAI's
/// guide to managing Realtime costs), which in 16 bits at 24 kHz are 2,400 bytes. Of telephone sound, which is smaller,
/// this is less than was said.
const SOUND_BYTES_PER_TOKEN: u64 = 3_200;

/// A response that has begun and not ended: what it has said so far.
#[derive(Debug)]
struct Open {
    id: String,
    text_bytes: u64,
    sound_bytes: u64,
}

/// A session's sums, as they grow.
#[derive(Debug, Default)]
struct Sums {
    spend: SessionSpend,
    adjustment: Adjustment,
    open: Vec<Open>,
    /// The prices of the model that writes down what the caller says; `None` while there is none.
    transcriber: Option<Prices>,
}

/// A session's account.
pub(super) struct Account {
    settlement: Settlement,
    target: Arc<Target>,
    sums: Sums,
    /// What is held of its caller's budgets; none for what nobody pays.
    tab: Option<Tab>,
}

impl Account {
    /// Opens the account; the session counts as being answered from here on.
    pub(super) fn new(settlement: Settlement, target: Arc<Target>, tab: Option<Tab>) -> Self {
        settlement.stream_opened();
        let sums = Sums { adjustment: target.adjustment, ..Sums::default() };
        Self { settlement, target, sums, tab }
    }

    /// Takes note of what a provider's message says.
    ///
    /// # Errors
    /// The caller's budgets or limits leave nothing for a next answer: the session has to end.
    pub(super) fn note(&mut self, news: &News) -> Result<(), Box<Rejection>> {
        let begun = self.take(news);
        let Some(tab) = self.tab.as_mut().filter(|_| !matches!(news, News::None | News::Said { .. })) else {
            return Ok(());
        };
        begun?;
        match tab.cover() {
            Room::Held | Room::Later => Ok(()),
            Room::Not(rejection) | Room::Over(rejection) => Err(rejection),
        }
    }

    /// The same while the session ends: nothing can follow.
    pub(super) fn heed(&mut self, news: &News) {
        // What it leaves no room for is over already.
        let _ = self.take(news);
    }

    /// A caller's message is to go on.
    pub(super) fn add(&mut self, means: &Means) {
        if let Some(tab) = &mut self.tab {
            tab.add(means);
        }
    }

    /// Whether it may go on now.
    pub(super) fn room_for(&mut self, means: &Means) -> Room {
        self.tab.as_mut().map_or(Room::Held, |tab| tab.room_for(means))
    }

    /// Goes on with what is being held.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Result<bool, Box<Rejection>> {
        self.tab.as_mut().map_or(Ok(false), |tab| tab.poll(context))
    }

    fn take(&mut self, news: &News) -> Result<(), Box<Rejection>> {
        if let News::Settings { transcriber, .. } = news {
            self.sums.transcriber = transcriber.as_deref().map(|model| self.prices_of(model));
        }
        let spent = self.sums.note(news, &self.target.prices);
        let Some(tab) = &mut self.tab else { return Ok(()) };
        tab.note(news, self.sums.transcriber.as_ref());
        match (news, spent) {
            (News::ResponseBegins { id }, _) => return tab.begin(id),
            (News::ResponseEnds { id, .. }, spent) => tab.end(id, spent.as_ref()),
            (News::Transcribed(_), Some(spent)) => tab.book_beside(&spent),
            _ => {}
        }
        Ok(())
    }

    fn prices_of(&self, model: &str) -> Prices {
        // The model of a session that does nothing else is the deployment's, and so are the prices.
        if model == self.target.model {
            return self.target.prices.clone();
        }
        let facts = tollgate_catalog::model(self.target.provider.name, model);
        facts.map(|facts| facts.prices).unwrap_or_default()
    }

    /// Settles the session, once.
    pub(super) fn settle(&mut self, ending: Ending) {
        // Whoever breaks off within a response has been given what it said so far.
        let mut running: Vec<String> = self.sums.open.iter().map(|open| open.id.clone()).collect();
        running.extend(self.tab.iter().flat_map(Tab::running).map(str::to_owned));
        for id in running {
            let spent = self.sums.close(&id, None, &self.target.prices);
            let spent = spent.map(|spent| Spent { is_cut: ending == Ending::Cut, ..spent });
            if let Some(tab) = &mut self.tab {
                tab.end(&id, spent.as_ref());
            }
        }
        if let Some(tab) = &mut self.tab {
            tab.close();
        }
        self.settlement.settle_session(&self.sums.spend, ending);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.settle(Ending::CallerGone);
        self.settlement.stream_closed();
    }
}

impl Sums {
    /// What is due by what a provider says.
    fn note(&mut self, news: &News, prices: &Prices) -> Option<Spent> {
        match news {
            News::ResponseBegins { id } => {
                self.opened(id);
                None
            }
            News::Said { id, text_bytes, sound_bytes } => {
                let open = self.opened(id)?;
                open.text_bytes = open.text_bytes.saturating_add(*text_bytes);
                open.sound_bytes = open.sound_bytes.saturating_add(*sound_bytes);
                None
            }
            News::ResponseEnds { id, usage } => self.close(id, *usage, prices),
            News::Transcribed(usage) => {
                let Some(usage) = usage.filter(is_plausible) else {
                    // Billed by the second, for which no price is known here.
                    self.spend.has_unpriced = true;
                    return Some(Spent::default());
                };
                let prices = self.transcriber.clone().unwrap_or_default();
                Some(self.add(&usage, &prices, false))
            }
            _ => None,
        }
    }

    /// A response that runs; the one that came last where it has no id of its own.
    fn opened(&mut self, id: &str) -> Option<&mut Open> {
        let known = self.open.iter().position(|open| open.id == id);
        let last = || if id.is_empty() { self.open.len().checked_sub(1) } else { None };
        let at = known.or_else(last).unwrap_or_else(|| {
            self.open.push(Open { id: id.to_owned(), text_bytes: 0, sound_bytes: 0 });
            self.open.len() - 1
        });
        self.open.get_mut(at)
    }

    /// Adds a response: its counts, or what was heard of it where it has none that can be true.
    fn close(&mut self, id: &str, usage: Option<Usage>, prices: &Prices) -> Option<Spent> {
        let at = self.open.iter().position(|open| open.id == id);
        let said = at.map(|at| self.open.swap_remove(at));
        if let Some(usage) = usage.filter(is_plausible) {
            return Some(self.add(&usage, prices, false));
        }
        let (text, sound) = said.map(|said| (said.text_bytes, said.sound_bytes)).unwrap_or_default();
        let sound_tokens = sound.div_ceil(SOUND_BYTES_PER_TOKEN);
        let output_tokens = text.div_ceil(BYTES_PER_TOKEN).saturating_add(sound_tokens);
        if output_tokens == 0 {
            return None;
        }
        let usage = Usage { output_tokens, output_audio_tokens: sound_tokens, ..Usage::default() };
        Some(self.add(&usage, prices, true))
    }

    fn add(&mut self, usage: &Usage, prices: &Prices, is_estimated: bool) -> Spent {
        let spend = &mut self.spend;
        spend.input_tokens = spend.input_tokens.saturating_add(usage.input_tokens);
        spend.output_tokens = spend.output_tokens.saturating_add(usage.output_tokens);
        spend.is_estimated |= is_estimated;
        let bill = cost(prices, usage, None).map(|cost| self.adjustment.bill(cost));
        match bill {
            Some(bill) => spend.cost = Some(spend.cost.unwrap_or_default().saturating_add(bill.total)),
            None => spend.has_unpriced = true,
        }
        let total = bill.map(|bill| bill.total);
        Spent { usage: told(usage), cost: total, bill, is_estimated, ..Spent::default() }
    }
}

/// The counts as a row has them.
fn told(usage: &Usage) -> conversation::Usage {
    conversation::Usage {
        input_tokens: usage.input_tokens,
        cached_tokens: usage.cached_tokens,
        input_audio_tokens: usage.input_audio_tokens.saturating_add(usage.cached_audio_tokens),
        input_image_tokens: usage.input_image_tokens.saturating_add(usage.cached_image_tokens),
        output_tokens: usage.output_tokens,
        output_audio_tokens: usage.output_audio_tokens,
        ..conversation::Usage::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::settle::TOKENS_MAX;
    use tollgate_catalog::PicoDollars;

    fn prices(model: &str) -> Prices {
        tollgate_catalog::model("openai", model).unwrap().prices
    }

    fn dollars(text: &str) -> Option<PicoDollars> {
        PicoDollars::parse_dollars(text).ok()
    }

    const ID: &str = "resp_1";

    fn begins() -> News {
        News::ResponseBegins { id: ID.to_owned() }
    }

    fn said(text_bytes: u64, sound_bytes: u64) -> News {
        News::Said { id: ID.to_owned(), text_bytes, sound_bytes }
    }

    fn ends(usage: Option<Usage>) -> News {
        News::ResponseEnds { id: ID.to_owned(), usage }
    }

    fn sums(news: Vec<News>) -> Sums {
        let mut sums = Sums::default();
        let own = prices("gpt-realtime");
        for news in news {
            sums.note(&news, &own);
        }
        sums
    }

    #[test]
    fn responses_add_up_text_sound_and_cache_each_at_its_price() {
        let usage = Usage {
            input_tokens: 100,
            cached_tokens: 30,
            cached_audio_tokens: 20,
            input_audio_tokens: 40,
            output_tokens: 50,
            output_audio_tokens: 40,
            ..Usage::default()
        };
        // gpt-realtime, a million: text 4, sound 32, cached 0.4; text out 16, sound out 64.
        // 30 x 4 + 40 x 32 + 30 x 0.4 + 10 x 16 + 40 x 64 = 4132
        let said = said(400, 9_999);
        let one = vec![begins(), said, ends(Some(usage))];
        let spend = sums(one.clone()).spend;
        assert_eq!((spend.input_tokens, spend.output_tokens), (100, 50));
        assert_eq!((spend.cost, spend.is_estimated, spend.has_unpriced), (dollars("0.004132"), false, false));
        let spend = sums([one.clone(), one].concat()).spend;
        assert_eq!((spend.input_tokens, spend.cost), (200, dollars("0.008264")));
    }

    #[test]
    fn a_response_without_counts_is_estimated_from_what_was_said() {
        let said = said(9, 3_201);
        let absurd = Usage { input_tokens: 1, output_tokens: TOKENS_MAX + 1, ..Usage::default() };
        for end in [None, Some(absurd)] {
            let spend = sums(vec![begins(), said.clone(), ends(end)]).spend;
            // 3 x 16 + 2 x 64
            assert_eq!((spend.output_tokens, spend.is_estimated, spend.cost), (5, true, dollars("0.000176")));
        }
        let cancelled = sums(vec![begins(), ends(None)]).spend;
        assert_eq!((cancelled.output_tokens, cancelled.is_estimated, cancelled.cost), (0, false, None));
        let zero = sums(vec![begins(), said, ends(Some(Usage::default()))]).spend;
        assert_eq!((zero.output_tokens, zero.is_estimated), (0, false), "an explicit zero is believed");
    }

    #[test]
    fn what_is_written_down_has_the_prices_of_the_model_that_writes() {
        let usage = Usage { input_tokens: 10, input_audio_tokens: 10, output_tokens: 4, ..Usage::default() };
        let mut sums = Sums { transcriber: Some(prices("gpt-4o-transcribe")), ..Sums::default() };
        sums.note(&News::Transcribed(Some(usage)), &prices("gpt-realtime"));
        sums.note(&News::Transcribed(Some(usage)), &prices("gpt-realtime"));
        // 2 x (10 x 2.5 + 4 x 10)
        assert_eq!((sums.spend.cost, sums.spend.has_unpriced), (dollars("0.00013"), false));
        sums.note(&News::Transcribed(None), &prices("gpt-realtime"));
        assert!(sums.spend.has_unpriced, "seconds have no price here");
    }
}
