//! Intervals, thresholds, the study's figures and the choice among closed answers.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use proptest::prelude::*;
use tollgate_similarity::evaluate::{Guards, Sample, guards, recommend, sweep, thresholds};
use tollgate_similarity::{
    Calibration, Closed, ClosedError, DOWNS_MAX, Facts, Feedback, Phrasing, Reason, SCORE_MIN, beta_quantile,
    compare, wilson,
};

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() < 5e-4
}

#[test]
fn intervals_are_those_of_the_books() {
    // Wilson's interval of 1 in 10 and 0 in 10; Clopper and Pearson's upper bound for 0 in 100 at 95 %: 1 - 0.05^(1/100).
    let (low, high) = wilson(1, 10);
    assert!(near(low, 0.0179) && near(high, 0.4042), "{low} {high}");
    assert!(near(wilson(0, 10).1, 0.2775));
    assert_eq!(wilson(0, 0), (0.0, 1.0));
    assert_eq!(wilson(3, 2), (0.0, 1.0));
    assert!(near(beta_quantile(1.0, 100.0, 0.95), 1.0 - 0.05_f64.powf(0.01)));
    assert!(near(beta_quantile(2.0, 3.0, 0.5), 0.3857));
    assert!(near(beta_quantile(0.5, 0.5, 0.5), 0.5));
    assert_eq!(beta_quantile(0.0, 1.0, 0.5).to_bits(), 1.0_f64.to_bits());
}

#[test]
fn without_labels_the_threshold_is_that_of_general_data_and_falls_with_the_error_rate() {
    let fresh = Calibration::default();
    let at: Vec<f32> = [0.001, 0.01, 0.02, 0.05, 0.2].iter().map(|rate| fresh.threshold(*rate)).collect();
    assert!(at.windows(2).all(|pair| pair[0] >= pair[1]), "{at:?}");
    assert!((at[0] - 1.0).abs() < f32::EPSILON, "nothing but the same text at one in a thousand: {at:?}");
    assert!((0.90..=0.97).contains(&at[1]) && (0.84..=0.92).contains(&at[2]), "{at:?}");
    assert!(at[4] >= SCORE_MIN);
}

#[test]
fn right_answers_bring_the_threshold_down_and_wrong_ones_put_it_up() {
    let fresh = Calibration::default().threshold(0.02);
    let mut good = Calibration::default();
    let mut bad = Calibration::default();
    for step in 0..400_u16 {
        let score = 0.7 + f32::from(step % 30) / 100.0;
        good.learn(score, true);
        bad.learn(score, step % 3 != 0);
    }
    assert!(good.threshold(0.02) < fresh - 0.05, "{} {fresh}", good.threshold(0.02));
    assert!(bad.threshold(0.02) > fresh, "{} {fresh}", bad.threshold(0.02));
    let mut few = Calibration::default();
    for _ in 0..3 {
        few.learn(0.9, true);
    }
    assert!((few.threshold(0.02) - fresh).abs() <= 0.02, "three labels move it by a bin or two at most");
}

#[test]
fn a_state_survives_json_and_a_bad_one_is_refused() {
    let mut state = Calibration::default();
    state.learn(0.91, true);
    state.learn(0.75, false);
    state.learn(0.2, false);
    state.learn(f32::NAN, true);
    let json = serde_json::to_string(&state).unwrap();
    assert!(json.len() < 1_000, "{}", json.len());
    let again: Calibration = serde_json::from_str(&json).unwrap();
    assert_eq!(again, state);
    assert!((again.labels() - 2.0).abs() < f64::EPSILON);
    for bad in ["{}", r#"{"right":[1.0],"wrong":[]}"#, &json.replacen("0.0", "-1.0", 1)] {
        assert!(serde_json::from_str::<Calibration>(bad).is_err(), "{bad}");
    }
}

#[test]
fn thumbs_down_raise_an_entrys_threshold_and_then_remove_it() {
    let down = |down| Feedback { up: 0, down }.threshold(0.8);
    assert_eq!(down(0), Some(0.8));
    assert!(down(1).unwrap() > 0.89 && down(2) > down(1));
    assert_eq!(down(DOWNS_MAX), None);
    assert_eq!(Feedback { up: 4, down: 1 }.threshold(0.8), Some(0.8));
}

