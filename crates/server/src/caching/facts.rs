//! What is known of an answer that is kept, beside its bytes: what it used and what it has cost.
//!
//! Owns the text of it. **Invariant:** what cannot be read is nothing known, and never a wrong number.

use serde_json::{Value, json};
use tollgate_catalog::PicoDollars;
use tollgate_dialect::conversation::Usage;

/// What is known of an answer that is kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct AnswerFacts {
    /// What it used.
    pub(crate) usage: Usage,
    /// What its caller was charged; none where it had no price.
    pub(crate) cost: Option<PicoDollars>,
}

impl AnswerFacts {
    /// As a text.
    pub(super) fn to_text(&self) -> String {
        let usage = self.usage;
        let counts = [
            usage.input_tokens,
            usage.cached_tokens,
            usage.cache_write_tokens,
            usage.cache_write_1h_tokens,
            usage.input_audio_tokens,
            usage.input_image_tokens,
            usage.output_tokens,
            usage.reasoning_tokens,
            usage.output_audio_tokens,
            usage.output_image_tokens,
            usage.search_units,
        ];
        json!({ "usage": counts, "cost": self.cost.map(|cost| cost.0.to_string()) }).to_string()
    }

    /// What a text says.
    pub(super) fn of_text(text: &str) -> Option<Self> {
        let said: Value = serde_json::from_str(text).ok()?;
        let counts: Vec<u64> =
            said.get("usage")?.as_array()?.iter().map(Value::as_u64).collect::<Option<_>>()?;
        let [input, cached, written, written_1h, audio, image, output, reasoning, spoken, drawn, units] =
            <[u64; 11]>::try_from(counts).ok()?;
        let usage = Usage {
            input_tokens: input,
            cached_tokens: cached,
            cache_write_tokens: written,
            cache_write_1h_tokens: written_1h,
            input_audio_tokens: audio,
            input_image_tokens: image,
            output_tokens: output,
            reasoning_tokens: reasoning,
            output_audio_tokens: spoken,
            output_image_tokens: drawn,
            search_units: units,
            ..Usage::default()
        };
        let cost = said.get("cost").filter(|cost| !cost.is_null());
        let cost = match cost {
            None => None,
            Some(cost) => Some(PicoDollars(cost.as_str()?.parse().ok()?)),
        };
        Some(Self { usage, cost })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written() {
        let usage = Usage {
            input_tokens: u64::MAX,
            cached_tokens: 2,
            output_tokens: 3,
            search_units: 4,
            ..Usage::default()
        };
        for cost in [None, Some(PicoDollars(0)), Some(PicoDollars(i128::MAX))] {
            let facts = AnswerFacts { usage, cost };
            assert_eq!(AnswerFacts::of_text(&facts.to_text()), Some(facts));
        }
        for wrong in
            ["", "{}", r#"{"usage":[1],"cost":"1"}"#, r#"{"usage":[1,2,3,4,5,6,7,8,9,10,-1],"cost":"1"}"#]
        {
            assert_eq!(AnswerFacts::of_text(wrong), None, "{wrong}");
        }
        let wrong = AnswerFacts::default().to_text().replace("null", "\"1.5\"");
        assert_eq!(AnswerFacts::of_text(&wrong), None);
    }
}
