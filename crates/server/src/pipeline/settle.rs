//! The end of an attempt that answered: tokens, cost, metrics; once, whatever happened.
//!
//! **Invariant:** a settlement is made exactly once for every answered attempt, also when the caller has gone.

use super::Call;
use super::units::Units;
use crate::drain::Stage;
use crate::gateway::Gateway;
use crate::routing::Place;
use crate::surface::Surface;
use crate::target::Target;
use crate::toll::{Spent, Stake};
use crate::worker::Worker;
use http::HeaderValue;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_catalog::{Bill, Cost, PicoDollars, Prices, ServiceTier, cost};
use tollgate_dialect::conversation::Usage;
use tollgate_dialect::wire::{Losses, Progress};
use tollgate_policy::failure::FailureKind;

/// Bytes of text per token where a provider reports no tokens: OpenAI's rule of thumb for English.
pub(super) const BYTES_PER_TOKEN: u64 = 4;

/// A provider that reports more of any kind of token is wrong: ten times the largest context window that is sold.
pub(crate) const TOKENS_MAX: u64 = 100_000_000;

/// What a stream that ends with an error counts as: the status that its error names.
const BROKEN_STATUS: u16 = 500;

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// As it should.
    Complete,
    /// The provider broke it off behind its reason to stop; the caller has a proper end.
    Mended,
    /// The provider broke it off, or the gateway did.
    Cut,
    /// The caller went away.
    CallerGone,
}

/// What is to be billed.
#[derive(Debug, Clone)]
pub(crate) struct Billing {
    usage: Usage,
    is_estimated: bool,
    tier: Option<ServiceTier>,
    /// What is not tokens; boxed, since most calls have nothing of it.
    units: Option<Box<Units>>,
}

impl Billing {
    /// The provider's usage; an estimate from the sizes where it gave none that can be true.
    pub(crate) fn new(
        usage: Option<Usage>,
        prompt_bytes: u64,
        answer_bytes: impl FnOnce() -> u64,
        tier: Option<&str>,
    ) -> Self {
        let estimate = || Usage {
            input_tokens: prompt_bytes.div_ceil(BYTES_PER_TOKEN),
            output_tokens: answer_bytes().div_ceil(BYTES_PER_TOKEN),
            ..Usage::default()
        };
        let usage = usage.filter(can_be);
        Self {
            is_estimated: usage.is_none(),
            usage: usage.unwrap_or_else(estimate),
            tier: tier.and_then(ServiceTier::from_name),
            units: None,
        }
    }
}

impl Billing {
    /// What a reply reports, or nothing: where no tokens are counted, none are guessed.
    pub(crate) fn reported(usage: Option<Usage>) -> Self {
        let usage = usage.filter(can_be).unwrap_or_default();
        Self { usage, is_estimated: false, tier: None, units: None }
    }

    /// With what is not tokens.
    pub(crate) fn with_units(self, units: Units) -> Self {
        Self { units: Some(Box::new(units)), ..self }
    }

    /// The tokens that it is for.
    pub(super) fn usage(&self) -> &Usage {
        &self.usage
    }
}

/// What a session of many answers came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SessionSpend {
    /// Tokens of all prompts.
    pub(crate) input_tokens: u64,
    /// Tokens of all answers.
    pub(crate) output_tokens: u64,
    /// The sum of what is charged for what had a price.
    pub(crate) cost: Option<PicoDollars>,
    /// Something had none.
    pub(crate) has_unpriced: bool,
    /// Something was estimated.
    pub(crate) is_estimated: bool,
}

/// What is due when an attempt that answered has ended.
pub(crate) struct Settlement {
    gateway: Arc<Gateway>,
    target: Arc<Target>,
    call_id: HeaderValue,
    surface: Surface,
    started: Instant,
    prompt_bytes: u64,
    at_provider: Duration,
    /// What the request says of itself that is not tokens.
    units: Option<Box<Units>>,
    /// What the request holds at the deployment.
    place: Option<Box<Place>>,
    /// What it holds of the caller's budgets.
    stake: Option<Box<Stake>>,
    /// How long it took to the first content of a stream.
    first_token: Option<Duration>,
    /// The tier that serves it, and the groups before it.
    way: (Option<HeaderValue>, u32),
    /// What it was billed by: the parts of the price, the tier, and whether there is something else than tokens.
    detail: (Option<Bill>, Option<ServiceTier>, bool),
    /// It begins work that is billed when it ends: what it costs is not known.
    is_billed_later: bool,
    /// The provider asks nothing for it.
    is_free: bool,
    is_settled: bool,
}

