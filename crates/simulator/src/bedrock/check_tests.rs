//! Conversations that the service takes and refuses, with the words of the refusal.

use super::*;

const CLAUDE: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";

fn body(extra: &Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}]});
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

fn taken(extra: Value) {
    assert_eq!(check("Converse", &body(&extra), CLAUDE), Ok(()), "{extra}");
}

fn refused_by(model: &str, extra: Value, words: &str) {
    let error = check("Converse", &body(&extra), model).unwrap_err();
    assert!(error.message.contains(words), "{extra}: {}", error.message);
    assert!(matches!(error.status, 400 | 403), "{extra}");
}

fn refused(extra: Value, words: &str) {
    refused_by(CLAUDE, extra, words);
}

fn user(blocks: Value) -> Value {
    json!({"role": "user", "content": blocks})
}

fn assistant(blocks: Value) -> Value {
    json!({"role": "assistant", "content": blocks})
}

fn used(id: &str) -> Value {
    json!({"toolUse": {"toolUseId": id, "name": "f", "input": {}}})
}

fn result(id: &str) -> Value {
    json!({"toolResult": {"toolUseId": id, "content": [{"text": "r"}], "status": "success"}})
}

fn tools() -> Value {
    json!({"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]})
}

fn loop_of(last: Value) -> Value {
    let asked = assistant(json!([{"text": "I look"}, used("a"), used("b")]));
    json!({"messages": [user(json!([{"text": "x"}])), asked, last], "toolConfig": tools()})
}

#[test]
fn what_the_reference_allows_is_taken() {
    taken(loop_of(user(json!([result("b"), result("a"), {"text": "go on"}]))));
    taken(json!({"messages": [
        user(json!([
            {"text": "look"},
            {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}},
            {"document": {"format": "txt", "name": "notes (1)", "source": {"text": "abc"}}},
        ])),
        assistant(json!([{"text": "prefilled"}])),
    ]}));
    taken(
        json!({"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}, "anthropic_beta": ["x"]}}),
    );
    taken(json!({
        "system": [{"text": "s"}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        "messages": [user(json!([{"text": "x"}, {"cachePoint": {"type": "default"}}]))],
    }));
}

#[test]
fn the_order_of_a_conversation_is_held() {
    refused(json!({"messages": []}), "must have at least one message");
    refused(
        json!({"messages": [assistant(json!([{"text": "x"}]))]}),
        "A conversation must start with a user message",
    );
    refused(
        json!({"messages": [user(json!([{"text": "x"}])), user(json!([{"text": "y"}]))]}),
        "A conversation must alternate between user and assistant roles",
    );
    refused(
        json!({"messages": [user(json!([]))]}),
        "The content field in the Message object at messages.0 is empty",
    );
    refused(json!({"messages": [user(json!([{"text": " "}]))]}), "messages.0.content.0 is blank");
    refused(
        json!({"messages": [user(json!([{"text": "x"}])), assistant(json!([{"text": "y "}]))]}),
        "trailing whitespace",
    );
    refused(json!({"messages": [{"role": "system", "content": [{"text": "x"}]}]}), "system role");
}

#[test]
fn each_use_of_a_tool_is_answered_at_once() {
    refused(
        loop_of(user(json!([result("a")]))),
        "Expected toolResult blocks at messages.2.content for the following Ids: b",
    );
    refused(
        loop_of(user(json!([result("a"), result("b"), result("c")]))),
        "The number of toolResult blocks at messages.2.content exceeds the number of toolUse blocks of previous turn",
    );
    refused(loop_of(user(json!([result("a"), result("a")]))), "contain duplicate Ids: a");
    refused(
        json!({"messages": [user(json!([{"text": "x"}])), assistant(json!([used("a")]))], "toolConfig": tools()}),
        "Expected toolResult blocks at messages.2.content",
    );
    let mut without = loop_of(user(json!([result("a"), result("b")])));
    without.as_object_mut().unwrap().remove("toolConfig");
    refused(without, "The toolConfig field must be defined when using toolUse and toolResult content blocks");
    refused(json!({"messages": [user(json!([used("a")]))]}), "not allowed in a message with the user role");
}

#[test]
fn tools_and_their_choice_are_held_against_the_model() {
    let with = |choice: Value| {
        let mut config = tools();
        config["toolChoice"] = choice;
        json!({"toolConfig": config})
    };
    taken(with(json!({"any": {}})));
    let twice = |own: Value| {
        let mut body = with(json!({"any": {}}));
        body["additionalModelRequestFields"] = json!({"tool_choice": own});
        body
    };
    taken(twice(json!({"disable_parallel_tool_use": true})));
    refused(twice(json!({"type": "any"})), "conflicts with the existing field toolConfig.toolChoice.any");
    refused(with(json!({"tool": {"name": "g"}})), "doesn't match any tool");
    refused(with(json!({})), "Exactly one member must be set");
    refused(with(json!({"none": {}})), "extraneous key [none]");
    let llama = "us.meta.llama3-3-70b-instruct-v1:0";
    refused_by(
        llama,
        with(json!({"any": {}})),
        "This model doesn't support the toolConfig.toolChoice.any field. Remove toolConfig.toolChoice.any and try again.",
    );
    refused_by("amazon.titan-text-lite-v1", json!({"toolConfig": tools()}), "doesn't support tool use");
    refused_by("amazon.titan-text-lite-v1", json!({"system": [{"text": "x"}]}), "system messages");
    let schema = |schema: Value| json!({"toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": schema}}}]}});
    refused(schema(json!({"properties": {}})), "inputSchema.json.type must be one of the following: object.");
    refused(schema(json!("{}")), "must be a json object");
}

