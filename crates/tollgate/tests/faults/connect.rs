//! R1 to R7: the way to a provider.

use crate::support::{
    ATTEMPTS, BlackHole, Eavesdropper, FAILURES, Load, RawProvider, Site, count, deployment, ms, open_ai,
    until, words,
};
use serde_json::json;
use std::time::Instant;
use tokio::net::TcpListener;
use tollgate_simulator::{Behaviour, FaultProxy, Rule, Script, Simulator};

/// Most attempts at a dead deployment that may follow its death under a load of `at_once`: three in a row, whatever
/// was under way by then, and a few probes.
fn tries_max(at_once: usize) -> usize {
    3 + at_once + 8
}

/// A deployment of the group `m` behind an address of its own.
fn at(name: &str, place: &str) -> String {
    deployment("m", name, "openai/gpt-4o", &format!(", api_base: \"http://{{{place}}}/d/{name}/v1\""))
}

/// Simulated providers, and a proxy before them.
async fn proxied() -> (Simulator, FaultProxy) {
    let simulator = Simulator::bind(Script::new()).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = FaultProxy::start(listener, simulator.address()).await.unwrap();
    (simulator, proxy)
}

#[tokio::test]
async fn r01_one_of_three_that_refuses_costs_the_callers_nothing_and_comes_back() {
    let (simulator, proxy) = proxied().await;
    let [b, c] = ["b", "c"].map(|name| open_ai("m", name, ""));
    let yaml = format!("model_list:\n{}{b}{c}router_settings: {{cooldown_time: 1}}\n", at("a", "proxy"));
    let site = Site::before(simulator, &yaml, &[("proxy", proxy.address())]).await;
    let requests = count(300, 3_000);
    site.load(Load::new(requests, 16)).await.all_answered();
    let [a, b, c] = site.sends(["a", "b", "c"]);
    assert!(a > 0 && b > 0 && c > 0 && a + b + c == requests, "{a} {b} {c}");
    proxy.handle().refuse(true);
    proxy.handle().reset_all();
    site.load(Load::new(requests, 16)).await.all_answered();
    let tried = site.gateway.counted(FAILURES, &["model_id=\"a\""]).await;
    assert!((3..=tries_max(16)).contains(&tried), "the dead one was tried {tried} times");
    proxy.handle().heal();
    let before = site.sends(["a"]);
    site.ask_until("the dead one is asked again", |site| site.sends(["a"]) > before).await;
    let before = site.sends(["a"]);
    site.load(Load::new(requests, 16)).await.all_answered();
    assert!(site.sends(["a"])[0] - before[0] >= requests / 6, "it does not get its share back");
    site.stop().await;
}

#[tokio::test]
async fn r02_where_all_refuse_the_callers_hear_so_and_no_storm_follows() {
    let (simulator, proxy) = proxied().await;
    let list: String = ["a", "b", "c"].map(|name| at(name, "proxy")).concat();
    let yaml = format!("model_list:\n{list}router_settings: {{cooldown_time: 1}}\n");
    let site = Site::before(simulator, &yaml, &[("proxy", proxy.address())]).await;
    proxy.handle().refuse(true);
    let requests = count(200, 2_000);
    let started = Instant::now();
    let outcomes = site.load(Load::new(requests, 16)).await;
    let windows = started.elapsed().as_secs() / 10 + 1;
    for told in &outcomes.answers {
        assert_eq!(told.status(), 500, "{}", told.body());
        assert!(!told.body().contains("127.0.0.1"), "{}", told.body());
        let retries = told.header("x-litellm-attempted-retries").and_then(|text| text.parse().ok());
        assert!(retries.unwrap_or(0) <= 2, "{retries:?} retries of one request");
    }
    let attempts = site.gateway.counted(ATTEMPTS, &[]).await;
    // A retry for every tenth request and three a second besides, over ten seconds.
    let most = requests + requests / 10 + 30 * usize::try_from(windows).unwrap();
    assert!(attempts <= most, "{attempts} attempts for {requests} requests, at most {most} are due");
    assert_eq!(site.gateway.counted(FAILURES, &[]).await, attempts);
    assert_eq!(proxy.connections(), 0);
    proxy.handle().heal();
    until("somebody listens again", || std::net::TcpStream::connect(proxy.address()).is_ok()).await;
    loop {
        let told = site.hello_stream("m").await;
        if told.status() == 200 {
            assert!(!told.complete("m").is_empty());
            break;
        }
    }
    site.stop().await;
}

#[tokio::test]
async fn r03_a_provider_that_never_accepts_costs_its_limit_to_connect_and_no_answer() {
    let hole = BlackHole::new();
    let yaml = format!(
        "model_list:\n{}{}{}tollgate_settings: {{connect_timeout_seconds: 0.2}}\n",
        at("a", "hole"),
        open_ai("m", "b", ""),
        open_ai("m", "c", "")
    );
    let site = Site::start_with(&yaml, Script::new(), &[("hole", hole.address)]).await;
    let requests = count(200, 1_000);
    site.load(Load::new(requests, 16)).await.all_answered();
    let tried = site.gateway.counted(FAILURES, &["model_id=\"a\""]).await;
    assert!((3..=tries_max(16)).contains(&tried), "it was tried {tried} times");
    let [b, c] = site.sends(["b", "c"]);
    assert_eq!(b + c, requests);
    site.stop().await;
}

