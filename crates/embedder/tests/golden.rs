//! The embedder beside the original model: the same tokens, and vectors as near as 8 bits allow.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::Path;

use tollgate_embedder::{Embedder, Embedding, MODEL_ID, Settings, WIDTH};

const SENTENCES: &str = include_str!("data/sents.json");
/// The original's vectors (numpy, 32 bits).
const REFERENCE: &str = include_str!("data/ref.json");

fn sentences() -> Vec<String> {
    serde_json::from_str(SENTENCES).unwrap()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sum_of(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("model").join(name);
    let sum = ring::digest::digest(&ring::digest::SHA256, &std::fs::read(path).unwrap());
    sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_files_are_those_that_the_weights_command_makes() {
    let sums = include_str!("../model/SHA256SUMS");
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").unwrap();
        assert_eq!(sum_of(name), sum, "{name}");
    }
    assert_eq!(sums.lines().count(), 2);
    let model = sum_of("all-MiniLM-L6-v2-int8.onnx");
    assert_eq!(
        MODEL_ID.rsplit('@').next().unwrap(),
        &model[..8],
        "vectors of other weights must not be taken for ours"
    );
}

#[test]
fn vectors_are_the_originals_within_what_eight_bits_lose() {
    let embedder = Embedder::start(Settings::default()).unwrap();
    let reference: Vec<Vec<f32>> = serde_json::from_str(REFERENCE).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let alone: Vec<Embedding> =
        sentences().iter().map(|sentence| runtime.block_on(embedder.embed(sentence)).unwrap()).collect();
    let sentences = sentences();
    let texts: Vec<&str> = sentences.iter().map(String::as_str).collect();
    let together = embedder.embed_all(&texts).unwrap();
    assert_eq!((alone.len(), together.len(), reference.len()), (20, 20, 20));
    for (at, reference) in reference.iter().enumerate() {
        for vector in [&alone[at], &together[at]] {
            assert_eq!(vector.len(), WIDTH);
            assert!((cosine(vector, vector) - 1.0).abs() < 1e-5, "length 1: {}", texts[at]);
            let near = cosine(vector, reference);
            assert!(near >= 0.985, "{near} for {:?}", texts[at]);
        }
    }
}

#[test]
fn what_means_the_same_is_nearer_than_what_does_not() {
    let embedder = Embedder::start(Settings::default()).unwrap();
    let texts = [
        "How do I reset my password?",
        "I forgot my password, how can I get a new one?",
        "What is the capital of France?",
        "",
    ];
    let vectors = embedder.embed_all(&texts).unwrap();
    let (same, other) = (cosine(&vectors[0], &vectors[1]), cosine(&vectors[0], &vectors[2]));
    assert!(same > 0.7 && other < 0.2, "{same} {other}");
    assert_eq!(vectors[3].len(), WIDTH, "nothing is a text, too");
    assert!(embedder.embed_all(&[]).unwrap().is_empty());
}
