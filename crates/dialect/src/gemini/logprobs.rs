//! Log probabilities: Google's `logprobsResult` and OpenAI's `logprobs`.
//!
//! Owns both directions. Google keeps the chosen tokens and their rivals in two lists, OpenAI the rivals with each token.

use serde_json::{Map, Value, json};

/// Google's form as OpenAI's: the chosen token of each step, and beside it its rivals.
pub(super) fn read(result: &Value) -> Option<Value> {
    let chosen = result.get("chosenCandidates")?.as_array()?;
    let rivals = result.get("topCandidates").and_then(Value::as_array);
    let mut content = Vec::with_capacity(chosen.len());
    for (step, token) in chosen.iter().enumerate() {
        let rivals = rivals.and_then(|steps| steps.get(step)).and_then(|rivals| rivals.get("candidates"));
        let rivals = rivals.and_then(Value::as_array).into_iter().flatten();
        let mut entry = read_token(token);
        entry.insert(
            "top_logprobs".to_owned(),
            rivals.map(|rival| Value::Object(read_token(rival))).collect(),
        );
        content.push(Value::Object(entry));
    }
    Some(json!({ "content": content, "refusal": null }))
}

/// A certain token has the logarithm 0, which Google leaves out.
fn read_token(candidate: &Value) -> Map<String, Value> {
    let token = candidate.get("token").and_then(Value::as_str).unwrap_or_default();
    let logprob = candidate.get("logProbability").and_then(Value::as_f64).unwrap_or(0.0);
    let mut entry = Map::new();
    entry.insert("token".to_owned(), json!(token));
    entry.insert("logprob".to_owned(), json!(logprob));
    entry.insert("bytes".to_owned(), json!(token.as_bytes()));
    entry
}

/// OpenAI's form as Google's; `None` where it holds no token. The tokens of a refusal are those of the answer.
pub(super) fn write(logprobs: &Value) -> Option<Value> {
    let list = |name: &str| logprobs.get(name).and_then(Value::as_array).into_iter().flatten();
    let tokens: Vec<&Value> = list("content").chain(list("refusal")).collect();
    if tokens.is_empty() {
        return None;
    }
    let rivals = |token: &Value| {
        let rivals = token.get("top_logprobs").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        json!({ "candidates": rivals.iter().map(write_token).collect::<Vec<_>>() })
    };
    let chosen: Vec<Value> = tokens.iter().map(|token| write_token(token)).collect();
    let top: Vec<Value> = tokens.iter().map(|token| rivals(token)).collect();
    Some(json!({ "chosenCandidates": chosen, "topCandidates": top }))
}

fn write_token(entry: &Value) -> Value {
    let token = entry.get("token").and_then(Value::as_str).unwrap_or_default();
    let logprob = entry.get("logprob").and_then(Value::as_f64).unwrap_or(0.0);
    json!({ "token": token, "logProbability": logprob })
}
