//! The customer-support bot: two hosts of one cheap model, a careful one behind them, and canned answers.

use crate::page::{Design, shows};
use crate::stand::{Stand, TEXT, answers, question};
use serde_json::{Value, json};
use tollgate_simulator::{Behaviour, Fault, Rule};

const GROQ: &str = "llama-groq";
const TOGETHER: &str = "llama-together";
const LARGE: &str = "openai-large";

async fn start() -> Stand {
    Stand::start(Design::Support).await
}

fn kettle() -> Value {
    question("support", "My kettle hums. Is that normal?")
}

fn order() -> Value {
    question("support", "Where is my order, please?")
}

#[tokio::test]
async fn all_is_well_and_the_hosts_take_turns() {
    let stand = start().await;
    for model in ["support", "support", "support-fast", "support-fast"] {
        let mut body = kettle();
        body["model"] = model.into();
        let told = stand.stream(&body).await;
        answers(&told);
        shows("support well", &told.head);
    }
    assert_eq!(stand.site.sends([GROQ, TOGETHER, LARGE]), [2, 2, 0]);
    stand.stop().await;
}

#[tokio::test]
async fn one_host_fails_and_the_other_answers_until_it_is_back() {
    let stand = start().await;
    stand.let_fail(&[GROQ], &Fault::status(500));
    let mut retried = 0;
    for _ in 0..20 {
        let told = stand.stream(&kettle()).await;
        answers(&told);
        if told.header("x-litellm-attempted-retries") != Some("0") {
            shows("support retried", &told.head);
            retried += 1;
        }
    }
    assert_eq!((retried, stand.site.sends([GROQ, TOGETHER, LARGE])), (3, [3, 20, 0]));
    stand.let_fail(&[], &Fault::status(500));
    stand.sent();
    let is_back = |stand: &Stand| stand.site.sends([GROQ]) != [0];
    while !is_back(&stand) {
        assert_eq!(stand.ask(&kettle()).await.content(), TEXT);
        tokio::time::sleep(crate::support::ms(50)).await;
    }
    stand.stop().await;
}

#[tokio::test]
async fn the_cheap_model_is_slow_or_down_and_the_careful_one_answers() {
    for fault in [Fault::status(429), Fault::status(500), Fault::Hang] {
        let stand = start().await;
        stand.let_fail(&[GROQ, TOGETHER], &fault);
        let told = stand.stream(&kettle()).await;
        answers(&told);
        shows("support careful", &told.head);
        let mut sent = stand.sent();
        assert_eq!(sent.pop().as_deref(), Some(LARGE), "{fault:?}");
        sent.sort();
        assert_eq!(sent, [GROQ, TOGETHER], "{fault:?}");
        stand.stop().await;
    }
}

#[tokio::test]
async fn nothing_answers_and_no_caller_sees_an_error() {
    let stand = start().await;
    stand.let_fail(&[GROQ, TOGETHER, LARGE], &Fault::status(500));
    let answer = stand.ask(&order()).await;
    shows("support canned", &answer);
    assert!(answer.content().starts_with("Orders arrive within three working days."));
    assert_eq!(stand.site.sends([GROQ, TOGETHER, LARGE]), [1, 1, 2]);
    let told = stand.stream(&kettle()).await;
    shows("support canned", &told.head);
    assert!(told.text().starts_with("I cannot answer that right now."), "{}", told.body());
    stand.stop().await;
}

#[tokio::test]
async fn an_answer_that_does_not_do_moves_on() {
    let stand = start().await;
    let says = |names: &[&str], text: &str| {
        let rule = |name: &&str| Rule::deployment(*name, Behaviour::new().text(text));
        names.iter().map(rule).chain([Rule::any(Behaviour::new().text(TEXT))]).collect()
    };
    stand.site.simulator.script().set_rules(says(&[GROQ, TOGETHER], ""));
    let told = stand.stream(&kettle()).await;
    answers(&told);
    shows("support careful", &told.head);
    assert_eq!(stand.sent().last().map(String::as_str), Some(LARGE));
    let mut wants_json = question("support", "Is it normal that a kettle hums? Answer in JSON.");
    wants_json["response_format"] = json!({"type": "json_object"});
    let script = stand.site.simulator.script();
    script.set_rules(says(&[GROQ, TOGETHER], "Not JSON at all."));
    shows("support careful", &stand.ask(&wants_json).await);
    stand.stop().await;
}
