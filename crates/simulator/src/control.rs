//! The simulator's own routes, for tests and people that do not share its process.
//!
//! Owns: `/sim/received`, `/sim/rules`, `/sim/stats`, `/sim/redirected`. Leaves to others: what a rule does (`script`).
//!
//! **Invariant:** no route of a provider begins like these, and nothing that comes here is recorded, apart from a
//! number of followed redirects.

use crate::behaviour::{Answer, ToolCall};
use crate::body::PacedBody;
use crate::clouds::Clouds;
use crate::names::read_spelling;
use crate::script::Rule;
use crate::server::Shared;
use crate::surface::Surface;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What the paths of these routes begin with.
pub(crate) const PREFIX: &str = "/sim/";

/// Answers a request to the simulator itself.
pub(crate) fn answer(shared: &Shared, head: &Parts, body: &Bytes) -> Response<PacedBody> {
    let path = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    match (head.method.clone(), path) {
        (Method::GET, "received") => {
            let lines: String =
                shared.recorder.snapshot().iter().map(|received| received.to_json_line() + "\n").collect();
            respond(StatusCode::OK, "application/jsonl", lines)
        }
        (Method::DELETE, "received") => {
            shared.recorder.clear();
            respond(StatusCode::NO_CONTENT, "text/plain", String::new())
        }
        (Method::GET, "stats") => respond_json(StatusCode::OK, &stats(shared)),
        (Method::PUT, "rules") => match read_rules(body) {
            Ok(rules) => {
                shared.script.set_rules(rules);
                respond(StatusCode::NO_CONTENT, "text/plain", String::new())
            }
            Err(reason) => respond_json(StatusCode::BAD_REQUEST, &json!({ "error": reason })),
        },
        (Method::PUT, "clouds") => match read_clouds(body) {
            Ok(clouds) => {
                shared.script.set_clouds(clouds);
                respond(StatusCode::NO_CONTENT, "text/plain", String::new())
            }
            Err(reason) => respond_json(StatusCode::BAD_REQUEST, &json!({ "error": reason })),
        },
        (Method::DELETE, "rules") => {
            shared.script.clear();
            respond(StatusCode::NO_CONTENT, "text/plain", String::new())
        }
        (_, "redirected") => {
            shared.redirected.fetch_add(1, Ordering::AcqRel);
            respond_json(StatusCode::OK, &json!({"redirected": true}))
        }
        _ => respond_json(StatusCode::NOT_FOUND, &json!({"error": "received, rules and stats are here"})),
    }
}

fn stats(shared: &Shared) -> Value {
    json!({
        "open_connections": shared.open_connections.load(Ordering::Acquire),
        "active_requests": shared.active.now(),
        "most_active_requests": shared.active.most(),
        "connections": shared.connections.load(Ordering::Acquire),
        "redirected": shared.redirected.load(Ordering::Acquire),
        "rules_used": shared.script.used(),
    })
}

/// Reads `{"aws_seconds": 60, "google_seconds": 60}`; what is absent is as at the start.
fn read_clouds(body: &Bytes) -> Result<Clouds, String> {
    let settings: Value =
        serde_json::from_slice(body).map_err(|error| format!("an object is wanted: {error}"))?;
    let mut clouds = Clouds::default();
    for (name, value) in settings.as_object().ok_or("an object is wanted")? {
        let seconds =
            value.as_u64().map(Duration::from_secs).ok_or(format!("`{name}` is to be a whole number"))?;
        match name.as_str() {
            "aws_seconds" => clouds.aws_lifetime = Some(seconds),
            "google_seconds" => clouds.google_lifetime = seconds,
            _ => return Err(format!("`{name}` is not known; aws_seconds, google_seconds are")),
        }
    }
    Ok(clouds)
}

/// Reads `[{"model": "gpt-*", "deployment": "west", "surface": "openai", "times": 2, "behave": "error-500"}]`; in place
/// of or beside `behave`, `text` is the answer, or `calls` are: `[{"name": "read", "arguments": {"path": "a"}}]`.
fn read_rules(body: &Bytes) -> Result<Vec<Rule>, String> {
    let rules: Vec<Value> =
        serde_json::from_slice(body).map_err(|error| format!("a list of rules is wanted: {error}"))?;
    rules
        .iter()
        .enumerate()
        .map(|(index, rule)| read_rule(rule).map_err(|why| format!("rule {index}: {why}")))
        .collect()
}

