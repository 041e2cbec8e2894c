//! Answers on the disk.

use crate::support::{Folder, Heard, count, entry, key, maker, rules, sealed};
use bytes::Bytes;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use tollgate_cache::{DiskPlace, Entry, Event, Far};

const FILE: &str = "answers-1.sqlite3";

fn open(folder: &Folder, bytes_max: u64) -> (Far, Heard) {
    let (rules, heard) = rules();
    (Far::disk(&DiskPlace { folder: folder.path().to_owned(), bytes_max }, &rules), heard)
}

#[tokio::test]
async fn what_is_put_is_there_for_whoever_opens_the_folder_until_it_is_too_old_or_forgotten() {
    let folder = Folder::new("plain");
    let (far, heard) = open(&folder, 1 << 30);
    assert_eq!(far.get(key(1), 0).await, None);
    for number in 1..=3 {
        assert!(far.put(key(number), sealed(number, 10_000), (0, 100)));
    }
    far.settle().await.unwrap();
    assert_eq!(far.get(key(1), 99).await, Some(sealed(1, 10_000)));
    assert_eq!(far.get(key(1), 100).await, None, "too old");
    drop(far);
    let (other, other_heard) = open(&folder, 1 << 30);
    assert_eq!(other.get(key(2), 0).await, Some(sealed(2, 10_000)), "after a restart");
    assert_eq!(other.remove(vec![key(2), key(9)]).await, Ok(1));
    assert_eq!((other.get(key(2), 0).await, other.get(key(3), 0).await), (None, Some(sealed(3, 10_000))));
    assert_eq!((other.ping().await, other.info().await), (Ok(()), Ok(None)));
    other.clear().await.unwrap();
    assert_eq!(other.get(key(3), 0).await, None);
    let bytes = std::fs::read(folder.path().join(FILE)).unwrap();
    let body = entry(3, 64).body;
    assert!(!bytes.windows(64).any(|window| window == body), "what was forgotten is overwritten");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(folder.path()), mode(&folder.path().join(FILE))), (0o700, 0o600));
    assert_eq!((count(&heard, Event::Written), count(&heard, Event::Found)), (3, 1));
    assert_eq!((count(&other_heard, Event::Found), count(&other_heard, Event::Absent)), (2, 2));
}

#[tokio::test]
async fn the_file_is_bounded_and_what_was_written_first_goes_first() {
    let folder = Folder::new("bound");
    let bytes_max = 2 << 20;
    let (far, heard) = open(&folder, bytes_max);
    for number in 0..400 {
        assert!(far.put(key(number), sealed(number, 20_000), (0, 100)));
    }
    assert!(far.put(key(1_000), sealed(1_000, 1_500_000), (0, 100)), "more than half of it");
    far.settle().await.unwrap();
    assert_eq!(count(&heard, Event::Written), 401);
    let kept: Vec<u64> = {
        let mut kept = Vec::new();
        for number in 0..400 {
            if let Some(bytes) = far.get(key(number), 0).await {
                assert_eq!(bytes, sealed(number, 20_000));
                kept.push(number);
            }
        }
        kept
    };
    assert!((60..=105).contains(&kept.len()), "{} kept", kept.len());
    assert_eq!(kept, (400 - kept.len() as u64..400).collect::<Vec<_>>(), "the last ones");
    assert_eq!(far.get(key(1_000), 0).await, None);
    drop(far);
    let length = std::fs::metadata(folder.path().join(FILE)).unwrap().len();
    assert!(length <= bytes_max + (5 << 20), "{length} bytes: the bound and one batch");
}

#[tokio::test]
async fn what_is_too_old_gives_its_room_back() {
    let folder = Folder::new("sweep");
    let (far, _) = open(&folder, 1 << 30);
    for number in 0..50 {
        far.put(key(number), sealed(number, 20_000), (0, 100));
    }
    far.settle().await.unwrap();
    // A minute later the next write takes them away.
    far.put(key(99), sealed(99, 10), (61_000_000, 99_000_000));
    far.settle().await.unwrap();
    for number in 0..50 {
        assert_eq!(far.get(key(number), 0).await, None);
    }
    assert_eq!(far.get(key(99), 61_000_000).await, Some(sealed(99, 10)));
}

#[tokio::test]
async fn a_damaged_file_is_moved_aside_and_made_anew() {
    let folder = Folder::new("damage");
    std::fs::create_dir_all(folder.path()).unwrap();
    std::fs::write(folder.path().join(FILE), vec![b'x'; 100_000]).unwrap();
    let (far, heard) = open(&folder, 1 << 30);
    assert_eq!(far.get(key(1), 0).await, None);
    far.put(key(1), sealed(1, 10), (0, 100));
    far.settle().await.unwrap();
    assert_eq!(far.get(key(1), 0).await, Some(sealed(1, 10)));
    assert_eq!((count(&heard, Event::LookFailed), count(&heard, Event::WriteFailed)), (0, 0));
    assert_eq!(std::fs::read(folder.path().join("answers-1.damaged")).unwrap(), vec![b'x'; 100_000]);
    // The folder is taken away under it.
    std::fs::remove_dir_all(folder.path()).unwrap();
    assert_eq!(far.get(key(1), 0).await, None);
    far.put(key(1), sealed(1, 20), (0, 100));
    far.settle().await.unwrap();
    assert_eq!(far.get(key(1), 0).await, Some(sealed(1, 20)));
}

