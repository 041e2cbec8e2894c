//! Whether the answer to one question may be served for another.
//!
//! Owns: the findings on two questions, and what they make of a cosine. Leaves to others: reading the questions (`facts`),
//! and which likeness is enough (`accept`, `calibration`).
//!
//! **Invariant:** symmetric, and a question is always served its own answer.

use crate::align::{Alignment, align, weight};
use crate::facts::{Facts, Role, Term};
use crate::lexicon::{LEXICON, Side, Weight};
use crate::question::Kind;

/// Why an answer is not served, or asks for more likeness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// One of the questions is too long to be read whole.
    Unread,
    /// Different languages.
    Language,
    /// Different numbers, amounts or clock times.
    Number,
    /// A number in one of them only.
    NumberMissing,
    /// Different codes: letters with digits, addresses, signs.
    Code,
    /// A code in one of them only.
    CodeMissing,
    /// Different names.
    Name,
    /// A name in one of them only.
    NameMissing,
    /// The same thing affirmed and denied.
    Negation,
    /// One denies something and the other does not.
    Polarity,
    /// Words that mean the opposite.
    Opposite,
    /// Words that exclude each other: other days, colours, countries, persons.
    Exclusive,
    /// Words that often exclude each other.
    Contrast,
    /// From here to there against from there to here.
    Direction,
    /// A reason asked for against a place, a price against a time.
    Question,
    /// Duty against permission, past against present, "only" and "all", oneself against others.
    Mood,
    /// Words of matter in each that the other does not have.
    Substituted,
    /// Words of matter in one of them only.
    Added,
    /// The same words in an order that may turn the meaning round.
    Order,
    /// Words that are taken for the same, misspelt.
    Misspelt,
}

impl Reason {
    /// All of them, in the order in which they are looked for.
    pub const ALL: [Reason; 20] = [
        Reason::Unread,
        Reason::Language,
        Reason::Number,
        Reason::NumberMissing,
        Reason::Code,
        Reason::CodeMissing,
        Reason::Name,
        Reason::NameMissing,
        Reason::Negation,
        Reason::Polarity,
        Reason::Opposite,
        Reason::Exclusive,
        Reason::Contrast,
        Reason::Direction,
        Reason::Question,
        Reason::Mood,
        Reason::Substituted,
        Reason::Added,
        Reason::Order,
        Reason::Misspelt,
    ];

    /// The name in metrics, reports and replies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Reason::Unread => "unread",
            Reason::Language => "language",
            Reason::Number => "number",
            Reason::NumberMissing => "number_missing",
            Reason::Code => "code",
            Reason::CodeMissing => "code_missing",
            Reason::Name => "name",
            Reason::NameMissing => "name_missing",
            Reason::Negation => "negation",
            Reason::Polarity => "polarity",
            Reason::Opposite => "opposite",
            Reason::Exclusive => "exclusive",
            Reason::Contrast => "contrast",
            Reason::Direction => "direction",
            Reason::Question => "question",
            Reason::Mood => "mood",
            Reason::Substituted => "substituted",
            Reason::Added => "added",
            Reason::Order => "order",
            Reason::Misspelt => "misspelt",
        }
    }
}

/// How much a reason weighs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weighs {
    /// Never served.
    Veto,
    /// So much more cosine is asked for.
    Doubt(f32),
}

/// A reason and its weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// What was found.
    pub reason: Reason,
    /// What it does.
    pub weighs: Weighs,
}

/// All that speaks against serving one question's answer for another, and whether nothing does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    list: Vec<Finding>,
    /// The questions have the same words of matter, and their grammar differs in nothing that was read.
    same: bool,
    /// They are one text but for capitals, marks and courtesies.
    identical: bool,
}

/// What is made of a candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// Nothing differs that was read: the answer fits, whatever the vectors say.
    Serve,
    /// The answer must not be served.
    Veto(Reason),
    /// The answer may be served where the cosine less `strength` is still enough. No reason and no strength: the words differ in
    /// nothing that is held against them, but they do differ.
    Doubt {
        /// The heaviest reason.
        reason: Option<Reason>,
        /// What all reasons together take off the cosine.
        strength: f32,
    },
}

