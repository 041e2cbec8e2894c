//! The answer to a request: text, tool calls, reasoning, counts.
//!
//! Owns: [`compose`], [`Composed`], ids. Leaves to others: the shape of it on a wire.
//!
//! **Invariant:** the answer depends on the request, the behaviour and the seed alone. An answer that is cut by the
//! request's own limit has at most that many tokens and says that it was cut.

use crate::ask::{Ask, TOKEN_CHARS, Thinking, ToolChoice, tokens_of};
use crate::behaviour::{Answer, Behaviour, Finish};
use crate::extras::{Document, Extras};
use crate::instance::instance;
use serde_json::json;

/// Most characters of the caller's message in an echo.
const ECHO_CHARS_MAX: usize = 2_000;
/// Longest text that `Answer::Tokens` makes, in tokens.
const TOKENS_MAX: u64 = 1_000_000;
/// Reasoning where the request asks for it and the behaviour has none.
const REASONING: &str = "The caller wrote something. I answer with a short and friendly echo of it.";
/// What a refusal says.
const REFUSAL: &str = "I'm sorry, but I can't help with that.";
/// Pieces of four characters, of which text of a set length is made.
const FILLER: [&str; 8] = ["The ", "toll", " is ", "paid", ", so", " go ", "on, ", "now "];

/// An answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Composed {
    pub(crate) reasoning: Option<String>,
    pub(crate) text: String,
    pub(crate) calls: Vec<Call>,
    pub(crate) finish: Option<Finish>,
    /// The stop sequence that ended the text.
    pub(crate) stop_sequence: Option<String>,
    pub(crate) counts: Counts,
    /// The text is a refusal.
    pub(crate) refused: bool,
    pub(crate) citations: Vec<Citation>,
    /// The request's hosted tools were used.
    pub(crate) hosted_tools: bool,
    /// Reasoning is shown in full, not as a summary.
    pub(crate) open_reasoning: bool,
    pub(crate) extras: Extras,
    /// The answer has an image.
    pub(crate) image: bool,
    /// The provider searched the web.
    pub(crate) searched: bool,
    /// Documents of the request that the text cites.
    pub(crate) cited: Vec<Document>,
}

/// A web page that the text cites.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Citation {
    /// The part of the text that it stands for, in characters.
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) url: String,
    pub(crate) title: String,
}

/// A tool call with its id still to be given.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: serde_json::Value,
}

/// Token counts of a reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// The whole prompt.
    pub(crate) prompt: u64,
    pub(crate) cached: u64,
    pub(crate) cache_written: u64,
    /// The part of it that stays for an hour.
    pub(crate) cache_written_1h: u64,
    /// The whole completion, reasoning included.
    pub(crate) completion: u64,
    pub(crate) reasoning: u64,
}

impl Composed {
    /// Why it ended, in a word.
    pub(crate) fn finish(&self) -> Finish {
        self.finish.unwrap_or(if self.calls.is_empty() { Finish::Stop } else { Finish::Tools })
    }
}

/// Composes the answer.
pub(crate) fn compose(ask: &Ask, behaviour: &Behaviour) -> Composed {
    let mut composed = Composed { reasoning: reasoning(ask, behaviour), ..Composed::default() };
    match &behaviour.answer {
        _ if behaviour.refusal => (composed.text, composed.refused) = (REFUSAL.to_owned(), true),
        Answer::Natural => natural(ask, &mut composed),
        Answer::Text(text) => composed.text.clone_from(text),
        Answer::Tokens(tokens) => composed.text = filler(*tokens),
        Answer::CallTools(count) => call_tools(ask, *count, &mut composed),
        Answer::Calls(calls) => {
            let call = |call: &crate::behaviour::ToolCall| Call {
                name: call.name.clone(),
                arguments: call.arguments.clone(),
            };
            composed.calls = calls.iter().map(call).collect();
        }
    }
    go_on(ask, &mut composed);
    stop_at_sequence(ask, &mut composed);
    fit(ask, &mut composed);
    if behaviour.finish.is_some() {
        composed.finish = behaviour.finish;
    }
    composed.citations = cite(&composed.text, behaviour.citations);
    composed.hosted_tools = behaviour.hosted_tools;
    composed.open_reasoning = behaviour.open_reasoning;
    composed.extras = behaviour.extras.clone();
    composed.image = behaviour.extras.image || ask.wants_image;
    composed.searched = behaviour.hosted_tools && ask.searches;
    composed.cited.clone_from(&ask.documents);
    composed.counts = count(ask, behaviour, &composed);
    composed
}

