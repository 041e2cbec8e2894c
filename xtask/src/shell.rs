//! Running programs: where the workspace is, one way to start a command, one way to say that it failed.
//!
//! Leaves to its callers which programs are run and what their output means.
//!
//! **Invariant**: a command that could not be started or ended with another status than 0 is an `Err` that names
//! the command, unless the caller asked for the status itself.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;

/// The checkout and the folders that the commands work in.
pub(crate) struct Workspace {
    /// The folder of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// The workspace that this command was built from; `CARGO_TARGET_DIR` is honoured.
    pub(crate) fn find() -> Self {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.parent().unwrap_or(manifest).to_path_buf();
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
        Self { root, target }
    }

    /// Where the Python and Node packages of the tests live.
    pub(crate) fn test_env(&self) -> PathBuf {
        self.target.join("test-env")
    }

    /// A program as found on PATH, started in the root of the workspace.
    pub(crate) fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(&self.root).stdin(Stdio::null());
        command
    }

    /// Cargo itself, the one that runs this command.
    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        without_own(self.command(&cargo(), args))
    }

    /// The same on one core.
    pub(crate) fn cargo_on(&self, core: usize, args: &[&str]) -> Command {
        let mut command = self.command("taskset", &["--cpu-list", &core.to_string(), &cargo()]);
        command.args(args);
        without_own(command)
    }
}

/// The cargo that runs this command.
fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Without the variables that `cargo run` sets: they describe xtask's own package, not what is built next, and whatever looks
/// at them is built anew where they differ.
fn without_own(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "CARGO_BIN_NAME" {
            command.env_remove(&*name);
        }
    }
    command
}

/// The command as a person would type it, without its environment.
pub(crate) fn shown(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}

/// Runs a command, its output going to ours.
///
/// # Errors
/// When it cannot be started or its status is not 0.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let line = shown(command);
    let status = command.status().map_err(|error| format!("cannot start `{line}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{line}` ended with {status}")) }
}

/// Runs a command and returns its standard output; its error output is part of the error.
///
/// # Errors
/// When it cannot be started or its status is not 0.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let line = shown(command);
    let output = command.output().map_err(|error| format!("cannot start `{line}`: {error}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{line}` ended with {}: {}", output.status, text.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What a command printed, line by line in the order of arrival, and whether its status was 0.
pub(crate) struct Transcript {
    /// Every line of standard output and standard error, without colour codes.
    pub(crate) lines: Vec<String>,
    /// Whether the command ended with status 0.
    pub(crate) ok: bool,
}

/// Runs a command, shows its output as it comes and keeps it.
///
/// # Errors
/// When the command cannot be started or waited for.
pub(crate) fn tee(command: &mut Command) -> Result<Transcript, String> {
    let line = shown(command);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start `{line}`: {error}"))?;
    let (sender, receiver) = mpsc::sync_channel::<String>(1024);
    if let Some(out) = child.stdout.take() {
        forward(out, sender.clone());
    }
    if let Some(err) = child.stderr.take() {
        forward(err, sender);
    }
    let mut lines = Vec::new();
    for text in receiver {
        println!("{text}");
        lines.push(without_colour(&text));
    }
    let status = child.wait().map_err(|error| format!("cannot wait for `{line}`: {error}"))?;
    Ok(Transcript { lines, ok: status.success() })
}

fn forward(pipe: impl Read + Send + 'static, lines: mpsc::SyncSender<String>) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut raw = Vec::new();
        while reader.read_until(b'\n', &mut raw).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&raw).trim_end_matches(['\n', '\r']).to_owned();
            raw.clear();
            if lines.send(text).is_err() {
                return;
            }
        }
    });
}

/// The text without ANSI escape sequences, which some runners print even into a pipe.
pub(crate) fn without_colour(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char == '\u{1b}' {
            // A control sequence ends with its first letter.
            let _ = chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(char);
        }
    }
    plain
}

/// The full path of a program on PATH, or in the administrator's folders and those of Debian's PostgreSQL, which are not on
/// every user's PATH.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from));
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    versions.sort();
    // The newest first.
    folders.extend(versions.into_iter().rev());
    folders.into_iter().map(|folder| folder.join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_codes_are_removed_and_text_is_kept() {
        assert_eq!(without_colour("\u{1b}[32;1mPASS\u{1b}[0m [ 0.1s] a::b"), "PASS [ 0.1s] a::b");
        assert_eq!(without_colour("plain"), "plain");
    }

    #[test]
    fn a_failed_command_names_itself() {
        let workspace = Workspace::find();
        let error = run(&mut workspace.command("false", &["--now"])).unwrap_err();
        assert!(error.contains("`false --now` ended with"), "{error}");
        let error = run(&mut workspace.command("no-such-program", &[])).unwrap_err();
        assert!(error.starts_with("cannot start `no-such-program`"), "{error}");
    }

    #[test]
    fn tee_keeps_both_streams_and_the_status() {
        let workspace = Workspace::find();
        let script = "echo out; echo err >&2; exit 3";
        let transcript = tee(&mut workspace.command("sh", &["-c", script])).unwrap();
        let mut lines = transcript.lines;
        lines.sort();
        assert_eq!(lines, ["err", "out"]);
        assert!(!transcript.ok);
    }

    #[test]
    fn programs_are_found_on_the_path_only_when_they_are_there() {
        assert!(which("sh").is_some());
        assert_eq!(which("no-such-program"), None);
    }
}
