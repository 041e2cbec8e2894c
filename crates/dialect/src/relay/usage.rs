//! Reading a `usage` member of a body that is passed on.
//!
//! Leaves what the counts mean to the OpenAI wire, apart from a short cut for the members that OpenAI itself sends.
//! **Invariant:** a count that cannot be one (negative, a fraction, beyond [`TOKENS_MAX`]) makes the whole usage
//! unknown rather than partly zero: nothing is billed by a guess here. **Invariant:** the short cut reads what the
//! wire reads.

use crate::conversation::Usage;
use crate::json::{Fault, Kind, Limits, ScanErrorKind, Text, Value, Walker};
use crate::openai::read_usage;

/// Most tokens that one request can plausibly take; a thousand times the largest context window.
const TOKENS_MAX: u64 = 10_000_000_000;

/// Deepest member of a usage that holds counts (`prompt_tokens_details.x_tokens`), with one level to spare.
const COUNT_DEPTH_MAX: u32 = 3;

/// What a `usage` member says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UsageMember {
    /// None, or `null`.
    Absent,
    /// Counts.
    Counted(Usage),
    /// Something that cannot be relied on.
    Unreadable,
}

/// Reads the text of the member, which is valid JSON.
pub(super) fn read_member(text: Option<&str>) -> UsageMember {
    match text {
        None | Some("null") => UsageMember::Absent,
        Some(text) => PlainCounts::read(text)
            .map_or_else(|| read_any(text), |plain| UsageMember::Counted(plain.usage())),
    }
}

fn read_any(text: &str) -> UsageMember {
    if !Value::read(text).is_some_and(|value| has_plausible_counts(&value, COUNT_DEPTH_MAX)) {
        return UsageMember::Unreadable;
    }
    let tree = serde_json::from_str::<serde_json::Value>(text);
    tree.ok().and_then(|tree| read_usage(&tree)).map_or(UsageMember::Unreadable, UsageMember::Counted)
}

/// Whether every `..._tokens` member is a count or `null`. False for what is no object.
fn has_plausible_counts(value: &Value<'_>, depth_left: u32) -> bool {
    let Some(object) = value.as_object() else { return false };
    object.members().all(|member| match member.value.kind() {
        Kind::Object if depth_left > 0 => has_plausible_counts(&member.value, depth_left - 1),
        Kind::Null => true,
        _ if member.name.ends_with("_tokens") => is_count(&member.value),
        _ => true,
    })
}

fn is_count(value: &Value<'_>) -> bool {
    // Some providers write whole numbers as `12.0`.
    let whole = |number: f64| number >= 0.0 && number.fract() == 0.0 && number <= TOKENS_MAX as f64;
    value.as_u64().map_or_else(|| value.as_f64().is_some_and(whole), |count| count <= TOKENS_MAX)
}

/// The counts that OpenAI sends with chat completions, completions and embeddings. A usage with any other member, or
/// with anything but whole numbers, is left to the long way.
#[derive(Debug, Default)]
struct PlainCounts {
    prompt: Option<u64>,
    completion: Option<u64>,
    total: Option<u64>,
    cached: Option<u64>,
    input_audio: Option<u64>,
    reasoning: Option<u64>,
    output_audio: Option<u64>,
    /// Parts of the answer that are counted and mean nothing here.
    predicted: [Option<u64>; 2],
    has_input_details: bool,
    has_output_details: bool,
}

impl PlainCounts {
    fn read(text: &str) -> Option<Self> {
        let mut walker = Walker::new(text, &Limits::REPLY);
        let mut counts = Self::default();
        if walker.peek() != Some(b'{') {
            return None;
        }
        walker.object(|walker, name| counts.read_member(walker, name)).ok()?;
        (counts.prompt.is_some() || counts.completion.is_some()).then_some(counts)
    }

    fn read_member(&mut self, walker: &mut Walker<'_>, name: Text) -> Result<(), Fault> {
        match walker.raw(name) {
            "prompt_tokens" => read_count(walker, &mut self.prompt),
            "completion_tokens" => read_count(walker, &mut self.completion),
            "total_tokens" => read_count(walker, &mut self.total),
            "prompt_tokens_details" => {
                enter_once(walker, &mut self.has_input_details)?;
                walker.object(|walker, name| match walker.raw(name) {
                    "cached_tokens" => read_count(walker, &mut self.cached),
                    "audio_tokens" => read_count(walker, &mut self.input_audio),
                    _ => Err(not_plain(walker)),
                })
            }
            "completion_tokens_details" => {
                enter_once(walker, &mut self.has_output_details)?;
                let [accepted, rejected] = &mut self.predicted;
                walker.object(|walker, name| match walker.raw(name) {
                    "reasoning_tokens" => read_count(walker, &mut self.reasoning),
                    "audio_tokens" => read_count(walker, &mut self.output_audio),
                    "accepted_prediction_tokens" => read_count(walker, accepted),
                    "rejected_prediction_tokens" => read_count(walker, rejected),
                    _ => Err(not_plain(walker)),
                })
            }
            _ => Err(not_plain(walker)),
        }
    }

