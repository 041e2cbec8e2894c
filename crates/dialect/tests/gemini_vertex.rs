//! What Vertex AI takes otherwise than AI Studio: paths, members, files, counts, embeddings.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Value, json};
use tollgate_dialect::conversation::{
    ChatRequest, Embedding, EmbeddingInput, EmbeddingRequest, MediaSource, Message, Part, Role, Usage,
};
use tollgate_dialect::gemini::{
    Host, call_path_for, decode_count, decode_embeddings_for, decode_request, encode_chat_for,
    encode_count_request, encode_count_request_for, encode_embeddings_for,
};
use tollgate_dialect::wire::{EncodeError, EncodeOptions, Outbound, ReplyFault};

const HOSTS: [Host; 2] = [Host::AiStudio, Host::Vertex];

fn asks(body: Value) -> ChatRequest {
    let request = decode_request(body.to_string().as_bytes()).unwrap();
    ChatRequest { model: "gemini-2.5-pro".to_owned(), ..request }
}

fn encode(host: Host, request: &ChatRequest) -> Outbound {
    encode_chat_for(host, request, &EncodeOptions::default()).unwrap()
}

fn body(out: &Outbound) -> Value {
    serde_json::from_slice(&out.body).unwrap()
}

#[test]
fn a_model_is_named_by_its_resource_once() {
    for (model, path) in [
        ("gemini-2.5-pro", "/publishers/google/models/gemini-2.5-pro:generateContent"),
        ("models/gemini-2.5-pro", "/publishers/google/models/gemini-2.5-pro:generateContent"),
        ("google/gemini-2.5-pro", "/publishers/google/models/gemini-2.5-pro:generateContent"),
        (
            "publishers/google/models/gemini-2.5-pro",
            "/publishers/google/models/gemini-2.5-pro:generateContent",
        ),
        ("publishers/meta/models/llama@001", "/publishers/meta/models/llama@001:generateContent"),
        ("endpoints/1234567890", "/endpoints/1234567890:generateContent"),
    ] {
        assert_eq!(call_path_for(Host::Vertex, model, false).as_deref(), Ok(path));
        let streamed = path.replace(":generateContent", ":streamGenerateContent?alt=sse");
        assert_eq!(call_path_for(Host::Vertex, model, true), Ok(streamed));
    }
    for model in [
        "",
        "a/b/c",
        "publishers/../models/x",
        "publishers//models/x",
        "endpoints/..",
        "a?b",
        "a:b",
        "models/",
    ] {
        let refused = call_path_for(Host::Vertex, model, false);
        assert!(matches!(refused, Err(EncodeError::Invalid { .. })), "{model}");
    }
    assert!(call_path_for(Host::AiStudio, "publishers/google/models/x", false).is_err());
}

#[test]
fn each_host_gets_what_it_takes_and_the_rest_is_told_to_be_lost() {
    let request = asks(json!({
        "contents": [{"parts": [{"text": "q", "partMetadata": {"a": 1}}]}],
        "labels": {"team": "x"},
        "store": true,
        "modelArmorConfig": {"promptTemplateName": "p"},
        "generationConfig": {"audioTimestamp": true, "enableEnhancedCivicAnswers": true},
        "toolConfig": {"includeServerSideToolInvocations": true},
    }));
    let studio = encode(Host::AiStudio, &request);
    let expect = json!({
        "contents": [{"role": "user", "parts": [{"text": "q", "partMetadata": {"a": 1}}]}],
        "toolConfig": {"includeServerSideToolInvocations": true},
        "generationConfig": {"enableEnhancedCivicAnswers": true},
        "store": true,
        "labels": {"team": "x"},
    });
    assert_eq!(body(&studio), expect);
    assert_eq!(
        studio.lost.names().collect::<Vec<_>>(),
        ["modelArmorConfig", "generationConfig.audioTimestamp"]
    );

    let vertex = encode(Host::Vertex, &request);
    let expect = json!({
        "contents": [{"role": "user", "parts": [{"text": "q"}]}],
        "generationConfig": {"audioTimestamp": true},
        "labels": {"team": "x"},
        "modelArmorConfig": {"promptTemplateName": "p"},
    });
    assert_eq!(body(&vertex), expect);
    let lost: std::collections::BTreeSet<&str> = vertex.lost.names().collect();
    let expect = [
        "generationConfig.enableEnhancedCivicAnswers",
        "parts.partMetadata",
        "store",
        "toolConfig.includeServerSideToolInvocations",
    ];
    assert_eq!(lost, expect.into());
}

