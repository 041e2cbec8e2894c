//! Whether a request is answered by what is kept, or by what another one is being answered with.
//!
//! Owns the look into the cache, the wait for another's answer, and the reply of a hit. **Invariant:** an answer is given
//! only to a request of its key, of its kind, and while it is fresh. **Invariant:** whoever waits for another's answer
//! waits no longer than it would wait for its own.

use super::controls::Controls;
use super::facts::AnswerFacts;
use super::memo::Memo;
use super::{Answers, News, eligible, key, replay};
use crate::error::Rejection;
use crate::pipeline::respond::content_type;
use crate::pipeline::walk::Errand;
use crate::reply::{
    GatewayBody, Listener, ReplyHeaders, X_LITELLM_CACHE_KEY, X_TOLLGATE_CACHE, X_TOLLGATE_CACHE_AGE,
    header_number, header_text,
};
use crate::routing::Group;
use crate::target::Target;
use bytes::BytesMut;
use http::header::HeaderValue;
use http::{Response, StatusCode};
use std::sync::Arc;
use tokio::time::timeout_at;
use tollgate_cache::{Entry, Joined, Key, Lead};
use tollgate_catalog::{Bill, PicoDollars};

/// How often a request waits for others before it asks for itself: each time the one that it waited for had no answer that
/// others could have.
const WAITS_MAX: u32 = 2;

/// What came of the look.
pub(crate) enum Recalled {
    /// The reply.
    Hit(Box<Response<GatewayBody>>),
    /// It is to be asked for; and, where it is one for the cache, what is to be kept of the answer.
    Miss(Option<Box<Memo>>),
}

/// A request that is one for the cache.
struct Look<'a> {
    errand: Errand<'a>,
    answers: &'a Arc<Answers>,
    group: &'a Arc<Group>,
    controls: Controls,
    key: Key,
}

/// Looks for the answer of a request that was let in.
///
/// # Errors
/// Where its key does not have the controls that it uses, or its caller's budgets do not reach to a share of the cost.
pub(crate) async fn recall(errand: Errand<'_>, group: &Arc<Group>) -> Result<Recalled, Rejection> {
    let Errand { snapshot, call, received, .. } = errand;
    Controls::demand(&call.caller, &received.object)?;
    let Some(answers) = snapshot.answers() else { return Ok(Recalled::Miss(None)) };
    let own = received.overrides.cache.as_deref().cloned().unwrap_or_default();
    let controls = own.or_of(call.caller.holder());
    if eligible::check(&answers.rules, (call.surface, group.name()), received, &controls).is_err() {
        return Ok(Recalled::Miss(None));
    }
    let asked =
        key::Asked { surface: call.surface, caller: &call.caller, received, group, controls: &controls };
    let key = key::of(&answers.maker, &answers.rules, &asked);
    // Boxed: its state would be part of every request's.
    Box::pin(Look { errand, answers, group, controls, key }.look()).await
}

