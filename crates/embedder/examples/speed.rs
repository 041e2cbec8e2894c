//! What the embedder costs here: `cargo run --release -p tollgate-embedder --example speed`.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use tollgate_embedder::{Embedder, Settings};

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() / 1024
}

fn timed(name: &str, times: usize, mut once: impl FnMut(usize)) {
    let mut taken: Vec<Duration> = (0..times)
        .map(|index| {
            let started = Instant::now();
            once(index);
            started.elapsed()
        })
        .collect();
    taken.sort();
    let ms = |at: usize| taken[at].as_secs_f64() * 1000.0;
    println!("{name:<28} min {:.2}  p50 {:.2}  p99 {:.2} ms", ms(0), ms(times / 2), ms(times * 99 / 100));
}

fn main() {
    println!("before loading: {} MB", resident());
    let started = Instant::now();
    let embedder =
        Embedder::start(Settings { remembered: 0, patience: Duration::from_secs(9), ..Settings::default() })
            .unwrap();
    println!("loaded in {:.0} ms: {} MB", started.elapsed().as_secs_f64() * 1000.0, resident());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let text = |tokens: usize| vec!["word"; tokens - 2].join(" ");
    for tokens in [8, 14, 32, 64, 128] {
        let text = text(tokens);
        timed(&format!("{tokens} tokens"), 200, |_| drop(runtime.block_on(embedder.embed(&text)).unwrap()));
    }
    let sentence = text(14);
    let batch = vec![sentence.as_str(); 16];
    timed("16 texts of 14 tokens", 100, |_| drop(embedder.embed_all(&batch).unwrap()));
    println!("after: {} MB", resident());
}