#[test]
fn googles_tools_are_asked_of_the_host_that_has_them() {
    let tools = |tool: Value| {
        let mut request = asks(json!({"contents": "q"}));
        request.extra.insert("tools".to_owned(), json!([tool]));
        HOSTS.map(|host| encode_chat_for(host, &request, &EncodeOptions::default()).is_ok())
    };
    assert_eq!(tools(json!({"googleMaps": {}})), [true, true]);
    assert_eq!(tools(json!({"fileSearch": {}})), [true, false]);
    assert_eq!(tools(json!({"enterpriseWebSearch": {}})), [false, true]);
}

#[test]
fn files_of_ai_studio_are_unknown_to_vertex() {
    let request = |source| ChatRequest {
        model: "m".to_owned(),
        messages: vec![Message {
            role: Role::User,
            parts: vec![Part::File {
                source,
                filename: Some("a.pdf".to_owned()),
                context: None,
                citations: false,
                cache_control: None,
            }],
            name: None,
        }],
        ..ChatRequest::default()
    };
    for id in ["files/abc", "https://generativelanguage.googleapis.com/v1beta/files/abc"] {
        let request = request(MediaSource::FileId(id.to_owned()));
        let refused = encode_chat_for(Host::Vertex, &request, &EncodeOptions::default());
        let Err(EncodeError::Invalid { param, .. }) = refused else { panic!("{id} passed") };
        assert_eq!(param, "messages[0].content[0]");
        assert!(encode_chat_for(Host::AiStudio, &request, &EncodeOptions::default()).is_ok());
    }
    let out = encode(Host::Vertex, &request(MediaSource::Url("gs://bucket/a.pdf".to_owned())));
    let file = json!({"mimeType": "application/pdf", "fileUri": "gs://bucket/a.pdf", "displayName": "a.pdf"});
    assert_eq!(body(&out)["contents"][0]["parts"], json!([{"fileData": file}]));
    assert!(out.lost.is_empty());
}

#[test]
fn tokens_are_counted_of_a_whole_request() {
    let request = asks(json!({
        "contents": [{"parts": [{"text": "q"}]}],
        "systemInstruction": "s",
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
        "safetySettings": [{"category": "c"}],
    }));
    let studio = encode_count_request(&request, &EncodeOptions::default()).unwrap();
    assert_eq!(studio.path, "/models/gemini-2.5-pro:countTokens");
    let counted = json!({
        "systemInstruction": {"parts": [{"text": "s"}]},
        "contents": [{"role": "user", "parts": [{"text": "q"}]}],
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
    });
    let mut whole = counted.clone();
    whole["model"] = json!("models/gemini-2.5-pro");
    whole["safetySettings"] = json!([{"category": "c"}]);
    assert_eq!(body(&studio), json!({"generateContentRequest": whole}));
    let vertex = encode_count_request_for(Host::Vertex, &request, &EncodeOptions::default()).unwrap();
    assert_eq!(vertex.path, "/publishers/google/models/gemini-2.5-pro:countTokens");
    assert_eq!(body(&vertex), counted);
}

