//! Which requests may be answered from likeness at all.
//!
//! Owns: the reasons why a question's answer is not another's, whatever the likeness: it depends on the time, on the person, on what was
//! said before, or is wanted to be different each time. Leaves to others: parameters, tools and scopes, which are part of the key.
//!
//! **Invariant:** where a rule does not apply the request is eligible; every refusal has a name.

use crate::question::{Kind, mood};
use crate::values;
use crate::words::{Shape, Word, words};

/// What is asked, as far as it decides whether likeness may answer it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The text of the last message of the user.
    pub question: &'a str,
    /// Messages of users in the request.
    pub user_messages: usize,
}

/// What a namespace allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Requests of several messages; then the conversation is part of the key.
    pub conversations: bool,
    /// Questions whose answer changes with time; then a date is part of the key.
    pub time_dependent: bool,
    /// The most words of a question.
    pub words_max: usize,
}

impl Default for Allowed {
    fn default() -> Allowed {
        Allowed { conversations: false, time_dependent: false, words_max: 96 }
    }
}

/// Why a request is not answered from likeness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ineligible {
    /// Nothing is asked.
    Empty,
    /// More than one message of the user.
    Conversation,
    /// More words than a sentence's vector can hold.
    TooLong,
    /// Program text.
    Code,
    /// The answer is another one later.
    TimeDependent,
    /// Data of a person: an address, a number of a card or an order.
    Personal,
    /// The state of the asker's own things: a balance, an order.
    OwnState,
    /// Another answer is wanted each time.
    Creative,
    /// It points at something said before.
    Dangling,
}

impl Ineligible {
    /// The name in metrics and replies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Ineligible::Empty => "empty",
            Ineligible::Conversation => "conversation",
            Ineligible::TooLong => "too_long",
            Ineligible::Code => "code",
            Ineligible::TimeDependent => "time_dependent",
            Ineligible::Personal => "personal",
            Ineligible::OwnState => "own_state",
            Ineligible::Creative => "creative",
            Ineligible::Dangling => "dangling",
        }
    }
}

/// Whether the request may be answered from likeness, and why not.
///
/// # Errors
/// The first reason that speaks against it.
pub fn eligible(request: Request<'_>, allowed: Allowed) -> Result<(), Ineligible> {
    if request.user_messages > 1 && !allowed.conversations {
        return Err(Ineligible::Conversation);
    }
    if is_code(request.question) {
        return Err(Ineligible::Code);
    }
    let (words, whole) = words(request.question);
    if !whole || words.len() > allowed.words_max {
        return Err(Ineligible::TooLong);
    }
    if words.is_empty() {
        return Err(Ineligible::Empty);
    }
    let text = format!(" {} ", words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" "));
    let says = |list: &[&str]| list.iter().any(|phrase| text.contains(&format!(" {phrase} ")));
    if is_personal(&words, &text) {
        return Err(Ineligible::Personal);
    }
    let kind = mood(&words).kind;
    let asks_how = matches!(kind, Kind::Procedure | Kind::Reason);
    if !asks_how && (says(OWN_STATE) || says(OWN_THINGS) && asks_what(kind, &words)) {
        return Err(Ineligible::OwnState);
    }
    let is_latest_of_kind = text.contains(" latest version ");
    let past = says(PAST) && matches!(kind, Kind::What | Kind::Person | Kind::Count | Kind::YesNo);
    if !allowed.time_dependent && (says(TIME_DEPENDENT) && !is_latest_of_kind || past) {
        return Err(Ineligible::TimeDependent);
    }
    if says(CREATIVE) || is_making(&words) {
        return Err(Ineligible::Creative);
    }
    if is_dangling(&words) {
        return Err(Ineligible::Dangling);
    }
    Ok(())
}

/// Words after which the answer is another one later.
const TIME_DEPENDENT: &[&str] = &[
    "today",
    "tonight",
    "tomorrow",
    "right now",
    "open now",
    "available now",
    "at the moment",
    "this week",
    "this month",
    "this year",
    "this afternoon",
    "this evening",
    "this weekend",
    "next week",
    "next month",
    "latest",
    "newest",
    "most recent",
    "so far",
    "live score",
    "the weather",
    "weather in",
    "forecast",
    "stock price",
    "share price",
    "current exchange rate",
    "current price",
    "the news",
    "in the news",
    "what time is it",
    "the time in",
    "what day is it",
    "what is the date",
    "still open",
    "open yet",
    "trending",
    "these days",
    "heute",
    "jetzt",
    "aktuell",
    "aujourd'hui",
    "maintenant",
    "demain",
    "hoy",
    "ahora",
    "oggi",
    "adesso",
    "hoje",
    "agora",
    "vandaag",
];

/// Words of the past, which ask for what happened where a question asks what, who or whether; in a report ("I lost it yesterday") they do not.
const PAST: &[&str] = &["yesterday", "last night", "last week", "last month", "this morning"];

/// Words that ask for the state of the asker's own things, whatever stands before them.
const OWN_STATE: &[&str] = &[
    "status of my",
    "my order status",
    "where is my order",
    "where is my parcel",
    "where is my package",
    "track my",
    "remind me",
    "do i owe",
    "did i spend",
    "have i spent",
    "on my calendar",
    "on my schedule",
    "my recent transactions",
];

