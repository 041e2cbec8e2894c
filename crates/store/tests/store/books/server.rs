//! A PostgreSQL server for the tests: the one that `TOLLGATE_TEST_POSTGRES` names, or one of our own.
//!
//! Where neither is to be had the tests fail: without PostgreSQL they would hold half of what they say.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio_postgres::NoTls;

use crate::folder::Folder;

/// The variable that names a running server: the address of a database in which the tests may make schemas.
const VARIABLE: &str = "TOLLGATE_TEST_POSTGRES";

static SHARED: OnceLock<Server> = OnceLock::new();

/// The address of a server that all tests share.
pub(crate) fn shared() -> String {
    if let Ok(url) = std::env::var(VARIABLE) {
        return url;
    }
    let server = SHARED.get_or_init(|| {
        let mut server = Server::made();
        // Nobody drops it.
        server.is_left = true;
        server.run();
        server
    });
    server.url()
}

/// A schema of a test's own, gone with its value.
pub(crate) struct Schema {
    pub(crate) url: String,
    pub(crate) name: String,
}

impl Schema {
    pub(crate) fn new(url: String) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self { url, name: format!("test_{}_{number}", std::process::id()) }
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let sql = format!("DROP SCHEMA IF EXISTS {} CASCADE", self.name);
        let url = self.url.clone();
        // A thread, since a runtime may be running on this one. A server that is gone has no schema.
        let dropped = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let _ = runtime
                .block_on(async { tokio::time::timeout(Duration::from_secs(5), execute(&url, &sql)).await });
        });
        let _ = dropped.join();
    }
}

/// Runs statements, as somebody who has the database to themselves.
pub(crate) async fn execute(url: &str, sql: &str) -> Result<(), String> {
    let text = |error: tokio_postgres::Error| {
        error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
    };
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.map_err(text)?;
    let pump = tokio::spawn(connection);
    let done = client.batch_execute(sql).await.map_err(text);
    drop(client);
    let _ = pump.await;
    done
}

/// A server of a test's own, stopped with its value, and also when the test's process dies.
pub(crate) struct Server {
    folder: Folder,
    pub(crate) port: u16,
    settings: Vec<String>,
    child: Option<Child>,
    /// Its folder goes when the test's process has ended.
    is_left: bool,
}

impl Server {
    /// Makes a cluster and starts it, with settings such as `max_connections=10`.
    pub(crate) fn start(settings: &[&str]) -> Self {
        let mut server = Self::made();
        for setting in settings {
            server.set(setting);
        }
        server.run();
        server
    }

    /// Sets something for the next start.
    pub(crate) fn set(&mut self, setting: &str) {
        self.settings.push(setting.to_owned());
    }

    /// Makes a cluster.
    pub(crate) fn made() -> Self {
        let folder = Folder::new();
        let port = free_port();
        let server = Self { folder, port, settings: Vec::new(), child: None, is_left: false };
        std::fs::write(server.folder.path().join("password"), "secret").unwrap();
        server.give_away();
        let mut initdb = as_nobody(&program("initdb"));
        initdb.arg("-D").arg(server.cluster()).args(["-U", "tollgate", "-A", "scram-sha-256", "-E", "UTF8"]);
        initdb.args(["--no-sync", "--locale=C", "--pwfile"]).arg(server.folder.path().join("password"));
        let made = initdb.stdin(Stdio::null()).output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        server
    }

    fn cluster(&self) -> PathBuf {
        self.folder.path().join("cluster")
    }

    /// Puts a file beside the cluster, readable for the server alone.
    pub(crate) fn keep(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let status = Command::new("chmod").arg("600").arg(&path).status().unwrap();
        assert!(status.success());
        self.give_away();
        path
    }

    /// The server runs as somebody who is not root, and owns its folder.
    fn give_away(&self) {
        if is_root() {
            let path = self.folder.path();
            assert!(Command::new("chown").args(["-R", "nobody"]).arg(path).status().unwrap().success());
        }
    }

    /// Starts it, and returns when it lets somebody in.
    pub(crate) fn run(&mut self) {
        // The shell ends the server when nobody holds the other end of its input any more.
        let script = "\"$@\" & server=$!; read line; kill -QUIT $server 2>/dev/null; wait $server; \
                      test -z \"$GONE\" || rm -rf \"$GONE\"";
        let mut command = as_nobody(Path::new("sh"));
        command.args(["-c", script, "sh"]).arg(program("postgres")).arg("-D").arg(self.cluster());
        let folder = self.folder.path().display();
        let settings = ["fsync=off".to_owned(), format!("unix_socket_directories={folder}")];
        for setting in settings.iter().chain(&self.settings) {
            command.args(["-c", setting]);
        }
        command.args(["-c", "listen_addresses=127.0.0.1", "-p", &self.port.to_string()]);
        command.env("GONE", if self.is_left { self.folder.path().as_os_str() } else { "".as_ref() });
        let log = std::fs::File::create(self.folder.path().join("log"));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log.unwrap());
        self.child = Some(command.spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.lets_in() {
            assert!(Instant::now() < deadline, "PostgreSQL does not start: {}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn lets_in(&self) -> bool {
        if TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            return false;
        }
        let url = self.url();
        let tried = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(execute(&url, "SELECT 1")).is_ok()
        });
        tried.join().unwrap()
    }

    /// Stops it at once, as a crash does.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.stdin.take().map(|mut input| input.write_all(b"\n")));
            let _ = child.wait();
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("postgresql://tollgate:secret@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A port that nobody listens on, from below those that the system gives to outgoing connections (32768 on): one of them
/// could take it before the server does.
fn free_port() -> u16 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(31).wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed) * 101);
    let mut ports = (0..17_000).map(|step| 15_000 + (first.wrapping_add(step) % 17_000) as u16);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

fn is_root() -> bool {
    String::from_utf8(Command::new("id").arg("-u").output().unwrap().stdout).unwrap().trim() == "0"
}

/// PostgreSQL does not run as root.
fn as_nobody(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(program);
    command.current_dir("/");
    command
}

/// A program of PostgreSQL: on the path, or where Debian has it.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut debian: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.map(|version| version.unwrap().path().join("bin")).collect())
        .unwrap_or_default();
    debian.sort();
    folders.extend(debian.into_iter().rev());
    let found = folders.into_iter().map(|folder| folder.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| {
        panic!("PostgreSQL's {name} is not on this machine: install it, or name a server in {VARIABLE}")
    })
}

/// The rows that a statement returns, their columns as texts.
pub(crate) async fn query(url: &str, sql: &str) -> Vec<Vec<String>> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let pump = tokio::spawn(connection);
    let found = client.query(sql, &[]).await.unwrap();
    let text = |row: &tokio_postgres::Row, at: usize| row.get::<_, Option<String>>(at).unwrap_or_default();
    let rows = found.iter().map(|row| (0..row.len()).map(|at| text(row, at)).collect()).collect();
    drop(client);
    let _ = pump.await;
    rows
}
