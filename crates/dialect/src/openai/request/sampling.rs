//! The members of a request that shape the answer by number, the same for chat and for legacy completions.

use crate::conversation::Sampling;
use crate::openai::read::{self, Place};
use crate::wire::RequestError;
use serde_json::Value;

/// Reads the member at a top-level place into `sampling`; gives the value back when it is none of these.
pub(super) fn read(
    sampling: &mut Sampling,
    value: Value,
    at: &Place<'_>,
) -> Result<Option<Value>, RequestError> {
    let Place::Top(name) = at else { return Ok(Some(value)) };
    match *name {
        "temperature" => sampling.temperature = Some(read::number(&value, at)?),
        "top_p" => sampling.top_p = Some(read::number(&value, at)?),
        "top_k" => sampling.top_k = Some(read::natural(&value, at)?),
        "stop" => sampling.stop = read_stop(value, at)?,
        "seed" => sampling.seed = Some(read::integer(&value, at)?),
        "presence_penalty" => sampling.presence_penalty = Some(read::number(&value, at)?),
        "frequency_penalty" => sampling.frequency_penalty = Some(read::number(&value, at)?),
        "n" => sampling.n = Some(read::natural(&value, at)?),
        "logit_bias" => {
            let biases = read::object(value, at)?;
            for (token, bias) in &biases {
                read::number(bias, &at.member(token))?;
            }
            sampling.logit_bias = Some(biases);
        }
        _ => return Ok(Some(value)),
    }
    Ok(None)
}

fn read_stop(value: Value, at: &Place<'_>) -> Result<Vec<String>, RequestError> {
    match value {
        Value::String(text) => Ok(vec![text]),
        Value::Array(items) => {
            items.into_iter().enumerate().map(|(index, item)| read::string(item, &at.item(index))).collect()
        }
        other => Err(read::neither_string_nor_list(&other, "strings", at)),
    }
}