impl Findings {
    /// What was found, in the order of [`Reason::ALL`].
    #[must_use]
    pub fn list(&self) -> &[Finding] {
        &self.list
    }

    /// Whether the questions say the same in the same words.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.same
    }

    /// The findings without those of one guard: for measuring what it adds and costs.
    #[must_use]
    pub fn without(&self, reason: Reason) -> Findings {
        let list = self.list.iter().copied().filter(|finding| finding.reason != reason).collect();
        Findings { list, ..*self }
    }

    /// What the findings make of a candidate with this cosine.
    #[must_use]
    pub fn verdict(&self, cosine: f32) -> Verdict {
        if let Some(veto) = self.list.iter().find(|finding| finding.weighs == Weighs::Veto) {
            return Verdict::Veto(veto.reason);
        }
        if self.identical || self.same && cosine >= SAME_COSINE_MIN {
            return Verdict::Serve;
        }
        let mut strength = 0.0;
        let mut heaviest: Option<(Reason, f32)> = None;
        for finding in &self.list {
            let Weighs::Doubt(doubt) = finding.weighs else { continue };
            strength += doubt;
            if heaviest.is_none_or(|(_, most)| doubt > most) {
                heaviest = Some((finding.reason, doubt));
            }
        }
        Verdict::Doubt { reason: heaviest.map(|(reason, _)| reason), strength }
    }

    /// The cosine as the findings see it, in -1 to 1: less by the doubts; nearer to one for the same words, one for the same text;
    /// none after a veto. This is what thresholds and calibration work on.
    #[must_use]
    pub fn score(&self, cosine: f32) -> Option<f32> {
        match self.verdict(cosine) {
            Verdict::Veto(_) => None,
            Verdict::Serve if self.identical => Some(1.0),
            Verdict::Serve => Some(1.0 - (1.0 - cosine) * SAME_DISTANCE),
            Verdict::Doubt { strength, .. } => Some(cosine - strength),
        }
    }

    fn veto(&mut self, reason: Reason) {
        self.list.push(Finding { reason, weighs: Weighs::Veto });
    }

    fn doubt(&mut self, reason: Reason, strength: f32) {
        self.list.push(Finding { reason, weighs: Weighs::Doubt(strength) });
    }
}

// What each doubt takes off the cosine. Set on half of the trap pairs and held against the other half, so that they order pairs of
// which most traps are vetoed already; none was fitted to more than two digits.
const NUMBER_MISSING: f32 = 0.08;
const CODE_MISSING: f32 = 0.08;
const NAME_MISSING: f32 = 0.06;
const POLARITY: f32 = 0.05;
const CONTRAST: f32 = 0.05;
const QUESTION: f32 = 0.06;
const MOOD: f32 = 0.02;
const SUBSTITUTED: f32 = 0.06;
const ADDED: f32 = 0.03;
// A word that others exclude ("joint", "child") narrows the question more than any word does.
const ADDED_NARROWING: f32 = 0.10;
const ORDER: f32 = 0.06;
const MISSPELT: f32 = 0.01;

/// Below this cosine the same words are not believed to mean the same: a slip in each of them leaves more than that.
pub const SAME_COSINE_MIN: f32 = 0.55;

/// What is left of the distance of questions that say the same in the same words.
pub const SAME_DISTANCE: f32 = 0.5;

/// What is made of the answer to `b` as an answer to `a`, the cosine of their vectors given.
#[must_use]
pub fn judge(a: &Facts, b: &Facts, cosine: f32) -> Verdict {
    compare(a, b).verdict(cosine)
}

