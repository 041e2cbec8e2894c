//! How a deployment is known again: its id and the fingerprint of everything that it was made from.
//!
//! Owns: hashing a part of the tree, independent of the order of keys. Leaves to others: comparing configurations
//! (diff).
//!
//! **Invariant:** a hash is of the resolved values; what is hashed cannot be read back from it.

use sha2::{Digest, Sha256};

use crate::secret::Secret;
use crate::yaml::{Data, Entry, Node};

/// 64 hexadecimal digits for a group and the parameters of one of its deployments, as LiteLLM's ids have them.
pub(crate) fn id(model_name: &str, params: Option<&Node>) -> String {
    let mut hash = Sha256::new();
    add_text(&mut hash, model_name);
    if let Some(params) = params {
        add(&mut hash, params);
    }
    hexadecimal(&hash.finalize())
}

/// The id of a deployment that stands beside the one with `id`, told apart by `suffix`.
pub(crate) fn derived(id: &str, suffix: &str) -> String {
    let mut hash = Sha256::new();
    add_text(&mut hash, id);
    add_text(&mut hash, suffix);
    hexadecimal(&hash.finalize())
}

/// A hash of an entry of `model_list` and of what the environment added to it.
pub(crate) fn fingerprint(entry: &Node, api_key: Option<&Secret>, api_base: Option<&str>) -> [u8; 32] {
    let mut hash = Sha256::new();
    add(&mut hash, entry);
    add_text(&mut hash, api_key.map_or("", Secret::expose));
    add_text(&mut hash, api_base.unwrap_or(""));
    hash.finalize().into()
}

fn add(hash: &mut Sha256, node: &Node) {
    match &node.data {
        Data::Scalar(_) if node.is_null() => hash.update(b"~"),
        Data::Scalar(scalar) => add_text(hash, &scalar.text),
        Data::List(items) => {
            hash.update(b"[");
            items.iter().for_each(|item| add(hash, item));
            hash.update(b"]");
        }
        Data::Map(entries) => {
            let mut sorted: Vec<&Entry> = entries.iter().collect();
            sorted.sort_by(|a, b| a.key.cmp(&b.key));
            hash.update(b"{");
            for entry in sorted {
                add_text(hash, &entry.key);
                add(hash, &entry.value);
            }
            hash.update(b"}");
        }
        Data::Unset => hash.update(b"?"),
    }
}

/// The length first, so that two texts cannot run together.
fn add_text(hash: &mut Sha256, text: &str) {
    hash.update(b"\"");
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text);
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
