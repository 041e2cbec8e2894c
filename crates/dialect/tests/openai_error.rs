//! Error bodies of OpenAI-compatible providers, in the shapes that their documentation and servers give them.
#![allow(clippy::expect_used, clippy::panic)]

use tollgate_dialect::failure::{FailureClass, MESSAGE_BYTES_MAX};
use tollgate_dialect::openai::{decode_error, error_frame};
use tollgate_dialect::wire::CallerError;

fn caller_error<'a>(message: &'a str, kind: Option<&'a str>, status: u16) -> CallerError<'a> {
    CallerError { status, kind, message, param: None, code: None, request_id: None }
}

/// Reads a body and compares class, status, message and code.
#[track_caller]
fn check(status: u16, body: &str, class: FailureClass, message: &str, code: Option<&str>) {
    let error = decode_error(status, body.as_bytes());
    assert_eq!(error.class, class, "class of {body}");
    assert_eq!(error.status, status, "status of {body}");
    assert_eq!(error.message, message, "message of {body}");
    assert_eq!(error.code.as_deref(), code, "code of {body}");
}

/// Compares the class only, for bodies whose sentence is long.
#[track_caller]
fn check_class(status: u16, body: &str, class: FailureClass) {
    assert_eq!(decode_error(status, body.as_bytes()).class, class, "class of {status} {body}");
}

#[test]
fn openai_says_what_is_wrong_in_an_error_object() {
    use FailureClass::*;
    check(
        401,
        r#"{"error":{"message":"Incorrect API key provided: sk-x***y. You can find your API key at https://platform.openai.com/account/api-keys.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
        Authentication,
        "Incorrect API key provided: sk-x***y. You can find your API key at https://platform.openai.com/account/api-keys.",
        Some("invalid_api_key"),
    );
    check(
        404,
        r#"{"error":{"message":"The model `gpt-9` does not exist or you do not have access to it.","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
        NotFound,
        "The model `gpt-9` does not exist or you do not have access to it.",
        Some("model_not_found"),
    );
    check(
        429,
        r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
        RateLimit,
        "You exceeded your current quota, please check your plan and billing details.",
        Some("insufficient_quota"),
    );
    check(
        429,
        r#"{"error":{"message":"Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
        RateLimit,
        "Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000.",
        Some("rate_limit_exceeded"),
    );
    check(
        500,
        r#"{"error":{"message":"The server had an error while processing your request. Sorry about that!","type":"server_error","param":null,"code":null}}"#,
        Server,
        "The server had an error while processing your request. Sorry about that!",
        None,
    );
    check(
        503,
        r#"{"error":{"message":"The engine is currently overloaded, please try again later","type":"engine_overloaded","param":null,"code":null}}"#,
        Overloaded,
        "The engine is currently overloaded, please try again later",
        None,
    );
    check(
        403,
        r#"{"error":{"message":"Country, region, or territory not supported","type":"request_forbidden","param":null,"code":"unsupported_country_region_territory"}}"#,
        Permission,
        "Country, region, or territory not supported",
        Some("unsupported_country_region_territory"),
    );
    check(
        403,
        r#"{"error":{"message":"Project `proj_x` does not have access to model `gpt-4o`","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
        Permission,
        "Project `proj_x` does not have access to model `gpt-4o`",
        Some("model_not_found"),
    );
    check(
        400,
        r#"{"error":{"message":"Invalid value: 'narrator'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.","type":"invalid_request_error","param":"messages[0].role","code":"invalid_value"}}"#,
        BadRequest,
        "Invalid value: 'narrator'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.",
        Some("invalid_value"),
    );
}

#[test]
fn type_and_param_are_kept() {
    let body = br#"{"error":{"message":"max_tokens is too large: 100000. This model supports at most 16384 completion tokens.","type":"invalid_request_error","param":"max_tokens","code":"invalid_value"}}"#;
    let error = decode_error(400, body);
    assert_eq!(
        error.class,
        FailureClass::BadRequest,
        "a limit on the answer is not the window of the prompt"
    );
    assert_eq!(error.kind.as_deref(), Some("invalid_request_error"));
    assert_eq!(error.param.as_deref(), Some("max_tokens"));
    assert_eq!(error.retry_delay_ms, None);
}

