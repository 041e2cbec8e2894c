//! Serves the simulated providers on an address until it is interrupted.
//!
//! `cargo run -p tollgate-simulator --example simulate -- 127.0.0.1:4010 [bench TOKENS [PACE_US]]`

#![expect(clippy::print_stdout, reason = "says where it serves")]

use std::io;
use std::time::Duration;
use tokio::net::TcpListener;
use tollgate_simulator::{Bench, Script, Simulator};

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let address = arguments.first().map_or("127.0.0.1:4010", String::as_str);
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse().ok());
    let script = if arguments.get(1).is_some_and(|word| word == "bench") {
        let bench = Bench { tokens: number(2).unwrap_or(8), ..Bench::default() };
        Script::bench(Bench { pace: Duration::from_micros(number(3).unwrap_or(0)), ..bench })
    } else {
        Script::new()
    };
    let simulator = Simulator::start(TcpListener::bind(address).await?, script).await?;
    println!("serving simulated providers on {}", simulator.base_url());
    tokio::signal::ctrl_c().await?;
    simulator.stop().await;
    Ok(())
}
