//! LiteLLM's admin API: who asks, what for, and how the answer is written.
//!
//! Each area has a module with the rows of its routes; a row's right stands in `tollgate_identity::access`, and without
//! one it cannot be built. Leaves forms, replies and rights to `tollgate_identity`, and keeping things to the ledger.
//!
//! **Invariant:** nothing here is reached without the right of its route. **Invariant:** every change is audited in the
//! transaction that makes it.

mod access_groups;
mod activity;
mod activity_sums;
mod addresses;
mod audit;
mod budgets;
mod cache;
mod callbacks;
mod change;
mod config;
mod credentials;
mod customers;
mod desk;
mod global;
mod invitations;
mod key_mappings;
mod keys;
mod management;
mod members;
mod models;
mod notices;
mod organizations;
mod origin;
mod paging;
mod problem;
mod projection;
mod projects;
mod query;
mod reports;
mod repricing;
mod resealing;
mod rotation;
mod router;
mod sealing;
mod seats;
mod settings;
mod sight;
mod span;
mod spend;
mod spend_row;
mod spent;
mod tags;
mod teams;
mod users;

pub(crate) use change::{Author, Change};
pub(crate) use desk::{DEFAULT_USER, Desk, fresh_id, random_bits};
pub(crate) use problem::Problem;
pub(crate) use rotation::rotate_due;

use crate::auth::{Caller, Visit};
use crate::error::Rejection;
use crate::pipeline::{json_response, receive};
use crate::reply::GatewayBody;
use crate::snapshot::Snapshot;
use crate::worker::Worker;
use bytes::Bytes;
use desk::Asker;
use futures_util::future::BoxFuture;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use matchit::Router;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::net::IpAddr;
use tollgate_identity::access::{RouteRow, right_of};
use tollgate_identity::role::{Actor, Call};

/// What an answer is: a JSON value, or words of why not.
pub(crate) type Outcome = Result<Value, Problem>;
/// What serves a route.
#[derive(Clone, Copy)]
enum Handler {
    /// Out of memory, at once.
    Looks(fn(&Desk<'_>) -> Outcome),
    /// With the books.
    Asks(for<'a> fn(&'a Desk<'a>) -> BoxFuture<'a, Outcome>),
}

/// One route that is served here.
pub(crate) struct Served {
    method: &'static str,
    path: &'static str,
    handler: Handler,
    /// The status of its answer; 204 is without a body.
    status: StatusCode,
    /// One line for the OpenAPI description.
    pub(crate) summary: &'static str,
}

/// A row of an area's table, of a route that needs memory alone.
pub(crate) const fn looks(
    method: &'static str,
    path: &'static str,
    handler: fn(&Desk<'_>) -> Outcome,
    summary: &'static str,
) -> Served {
    Served { method, path, handler: Handler::Looks(handler), status: StatusCode::OK, summary }
}

/// A row of an area's table, of a route that needs the books.
pub(crate) const fn asks(
    method: &'static str,
    path: &'static str,
    handler: for<'a> fn(&'a Desk<'a>) -> BoxFuture<'a, Outcome>,
    summary: &'static str,
) -> Served {
    Served { method, path, handler: Handler::Asks(handler), status: StatusCode::OK, summary }
}

/// Every area's rows.
const AREAS: &[&[Served]] = &[
    keys::ROUTES,
    teams::ROUTES,
    members::ROUTES,
    users::ROUTES,
    invitations::ROUTES,
    key_mappings::ROUTES,
    customers::ROUTES,
    budgets::ROUTES,
    tags::ROUTES,
    organizations::ROUTES,
    projects::ROUTES,
    access_groups::ROUTES,
    spend::ROUTES,
    global::ROUTES,
    activity::ROUTES,
    reports::ROUTES,
    audit::ROUTES,
    projection::ROUTES,
    models::ROUTES,
    credentials::ROUTES,
    repricing::ROUTES,
    config::ROUTES,
    router::ROUTES,
    addresses::ROUTES,
    callbacks::ROUTES,
    cache::ROUTES,
    resealing::ROUTES,
    management::ROUTES,
];

/// A route that was found.
#[derive(Clone)]
pub struct Found {
    served: &'static Served,
    row: &'static RouteRow,
    params: Vec<(String, String)>,
}

impl std::fmt::Debug for Found {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {}", self.served.method, self.served.path)
    }
}

impl PartialEq for Found {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.served, other.served) && self.params == other.params
    }
}

impl Eq for Found {}

/// The routes of the admin API.
pub(crate) struct AdminRoutes {
    paths: Router<Vec<(&'static Served, &'static RouteRow)>>,
}