    fn usage(&self) -> Usage {
        let input_tokens = self.prompt.unwrap_or(0);
        let reasoning = self.reasoning.unwrap_or(0);
        let mut output_tokens = self.completion.unwrap_or(0);
        // xAI counts reasoning beside the answer, which shows in the total. No sum overflows: see `TOKENS_MAX`.
        if self.total == Some(input_tokens + output_tokens + reasoning) {
            output_tokens += reasoning;
        }
        Usage {
            input_tokens,
            cached_tokens: self.cached.unwrap_or(0).min(input_tokens),
            input_audio_tokens: self.input_audio.unwrap_or(0).min(input_tokens),
            output_tokens,
            reasoning_tokens: reasoning.min(output_tokens),
            output_audio_tokens: self.output_audio.unwrap_or(0).min(output_tokens),
            ..Usage::default()
        }
    }
}

fn read_count(walker: &mut Walker<'_>, count: &mut Option<u64>) -> Result<(), Fault> {
    walker.peek();
    let start = walker.position();
    walker.skip()?;
    let number = walker.slice(start, walker.position()).parse().ok().filter(|number| *number <= TOKENS_MAX);
    if number.is_none() || count.is_some() {
        return Err(not_plain(walker));
    }
    *count = number;
    Ok(())
}

/// Checks that an object begins here, and for the first time.
fn enter_once(walker: &mut Walker<'_>, has_entered: &mut bool) -> Result<(), Fault> {
    if walker.peek() != Some(b'{') || std::mem::replace(has_entered, true) {
        return Err(not_plain(walker));
    }
    Ok(())
}

fn not_plain(walker: &Walker<'_>) -> Fault {
    walker.fault(ScanErrorKind::ExpectedValue)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn the_short_cut_reads_what_the_wire_reads(
            tops in prop::collection::vec((0..3_usize, 0..60_u64), 0..4),
            input in prop::collection::vec((0..2_usize, 0..60_u64), 0..3),
            output in prop::collection::vec((0..4_usize, 0..60_u64), 0..4),
            has_total in any::<bool>(),
        ) {
            let members = |names: &[&str], counts: &[(usize, u64)]| {
                let members = counts.iter().map(|(name, count)| (names[*name].to_owned(), (*count).into()));
                serde_json::Value::Object(members.collect())
            };
            let mut usage = members(&["prompt_tokens", "completion_tokens", "total_tokens"], &tops);
            usage["prompt_tokens_details"] = members(&["cached_tokens", "audio_tokens"], &input);
            let names = ["reasoning_tokens", "audio_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens"];
            usage["completion_tokens_details"] = members(&names, &output);
            if has_total {
                let count = |value: &serde_json::Value| value.as_u64().unwrap_or(0);
                let details = count(&usage["completion_tokens_details"]["reasoning_tokens"]);
                usage["total_tokens"] = (count(&usage["prompt_tokens"]) + count(&usage["completion_tokens"]) + details).into();
            }
            let text = usage.to_string();
            let plain = PlainCounts::read(&text).map(|counts| counts.usage());
            prop_assert_eq!(plain, read_usage(&usage));
        }
    }

    #[test]
    fn what_openai_does_not_send_goes_the_long_way() {
        let check = |usage: &str| assert!(PlainCounts::read(usage).is_none(), "{usage}");
        check("{}");
        check("7");
        check(r#"{"prompt_tokens":1,"cost":0.1}"#);
        check(r#"{"prompt_tokens":1.0}"#);
        check(r#"{"prompt_tokens":-1}"#);
        check(r#"{"prompt_tokens":null}"#);
        check(r#"{"prompt_tokens":10000000001}"#);
        check(r#"{"prompt_tokens":1,"prompt_tokens":1}"#);
        check(r#"{"prompt_tokens":1,"prompt_tokens_details":null}"#);
        check(r#"{"prompt_tokens":1,"prompt_tokens_details":{},"prompt_tokens_details":{}}"#);
        check(r#"{"prompt_tokens":1,"prompt_tokens_details":{"image_tokens":1}}"#);
        check(r#"{"prompt_tokens":1,"completion_tokens_details":{"image_tokens":1}}"#);
        check(r#"{"prompt\u005ftokens":1}"#);
    }
}
