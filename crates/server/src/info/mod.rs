//! What the gateway says about itself and its models: every route that calls no model for the caller.

mod capabilities;
mod health;
pub(crate) mod models;
mod openapi;
mod route;
mod stored;

use crate::auth::Caller;
use crate::error::Rejection;
use crate::pipeline::{json_response, preview, receive};
use crate::reply::{GatewayBody, header_text};
use crate::routes::Route;
use crate::snapshot::Snapshot;
use crate::toll::ledger_gauges;
use crate::worker::Worker;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tollgate_store::Owner;

pub(crate) use route::dry_run;

/// What is asked for, and by whom.
pub(crate) struct Asked<'a> {
    /// What serves it.
    pub(crate) route: Route,
    /// The name in the path.
    pub(crate) name: Option<&'a str>,
    /// Who asks.
    pub(crate) caller: &'a Caller,
}

/// Answers an authenticated request.
pub(crate) async fn answer<B>(
    worker: &Worker,
    snapshot: &Snapshot,
    asked: Asked<'_>,
    request: &Request<B>,
) -> Result<Response<GatewayBody>, Rejection> {
    let Asked { route, name: model, caller } = asked;
    let gateway = &worker.gateway;
    let owner = || Owner::new(caller.owner());
    let id = model.unwrap_or_default();
    let query = request.uri().query().unwrap_or_default();
    let shows: models::Shows<'_> = &|group: &str| snapshot.shown(caller, group, gateway.ledger());
    match route {
        Route::Models => {
            let form = models::Form::asked(request.uri().path(), request.headers());
            Ok(json_response(models::list(snapshot, form, shows).to_string()))
        }
        Route::Model => {
            let form = models::Form::asked(request.uri().path(), request.headers());
            let group = snapshot.meant(caller, id, gateway.ledger());
            group
                .and_then(|group| models::one(snapshot, gateway.metrics(), (id, &group, form)))
                .map(|model| json_response(model.to_string()))
                .ok_or_else(|| Rejection::no_such_model(id).spoken_on(form.voice()))
        }
        Route::ModelInfo => {
            let wanted = parameter(query, "litellm_model_id");
            Ok(json_response(models::info(snapshot, wanted.as_deref(), shows).to_string()))
        }
        Route::ModelGroupInfo => {
            let wanted = parameter(query, "model_group");
            Ok(json_response(models::groups(snapshot, wanted.as_deref(), shows).to_string()))
        }
        Route::Liveliness => Ok(json_response("\"I'm alive!\"")),
        Route::Readiness => Ok(health::readiness(worker)),
        Route::Health => {
            let wanted = parameter(query, "model");
            Ok(health::answers(worker, snapshot, (wanted.as_deref(), shows)).await)
        }
        Route::HealthDeployments => {
            let wanted = parameter(query, "model");
            Ok(json_response(health::deployments(worker, snapshot, wanted.as_deref()).to_string()))
        }
        Route::HealthOverrides => Ok(json_response(health::overrides(worker).to_string())),
        Route::Capabilities => {
            let wanted = parameter(query, "provider");
            Ok(json_response(capabilities::all(wanted.as_deref())?.to_string()))
        }
        Route::SupportedParams => {
            let wanted = parameter(query, "model");
            let listed = capabilities::supported(snapshot, gateway.metrics(), wanted.as_deref())?;
            Ok(json_response(listed.to_string()))
        }
        Route::Metrics => Ok(metrics(worker, snapshot)),
        Route::OpenApi => Ok(json_response(openapi::description().to_string())),
        Route::DocsPage => Ok(openapi::page()),
        Route::Response => stored::get(gateway, &owner(), id).await,
        Route::ResponseDelete => stored::delete(gateway, &owner(), id).await,
        Route::ResponseCancel => stored::cancel(gateway, &owner(), id).await,
        Route::ResponseInput => stored::input_items(gateway, &owner(), id, query).await,
        Route::RealtimeAside => Err(Rejection::realtime_over_http(request.uri().path())),
        Route::NotImplemented => Err(Rejection::not_implemented(request.uri().path())),
        _ => Err(Rejection::internal()),
    }
}

/// Whether a route is asked with a body.
pub(crate) fn takes_body(route: Route) -> bool {
    matches!(route, Route::TransformRequest | Route::RouteExplain | Route::HealthOverride)
}

/// Answers an authenticated request that has a body.
pub(crate) async fn answer_body(
    worker: &Worker,
    snapshot: &Snapshot,
    (route, caller): (Route, &Caller),
    request: Request<Incoming>,
) -> Result<Response<GatewayBody>, Rejection> {
    let (head, body) = request.into_parts();
    let body = receive::read_body(&head.headers, body, snapshot.receive_limits()).await?;
    let answer = match route {
        Route::TransformRequest => preview(worker, snapshot, &body)?,
        Route::RouteExplain => route::explain(worker, snapshot, (caller, &head.headers), &body).await?,
        Route::HealthOverride => health::set_override(worker, snapshot, &body).await?,
        _ => return Err(Rejection::internal()),
    };
    Ok(json_response(answer.to_string()))
}

fn metrics(worker: &Worker, snapshot: &Snapshot) -> Response<GatewayBody> {
    let gateway = &worker.gateway;
    let ledger = ledger_gauges(gateway.ledger());
    let text = gateway.metrics().text(health::gauges(worker, snapshot), &ledger);
    let mut response = Response::new(GatewayBody::whole(text));
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// The answer to a browser's question whether it may call (CORS preflight, as LiteLLM allows it).
pub(crate) fn preflight(asked: &HeaderMap) -> Response<GatewayBody> {
    let mut response = Response::new(GatewayBody::whole(""));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    let methods = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE, OPTIONS");
    headers.insert(HeaderName::from_static("access-control-allow-methods"), methods);
    let wanted = asked.get("access-control-request-headers").and_then(|value| value.to_str().ok());
    let allowed = header_text(wanted.unwrap_or("authorization, content-type"));
    headers.insert(HeaderName::from_static("access-control-allow-headers"), allowed);
    headers.insert(HeaderName::from_static("access-control-max-age"), HeaderValue::from_static("600"));
    response
}

/// One parameter of a query, percent-decoded.
fn parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key != name || value.is_empty() {
            return None;
        }
        crate::percent::decode(&value.replace('+', " "))
    })
}
