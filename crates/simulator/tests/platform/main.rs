//! OpenAI's API beside chat, over sockets, as a caller sees it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../sockets/common.rs"]
#[expect(dead_code, reason = "the other suite uses the rest")]
mod common;
mod kept;
mod realtime;
mod responses;

use common::{Answer, request, send};
use serde_json::Value;
use tollgate_simulator::{Script, Simulator};

const KEY: (&str, &str) = ("authorization", "Bearer sk-test");
const JSON: (&str, &str) = ("content-type", "application/json");

async fn simulator() -> Simulator {
    Simulator::bind(Script::new()).await.unwrap()
}

async fn post(simulator: &Simulator, path: &str, body: &Value) -> Answer {
    send(simulator.address(), &request("POST", path, &[KEY, JSON], &body.to_string())).await
}

async fn ask(simulator: &Simulator, method: &str, path: &str) -> Answer {
    send(simulator.address(), &request(method, path, &[KEY], "")).await
}

/// A form of fields and files: a name, a file's name or nothing, the content.
async fn post_form(simulator: &Simulator, path: &str, parts: &[(&str, &str, &str)]) -> Answer {
    let mut body = String::new();
    for (name, filename, content) in parts {
        let file = if filename.is_empty() { String::new() } else { format!("; filename=\"{filename}\"") };
        body.push_str(&format!(
            "--edge\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{content}\r\n"
        ));
    }
    body.push_str("--edge--\r\n");
    let kind = ("content-type", "multipart/form-data; boundary=edge");
    send(simulator.address(), &request("POST", path, &[KEY, kind], &body)).await
}
