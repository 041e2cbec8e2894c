//! Pictures and documents by address before providers that take bytes alone: what is fetched, and what never is.

use crate::support::{App, RawProvider, Wire, model_list};
use serde_json::{Value, json};
use tollgate_simulator::clouds::{AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY};
use tollgate_simulator::{Behaviour, Fault, Rule, Script};

/// A picture of one pixel, and the same in base64.
const PIXEL: &str = "GIF89a\x01\0\x01\0\0\0\0;";
const PIXEL_BASE64: &str = "R0lGODlhAQABAAAAADs=";

fn bedrock(model: &str) -> String {
    format!(
        "model: bedrock/{model}, aws_bedrock_runtime_endpoint: \"http://{{sim}}\", aws_region_name: eu-central-1, \
         aws_access_key_id: {AWS_ACCESS_KEY_ID}, aws_secret_access_key: \"{AWS_SECRET_ACCESS_KEY}\""
    )
}

/// Groups at providers that take bytes alone and one that takes addresses; the store's host is trusted.
fn groups(allowed: &str, more: &str) -> String {
    let list = model_list(&[
        ("nova", &bedrock("amazon.nova-pro-v1:0")),
        ("invoked", &bedrock("invoke/anthropic.claude-sonnet-4-5-20250929-v1:0")),
        ("ollama", "model: ollama/llama3.2, api_base: \"http://{sim}/ollama\""),
        ("anthropic", &Wire::Anthropic.parameters("a")),
        ("either", &format!("{}, order: 1", bedrock("amazon.nova-pro-v1:0"))),
        ("either", &Wire::OpenAi.parameters("o")),
    ]);
    format!("{list}litellm_settings: {{user_url_allowed_hosts: [\"{allowed}\"]}}\n{more}")
}

fn picture(url: &str) -> Value {
    json!({"type": "image_url", "image_url": {"url": url}})
}

fn chat(model: &str, urls: &[&str]) -> Value {
    let mut content = vec![json!({"type": "text", "text": "What is it?"})];
    content.extend(urls.iter().map(|url| picture(url)));
    json!({"model": model, "max_tokens": 40, "messages": [{"role": "user", "content": content}]})
}

fn last_body(app: &App) -> String {
    String::from_utf8(app.received().last().unwrap().body.to_vec()).unwrap()
}

/// A store of one picture under a type that says nothing, as stores have it.
async fn store() -> RawProvider {
    RawProvider::of("application/octet-stream", PIXEL).await
}

#[tokio::test]
async fn a_picture_by_address_reaches_providers_that_take_bytes_alone() {
    let store = store().await;
    let app = App::start(groups(&store.address.to_string(), ""), Script::new()).await;
    let url = format!("http://{}/pictures/one?signature=secret#part", store.address);
    for (number, group) in ["nova", "invoked", "ollama"].into_iter().enumerate() {
        let answer = app.chat(&chat(group, &[&url, &url])).await;
        assert_eq!(answer.status, 200, "{group}: {}", answer.text());
        assert_eq!(last_body(&app).matches(PIXEL_BASE64).count(), 2, "{group}");
        assert_eq!(store.connects(), number + 1, "{group}: an address is fetched once a request");
    }
    assert!(last_body(&app).contains("\"images\""), "{}", last_body(&app));
    // Anthropic takes addresses, but only with TLS.
    let answer = app.chat(&chat("anthropic", &["https://a.example/one.gif"])).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(last_body(&app).contains("https://a.example/one.gif"));
    assert_eq!(store.connects(), 3, "a provider that takes the address is given it");
    let answer = app.chat(&chat("anthropic", &[&url])).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(last_body(&app).contains(PIXEL_BASE64));
    assert_eq!(store.connects(), 4);
    app.stop().await;
}

