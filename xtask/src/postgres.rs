//! The PostgreSQL server that suites share: a cluster of its own in a temporary folder, gone when they have ended.
//!
//! Its programs are installed by `setup.rs`. What the tests do with it is theirs; they find it by a variable, and make
//! schemas of their own in it.
//!
//! **Invariant**: no server that was there before is touched, and none is left running.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::setup;
use crate::shell::{self, Workspace};

/// The variable by which tests find the server: the address of a database in which they may make schemas.
pub(crate) const VARIABLE: &str = "TOLLGATE_TEST_POSTGRES";

/// How long it may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A server that runs, stopped with its value, and also when this process dies.
pub(crate) struct Postgres {
    folder: PathBuf,
    port: u16,
    child: Child,
}

impl Postgres {
    /// Makes a cluster and starts a server on it.
    ///
    /// # Errors
    /// When a program of PostgreSQL is missing or fails.
    pub(crate) fn start(workspace: &Workspace) -> Result<Self, String> {
        let programs = programs()?;
        let folder = std::env::temp_dir().join(format!("tollgate-postgres-{}", std::process::id()));
        std::fs::create_dir_all(&folder)
            .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        setup::write(&folder.join("password"), "secret")?;
        let is_root = shell::output(&mut workspace.command("id", &["-u"]))?.trim() == "0";
        let at = folder.to_string_lossy().into_owned();
        if is_root {
            // It refuses to run as root.
            shell::output(&mut workspace.command("chown", &["-R", "nobody", &at]))?;
        }
        let cluster = folder.join("cluster");
        let mut initdb = unprivileged(&programs.join("initdb"), is_root);
        initdb.arg("-D").arg(&cluster).args([
            "-U",
            "tollgate",
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
            "--locale=C",
        ]);
        initdb.arg("--no-sync").arg("--pwfile").arg(folder.join("password"));
        shell::output(&mut initdb)?;
        let port = free_port()?;
        // The shell ends the server when nobody holds the other end of its input any more.
        let script = "\"$@\" & server=$!; read line; kill -QUIT $server 2>/dev/null; wait $server";
        let mut command = unprivileged(Path::new("sh"), is_root);
        command.args(["-c", script, "sh"]).arg(programs.join("postgres")).arg("-D").arg(&cluster);
        command.args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]);
        command.args(["-c", "max_connections=400", "-c", &format!("unix_socket_directories={at}")]);
        let log = std::fs::File::create(folder.join("log"));
        let log = log.map_err(|error| format!("cannot write the server's log: {error}"))?;
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().map_err(|error| format!("cannot start PostgreSQL: {error}"))?;
        let server = Self { folder, port, child };
        server.wait(&programs)?;
        Ok(server)
    }

    fn wait(&self, programs: &Path) -> Result<(), String> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let mut asked = Command::new(programs.join("pg_isready"));
            asked.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
            if asked.status().is_ok_and(|status| status.success()) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                return Err(format!("PostgreSQL does not start:\n{log}"));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Where it is, for [`VARIABLE`].
    pub(crate) fn url(&self) -> String {
        format!("postgresql://tollgate:secret@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.child.stdin.take().map(|mut input| input.write_all(b"\n")));
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The folder of PostgreSQL's programs: Debian has only those of clients on the path.
fn programs() -> Result<PathBuf, String> {
    let server = shell::which("postgres").ok_or("PostgreSQL is not installed")?;
    let server = server.canonicalize().map_err(|error| format!("{}: {error}", server.display()))?;
    server.parent().map(Path::to_path_buf).ok_or_else(|| "PostgreSQL is in no folder".to_owned())
}

fn unprivileged(program: &Path, is_root: bool) -> Command {
    if !is_root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(program);
    // The folder that a root's shell stands in may be closed to others.
    command.current_dir("/");
    command
}

/// A port that nobody listens on, from below those that the system gives to outgoing connections (32768 on): one of them
/// could take it before the server does.
fn free_port() -> Result<u16, String> {
    let first = std::process::id() % 1_000;
    let mut ports = (0..1_000).map(|step| 14_000 + ((first + step) % 1_000) as u16);
    ports
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .ok_or_else(|| "no port is free".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_starts_answers_and_leaves_nothing_behind() {
        let workspace = Workspace::find();
        let server = Postgres::start(&workspace).unwrap();
        let folder = server.folder.clone();
        let psql = shell::output(&mut workspace.command("psql", &[&server.url(), "-Atc", "SELECT 1 + 1"]));
        assert_eq!(psql.as_deref(), Ok("2\n"));
        drop(server);
        assert!(!folder.exists());
    }
}
