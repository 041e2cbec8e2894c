//! Nothing goes to a provider past the accounts: every route of the table and every way through, by everybody who would
//! rather not pay.
//!
//! **Invariant:** whoever has spent a budget reaches no provider by any route; of whoever has not, the ledger has a row for
//! every request that a provider received.

use crate::support::admin::{MASTER, key, seen};
use crate::support::{App, model_list, patiently};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tollgate_identity::secret::Token;
use tollgate_server::routes::{PREFIXES, Passage, Route, TABLE};
use tollgate_simulator::{Behaviour, Received, Rule, Script, TokenCounts};

/// A group of each kind, and accounts for all that passes through.
fn config() -> String {
    let of = |model: &str, base: &str| {
        format!("model: {model}, api_base: \"http://{{sim}}{base}\", api_key: sk-1")
    };
    let rows = [
        ("chat", of("openai/gpt-4o", "/v1")),
        ("claude", of("anthropic/claude-sonnet-4-5", "")),
        ("gemini", of("gemini/gemini-2.5-flash", "")),
        ("embed", of("openai/text-embedding-3-small", "/v1")),
        ("draw", of("openai/gpt-image-1", "/v1")),
        ("speak", of("openai/tts-1", "/v1")),
        ("hear", of("openai/whisper-1", "/v1")),
        ("judge", of("openai/omni-moderation-latest", "/v1")),
        ("rank", of("cohere/rerank-v3.5", "/cohere")),
        ("voice", of("openai/gpt-realtime", "/v1")),
        ("azure", format!("{}, api_version: \"2024-10-21\"", of("azure/dep-1", "/d/az"))),
        ("local", of("hosted_vllm/llama", "/d/vllm/v1")),
    ];
    let list =
        model_list(&rows.iter().map(|(group, parameters)| (*group, parameters.as_str())).collect::<Vec<_>>());
    format!(
        "{list}general_settings:
  master_key: {MASTER}
  pass_through_endpoints:
    - {{path: /my/rerank, target: \"http://{{sim}}/cohere/v2/rerank\", headers: {{authorization: Bearer k}}, cost_per_request: 0.25}}
environment_variables:
  OPENAI_API_KEY: sk-env-openai
  OPENAI_BASE_URL: \"http://{{sim}}/v1\"
  ANTHROPIC_API_KEY: sk-env-anthropic
  ANTHROPIC_API_BASE: \"http://{{sim}}\"
  GEMINI_API_KEY: env-gemini
  GEMINI_API_BASE: \"http://{{sim}}\"
  COHERE_API_KEY: env-cohere
  COHERE_API_BASE: \"http://{{sim}}/cohere\"
  MISTRAL_API_KEY: env-mistral
  MISTRAL_API_BASE: \"http://{{sim}}/mistral/v1\"
"
    )
}

/// A body and its kind.
#[derive(Clone)]
enum Body {
    Json(Value),
    Form(Vec<(&'static str, String)>),
    /// A handshake of a session.
    Session,
    Nothing,
}

/// One way to a provider.
#[derive(Clone)]
struct Way {
    method: String,
    target: String,
    body: Body,
}

fn say(model: &str) -> Value {
    json!({"model": model, "max_tokens": 5, "messages": [{"role": "user", "content": "hi there"}]})
}

/// What a route is asked for, and of which group; none where no provider has anything to do with it.
fn asked_of(route: Route) -> Option<(&'static str, Body)> {
    let google = json!({"contents": [{"role": "user", "parts": [{"text": "hi there"}]}]});
    let piece = json!({"content": {"parts": [{"text": "hi"}]}, "model": "models/embed"});
    let texts = json!({"model": "embed", "texts": ["hi"], "input_type": "search_document", "embedding_types": ["float"]});
    let file = |model: &str| {
        Body::Form(vec![
            ("model", model.to_owned()),
            ("prompt", "a cat".to_owned()),
            ("file", "RIFF".to_owned()),
        ])
    };
    let picture = |model: &str| {
        Body::Form(vec![
            ("model", model.to_owned()),
            ("prompt", "a cat".to_owned()),
            ("image", "PNG".to_owned()),
        ])
    };
    Some(match route {
        Route::ChatCompletions | Route::CohereChat => ("chat", Body::Json(say("chat"))),
        Route::Completions => ("chat", Body::Json(json!({"model": "chat", "prompt": "hi", "max_tokens": 5}))),
        Route::Embeddings => ("embed", Body::Json(json!({"model": "embed", "input": "hi"}))),
        Route::Responses => {
            ("chat", Body::Json(json!({"model": "chat", "input": "hi", "max_output_tokens": 20})))
        }
        Route::Messages => ("claude", Body::Json(say("claude"))),
        Route::GeminiCall => ("gemini", Body::Json(google)),
        Route::GeminiEmbed => ("embed", Body::Json(piece)),
        Route::GeminiBatchEmbed => ("embed", Body::Json(json!({"requests": [piece]}))),
        Route::BedrockCall => {
            ("chat", Body::Json(json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}]})))
        }
        Route::CohereEmbed | Route::CohereEmbedFirst => ("embed", Body::Json(texts)),
        Route::Images => ("draw", Body::Json(json!({"model": "draw", "prompt": "a cat", "n": 1}))),
        Route::ImageEdits | Route::ImageVariations => ("draw", picture("draw")),
        Route::Speech => ("speak", Body::Json(json!({"model": "speak", "input": "hi", "voice": "alloy"}))),
        Route::Transcriptions | Route::Translations => ("hear", file("hear")),
        Route::Moderations => ("judge", Body::Json(json!({"model": "judge", "input": "hi"}))),
        Route::Rerank => ("rank", Body::Json(json!({"model": "rank", "query": "q", "documents": ["d"]}))),
        Route::Realtime => ("voice", Body::Session),
        Route::RealtimeAside => {
            ("voice", Body::Json(json!({"model": "voice", "session": {"model": "voice"}})))
        }
        Route::MessagesCount => ("claude", Body::Json(say("claude"))),
        Route::GeminiCount => ("gemini", Body::Json(google)),
        Route::TokenCounter => ("claude", Body::Json(say("claude"))),
        Route::TransformRequest => {
            ("chat", Body::Json(json!({"call_type": "completion", "request_body": say("chat")})))
        }
        Route::RouteExplain => ("chat", Body::Json(say("chat"))),
        Route::Response
        | Route::ResponseDelete
        | Route::ResponseCancel
        | Route::ResponseInput
        | Route::Models
        | Route::Model
        | Route::ModelInfo
        | Route::ModelGroupInfo
        | Route::Health
        | Route::HealthDeployments
        | Route::HealthOverrides
        | Route::HealthOverride
        | Route::Liveliness
        | Route::Readiness
        | Route::Metrics
        | Route::OpenApi
        | Route::DocsPage
        | Route::SupportedParams
        | Route::Capabilities
        | Route::Pass(_)
        | Route::NotImplemented => return None,
    })
}

