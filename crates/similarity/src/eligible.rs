//! Which requests may be answered from likeness at all.
//!
//! Owns: the reasons why a question's answer is not another's, whatever the likeness: it depends on the time, on the person, on what was
//! said before, or is wanted to be different each time. Leaves to others: parameters, tools and scopes, which are part of the key.
//!
//! **Invariant:** where a rule does not apply the request is eligible; every refusal has a name.

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
    if says(OWN_STATE) {
        return Err(Ineligible::OwnState);
    }
    if !allowed.time_dependent && says(TIME_DEPENDENT) {
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
    "today", "tonight", "tomorrow", "yesterday", "now", "right now", "currently", "at the moment", "this week", "this month",
    "this year", "this morning", "this afternoon", "this evening", "this weekend", "next week", "next month", "last week",
    "last month", "last night", "latest", "newest", "most recent", "recent", "recently", "so far", "up to date", "live score",
    "the weather", "weather in", "forecast", "stock price", "share price", "exchange rate", "news", "what time is it", "the time in",
    "what day is it", "what is the date", "the current", "still open", "open yet", "trending", "as of", "these days", "ago", "heute",
    "jetzt", "morgen", "gestern", "aktuell", "aujourd'hui", "maintenant", "demain", "hoy", "ahora", "mañana", "ayer", "oggi", "adesso",
    "hoje", "agora", "vandaag",
];

/// Words that ask for the state of the asker's own things.
const OWN_STATE: &[&str] = &[
    "my balance", "my account balance", "my bank balance", "my last payment", "my last transaction", "my last order", "my recent transactions",
    "my order status", "status of my", "where is my order", "where is my parcel", "where is my package", "where is my refund", "track my",
    "my usage", "my next payment", "my next bill", "my current bill", "my appointments", "my calendar", "my schedule", "remind me",
    "how much do i owe", "do i owe", "did i spend", "have i spent", "how much have i", "what did i", "when did i", "my points",
    "my credit score",
];

/// Words that ask for variety.
const CREATIVE: &[&str] = &[
    "surprise me", "random", "randomly", "another one", "a different one", "one more", "again but", "something else", "something new",
    "brainstorm", "be creative", "make up", "roll a dice", "roll a die", "flip a coin", "pick a number", "tell me a joke", "a joke",
    "joke about", "tell me a story", "a story about", "come up with", "give me ideas", "some ideas", "roleplay", "role play", "imagine",
];

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
    let names_number = ["order", "card", "account", "ticket", "booking", "invoice", "reference", "case", "tracking", "parcel", "policy"]
        .iter()
        .any(|of| text.contains(&format!(" {of} ")));
    let has_number = words.iter().any(|word| {
        digits(word) >= 5 && matches!(word.shape, Shape::Number | Shape::Code) && !word.text.contains([',', '.', ':'])
    });
    let introduces = ["my name is ", "i am called ", "my date of birth", "my social security", "my passport number is"];
    addresses || longest >= 9 || (names_number && has_number) || introduces.iter().any(|words| text.contains(words))
}

/// "Write a poem", "compose", "draft me a letter".
fn is_making(words: &[Word]) -> bool {
    const MAKING: [&str; 8] = ["write", "compose", "draft", "invent", "generate", "create", "design", "paint"];
    const MADE: [&str; 24] = [
        "poem", "story", "song", "lyrics", "haiku", "joke", "limerick", "essay", "letter", "slogan", "tagline", "names", "name", "caption",
        "tweet", "post", "email", "speech", "script", "rap", "novel", "article", "blog", "picture",
    ];
    let Some(at) = words.iter().position(|word| MAKING.contains(&word.text.as_str())) else { return false };
    let asks_how = words.iter().take(at).any(|word| matches!(word.text.as_str(), "how" | "where" | "why" | "when" | "who"));
    !asks_how && words.iter().skip(at + 1).take(6).any(|word| MADE.contains(&word.text.as_str()))
}

/// A few words that are nothing without what was said before: "and for two?", "yes", "cancel it", "what about that one".
fn is_dangling(words: &[Word]) -> bool {
    const POINTING: [&str; 10] = ["it", "that", "this", "them", "those", "these", "one", "he", "she", "ones"];
    const OPENING: [&str; 5] = ["and", "or", "but", "also", "then"];
    const EMPTY: [&str; 24] = [
        "yes", "no", "ok", "okay", "sure", "please", "thanks", "what", "about", "how", "why", "the", "is", "a", "do", "can", "you", "i", "not",
        "go", "more", "continue", "on", "for",
    ];
    let text = |word: &Word| word.text.clone();
    let opens = words.first().is_some_and(|first| OPENING.contains(&text(first).as_str())) && words.len() <= 5;
    let matter = words.iter().filter(|word| !EMPTY.contains(&text(word).as_str()) && !POINTING.contains(&text(word).as_str())).count();
    let points = words.iter().any(|word| POINTING.contains(&text(word).as_str()));
    let counts = (0..words.len()).any(|at| values::read(words, at).is_some_and(|(value, _)| !value.is_weak));
    opens || (matter == 0 && !counts) || (points && matter <= 1 && words.len() <= 5 && !counts)
}
