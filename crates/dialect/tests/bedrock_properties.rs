//! Properties of every Converse body that the encoder writes, whatever the conversation.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use proptest::prelude::*;
use serde_json::Value;
use std::collections::HashSet;
use tollgate_dialect::bedrock::{decode_request, encode_chat};
use tollgate_dialect::conversation::{
    CacheControl, ChatRequest, Issuer, MediaSource, Message, Part, Role, Sampling, Signature, Tool,
    ToolChoice, ToolKind,
};
use tollgate_dialect::wire::{Dialect, EncodeOptions, Outbound};

/// One step of a conversation: who speaks what, or a round of calls and their results.
#[derive(Debug, Clone)]
enum Step {
    Says(Role, Vec<String>),
    /// Names of documents.
    Shows(Vec<String>),
    /// Ids of the calls; the results come in the order that the flag says, with text before them if there is one.
    Calls(Vec<String>, bool, Option<String>),
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), Just(" \n".to_owned()), "[a-z]{1,5} ?", "\\PC{0,6}"]
}

fn step() -> impl Strategy<Value = Step> {
    let role = prop_oneof![
        Just(Role::System),
        Just(Role::Developer),
        Just(Role::User),
        Just(Role::User),
        Just(Role::Assistant)
    ];
    let says = (role, prop::collection::vec(text(), 0..3)).prop_map(|(role, texts)| Step::Says(role, texts));
    let shows = prop::collection::vec("\\PC{0,8}(\\.pdf)?", 1..3).prop_map(Step::Shows);
    let id = prop_oneof!["[a-c]", "call[._:/]1", "\\PC{0,3}", "x{70}"];
    let calls = (prop::collection::vec(id, 1..4), any::<bool>(), prop::option::of(text()))
        .prop_map(|(ids, reversed, said)| Step::Calls(ids, reversed, said));
    prop_oneof![3 => says, 1 => shows, 1 => calls]
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None }
}

fn document(name: &str) -> Part {
    Part::File {
        source: MediaSource::Base64 { media_type: "application/pdf".to_owned(), data: "aGk=".to_owned() },
        filename: Some(name.to_owned()),
        context: None,
        citations: false,
        cache_control: None,
    }
}

fn round(ids: &[String], reversed: bool, said: Option<&String>) -> Vec<Message> {
    let call = |id: &String| Part::ToolCall {
        id: id.clone(),
        name: "f".to_owned(),
        arguments: "{}".to_owned(),
        is_custom: false,
        signature: None,
    };
    let result = |id: &String| Part::ToolResult {
        call_id: id.clone(),
        content: vec![Part::text(id)],
        is_error: false,
        cache_control: None,
    };
    let mut messages = vec![message(Role::Assistant, ids.iter().map(call).collect())];
    messages.extend(said.map(|said| message(Role::User, vec![Part::text(said)])));
    let mut results: Vec<Message> = ids.iter().map(|id| message(Role::Tool, vec![result(id)])).collect();
    if reversed {
        results.reverse();
    }
    messages.extend(results);
    messages
}

fn encode(steps: &[Step]) -> Outbound {
    let mut messages: Vec<Message> = steps
        .iter()
        .flat_map(|step| match step {
            Step::Says(role, texts) => vec![message(*role, texts.iter().map(Part::text).collect())],
            Step::Shows(names) => {
                vec![message(Role::User, names.iter().map(|name| document(name)).collect())]
            }
            Step::Calls(ids, reversed, said) => round(ids, *reversed, said.as_ref()),
        })
        .collect();
    if messages.is_empty() {
        messages.push(message(Role::User, Vec::new()));
    }
    let request = ChatRequest { model: "anthropic.m".to_owned(), messages, ..ChatRequest::default() };
    encode_chat(&request, &EncodeOptions::default()).unwrap()
}

fn body(steps: &[Step]) -> Value {
    serde_json::from_slice(&encode(steps).body).unwrap()
}

fn blocks(turn: &Value) -> &[Value] {
    turn["content"].as_array().unwrap()
}

