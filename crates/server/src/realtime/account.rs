//! What a session comes to: the counts and the cost of all its responses, and of what was written down of its caller.
//!
//! Owns the sum. Leaves reading the counts to `events`, metrics and log to the settlement. **Invariant:** a session is
//! settled exactly once, when its account is dropped at the latest. **Invariant:** each response is priced by itself, so
//! that a price per request, or one that depends on a prompt's length, is what the provider bills.

use super::events::News;
use crate::pipeline::settle::{Ending, SessionSpend, Settlement, is_plausible};
use crate::target::Target;
use std::sync::Arc;
use tollgate_catalog::{Prices, Usage, cost};

/// Bytes of text per token where a provider reports none: OpenAI's rule of thumb for English.
const BYTES_PER_TOKEN: u64 = 4;
/// Bytes of sound in base64 per token where a provider reports none: a token is 50 ms of what a model says (OpenAI's
/// guide to managing Realtime costs), which in 16 bits at 24 kHz are 2,400 bytes. Of telephone sound, which is smaller,
/// this is less than was said.
const SOUND_BYTES_PER_TOKEN: u64 = 3_200;

/// A session's sums, as they grow.
#[derive(Debug, Default)]
struct Sums {
    spend: SessionSpend,
    /// A response that has begun and not ended: what it has said so far.
    open: Option<(u64, u64)>,
    /// The prices of the model that writes down what the caller says; `None` while there is none.
    transcriber: Option<Prices>,
}

/// A session's account.
pub(super) struct Account {
    settlement: Settlement,
    target: Arc<Target>,
    sums: Sums,
}

impl Account {
    /// Opens the account; the session counts as being answered from here on.
    pub(super) fn new(settlement: Settlement, target: Arc<Target>) -> Self {
        settlement.stream_opened();
        Self { settlement, target, sums: Sums::default() }
    }

    /// Takes note of what a provider's message says.
    pub(super) fn note(&mut self, news: &News) {
        if let News::Transcriber(model) = news {
            let is_own = model.as_deref() == Some(self.target.model.as_str());
            let prices = |model: &str| {
                tollgate_catalog::model(self.target.provider.name, model)
                    .map(|facts| facts.prices)
                    .unwrap_or_default()
            };
            // The model of a session that does nothing else is the deployment's, and so are the prices.
            self.sums.transcriber =
                if is_own { Some(self.target.prices.clone()) } else { model.as_deref().map(prices) };
            return;
        }
        self.sums.note(news, &self.target.prices);
    }

    /// Settles the session, once.
    pub(super) fn settle(&mut self, ending: Ending) {
        // Whoever breaks off within a response has been given what it said so far.
        self.sums.close_response(None, &self.target.prices);
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
    fn note(&mut self, news: &News, prices: &Prices) {
        match *news {
            News::None | News::Transcriber(_) => {}
            News::ResponseBegins => {
                self.open.get_or_insert((0, 0));
            }
            News::Said { text_bytes, sound_bytes } => {
                let (text, sound) = self.open.get_or_insert((0, 0));
                *text = text.saturating_add(text_bytes);
                *sound = sound.saturating_add(sound_bytes);
            }
            News::ResponseEnds(usage) => self.close_response(usage, prices),
            News::Transcribed(usage) => {
                let prices = self.transcriber.take();
                match usage.filter(is_plausible) {
                    Some(usage) => self.add(&usage, &prices.clone().unwrap_or_default()),
                    // Billed by the second, for which no price is known here.
                    None => self.spend.has_unpriced = true,
                }
                self.transcriber = prices;
            }
        }
    }

    /// Adds a response: its counts, or what was heard of it where it has none that can be true.
    fn close_response(&mut self, usage: Option<Usage>, prices: &Prices) {
        let said = self.open.take();
        if let Some(usage) = usage.filter(is_plausible) {
            return self.add(&usage, prices);
        }
        let (text, sound) = said.unwrap_or_default();
        let sound_tokens = sound.div_ceil(SOUND_BYTES_PER_TOKEN);
        let output_tokens = text.div_ceil(BYTES_PER_TOKEN).saturating_add(sound_tokens);
        if output_tokens > 0 {
            self.spend.is_estimated = true;
            self.add(&Usage { output_tokens, output_audio_tokens: sound_tokens, ..Usage::default() }, prices);
        }
    }

    fn add(&mut self, usage: &Usage, prices: &Prices) {
        let spend = &mut self.spend;
        spend.input_tokens = spend.input_tokens.saturating_add(usage.input_tokens);
        spend.output_tokens = spend.output_tokens.saturating_add(usage.output_tokens);
        match cost(prices, usage, None) {
            Some(cost) => spend.cost = Some(spend.cost.unwrap_or_default().saturating_add(cost.total)),
            None => spend.has_unpriced = true,
        }
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
        let said = News::Said { text_bytes: 400, sound_bytes: 9_999 };
        let one = vec![News::ResponseBegins, said, News::ResponseEnds(Some(usage))];
        let spend = sums(one.clone()).spend;
        assert_eq!((spend.input_tokens, spend.output_tokens), (100, 50));
        assert_eq!((spend.cost, spend.is_estimated, spend.has_unpriced), (dollars("0.004132"), false, false));
        let spend = sums([one.clone(), one].concat()).spend;
        assert_eq!((spend.input_tokens, spend.cost), (200, dollars("0.008264")));
    }

    #[test]
    fn a_response_without_counts_is_estimated_from_what_was_said() {
        let said = News::Said { text_bytes: 9, sound_bytes: 3_201 };
        let absurd = Usage { input_tokens: 1, output_tokens: TOKENS_MAX + 1, ..Usage::default() };
        for end in [None, Some(absurd)] {
            let spend = sums(vec![News::ResponseBegins, said.clone(), News::ResponseEnds(end)]).spend;
            // 3 x 16 + 2 x 64
            assert_eq!((spend.output_tokens, spend.is_estimated, spend.cost), (5, true, dollars("0.000176")));
        }
        let cancelled = sums(vec![News::ResponseBegins, News::ResponseEnds(None)]).spend;
        assert_eq!((cancelled.output_tokens, cancelled.is_estimated, cancelled.cost), (0, false, None));
        let zero = sums(vec![News::ResponseBegins, said, News::ResponseEnds(Some(Usage::default()))]).spend;
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
