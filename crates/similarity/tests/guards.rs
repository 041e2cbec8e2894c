//! What each guard finds in a pair of questions, and what none of them may find.

use proptest::prelude::*;
use tollgate_similarity::{Facts, Reason, Verdict, Weighs, compare, judge};

/// The names of what is found, vetoes with a mark.
fn found(a: &str, b: &str) -> Vec<String> {
    let findings = compare(&Facts::of(a), &Facts::of(b));
    let name = |weighs: Weighs, reason: Reason| match weighs {
        Weighs::Veto => format!("{}!", reason.name()),
        Weighs::Doubt(_) => reason.name().to_owned(),
    };
    findings.list().iter().map(|finding| name(finding.weighs, finding.reason)).collect()
}

fn check_veto(a: &str, b: &str, reason: Reason) {
    let names = found(a, b);
    assert!(names.contains(&format!("{}!", reason.name())), "{a} | {b}: {names:?}");
}

fn check_no_veto(a: &str, b: &str) {
    let names = found(a, b);
    assert!(!names.iter().any(|name| name.ends_with('!')), "{a} | {b}: {names:?}");
}

fn check_same(a: &str, b: &str) {
    let findings = compare(&Facts::of(a), &Facts::of(b));
    assert!(findings.is_same(), "{a} | {b}: {:?}", found(a, b));
    assert_eq!(findings.verdict(0.8), Verdict::Serve);
}

#[test]
fn different_numbers_veto() {
    for (a, b) in [
        ("Where is the invoice 48213?", "Where is the invoice 48231?"),
        ("How much is a 10GB plan?", "How much is a 100GB plan?"),
        ("How many calories are in one egg?", "How many calories are in three eggs?"),
        ("Can I return it after 14 days?", "Can I return it after 30 days?"),
        ("Convert 100 dollars", "Convert one thousand dollars"),
        ("What is 15% of 200?", "What is 20% of 200?"),
        ("What are the rules for the tax year 2025/26?", "What are the rules for the tax year 2021/22?"),
        ("Is the lounge open at 9am?", "Is the lounge open at 9pm?"),
        ("How much is a two-hour lesson?", "How much is a four-hour lesson?"),
        ("Can a 17-year-old rent a car?", "Can a 21 year old rent a car?"),
    ] {
        check_veto(a, b, Reason::Number);
    }
}

#[test]
fn the_same_number_in_other_words_is_no_clash() {
    for (a, b) in [
        ("Can I return it after 14 days?", "Can I still send it back after two weeks?"),
        ("Transfer £50 to my savings", "Move fifty pounds to my savings"),
        ("What is 15% of 200?", "Calculate fifteen percent of two hundred"),
        ("Is a deposit of 1,000 euros enough?", "Is a deposit of €1000 enough?"),
        ("Can I retire at 55?", "Can I retire at 55 years of age?"),
        ("Do you open at 9:30 am?", "Do you open at 9.30am?"),
        ("How long is 1 year of cover?", "How long is 12 months of cover?"),
    ] {
        let names = found(a, b);
        assert!(!names.iter().any(|name| name.starts_with("number")), "{a} | {b}: {names:?}");
    }
}

#[test]
fn a_number_in_one_of_them_only_is_a_doubt() {
    assert!(
        found("My card has not come after 2 weeks", "My card has not come")
            .contains(&"number_missing".to_owned())
    );
}

#[test]
fn different_names_and_codes_veto() {
    check_veto("When does the Camden branch open?", "When does the Brixton branch open?", Reason::Name);
    check_veto("Who is the CEO of Microsoft?", "Who is the CEO of Oracle?", Reason::Name);
    check_veto("How do I fill in form P45?", "How do I fill in form P60?", Reason::Code);
    check_veto("Is model AB-12X in stock?", "Is model AB-14X in stock?", Reason::Code);
    check_veto("Compile with C++", "Compile with C#", Reason::Name);
}

#[test]
fn names_are_known_again_in_small_letters_and_as_initials() {
    check_no_veto("How do I link my GitHub account?", "how do i link my github account");
    check_no_veto("Can I get antibiotics for a UTI?", "Can I get antibiotics for a Urinary Tract Infection?");
    check_no_veto("HOW DO I CANCEL MY PLAN", "How do I cancel my plan?");
}