/// Cites so many pages, each for an equal part of the text.
fn cite(text: &str, pages: usize) -> Vec<Citation> {
    let chars = text.chars().count();
    let pages = pages.min(chars);
    let cited = |page: usize| Citation {
        start: chars * page / pages,
        end: chars * (page + 1) / pages,
        url: format!("https://example.com/page-{}", page + 1),
        title: format!("Page {}", page + 1),
    };
    (0..pages).map(cited).collect()
}

fn reasoning(ask: &Ask, behaviour: &Behaviour) -> Option<String> {
    let asked = (ask.thinking == Thinking::Shown).then(|| REASONING.to_owned());
    behaviour.reasoning.clone().or(asked)
}

fn natural(ask: &Ask, composed: &mut Composed) {
    let forced = match &ask.tool_choice {
        ToolChoice::Named(name) => ask.tools.iter().find(|tool| tool.name == *name),
        ToolChoice::Any => ask.tools.first(),
        ToolChoice::Free | ToolChoice::Never => None,
    };
    if let Some(tool) = forced {
        composed.calls = vec![call_of(tool, ask)];
    } else if let Some(schema) = &ask.schema {
        composed.text = instance(schema, &ask.last_user).to_string();
    } else if ask.json {
        composed.text = json!({"answer": echo(&ask.last_user)}).to_string();
    } else if let Some(result) = &ask.tool_result {
        composed.text = format!("The tool says: {}", echo(result));
    } else {
        composed.text =
            format!("Hello from {}, a simulated model. You said: {}", ask.model, echo(&ask.last_user));
    }
}

fn echo(text: &str) -> String {
    text.chars().take(ECHO_CHARS_MAX).collect()
}

fn filler(tokens: u64) -> String {
    (0..tokens.min(TOKENS_MAX)).zip(FILLER.iter().cycle()).map(|(_, piece)| *piece).collect()
}

fn call_tools(ask: &Ask, count: usize, composed: &mut Composed) {
    if ask.tools.is_empty() || ask.tool_result.is_some() || ask.tool_choice == ToolChoice::Never {
        return natural(ask, composed);
    }
    let count = if ask.parallel { count } else { count.min(1) };
    let chosen = match &ask.tool_choice {
        ToolChoice::Named(name) => ask.tools.iter().filter(|tool| tool.name == *name).collect(),
        _ => ask.tools.iter().collect::<Vec<_>>(),
    };
    composed.calls = chosen.into_iter().cycle().take(count).map(|tool| call_of(tool, ask)).collect();
}

fn call_of(tool: &crate::ask::Tool, ask: &Ask) -> Call {
    let arguments = instance(&tool.schema, &ask.last_user);
    let arguments = if arguments.is_object() { arguments } else { json!({}) };
    Call { name: tool.name.clone(), arguments }
}

/// An answer that the request has begun is told from there; one that does not begin so is told whole.
fn go_on(ask: &Ask, composed: &mut Composed) {
    let rest = ask.begun.as_ref().and_then(|begun| composed.text.strip_prefix(begun.as_str()));
    if let Some(rest) = rest.map(str::to_owned) {
        composed.text = rest;
    }
}

fn stop_at_sequence(ask: &Ask, composed: &mut Composed) {
    let met = ask.stop.iter().filter(|stop| !stop.is_empty());
    let met = met.filter_map(|stop| composed.text.find(stop.as_str()).map(|at| (at, stop))).min();
    if let Some((at, stop)) = met {
        composed.text.truncate(at);
        composed.finish = Some(Finish::StopSequence);
        composed.stop_sequence = Some(stop.clone());
    }
}

