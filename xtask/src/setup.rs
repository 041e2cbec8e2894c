//! Makes a fresh machine ready for the suites: Debian programs, two Python environments, the Node packages, the agents.
//!
//! Versions are pinned by the requirement files in `tests/`; what runs in these environments is `test/`'s.
//!
//! **Invariant**: a second run with unchanged requirement files installs nothing and touches no registry.

use std::fs;
use std::path::{Path, PathBuf};

use crate::services::{self, Program};
use crate::shell::{self, Workspace};

/// Installs everything that any suite needs.
///
/// # Errors
/// The first install that failed, with what to do about it.
pub(crate) fn everything(workspace: &Workspace) -> Result<(), String> {
    programs(workspace, services::FOR_TESTS)?;
    programs(workspace, services::FOR_CRATES)?;
    python(workspace, "python", "tests/python/requirements.txt")?;
    python(workspace, "litellm", "tests/python/requirements-litellm.txt")?;
    node(workspace, "node", "tests/node")?;
    node(workspace, "agents", "tests/node/agents").map(|_| ())
}

/// Installs the programs that are missing, by apt-get.
///
/// # Errors
/// When a program is missing and cannot be installed.
pub(crate) fn programs(workspace: &Workspace, wanted: &[Program]) -> Result<(), String> {
    let missing: Vec<&Program> =
        wanted.iter().filter(|program| shell::which(program.name).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|program| program.name).collect();
    let packages: Vec<&str> = missing.iter().flat_map(|program| program.packages.iter().copied()).collect();
    apt(workspace, &packages).map_err(|error| {
        format!("missing: {}; installing it failed: {error}\n{}", names.join(", "), by_hand(&packages))
    })?;
    match missing.iter().find(|program| shell::which(program.name).is_none()) {
        Some(program) => Err(format!("{} is still missing after its install", program.name)),
        None => Ok(()),
    }
}

fn by_hand(packages: &[&str]) -> String {
    format!("install by hand: apt-get install {}", packages.join(" "))
}

fn apt(workspace: &Workspace, packages: &[&str]) -> Result<(), String> {
    if shell::which("apt-get").is_none() {
        return Err("there is no apt-get on this machine".to_owned());
    }
    let user = shell::output(&mut workspace.command("id", &["-u"]))?;
    if user.trim() != "0" {
        return Err("only root may install Debian packages".to_owned());
    }
    println!("installing Debian packages: {}", packages.join(" "));
    shell::output(&mut workspace.command("apt-get", &["update", "-qq"]))?;
    let mut args = vec!["install", "-y", "-qq", "--no-install-recommends"];
    args.extend(packages);
    let mut command = workspace.command("apt-get", &args);
    // The servers are started by the tests themselves, on ports of their own; packages must not start them.
    command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    shell::output(&mut command).map(|_| ())
}

/// A Python environment under `target/test-env/NAME` that holds exactly the pinned packages.
/// Returns its `python`.
///
/// # Errors
/// When Python has no venv module and none can be installed, or pip fails.
pub(crate) fn python(workspace: &Workspace, name: &str, requirements: &str) -> Result<PathBuf, String> {
    let folder = workspace.test_env().join(name);
    let python = folder.join("bin/python");
    let wanted = read(&workspace.root.join(requirements))?;
    if python.is_file() && stamp_matches(&folder, &wanted) {
        return Ok(python);
    }
    println!("installing the Python packages of {requirements}");
    if shell::output(&mut workspace.command("python3", &["-c", "import venv, ensurepip"])).is_err() {
        apt(workspace, &["python3-venv"]).map_err(|error| {
            format!("python3 cannot make environments and its venv package is not to be had: {error}")
        })?;
    }
    clear(&folder)?;
    let at = folder.to_string_lossy().into_owned();
    shell::output(&mut workspace.command("python3", &["-m", "venv", &at]))?;
    // Every dependency is pinned, so pip has nothing to resolve; modules are compiled when a test imports them.
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    let pip = [&pip[..], &["--no-deps", "--no-compile", "-r", requirements]].concat();
    shell::output(&mut workspace.command(&python.to_string_lossy(), &pip))?;
    write_stamp(&folder, &wanted)?;
    Ok(python)
}

/// The Node packages of a folder's `package.json` and lock, under `target/test-env/NAME`. Returns that folder.
///
/// # Errors
/// When npm fails.
pub(crate) fn node(workspace: &Workspace, name: &str, source: &str) -> Result<PathBuf, String> {
    let folder = workspace.test_env().join(name);
    let manifest = read(&workspace.root.join(source).join("package.json"))?;
    let lock = read(&workspace.root.join(source).join("package-lock.json"))?;
    let wanted = format!("{manifest}{lock}");
    if stamp_matches(&folder, &wanted) {
        return Ok(folder);
    }
    println!("installing the Node packages of {source}");
    clear(&folder)?;
    fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    write(&folder.join("package.json"), &manifest)?;
    write(&folder.join("package-lock.json"), &lock)?;
    let mut npm = workspace.command("npm", &["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
    shell::output(npm.current_dir(&folder))?;
    write_stamp(&folder, &wanted)?;
    Ok(folder)
}

/// The stamp is the text of the requirement files itself: what is installed can be read off it.
fn stamp_matches(folder: &Path, wanted: &str) -> bool {
    fs::read_to_string(folder.join("installed.stamp")).is_ok_and(|stamp| stamp == wanted)
}

fn write_stamp(folder: &Path, wanted: &str) -> Result<(), String> {
    write(&folder.join("installed.stamp"), wanted)
}

fn clear(folder: &Path) -> Result<(), String> {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder).map_err(|error| format!("cannot clear {}: {error}", folder.display()))
}

/// A file's text.
///
/// # Errors
/// When it cannot be read; the message names it.
pub(crate) fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))
}

/// Writes a file.
///
/// # Errors
/// When it cannot be written; the message names it.
pub(crate) fn write(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_matches_only_the_very_same_requirements() {
        let folder = std::env::temp_dir().join(format!("xtask-stamp-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        assert!(!stamp_matches(&folder, "a==1"));
        write_stamp(&folder, "a==1").unwrap();
        assert!(stamp_matches(&folder, "a==1"));
        assert!(!stamp_matches(&folder, "a==2"));
        clear(&folder).unwrap();
        assert!(!folder.exists());
        clear(&folder).unwrap();
    }

    #[test]
    fn programs_that_are_there_need_no_install() {
        let present = [Program { name: "sh", packages: &["no-such-package"] }];
        assert_eq!(programs(&Workspace::find(), &present), Ok(()));
    }

    #[test]
    fn every_requirement_is_pinned_and_names_no_registry() {
        let root = Workspace::find().root;
        for file in ["tests/python/requirements.txt", "tests/python/requirements-litellm.txt"] {
            let text = read(&root.join(file)).unwrap();
            for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
                assert!(line.contains("==") && !line.contains("://"), "{file}: {line}");
            }
        }
        for folder in ["tests/node", "tests/node/agents"] {
            let lock = read(&root.join(folder).join("package-lock.json")).unwrap();
            assert!(!lock.contains("\"resolved\""), "the lock of {folder} names a registry");
        }
    }
}