#[test]
fn a_negation_of_the_same_thing_vetoes() {
    for (a, b) in [
        ("Cancel my subscription", "Don't cancel my subscription"),
        ("What happens if I pay my bill on time?", "What happens if I don't pay my bill on time?"),
        ("What is included in the price?", "What's not included in the price?"),
        ("Should I water cacti in winter?", "Should I stop watering cacti in winter?"),
        ("Can I travel with a visa?", "Can I travel without a visa?"),
    ] {
        check_veto(a, b, Reason::Negation);
    }
}

#[test]
fn a_negation_that_the_other_says_with_an_opposite_word_is_none() {
    check_no_veto("Why is the shop not open?", "Why is the shop closed?");
    check_no_veto("What is not included?", "What is excluded?");
    check_no_veto("I do not know how to cancel my plan", "How do I cancel my plan?");
    check_no_veto("My transfer has not arrived", "When will my transfer arrive?");
}

#[test]
fn opposite_words_veto() {
    for (a, b) in [
        ("How do I enable dark mode?", "How do I disable dark mode?"),
        ("How do I lock my card?", "How do I unlock my card?"),
        ("How do I archive a project?", "How do I unarchive a project?"),
        ("Which device uses the most power?", "Which device uses the least power?"),
        ("How do I turn the heating on?", "How do I turn the heating off?"),
        ("How do I turn my water supply on?", "How do I cut off my water supply?"),
        ("Is it legal to park here?", "Is it illegal to park here?"),
        ("How do I increase my limit?", "How do I reduce my limit?"),
        ("What are the benefits of it?", "What are the drawbacks of it?"),
    ] {
        let names = found(a, b);
        assert!(names.iter().any(|name| name == "opposite!" || name == "exclusive!"), "{a} | {b}: {names:?}");
    }
}

#[test]
fn words_that_exclude_each_other_veto() {
    for (a, b) in [
        ("Are you open on Saturday?", "Are you open on Sunday?"),
        ("What is the cap from October?", "What is the cap from January?"),
        ("What is the dose for adults?", "What is the dose for children?"),
        ("What does my home insurance cover?", "What does my car insurance cover?"),
        ("How do I change my billing address?", "How do I change my delivery address?"),
        ("What is check-in time?", "What is check-out time?"),
        ("Is it cheap in spring?", "Is it cheap in autumn?"),
        ("Can I opt in to the pension?", "Can I opt out of the pension?"),
        ("What is delivery for orders under £50?", "What is delivery for orders over £50?"),
        ("How do I book for myself?", "How do I book for my mother?"),
        ("What does the blue light mean?", "What does the red light mean?"),
    ] {
        check_veto(a, b, Reason::Exclusive);
    }
}

#[test]
fn the_way_there_is_not_the_way_back() {
    check_veto("How do I get from Leeds to York?", "How do I get from York to Leeds?", Reason::Direction);
    check_veto(
        "Move my ISA from Acme to Vanguard",
        "I want to move my Vanguard ISA over to Acme",
        Reason::Direction,
    );
    check_no_veto("How do I get from Leeds to York?", "How do I get to York from Leeds?");
}

#[test]
fn another_language_vetoes_and_a_short_text_says_too_little() {
    check_veto("How do I cancel my plan?", "Wie kann ich meinen Plan kündigen?", Reason::Language);
    check_veto("How do I cancel my plan?", "Как мне отменить подписку?", Reason::Language);
    check_veto("请问怎么取消", "キャンセルするにはどうすればいいですか", Reason::Language);
    check_no_veto("reset password", "password reset");
}

#[test]
fn what_is_asked_for_is_a_doubt() {
    let names = found("Where is the office?", "When is the office open?");
    assert!(names.contains(&"question".to_owned()), "{names:?}");
    assert!(
        !found("How do I cancel?", "What is the process for cancelling?").contains(&"question".to_owned())
    );
}

