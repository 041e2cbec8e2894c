//! The process under test.
//!
//! Owns: its start with a configuration of the test's, its log, its metrics, its memory, its end.
//!
//! **Invariant:** no process outlives its [`Gateway`].

use super::{Connection, patiently, until};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What the log says before the address that is listened on.
const LISTENING: &str = "address=";

/// The number of the signal that asks a process to end.
const SIGTERM: u32 = 15;

/// Numbers the folders of the processes.
static FOLDERS: AtomicUsize = AtomicUsize::new(0);

/// The configuration in the folder of a process.
pub(crate) const CONFIG: &str = "config.yaml";

/// Starts a process in its folder on a port, and reads its log.
fn launch(folder: &Path, port: u16) -> (Child, Arc<Mutex<Vec<String>>>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["serve", "--port", &port.to_string(), "--num-workers", "2", "--debug", "--config"])
        .arg(folder.join(CONFIG))
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = Arc::new(Mutex::new(Vec::new()));
    let (reader, lines) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
    std::thread::spawn(move || {
        for line in reader.lines().map_while(Result::ok) {
            lines.lock().unwrap().push(line);
        }
    });
    (child, log)
}

/// A running `tollgate serve`.
pub(crate) struct Gateway {
    child: Child,
    /// That it is told to listen on; 0 for any that is free.
    port: u16,
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    folder: PathBuf,
}

impl Gateway {
    /// Serves a configuration on a free port with two workers, from when it listens.
    pub(crate) async fn start(yaml: &str) -> Self {
        Self::start_at(yaml, 0).await
    }