/// What is asked for below a prefix.
fn passing(prefix: &str, passage: Passage) -> Vec<Way> {
    let google = json!({"contents": [{"role": "user", "parts": [{"text": "hi there"}]}]});
    let file = Body::Form(vec![("purpose", "batch".to_owned()), ("file", "{}".to_owned())]);
    let batch =
        json!({"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    let job = json!({"model": "gpt-4o", "training_file": "file-1"});
    let store = json!({"name": "s"});
    let ask = json!({"custom_id": "1", "params": say("claude-sonnet-4-5")});
    let rows: Vec<(&str, &str, Body)> = match passage {
        Passage::OpenAi => vec![
            ("POST", "/v1/chat/completions", Body::Json(say("gpt-4o"))),
            ("POST", "/v1/responses", Body::Json(json!({"model": "gpt-4o", "input": "hi"}))),
            ("GET", "/v1/models", Body::Nothing),
        ],
        Passage::Anthropic => vec![
            ("POST", "/v1/messages", Body::Json(say("claude-sonnet-4-5"))),
            ("POST", "/v1/messages/count_tokens", Body::Json(say("claude-sonnet-4-5"))),
        ],
        Passage::Gemini => vec![
            ("POST", "/v1beta/models/gemini-2.5-pro:generateContent", Body::Json(google.clone())),
            ("POST", "/v1beta/models/gemini-2.5-pro:countTokens", Body::Json(google)),
        ],
        Passage::Vertex => vec![(
            "POST",
            "/v1/projects/p/locations/us-east5/publishers/google/models/gemini-2.5-pro:generateContent",
            Body::Json(google),
        )],
        Passage::Bedrock => vec![("POST", "/model/amazon.nova-lite-v1:0/converse", Body::Json(say("x")))],
        Passage::Azure => vec![("POST", "/openai/deployments/dep-1/chat/completions", Body::Json(say("x")))],
        Passage::Cohere => vec![("POST", "/v2/chat", Body::Json(say("command-a-03-2025")))],
        Passage::Mistral => vec![("POST", "/v1/chat/completions", Body::Json(say("mistral-small-latest")))],
        Passage::Vllm => vec![("POST", "/chat/completions", Body::Json(say("llama")))],
        Passage::Files => {
            vec![("POST", "", file), ("GET", "", Body::Nothing), ("GET", "/file-1/content", Body::Nothing)]
        }
        Passage::Batches => vec![("POST", "", Body::Json(batch)), ("GET", "", Body::Nothing)],
        Passage::FineTuning => vec![("POST", "", Body::Json(job)), ("GET", "", Body::Nothing)],
        Passage::VectorStores => vec![("POST", "", Body::Json(store)), ("GET", "", Body::Nothing)],
        Passage::MessageBatches => {
            vec![("POST", "", Body::Json(json!({"requests": [ask]}))), ("GET", "", Body::Nothing)]
        }
        Passage::Own => vec![],
    };
    let way = |(method, rest, body): (&str, &str, Body)| Way {
        method: method.to_owned(),
        target: format!("{prefix}{rest}"),
        body,
    };
    rows.into_iter().map(way).collect()
}

/// Every way by which somebody may reach a provider.
fn ways() -> Vec<Way> {
    let of_table = TABLE.iter().filter_map(|row| {
        let (group, body) = asked_of(row.route)?;
        let mut target = row.path.replace("{*model}", group).replace("{model}", group);
        match row.route {
            Route::Realtime => target.push_str("?model=voice"),
            Route::TokenCounter => target.push_str("?call_endpoint=true"),
            _ => {}
        }
        Some(Way { method: row.method.to_string(), target, body })
    });
    let passing = PREFIXES.iter().flat_map(|prefix| passing(prefix.path, prefix.passage));
    let own = json!({"model": "rerank-v3.5", "query": "q", "documents": ["d"]});
    let own = Way { method: "POST".to_owned(), target: "/my/rerank".to_owned(), body: Body::Json(own) };
    of_table.chain(passing).chain([own]).collect()
}

/// A bypass: what is changed of a request, and what else it says.
type Bypass = (&'static str, fn(&mut Value), &'static str);

const BYPASSES: [Bypass; 10] = [
    ("plain", |_| {}, ""),
    ("streamed", |body| body["stream"] = json!(true), ""),
    (
        "with a new id",
        |_| {},
        "x-litellm-call-id: another\r\nx-request-id: another\r\nidempotency-key: another\r\n",
    ),
    (
        "of another user",
        |body| body["user"] = json!("somebody-else"),
        "x-litellm-end-user-id: somebody-else\r\n",
    ),
    (
        "with tags",
        |body| body["metadata"] = json!({"tags": ["free"], "critical": true}),
        "x-litellm-tags: free\r\n",
    ),
    (
        "retried",
        |body| body["num_retries"] = json!(3),
        "x-litellm-num-retries: 3\r\nx-stainless-retry-count: 2\r\n",
    ),
    ("with a fallback", |body| body["fallbacks"] = json!(["claude"]), ""),
    ("from a cache", |body| body["cache"] = json!({"no-store": true}), "cache-control: no-cache\r\n"),
    ("of a model that is not there", |body| body["model"] = json!("not-there"), ""),
    ("by its provider's name", |body| body["model"] = json!("openai/gpt-4o"), ""),
];

fn form(fields: &[(&str, String)]) -> Vec<u8> {
    let mut out = String::new();
    for (name, value) in fields {
        let file = if ["file", "image"].contains(name) { "; filename=\"a.wav\"" } else { "" };
        out.push_str(&format!(
            "--x\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n{value}\r\n"
        ));
    }
    (out + "--x--\r\n").into_bytes()
}

impl Way {
    /// The request as a key makes it.
    fn request(&self, key: &str, (_, change, says): &Bypass) -> Vec<u8> {
        let (kind, bytes) = match &self.body {
            Body::Json(body) => {
                let mut body = body.clone();
                change(&mut body);
                ("content-type: application/json\r\n", body.to_string().into_bytes())
            }
            Body::Form(fields) => ("content-type: multipart/form-data; boundary=x\r\n", form(fields)),
            Body::Session => (
                "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 sec-websocket-version: 13\r\n",
                Vec::new(),
            ),
            Body::Nothing => ("", Vec::new()),
        };
        let length = match &self.body {
            Body::Session => String::new(),
            _ => format!("content-length: {}\r\n", bytes.len()),
        };
        let head = format!(
            "{} {} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n{kind}{says}{length}\r\n",
            self.method, self.target
        );
        [head.as_bytes(), &bytes].concat()
    }

    /// Asks, and reads the answer to its end: its status.
    async fn ask(&self, app: &App, key: &str, bypass: &Bypass) -> u16 {
        let request = self.request(key, bypass);
        if matches!(self.body, Body::Session) {
            return session(app, &request).await;
        }
        let mut connection = app.connect().await;
        connection.write(&request).await;
        connection.answer().await.status
    }
}

/// Asks for a session, and leaves it: the status.
async fn session(app: &App, request: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(patiently("the head", stream.read_u8()).await.unwrap());
    }
    std::str::from_utf8(&head[9..12]).unwrap().parse().unwrap()
}

/// 1,000 tokens of prompt and 100 of answer, whatever is asked.
fn counted() -> Behaviour {
    let tokens = TokenCounts { prompt: Some(1_000), completion: Some(100), ..TokenCounts::default() };
    Behaviour::new().text("one two").tokens(tokens)
}

/// The rows that the ledger has of a key, once it has so many; all that there are where it never has.
async fn rows(app: &App, key: &str, expected: usize) -> usize {
    let token = Token::of(key.as_bytes()).as_str().to_owned();
    let path = format!("/spend/logs/v2?api_key={token}");
    let mut count = 0;
    for _ in 0..100 {
        count = seen(app, &path).await["data"].as_array().unwrap().len();
        if count >= expected {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    count
}

/// What a provider was asked for, but for counts, which are free: those who may not spend are counted for here.
fn billed(received: &[Received]) -> Vec<String> {
    let billed = received.iter().filter(|one| one.operation != "count_tokens");
    billed.map(|one| format!("{} {}", one.method, one.path)).collect()
}

#[tokio::test]
async fn who_has_spent_a_budget_reaches_no_provider_by_any_route() {
    let app = App::start(config(), Script::new().rule(Rule::any(counted()))).await;
    let spent = key(&app, json!({"max_budget": 0.0})).await;
    let (mut asked, mut reached) = (0, Vec::new());
    for way in ways() {
        for bypass in &BYPASSES {
            let before = app.received().len();
            let status = way.ask(&app, &spent, bypass).await;
            asked += 1;
            if app.received().len() > before {
                reached.push(format!("{} {} {}: {status}", way.method, way.target, bypass.0));
            }
        }
    }
    assert!(reached.is_empty(), "{} of {asked}:\n{}", reached.len(), reached.join("\n"));
    assert!(asked > 1_000, "{asked}");
    app.stop().await;
}

/// Somebody who pays for one request, and what a provider was asked of it.
struct Payer {
    key: String,
    what: String,
    sent: Vec<String>,
}

/// How many of all were sent, and which of them the ledger has no row of.
async fn missing(app: &App, payers: &[Payer]) -> (usize, Vec<String>) {
    let (mut sent, mut missing) = (0, Vec::new());
    for payer in payers.iter().filter(|payer| !payer.sent.is_empty()) {
        sent += payer.sent.len();
        let rows = rows(app, &payer.key, payer.sent.len()).await;
        if rows != payer.sent.len() {
            missing.push(format!("{}: {rows} rows of {:?}", payer.what, payer.sent));
        }
    }
    (sent, missing)
}

#[tokio::test]
async fn whatever_a_provider_received_of_a_caller_under_a_budget_is_in_the_ledger() {
    let app = App::start(config(), Script::new().rule(Rule::any(counted()))).await;
    let mut payers = Vec::new();
    for (way, bypass) in ways().iter().flat_map(|way| BYPASSES.iter().map(move |bypass| (way, bypass))) {
        let key = key(&app, json!({"max_budget": 1_000})).await;
        let before = app.received().len();
        let status = way.ask(&app, &key, bypass).await;
        app.until("nobody is asked any more", |app| app.simulator.active_requests() == 0).await;
        let sent = billed(&app.received()[before..]);
        payers.push(Payer {
            key,
            what: format!("{} {} {}: {status}", way.method, way.target, bypass.0),
            sent,
        });
    }
    let (sent, missing) = missing(&app, &payers).await;
    assert!(missing.is_empty(), "{} of {sent}:\n{}", missing.len(), missing.join("\n"));
    assert!(sent > 500, "{sent} of {}", payers.len());
    app.stop().await;
}

#[tokio::test]
async fn who_hangs_up_pays_for_what_the_provider_was_asked() {
    let slow = counted().latency(Duration::from_millis(40)).pace(Duration::from_millis(20));
    let app = App::start(config(), Script::new().rule(Rule::any(slow))).await;
    let mut payers = Vec::new();
    for (way, bypass) in ways().iter().flat_map(|way| BYPASSES[..2].iter().map(move |bypass| (way, bypass))) {
        let key = key(&app, json!({"max_budget": 1_000})).await;
        let before = app.received().len();
        let mut connection = app.connect().await;
        connection.write(&way.request(&key, bypass)).await;
        tokio::select! {
            biased;
            () = app.until("the provider is asked", |app| app.received().len() > before) => {}
            _ = connection.head() => {}
        }
        drop(connection);
        app.until("nobody is asked any more", |app| app.simulator.active_requests() == 0).await;
        let sent = billed(&app.received()[before..]);
        payers.push(Payer { key, what: format!("{} {} {}", way.method, way.target, bypass.0), sent });
    }
    let (sent, missing) = missing(&app, &payers).await;
    assert!(missing.is_empty(), "{} of {sent}:\n{}", missing.len(), missing.join("\n"));
    assert!(sent > 100, "{sent} of {}", payers.len());
    app.stop().await;
}
