//! Two gateways behind a balancer, ended and started again by turns while requests go on.

use crate::support::{Gateway, Load, Site, count, ms, open_ai, patiently};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tollgate_simulator::{Behaviour, Rule, Script};

/// HAProxy, ended with its value.
struct Balancer(Child);

impl Balancer {
    fn start(folder: &Path, port: u16, gateways: [u16; 2]) -> Self {
        let servers = ["a", "b"]
            .iter()
            .zip(gateways)
            .map(|(name, port)| format!("  server {name} 127.0.0.1:{port} check inter 50ms fall 1 rise 1\n"));
        let servers: String = servers.collect();
        let text = format!(
            "defaults\n  mode http\n  timeout connect 2s\n  timeout client 60s\n  timeout server 60s\n  timeout check 10s\n  retries 3\n  \
             option redispatch\n  retry-on conn-failure empty-response\n\
             frontend callers\n  bind 127.0.0.1:{port}\n  default_backend gateways\n\
             backend gateways\n  option httpchk GET /health/readiness\n  http-check expect status 200\n{servers}"
        );
        let file = folder.join("haproxy.cfg");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(file).stdin(Stdio::null()).stdout(Stdio::null());
        Self(command.stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ports from below those that the system gives to outgoing connections, so that they are free after a restart too.
fn free_ports() -> [u16; 3] {
    let first = std::process::id().wrapping_mul(17) % 8_000;
    let mut ports = (0..8_000).map(|step| 22_000 + ((first + step) % 8_000) as u16);
    let mut next = || ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap();
    [next(), next(), next()]
}

async fn until_serving(gateway: &Gateway) {
    patiently("it is sent requests", async {
        while gateway.counted("litellm_proxy_total_requests_metric_total", &[]).await == 0 {
            tokio::time::sleep(ms(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn r34_gateways_that_are_restarted_by_turns_behind_a_balancer_fail_no_request() {
    let list: String = ["a", "b"].map(|name| open_ai("m", name, "")).concat();
    let behaviour = Behaviour::new().text("a b c d e f").latency(ms(20)).pace(ms(10));
    let site = Site::start(&format!("model_list:\n{list}"), Script::new().rule(Rule::any(behaviour))).await;
    let text = format!("model_list:\n{list}").replace("{sim}", &site.simulator.address().to_string());
    let [front, one, two] = free_ports();
    let mut gateways = [Gateway::start_at(&text, one).await, Gateway::start_at(&text, two).await];
    let balancer = Balancer::start(site.gateway.folder(), front, [one, two]);
    let front = SocketAddr::from(([127, 0, 0, 1], front));
    patiently("the balancer listens", async {
        while TcpStream::connect(front).is_err() {
            tokio::time::sleep(ms(10)).await;
        }
    })
    .await;
    for gateway in &gateways {
        crate::support::patiently("the balancer knows of it", async {
            while gateway.counted("litellm_proxy_total_requests_metric_total", &[]).await == 0 {
                let _ = Load::new(4, 2).run(front).await;
            }
        })
        .await;
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let ending = Arc::clone(&is_over);
    let load = tokio::spawn(async move {
        let mut served = 0;
        while !ending.load(Ordering::SeqCst) {
            let outcomes = Load::new(40, 8).run(front).await;
            outcomes.all_answered();
            served += outcomes.answers.len();
        }
        served
    });
    let rounds = count(2, 20);
    for _ in 0..rounds {
        for gateway in &mut gateways {
            gateway.ask_to_end().await;
            gateway.ended().await;
            gateway.start_again().await;
            until_serving(gateway).await;
        }
    }
    is_over.store(true, Ordering::SeqCst);
    let served = load.await.unwrap();
    eprintln!("{} restarts, {served} requests, failed 0", 2 * rounds);
    drop(balancer);
    for gateway in gateways {
        gateway.stop().await;
    }
    site.stop().await;
}
