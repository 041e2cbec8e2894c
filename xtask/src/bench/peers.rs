//! The peers of `bench --peers`: LiteLLM Proxy from PyPI, Portkey's gateway from the npm registry.
//!
//! Installs them under `target/test-env`, apart from the environments of the tests, and starts them with what
//! their own documents recommend for one core.
//!
//! **Invariant**: peers are pinned and measured exactly as the gateway is; only their installs are special.

use std::path::Path;

use super::contender::{Contender, Kind, bearer, gateway_config, log_to, pinned};
use super::process::{Server, free_port};
use crate::services;
use crate::setup::{self, write};
use crate::shell::Workspace;

/// Installs and starts every peer.
///
/// # Errors
/// When an install or a start fails.
pub(crate) fn start(
    workspace: &Workspace,
    folder: &Path,
    upstream_port: u16,
) -> Result<Vec<Contender>, String> {
    setup::programs(workspace, services::FOR_PEERS)?;
    Ok(vec![litellm(workspace, folder, upstream_port)?, portkey(workspace, folder, upstream_port)?])
}

fn litellm(workspace: &Workspace, folder: &Path, upstream_port: u16) -> Result<Contender, String> {
    let python = setup::python(workspace, "peer-litellm", "xtask/peers/requirements.txt")?;
    let file = folder.join("litellm.yaml");
    write(&file, &gateway_config(upstream_port))?;
    let port = free_port()?;
    let mut command = pinned(workspace, &python.with_file_name("litellm"));
    command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--num_workers", "1", "--config"]);
    command.arg(&file);
    // Its price map comes with the package; without these it would ask the network for a newer one.
    command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True").env("LITELLM_LOG", "ERROR");
    log_to(&mut command, &folder.join("litellm.log"))?;
    let server = Server::start(&mut command, port, "/health/liveliness")?;
    Ok(Contender::peer(Kind::Litellm, server, port, bearer()))
}

/// Its package file pins an older `@hono/node-server`: with the newest that it admits, every stream of this version
/// ends in a 500 of its own.
fn portkey(workspace: &Workspace, folder: &Path, upstream_port: u16) -> Result<Contender, String> {
    let packages = setup::node(workspace, "peer-portkey", "xtask/peers")?;
    let port = free_port()?;
    let node = crate::shell::which("node").ok_or("node is not installed")?;
    let mut command = pinned(workspace, &node);
    command.arg(packages.join("node_modules/@portkey-ai/gateway/build/start-server.js"));
    command.args([&format!("--port={port}"), "--headless"]);
    command.env("NODE_ENV", "production").env("TRUSTED_CUSTOM_HOSTS", "127.0.0.1,localhost");
    log_to(&mut command, &folder.join("portkey.log"))?;
    let server = Server::start(&mut command, port, "/")?;
    let headers = format!(
        "authorization: Bearer sk-upstream\r\nx-portkey-provider: openai\r\n\
         x-portkey-custom-host: http://127.0.0.1:{upstream_port}/v1\r\n"
    );
    Ok(Contender::peer(Kind::Portkey, server, port, headers))
}
