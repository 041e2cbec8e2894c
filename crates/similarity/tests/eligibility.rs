//! Which requests may be answered from likeness.

use tollgate_similarity::{Allowed, Ineligible, Request, eligible};

fn check(question: &str, expect: Result<(), Ineligible>) {
    let request = Request { question, user_messages: 1 };
    assert_eq!(eligible(request, Allowed::default()), expect, "{question}");
}

#[test]
fn what_stays_true_for_all_who_ask_is_eligible() {
    for question in [
        "How do I cancel my subscription?",
        "What is the notice period to end a tenancy?",
        "How do I check my balance?",
        "Why is my balance lower than it was?",
        "How do I update the app to the latest version?",
        "How do I write a formal letter to my landlord?",
        "Can I create an account with my work e-mail?",
        "I lost my card yesterday, how do I block it?",
        "What are 3 rules for orders over 10,000?",
        "Is parking free?",
        "reset password",
    ] {
        check(question, Ok(()));
    }
}

#[test]
fn what_changes_with_time_is_not() {
    for question in [
        "Are you open today?",
        "What's the weather in Paris?",
        "What is the stock price of Acme?",
        "Is the shop open now?",
        "What is the latest news?",
        "What time is it in Tokyo?",
        "Who won the match last night?",
        "Is there a sale this weekend?",
    ] {
        check(question, Err(Ineligible::TimeDependent));
    }
    let allowed = Allowed { time_dependent: true, ..Allowed::default() };
    assert_eq!(eligible(Request { question: "Are you open today?", user_messages: 1 }, allowed), Ok(()));
}

#[test]
fn what_is_of_one_person_is_not() {
    check("Is a.person@example.org still my address?", Err(Ineligible::Personal));
    check("Why was order 48213 refused?", Err(Ineligible::Personal));
    check("Is card 4111 1111 1111 1111 blocked?", Err(Ineligible::Personal));
    check("My name is Jo Doe, what is my plan?", Err(Ineligible::Personal));
    check("What is my balance?", Err(Ineligible::OwnState));
    check("Where is my order?", Err(Ineligible::OwnState));
    check("Show me my last payment", Err(Ineligible::OwnState));
}

#[test]
fn what_is_wanted_anew_each_time_is_not() {
    for question in [
        "Write a poem about rain",
        "Tell me a joke",
        "Pick a number from 1 to 10",
        "Surprise me",
        "Please compose a short haiku",
    ] {
        check(question, Err(Ineligible::Creative));
    }
}

#[test]
fn what_leans_on_words_before_it_is_not() {
    for question in ["cancel it", "and for two adults?", "yes", "why?", "what about that one"] {
        check(question, Err(Ineligible::Dangling));
    }
    let request = Request { question: "How do I cancel my plan?", user_messages: 2 };
    assert_eq!(eligible(request, Allowed::default()), Err(Ineligible::Conversation));
    assert_eq!(eligible(request, Allowed { conversations: true, ..Allowed::default() }), Ok(()));
}

#[test]
fn code_and_long_texts_are_not_and_neither_is_nothing() {
    check("What does ```let x = 1;``` do?", Err(Ineligible::Code));
    check("for (i) { a(); };", Err(Ineligible::Code));
    check(&"word ".repeat(200), Err(Ineligible::TooLong));
    check(" ?! ", Err(Ineligible::Empty));
}