/// Cuts the answer to the request's limit: reasoning comes first, then text, then whole tool calls.
fn fit(ask: &Ask, composed: &mut Composed) {
    let Some(mut left) = ask.max_tokens else { return };
    let mut cut = false;
    for text in composed.reasoning.iter_mut().chain([&mut composed.text]) {
        let tokens = tokens_of(text);
        if tokens > left {
            let chars = usize::try_from(left).unwrap_or(usize::MAX).saturating_mul(TOKEN_CHARS);
            *text = text.chars().take(chars).collect();
            cut = true;
        }
        left = left.saturating_sub(tokens);
    }
    composed.calls.retain(|call| {
        let tokens = call_tokens(call);
        let fits = !cut && tokens <= left;
        cut |= !fits;
        left = left.saturating_sub(tokens);
        fits
    });
    if cut {
        composed.finish = Some(Finish::Length);
        composed.stop_sequence = None;
    }
}

fn call_tokens(call: &Call) -> u64 {
    tokens_of(&call.name) + tokens_of(&call.arguments.to_string())
}

fn count(ask: &Ask, behaviour: &Behaviour, composed: &Composed) -> Counts {
    let said = &behaviour.tokens;
    let long = behaviour.extras.cache_written_1h;
    let shown = composed.reasoning.as_deref().map_or(0, tokens_of);
    let hidden = if ask.thinking == Thinking::Hidden && shown == 0 { tokens_of(REASONING) } else { 0 };
    let reasoning = said.reasoning.unwrap_or(shown + hidden);
    let calls: u64 = composed.calls.iter().map(call_tokens).sum();
    let visible = (tokens_of(&composed.text) + calls) * ask.choices.max(1) as u64;
    Counts {
        prompt: said.prompt.unwrap_or(ask.prompt_tokens),
        cached: said.cached.unwrap_or(0),
        cache_written: said.cache_written.or(long).unwrap_or(0).max(long.unwrap_or(0)),
        cache_written_1h: long.unwrap_or(0),
        completion: said.completion.unwrap_or(reasoning + visible),
        reasoning,
    }
}

/// Ids drawn from a seed.
#[derive(Debug)]
pub(crate) struct Ids {
    random: fastrand::Rng,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Ids {
        Ids { random: fastrand::Rng::with_seed(seed) }
    }

    /// `prefix` and so many letters and digits.
    pub(crate) fn next(&mut self, prefix: &str, len: usize) -> String {
        let letters = std::iter::repeat_with(|| self.random.alphanumeric()).take(len);
        prefix.chars().chain(letters).collect()
    }

    /// So many digits of hexadecimal.
    pub(crate) fn hex(&mut self, prefix: &str, len: usize) -> String {
        let digits = std::iter::repeat_with(|| self.random.digit(16)).take(len);
        prefix.chars().chain(digits).collect()
    }