#[tokio::test]
async fn r04_a_name_that_does_not_resolve_goes_elsewhere_and_is_asked_for_by_few_threads() {
    // A label of more than 63 letters is no name (RFC 1035), so that nobody on the network is asked.
    let nowhere = format!("http://{}.invalid/v1", "x".repeat(64));
    let yaml = format!(
        "model_list:\n{}{}router_settings: {{disable_cooldowns: true}}\n",
        deployment("m", "a", "openai/gpt-4o", &format!(", weight: 1, api_base: \"{nowhere}\"")),
        open_ai("m", "b", ", weight: 1")
    );
    let site = Site::start(&yaml, Script::new()).await;
    let threads = site.gateway.threads();
    // As many retries as a group's budget has at once.
    site.load(Load::new(30, 8)).await.all_answered();
    assert_eq!(site.sends(["b"]), [30]);
    assert!(site.gateway.counted(FAILURES, &["model_id=\"a\"", "exception_class=\"dns\""]).await > 0);
    let more = site.gateway.threads() - threads;
    assert!(more <= 64, "{more} threads look names up");
    site.stop().await;
}

#[tokio::test]
async fn r05_an_inner_address_that_a_caller_names_is_never_connected_to() {
    let spy = Eavesdropper::start(Some("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx")).await;
    let port = spy.address.port();
    // Ollama takes pictures as bytes alone, so that the gateway has to fetch those that are named by address.
    let ollama = deployment("m", "a", "ollama/llama3.2", ", api_base: \"http://{sim}/ollama\"");
    let site = Site::start(&format!("model_list:\n{ollama}"), Script::new()).await;
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "0.0.0.0"] {
        let url = format!("http://{host}:{port}/one.png");
        let picture = json!({"type": "image_url", "image_url": {"url": url}});
        let body = json!({"model": "m", "messages": [{"role": "user", "content": [picture]}]});
        let answer = site.chat(&body).await;
        assert_eq!(answer.status, 400, "{host}: {}", answer.text());
    }
    assert_eq!((spy.connects(), site.received().len()), (0, 0));
    site.stop().await;
}

#[tokio::test]
async fn r06_a_provider_that_speaks_no_tls_never_sees_the_request() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    for answer in [Some(answer), None] {
        let spy = Eavesdropper::start(answer).await;
        let bad = deployment("m", "a", "openai/gpt-4o", ", api_base: \"https://{spy}/v1\", weight: 1");
        let yaml = format!(
            "model_list:\n{bad}{}tollgate_settings: {{connect_timeout_seconds: 0.3}}\n",
            open_ai("m", "b", ", weight: 0")
        );
        let site = Site::start_with(&yaml, Script::new(), &[("spy", spy.address)]).await;
        site.load(Load::new(10, 2)).await.all_answered();
        assert_eq!(site.sends(["b"]), [10]);
        let failed = site.gateway.counted(FAILURES, &["model_id=\"a\""]).await;
        assert!(failed > 0);
        until("the connections are closed", || spy.heard().len() == failed).await;
        for bytes in spy.heard() {
            // A handshake record (RFC 8446, section 5.1), and nothing of the request.
            assert_eq!(bytes.first(), Some(&22));
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert!(!text.contains("sk-key-of-a") && !text.contains("POST") && !text.contains("hello"));
        }
        if answer.is_some() {
            assert_eq!(site.gateway.counted(FAILURES, &["exception_class=\"tls\""]).await, failed);
        }
        site.stop().await;
    }
}

#[tokio::test]
async fn r07_a_reused_connection_that_was_closed_costs_the_caller_nothing() {
    let body = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"x","choices":[{"index":0,"message":{"role":"assistant","content":"yes"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
    // Says nothing of closing, and closes.
    let reply = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let provider = RawProvider::start(reply.clone()).await;
    let yaml = format!("model_list:\n{}router_settings: {{num_retries: 0}}\n", at("a", "provider"));
    let site = Site::start_with(&yaml, Script::new(), &[("provider", provider.address)]).await;
    let requests = count(2_000, 10_000);
    site.load(Load::new(requests, 8).plain()).await.all_answered();
    assert_eq!(site.gateway.counted(FAILURES, &[]).await, 0);
    assert_eq!(site.gateway.counted(ATTEMPTS, &[]).await, requests);
    // Nothing was asked twice either.
    assert_eq!(provider.written(), requests * reply.len());
    site.stop().await;
}

#[tokio::test]
async fn r01_one_that_dies_with_streams_under_way_costs_the_callers_nothing_either() {
    let requests = count(200, 2_000);
    let slowly = || Behaviour::new().text(words(30)).latency(ms(10)).pace(ms(2));
    // The stream that it dies of is under way for seconds: no busy machine sees its end first.
    let before = Rule::deployment("a", slowly()).times(requests as u64 / 10 - 1);
    let dying = Rule::deployment("a", slowly().pace(ms(200)));
    let script = Script::new().rule(before).rule(dying).rule(Rule::any(slowly()));
    let simulator = Simulator::bind(script).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = FaultProxy::start(listener, simulator.address()).await.unwrap();
    let [b, c] = ["b", "c"].map(|name| open_ai("m", name, ""));
    let yaml = format!("model_list:\n{}{b}{c}", at("a", "proxy"));
    let site = Site::before(simulator, &yaml, &[("proxy", proxy.address())]).await;
    let dies = async {
        site.until("the load is under way", |site| site.sends(["a"])[0] >= requests / 10).await;
        proxy.handle().refuse(true);
        proxy.handle().reset_all();
    };
    let (outcomes, ()) = tokio::join!(site.load(Load::new(requests, 16)), dies);
    outcomes.all_answered();
    // The provider notices with its next write.
    site.until("a stream was under way when it died", |site| {
        site.received().iter().any(|request| request.hung_up)
    })
    .await;
    let tried = site.gateway.counted(FAILURES, &["model_id=\"a\""]).await;
    assert!(tried <= tries_max(16), "the dead one was tried {tried} times");
    site.stop().await;
}