/// The size of a prompt for an estimate: as it was weighed when it was let in, where a picture is no text; else its body's.
pub(crate) fn weigh(call: &Call, body_bytes: u64) -> u64 {
    let weighed = call.toll.get().map(|toll| toll.estimated_tokens().saturating_mul(BYTES_PER_TOKEN));
    weighed.unwrap_or(body_bytes)
}

impl Settlement {
    pub(crate) fn new(
        worker: &Worker,
        call: &Call,
        target: &Arc<Target>,
        prompt_bytes: u64,
        at_provider: Duration,
    ) -> Self {
        Self {
            gateway: Arc::clone(&worker.gateway),
            target: Arc::clone(target),
            call_id: call.id.clone(),
            surface: call.surface,
            started: call.started,
            prompt_bytes: weigh(call, prompt_bytes),
            at_provider,
            units: None,
            place: None,
            stake: None,
            first_token: None,
            way: (None, 0),
            detail: (None, None, false),
            is_billed_later: false,
            is_free: false,
            is_settled: false,
        }
    }

    /// With what the request holds at the deployment, given back with the settlement.
    pub(crate) fn with_place(self, place: Place) -> Self {
        Self { place: Some(Box::new(place)), ..self }
    }

    /// With what it holds of the caller's budgets, settled with it.
    pub(crate) fn with_stake(self, stake: Option<Stake>) -> Self {
        Self { stake: stake.map(Box::new), ..self }
    }

    /// The same of work that is billed when it ends: nobody can say now what it costs.
    pub(crate) fn billed_later(self) -> Self {
        Self { is_billed_later: true, ..self }
    }

    /// The same of what no provider asks anything for, whatever its prices.
    pub(crate) fn free(self) -> Self {
        Self { is_free: true, ..self }
    }

    /// With how it was come to: the tier that serves it, and the groups before it.
    pub(crate) fn with_way(self, tier: Option<HeaderValue>, fallbacks: u32) -> Self {
        Self { way: (tier, fallbacks), ..self }
    }

    /// With what the request uses beside tokens, for a reply that is not looked into.
    pub(crate) fn with_units(self, units: Units) -> Self {
        Self { units: Some(Box::new(units)), ..self }
    }

    /// What a reply costs that says nothing of it, before it is passed on.
    pub(crate) fn foretell(&self) -> Option<Bill> {
        let nothing = Billing { units: self.units.clone(), ..Billing::reported(None) };
        self.cost(&nothing, Duration::ZERO).map(|cost| self.target.adjustment.bill(cost))
    }

    /// Whose answer it is.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// What the caller was charged, once it is settled; none where there was no price.
    pub(crate) fn charged(&self) -> Option<PicoDollars> {
        self.detail.0.map(|bill| bill.total)
    }