#[test]
fn a_prompt_that_does_not_fit_is_told_from_other_bad_requests_whoever_says_so() {
    let bodies = [
        // OpenAI, with its code and without it.
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens. Please reduce the length of the messages.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
        ),
        (
            400,
            r#"{"error":{"message":"Your input exceeds the context window of this model. Please adjust your input and try again.","type":"invalid_request_error","param":"input","code":"context_length_exceeded"}}"#,
        ),
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 8192 tokens, however you requested 9001 tokens (9001 in your prompt; 0 for the completion).","type":"invalid_request_error","param":null,"code":null}}"#,
        ),
        (
            400,
            r#"{"error":{"message":"Invalid 'messages[1].content': string too long. Expected a string with maximum length 10485760, but got a string with length 12000000 instead.","type":"invalid_request_error","param":"messages[1].content","code":"string_above_max_length"}}"#,
        ),
        // vLLM, older and newer.
        (
            400,
            r#"{"object":"error","message":"This model's maximum context length is 4096 tokens. However, you requested 5000 tokens in the messages, Please reduce the length of the messages.","type":"BadRequestError","param":null,"code":400}"#,
        ),
        (
            400,
            r#"{"error":{"message":"The decoder prompt (length 5000) is longer than the maximum model length of 4096. Make sure that `max_model_len` is no smaller than the number of text tokens.","type":"BadRequestError","param":null,"code":400}}"#,
        ),
        // SGLang.
        (
            400,
            r#"{"object":"error","message":"The input (5000 tokens) is longer than the model's context length (4096 tokens).","type":"BadRequestError","code":400}"#,
        ),
        // Mistral.
        (
            400,
            r#"{"object":"error","message":"Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length","type":"invalid_request_prompt","param":null,"code":"3051"}"#,
        ),
        // Groq, Cerebras.
        (
            400,
            r#"{"error":{"message":"Please reduce the length of the messages or completion.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
        ),
        (
            400,
            r#"{"message":"Please reduce the length of the messages or completion. Current length is 9000 while limit is 8192","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}"#,
        ),
        // Together and Text Generation Inference.
        (
            422,
            r#"{"error":{"message":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000 `inputs` tokens and 512 `max_new_tokens`","type":"invalid_request_error","param":"max_tokens","code":null}}"#,
        ),
        (
            422,
            r#"{"error":"Input validation error: `inputs` must have less than 4095 tokens. Given: 5000","error_type":"validation"}"#,
        ),
        // Fireworks, xAI, Moonshot, DeepSeek.
        (
            400,
            r#"{"error":{"object":"error","type":"invalid_request_error","code":"invalid_request_error","message":"The prompt is too long: 200000, model maximum context length: 131071"}}"#,
        ),
        (
            400,
            r#"{"code":"Client specified an invalid argument","error":"This model's maximum prompt length is 131072 but the request contains 200000 tokens."}"#,
        ),
        (
            400,
            r#"{"error":{"message":"Invalid request: Your request exceeded model token limit: 8192","type":"invalid_request_error"}}"#,
        ),
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 65536 tokens. However, you requested 70000 tokens (66000 in the messages, 4000 in the completion). Please reduce the length of the messages or completion.","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#,
        ),
        // OpenRouter.
        (
            400,
            r#"{"error":{"message":"This endpoint's maximum context length is 32768 tokens. However, you requested about 40000 tokens (40000 of text input).","code":400,"metadata":{"provider_name":null}}}"#,
        ),
        // OpenRouter, with the sentence in the body of the provider behind it.
        (
            400,
            r#"{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"message\":\"prompt is too long: 210000 tokens > 200000 maximum\"}","provider_name":"X"}}}"#,
        ),
        // Gemini's compatible surface.
        (
            400,
            r#"[{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}]"#,
        ),
        // llama.cpp, LM Studio, Ollama.
        (
            400,
            r#"{"error":{"code":400,"message":"the request exceeds the available context size. try increasing the context size or enable context shift","type":"exceed_context_size_error","n_prompt_tokens":5000,"n_ctx":4096}}"#,
        ),
        (
            400,
            r#"{"error":"Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough."}"#,
        ),
        (500, r#"{"error":{"message":"input length exceeds maximum context length","type":"api_error"}}"#),
        // Alibaba, Zhipu.
        (
            400,
            r#"{"error":{"code":"invalid_parameter_error","param":null,"message":"Range of input length should be [1, 30720]","type":"invalid_request_error"}}"#,
        ),
        (400, r#"{"error":{"code":"1261","message":"Prompt exceeds max length"}}"#),
    ];
    for (status, body) in bodies {
        check_class(status, body, FailureClass::ContextWindow);
    }
}

