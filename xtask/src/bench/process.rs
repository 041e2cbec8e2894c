//! What Linux says about a process and about a core: processor time, memory, start and end.
//!
//! Reads `/proc` only; what the numbers mean for a contender is `mod.rs`'s and `report.rs`'s.
//!
//! **Invariant**: a measured server is one that was started here, and it ends with its `Server`.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Ticks per second of the times in `/proc/PID/stat`; 100 on every Linux that Rust's targets run on.
const TICKS_PER_SECOND: f64 = 100.0;
/// How long a server may take to answer for the first time; LiteLLM takes some 10 to 30 s.
const READY_MAX: Duration = Duration::from_secs(120);

/// A server under measurement: killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// From the start of the process to its first 200.
    pub(crate) ready: Duration,
}

impl Server {
    /// Starts a command and waits until `GET path` on the port is answered with 200.
    ///
    /// # Errors
    /// When it cannot be started, ends, or does not answer in two minutes.
    pub(crate) fn start(command: &mut Command, port: u16, path: &str) -> Result<Self, String> {
        let line = crate::shell::shown(command);
        let start = Instant::now();
        let child = command.spawn().map_err(|error| format!("cannot start `{line}`: {error}"))?;
        let mut server = Self { child, ready: Duration::ZERO };
        while !answers(port, path) {
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(format!("`{line}` ended with {status} before it was ready"));
            }
            if start.elapsed() > READY_MAX {
                return Err(format!("`{line}` did not answer GET {path} on port {port}"));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        server.ready = start.elapsed();
        Ok(server)
    }

    /// Processor time of the process and its descendants since their start, seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        tree(self.child.id()).iter().filter_map(|pid| ticks(*pid)).sum::<f64>() / TICKS_PER_SECOND
    }

    /// The same of each thread of the process itself, by its name; several may have the same.
    pub(crate) fn cpu_by_thread(&self) -> Vec<(String, f64)> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let of = |folder: &Path| {
            let name = fs::read_to_string(folder.join("comm")).ok()?;
            // The first field: nanoseconds on a core (Documentation/scheduler/sched-stats.rst).
            let spent = fs::read_to_string(folder.join("schedstat")).ok()?;
            let spent: f64 = spent.split(' ').next()?.parse().ok()?;
            Some((name.trim_end().to_owned(), spent / 1e9))
        };
        tasks.into_iter().flatten().flatten().filter_map(|task| of(&task.path())).collect()
    }

    /// Asks the process to end, and waits until it has.
    pub(crate) fn end(mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }

    /// Stops the process and its descendants, so that they take no part of the core while another is measured.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets them go on.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pids: Vec<String> = tree(self.child.id()).iter().map(u32::to_string).collect();
        let _ = Command::new("kill").arg(signal).args(pids).status();
    }

    /// Memory of the process and its descendants.
    pub(crate) fn memory(&self) -> Memory {
        let pids = tree(self.child.id());
        let sum = |file: &str, key: &str| pids.iter().filter_map(|pid| kilobytes(*pid, file, key)).sum();
        Memory { rss_kb: sum("status", "VmRSS:"), pss_kb: sum("smaps_rollup", "Pss:") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pids = tree(self.child.id());
        // The parent first: it would replace a worker that ends before it.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for pid in pids.iter().skip(1) {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
    }
}

/// Resident and proportional memory, kilobytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// `VmRSS`.
    pub(crate) rss_kb: u64,
    /// `Pss`: pages that several processes map are shared out among them.
    pub(crate) pss_kb: u64,
}

/// A port of the loopback that nobody listens on.
///
/// # Errors
/// When there is none.
pub(crate) fn free_port() -> Result<u16, String> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no free port: {error}"))
}

fn answers(port: u16, path: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(socket, "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")?;
        let mut start = [0; 12];
        socket.read_exact(&mut start)?;
        Ok(start.ends_with(b"200"))
    };
    ask().unwrap_or(false)
}

/// The process and its descendants, parents before children.
fn tree(root: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<(u32, u32)> = pids.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut found = vec![root];
    let mut at = 0;
    while let Some(&pid) = found.get(at) {
        found.extend(parents.iter().filter(|(_, parent)| *parent == pid).map(|(child, _)| child));
        at += 1;
    }
    found
}

/// The fields of `/proc/PID/stat` after the program's name, which may itself contain spaces.
fn stat_fields(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split(' ').map(str::to_owned).collect())
}

fn parent(pid: u32) -> Option<u32> {
    stat_fields(pid)?.get(1)?.parse().ok()
}

/// `utime` + `stime`, fields 14 and 15 of proc(5).
fn ticks(pid: u32) -> Option<f64> {
    let fields = stat_fields(pid)?;
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    Some(field(14)? + field(15)?)
}

fn kilobytes(pid: u32, file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// How long a core worked and how long it idled since boot, in ticks.
#[derive(Clone, Copy)]
pub(crate) struct CoreTime {
    busy: f64,
    idle: f64,
}

impl CoreTime {
    /// The counters of a core now; zeros where it does not exist.
    pub(crate) fn of(core: usize) -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let name = format!("cpu{core} ");
        let line = text.lines().find(|line| line.starts_with(&name)).unwrap_or_default();
        Self::parse(line)
    }

    /// user nice system idle iowait irq softirq steal: proc(5). Guest time is part of user time.
    fn parse(line: &str) -> Self {
        let fields: Vec<f64> =
            line.split(' ').skip(1).take(8).filter_map(|field| field.parse().ok()).collect();
        let idle: f64 = fields.iter().skip(3).take(2).sum();
        Self { busy: fields.iter().sum::<f64>() - idle, idle }
    }

    /// The share of the time since `earlier` in which the core worked, 0 to 1.
    pub(crate) fn busy_since(self, earlier: Self) -> f64 {
        let busy = self.busy - earlier.busy;
        let all = busy + self.idle - earlier.idle;
        if all > 0.0 { busy / all } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_what_is_not_idle() {
        let earlier = CoreTime::parse("cpu1 100 0 100 800 0 0 0 0 0 0");
        let later = CoreTime::parse("cpu1 150 0 110 830 10 0 0 0 0 0");
        assert_eq!(later.busy_since(earlier), 0.6);
        assert_eq!(earlier.busy_since(earlier), 0.0);
    }

    #[test]
    fn a_paused_process_is_stopped_until_it_is_resumed() {
        let child = Command::new("sleep").arg("30").spawn().unwrap();
        let pid = child.id();
        let server = Server { child, ready: Duration::ZERO };
        let wait_for = |states: &str| {
            while !stat_fields(pid).unwrap().first().is_some_and(|state| states.contains(state.as_str())) {
                std::thread::yield_now();
            }
        };
        server.pause();
        wait_for("T");
        server.resume();
        wait_for("SR");
    }

    #[test]
    fn a_process_knows_its_children_memory_and_time() {
        let mut child = Command::new("sh").args(["-c", "sleep 30 & wait"]).spawn().unwrap();
        while tree(child.id()).len() < 2 {
            std::thread::yield_now();
        }
        assert!(kilobytes(child.id(), "status", "VmRSS:").unwrap() > 100);
        assert!(ticks(child.id()).is_some());
        let server = Server { child, ready: Duration::ZERO };
        assert!(server.memory().pss_kb > 0);
        let threads = server.cpu_by_thread();
        assert!(
            matches!(threads.as_slice(), [(name, seconds)] if name == "sh" && *seconds > 0.0),
            "{threads:?}"
        );
        let pids = tree(server.child.id());
        drop(server);
        child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert!(pids.iter().all(|pid| parent(*pid).is_none_or(|parent| parent == 1)));
    }
}