/// The asker's own things whose state changes; asked for where a question asks what they are, not how or why.
const OWN_THINGS: &[&str] = &[
    "my balance",
    "my account balance",
    "my bank balance",
    "my credit score",
    "my points",
    "my next payment",
    "my last payment",
    "my last transaction",
    "my next bill",
    "my current bill",
    "my appointments",
    "my calendar",
    "my schedule",
    "my last order",
];

/// Words that ask for variety.
const CREATIVE: &[&str] = &[
    "surprise me",
    "random",
    "randomly",
    "another one",
    "a different one",
    "one more",
    "again but",
    "something else",
    "something new",
    "brainstorm",
    "be creative",
    "make up",
    "roll a dice",
    "roll a die",
    "flip a coin",
    "pick a number",
    "tell me a joke",
    "a joke",
    "joke about",
    "tell me a story",
    "a story about",
    "come up with",
    "give me ideas",
    "some ideas",
    "roleplay",
    "role play",
    "imagine",
];

/// Whether a state is asked for: "what is", "how much", "show me", "check".
fn asks_what(kind: Kind, words: &[Word]) -> bool {
    let shows = ["show", "check", "tell", "give", "see", "view", "read", "display"];
    let orders = words.iter().take(6).any(|word| shows.contains(&word.text.as_str()));
    orders || matches!(kind, Kind::What | Kind::Amount | Kind::Count | Kind::Time)
}

fn is_code(question: &str) -> bool {
    let marks = ["```", "};", "();", "=> {", ") {", "</", "#include", "def ", "SELECT * ", "import "];
    question.contains("```") || marks.iter().filter(|mark| question.contains(**mark)).count() >= 2
}

/// An address, or a number too long to count anything, or one said to be of an order, a card or an account.
fn is_personal(words: &[Word], text: &str) -> bool {
    let addresses = words.iter().any(|word| word.shape == Shape::Code && word.text.contains('@'));
    let digits = |word: &Word| word.text.chars().filter(char::is_ascii_digit).count();
    let mut run = 0;
    let mut longest = 0;
    for word in words {
        run = if word.shape == Shape::Number { run + digits(word) } else { 0 };
        longest = longest.max(run);
    }
    let names_number = [
        "order",
        "card",
        "account",
        "ticket",
        "booking",
        "invoice",
        "reference",
        "case",
        "tracking",
        "parcel",
        "policy",
    ]
    .iter()
    .any(|of| text.contains(&format!(" {of} ")));
    let has_number = words.iter().any(|word| {
        digits(word) >= 5
            && matches!(word.shape, Shape::Number | Shape::Code)
            && !word.text.contains([',', '.', ':'])
    });
    let introduces =
        ["my name is ", "i am called ", "my date of birth", "my social security", "my passport number is"];
    addresses
        || longest >= 9
        || (names_number && has_number)
        || introduces.iter().any(|words| text.contains(words))
}

/// "Write a poem", "compose", "draft me a letter".
fn is_making(words: &[Word]) -> bool {
    const MAKING: [&str; 8] =
        ["write", "compose", "draft", "invent", "generate", "create", "design", "paint"];
    const MADE: [&str; 24] = [
        "poem", "story", "song", "lyrics", "haiku", "joke", "limerick", "essay", "letter", "slogan",
        "tagline", "names", "name", "caption", "tweet", "post", "email", "speech", "script", "rap", "novel",
        "article", "blog", "picture",
    ];
    let Some(at) = words.iter().position(|word| MAKING.contains(&word.text.as_str())) else { return false };
    let asks_how = words
        .iter()
        .take(at)
        .any(|word| matches!(word.text.as_str(), "how" | "where" | "why" | "when" | "who" | "i"));
    !asks_how && words.iter().skip(at + 1).take(6).any(|word| MADE.contains(&word.text.as_str()))
}

/// A few words that are nothing without what was said before: "and for two?", "yes", "cancel it", "what about that one".
fn is_dangling(words: &[Word]) -> bool {
    const POINTING: [&str; 10] = ["it", "that", "this", "them", "those", "these", "one", "he", "she", "ones"];
    const OPENING: [&str; 5] = ["and", "or", "but", "also", "then"];
    const EMPTY: [&str; 24] = [
        "yes", "no", "ok", "okay", "sure", "please", "thanks", "what", "about", "how", "why", "the", "is",
        "a", "do", "can", "you", "i", "not", "go", "more", "continue", "on", "for",
    ];
    let text = |word: &Word| word.text.clone();
    let opens =
        words.first().is_some_and(|first| OPENING.contains(&text(first).as_str())) && words.len() <= 5;
    let matter = words
        .iter()
        .filter(|word| !EMPTY.contains(&text(word).as_str()) && !POINTING.contains(&text(word).as_str()))
        .count();
    let points = words.iter().any(|word| POINTING.contains(&text(word).as_str()));
    let counts = (0..words.len()).any(|at| values::read(words, at).is_some_and(|(value, _)| !value.is_weak));
    opens || (matter == 0 && !counts) || (points && matter <= 1 && words.len() <= 5 && !counts)
}
