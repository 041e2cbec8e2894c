//! Log probabilities, dealt out to the pieces of the text that they are of, and put together again.
//!
//! **Invariant:** what is dealt out, put together with [`merge`], is the object that there was.

use super::pieces;
use serde_json::{Map, Value};

/// The tokens of an answer's text, where they spell it.
#[derive(Debug)]
pub(super) struct Spelled<'a> {
    entries: &'a [Value],
    /// Where each token ends in the text of all parts.
    ends: Vec<usize>,
    /// The object's other members, the same for each piece.
    rest: Map<String, Value>,
    /// Where the next piece begins: the token, and its place in the text.
    next: (usize, usize),
}

impl<'a> Spelled<'a> {
    /// Takes OpenAI's `logprobs` of an answer whose text these parts are. `None` where they are not the tokens of just
    /// this text, or say something of a refusal: then they go out in one.
    pub(super) fn of(logprobs: &'a Value, texts: &[&str]) -> Option<Self> {
        let members = logprobs.as_object()?;
        let entries = members.get("content")?.as_array()?;
        let mut rest = members.clone();
        rest.shift_remove("content");
        let says_nothing = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        if entries.is_empty() || !rest.iter().all(|(name, value)| name == "refusal" && says_nothing(value)) {
            return None;
        }
        let text = texts.concat();
        let mut unspelled = text.as_bytes();
        let mut ends = Vec::with_capacity(entries.len());
        for entry in entries {
            unspelled = unspelled.strip_prefix(spelling(entry)?.as_slice())?;
            ends.push(text.len() - unspelled.len());
        }
        let mut end = 0;
        let are_apart = texts.iter().all(|text| {
            end += text.len();
            ends.binary_search(&end).is_ok()
        });
        (unspelled.is_empty() && are_apart).then_some(Self { entries, ends, rest, next: (0, 0) })
    }

    /// Cuts the next part of the text into pieces of whole tokens, each with its own `logprobs`.
    pub(super) fn deal<'t>(&mut self, text: &'t str) -> Vec<(&'t str, Value)> {
        let least = pieces::least(text.len());
        let (first, base) = self.next;
        let part_end = base + text.len();
        let mut dealt = Vec::new();
        let (mut from, mut start) = (first, 0);
        for (number, end) in self.ends.iter().enumerate().skip(first) {
            let is_last_at = self.ends.get(number + 1) != Some(end);
            let within = end.saturating_sub(base);
            let is_cut = within - start >= least && text.is_char_boundary(within);
            if *end > part_end {
                break;
            }
            if is_last_at && (is_cut || *end == part_end) {
                let tokens = self.entries.get(from..=number).unwrap_or_default();
                dealt.extend(text.get(start..within).map(|piece| (piece, self.object(tokens))));
                (from, start) = (number + 1, within);
            }
        }
        self.next = (from, part_end);
        dealt
    }

    fn object(&self, tokens: &[Value]) -> Value {
        let mut object = Map::new();
        object.insert("content".to_owned(), Value::Array(tokens.to_vec()));
        object.extend(self.rest.clone());
        Value::Object(object)
    }
}

/// The bytes of a token: as they are listed, since one may be a part of a character, or else those of its text.
fn spelling(entry: &Value) -> Option<Vec<u8>> {
    match entry.get("bytes") {
        Some(Value::Array(bytes)) => {
            bytes.iter().map(|byte| byte.as_u64().and_then(|byte| u8::try_from(byte).ok())).collect()
        }
        _ => Some(entry.get("token")?.as_str()?.as_bytes().to_vec()),
    }
}

/// Adds what is said of further text: lists go on, and what is nothing takes nothing away.
pub(super) fn merge(known: &mut Option<Value>, more: &Value) {
    let (Some(Value::Object(known)), Value::Object(more)) = (known.as_mut(), more) else {
        if !more.is_null() {
            *known = Some(more.clone());
        }
        return;
    };
    for (name, value) in more {
        match (known.get_mut(name), value) {
            (Some(Value::Array(entries)), Value::Array(further)) => entries.extend_from_slice(further),
            (Some(_), Value::Null) => {}
            _ => {
                known.insert(name.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tokens(tokens: &[&str]) -> Value {
        let content: Vec<Value> = tokens
            .iter()
            .map(|token| json!({"token": token, "logprob": -0.5, "bytes": token.as_bytes(), "top_logprobs": []}))
            .collect();
        json!({"content": content, "refusal": null})
    }

    /// The pieces of these parts, and that their log probabilities put together are what they were.
    fn dealt(logprobs: &Value, texts: &[&str]) -> Vec<(String, usize)> {
        let mut spelled = Spelled::of(logprobs, texts).unwrap();
        let mut again = None;
        let mut pieces = Vec::new();
        for text in texts {
            for (piece, logprobs) in spelled.deal(text) {
                merge(&mut again, &logprobs);
                pieces.push((piece.to_owned(), logprobs["content"].as_array().unwrap().len()));
            }
        }
        assert_eq!(again.as_ref(), Some(logprobs));
        pieces
    }

    #[test]
    fn each_piece_has_the_tokens_that_spell_it() {
        let told = tokens(&["It is", " twelve", " degrees", " in", " Oslo", ".", ""]);
        let expect =
            [("It is twelve degrees", 3), (" in Oslo.", 4)].map(|(text, count)| (text.to_owned(), count));
        assert_eq!(dealt(&told, &["It is twelve degrees in Oslo."]), expect);
        let apart = [("It is", 1), (" twelve degrees in Oslo", 4), (".", 2)];
        let apart = apart.map(|(text, count)| (text.to_owned(), count));
        assert_eq!(dealt(&told, &["It is", " twelve degrees in Oslo."]), apart);
    }

    #[test]
    fn a_character_of_several_tokens_is_not_cut() {
        let half =
            |bytes: &[u8]| json!({"token": "\\xf0", "logprob": -1.0, "bytes": bytes, "top_logprobs": []});
        let told = json!({"content": [half(b"01234567890123456789\xf0\x9f"), half(b"\x98\x80"), half(b"a")]});
        let expect = [("01234567890123456789\u{1f600}", 2), ("a", 1)];
        let expect = expect.map(|(text, count)| (text.to_owned(), count));
        assert_eq!(dealt(&told, &["01234567890123456789\u{1f600}a"]), expect);
    }

    #[test]
    fn what_does_not_spell_the_text_is_not_dealt_out() {
        let told = tokens(&["It", " is"]);
        for texts in [&["It"][..], &["It is "], &["I", "t is"], &["it is"], &[]] {
            assert!(Spelled::of(&told, texts).is_none(), "{texts:?}");
        }
        let refusal = json!({"content": told["content"], "refusal": told["content"]});
        assert!(Spelled::of(&refusal, &["It is"]).is_none());
        assert!(Spelled::of(&json!({"content": null}), &["It is"]).is_none());
        assert!(Spelled::of(&json!({"content": []}), &[]).is_none());
        assert!(Spelled::of(&json!({"tokens": ["It is"]}), &["It is"]).is_none());
    }
}
