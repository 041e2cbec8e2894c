//! `POST /route/explain`, and the dry run of a model call: where a request would go, and why.
//!
//! Owns the shape of the answer and of the question. Leaves the decisions to the code that serves, gone through without
//! sending (`routing::rehearse`). **Invariant:** nothing is sent, reserved or learned, and no credential is shown.

use crate::auth::Caller;
use crate::error::Rejection;
use crate::pipeline::receive::{self, Received};
use crate::pipeline::thread::Thread;
use crate::pipeline::walk::{Errand, limits_of};
use crate::pipeline::{Call, json_response};
use crate::reply::GatewayBody;
use crate::routes::{Found, PathModel};
use crate::routing::{Asking, Group, HedgeDelay, RehearsedLeg, candidates, rehearse, seconds};
use crate::snapshot::Snapshot;
use crate::surface::Surface;
use crate::worker::Worker;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Response};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tokio::time::Instant;
use tollgate_dialect::json::{Limits, scan};
use tollgate_policy::ask::{Ask, Leaning, Requirements};
use tollgate_policy::choice::{Choice, Nobody};
use tollgate_policy::failure::FailureKind;
use tollgate_policy::plan::SENDS_PER_REQUEST_MAX;
use tollgate_store::Owner;

/// The path in errors.
const PATH: &str = "/route/explain";
/// Failures whose way through the groups may differ from that of a server error: name in the answer, kind.
const OTHER_WAYS: [(&str, FailureKind); 3] = [
    ("rate_limit", FailureKind::RateLimit),
    ("context_window", FailureKind::ContextWindow),
    ("content_policy", FailureKind::ContentPolicy),
];

/// What is to be explained.
struct Question {
    surface: Surface,
    model: PathModel,
    asks_events: bool,
    body: Bytes,
}

impl Question {
    /// `{"path": .., "request": {..}}`, or the body of a chat completion by itself.
    fn read(worker: &Worker, body: &Bytes) -> Result<Self, Rejection> {
        let object = scan(body, &Limits::REQUEST).map_err(|error| Rejection::bad_json(&error.to_string()))?;
        let Some(request) = object.get("request").filter(|value| !value.is_null()) else {
            let (surface, model) = (Surface::Chat, PathModel::default());
            return Ok(Self { surface, model, asks_events: false, body: body.clone() });
        };
        if request.as_object().is_none() {
            return Err(Rejection::invalid(PATH, "request", "expected an object"));
        }
        let body = Bytes::copy_from_slice(request.text().as_bytes());
        let path = match object.get("path") {
            Some(path) if !path.is_null() => path
                .as_str()
                .ok_or_else(|| Rejection::invalid(PATH, "path", "expected a string"))?
                .into_owned(),
            _ => Surface::Chat.path().to_owned(),
        };
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let routes = worker.gateway.routes();
        let of = |method: Method| match routes.find(&method, path) {
            Found::Served { route, model, .. } => route.surface().map(|surface| (surface, model)),
            _ => None,
        };
        let found = of(Method::POST).or_else(|| of(Method::GET));
        match found.filter(|(surface, _)| !matches!(surface, Surface::Passed(_))) {
            Some((surface, model)) => {
                let asks_events = query.split('&').any(|pair| pair == "alt=sse");
                Ok(Self { surface, model, asks_events, body })
            }
            None => Err(Rejection::invalid(PATH, "path", "no call of a model that is routed")),
        }
    }
}

/// Answers `POST /route/explain`.
pub(super) async fn explain(
    worker: &Worker,
    snapshot: &Snapshot,
    (caller, headers): (&Caller, &HeaderMap),
    body: &Bytes,
) -> Result<Value, Rejection> {
    let question = Question::read(worker, body)?;
    let surface = question.surface;
    let mut call = Call::new(surface, question.model, headers, tokio::time::Instant::now());
    call.caller = caller.clone();
    call.asks_events = question.asks_events;
    let call = &call;
    let mut received = receive::read(&question.body, call, headers)?;
    let asked = (!received.model_is_missing).then_some(received.model.as_str());
    let group = snapshot
        .group(worker.gateway.metrics(), &received.model)
        .ok_or_else(|| Rejection::unknown_model(surface.path(), asked))?;
    // What comes in a form cannot be in here.
    if !surface.takes_form() {
        receive::require_content(&received, surface)?;
    }
    let mut extended = Bytes::new();
    if surface == Surface::Responses {
        let owner = Owner::new(caller.owner());
        let thread = Thread::open(&worker.gateway, owner, &question.body, &received.object).await?;
        received.follow(&thread);
        extended = thread.extended.unwrap_or_default();
    }
    if !extended.is_empty() {
        received.extended = Some(Box::new(receive::read(&extended, call, headers)?));
    }
    Ok(told(Errand { worker, snapshot, call, received: &received }, &group).await)
}