    /// The same on this port, after a restart too.
    pub(crate) async fn start_at(yaml: &str, port: u16) -> Self {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("gateway-{}-{number}", std::process::id());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(CONFIG), yaml).unwrap();
        let (child, log) = launch(&folder, port);
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut started = Self { child, port, address, log, folder };
        started.listens().await;
        started
    }

    /// Kills it, as `kill -9` does, and starts it again where it was. What stands in its folder may be changed between.
    pub(crate) async fn restart(&mut self, meanwhile: impl FnOnce(&Path)) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        meanwhile(&self.folder);
        self.start_again().await;
    }

    /// Kills it, and starts it where it cannot start: what it says at its end.
    pub(crate) async fn start_in_vain(mut self, meanwhile: impl FnOnce(&Path)) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        meanwhile(&self.folder);
        (self.child, self.log) = launch(&self.folder, self.port);
        patiently("the gateway gives up", async {
            while self.child.try_wait().unwrap().is_none() {
                tokio::time::sleep(super::ms(2)).await;
            }
        })
        .await;
        self.log_is_read().await;
        self.log_text()
    }

    /// Waits until the last that a process said which has ended is read: whoever reads it shares the log until then.
    async fn log_is_read(&self) {
        until("the log is read", || Arc::strong_count(&self.log) == 1).await;
    }

    async fn listens(&mut self) {
        patiently("the gateway listens", async {
            loop {
                if let Some(address) = self.said(LISTENING) {
                    self.address = address;
                    return;
                }
                let ended = self.child.try_wait().unwrap();
                assert!(ended.is_none(), "ended with {ended:?}:\n{}", self.log_text());
                tokio::time::sleep(super::ms(2)).await;
            }
        })
        .await;
    }

    /// The address that the log says it listens on.
    fn said(&self, mark: &str) -> Option<SocketAddr> {
        let lines = self.log.lock().unwrap();
        let line = lines.iter().find(|line| line.contains("listening"))?;
        let address = line.split_once(mark)?.1.split_whitespace().next()?;
        address.parse().ok()
    }

    /// All that was logged so far.
    pub(crate) fn log_text(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// A connection of a caller.
    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address).await
    }

    /// The text of a path.
    pub(crate) async fn get(&self, path: &str) -> String {
        self.get_with(path, &[]).await
    }

    /// The same with headers of the caller's own.
    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> String {
        let mut connection = self.connect().await;
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!("GET {path} HTTP/1.1\r\nhost: gateway\r\n{headers}\r\n");
        connection.write(request.as_bytes()).await;
        connection.answer().await.text()
    }

    /// Where it runs.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The sum of a metric over the label sets whose text contains all of `labels`.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.get("/metrics").await;
        let rows = text.lines().filter(|line| {
            let rest = line.strip_prefix(name).unwrap_or_default();
            rest.starts_with([' ', '{']) && labels.iter().all(|label| rest.contains(label))
        });
        rows.map(|row| row.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// A metric that counts things.
    pub(crate) async fn counted(&self, name: &str, labels: &[&str]) -> usize {
        let value = self.metric(name, labels).await;
        assert!(value >= 0.0 && value.fract() == 0.0, "{name} is {value}");
        // A sum of nothing is a negative zero.
        format!("{:.0}", value.abs()).parse().unwrap()
    }

    /// The most memory that it had at once, in bytes.
    pub(crate) fn memory_max(&self) -> u64 {
        self.status("VmHWM:") * 1024
    }

    /// From now on no file of it grows beyond so many bytes; without a number any may.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let most = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
        let (pid, most) = (self.child.id().to_string(), format!("--fsize={most}:unlimited"));
        let done = Command::new("prlimit").args(["--pid", &pid, &most]).status().unwrap();
        assert!(done.success());
    }

    /// The threads that it has.
    pub(crate) fn threads(&self) -> u64 {
        self.status("Threads:")
    }

    /// What it has read so far: bytes, and calls of the system.
    pub(crate) fn reads(&self) -> (u64, u64) {
        let text = std::fs::read_to_string(format!("/proc/{}/io", self.child.id())).unwrap();
        let number = |row: &str| {
            text.lines().find_map(|line| line.strip_prefix(row)).unwrap().trim().parse::<u64>().unwrap()
        };
        (number("rchar:"), number("syscr:"))
    }

    /// The files that it has open.
    pub(crate) fn files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    fn status(&self, row: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(row)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Whether it has a handler for a signal.
    fn catches(&self, signal: u32) -> bool {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let mask = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap() >> (signal - 1) & 1 == 1
    }

    /// Ends it, and holds that nothing was left behind: no request in flight, no panic, a good exit.
    pub(crate) async fn stop(mut self) {
        patiently("no request is in flight", async {
            while self.counted("litellm_in_flight_requests", &[]).await > 0 {
                tokio::time::sleep(super::ms(5)).await;
            }
        })
        .await;
        assert_eq!(self.counted("tollgate_bugs_total", &[]).await, 0, "{}", self.log_text());
        self.ask_to_end().await;
        self.ended().await;
    }

    /// Asks it to end.
    pub(crate) async fn ask_to_end(&self) {
        // It listens a little before it minds signals.
        until("the process minds signals", || self.catches(SIGTERM)).await;
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(asked.success());
    }

    /// Waits until it has ended, and holds that it ended well.
    pub(crate) async fn ended(&mut self) {
        let child = Mutex::new(&mut self.child);
        until("the gateway ends", || child.lock().unwrap().try_wait().unwrap().is_some()).await;
        self.log_is_read().await;
        let status = self.child.wait().unwrap();
        assert!(status.success() && !self.log_text().contains("panicked"), "{status}: {}", self.log_text());
    }

    /// Starts it again where it was, after it has ended.
    pub(crate) async fn start_again(&mut self) {
        (self.child, self.log) = launch(&self.folder, self.port);
        self.listens().await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already; nobody looks at the folder any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
        if std::thread::panicking() {
            let lines = self.log.lock().unwrap();
            let last = lines.len().saturating_sub(12);
            eprintln!("the last of the gateway's log:\n{}", lines[last..].join("\n"));
        }
    }
}