fn sample(a: &str, b: &str, cosine: f32, right: bool) -> Sample {
    Sample { cosine, findings: compare(&Facts::of(a), &Facts::of(b)), right, cost: 10 }
}

fn study() -> Vec<Sample> {
    vec![
        sample("Are you open on Monday?", "Are you open on Friday?", 0.95, false),
        sample("How do I lock my card?", "How do I unlock my card?", 0.9, false),
        sample("How do I cancel my plan?", "how can I cancel my plan", 0.97, true),
        sample("Is there parking?", "Can I leave my car somewhere?", 0.75, true),
        sample("Are you open on Monday?", "Are you open all days, Tuesday too?", 0.92, true),
    ]
}

#[test]
fn a_study_counts_what_is_served_with_and_without_guards() {
    let rows = sweep(&study(), Guards::Off, &[0.91, 0.70]);
    assert_eq!(
        rows.iter().map(|row| (row.right, row.wrong, row.saved)).collect::<Vec<_>>(),
        [(3, 2, 30), (2, 1, 20)]
    );
    let rows = sweep(&study(), Guards::On, &[0.70, 0.91]);
    assert_eq!(rows.iter().map(|row| (row.asked, row.right, row.wrong)).collect::<Vec<_>>()[1], (5, 1, 0));
    assert_eq!(rows[1].hits(), 1);
    assert!(near(rows[1].hit_rate(), 0.2));
    assert_eq!(rows[1].wrong_interval, wilson(0, 1));
    let steps = thresholds();
    assert_eq!(
        (steps.len(), steps[0].to_bits(), steps[29].to_bits()),
        (30, 0.70_f32.to_bits(), 0.99_f32.to_bits())
    );
    assert!(sweep(&[], Guards::On, &[0.8])[0].hit_rate().abs() < f64::EPSILON);
}

#[test]
fn a_study_says_what_each_guard_adds_and_costs() {
    let rows = guards(&study(), 0.7);
    let of = |reason| {
        rows.iter()
            .find(|row| row.reason == reason)
            .map(|row| (row.vetoed, row.wrong_stopped, row.right_lost))
    };
    assert_eq!(of(Reason::Exclusive), Some((2, 1, 1)));
    assert_eq!(of(Reason::Opposite), Some((1, 1, 0)));
    assert_eq!(of(Reason::Language), None);
}

#[test]
fn a_recommended_threshold_keeps_to_the_error_rate() {
    let scored =
        [(0.9, true), (0.95, true), (0.8, false), (0.8, true), (0.7, true), (0.6, false), (f32::NAN, false)];
    let found = recommend(&scored, 0.2).unwrap();
    assert_eq!((found.threshold, found.hits, found.wrong), (0.7, 5, 1));
    let strict = recommend(&scored, 0.01).unwrap();
    assert_eq!((strict.threshold, strict.hits, strict.wrong_interval), (0.9, 2, wilson(0, 2)));
    assert_eq!(recommend(&[(0.9, false)], 0.1), None);
    assert_eq!(recommend(&[], 0.1), None);
}

/// A unit vector of four dimensions from two angles.
fn vector(one: f32, other: f32) -> Vec<f32> {
    vec![one.cos() * other.cos(), one.sin() * other.cos(), other.sin() * 0.6, other.sin() * 0.8]
}

fn closed(questions: &[(&str, u32, Vec<f32>)]) -> Closed {
    let facts: Vec<Facts> = questions.iter().map(|(text, ..)| Facts::of(text)).collect();
    let phrasings: Vec<Phrasing<'_>> = questions
        .iter()
        .zip(&facts)
        .map(|((_, answer, vector), facts)| Phrasing { answer: *answer, vector, facts })
        .collect();
    Closed::new(&phrasings).unwrap()
}