impl Look<'_> {
    async fn look(self) -> Result<Recalled, Rejection> {
        if self.controls.no_cache {
            return Ok(self.miss(None));
        }
        if let Some(hit) = self.kept().await? {
            return Ok(hit);
        }
        if self.controls.no_store || !self.answers.rules.single_flight {
            if let Some(hit) = self.fetched(None).await? {
                return Ok(hit);
            }
            return Ok(self.miss(None));
        }
        for _ in 0..WAITS_MAX {
            match self.answers.flights.join(self.key) {
                Joined::Leads(lead) => {
                    // It may have come between the look and the lead.
                    if let Some(hit) = self.kept().await? {
                        return Ok(hit);
                    }
                    if let Some(hit) = self.fetched(Some(&lead)).await? {
                        return Ok(hit);
                    }
                    return Ok(self.miss(Some(lead)));
                }
                Joined::Follows(mut follower) => {
                    let deadline = self.errand.snapshot.deadline(&self.errand.received.overrides);
                    while let Ok(Some(news)) = timeout_at(deadline, follower.next()).await {
                        match news {
                            News::Kept(entry) if self.is_fresh(&entry) => {
                                if let Some(hit) = self.hit(&entry).await? {
                                    return Ok(hit);
                                }
                            }
                            News::Streams(stream) if self.may_read_along() => {
                                if let Some(hit) =
                                    stream.upgrade().and_then(|stream| self.read_along(&stream))
                                {
                                    return Ok(hit);
                                }
                            }
                            News::Nothing => return Ok(self.miss(None)),
                            News::Kept(_) | News::Streams(_) => {}
                        }
                    }
                }
            }
        }
        Ok(self.miss(None))
    }

    /// Microseconds since 1970.
    fn now(&self) -> i64 {
        self.errand.worker.gateway.ledger().clock().wall().micros()
    }

    async fn kept(&self) -> Result<Option<Recalled>, Rejection> {
        let entry = self.answers.memory.get(&self.key, self.now());
        match entry.filter(|entry| self.is_fresh(entry)) {
            Some(entry) => self.hit(&entry).await,
            None => Ok(None),
        }
    }

    /// What is kept outside of this process: whoever leads asks there for all who follow.
    async fn fetched(&self, lead: Option<&Lead<News>>) -> Result<Option<Recalled>, Rejection> {
        let Some(entry) = self.answers.fetch(self.key, self.now()).await else { return Ok(None) };
        if let Some(lead) = lead {
            lead.tell(News::Kept(Arc::clone(&entry)));
        }
        match self.is_fresh(&entry) {
            true => self.hit(&entry).await,
            false => Ok(None),
        }
    }

    /// Whether it is as young as the request wants it.
    fn is_fresh(&self, entry: &Entry) -> bool {
        let age = self.now().saturating_sub(entry.stored_at);
        let most = self.controls.max_age.map(|most| i64::try_from(most.as_micros()).unwrap_or(i64::MAX));
        most.is_none_or(|most| age <= most)
    }

    /// It is to be asked for.
    fn miss(self, lead: Option<Lead<News>>) -> Recalled {
        let Errand { worker, call, received, .. } = self.errand;
        worker.gateway.metrics().cache.missed(self.group.label());
        let is_kept = !self.controls.no_store;
        let memo = is_kept.then(|| {
            Box::new(Memo {
                answers: Arc::clone(self.answers),
                key: self.key,
                surface: call.surface,
                ttl: self.controls.ttl.unwrap_or(self.answers.rules.ttl),
                lead,
                tells_usage: received.asks_usage,
                // Google's list of pieces is no stream of events; it is not kept.
                frames: (received.stream && !received.as_array).then(BytesMut::new),
            })
        });
        Recalled::Miss(memo)
    }

    /// The deployment that gave an answer, which is one of the group's.
    fn target(&self, entry: &Entry) -> Option<&Arc<Target>> {
        self.group.targets().iter().find(|target| *target.id == *entry.deployment)
    }

    /// The reply of what is kept; `None` where it cannot be said as it is asked for.
    async fn hit(&self, entry: &Entry) -> Result<Option<Recalled>, Rejection> {
        let Errand { worker, snapshot, call, .. } = self.errand;
        if *entry.kind != *call.surface.path() {
            return Ok(None);
        }
        let (Some(facts), Some(target)) = (AnswerFacts::of_text(&entry.facts), self.target(entry)) else {
            return Ok(None);
        };
        let Some(body) = replay::body(self.errand, entry, &facts.usage) else { return Ok(None) };
        let charge = share(facts.cost, self.answers.rules.hit_cost_millionths);
        if let Some(toll) = call.toll.get() {
            let rules = snapshot.toll_rules();
            let hit = toll.hit(rules, target, charge).await;
            let hit = hit.map_err(|refused| toll.reject(&refused, rules, &call.caller))?;
            hit.settle(&facts.usage, charge, self.key.to_hex());
        }
        let saved = facts.cost.map(|cost| cost.saturating_sub(charge));
        worker.gateway.metrics().cache.hit(self.group.label(), facts.usage.total_tokens(), saved);
        worker.gateway.metrics().answered(&target.metrics, call.surface);
        let mut headers = self.headers(target, entry.age_seconds(self.now()));
        headers.bill(Some(&Bill { total: charge, ..Bill::default() })).toll(call.toll.get());
        Ok(Some(self.reply(headers, GatewayBody::whole(body))))
    }

    /// Whether another's stream can be read along as it comes: where what it costs is not to be known before.
    fn may_read_along(&self) -> bool {
        let received = self.errand.received;
        received.stream && !received.as_array && self.answers.rules.hit_cost_millionths == 0
    }

    /// The reply that is another's stream, from its beginning.
    fn read_along(&self, stream: &Arc<crate::reply::SharedStream>) -> Option<Recalled> {
        let Errand { worker, snapshot, call, received } = self.errand;
        let listener = Listener::join(stream, received.asks_usage)?;
        let target = Arc::clone(listener.target());
        let hit = call.toll.get().and_then(|toll| toll.free_hit(snapshot.toll_rules(), &target));
        let listener = listener.with_hit(hit.map(|hit| (hit, self.key.to_hex())));
        worker.gateway.metrics().cache.hit(self.group.label(), 0, None);
        worker.gateway.metrics().answered(&target.metrics, call.surface);
        let mut headers = self.headers(&target, 0);
        headers.toll(call.toll.get());
        Some(self.reply(headers, GatewayBody::listen(listener)))
    }

    fn headers(&self, target: &Target, age: u64) -> ReplyHeaders {
        let Errand { call, received, .. } = self.errand;
        let mut headers = match received.stream {
            true => ReplyHeaders::stream(&target.reply_headers, &call.id),
            false => ReplyHeaders::plain(&target.reply_headers, &call.id),
        };
        let total = call.started.elapsed();
        headers.not_yet_active(&received.overrides.not_yet_active).durations(total, total);
        headers.add(X_LITELLM_CACHE_KEY, header_text(&self.key.to_hex()));
        headers.add(X_TOLLGATE_CACHE, HeaderValue::from_static("exact"));
        headers.add(X_TOLLGATE_CACHE_AGE, header_number(age));
        headers
    }

    fn reply(&self, headers: ReplyHeaders, body: GatewayBody) -> Recalled {
        let mut map = headers.into_map();
        content_type(&mut map, self.errand.call.surface, self.errand.received);
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::OK;
        *response.headers_mut() = map;
        Recalled::Hit(Box::new(response))
    }
}

/// So many millionths of what an answer has cost, rounded up: a share that is not nothing is never free.
fn share(cost: Option<PicoDollars>, millionths: u32) -> PicoDollars {
    let cost = cost.unwrap_or(PicoDollars::ZERO).0;
    PicoDollars(cost.saturating_mul(i128::from(millionths)).saturating_add(999_999) / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_exact_and_rounded_up() {
        let check = |cost: i128, millionths: u32, expect: i128| {
            assert_eq!(share(Some(PicoDollars(cost)), millionths), PicoDollars(expect));
        };
        check(1_000_000, 0, 0);
        check(1_000_000, 125_000, 125_000);
        check(1, 1, 1);
        check(0, 1_000_000, 0);
        check(7, 1_000_000, 7);
        assert_eq!(share(None, 500_000), PicoDollars::ZERO);
    }
}
