//! `tollgate simulator`: the simulated providers alone.

use crate::cli::{SimulatorArguments, say};
use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tollgate_simulator::{Bench, Script, Simulator};

/// How often what was received is written down.
const RECORD_EVERY: Duration = Duration::from_millis(100);
/// Most requests of one run that are written down.
const RECORDED_MAX: usize = 1_000_000;

/// Runs until it is told to end.
pub(crate) fn run(arguments: &SimulatorArguments) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(async {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
        let listener =
            tokio::net::TcpListener::bind(address).await.map_err(|error| format!("{address}: {error}"))?;
        let script = if arguments.bench { Script::bench(Bench::default()) } else { Script::new() };
        let kept = if arguments.record.is_some() { RECORDED_MAX } else { 0 };
        let simulator =
            Simulator::start(listener, script.keep(kept)).await.map_err(|error| error.to_string())?;
        say(&format!("simulated providers on http://{}", simulator.address()));
        match &arguments.record {
            Some(path) => {
                let file = File::options().create(true).append(true).open(path);
                let file = file.map_err(|error| format!("{}: {error}", path.display()))?;
                record(&simulator, file).await.map_err(|error| format!("{}: {error}", path.display()))?;
            }
            None => crate::serve::ended().await,
        }
        simulator.stop().await;
        Ok(())
    })
}

/// Writes every request down, one JSON line each, until the process is told to end.
async fn record(simulator: &Simulator, mut file: File) -> std::io::Result<()> {
    let mut written = 0;
    let ended = crate::serve::ended();
    tokio::pin!(ended);
    loop {
        let is_over = tokio::select! {
            () = &mut ended => true,
            () = tokio::time::sleep(RECORD_EVERY) => false,
        };
        let received = simulator.received();
        let lines: String =
            received.iter().skip(written).map(|request| format!("{}\n", request.to_json_line())).collect();
        file.write_all(lines.as_bytes())?;
        written = received.len();
        if is_over {
            return Ok(());
        }
    }
}