#[test]
fn the_more_is_shared_the_more_another_word_weighs() {
    let strength = |a: &str, b: &str| {
        let findings = compare(&Facts::of(a), &Facts::of(b));
        findings.list().iter().find_map(|finding| match (finding.reason, finding.weighs) {
            (Reason::Substituted, Weighs::Doubt(strength)) => Some(strength),
            _ => None,
        })
    };
    let near = strength(
        "What does it cost to replace a radiator valve?",
        "What does it cost to replace a boiler valve?",
    )
    .unwrap();
    let far =
        strength("What does a radiator valve cost?", "Roughly how dear would a boiler come?").unwrap_or(0.0);
    assert!(near > far, "{near} {far}");
}

#[test]
fn the_same_words_are_served_whatever_the_vector_says() {
    check_same(
        "How do I change my broadband password?",
        "Hi, how can I change my broadband password? Thanks!",
    );
    check_same("In the shower, why is my water pressure low?", "Why is my water pressure low in the shower?");
    check_same("How do I top up my travel card?", "um how do i top up my travel card");
    check_same("Do you offer a vegetarian set menu?", "Do you offer a vegitarian set menu?");
    check_same(
        "How do I cancel my mobile contract?",
        "I'd like to cancel my mobile contract, how do I do that?",
    );
}

#[test]
fn the_same_words_with_another_owner_or_order_are_not_the_same() {
    for (a, b) in [
        ("Can I order a new card?", "Can I order another new card?"),
        ("What must be done to verify my identity?", "Why must I verify my identity?"),
        ("Did the train arrive in London?", "Will the train arrive in London?"),
        ("What is my account name?", "What is your account name?"),
    ] {
        assert!(!compare(&Facts::of(a), &Facts::of(b)).is_same(), "{a} | {b}");
    }
    let names = found("Can a tenant sue a surveyor early", "Early can a surveyor sue a tenant");
    assert!(names.contains(&"order".to_owned()), "{names:?}");
}

#[test]
fn a_text_that_is_not_read_whole_is_never_judged() {
    let long = "how do i cancel my plan ".repeat(400);
    check_veto(&long, &long, Reason::Unread);
}

#[test]
fn a_guard_left_out_no_longer_counts() {
    let findings = compare(&Facts::of("Are you open on Monday?"), &Facts::of("Are you open on Friday?"));
    assert_eq!(findings.score(0.95), None);
    assert!(findings.without(Reason::Exclusive).score(0.95).is_some());
}

#[test]
fn every_reason_has_its_own_name() {
    let mut names: Vec<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Reason::ALL.len());
}

fn question() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "how", "do", "I", "not", "cancel", "my", "card", "from", "to", "London", "York", "two", "10GB",
        "£50", "after", "before", "open", "closed", "turn", "on", "off", "Monday", "May", "may", "children",
        "never", "unlock", "lock", "twenty", "hundred", "and", "%", "A-1", "C++", "what", "is", "the",
        "price", "?", ",", "naïve", "取", "消",
    ]);
    prop::collection::vec(word, 1..14).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn findings_are_the_same_both_ways(a in question(), b in question()) {
        let (one, other) = (Facts::of(&a), Facts::of(&b));
        let sorted = |findings: tollgate_similarity::Findings| {
            let mut list: Vec<_> = findings.list().iter().map(|f| (f.reason, format!("{:?}", f.weighs))).collect();
            list.sort();
            (list, findings.is_same())
        };
        prop_assert_eq!(sorted(compare(&one, &other)), sorted(compare(&other, &one)));
    }

    #[test]
    fn a_question_is_served_its_own_answer(a in question(), cosine in -1.0_f32..=1.0) {
        prop_assert_eq!(judge(&Facts::of(&a), &Facts::of(&a), cosine), Verdict::Serve);
    }

    #[test]
    fn capitals_and_closing_marks_change_nothing(a in "[a-z ]{1,60}") {
        let loud = format!("{}?!", a.to_uppercase());
        prop_assert_eq!(judge(&Facts::of(&a), &Facts::of(&loud), 0.9), Verdict::Serve);
    }

    #[test]
    fn any_text_is_read(a in any::<String>(), b in any::<String>()) {
        let _ = judge(&Facts::of(&a), &Facts::of(&b), 0.9);
    }
}