/// Where a path leads.
pub(crate) enum Leads {
    /// To this route.
    To(Found),
    /// There are other methods.
    OtherMethods(Vec<Method>),
    /// Nowhere.
    Nowhere,
}

impl AdminRoutes {
    /// Builds the router.
    ///
    /// # Errors
    /// Names the route that has no right, or contradicts another.
    pub(crate) fn new() -> Result<Self, String> {
        let mut rows: HashMap<&'static str, Vec<(&'static Served, &'static RouteRow)>> = HashMap::new();
        for served in AREAS.iter().copied().flatten() {
            let row = right_of(served.method, served.path)
                .ok_or_else(|| format!("{} {} has no right", served.method, served.path))?;
            rows.entry(served.path).or_default().push((served, row));
        }
        let mut paths = Router::new();
        for (path, rows) in rows {
            paths.insert(path, rows).map_err(|error| format!("{path}: {error}"))?;
        }
        Ok(Self { paths })
    }

    /// Where a request leads.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Leads {
        let Ok(matched) = self.paths.at(path) else { return Leads::Nowhere };
        let Some((served, row)) = matched.value.iter().find(|(served, _)| served.method == method.as_str())
        else {
            let methods = matched.value.iter().filter_map(|(served, _)| served.method.parse().ok());
            return Leads::OtherMethods(methods.collect());
        };
        let mut params = Vec::new();
        for (name, value) in matched.params.iter() {
            let Some(value) = crate::percent::decode(value) else { return Leads::Nowhere };
            params.push((name.to_owned(), value));
        }
        Leads::To(Found { served, row, params })
    }
}

/// Every route that is served, for the OpenAPI description.
pub(crate) fn served() -> impl Iterator<Item = &'static Served> {
    AREAS.iter().copied().flatten()
}

impl Served {
    /// The same with another status than 200.
    const fn answers(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// Its method and path.
    pub(crate) fn address(&self) -> (&'static str, &'static str) {
        (self.method, self.path)
    }
}

/// Answers a request of the admin API.
pub(crate) async fn answer(
    worker: &Worker,
    snapshot: &Snapshot,
    found: Found,
    (request, peer): (Request<Incoming>, Option<IpAddr>),
) -> Result<Response<GatewayBody>, Rejection> {
    let (head, body) = request.into_parts();
    let ledger = worker.gateway.ledger();
    let path = head.uri.path();
    let visit = Visit { headers: &head.headers, in_query: None, path, pattern: Some(found.row.path), peer };
    if snapshot.master_digest().is_none()
        && let Err(rejection) = origin::check(&head.headers)
    {
        return Err(receive::refuse_unread(rejection, body).await);
    }
    let (caller, actor) = match let_in(worker, snapshot, &visit, found.row).await {
        Ok(asker) => asker,
        Err(rejection) => return Err(receive::refuse_unread(rejection, body).await),
    };
    let body = receive::read_body(&head.headers, body, snapshot.receive_limits()).await?;
    if !body.is_empty() {
        origin::check_kind(&head.headers)?;
    }
    let members = members(&body)?;
    ledger.look_up().await.map_err(|_| Problem::Unavailable.into_rejection())?;
    let from = visit.address(&snapshot.config().tollgate.trusted_proxies);
    let asker = Asker { worker, snapshot, caller, actor, row: found.row, from };
    let desk = Desk::open(asker, (found.params, members), &head);
    let outcome = match found.served.handler {
        Handler::Looks(look) => look(&desk),
        Handler::Asks(ask) => ask(&desk).await,
    };
    let value = outcome.map_err(Problem::into_rejection)?;
    let text = if found.served.status == StatusCode::NO_CONTENT { String::new() } else { value.to_string() };
    let mut response = json_response(text);
    *response.status_mut() = found.served.status;
    Ok(response)
}

/// Who asks, where it may ask for this.
async fn let_in(
    worker: &Worker,
    snapshot: &Snapshot,
    visit: &Visit<'_>,
    row: &RouteRow,
) -> Result<(Caller, Actor), Rejection> {
    let caller = snapshot.identify(worker, visit).await?;
    let actor = caller.actor(&worker.gateway.ledger().directory());
    let call = Call { pattern: row.path, path: visit.path, groups: row.groups };
    row.right.verdict(&actor, &call).map_err(|denied| Rejection::denied(&denied))?;
    Ok((caller, actor))
}

/// The members of a JSON body; none of an empty one.
fn members(body: &Bytes) -> Result<Map<String, Value>, Rejection> {
    use tollgate_dialect::json::{Limits, scan};
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    // The strict scan first: no name twice, no depth without end.
    scan(body, &Limits::REQUEST).map_err(|error| Rejection::bad_json(&error.to_string()))?;
    serde_json::from_slice(body).map_err(|_| Rejection::bad_json("it is no object"))
}
