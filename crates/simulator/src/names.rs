//! Behaviours spelt in a model's name: `sim-error-429`, `sim-tokens-100+pace-5ms`.
//!
//! Owns: the grammar (`docs/simulator.md` lists it). Leaves to others: what a behaviour does.
//!
//! **Invariant:** a name that does not begin with `sim-` and a known word means the plain behaviour; a name that does
//! but goes wrong later is an error that says where, so that a typing mistake never passes for a success.

use crate::behaviour::{Answer, Behaviour, Finish, RateLimit};
use crate::fault::{CutEnding, Fault, Reason, ResetPoint, StatusFault, UsageFault};
use std::time::Duration;

/// What every spelt name begins with.
pub const PREFIX: &str = "sim-";

/// A behaviour as spelt, with the number of requests that it is for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spelt {
    /// What to do.
    pub behaviour: Behaviour,
    /// Only the first so many requests get it; the rest are answered plainly.
    pub times: Option<u64>,
}

/// Why a spelling is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpellingError {
    /// The part that is wrong, as it was written.
    pub part: String,
    /// What would have been right.
    pub wanted: &'static str,
}

impl std::fmt::Display for SpellingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`: {}", self.part, self.wanted)
    }
}

impl std::error::Error for SpellingError {}

/// Reads a model's name; any path before it (`openai/sim-html`) is left aside.
///
/// # Errors
/// A [`SpellingError`] when the name begins like a spelt one and then is not.
pub fn read_model_name(model: &str) -> Result<Spelt, SpellingError> {
    let name = model.rsplit('/').next().unwrap_or(model);
    let Some(spelling) = name.strip_prefix(PREFIX) else { return Ok(Spelt::default()) };
    let first = spelling.split(['-', '+']).next().unwrap_or_default();
    if !WORDS.contains(&first) {
        return Ok(Spelt::default());
    }
    read_spelling(spelling)
}

/// Reads a spelling without its prefix: `error-429+slow-50ms`.
///
/// # Errors
/// A [`SpellingError`] for the first part that is not understood.
pub fn read_spelling(spelling: &str) -> Result<Spelt, SpellingError> {
    let mut spelt = Spelt::default();
    for part in spelling.split('+') {
        let mut words = part.split('-');
        let word = words.next().unwrap_or_default();
        let mut reader = Part { part, words };
        apply(&mut spelt, word, &mut reader)?;
        reader.end()?;
    }
    Ok(spelt)
}

/// Every word that a part may begin with.
const WORDS: &[&str] = &[
    "badutf8",
    "bomb",
    "bytes",
    "cached",
    "cachewrite",
    "cachewrite1h",
    "cite",
    "close",
    "context",
    "cut",
    "empty",
    "endless",
    "error",
    "errorok",
    "event",
    "failed",
    "filter",
    "finish",
    "first",
    "gzip",
    "hang",
    "hosted",
    "html",
    "huge",
    "image",
    "iterations",
    "jitter",
    "length",
    "lenient",
    "lies",
    "looks",
    "malformed",
    "nodone",
    "noresponses",
    "nostream",
    "openreason",
    "pace",
    "policy",
    "prompt",
    "quota",
    "reason",
    "redacted",
    "redirect",
    "refusal",
    "refuse",
    "reset",
    "rpm",
    "slow",
    "stall",
    "thought",
    "times",
    "tokens",
    "toolprompt",
    "tools",
    "tpm",
    "truncated",
    "usage",
    "window",
    "wrongtype",
];

fn apply(spelt: &mut Spelt, word: &str, part: &mut Part<'_>) -> Result<(), SpellingError> {
    let behaviour = &mut spelt.behaviour;
    match word {
        "times" => spelt.times = Some(part.number()?),
        "lenient" => behaviour.lenient = true,
        "slow" => behaviour.latency = part.duration()?,
        "jitter" => behaviour.latency_jitter = part.duration()?,
        "pace" => behaviour.pace = part.duration()?,
        "tokens" => behaviour.answer = Answer::Tokens(part.number()?),
        "prompt" => behaviour.tokens.prompt = Some(part.number()?),
        "cached" => behaviour.tokens.cached = Some(part.number()?),
        "cachewrite" => behaviour.tokens.cache_written = Some(part.number()?),
        "thought" => behaviour.tokens.reasoning = Some(part.number()?),
        "tools" => behaviour.answer = Answer::CallTools(part.size_or(1)?),
        "reason" => behaviour.reasoning = Some(REASONING.to_owned()),
        "openreason" => {
            behaviour.reasoning = Some(REASONING.to_owned());
            behaviour.open_reasoning = true;
        }
        "refusal" => behaviour.refusal = true,
        "cite" => behaviour.citations = part.size_or(1)?,
        "hosted" => behaviour.hosted_tools = true,
        "noresponses" => behaviour.no_responses = true,
        "filter" => behaviour.finish = Some(Finish::Filtered),
        "length" => behaviour.finish = Some(Finish::Length),
        "window" => behaviour.context_window = Some(part.number()?),
        "rpm" => limit(behaviour).requests = Some(part.number()?),
        "tpm" => limit(behaviour).tokens = Some(part.number()?),
        "redacted" => behaviour.extras.redacted = true,
        "image" => behaviour.extras.image = true,
        "looks" => behaviour.extras.looks = Some(u32::try_from(part.number()?).unwrap_or(u32::MAX)),
        "nostream" => behaviour.extras.no_stream = true,
        "finish" => behaviour.extras.stop_word = part.words.next().map(str::to_owned),
        "iterations" => behaviour.extras.iterations = part.number()?,
        "toolprompt" => behaviour.extras.tool_prompt = Some(part.number()?),
        "cachewrite1h" => behaviour.extras.cache_written_1h = Some(part.number()?),
        _ => behaviour.fault = Some(read_fault(word, part)?),
    }
    Ok(())
}

/// The reasoning of `sim-reason`.
const REASONING: &str = "The caller wrote something. I answer with a short and friendly echo of it.";

fn limit(behaviour: &mut Behaviour) -> &mut RateLimit {
    behaviour.limit.get_or_insert(RateLimit { requests: None, tokens: None })
}

fn read_fault(word: &str, part: &mut Part<'_>) -> Result<Fault, SpellingError> {
    Ok(match word {
        "error" => read_status(part)?,
        "context" => Fault::refusal(Reason::ContextWindow),
        "policy" => Fault::refusal(Reason::ContentPolicy),
        "quota" => Fault::refusal(Reason::Quota),
        "html" => Fault::Html { status: part.status_or(200)? },
        "empty" => Fault::Empty { status: part.status_or(200)? },
        "wrongtype" => Fault::WrongContentType,
        "truncated" => Fault::TruncatedJson,
        "badutf8" => Fault::BadUtf8,
        "malformed" => Fault::MalformedEvent { after: part.size_or(0)? },
        "event" => Fault::ErrorEvent { after: part.size_or(0)?, code: part.status_or(500)? },
        "errorok" => Fault::ErrorInOk,
        "failed" => Fault::Failed { after: part.size_or(0)? },
        "reset" => Fault::Reset(read_reset_point(part)?),
        "cut" => Fault::Cut { after: part.size_or(0)?, ending: read_ending(part)? },
        "close" => Fault::Close { after: part.size_or(0)?, code: read_close_code(part)? },
        "stall" => Fault::Stall { after: part.size_or(0)? },
        "hang" => Fault::Hang,
        "refuse" => Fault::Refuse,
        "first" => Fault::SlowFirstEvent(part.duration()?),
        "usage" => Fault::Usage(read_usage_fault(part)?),
        "nodone" => Fault::NoDone,
        "gzip" => Fault::Gzip,
        "bomb" => Fault::GzipBomb { bytes: part.number()?.saturating_mul(1 << 20) },
        "endless" => match part.words.next() {
            Some("headers") => Fault::EndlessHeaders,
            Some("body") => Fault::EndlessBody,
            _ => return Err(part.wanted("endless-headers or endless-body")),
        },
        "huge" => Fault::HugeHeaders { bytes: part.size_or(65_536)? },
        "redirect" => read_redirect(part)?,
        "lies" => Fault::ContentLengthLies { by: 16 },
        "bytes" => Fault::OneByteChunks,
        _ => return Err(part.wanted("a word of the simulator's grammar")),
    })
}

fn read_status(part: &mut Part<'_>) -> Result<Fault, SpellingError> {
    let code = part.status()?;
    let retry_after = match part.words.next() {
        None => None,
        Some("retry") => Some(part.words.next().unwrap_or_default().to_owned()),
        Some(_) => return Err(part.wanted("error-STATUS or error-STATUS-retry-SECONDS")),
    };
    Ok(Fault::Status(StatusFault { code, retry_after, ..StatusFault::default() }))
}

fn read_reset_point(part: &mut Part<'_>) -> Result<ResetPoint, SpellingError> {
    match part.words.clone().next() {
        None => Ok(ResetPoint::BeforeHead),
        Some("head") => {
            part.words.next();
            Ok(ResetPoint::AfterHead)
        }
        Some(_) => Ok(ResetPoint::AfterEvents(part.size_or(0)?)),
    }
}

fn read_ending(part: &mut Part<'_>) -> Result<CutEnding, SpellingError> {
    match part.words.next() {
        None => Ok(CutEnding::Unterminated),
        Some("clean") => Ok(CutEnding::Terminated),
        Some("close") => Ok(CutEnding::CloseDelimited),
        Some(_) => Err(part.wanted("cut-EVENTS, cut-EVENTS-clean or cut-EVENTS-close")),
    }
}

fn read_close_code(part: &mut Part<'_>) -> Result<u16, SpellingError> {
    let code = u16::try_from(part.size_or(1_011)?).ok().filter(|code| (1_000..5_000).contains(code));
    code.ok_or_else(|| part.wanted("a close code from 1000 to 4999 is wanted here"))
}

fn read_usage_fault(part: &mut Part<'_>) -> Result<UsageFault, SpellingError> {
    match part.words.next() {
        Some("none") => Ok(UsageFault::Missing),
        Some("twice") => Ok(UsageFault::Twice),
        Some("zero") => Ok(UsageFault::Zero),
        Some("negative") => Ok(UsageFault::Negative),
        Some("huge") => Ok(UsageFault::Huge),
        _ => Err(part.wanted("usage-none, -twice, -zero, -negative or -huge")),
    }
}

fn read_redirect(part: &mut Part<'_>) -> Result<Fault, SpellingError> {
    let status = part.status_or(302)?;
    let location = match part.words.next().map(str::parse::<u16>) {
        None => "/sim/redirected".to_owned(),
        Some(Ok(port)) => format!("http://127.0.0.1:{port}/redirected"),
        Some(Err(_)) => return Err(part.wanted("redirect-STATUS or redirect-STATUS-PORT")),
    };
    Ok(Fault::Redirect { status, location })
}

/// One part of a spelling, being read.
struct Part<'a> {
    part: &'a str,
    words: std::str::Split<'a, char>,
}

impl Part<'_> {
    fn wanted(&self, wanted: &'static str) -> SpellingError {
        SpellingError { part: self.part.to_owned(), wanted }
    }

    fn number(&mut self) -> Result<u64, SpellingError> {
        let word = self.words.next();
        word.and_then(|word| word.parse().ok()).ok_or_else(|| self.wanted("a whole number is wanted here"))
    }

    fn size_or(&mut self, default: usize) -> Result<usize, SpellingError> {
        match self.words.next() {
            None => Ok(default),
            Some(word) => word.parse().map_err(|_| self.wanted("a whole number is wanted here")),
        }
    }

    fn status(&mut self) -> Result<u16, SpellingError> {
        let word = self.words.next();
        let status = word.and_then(|word| word.parse().ok()).filter(|code| (200..600).contains(code));
        status.ok_or_else(|| self.wanted("an HTTP status from 200 to 599 is wanted here"))
    }

    fn status_or(&mut self, default: u16) -> Result<u16, SpellingError> {
        if self.words.clone().next().is_none() { Ok(default) } else { self.status() }
    }

    fn duration(&mut self) -> Result<Duration, SpellingError> {
        let word = self.words.next().unwrap_or_default();
        read_duration(word).ok_or_else(|| self.wanted("a duration such as 500ms, 2s or 250us is wanted here"))
    }

    fn end(&mut self) -> Result<(), SpellingError> {
        if self.words.next().is_none() {
            Ok(())
        } else {
            Err(self.wanted("there is more here than this word takes"))
        }
    }
}

fn read_duration(word: &str) -> Option<Duration> {
    let digits = word.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = word.split_at(digits);
    let number: u64 = number.parse().ok()?;
    match unit {
        "us" => Some(Duration::from_micros(number)),
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Behaviour {
        Behaviour::new()
    }

    #[test]
    fn a_name_spells_its_behaviour() {
        let table: Vec<(&str, Behaviour)> = vec![
            ("gpt-4o", plain()),
            ("sim-model", plain()),
            ("sim-error-429", plain().fault(Fault::status(429))),
            ("openai/sim-error-500", plain().fault(Fault::status(500))),
            ("sim-error-429-retry-7", plain().fault(Fault::status_retry_after(429, "7"))),
            ("sim-slow-500ms", plain().latency(Duration::from_millis(500))),
            ("sim-stall-3", plain().fault(Fault::Stall { after: 3 })),
            ("sim-cut-3", plain().fault(Fault::cut(3))),
            ("sim-cut-3-clean", plain().fault(Fault::Cut { after: 3, ending: CutEnding::Terminated })),
            ("sim-tokens-100", plain().answer(Answer::Tokens(100))),
            ("sim-tools", plain().answer(Answer::CallTools(1))),
            ("sim-tools-2", plain().answer(Answer::CallTools(2))),
            ("sim-reason", plain().reasoning(REASONING)),
            ("sim-html", plain().fault(Fault::Html { status: 200 })),
            ("sim-html-502", plain().fault(Fault::Html { status: 502 })),
            ("sim-reset", plain().fault(Fault::Reset(ResetPoint::BeforeHead))),
            ("sim-reset-head", plain().fault(Fault::Reset(ResetPoint::AfterHead))),
            ("sim-reset-2", plain().fault(Fault::Reset(ResetPoint::AfterEvents(2)))),
            ("sim-event-2-529", plain().fault(Fault::ErrorEvent { after: 2, code: 529 })),
            ("sim-bomb-64", plain().fault(Fault::GzipBomb { bytes: 64 << 20 })),
            ("sim-usage-zero", plain().fault(Fault::Usage(UsageFault::Zero))),
            (
                "sim-tokens-8+pace-5ms+usage-none",
                plain()
                    .answer(Answer::Tokens(8))
                    .pace(Duration::from_millis(5))
                    .fault(Fault::Usage(UsageFault::Missing)),
            ),
            ("sim-rpm-3+tpm-90", plain().limit(RateLimit { requests: Some(3), tokens: Some(90) })),
            (
                "sim-redirect-307-8123",
                plain().fault(Fault::Redirect {
                    status: 307,
                    location: "http://127.0.0.1:8123/redirected".to_owned(),
                }),
            ),
        ];
        for (name, behaviour) in table {
            assert_eq!(read_model_name(name), Ok(Spelt { behaviour, times: None }), "{name}");
        }
    }

    #[test]
    fn a_number_of_times_stands_beside_the_behaviour() {
        let spelt = read_model_name("sim-error-503+times-2").unwrap();
        assert_eq!(spelt, Spelt { behaviour: plain().fault(Fault::status(503)), times: Some(2) });
    }

    #[test]
    fn a_mistake_after_a_known_word_is_an_error_that_quotes_the_part() {
        for (name, part) in [
            ("sim-error", "error"),
            ("sim-error-42", "error-42"),
            ("sim-slow-500", "slow-500"),
            ("sim-tokens-8+pase-5ms", "pase-5ms"),
            ("sim-hang-3", "hang-3"),
            ("sim-usage-odd", "usage-odd"),
            ("sim-cut-3-odd", "cut-3-odd"),
        ] {
            assert_eq!(read_model_name(name).unwrap_err().part, part, "{name}");
        }
    }

    #[test]
    fn every_word_is_documented() {
        let docs = include_str!("../../../docs/simulator.md");
        for word in WORDS {
            let spelt = [format!("`sim-{word}`"), format!("`sim-{word}-")];
            assert!(spelt.iter().any(|spelt| docs.contains(spelt)), "{word}");
        }
    }

    #[test]
    fn every_word_that_may_begin_a_name_is_understood() {
        let argument = ["", "-1", "-500", "-1ms", "-none", "-headers"]
            .map(|tail| move |word: &str| format!("{word}{tail}"));
        for word in WORDS {
            assert!(argument.iter().any(|spell| read_spelling(&spell(word)).is_ok()), "{word}");
        }
    }
}