#[test]
fn refused_content_is_told_from_other_bad_requests_whoever_says_so() {
    let bodies = [
        (
            400,
            r#"{"error":{"message":"Your request was rejected as a result of our safety system.","type":"invalid_request_error","param":null,"code":"content_policy_violation"}}"#,
        ),
        (
            400,
            r#"{"error":{"message":"Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try again with a different prompt.","type":"invalid_request_error","param":null,"code":"invalid_prompt"}}"#,
        ),
        // Azure.
        (
            400,
            r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true,"severity":"high"}}}}}"#,
        ),
        (
            400,
            r#"{"error":{"message":"Blocked.","code":"400","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
        ),
        // DeepSeek, Alibaba, Moonshot, Zhipu, OpenRouter, xAI.
        (
            400,
            r#"{"error":{"message":"Content Exists Risk","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#,
        ),
        (
            400,
            r#"{"error":{"code":"data_inspection_failed","param":null,"message":"Input data may contain inappropriate content.","type":"data_inspection_failed"}}"#,
        ),
        (
            400,
            r#"{"error":{"message":"The request was rejected because it was considered high risk","type":"content_filter"}}"#,
        ),
        (
            400,
            r#"{"contentFilter":[{"level":1,"role":"user"}],"error":{"code":"1301","message":"The system has detected potentially unsafe or sensitive content in the input or generation."}}"#,
        ),
        (
            403,
            r#"{"error":{"code":403,"message":"meta-llama/llama-guard requires moderation on OpenAI. Your input was flagged for \"violence\".","metadata":{"reasons":["violence"],"flagged_input":"..."}}}"#,
        ),
        (
            403,
            r#"{"code":"The caller does not have permission","error":"Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_X"}"#,
        ),
    ];
    for (status, body) in bodies {
        check_class(status, body, FailureClass::ContentPolicy);
    }
}

