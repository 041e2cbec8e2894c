//! `cargo xtask weights`: makes the embedder's model again from the original's weights, and says whether it is the committed one.
//!
//! Owns the environment and the comparison; the steps are `crates/embedder/model/weights.py`'s.
//!
//! **Invariant**: the same packages make the same bytes; where they do not, the command fails and leaves the files beside the
//! target for a look, the committed ones as they were, unless `--write` was given.

use std::fs;

use crate::setup;
use crate::shell::{self, Workspace};

const PLACE: &str = "crates/embedder/model";
const FILES: [&str; 3] = ["all-MiniLM-L6-v2-int8.onnx", "vocab.txt", "SHA256SUMS"];

/// Runs the command with its arguments.
///
/// # Errors
/// Where the packages cannot be installed, the script fails, or the outcome is not what is committed.
pub(crate) fn run(args: &[String]) -> Result<bool, String> {
    let write = match args {
        [] => false,
        [only] if only == "--write" => true,
        _ => return Err(format!("weights takes --write or nothing, not {args:?}")),
    };
    let workspace = Workspace::find();
    let place = workspace.root.join(PLACE);
    let python = setup::python(&workspace, "weights", &format!("{PLACE}/requirements.txt"))?;
    let out = workspace.target.join("weights");
    let script = place.join("weights.py");
    shell::run(
        &mut workspace
            .command(&python.to_string_lossy(), &[&script.to_string_lossy(), &out.to_string_lossy()]),
    )?;
    let mut same = true;
    for name in FILES {
        let (made, kept) = (out.join(name), place.join(name));
        let read = |path| fs::read(path).map_err(|error| format!("cannot read {name}: {error}"));
        if fs::read(&kept).ok() == Some(read(&made)?) {
            continue;
        }
        if write {
            fs::copy(&made, &kept).map_err(|error| format!("cannot write {name}: {error}"))?;
            println!("wrote {PLACE}/{name}");
        } else {
            println!("{PLACE}/{name} is not what was made: {}", made.display());
            same = false;
        }
    }
    Ok(same)
}
