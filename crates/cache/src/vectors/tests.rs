//! The search against plain arithmetic, and partitions that never meet.

use super::*;

/// Numbers that look like those of a sentence: a direction of its cluster and some noise, from a seed (Knuth's MMIX generator).
fn vector(seed: u64, width: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut vector: Vec<f32> = (0..width)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
        })
        .collect();
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= length);
    vector
}

/// A neighbour of a vector.
fn beside(vector_of: u64, seed: u64, width: usize, noise: f32) -> Vec<f32> {
    vector(vector_of, width).iter().zip(vector(seed, width)).map(|(a, b)| a + noise * b).collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

const ONE: Partition = [1; 16];
const OTHER: Partition = [65; 16];

#[test]
fn the_nearest_are_those_that_plain_arithmetic_finds() {
    let vectors = Vectors::new(384);
    let all: Vec<Vec<f32>> = (0..2_000).map(|n| beside(n / 20, 1_000_000 + n, 384, 0.7)).collect();
    for (id, vector) in (0..).zip(&all) {
        vectors.insert(ONE, id, vector).unwrap();
    }
    let mut first = 0;
    for n in 0..200_u64 {
        let asked = beside(n / 2, 2_000_000 + n, 384, 0.7);
        let mut truth: Vec<(u64, f32)> =
            (0..).zip(&all).map(|(id, held)| (id, cosine(&asked, held))).collect();
        truth.sort_by(|a, b| b.1.total_cmp(&a.1));
        let found = vectors.nearest(ONE, &asked, 8, -1.0).unwrap();
        assert_eq!(found.len(), 8);
        assert!(found.is_sorted_by(|a, b| a.similarity >= b.similarity));
        for near in &found {
            let exact = cosine(&asked, &all[usize::try_from(near.id).unwrap()]);
            assert!((exact - near.similarity).abs() < 0.005, "{exact} {near:?}");
        }
        assert!(found.iter().any(|near| near.id == truth[0].0), "the nearest is among the eight");
        first += u32::from(found[0].id == truth[0].0);
        let bar = found[3].similarity;
        assert!(vectors.nearest(ONE, &asked, 8, bar).unwrap().iter().all(|near| near.similarity >= bar));
    }
    assert!(first >= 190, "{first} of 200");
}

#[test]
fn partitions_never_meet_even_in_one_shard() {
    let vectors = Vectors::new(16);
    assert_eq!(usize::from(ONE[0]) % SHARDS, usize::from(OTHER[0]) % SHARDS);
    let mut same = ONE;
    same[15] = 2;
    for (partition, id) in [(ONE, 1), (OTHER, 2), (same, 3)] {
        vectors.insert(partition, id, &vector(7, 16)).unwrap();
    }
    for (partition, id) in [(ONE, 1), (OTHER, 2), (same, 3)] {
        let found = vectors.nearest(partition, &vector(7, 16), 9, -1.0).unwrap();
        assert_eq!(found.iter().map(|near| near.id).collect::<Vec<_>>(), [id]);
    }
    assert!(vectors.nearest([9; 16], &vector(7, 16), 9, -1.0).unwrap().is_empty());
}

#[test]
fn what_is_removed_or_replaced_is_not_found_and_the_others_are() {
    let vectors = Vectors::new(32);
    for id in 0..50 {
        vectors.insert(ONE, id, &vector(id, 32)).unwrap();
    }
    for id in (0..50).step_by(3) {
        assert!(vectors.remove(ONE, id));
        assert!(!vectors.remove(ONE, id) && !vectors.remove(OTHER, id));
    }
    vectors.insert(ONE, 1, &vector(1_000, 32)).unwrap();
    assert_eq!(vectors.len(), 33);
    for id in 0..50 {
        let best = vectors.nearest(ONE, &vector(id, 32), 1, 0.99).unwrap();
        let is_there = id % 3 != 0 && id != 1;
        assert_eq!(best.first().map(|near| near.id), is_there.then_some(id));
    }
    assert_eq!(vectors.nearest(ONE, &vector(1_000, 32), 1, 0.99).unwrap()[0].id, 1);
    vectors.clear();
    assert!(vectors.is_empty() && vectors.nearest(ONE, &vector(2, 32), 1, -1.0).unwrap().is_empty());
}

#[test]
fn equals_are_in_order_and_nothing_is_asked_for_nothing() {
    let vectors = Vectors::new(8);
    for id in [5, 3, 9] {
        vectors.insert(ONE, id, &vector(1, 8)).unwrap();
    }
    let ids = |most| -> Vec<u64> {
        vectors.nearest(ONE, &vector(1, 8), most, 0.5).unwrap().iter().map(|near| near.id).collect()
    };
    assert_eq!((ids(2), ids(0)), (vec![3, 5], vec![]));
}

#[test]
fn what_is_no_direction_is_refused() {
    let vectors = Vectors::new(4);
    for unfit in [&[][..], &[1.0; 3], &[0.0; 4], &[f32::NAN, 1.0, 1.0, 1.0], &[f32::INFINITY, 0.0, 0.0, 1.0]]
    {
        assert_eq!(vectors.insert(ONE, 1, unfit).unwrap_err(), Unfit { found: unfit.len(), wanted: 4 });
        assert!(vectors.nearest(ONE, unfit, 1, 0.0).is_err());
    }
    assert!(vectors.is_empty());
}

#[test]
fn threads_insert_remove_and_search_at_once() {
    let vectors = Vectors::new(64);
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let vectors = &vectors;
            scope.spawn(move || {
                let partition = [thread; 16];
                for id in 0..500 {
                    vectors.insert(partition, id, &vector(id, 64)).unwrap();
                    if id % 2 == 1 {
                        assert!(vectors.remove(partition, id));
                    }
                    let kept = id - id % 2;
                    assert_eq!(vectors.nearest(partition, &vector(kept, 64), 1, 0.9).unwrap()[0].id, kept);
                }
            });
        }
    });
    assert_eq!(vectors.len(), 4 * 250);
}