#[test]
fn the_shapes_of_compatible_providers_give_their_sentence() {
    use FailureClass::*;
    // xAI: the sentence in `error`, a phrase in `code`.
    check(
        400,
        r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***yz. You can obtain an API key from https://console.x.ai."}"#,
        Authentication,
        "Incorrect API key provided: xa***yz. You can obtain an API key from https://console.x.ai.",
        Some("Client specified an invalid argument"),
    );
    // Gemini's compatible surface: a list around the object.
    check(
        400,
        r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}]"#,
        Authentication,
        "API key not valid. Please pass a valid API key.",
        Some("400"),
    );
    check(
        429,
        r#"[{"error":{"code":429,"message":"Resource has been exhausted (e.g. check quota).","status":"RESOURCE_EXHAUSTED"}}]"#,
        RateLimit,
        "Resource has been exhausted (e.g. check quota).",
        Some("429"),
    );
    // Mistral: a bare message, FastAPI's list, and the list inside the message.
    check(401, r#"{"message":"Unauthorized","request_id":"a1"}"#, Authentication, "Unauthorized", None);
    check(
        422,
        r#"{"detail":[{"type":"missing","loc":["body","messages"],"msg":"Field required","input":{"secret":"prompt"}}]}"#,
        BadRequest,
        "body.messages: Field required",
        None,
    );
    check(
        422,
        r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","foo"],"msg":"Extra inputs are not permitted","input":1},{"loc":["body","bar",0],"msg":"Input should be a valid string"}]},"type":"invalid_request_error","param":null,"code":null}"#,
        BadRequest,
        "body.foo: Extra inputs are not permitted; body.bar.0: Input should be a valid string",
        None,
    );
    // FastAPI's plain detail, Anyscale's and NVIDIA's.
    check(404, r#"{"detail":"Not Found"}"#, NotFound, "Not Found", None);
    check(
        402,
        r#"{"type":"urn:payment","title":"Payment Required","status":402,"detail":"Account has no credits."}"#,
        Permission,
        "Account has no credits.",
        None,
    );
    // DeepSeek and OpenRouter without money.
    check(
        402,
        r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}"#,
        Permission,
        "Insufficient Balance",
        Some("invalid_request_error"),
    );
    // Ollama, Hugging Face.
    check(
        404,
        r#"{"error":"model \"x\" not found, try pulling it first"}"#,
        NotFound,
        "model \"x\" not found, try pulling it first",
        None,
    );
    check(
        503,
        r#"{"error":"Model x is currently loading","estimated_time":20.0}"#,
        Overloaded,
        "Model x is currently loading",
        None,
    );
    // Azure's deployment and gateway.
    check(
        404,
        r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}"#,
        NotFound,
        "The API deployment for this resource does not exist.",
        Some("DeploymentNotFound"),
    );
    check(
        401,
        r#"{"statusCode":401,"message":"Unauthorized. Access token is missing, invalid, audience is incorrect, or have expired."}"#,
        Authentication,
        "Unauthorized. Access token is missing, invalid, audience is incorrect, or have expired.",
        Some("401"),
    );
    // Cloudflare.
    check(
        400,
        r#"{"result":null,"success":false,"errors":[{"message":"No such model @cf/x or task","code":5007}],"messages":[]}"#,
        BadRequest,
        "No such model @cf/x or task",
        None,
    );
    // OAuth in front of Vertex and Azure.
    check(
        401,
        r#"{"error":"invalid_client","error_description":"The client secret is expired."}"#,
        Authentication,
        "The client secret is expired.",
        None,
    );
    // A JSON string.
    check(400, r#""bad model name""#, BadRequest, "bad model name", None);
}

