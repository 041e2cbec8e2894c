//! How many instructions a plain request takes, by who calls: a figure that another load on the machine does not change.
//!
//! Valgrind's callgrind runs the gateway and counts. The words are `accounted.rs`'s.
//!
//! **Invariant**: what starts and ends with the process is in both of the runs whose difference is told.

use std::fs;
use std::path::Path;

use super::load::Target;
use super::people;
use super::threads::Threads;
use super::tolls::Who;
use super::wire::Client;
use crate::shell::Workspace;

/// Requests of the two runs.
pub(crate) const REQUESTS: [u32; 2] = [300, 1_300];

/// What a request takes.
#[derive(Clone, Debug)]
pub(crate) struct InstructionsRow {
    /// Who calls.
    pub(crate) who: Who,
    /// Instructions, by what the threads are for.
    pub(crate) instructions: Threads,
}

/// Counts for each of them.
///
/// # Errors
/// When a gateway does not start, or a request fails.
pub(crate) async fn measure(
    place: (&Workspace, &Path),
    upstream_port: u16,
) -> Result<Vec<InstructionsRow>, String> {
    let mut rows = Vec::new();
    for who in [Who::Master, Who::Key, Who::Budgets] {
        eprintln!("instructions: {}", who.title());
        // What making the key takes is not counted.
        who.start(place, upstream_port).await?.stop();
        let few = run(place, upstream_port, who, REQUESTS[0]).await?;
        let many = run(place, upstream_port, who, REQUESTS[1]).await?;
        let requests = f64::from(REQUESTS[1] - REQUESTS[0]);
        rows.push(InstructionsRow { who, instructions: (many - few).each(|count| count / requests) });
    }
    Ok(rows)
}

/// Instructions of a gateway's whole life with so many requests.
async fn run(
    place: (&Workspace, &Path),
    upstream_port: u16,
    who: Who,
    requests: u32,
) -> Result<Threads, String> {
    let folder = place.1.join("callgrind");
    let say = |error: std::io::Error| format!("{}: {error}", folder.display());
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(say)?;
    let out = format!("--callgrind-out-file={}/counts", folder.display());
    let valgrind = ["valgrind", "--quiet", "--tool=callgrind", "--separate-threads=yes", &out];
    let gateway = who.start_by(place, upstream_port, &valgrind)?;
    let target = gateway.chat_as(who.key().as_deref(), people::GROUP);
    ask(&target, requests).await?;
    gateway.stop();
    let mut sum = Threads::default();
    for file in fs::read_dir(&folder).map_err(say)? {
        let text = fs::read_to_string(file.map_err(say)?.path()).map_err(say)?;
        sum.add(thread(&text), total(&text).unwrap_or_default());
    }
    if sum.road > 0.0 { Ok(sum) } else { Err(format!("{} has no counts", folder.display())) }
}

/// Whose counts a file has: callgrind says a thread's number, but not its name, so it is told by what it did.
fn thread(text: &str) -> &'static str {
    let did = |name: &str| memchr::memmem::find(text.as_bytes(), name.as_bytes()).is_some();
    if did("tollgate_ledger::journal::writer::Writer::commit") {
        "journal"
    } else if did("sqlite3VdbeExec") {
        "store-write"
    } else if did("tollgate_ledger::feeder::") {
        "ledger"
    } else {
        "worker-0"
    }
}

/// One request after the other, over one connection.
async fn ask(target: &Target, requests: u32) -> Result<(), String> {
    let mut client = Client::connect(target.port).await.map_err(|error| error.to_string())?;
    for _ in 0..requests {
        let status = client.exchange(&target.request, |_| {}).await.map_err(|error| error.to_string())?;
        if status != 200 {
            return Err(format!("a request was answered with {status}"));
        }
    }
    Ok(())
}

/// The sum that callgrind writes at the end of its file (Callgrind Format Specification: `totals`).
fn total(text: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix("totals: "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_found_in_callgrinds_file() {
        assert_eq!(
            total("# callgrind format\nevents: Ir\nfn=(0) below main\n0 7\n\ntotals: 12345\n"),
            Some(12345.0)
        );
        assert_eq!(total("events: Ir\n"), None);
    }

    #[test]
    fn a_thread_is_told_by_what_it_did() {
        let check = |function: &str, expect: &str| {
            assert_eq!(thread(&format!("events: Ir\nfn=(1) {function}\n0 7\n")), expect);
        };
        check("tollgate_ledger::journal::writer::Writer::commit", "journal");
        check("sqlite3VdbeExec", "store-write");
        check("tollgate_ledger::feeder::carry_journal::{{closure}}", "ledger");
        check("tollgate_server::pipeline::answer::{{closure}}", "worker-0");
    }
}