fn of_kind<'v>(turn: &'v Value, kind: &'v str) -> impl Iterator<Item = &'v Value> {
    blocks(turn).iter().filter_map(move |block| block.get(kind))
}

fn ids(turn: &Value, kind: &str) -> Vec<String> {
    of_kind(turn, kind).map(|block| block["toolUseId"].as_str().unwrap().to_owned()).collect()
}

proptest! {
    #[test]
    fn roles_alternate_from_user_and_no_text_is_blank(steps in prop::collection::vec(step(), 0..12)) {
        let body = body(&steps);
        let turns = body["messages"].as_array().unwrap();
        prop_assert!(!turns.is_empty());
        for (index, turn) in turns.iter().enumerate() {
            prop_assert_eq!(&turn["role"], if index % 2 == 0 { "user" } else { "assistant" });
            prop_assert!(!blocks(turn).is_empty());
            for text in of_kind(turn, "text") {
                prop_assert!(!text.as_str().unwrap().trim().is_empty());
            }
            let shows = of_kind(turn, "document").next().is_some();
            prop_assert!(!shows || of_kind(turn, "text").next().is_some(), "a document has a text beside it");
        }
        let last = turns.last().unwrap();
        if last["role"] == "assistant" {
            let text = blocks(last).last().unwrap()["text"].as_str().unwrap_or_default();
            prop_assert_eq!(text, text.trim_end());
        }
    }

    #[test]
    fn every_result_follows_its_call_and_ids_are_unique_and_clean(steps in prop::collection::vec(step(), 0..12)) {
        let body = body(&steps);
        let turns = body["messages"].as_array().unwrap();
        let mut seen = HashSet::new();
        for (index, turn) in turns.iter().enumerate() {
            let calls = ids(turn, "toolUse");
            for id in &calls {
                prop_assert!(seen.insert(id.clone()), "{} twice", id);
                prop_assert!((1..=64).contains(&id.len()), "{}", id);
                prop_assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || "_.:-".contains(c)), "{}", id);
            }
            let answered = turns.get(index + 1).map(|next| ids(next, "toolResult"));
            let answered: HashSet<String> = answered.unwrap_or_default().into_iter().collect();
            prop_assert_eq!(calls.into_iter().collect::<HashSet<_>>(), answered);
            let kinds: Vec<bool> = blocks(turn).iter().map(|block| block.get("toolResult").is_some()).collect();
            prop_assert!(kinds.is_sorted_by(|a, b| a >= b), "results come first");
        }
        let uses_tools = turns.iter().any(|turn| of_kind(turn, "toolUse").next().is_some());
        prop_assert_eq!(uses_tools, body.get("toolConfig").is_some(), "tools are declared where they are used");
    }

    #[test]
    fn names_of_documents_are_unique_and_clean(steps in prop::collection::vec(step(), 0..12)) {
        let body = body(&steps);
        let mut seen = HashSet::new();
        for turn in body["messages"].as_array().unwrap() {
            for document in of_kind(turn, "document") {
                let name = document["name"].as_str().unwrap();
                prop_assert!(seen.insert(name.to_owned()), "{} twice", name);
                prop_assert!(!name.is_empty() && !name.contains("  "), "{:?}", name);
                prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || " -()[]".contains(c)), "{}", name);
            }
        }
    }

    #[test]
    fn equal_requests_are_equal_bytes(steps in prop::collection::vec(step(), 0..8)) {
        prop_assert_eq!(encode(&steps).body, encode(&steps).body);
    }
}

fn mark() -> impl Strategy<Value = Option<CacheControl>> {
    let ttl = prop_oneof![Just(None), Just(Some("5m".to_owned())), Just(Some("1h".to_owned()))];
    prop::option::of(ttl.prop_map(|ttl| CacheControl { ttl }))
}

fn user_part() -> impl Strategy<Value = Part> {
    let image = prop::sample::select(&["image/png", "image/jpeg", "image/gif", "image/webp"][..]);
    prop_oneof![
        ("\\PC{0,5}[a-z]", mark()).prop_map(|(text, cache_control)| Part::Text {
            text,
            cache_control,
            citations: Vec::new()
        }),
        (image, mark()).prop_map(|(media_type, cache_control)| Part::Image {
            source: MediaSource::Base64 { media_type: media_type.to_owned(), data: "aGk=".to_owned() },
            detail: None,
            cache_control,
        }),
    ]
}