#[test]
fn the_status_decides_where_the_body_says_nothing() {
    use FailureClass::*;
    let by_status = [
        (400, BadRequest),
        (401, Authentication),
        (402, Permission),
        (403, Permission),
        (404, NotFound),
        (405, BadRequest),
        (408, Timeout),
        (409, BadRequest),
        (410, NotFound),
        (413, TooLarge),
        (415, BadRequest),
        (422, BadRequest),
        (429, RateLimit),
        (498, Overloaded),
        (500, Server),
        (501, Server),
        (502, Server),
        (503, Overloaded),
        (504, Timeout),
        (520, Server),
        (522, Timeout),
        (524, Timeout),
        (529, Overloaded),
        (599, Server),
    ];
    for (status, class) in by_status {
        for body in ["", "{}", "null", "[]", "17", "{\"error\":null}", "{\"error\":{}}", "{\"foo\":\"bar\"}"]
        {
            check(status, body, class, "", None);
        }
        check(
            status,
            "<html><head><title>nginx</title></head><body>context_length_exceeded</body></html>",
            class,
            "",
            None,
        );
        check(status, "\u{feff}\n <!DOCTYPE html><p>oops", class, "", None);
        // JSON that was cut is no sentence.
        check(status, r#"{"error":{"message":"half"#, class, "", None);
    }
}

#[test]
fn a_plain_text_is_the_sentence() {
    check(
        502,
        "  upstream connect error or disconnect/reset before headers\n",
        FailureClass::Server,
        "upstream connect error or disconnect/reset before headers",
        None,
    );
    check(400, "error code: 1010", FailureClass::BadRequest, "error code: 1010", None);
    let bytes = [0xff, 0xfe, 0x00, 0x01];
    assert_eq!(decode_error(500, &bytes).message, "", "bytes that are no text are no sentence");
}

#[test]
fn groq_answers_413_to_more_than_a_minute_of_tokens_which_is_a_rate_limit() {
    check_class(
        413,
        r#"{"error":{"message":"Request too large for model `llama-3.1-8b-instant` on tokens per minute (TPM): Limit 6000, Requested 9000","type":"tokens","code":"rate_limit_exceeded"}}"#,
        FailureClass::RateLimit,
    );
    check_class(413, r#"{"error":{"message":"Payload Too Large"}}"#, FailureClass::TooLarge);
}

#[test]
fn a_wrong_key_is_never_mistaken_for_the_words_beside_it() {
    let body = r#"{"error":{"message":"key lacks content_filter scope; maximum context length unknown","code":"x"}}"#;
    check_class(401, body, FailureClass::Authentication);
    check_class(429, body, FailureClass::RateLimit);
}

#[test]
fn an_error_without_a_status_of_its_own_gets_the_one_that_it_stands_for() {
    let check = |body: &str, status: u16, class: FailureClass| {
        let error = decode_error(200, body.as_bytes());
        assert_eq!((error.status, error.class), (status, class), "{body}");
    };
    check(r#"{"error":{"message":"slow down","code":429}}"#, 429, FailureClass::RateLimit);
    check(r#"{"error":{"message":"slow down","code":"429"}}"#, 429, FailureClass::RateLimit);
    check(r#"{"error":{"message":"x","type":"rate_limit_error"}}"#, 429, FailureClass::RateLimit);
    check(r#"{"error":{"message":"x","type":"insufficient_quota"}}"#, 429, FailureClass::RateLimit);
    check(r#"{"error":{"message":"Overloaded","type":"overloaded_error"}}"#, 529, FailureClass::Overloaded);
    check(r#"{"error":{"message":"x","type":"server_error"}}"#, 500, FailureClass::Server);
    check(r#"{"error":{"message":"x","type":"invalid_request_error"}}"#, 400, FailureClass::BadRequest);
    check(r#"{"error":{"message":"x","code":"context_length_exceeded"}}"#, 400, FailureClass::ContextWindow);
    check(r#"{"error":{"message":"x","code":99999}}"#, 500, FailureClass::Server);
    check(r#"{"error":"something broke"}"#, 500, FailureClass::Server);
}

#[test]
fn a_long_sentence_is_cut_between_characters() {
    let long = "é".repeat(MESSAGE_BYTES_MAX);
    let body = serde_json::json!({"error": {"message": long, "code": long, "type": long}}).to_string();
    let error = decode_error(400, body.as_bytes());
    assert_eq!(error.message.len(), MESSAGE_BYTES_MAX);
    assert!(error.message.chars().all(|character| character == 'é'));
    assert!(error.code.is_some_and(|code| code.len() <= 256));
    assert!(error.kind.is_some_and(|kind| kind.len() <= 256));
    let text = decode_error(500, "a".repeat(1 << 20).as_bytes());
    assert_eq!(text.message.len(), MESSAGE_BYTES_MAX);
    let text = decode_error(500, format!("a{}", "é".repeat(1 << 20)).as_bytes());
    assert_eq!(text.message.len(), MESSAGE_BYTES_MAX - 1, "the cut falls before the character");
    let list: Vec<_> = (0..10_000).map(|index| serde_json::json!({"msg": format!("rule {index}")})).collect();
    let many = decode_error(422, serde_json::json!({"detail": list}).to_string().as_bytes());
    assert_eq!(many.message.split("; ").count(), 8, "the first ones say what is wrong");
}

#[test]
fn the_frame_that_ends_a_stream_is_written_as_litellm_writes_it() {
    let frame = error_frame(&caller_error(
        "litellm.APIConnectionError: APIConnectionError: OpenAIException - mid-stream server error",
        None,
        500,
    ));
    let recorded = "data: {\"error\": {\"message\": \"litellm.APIConnectionError: APIConnectionError: OpenAIException - mid-stream server error\", \"type\": null, \"param\": null, \"code\": \"500\"}}\n\n";
    assert_eq!(String::from_utf8(frame).expect("text"), recorded);
    let frame = error_frame(&caller_error("a \"b\"\n", Some("rate_limit_error"), 429));
    let expect = "data: {\"error\": {\"message\": \"a \\\"b\\\"\\n\", \"type\": \"rate_limit_error\", \"param\": null, \"code\": \"429\"}}\n\n";
    assert_eq!(String::from_utf8(frame).expect("text"), expect);
}
