//! Who is measured: no proxy at all, nginx, Tollgate, and the peers; how each is started and asked.
//!
//! Every contender is pinned to the core that the load does not use, and talks to the same stand-in. The peers'
//! installs are `peers.rs`'s.
//!
//! **Invariant**: Tollgate runs as an operator would run it: release build, master key, cost and metrics on.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::crossed::{self, Pair};
use super::load::Target;
use super::process::{Server, free_port};
use crate::setup::write;
use crate::shell::Workspace;

/// The core that contenders are pinned to; load and stand-in share core 0.
pub(crate) const CORE: usize = 1;
/// Open files that a contender may have: a stream is two sockets to a proxy, and 1024 is a usual default.
const FILES_MAX: u32 = 4096;
const PROMPT: &str = "Answer in eight tokens, please.";
pub(crate) const MASTER_KEY: &str = "sk-bench-master-key";
/// Bytes of text in the large prompt.
const LARGE_PROMPT_BYTES: usize = 200 * 1024;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Road {
    /// A short chat, answered whole.
    Plain,
    /// The same, answered as a stream of 8 tokens.
    Stream,
    /// A prompt of 200 KB to a model that a proxy of models renames.
    Large,
    /// A stream with a pause between its tokens.
    Paced {
        /// Milliseconds between tokens.
        pace_ms: u64,
        /// Tokens of the stream.
        tokens: usize,
    },
    /// A caller of one dialect before a provider of another.
    Crossed {
        /// The dialects.
        pair: Pair,
        /// Whether the answer is a stream.
        stream: bool,
    },
}

impl Road {
    /// The words for tables.
    pub(crate) fn title(self) -> String {
        match self {
            Self::Plain => "plain chat".to_owned(),
            Self::Stream => "stream of 8 tokens".to_owned(),
            Self::Large => "200 KB prompt, model renamed".to_owned(),
            Self::Paced { .. } => "paced stream".to_owned(),
            Self::Crossed { pair, stream: false } => format!("{}, plain", pair.title()),
            Self::Crossed { pair, stream: true } => format!("{}, streamed", pair.title()),
        }
    }

    /// Text events of the answer, where their cost is asked for.
    pub(crate) fn events(self) -> Option<usize> {
        matches!(self, Self::Crossed { stream: true, .. }).then_some(crossed::EVENTS)
    }

    /// Path and body of the request, for a contender that translates and renames models, or one that does not.
    fn request(self, translates: bool) -> (String, String) {
        match self {
            Self::Crossed { pair, stream } if translates => pair.caller.request(pair.group(), stream),
            Self::Crossed { pair, stream } => pair.provider.request(pair.provider.own_model(), stream),
            _ => ("/v1/chat/completions".to_owned(), self.body(translates)),
        }
    }

    fn model(self, renames: bool) -> String {
        match self {
            Self::Large if renames => "renamed".to_owned(),
            Self::Plain | Self::Stream | Self::Large | Self::Crossed { .. } => "bench".to_owned(),
            Self::Paced { pace_ms, tokens } => format!("pace-{pace_ms}-{tokens}"),
        }
    }

    fn body(self, renames: bool) -> String {
        let model = self.model(renames);
        let stream = matches!(self, Self::Stream | Self::Paced { .. });
        match self {
            Self::Large => chat_body(&model, stream, &large_prompt()),
            _ => chat_body(&model, stream, PROMPT),
        }
    }
}

fn chat_body(model: &str, stream: bool, prompt: &str) -> String {
    let stream = if stream { "\"stream\":true," } else { "" };
    format!("{{\"model\":\"{model}\",{stream}\"messages\":[{{\"role\":\"user\",\"content\":\"{prompt}\"}}]}}")
}

/// Text with the escapes that real prompts have: a line feed and quotes in every hundred bytes or so.
fn large_prompt() -> String {
    let line =
        "The gate keeper said \\\"one coin for each cart\\\" and wrote the sum into the book, as ever.\\n";
    line.repeat(LARGE_PROMPT_BYTES / line.len() + 1)
}

/// Which contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The load goes to the stand-in itself.
    Direct,
    /// `proxy_pass` with keep-alive and one worker.
    Nginx,
    /// The gateway.
    Tollgate,
    /// LiteLLM Proxy.
    Litellm,
    /// Portkey's gateway.
    Portkey,
}

impl Kind {
    /// The name for tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Tollgate => "tollgate",
            Self::Litellm => "LiteLLM",
            Self::Portkey => "Portkey",
        }
    }

    /// Whether the rows of one dialect before another are measured with it: nginx for the cost of carrying, the peer
    /// that speaks every caller's dialect.
    pub(crate) fn is_in_crossed_rows(self) -> bool {
        matches!(self, Self::Nginx | Self::Tollgate | Self::Litellm)
    }

    /// Paced streams at once that the contender is measured with. 512 take LiteLLM minutes on one core.
    pub(crate) fn streams_max(self) -> u32 {
        if self == Self::Litellm { 8 } else { u32::MAX }
    }
}