#[tokio::test]
async fn a_picture_in_the_providers_own_dialect_is_fetched_as_well() {
    let store = store().await;
    let app = App::start(groups("127.0.0.1", ""), Script::new()).await;
    let url = format!("http://{}/one.gif", store.address);
    let source = json!({"type": "image", "source": {"type": "url", "url": url}});
    let body =
        json!({"model": "invoked", "max_tokens": 40, "messages": [{"role": "user", "content": [source]}]});
    let answer = app.post("/v1/messages", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent: Value = serde_json::from_str(&last_body(&app)).unwrap();
    let expect = json!({"type": "base64", "media_type": "image/gif", "data": PIXEL_BASE64});
    assert_eq!(sent["messages"][0]["content"][0]["source"], expect);
    let input =
        json!([{"role": "user", "content": [{"type": "input_image", "image_url": url, "detail": "auto"}]}]);
    let answer = app.post("/v1/responses", &json!({"model": "nova", "input": input, "store": false})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(last_body(&app).contains(PIXEL_BASE64));
    app.stop().await;
}

#[tokio::test]
async fn what_was_fetched_serves_every_attempt_of_the_request() {
    let store = store().await;
    let script = Script::new().rule(Rule::any(Behaviour::new().fault(Fault::status(503))).times(1));
    let app = App::start(groups("127.0.0.1", "router_settings: {num_retries: 2}\n"), script).await;
    let answer = app.chat(&chat("nova", &[&format!("http://{}/one.gif", store.address)])).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!((app.received().len(), store.connects()), (2, 1));
    app.stop().await;
}

#[tokio::test]
async fn an_address_that_is_not_public_is_not_connected_to() {
    let store = store().await;
    let app = App::start(groups("files.internal", ""), Script::new()).await;
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"] {
        let url = format!("http://{host}:{}/one.gif?token=secret", store.address.port());
        let answer = app.chat(&chat("nova", &[&url])).await;
        assert_eq!(answer.status, 400, "{host}: {}", answer.text());
        let message = answer.error()["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.contains("cannot be fetched") && !message.contains("secret"), "{message}");
    }
    assert_eq!((store.connects(), app.received().len()), (0, 0));
    // A deployment of the same group that takes addresses still answers.
    let url = format!("http://{}/one.gif", store.address);
    for _ in 0..8 {
        let answer = app.chat(&chat("either", &[&url])).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(store.connects(), 0);
    app.stop().await;
}

#[tokio::test]
async fn what_cannot_be_fetched_is_named_to_the_caller() {
    let check = async |reply: &str, settings: &str, reason: &str| {
        let store = RawProvider::start(reply.replace('\n', "\r\n")).await;
        let app = App::start(groups("127.0.0.1", settings), Script::new()).await;
        let url = format!("http://{}/one.gif", store.address);
        let answer = app.chat(&chat("nova", &[&url])).await;
        let message = answer.error()["message"].as_str().unwrap_or_default().to_owned();
        assert_eq!((answer.status, app.received().len()), (400, 0), "{message}");
        assert!(message.contains(reason), "{message}");
        app.stop().await;
        store.connects()
    };
    let gone = "HTTP/1.1 404 Not Found\ncontent-length: 0\n\n";
    assert_eq!(check(gone, "", "it answered 404").await, 1);
    let moved = "HTTP/1.1 302 Found\nlocation: http://127.0.0.1/\ncontent-length: 0\n\n";
    assert_eq!(check(moved, "", "it answered 302, and redirects are not followed").await, 1);
    let announced = "HTTP/1.1 200 OK\ncontent-length: 999\n\n";
    let small = "tollgate_settings: {media_bytes_max: 10}\n";
    assert_eq!(check(announced, small, "more than 10 bytes (tollgate_settings.media_bytes_max)").await, 1);
    let unannounced = "HTTP/1.1 200 OK\nconnection: close\n\nGIF89a-and-more";
    assert_eq!(check(unannounced, small, "more than 10 bytes").await, 1);
    let page = "HTTP/1.1 200 OK\ncontent-type: text/html\ncontent-length: 6\n\n<html>";
    assert_eq!(check(page, "", "must be one of image/png").await, 1);
    let off = "tollgate_settings: {media_bytes_max: 0}\n";
    assert_eq!(check(page, off, "must be bytes").await, 0);
}

#[tokio::test]
async fn a_request_does_not_crawl() {
    let store = store().await;
    let app = App::start(groups("127.0.0.1", ""), Script::new()).await;
    let urls: Vec<String> = (0..21).map(|number| format!("http://{}/{number}", store.address)).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let answer = app.chat(&chat("nova", &urls)).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("at most 20 addresses"), "{}", answer.text());
    assert_eq!(store.connects(), 0);
    let answer = app.chat(&chat("nova", &urls[..20])).await;
    assert_eq!((answer.status, store.connects()), (200, 20), "{}", answer.text());
    app.stop().await;
}