#[test]
fn documents_images_and_cache_points_have_rules_of_their_own() {
    let document = |name: &str| json!({"document": {"format": "txt", "name": name, "source": {"text": "x"}}});
    let say = |block: Value| json!({"messages": [user(json!([{"text": "x"}, block]))]});
    refused(say(document("a.txt")), "The document file name can only contain alphanumeric characters");
    refused(say(document("a  b")), "consecutive whitespace");
    refused(json!({"messages": [user(json!([document("a")]))]}), "document without a text block");
    let image = |format: &str| json!({"image": {"format": format, "source": {"bytes": "iVBORw0KGgo="}}});
    refused(say(image("jpeg")), "appears to be a image/png image");
    refused(say(image("bmp")), "enum value set: [png, jpeg, gif, webp]");
    let point = |ttl: &str| json!({"cachePoint": {"type": "default", "ttl": ttl}});
    refused(json!({"messages": [user(json!([point("5m"), {"text": "x"}]))]}), "cannot be the first block");
    let text = json!({"text": "x"});
    refused(
        json!({"messages": [user(json!([text, point("5m"), text, point("1h")]))]}),
        "a ttl='1h' cache_control block must not come after a ttl='5m'",
    );
    let five =
        [text.clone(), point("5m"), text.clone(), point("5m"), text.clone(), point("5m"), text.clone()];
    let mut five = five.to_vec();
    five.extend([point("5m"), text, point("5m")]);
    refused(json!({"messages": [user(json!(five))]}), "A maximum of 4 blocks with cache_control");
    refused_by("mistral.mistral-large-2402-v1:0", say(point("5m")), "did not allow prompt caching");
}

#[test]
fn a_claude_model_is_asked_by_anthropics_rules() {
    let think = json!({"thinking": {"type": "enabled", "budget_tokens": 2000}});
    let with =
        |inference: Value| json!({"inferenceConfig": inference, "additionalModelRequestFields": think});
    let told = "The model returned the following errors: ";
    refused(with(json!({"maxTokens": 2000})), &format!("{told}`max_tokens` must be greater than"));
    refused(
        with(json!({"temperature": 0.5})),
        &format!("{told}`temperature` may only be set to 1 when thinking is enabled"),
    );
    refused(
        json!({"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 100}}}),
        "greater than or equal to 1024",
    );
    refused(
        json!({"additionalModelRequestFields": {"max_tokens": 5}}),
        &format!("{told}max_tokens: Extra inputs are not permitted"),
    );
    refused(json!({"additionalModelRequestFields": {"odd": 5}}), "odd: Extra inputs are not permitted");
    refused(
        json!({"inferenceConfig": {"temperature": 0.5, "topP": 0.5}}),
        "`temperature` and `top_p` cannot both be specified",
    );
    let forged = json!([{"reasoningContent": {"reasoningText": {"text": "t", "signature": "made up"}}}, {"text": "y"}]);
    refused(
        json!({"messages": [user(json!([{"text": "x"}])), assistant(forged), user(json!([{"text": "x"}]))]}),
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    );
}