/// A contender that runs and answers.
pub(crate) struct Contender {
    /// Which one.
    pub(crate) kind: Kind,
    /// Its process; none where nothing stands between.
    pub(crate) server: Option<Server>,
    port: u16,
    headers: String,
}

impl Contender {
    /// The stand-in itself.
    pub(crate) fn direct(upstream_port: u16) -> Self {
        Self { kind: Kind::Direct, server: None, port: upstream_port, headers: String::new() }
    }

    /// Starts nginx in a folder of its own.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn nginx(workspace: &Workspace, folder: &Path, upstream_port: u16) -> Result<Self, String> {
        let port = free_port()?;
        let file = folder.join("nginx.conf");
        write(&file, &nginx_config(folder, port, upstream_port))?;
        let program = crate::shell::which("nginx").ok_or("nginx is not installed")?;
        let mut command = pinned(workspace, &program);
        command.arg("-p").arg(folder).arg("-c").arg(&file);
        log_to(&mut command, &folder.join("nginx.log"))?;
        let server = Server::start(&mut command, port, "/ready")?;
        Ok(Self { kind: Kind::Nginx, server: Some(server), port, headers: String::new() })
    }

    /// Starts the release build of the gateway.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn tollgate(workspace: &Workspace, folder: &Path, upstream_port: u16) -> Result<Self, String> {
        Self::gateway(workspace, folder, ("tollgate", &gateway_config(upstream_port)))
    }

    /// Starts the release build of the gateway with a configuration, under a name for its files.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn gateway(workspace: &Workspace, folder: &Path, named: (&str, &str)) -> Result<Self, String> {
        Self::gateway_by((workspace, folder), named, &[])
    }

    /// The same, run by another program, which is given with its arguments.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn gateway_by(
        (workspace, folder): (&Workspace, &Path),
        (name, config): (&str, &str),
        program: &[&str],
    ) -> Result<Self, String> {
        let port = free_port()?;
        // Of its own: what it spends and whom it knows is written into the folder that it is started in.
        let home = folder.join(name);
        std::fs::create_dir_all(&home).map_err(|error| format!("cannot make {}: {error}", home.display()))?;
        let file = home.join("config.yaml");
        write(&file, config)?;
        let mut command = on_core(workspace);
        command.args(program).arg(workspace.target.join("release/tollgate"));
        command.args(["serve", "--host", "127.0.0.1", "--port", &port.to_string(), "--config"]).arg(&file);
        command.current_dir(&home);
        log_to(&mut command, &home.join("log"))?;
        let server = Server::start(&mut command, port, "/health/liveliness")?;
        Ok(Self { kind: Kind::Tollgate, server: Some(server), port, headers: bearer() })
    }

    /// A peer that was started elsewhere.
    pub(crate) fn peer(kind: Kind, server: Server, port: u16, headers: String) -> Self {
        Self { kind, server: Some(server), port, headers }
    }

    /// Ends it as an operator would, and waits until everything is written.
    pub(crate) fn stop(self) {
        if let Some(server) = self.server {
            server.end();
        }
    }

    /// The request of a road, as this contender wants it.
    pub(crate) fn target(&self, road: Road) -> Target {
        let renames = matches!(self.kind, Kind::Tollgate | Kind::Litellm);
        self.request(road.request(renames))
    }

    /// A short chat with a model of the gateway.
    pub(crate) fn chat(&self, model: &str, stream: bool) -> Target {
        self.request(("/v1/chat/completions".to_owned(), chat_body(model, stream, PROMPT)))
    }

    /// The same of a caller with this key, or of one without any.
    pub(crate) fn chat_as(&self, key: Option<&str>, model: &str) -> Target {
        let headers = key.map(bearer_of).unwrap_or_default();
        post(self.port, &headers, ("/v1/chat/completions", &chat_body(model, false, PROMPT)))
    }

    /// A call of the admin API, with the master key.
    pub(crate) fn admin(&self, path: &str, body: &str) -> Target {
        post(self.port, &bearer(), (path, body))
    }

    fn request(&self, (path, body): (String, String)) -> Target {
        post(self.port, &self.headers, (&path, &body))
    }
}

fn post(port: u16, headers: &str, (path, body): (&str, &str)) -> Target {
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\naccept: application/json\r\n\
         content-type: application/json\r\nuser-agent: OpenAI/Python 3.54.0\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    Target { port, request: Arc::from(request.into_bytes()) }
}

fn bearer_of(key: &str) -> String {
    format!("authorization: Bearer {key}\r\n")
}

/// The header that carries the master key.
pub(crate) fn bearer() -> String {
    bearer_of(MASTER_KEY)
}