#[test]
fn a_count_is_read_or_is_a_fault() {
    assert_eq!(decode_count(br#"{"totalTokens":31,"promptTokensDetails":[]}"#), Ok(31));
    assert_eq!(decode_count(b"{}"), Ok(0));
    for bad in [&b"[]"[..], b"x", br#"{"totalTokens":"many"}"#] {
        assert!(matches!(decode_count(bad), Err(ReplyFault::Malformed(_))));
    }
    let error = br#"{"error":{"code":404,"message":"no","status":"NOT_FOUND"}}"#;
    assert!(matches!(decode_count(error), Err(ReplyFault::Error(error)) if error.status == 404));
}

fn embeds(model: &str, texts: &[&str]) -> EmbeddingRequest {
    EmbeddingRequest {
        model: model.to_owned(),
        input: texts.iter().map(|text| EmbeddingInput::Text((*text).to_owned())).collect(),
        dimensions: Some(64),
        extra: json!({"task_type": "RETRIEVAL_QUERY", "autoTruncate": false, "user": "u"})
            .as_object()
            .unwrap()
            .clone(),
        ..EmbeddingRequest::default()
    }
}

#[test]
fn text_models_embed_by_prediction() {
    let request = embeds("text-embedding-005", &["a", "b"]);
    let out = encode_embeddings_for(Host::Vertex, &request).unwrap();
    assert_eq!(out.path, "/publishers/google/models/text-embedding-005:predict");
    let expect = json!({
        "instances": [
            {"content": "a", "task_type": "RETRIEVAL_QUERY"},
            {"content": "b", "task_type": "RETRIEVAL_QUERY"},
        ],
        "parameters": {"outputDimensionality": 64, "autoTruncate": false},
    });
    assert_eq!(body(&out), expect);
    let vector = |tokens: Value| json!({"embeddings": {"values": [0.5, 1.0], "statistics": {"token_count": tokens, "truncated": false}}});
    let reply = json!({"predictions": [vector(json!(3)), vector(json!(4.0))], "metadata": {"billableCharacterCount": 2}});
    let reply = decode_embeddings_for(Host::Vertex, reply.to_string().as_bytes(), &request).unwrap();
    assert_eq!(reply.data, [Embedding(vec![0.5, 1.0]), Embedding(vec![0.5, 1.0])]);
    assert_eq!(reply.usage, Usage { input_tokens: 7, ..Usage::default() });
}

#[test]
fn newer_models_embed_one_content() {
    let request = embeds("gemini-embedding-2", &["a"]);
    let out = encode_embeddings_for(Host::Vertex, &request).unwrap();
    assert_eq!(out.path, "/publishers/google/models/gemini-embedding-2:embedContent");
    let config = json!({"taskType": "RETRIEVAL_QUERY", "autoTruncate": false, "outputDimensionality": 64});
    assert_eq!(body(&out), json!({"content": {"parts": [{"text": "a"}]}, "embedContentConfig": config}));
    let reply = br#"{"embedding":{"values":[1.0]},"usageMetadata":{"promptTokenCount":2}}"#;
    let reply = decode_embeddings_for(Host::Vertex, reply, &request).unwrap();
    assert_eq!((reply.data.len(), reply.usage.input_tokens), (1, 2));
    let two = encode_embeddings_for(Host::Vertex, &embeds("gemini-embedding-2", &["a", "b"]));
    assert!(matches!(two, Err(EncodeError::Invalid { param, .. }) if param == "input"));
}

#[test]
fn what_is_no_vector_is_malformed() {
    let request = embeds("text-embedding-005", &["a"]);
    for bad in ["", "{}", r#"{"predictions":[]}"#, r#"{"predictions":[{"embeddings":{"values":["x"]}}]}"#] {
        let fault = decode_embeddings_for(Host::Vertex, bad.as_bytes(), &request);
        assert!(matches!(fault, Err(ReplyFault::Malformed(_))), "{bad}");
    }
    let studio = encode_embeddings_for(Host::AiStudio, &request).unwrap();
    assert_eq!(studio.path, "/models/text-embedding-005:batchEmbedContents");
}