#[tokio::test]
async fn pages_that_rot_are_never_a_wrong_answer_and_the_place_heals() {
    let folder = Folder::new("rot");
    let (far, _) = open(&folder, 1 << 30);
    for number in 0..200 {
        far.put(key(number), sealed(number, 3_000), (0, 100));
    }
    far.settle().await.unwrap();
    drop(far);
    // The threads of the first have ended once the log is taken over, which the last connection does.
    let wal = folder.path().join(format!("{FILE}-wal"));
    while wal.exists() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let path = folder.path().join(FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    for at in (5_000..bytes.len()).step_by(1_777) {
        bytes[at] ^= 0xff;
    }
    std::fs::write(&path, bytes).unwrap();
    let (far, _) = open(&folder, 1 << 30);
    for number in 0..200 {
        let found = far.get(key(number), 0).await;
        let whole = found.and_then(|bytes| Entry::from_bytes(&bytes, &key(number), &maker()));
        assert!(whole.is_none_or(|whole| whole == entry(number, 3_000)));
    }
    // Whatever was tried, what is written from now on can be read again, once it has been found damaged.
    for round in 0..10 {
        far.put(key(500), sealed(500, 50), (round * 61_000_000, i64::MAX));
        far.settle().await.unwrap();
    }
    drop(far);
    let (far, _) = open(&folder, 1 << 30);
    far.put(key(501), sealed(501, 50), (0, i64::MAX));
    far.settle().await.unwrap();
    assert_eq!(far.get(key(501), 0).await, Some(sealed(501, 50)));
}

#[tokio::test]
async fn a_folder_that_cannot_be_is_left_alone_and_costs_nothing() {
    let folder = Folder::new("none");
    std::fs::write(folder.path(), b"a file").unwrap();
    let (far, heard) = open(&folder, 1 << 30);
    for _ in 0..50 {
        assert_eq!(far.get(key(1), 0).await, None);
    }
    assert_eq!((count(&heard, Event::LookFailed), count(&heard, Event::Passed)), (3, 47));
    assert_eq!(count(&heard, Event::Down), 1);
    assert!(!far.put(key(1), sealed(1, 10), (0, 100)));
    assert!(far.ping().await.is_err());
    std::fs::remove_file(folder.path()).unwrap();
}

#[tokio::test]
async fn what_waits_to_be_written_is_bounded_in_bytes() {
    let folder = Folder::new("queue");
    let (mut rules, heard) = rules();
    // The thread that writes does not begin.
    rules.give_way = || std::thread::sleep(std::time::Duration::from_secs(1));
    let far = Far::disk(&DiskPlace { folder: folder.path().to_owned(), bytes_max: 1 << 30 }, &rules);
    let large = Bytes::from(vec![0; 1 << 20]);
    let queued = (0..100).filter(|number| far.put(key(*number), large.clone(), (0, 100))).count();
    assert_eq!((queued, count(&heard, Event::Dropped)), (32, 68));
    far.settle().await.unwrap();
    assert_eq!(count(&heard, Event::Written), 32);
    assert!(far.put(key(0), large, (0, 100)), "room is given back");
}

/// Not a test of its own: the process that the next one kills.
#[tokio::test]
async fn child_that_writes() {
    let Ok(path) = std::env::var("TOLLGATE_TEST_CACHE_FOLDER") else { return };
    let (rules, _) = rules();
    let far = Far::disk(&DiskPlace { folder: path.into(), bytes_max: 8 << 20 }, &rules);
    for number in 0_u64.. {
        far.put(key(number % 1_000), sealed(number % 1_000, 9_000), (0, 100));
        if number.is_multiple_of(50) {
            far.settle().await.unwrap();
            println!("written {number}");
        }
    }
}

#[tokio::test]
async fn whenever_a_process_is_killed_all_that_is_read_afterwards_is_whole() {
    let cycles = if std::env::var_os("TOLLGATE_TEST_LONG").is_some() { 60 } else { 6 };
    let folder = Folder::new("kill");
    for cycle in 0..cycles {
        // Two write at once, as two gateways do.
        let mut children: Vec<_> = (0..2)
            .map(|_| {
                let mut command = Command::new(std::env::current_exe().unwrap());
                command.args(["disk::child_that_writes", "--exact", "--nocapture"]);
                command.env("TOLLGATE_TEST_CACHE_FOLDER", folder.path());
                command.stdout(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        let lines = BufReader::new(children[0].stdout.take().unwrap()).lines().map(Result::unwrap);
        let written = lines.filter(|line| line.contains("written")).take(3 + cycle % 7).count();
        assert_eq!(written, 3 + cycle % 7, "it wrote until it was killed");
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let (far, heard) = open(&folder, 8 << 20);
        let mut found = 0;
        for number in 0..1_000 {
            if let Some(bytes) = far.get(key(number), 0).await {
                assert_eq!(bytes, sealed(number, 9_000), "cycle {cycle}");
                found += 1;
            }
        }
        assert!(found > 50, "{found} found in cycle {cycle}");
        assert_eq!(count(&heard, Event::LookFailed), 0);
        assert!(!folder.path().join("answers-1.damaged").exists(), "nothing was torn");
    }
}
