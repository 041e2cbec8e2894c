//! Packs `data/models.json` into an index and one text, so that the binary looks models up without parsing.
//!
//! Owns the packed form, which `src/model/packed.rs` reads: `models.idx` holds little-endian u32s, `models.txt` the
//! text that they point into.
//!
//! ```text
//! models.idx   models, providers                                       counts
//!              models    x { key, key length, raw, raw length }        offsets and lengths in bytes, sorted by key
//!              providers x { name, name length, first, count }         sorted by name; `first` counts in members
//!              models    x { place among the models }                  members, by provider and then by key
//! models.txt   all keys, then all provider names, then all raw objects
//! ```
//!
//! **Invariant:** each model's JSON object is carried over as it was written, so a price keeps every digit.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;

const DATA: &str = "data/models.json";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={DATA}");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    pack(&std::fs::read_to_string(root.join(DATA))?, &out)
}

fn pack(data: &str, out: &Path) -> Result<(), Box<dyn Error>> {
    let written: BTreeMap<String, &RawValue> = serde_json::from_str(data)?;
    let mut models: Vec<(&str, &str)> = Vec::with_capacity(written.len());
    let mut members: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for (key, raw) in &written {
        let fields: BTreeMap<String, &RawValue> = serde_json::from_str(raw.get())?;
        // An entry that belongs to no provider is not a model.
        let Some(provider) = fields.get("litellm_provider") else { continue };
        let provider: String = serde_json::from_str(provider.get())?;
        members.entry(provider).or_default().push(u32::try_from(models.len())?);
        models.push((key, raw.get()));
    }

    let mut text = String::with_capacity(data.len());
    let keys: Vec<[u32; 2]> =
        models.iter().map(|(key, _)| append(&mut text, key)).collect::<Result<_, _>>()?;
    let names: Vec<[u32; 2]> =
        members.keys().map(|name| append(&mut text, name)).collect::<Result<_, _>>()?;
    let raws: Vec<[u32; 2]> =
        models.iter().map(|(_, raw)| append(&mut text, raw)).collect::<Result<_, _>>()?;

    let mut index: Vec<u32> = vec![u32::try_from(models.len())?, u32::try_from(members.len())?];
    for (key, raw) in keys.iter().zip(&raws) {
        index.extend(key.iter().chain(raw));
    }
    let mut first = 0;
    for (name, places) in names.iter().zip(members.values()) {
        let count = u32::try_from(places.len())?;
        index.extend(name.iter().chain(&[first, count]));
        first += count;
    }
    index.extend(members.values().flatten());

    let bytes: Vec<u8> = index.iter().flat_map(|number| number.to_le_bytes()).collect();
    std::fs::write(out.join("models.idx"), bytes)?;
    std::fs::write(out.join("models.txt"), text)?;
    Ok(())
}

/// Appends `piece` to `text`; where it lies and how long it is, in bytes.
fn append(text: &mut String, piece: &str) -> Result<[u32; 2], Box<dyn Error>> {
    let place = [u32::try_from(text.len())?, u32::try_from(piece.len())?];
    text.push_str(piece);
    Ok(place)
}