    /// This moment, in microseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.gateway.ledger().clock().wall().micros()
    }

    /// Reading the stream panicked.
    pub(crate) fn note_bug(&self) {
        self.gateway.metrics().bugs.inc();
        tracing::error!(call_id = %self.call_id.to_str().unwrap_or_default(), "reading a stream panicked");
    }

    /// Says in the log what an answer said and the caller's dialect could not; a stream's head went out before it was known.
    fn warn_of(&self, lost: &Losses) {
        if !lost.is_empty() {
            let names: Vec<&str> = lost.names().collect();
            tracing::warn!(
                call_id = %self.call_id.to_str().unwrap_or_default(),
                deployment = %self.target.id,
                dropped = names.join(", "),
                "not expressed in the caller's dialect"
            );
        }
    }

    /// A stream broke off where nothing but its end was missing, and was ended here.
    fn tell_mended(&self) {
        self.gateway.metrics().rescued("mended");
        let call_id = self.call_id.to_str().unwrap_or_default();
        let deployment = self.target.id.as_str();
        tracing::warn!(
            call_id,
            deployment,
            "a stream broke behind its reason to stop and was ended as it should"
        );
    }

    /// The provider broke a stream off.
    pub(crate) fn tell_broken(&self, detail: &str, kind: Option<FailureKind>) {
        let class = kind.map_or("stream", FailureKind::word);
        self.gateway.metrics().attempt_failed(&self.target.metrics, BROKEN_STATUS, class);
        tracing::warn!(
            call_id = %self.call_id.to_str().unwrap_or_default(),
            deployment = %self.target.id,
            provider = self.target.provider.name,
            model = %self.target.model,
            class,
            detail,
            "a stream broke off"
        );
    }

    /// The caller's stream ends with an error.
    pub(crate) fn tell_failed(&self) {
        let group = self.target.metrics.group();
        self.gateway.metrics().request_failed(group, BROKEN_STATUS, self.surface.path());
    }

    /// The caller went away while somebody was looked for who goes on.
    pub(crate) fn tell_left(&self) {
        self.gateway.metrics().disconnects.inc();
        self.gateway.metrics().answered(&self.target.metrics, self.surface);
    }

    /// A stream's body is handed to the caller's connection: the request is being answered until that lets go of it.
    pub(crate) fn stream_opened(&self) {
        self.gateway.metrics().in_flight.inc();
    }

    /// The caller's connection has let go of a stream's body.
    pub(crate) fn stream_closed(&self) {
        self.gateway.metrics().in_flight.dec();
    }

    /// The first content of a stream is there, so long after the request came.
    pub(crate) fn first_token(&mut self, since_start: Duration) {
        self.first_token = Some(since_start);
        self.target.metrics.first_token.observe(since_start.as_secs_f64());
    }

    /// Settles a plain reply and says what it cost.
    pub(crate) fn settle_plain(&mut self, billing: &Billing) -> Option<Bill> {
        let total = self.started.elapsed();
        let overhead = total.saturating_sub(self.at_provider);
        self.target.metrics.overhead.observe(overhead.as_secs_f64());
        self.target.metrics.api_latency.observe(self.at_provider.as_secs_f64());
        self.settle(billing, self.at_provider, Ending::Complete)
    }

    /// Settles a stream; does nothing when it was settled already.
    pub(crate) fn settle_stream(&mut self, progress: &Progress, ending: Ending) {
        if self.is_settled {
            return;
        }
        self.warn_of(&progress.lost);
        if ending == Ending::Mended {
            self.tell_mended();
        }
        // A stream that was cut may have reported its prompt only; then what was delivered is the lower bound.
        let delivered = progress.content_bytes.div_ceil(BYTES_PER_TOKEN);
        let reported = progress.usage.filter(can_be);
        if self.surface.believes_reports() {
            self.target.metrics.api_latency.observe(self.started.elapsed().as_secs_f64());
            let mut billing = Billing { units: self.units.take(), ..Billing::reported(reported) };
            if let (None, Some(units), Some(length)) = (reported, &mut billing.units, progress.sound_ms) {
                units.spoken(length);
                // Beside the length of its speech, such a model sells the tokens of the text.
                if self.target.prices.prices_tokens() {
                    billing.usage.input_tokens = units.text_bytes().div_ceil(BYTES_PER_TOKEN);
                    billing.is_estimated = true;
                }
            }
            self.settle(&billing, self.started.elapsed(), ending);
            return;
        }
        let is_final = ending == Ending::Complete || (ending == Ending::Mended && progress.usage_is_last);
        let usage = reported.filter(|usage| is_final || usage.output_tokens >= delivered);
        let mut billing = Billing::new(
            usage,
            self.prompt_bytes,
            || progress.content_bytes,
            progress.service_tier.as_deref(),
        );
        if let (true, Some(reported)) = (billing.is_estimated, reported) {
            billing.usage = Usage { output_tokens: delivered, ..reported };
        }
        if ending == Ending::CallerGone {
            self.gateway.metrics().disconnects.inc();
        }
        let api_latency = self.started.elapsed();
        self.target.metrics.api_latency.observe(api_latency.as_secs_f64());
        self.settle(&billing, api_latency, ending);
    }

    /// Settles a session of many answers, each of which is booked; does nothing when it was settled already.
    pub(crate) fn settle_session(&mut self, spend: &SessionSpend, ending: Ending) {
        if self.is_settled {
            return;
        }
        if ending == Ending::CallerGone {
            self.gateway.metrics().disconnects.inc();
        }
        // How long the provider took to open it; how long it lasted is the caller's affair.
        self.target.metrics.api_latency.observe(self.at_provider.as_secs_f64());
        let (input_tokens, output_tokens) = (spend.input_tokens, spend.output_tokens);
        self.book(spend, &Usage { input_tokens, output_tokens, ..Usage::default() }, ending);
    }

    /// What is due, of a provider that took so long.
    fn cost(&self, billing: &Billing, took: Duration) -> Option<Cost> {
        let mut used = catalogue_usage(&billing.usage);
        let Some(units) = &billing.units else {
            return self.cost_of_tokens(billing, used, took);
        };
        if units.are_untold() && billing.usage == Usage::default() {
            return None;
        }
        units.add_to(&mut used);
        cost(&units.prices(self.prices()), &used, billing.tier)
    }

    fn cost_of_tokens(
        &self,
        billing: &Billing,
        mut used: tollgate_catalog::Usage,
        took: Duration,
    ) -> Option<Cost> {
        // Some providers sell their time.
        if !self.surface.believes_reports() {
            used.elapsed_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
        }
        cost(self.prices(), &used, billing.tier)
    }

    /// What the provider asks at this moment.
    fn prices(&self) -> &Prices {
        self.target.prices.at(self.gateway.ledger().clock().wall().micros().div_euclid(1_000_000))
    }

    fn settle(&mut self, billing: &Billing, took: Duration, ending: Ending) -> Option<Bill> {
        let cost = if self.is_billed_later { None } else { self.cost(billing, took) };
        let bill = cost.map(|cost| self.target.adjustment.bill(cost));
        if bill.is_none() && billing.units.as_ref().is_some_and(|units| units.are_untold()) {
            tracing::warn!(
                call_id = %self.call_id.to_str().unwrap_or_default(),
                deployment = %self.target.id,
                "neither the reply nor the file says how long the sound was: it is not billed"
            );
        }
        // What passes without a word of tokens may have no price.
        let is_silent = matches!(self.surface, Surface::Passed(_)) && billing.usage == Usage::default();
        let may_have_none = is_silent && !self.is_billed_later;
        let spend = SessionSpend {
            input_tokens: billing.usage.input_tokens,
            output_tokens: billing.usage.output_tokens,
            cost: bill.map(|bill| bill.total),
            has_unpriced: bill.is_none() && !may_have_none && !self.is_free,
            is_estimated: billing.is_estimated,
        };
        self.detail = (bill, billing.tier, billing.units.is_some());
        self.book(&spend, &billing.usage, ending);
        bill
    }

    /// Gives the place back, and lets the policies learn of the end.
    fn leave(&mut self, spend: &SessionSpend, ending: Ending) {
        let Some(mut place) = self.place.take() else { return };
        // What the end of the process cuts off is no fault of the provider's.
        let is_over = self.gateway.drain().stage() == Stage::Over;
        if matches!(ending, Ending::Cut | Ending::Mended) && !is_over {
            let lesson = place.broke(FailureKind::Connection, &self.target.health_rules);
            self.gateway.alerts().learned(&self.target, &lesson);
        }
        let took = self.started.elapsed();
        let tokens = u32::try_from(spend.output_tokens).ok().filter(|tokens| *tokens > 0);
        let per_token = tokens.filter(|_| ending == Ending::Complete).map(|tokens| took / tokens);
        place.finish(spend.input_tokens.saturating_add(spend.output_tokens), per_token);
    }

    fn book(&mut self, spend: &SessionSpend, usage: &Usage, ending: Ending) {
        self.is_settled = true;
        self.leave(spend, ending);
        if let Some(stake) = self.stake.take() {
            let alerts = self.gateway.alerts();
            if let Some(alert) =
                spend.cost.filter(|_| alerts.tracks_end_users()).and_then(|it| stake.tracked(it))
            {
                alerts.tell(alert);
            }
            stake.settle(&Spent {
                usage: *usage,
                cost: if self.is_free { Some(PicoDollars::ZERO) } else { spend.cost },
                is_free: self.is_free,
                is_estimated: spend.is_estimated,
                is_cut: ending == Ending::Cut,
                first_token_micros: self.first_token.and_then(|took| i64::try_from(took.as_micros()).ok()),
                bill: self.detail.0,
                tier: self.detail.1,
                has_units: self.detail.2,
                fallbacks: self.way.1,
                cache_key: None,
            });
        }
        let metrics = &self.target.metrics;
        if let Some(cost) = spend.cost {
            // A display of money: Prometheus knows only doubles.
            metrics.spend.inc_by(cost.0 as f64 / 1e12);
        }
        if spend.has_unpriced {
            metrics.unpriced.inc();
            // A model that has a price, of which a reply did not say how much it used, is another matter.
            if self.target.is_unpriced {
                self.gateway.alerts().unpriced(&self.target);
            }
        }
        metrics.input_tokens.inc_by(spend.input_tokens);
        metrics.output_tokens.inc_by(spend.output_tokens);
        metrics.total_tokens.inc_by(spend.input_tokens.saturating_add(spend.output_tokens));
        // Whoever broke a stream off is told of as such, and the request goes on, or fails; a session has been one.
        if ending != Ending::Cut || self.surface == Surface::Realtime {
            metrics.successes.inc();
            self.gateway.metrics().answered(metrics, self.surface);
        }
        if spend.is_estimated {
            metrics.estimated.inc();
        }
        let total = self.started.elapsed();
        metrics.total_latency.observe(total.as_secs_f64());
        tracing::debug!(
            call_id = %self.call_id.to_str().unwrap_or_default(),
            deployment = %self.target.id,
            model = %self.target.model,
            input_tokens = spend.input_tokens,
            output_tokens = spend.output_tokens,
            cost_usd = %spend.cost.map(|cost| cost.to_string()).unwrap_or_default(),
            estimated = spend.is_estimated,
            ending = ?ending,
            tier = self.way.0.as_ref().and_then(|tier| tier.to_str().ok()).unwrap_or_default(),
            fallbacks = self.way.1,
            duration_ms = total.as_millis() as u64,
            "request answered"
        );
    }
}