fn faq() -> Vec<(&'static str, u32, Vec<f32>)> {
    vec![
        ("How do I cancel my plan?", 7, vector(0.0, 0.1)),
        ("I want to end my plan", 7, vector(0.1, 0.2)),
        ("How do I change my plan?", 8, vector(0.6, 0.1)),
        ("Where is your office?", 9, vector(1.5, 0.4)),
    ]
}

#[test]
fn the_nearest_answer_is_chosen_and_is_surer_the_farther_the_next_one_is() {
    let tier = closed(&faq());
    let clear = tier.best(&vector(0.0, 0.15), &Facts::of("Please cancel my plan")).unwrap();
    let torn = tier.best(&vector(0.33, 0.12), &Facts::of("something about plans")).unwrap();
    assert_eq!((clear.answer, clear.is_vetoed()), (7, false));
    assert!(clear.score > torn.score && clear.margin > torn.margin, "{clear:?} {torn:?}");
    assert!((0.0..=1.0).contains(&torn.score));
}

#[test]
fn words_in_common_decide_between_answers_that_are_as_near() {
    let tier = closed(&faq());
    let middle = vector(0.41, 0.12);
    assert_eq!(tier.best(&middle, &Facts::of("cancel")).map(|choice| choice.answer), Some(7));
    assert_eq!(tier.best(&middle, &Facts::of("change")).map(|choice| choice.answer), Some(8));
}

#[test]
fn a_guard_forbids_a_closed_answer_only_where_it_forbids_all_its_phrasings() {
    let open_at = |day: &'static str, at: f32| (day, 1, vector(at, 0.1));
    let other = ("Where is your office?", 2, vector(1.5, 0.4));
    let question = Facts::of("Are you open on Monday?");
    let one = closed(&[open_at("Are you open on Friday?", 0.0), other.clone()]);
    assert!(one.best(&vector(0.0, 0.1), &question).unwrap().is_vetoed());
    let two =
        closed(&[open_at("Are you open on Friday?", 0.0), open_at("Which days are you open?", 0.3), other]);
    assert!(!two.best(&vector(0.0, 0.1), &question).unwrap().is_vetoed());
}

#[test]
fn a_tier_of_nothing_or_of_unlike_vectors_answers_nothing() {
    let facts = Facts::of("x");
    assert_eq!(Closed::new(&[]).unwrap().best(&[], &facts), None);
    let (short, long) = (vec![1.0], vec![1.0, 0.0]);
    let unlike = [
        Phrasing { answer: 1, vector: &short, facts: &facts },
        Phrasing { answer: 2, vector: &long, facts: &facts },
    ];
    assert_eq!(Closed::new(&unlike).err(), Some(ClosedError::Dimensions));
    let alone = Closed::new(&unlike[1..]).unwrap();
    assert_eq!(alone.best(&short, &facts), None);
    let only = alone.best(&long, &facts).unwrap();
    assert!((only.score - 1.0).abs() < 1e-6 && (only.cosine - 1.0).abs() < 1e-6);
}

proptest! {
    #[test]
    fn a_score_does_not_depend_on_the_order_of_phrasings(turn in 0_usize..4, at in 0.0_f32..1.6) {
        let mut turned = faq();
        turned.rotate_left(turn);
        let question = Facts::of("How do I change it?");
        let one = closed(&faq()).best(&vector(at, 0.2), &question).unwrap();
        let other = closed(&turned).best(&vector(at, 0.2), &question).unwrap();
        prop_assert_eq!(one.answer, other.answer);
        prop_assert!((one.score - other.score).abs() < 1e-4);
    }

    #[test]
    fn any_outcomes_give_a_threshold_in_range(labels in prop::collection::vec((0.0_f32..1.2, any::<bool>()), 0..200), rate in 0.0..1.0_f64) {
        let mut state = Calibration::default();
        for (score, right) in labels {
            state.learn(score, right);
        }
        let threshold = state.threshold(rate);
        prop_assert!((SCORE_MIN..=1.0).contains(&threshold));
        prop_assert!(state.curve().level.is_finite() && state.curve().slope >= 1.0);
    }
}