fn assistant_part() -> impl Strategy<Value = Part> {
    prop_oneof![
        "\\PC{0,5}[a-z]".prop_map(Part::text),
        "\\PC{0,5}".prop_map(|text| Part::Reasoning {
            text,
            signature: Some(Signature::new(Issuer::Anthropic, "EqQB")),
        }),
        Just(Part::RedactedReasoning { data: Signature::new(Issuer::Anthropic, "EqQB") }),
    ]
}

/// A conversation in which each turn is one message, and documents have a text and a name of their own.
fn conversation() -> impl Strategy<Value = Vec<Message>> {
    let turn = (
        prop::collection::vec(user_part(), 1..4),
        prop::option::of("[A-Za-z0-9]{1,6}"),
        prop::collection::vec(assistant_part(), 1..4),
        0..3_usize,
    );
    prop::collection::vec(turn, 0..4).prop_map(|turns| {
        let mut messages = Vec::new();
        for (number, (mut said, name, mut answer, calls)) in turns.into_iter().enumerate() {
            if let Some(name) = name {
                said.extend([Part::text("read"), document(&format!("{name}-{number}"))]);
            }
            messages.push(message(Role::User, said));
            let ids: Vec<String> = (0..calls).map(|call| format!("call_{number}.{call}")).collect();
            let round = round(&ids, false, None);
            answer.extend(round[0].parts.clone());
            messages.push(message(Role::Assistant, answer));
            let results: Vec<Part> = round[1..].iter().flat_map(|message| message.parts.clone()).collect();
            if !results.is_empty() {
                messages.push(message(Role::Tool, results));
            }
        }
        messages.push(message(Role::User, vec![Part::text("and now?")]));
        messages
    })
}

proptest! {
    #[test]
    fn what_the_dialect_can_say_reads_back_the_same(
        conversation in conversation(),
        system in prop::option::of(("[a-z]{1,8}", mark())),
        max_tokens in prop::option::of(1..9_000_u64),
        temperature in prop::option::of(0..=64_u32),
        choice in prop::option::of(0..3_usize),
    ) {
        let tool = Tool {
            name: "f".to_owned(),
            description: Some("d".to_owned()),
            parameters: Some(serde_json::json!({"type": "object"})),
            kind: ToolKind::Function,
            ..Tool::default()
        };
        let system = system.map(|(text, cache_control)| {
            message(Role::System, vec![Part::Text { text, cache_control, citations: Vec::new() }])
        });
        let choices = [ToolChoice::Auto, ToolChoice::Required, ToolChoice::Function("f".to_owned())];
        let request = ChatRequest {
            model: "anthropic.m".to_owned(),
            messages: system.into_iter().chain(conversation).collect(),
            tools: vec![tool],
            tool_choice: choice.map(|choice| choices[choice].clone()),
            sampling: Sampling {
                max_tokens,
                temperature: temperature.map(|number| f64::from(number) / 64.0),
                ..Sampling::default()
            },
            dialect: Dialect::Bedrock,
            ..ChatRequest::default()
        };
        let outbound = encode_chat(&request, &EncodeOptions::default()).unwrap();
        prop_assert!(outbound.lost.is_empty(), "{:?}", outbound.lost);
        let mut found = decode_request(&outbound.body).unwrap();
        found.model = request.model.clone();
        // A turn of results and the user's words after it is one message on the wire.
        prop_assert_eq!(joined(found), joined(request));
    }
}

fn joined(mut request: ChatRequest) -> ChatRequest {
    let mut messages: Vec<Message> = Vec::new();
    for message in request.messages {
        match messages.last_mut().filter(|last| last.role == message.role) {
            Some(last) => last.parts.extend(message.parts),
            None => messages.push(message),
        }
    }
    request.messages = messages;
    request
}