/// Whether a provider's counts can be true.
pub(super) fn can_be(usage: &Usage) -> bool {
    is_plausible(&catalogue_usage(usage))
}

/// Each count is billed by itself, so each is looked at.
pub(crate) fn is_plausible(usage: &tollgate_catalog::Usage) -> bool {
    let counts = [
        usage.input_tokens,
        usage.cached_tokens,
        usage.cached_audio_tokens,
        usage.cached_image_tokens,
        usage.cache_write_tokens,
        usage.cache_write_1h_tokens,
        usage.input_audio_tokens,
        usage.input_image_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        usage.output_audio_tokens,
        usage.output_image_tokens,
        usage.web_search_requests,
        usage.file_searches,
        usage.code_sessions,
    ];
    counts.into_iter().all(|count| count <= TOKENS_MAX)
}

/// The wire's counts as the catalogue bills them.
pub(crate) fn catalogue_usage(usage: &Usage) -> tollgate_catalog::Usage {
    tollgate_catalog::Usage {
        input_tokens: usage.input_tokens,
        cached_tokens: usage.cached_tokens,
        // The wire counts the two kinds of writes apart; the catalogue's first count includes the second.
        cache_write_tokens: usage.cache_write_tokens.saturating_add(usage.cache_write_1h_tokens),
        cache_write_1h_tokens: usage.cache_write_1h_tokens,
        input_audio_tokens: usage.input_audio_tokens,
        input_image_tokens: usage.input_image_tokens,
        output_tokens: usage.output_tokens,
        reasoning_tokens: usage.reasoning_tokens,
        output_audio_tokens: usage.output_audio_tokens,
        output_image_tokens: usage.output_image_tokens,
        web_search_requests: usage.web_search_requests,
        file_searches: usage.file_searches,
        code_sessions: usage.code_sessions,
        ..tollgate_catalog::Usage::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_that_was_reported_is_believed_even_if_zero_and_one_that_was_not_is_estimated() {
        let reported = Billing::new(Some(Usage::default()), 400, || 400, None);
        assert!(!reported.is_estimated);
        assert_eq!(reported.usage.total_tokens(), 0);
        for absurd in [
            Usage { output_tokens: u64::MAX, ..Usage::default() },
            Usage { input_tokens: 10, cached_tokens: TOKENS_MAX + 1, ..Usage::default() },
        ] {
            assert!(Billing::new(Some(absurd), 4, || 4, None).is_estimated);
        }
        let estimated = Billing::new(None, 401, || 7, None);
        assert!(estimated.is_estimated);
        assert_eq!((estimated.usage.input_tokens, estimated.usage.output_tokens), (101, 2));
    }
}