fn read_rule(rule: &Value) -> Result<Rule, String> {
    let fields = rule.as_object().ok_or("an object is wanted")?;
    let mut read = Rule::default();
    for (name, value) in fields {
        let text = || value.as_str().map(str::to_owned).ok_or(format!("`{name}` is to be a string"));
        match name.as_str() {
            "model" => read.model = Some(text()?),
            "deployment" => read.deployment = Some(text()?),
            "surface" => {
                let text = text()?;
                read.surface = Some(Surface::of_name(&text).ok_or(format!("no surface is named `{text}`"))?);
            }
            "times" => read.times = Some(value.as_u64().ok_or("`times` is to be a whole number")?),
            "share" => read.share = Some(value.as_f64().ok_or("`share` is to be a number")?),
            "behave" => {
                let spelt = read_spelling(&text()?).map_err(|error| error.to_string())?;
                let answer = std::mem::take(&mut read.behaviour.answer);
                read.behaviour = spelt.behaviour;
                if answer != Answer::Natural {
                    read.behaviour.answer = answer;
                }
                read.times = read.times.or(spelt.times);
            }
            "text" => read.behaviour.answer = Answer::Text(text()?),
            "calls" => read.behaviour.answer = Answer::Calls(read_calls(value)?),
            _ => {
                let known = "model, deployment, surface, times, behave, text, calls";
                return Err(format!("`{name}` is not known; {known} are"));
            }
        }
    }
    Ok(read)
}

fn read_calls(calls: &Value) -> Result<Vec<ToolCall>, String> {
    let wanted = "`calls` is to be a list of objects with a `name` and `arguments`";
    let read = |call: &Value| {
        let name = call.get("name")?.as_str()?.to_owned();
        let arguments = call.get("arguments").filter(|arguments| arguments.is_object())?.clone();
        Some(ToolCall { name, arguments })
    };
    calls.as_array().and_then(|calls| calls.iter().map(read).collect()).ok_or_else(|| wanted.to_owned())
}

fn respond_json(status: StatusCode, body: &Value) -> Response<PacedBody> {
    respond(status, "application/json", body.to_string())
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response<PacedBody> {
    let mut response = Response::new(PacedBody::at_once(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behaviour::Behaviour;
    use crate::fault::Fault;

    #[test]
    fn rules_are_read_from_json() {
        let body = br#"[{"model":"gpt-*","surface":"azure","behave":"error-500+times-2"},{"deployment":"west","times":1,"share":0.5}]"#;
        let rules = read_rules(&Bytes::from_static(body)).unwrap();
        let first =
            Rule::model("gpt-*", Behaviour::new().fault(Fault::status(500))).on(Surface::Azure).times(2);
        assert_eq!(rules, [first, Rule::deployment("west", Behaviour::new()).times(1).share(0.5)]);
    }

    #[test]
    fn a_rule_may_give_the_answer_in_words_or_calls() {
        let body = br#"[{"model":"m","times":1,"calls":[{"name":"look","arguments":{"at":"a"}}]},{"text":"seen","behave":"pace-1ms"}]"#;
        let rules = read_rules(&Bytes::from_static(body)).unwrap();
        let calls = vec![ToolCall { name: "look".to_owned(), arguments: json!({"at": "a"}) }];
        let first = Rule::model("m", Behaviour::new().answer(Answer::Calls(calls))).times(1);
        let second = Rule::any(Behaviour::new().pace(Duration::from_millis(1)).text("seen"));
        assert_eq!(rules, [first, second]);
    }

    #[test]
    fn a_wrong_rule_is_named_by_its_place() {
        for (body, reason) in [
            ("{}", "a list of rules is wanted"),
            (r#"[{}, {"modle": "x"}]"#, "rule 1: `modle` is not known"),
            (r#"[{"behave": "eror-500"}]"#, "rule 0: `eror-500`"),
            (r#"[{"calls": [{"name": "look"}]}]"#, "rule 0: `calls` is to be a list"),
            (r#"[{"surface": "rockbed"}]"#, "no surface is named `rockbed`"),
        ] {
            let error = read_rules(&Bytes::from(body)).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