/// Answers a model call that asks for a dry run (`x-tollgate-dry-run`).
pub(crate) async fn dry_run(errand: Errand<'_>, group: &Arc<Group>) -> Response<GatewayBody> {
    let mut response = json_response(told(errand, group).await.to_string());
    let name = HeaderName::from_static("x-litellm-call-id");
    response.headers_mut().insert(name, errand.call.id.clone());
    response
}

/// The strategy that decides about a request, by the name that the configuration has for it.
fn decided_by(group: &Group, ask: &Ask<'_>) -> &'static str {
    let rules = group.rules();
    let strategy = rules.strategy.for_ask(ask);
    if strategy == rules.strategy { rules.strategy_name } else { strategy.name() }
}

/// The whole answer.
async fn told(errand: Errand<'_>, group: &Arc<Group>) -> Value {
    let Errand { snapshot, received, call, .. } = errand;
    let asking = Asking::of(errand, group).await;
    let ways = Ways::of(errand, group, &asking);
    let ask = asking.ask(false);
    let first = ways.server_error.first();
    json!({
        "model": received.model,
        "group": group.name(),
        "path": call.surface.path(),
        "stream": received.stream,
        "strategy": group.rules().strategy_name,
        "decided_by": decided_by(group, &ask),
        "tags": ask.tags,
        "requirements": requirements(ask.requirements),
        "leaning": match ask.leaning {
            Leaning::None => None,
            Leaning::Latency => Some("latency"),
            Leaning::Cost => Some("cost"),
        },
        "held_by": asking.affinity(),
        "priority": errand.urgency().priority,
        "prompt": {
            "tokens": ask.prompt_tokens,
            "is_counted": ask.is_counted,
            "output_tokens": ask.output_tokens,
            "reserved_tokens": asking.tokens(),
        },
        "candidates": first.map(table).unwrap_or_default(),
        "choice": first.map(|leg| choice(errand, leg)),
        "plan": ways.plan(errand),
        "legs": ways.legs(errand),
        "tiers": tiers(&ways.server_error),
        "retries": retries(snapshot, group, received),
        "timeouts": {
            "total_seconds": seconds(snapshot.whole_time(&received.overrides)),
        },
        "waiting": {
            "is_enabled": group.rules().waiting.is_enabled,
            "longest_seconds": seconds(group.rules().waiting.longest),
        },
        "hedge": hedge(snapshot.retry_rules(group, received).num_retries, group),
    })
}

/// The way of the request by what goes wrong.
struct Ways {
    server_error: Vec<RehearsedLeg>,
    /// Those that lead through other groups.
    others: Vec<(&'static str, Vec<RehearsedLeg>)>,
}

impl Ways {
    fn of(errand: Errand<'_>, group: &Arc<Group>, asking: &Asking) -> Self {
        let server_error = rehearse(errand, group, asking, FailureKind::Server);
        let others = OTHER_WAYS.into_iter().filter_map(|(name, kind)| {
            let way = rehearse(errand, group, asking, kind);
            (names(&way) != names(&server_error)).then_some((name, way))
        });
        let others = others.collect();
        Self { server_error, others }
    }

    /// The sends, one after the other, if each ended in a server error.
    fn plan(&self, errand: Errand<'_>) -> Vec<Value> {
        let mut plan = Vec::new();
        for (number, leg) in self.server_error.iter().enumerate() {
            let Some((group, _)) = &leg.group else {
                if leg.is_answered {
                    plan.push(json!({"leg": number, "canned": true}));
                }
                continue;
            };
            for step in &leg.steps {
                let Some(target) = group.targets().get(step.position) else { continue };
                let limits = limits_of(errand.snapshot, errand.received, (target, &leg.leg), Instant::now());
                plan.push(json!({
                    "leg": number,
                    "model_id": target.id,
                    "provider": target.provider.name,
                    "model": target.model,
                    "why": step.why.word(),
                    "wait_seconds": seconds(step.wait),
                    "timeouts": {
                        "connect_seconds": seconds(limits.connect),
                        "attempt_seconds": seconds(limits.attempt),
                        "chunk_seconds": limits.stream.then(|| seconds(limits.idle)),
                    },
                }));
            }
        }
        plan
    }

    /// The groups by what goes wrong; kinds that lead the same way as server errors are left out.
    fn legs(&self, errand: Errand<'_>) -> Value {
        let mut ways = Map::new();
        let full = |(number, leg): (usize, &RehearsedLeg)| {
            let mut row = outline(leg);
            // The first one's table is the answer's own.
            if let Some(row) = row.as_object_mut().filter(|_| number > 0 && leg.group.is_some()) {
                row.insert("choice".to_owned(), choice(errand, leg));
                row.insert("candidates".to_owned(), Value::Array(table(leg)));
            }
            row
        };
        let server_error = self.server_error.iter().enumerate().map(full).collect();
        ways.insert("server_error".to_owned(), Value::Array(server_error));
        for (name, way) in &self.others {
            ways.insert((*name).to_owned(), way.iter().map(outline).collect());
        }
        Value::Object(ways)
    }
}

/// Which groups a way leads through.
fn names(way: &[RehearsedLeg]) -> Vec<(Option<&str>, &'static str)> {
    way.iter().map(|leg| (leg.leg.group.as_deref(), leg.leg.source)).collect()
}

fn outline(told: &RehearsedLeg) -> Value {
    let leg = &told.leg;
    json!({
        "group": leg.group,
        "source": leg.source,
        "tier": leg.tier.as_ref().and_then(|tier| tier.to_str().ok()),
        "first_token_seconds": leg.first_token.map(seconds),
        "changes_request": leg.changes_request(),
        "is_canned": leg.canned.is_some(),
        "is_answered": told.is_answered,
        "mocked": told.mocked.map(FailureKind::word),
    })
}

fn table(leg: &RehearsedLeg) -> Vec<Value> {
    let table = |(group, explained)| candidates(group, explained, leg.asking.ask(false).requirements);
    leg.group.as_ref().map(|(group, explained)| table((group, explained))).unwrap_or_default()
}

/// What came of the choice, and what becomes of the request where it is nobody.
fn choice(errand: Errand<'_>, leg: &RehearsedLeg) -> Value {
    let Some((group, explained)) = &leg.group else { return Value::Null };
    // A group that is passed by has a least bad deployment, and it is not asked.
    if let Some(nobody) = leg.nobody {
        return nobody_json(errand, group, nobody);
    }
    match explained.table.choice {
        Choice::Deployment { position, why } => {
            let id = group.targets().get(position).map(|target| target.id.as_str());
            json!({"model_id": id, "why": why.word()})
        }
        Choice::None(nobody) => nobody_json(errand, group, nobody),
    }
}

fn nobody_json(errand: Errand<'_>, group: &Group, nobody: Nobody) -> Value {
    let now = group.clock().now();
    let until = nobody.until().map(|until| seconds(now.until(until)));
    let rejection = Rejection::nobody(group, nobody, (now, false)).spoken_on(Some(errand.call.surface));
    json!({
        "model_id": null,
        "nobody": nobody.word(),
        "seconds": until,
        "status": rejection.status().as_u16(),
        "message": rejection.message(),
    })
}

/// The names of the tiers that the request passes, in their order.
fn tiers(way: &[RehearsedLeg]) -> Vec<&str> {
    way.iter().filter_map(|leg| leg.leg.tier.as_ref()?.to_str().ok()).collect()
}

fn requirements(required: &Requirements) -> Value {
    json!({
        "region": required.region,
        "data_residency": required.data_residency,
        "zero_data_retention": required.zero_data_retention,
        "capabilities": required.capabilities,
        "min_quality": required.min_quality,
        "is_contradictory": required.is_contradictory,
    })
}

fn retries(snapshot: &Snapshot, group: &Group, received: &Received<'_>) -> Value {
    let rules = snapshot.retry_rules(group, received);
    json!({
        "num_retries": rules.num_retries,
        "wait_min_seconds": seconds(rules.wait_min),
        "sends_max": SENDS_PER_REQUEST_MAX,
        "budget_left": group.retries_left(),
    })
}

/// A hedge is one of the retries, so without any there is none.
fn hedge(num_retries: u32, group: &Group) -> Value {
    let hedging = group.rules().hedging.filter(|hedging| hedging.max > 0 && num_retries > 0);
    let Some(hedging) = hedging else { return Value::Null };
    let after = match hedging.after {
        HedgeDelay::Fixed(delay) => Some(delay),
        HedgeDelay::Quantile(quantile) => group.first_token_quantile(quantile),
    };
    json!({"after_seconds": after.map(seconds), "max": hedging.max})
}