/// Compares two questions.
#[must_use]
pub fn compare(a: &Facts, b: &Facts) -> Findings {
    let mut findings = Findings::default();
    if !(a.is_whole && b.is_whole) {
        findings.veto(Reason::Unread);
        return findings;
    }
    if a.plain == b.plain {
        findings.same = true;
        findings.identical = true;
        return findings;
    }
    if a.language.differs_from(b.language) {
        findings.veto(Reason::Language);
    }
    let alignment = align(&a.terms, &b.terms);
    numbers(a, b, &mut findings);
    codes(a, b, &mut findings);
    names(&alignment, a, b, &mut findings);
    let mood_differs = moods(a, b, &mut findings);
    polarity(&alignment, a, b, &mut findings);
    axes(a, b, &mut findings);
    direction(a, b, &mut findings);
    words_left(&alignment, &mut findings);
    let only_slips = findings.list.iter().all(|finding| finding.reason == Reason::Misspelt);
    findings.same =
        only_slips && !mood_differs && a.mood.kind.agrees(b.mood.kind) && says_the_same(&alignment);
    findings
}

fn numbers(a: &Facts, b: &Facts, findings: &mut Findings) {
    let left = |from: &Facts, to: &Facts| {
        from.values
            .iter()
            .filter(|value| !to.values.iter().any(|other| value.agrees(other)))
            .cloned()
            .collect::<Vec<_>>()
    };
    let (left_a, left_b) = (left(a, b), left(b, a));
    let clash = left_a.iter().any(|one| {
        left_b.iter().any(|other| {
            let counts_same =
                !one.of.is_empty() && one.of == other.of || !one.unit.is_empty() && one.unit == other.unit;
            !(one.is_weak || other.is_weak) || counts_same
        })
    });
    let missing = left_a.iter().chain(&left_b).any(|value| !value.is_weak);
    if clash {
        findings.veto(Reason::Number);
    } else if missing {
        findings.doubt(Reason::NumberMissing, NUMBER_MISSING);
    }
}

fn codes(a: &Facts, b: &Facts, findings: &mut Findings) {
    let left = |from: &Facts, to: &Facts| from.codes.iter().filter(|code| !to.codes.contains(code)).count();
    match (left(a, b), left(b, a)) {
        (0, 0) => {}
        (0, _) | (_, 0) => findings.doubt(Reason::CodeMissing, CODE_MISSING),
        _ => findings.veto(Reason::Code),
    }
}

fn names(alignment: &Alignment<'_>, a: &Facts, b: &Facts, findings: &mut Findings) {
    // Names on an axis that the other question stands on too (days, countries) are that axis's matter.
    let on_axis = |term: &Term, other: &Facts| {
        let mut others = other.terms.iter().flat_map(|term| term.sides);
        others.any(|stand| term.sides.iter().any(|side| side.axis == stand.axis))
    };
    let left = |left: &[&Term], other: &Facts| {
        left.iter()
            .filter(|term| term.is_name && !on_axis(term, other) && !is_initials(&term.stem, other))
            .count()
    };
    match (left(&alignment.left_a, b), left(&alignment.left_b, a)) {
        (0, 0) => {}
        (0, _) | (_, 0) => findings.doubt(Reason::NameMissing, NAME_MISSING),
        _ => findings.veto(Reason::Name),
    }
}

/// Whether a name is the initials of words that follow each other in the other question.
fn is_initials(name: &str, other: &Facts) -> bool {
    let length = name.chars().count();
    let initials =
        |terms: &[Term]| terms.iter().filter_map(|term| term.stem.chars().next()).collect::<String>();
    (2..=5).contains(&length) && other.terms.windows(length).any(|terms| initials(terms) == name)
}

fn moods(a: &Facts, b: &Facts, findings: &mut Findings) -> bool {
    let (one, other) = (a.mood, b.mood);
    if one.kind.conflicts(other.kind) {
        findings.doubt(Reason::Question, QUESTION);
    }
    let quantifiers = one.quantifiers != other.quantifiers;
    let person = one.is_third_person != other.is_third_person;
    let duty = one.is_duty != other.is_duty;
    let past = one.is_past != other.is_past;
    let owner = one.owner.is_some() && other.owner.is_some() && one.owner != other.owner;
    let differences =
        u8::from(owner) + u8::from(quantifiers) + u8::from(person) + u8::from(duty) + u8::from(past);
    if owner || quantifiers || person || (past && one.kind == other.kind) {
        findings.doubt(Reason::Mood, MOOD * f32::from(differences));
    }
    differences > 0
}