/// The configuration's section that asks for the master key.
pub(crate) fn general_settings() -> String {
    format!("general_settings:\n  master_key: \"{MASTER_KEY}\"\n")
}

/// A deployment in LiteLLM's configuration format; `more` are further lines of its `litellm_params`.
pub(crate) fn deployment(group: &str, model: &str, number: usize, port: u16, more: &[&str]) -> String {
    let more: String = more.iter().map(|line| format!("      {line}\n")).collect();
    format!(
        "  - model_name: \"{group}\"\n    litellm_params:\n      model: \"openai/{model}\"\n      \
         api_base: \"http://127.0.0.1:{port}/v1\"\n      api_key: \"sk-upstream-{number}\"\n      \
         input_cost_per_token: 0.0000025\n      output_cost_per_token: 0.00001\n{more}    \
         model_info:\n      id: \"{group}-{number}\"\n"
    )
}

/// A command that runs on the contenders' core.
pub(crate) fn pinned(workspace: &Workspace, program: &Path) -> Command {
    let mut command = on_core(workspace);
    command.arg(program);
    command
}

/// The beginning of such a command: the program is its next argument.
fn on_core(workspace: &Workspace) -> Command {
    let files = format!("--nofile={FILES_MAX}:");
    workspace.command("taskset", &["--cpu-list", &CORE.to_string(), "prlimit", &files])
}

/// Sends a server's output to a file, where it costs the terminal nothing.
///
/// # Errors
/// When the file cannot be made.
pub(crate) fn log_to(command: &mut Command, file: &Path) -> Result<(), String> {
    let open =
        || std::fs::File::create(file).map_err(|error| format!("cannot make {}: {error}", file.display()));
    command.stdout(Stdio::from(open()?)).stderr(Stdio::from(open()?));
    Ok(())
}

/// LiteLLM's configuration format, so that the same file serves Tollgate and LiteLLM.
pub(crate) fn gateway_config(upstream_port: u16) -> String {
    let mut text = String::from("model_list:\n");
    let mut row = |name: &str, model: &str| {
        text.push_str(&format!(
            "  - model_name: \"{name}\"\n    litellm_params:\n      model: \"openai/{model}\"\n      \
             api_base: \"http://127.0.0.1:{upstream_port}/v1\"\n      api_key: \"sk-upstream\"\n      \
             input_cost_per_token: 0.0000025\n      output_cost_per_token: 0.00001\n"
        ));
    };
    row("bench", "bench");
    row("renamed", "bench");
    for paced in super::PACED {
        let name = paced.road().model(true);
        row(&name, &name);
    }
    text.push_str(&crossed::gateway_groups(upstream_port));
    text.push_str(&general_settings());
    text
}

/// One worker, kept-alive connections on both sides, bodies in memory, no access log.
fn nginx_config(folder: &Path, port: u16, upstream_port: u16) -> String {
    let at = folder.display();
    format!(
        "daemon off;
worker_processes 1;
worker_rlimit_nofile {FILES_MAX};
pid {at}/nginx.pid;
error_log {at}/nginx-error.log error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {at}/client_body;
  proxy_temp_path {at}/proxy;
  fastcgi_temp_path {at}/fastcgi;
  uwsgi_temp_path {at}/uwsgi;
  scgi_temp_path {at}/scgi;
  client_body_buffer_size 1m;
  client_max_body_size 64m;
  keepalive_timeout 600s;
  keepalive_requests 1000000000;
  upstream provider {{
    server 127.0.0.1:{upstream_port};
    keepalive 1024;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location = /ready {{ return 200 ready; }}
    location / {{
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_buffer_size 16k;
      proxy_buffers 8 32k;
    }}
  }}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_json_and_say_what_the_road_is() {
        let check = |road: Road, model: &str, stream: bool| {
            let body: serde_json::Value = serde_json::from_str(&road.body(true)).unwrap();
            assert_eq!(body["model"], model);
            assert_eq!(body["stream"].as_bool().unwrap_or(false), stream);
        };
        check(Road::Plain, "bench", false);
        check(Road::Stream, "bench", true);
        check(Road::Large, "renamed", false);
        check(Road::Paced { pace_ms: 50, tokens: 9 }, "pace-50-9", true);
        assert!(Road::Large.body(false).len() > LARGE_PROMPT_BYTES);
    }

    #[test]
    fn a_request_says_the_length_of_its_body() {
        let contender = Contender::direct(9);
        let request = contender.target(Road::Large).request;
        assert_eq!(super::super::wire::message_length(&request), Some(request.len()));
    }

    #[test]
    fn the_gateway_knows_every_model_that_is_asked_for() {
        let config = gateway_config(1);
        let crossed = crossed::PAIRS.iter().map(|pair| pair.group());
        for name in ["bench", "renamed", "pace-50-200"].into_iter().chain(crossed) {
            assert!(config.contains(&format!("model_name: \"{name}\"")), "{name}\n{config}");
        }
    }
}