    /// A number below `max`, or 0.
    pub(crate) fn below(&mut self, max: u64) -> u64 {
        if max == 0 { 0 } else { self.random.u64(..max) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::Tool;
    use crate::behaviour::TokenCounts;

    fn ask() -> Ask {
        Ask {
            model: "m".to_owned(),
            last_user: "hi".to_owned(),
            prompt_tokens: 9,
            choices: 1,
            parallel: true,
            ..Ask::default()
        }
    }

    fn with_tools() -> Ask {
        let tool = |name: &str| Tool {
            name: name.to_owned(),
            schema: json!({"type": "object", "properties": {"q": {"type": "string"}}}),
        };
        Ask { tools: vec![tool("look"), tool("ring")], ..ask() }
    }

    fn names(composed: &Composed) -> Vec<&str> {
        composed.calls.iter().map(|call| call.name.as_str()).collect()
    }

    #[test]
    fn an_answer_that_was_begun_goes_on() {
        let check = |begun: &str, expect: &str| {
            let ask = Ask { begun: Some(begun.to_owned()), ..ask() };
            assert_eq!(compose(&ask, &Behaviour::new().text("one two three")).text, expect, "{begun}");
        };
        check("one", " two three");
        check("one two three", "");
        check("two", "one two three");
    }

    #[test]
    fn the_plain_answer_echoes_the_last_message_and_counts_itself() {
        let composed = compose(&ask(), &Behaviour::new());
        assert_eq!(composed.text, "Hello from m, a simulated model. You said: hi");
        assert_eq!(composed.finish(), Finish::Stop);
        assert_eq!(composed.counts, Counts { prompt: 9, completion: 12, ..Counts::default() });
    }

    #[test]
    fn text_of_a_set_length_has_just_that_many_tokens() {
        for tokens in [0, 1, 7, 100] {
            let composed = compose(&ask(), &Behaviour::new().answer(Answer::Tokens(tokens)));
            assert_eq!(composed.counts.completion, tokens);
        }
    }

    #[test]
    fn a_limit_cuts_the_answer_and_says_so() {
        let limited = Ask { max_tokens: Some(3), ..ask() };
        let composed = compose(&limited, &Behaviour::new());
        assert_eq!((composed.text.as_str(), composed.finish()), ("Hello from m", Finish::Length));
        assert_eq!(composed.counts.completion, 3);
        let thinking = Behaviour::new().reasoning("four tokens, here").text("never");
        let composed = compose(&limited, &thinking);
        assert_eq!((composed.reasoning.as_deref(), composed.text.as_str()), (Some("four tokens,"), ""));
        let calling = Ask { max_tokens: Some(3), ..with_tools() };
        let composed = compose(&calling, &Behaviour::new().answer(Answer::CallTools(1)));
        assert_eq!((names(&composed).len(), composed.finish()), (0, Finish::Length));
    }

    #[test]
    fn the_first_stop_sequence_in_the_text_ends_it() {
        let stopping = Ask { stop: vec!["said".to_owned(), "simul".to_owned()], ..ask() };
        let composed = compose(&stopping, &Behaviour::new());
        assert_eq!(composed.text, "Hello from m, a ");
        assert_eq!(composed.stop_sequence.as_deref(), Some("simul"));
        assert_eq!(composed.finish(), Finish::StopSequence);
    }

    #[test]
    fn tools_are_called_when_forced_or_when_the_behaviour_says_so() {
        let calling = Behaviour::new().answer(Answer::CallTools(3));
        assert_eq!(names(&compose(&with_tools(), &calling)), ["look", "ring", "look"]);
        let one = Ask { parallel: false, ..with_tools() };
        assert_eq!(names(&compose(&one, &calling)), ["look"]);
        let named = Ask { tool_choice: ToolChoice::Named("ring".to_owned()), ..with_tools() };
        let composed = compose(&named, &Behaviour::new());
        assert_eq!(names(&composed), ["ring"]);
        assert_eq!(composed.calls[0].arguments, json!({"q": "hi"}));
        assert_eq!(composed.finish(), Finish::Tools);
        let after = Ask { tool_result: Some("rain".to_owned()), ..with_tools() };
        assert_eq!(compose(&after, &calling).text, "The tool says: rain");
    }

    #[test]
    fn a_schema_is_answered_with_an_instance_of_it() {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
        let structured = Ask { schema: Some(schema), ..ask() };
        assert_eq!(compose(&structured, &Behaviour::new()).text, r#"{"n":1}"#);
        let loose = Ask { json: true, ..ask() };
        assert_eq!(compose(&loose, &Behaviour::new()).text, r#"{"answer":"hi"}"#);
    }

    #[test]
    fn counts_that_the_behaviour_sets_are_reported_as_they_are() {
        let tokens = TokenCounts {
            prompt: Some(1000),
            cached: Some(900),
            cache_written: Some(50),
            completion: Some(70),
            reasoning: Some(60),
        };
        let composed = compose(&ask(), &Behaviour::new().tokens(tokens));
        let expect = Counts {
            prompt: 1000,
            cached: 900,
            cache_written: 50,
            cache_written_1h: 0,
            completion: 70,
            reasoning: 60,
        };
        assert_eq!(composed.counts, expect);
    }

    #[test]
    fn reasoning_is_counted_whether_or_not_it_is_shown() {
        let shown = compose(&Ask { thinking: Thinking::Shown, ..ask() }, &Behaviour::new());
        let hidden = compose(&Ask { thinking: Thinking::Hidden, ..ask() }, &Behaviour::new());
        assert!(shown.reasoning.is_some() && hidden.reasoning.is_none());
        assert_eq!(shown.counts, hidden.counts);
        assert_eq!(shown.counts.reasoning, tokens_of(REASONING));
    }
}