fn polarity(alignment: &Alignment<'_>, a: &Facts, b: &Facts, findings: &mut Findings) {
    let full = |term: &Term| term.weight == Weight::Full;
    let flips =
        alignment.pairs.iter().filter(|(x, y)| full(x) && full(y) && x.is_negated != y.is_negated).count();
    let turned = alignment.opposites % 2 == 1 && flips == 0;
    if turned {
        findings.veto(Reason::Opposite);
    }
    let excused = alignment.opposites > 0 && flips > 0 || axes_agree_turned(a, b);
    if a.negations % 2 != b.negations % 2 && !excused {
        let same_mood = a.mood.kind == b.mood.kind
            || matches!(
                (a.mood.kind, b.mood.kind),
                (Kind::What | Kind::Procedure, Kind::What | Kind::Procedure)
            );
        if flips > 0 && same_mood {
            findings.veto(Reason::Negation);
        } else {
            findings.doubt(Reason::Polarity, POLARITY);
        }
    }
}

/// The sides of pairs in which a question stands, negation counted in; the sides of sets as they are.
fn stands(facts: &Facts) -> Vec<Side> {
    let mut stands = Vec::new();
    for term in &facts.terms {
        for side in term.sides {
            let is_pair = LEXICON.axis(*side).is_some_and(|axis| axis.is_pair);
            let turned = is_pair && term.is_negated;
            stands
                .push(Side { axis: side.axis, side: if turned { 1 - side.side.min(1) } else { side.side } });
        }
    }
    stands
}

/// Whether a negation in one question is said by an opposite word in the other ("not open", "closed").
fn axes_agree_turned(a: &Facts, b: &Facts) -> bool {
    let (one, other) = (stands(a), stands(b));
    let turns = |facts: &Facts, stands: &[Side]| {
        facts.terms.iter().filter(|term| term.is_negated).flat_map(|term| term.sides).any(|side| {
            LEXICON.axis(*side).is_some_and(|axis| axis.is_pair)
                && stands.iter().any(|stand| stand.axis == side.axis && stand.side != side.side)
        })
    };
    turns(a, &other) || turns(b, &one)
}

fn axes(a: &Facts, b: &Facts, findings: &mut Findings) {
    let (one, other) = (stands(a), stands(b));
    let mut seen = Vec::new();
    for side in &one {
        let axis = side.axis;
        if seen.contains(&axis) {
            continue;
        }
        seen.push(axis);
        if !other.iter().any(|stand| stand.axis == axis) {
            continue;
        }
        let Some(kind) = LEXICON.axis(*side) else { continue };
        let lone =
            |from: &[Side], to: &[Side]| from.iter().any(|stand| stand.axis == axis && !to.contains(stand));
        let (lone_a, lone_b) = (lone(&one, &other), lone(&other, &one));
        let meets = one.iter().any(|stand| stand.axis == axis && other.contains(stand));
        // Of two sides, one that both have is enough ("open" in a question about closing too); of many, each may have its own.
        let clashes = if kind.is_pair { !meets } else { lone_a && lone_b };
        if !clashes {
            continue;
        }
        let axis = kind;
        match (axis.is_strict, axis.is_pair) {
            (true, true) => findings.veto(Reason::Opposite),
            (true, false) => findings.veto(Reason::Exclusive),
            (false, _) => findings.doubt(Reason::Contrast, CONTRAST),
        }
    }
}

