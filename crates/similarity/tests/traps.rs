//! What the guards make of the trap pairs that are shared beside the checkout: counts by hand, no vectors.
//!
//! Half of the pairs (every other one of a class) were looked at while the tables were written; the other half holds the guards to
//! rules that are general.

use std::path::Path;

use serde_json::Value;
use tollgate_similarity::{Facts, compare};

#[test]
fn most_traps_are_forbidden_and_hardly_any_right_pair_is() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/cache/trap_pairs_train.jsonl");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("NOT TESTED: the shared trap pairs are not beside this checkout ({})", path.display());
        return;
    };
    let (mut seen, mut vetoed) = ([0_u32; 2], [0_u32; 2]);
    for line in text.lines() {
        let pair: Value = serde_json::from_str(line).unwrap();
        let facts = |member: &str| Facts::of(pair[member].as_str().unwrap());
        let right = usize::from(pair["same_answer"].as_bool().unwrap());
        seen[right] += 1;
        vetoed[right] += u32::from(compare(&facts("a"), &facts("b")).score(1.0).is_none());
    }
    assert_eq!(seen, [150, 150]);
    assert!(vetoed[0] >= 118, "traps forbidden: {}", vetoed[0]);
    assert!(vetoed[1] <= 2, "right pairs forbidden: {}", vetoed[1]);
}