/// "From X to Y" against "from Y to X": what one goes to, the other has but does not go to, and the reverse.
fn direction<'a>(a: &'a Facts, b: &'a Facts, findings: &mut Findings) {
    let at = |facts: &'a Facts, role: Role| {
        let of_role = move |term: &&Term| term.role == role && term.weight == Weight::Full;
        facts.terms.iter().filter(of_role).map(|term| term.head.as_str()).collect::<Vec<_>>()
    };
    let has = |facts: &Facts, head: &str| facts.terms.iter().any(|term| term.head == head);
    let swapped = |role: Role| {
        let (one, other) = (at(a, role), at(b, role));
        let apart = !one.iter().any(|head| other.contains(head));
        apart && one.iter().any(|head| has(b, head)) && other.iter().any(|head| has(a, head))
    };
    // One end is enough where it is a name; "to" stands before verbs too.
    let crossed = |from: &'a Facts, to: &'a Facts| {
        let (sources, targets) = (at(from, Role::Source), at(to, Role::Target));
        let named = |head: &str| {
            from.terms.iter().any(|term| term.head == head && (term.is_name || !term.sides.is_empty()))
        };
        sources.iter().any(|head| {
            targets.contains(head)
                && named(head)
                && !at(to, Role::Source).contains(head)
                && !at(from, Role::Target).contains(head)
        })
    };
    let both_ways = [a, b].iter().any(|facts| !at(facts, Role::Source).is_empty());
    let moved =
        both_ways && (swapped(Role::Target) || swapped(Role::Source) || crossed(a, b) || crossed(b, a));
    if moved {
        findings.veto(Reason::Direction);
    }
}

/// Whether all that the questions say is said in both: two words of matter at least, and nothing left over but what asks politely.
fn says_the_same(alignment: &Alignment<'_>) -> bool {
    let full = alignment.pairs.iter().filter(|(a, _)| a.weight == Weight::Full).count();
    let left = alignment.left_a.iter().chain(&alignment.left_b);
    full >= 2 && left.into_iter().all(|term| FRAME.contains(&term.stem.as_str()))
}

/// Stems of words that only frame a question.
const FRAME: [&str; 18] = [
    "get", "do", "want", "lik", "tel", "possibl", "abl", "way", "step", "proces", "procedur", "help", "let",
    "need", "wish", "go", "try", "look",
];

/// Words that the other question does not have. A sentence that is the same but for one word has a high cosine whatever the
/// word, so the more words are shared, the more a word that is not is held against the pair.
fn words_left(alignment: &Alignment<'_>, findings: &mut Findings) {
    let full = |left: &[&Term]| left.iter().filter(|term| term.weight == Weight::Full).count();
    let most = weight(alignment.left_a.iter().copied()).max(weight(alignment.left_b.iter().copied()));
    let shared = weight(alignment.pairs.iter().map(|(a, _)| *a));
    let likeness = (shared / (shared + most).max(1.0)).max(0.0);
    match (full(&alignment.left_a), full(&alignment.left_b)) {
        (0, 0) => {}
        (0, _) | (_, 0) => {
            let left = alignment.left_a.iter().chain(&alignment.left_b);
            let narrows = left.into_iter().any(|term| term.weight == Weight::Full && !term.sides.is_empty());
            findings.doubt(Reason::Added, if narrows { ADDED_NARROWING } else { ADDED } * likeness);
        }
        _ => findings.doubt(Reason::Substituted, SUBSTITUTED * likeness),
    }
    if is_turned(alignment) {
        findings.doubt(Reason::Order, ORDER);
    }
    if alignment.slips > 0 {
        findings.doubt(Reason::Misspelt, MISSPELT);
    }
}

/// Whether the same words stand in an order that is not the old one with its parts moved round ("in the shower, why ..."), as
/// when the one who does and the one to whom it is done change places.
fn is_turned(alignment: &Alignment<'_>) -> bool {
    if !(alignment.left_a.is_empty() && alignment.left_b.is_empty()) || alignment.pairs.len() < 3 {
        return false;
    }
    let mut pairs: Vec<_> =
        alignment.pairs.iter().filter(|(a, _)| a.weight == Weight::Full).map(|(a, b)| (a.at, b.at)).collect();
    pairs.sort_unstable();
    let falls = pairs.windows(2).filter(|pair| matches!(pair, [one, next] if one.1 > next.1)).count();
    falls > 1
}
