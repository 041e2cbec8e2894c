//! Journals that are killed, torn, damaged, refused by the disk and carried away.

use super::*;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Waker};

/// A folder of its own, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tollgate-journal-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        Self(folder)
    }

    fn open(&self) -> (Journal, Recovered) {
        self.open_with(Options::default())
    }

    fn open_with(&self, options: Options) -> (Journal, Recovered) {
        Journal::open(&self.0, options).unwrap()
    }

    fn files(&self) -> Vec<u64> {
        segment::list(&self.0).unwrap()
    }

    fn copies(&self) -> usize {
        fs::read_dir(&self.0)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "bad"))
            .count()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn ids(orphans: &[Orphan]) -> Vec<u128> {
    let mut ids: Vec<u128> = orphans.iter().map(|orphan| orphan.attempt).collect();
    ids.sort_unstable();
    ids
}

/// All rows from a place on, with the place behind them.
fn rows(journal: &Journal, from: Position) -> (Vec<u128>, Position) {
    rows_by(usize::MAX, journal, from)
}

/// The same, so many at a time.
fn rows_by(rows_max: usize, journal: &Journal, mut from: Position) -> (Vec<u128>, Position) {
    let mut all = Vec::new();
    loop {
        let batch = journal.read(from, rows_max).unwrap();
        assert!(batch.settled.len() <= rows_max);
        all.extend(batch.settled.iter().map(|(attempt, _)| *attempt));
        if batch.next == from {
            return (all, from);
        }
        from = batch.next;
    }
}

#[tokio::test]
async fn an_attempt_whose_end_was_not_written_is_an_orphan_at_the_next_start() {
    let folder = Folder::new("orphan");
    let (journal, recovered) = folder.open();
    assert_eq!((recovered.orphans.len(), recovered.records), (0, 0));
    for attempt in 1..=4 {
        journal.intend(attempt, format!("intent {attempt}").as_bytes()).await.unwrap();
    }
    assert!(journal.settle(1, b"row 1"));
    journal.drop_intent(2);
    assert!(journal.settle(9, b"a row that had no intent"));
    drop(journal);
    let (journal, recovered) = folder.open();
    assert_eq!((ids(&recovered.orphans), recovered.damages), (vec![3, 4], vec![]));
    let third = recovered.orphans.iter().find(|orphan| orphan.attempt == 3).unwrap();
    assert_eq!(third.payload, b"intent 3");
    // Settled in a later process, they are no orphans any more.
    assert!(journal.settle(3, b"row 3"));
    drop(journal);
    let (journal, recovered) = folder.open();
    assert_eq!(ids(&recovered.orphans), [4]);
    assert_eq!(rows(&journal, recovered.first).0, [1, 9, 3]);
}

#[tokio::test]
async fn it_is_told_how_many_records_a_loss_of_power_may_take() {
    let folder = Folder::new("unsynced");
    let (journal, _) =
        folder.open_with(Options { sync_after: Duration::from_secs(3600), ..Options::default() });
    for attempt in 1..=3 {
        assert!(journal.settle(attempt, b"a row that nobody waits for"));
    }
    while journal.unsynced() < 3 {
        tokio::task::yield_now().await;
    }
    // Whoever waits has it synced, with all before.
    journal.intend(4, b"intent 4").await.unwrap();
    assert_eq!(journal.unsynced(), 0);
    let folder = Folder::new("unsynced-later");
    let options = Options { sync: Sync::Later, sync_after: Duration::from_secs(3600), ..Options::default() };
    let (journal, _) = folder.open_with(options);
    journal.intend(5, b"intent 5").await.unwrap();
    assert_eq!(journal.unsynced(), 1);
    journal.flush().await.unwrap();
    assert_eq!(journal.unsynced(), 0);
}

#[tokio::test]
async fn rows_are_carried_in_order_over_many_files_and_files_that_were_carried_go() {
    let folder = Folder::new("carry");
    let (journal, recovered) = folder.open_with(Options { segment_bytes: 2_000, ..Options::default() });
    // Open for as long as the test runs.
    journal.intend(u128::MAX, b"a long stream").await.unwrap();
    let mut expect = Vec::new();
    let (mut carried, mut from) = (Vec::new(), recovered.first);
    for attempt in 0..500 {
        journal.intend(attempt, &[b'i'; 40]).await.unwrap();
        journal.settle(attempt, &[b's'; 60]);
        expect.push(attempt);
        if attempt % 50 == 49 {
            journal.flush().await.unwrap();
            let (some, next) = rows(&journal, from);
            carried.extend(some);
            from = next;
            journal.free(from);
        }
    }
    journal.flush().await.unwrap();
    assert_eq!(carried, expect);
    for rows_max in [1, 3] {
        let first = Position { segment: 1, offset: 0 };
        let (left, last) = rows_by(usize::MAX, &journal, first);
        assert_eq!(rows_by(rows_max, &journal, first), (left, last), "{rows_max} at a time");
    }
    assert!(folder.files().len() <= 2, "{:?}", folder.files());
    assert!(*folder.files().last().unwrap() > 30);
    drop(journal);
    let (_, recovered) = folder.open();
    assert_eq!(ids(&recovered.orphans), [u128::MAX], "it came along");
}

#[tokio::test]
async fn a_torn_end_and_turned_bits_lose_the_damaged_records_and_no_other() {
    let folder = Folder::new("torn");
    let (journal, _) = folder.open();
    for attempt in 1..=5 {
        journal.settle(attempt, format!("row {attempt}").as_bytes());
    }
    drop(journal);
    let file = segment::path(&folder.0, 1);
    let mut bytes = fs::read(&file).unwrap();
    let place = memchr::memmem::find(&bytes, b"row 2").unwrap();
    bytes[place] ^= 1;
    // A record that was not written to its end, and what a file system leaves behind it.
    bytes.truncate(bytes.len() - 3);
    bytes.extend([0; 100]);
    fs::write(&file, bytes).unwrap();
    let (journal, recovered) = folder.open();
    assert_eq!((recovered.damages.len(), recovered.records, folder.copies()), (2, 3, 2));
    assert_eq!(rows(&journal, recovered.first).0, [1, 3, 4]);
    drop(journal);
    assert_eq!(folder.open().1.damages.len(), 2, "it stays until the file goes, and is copied once");
    assert_eq!(folder.copies(), 2);
}

#[tokio::test]
async fn files_of_others_and_files_without_a_head_are_damage_and_not_read() {
    let folder = Folder::new("foreign");
    fs::create_dir_all(&folder.0).unwrap();
    fs::write(folder.0.join("notes.txt"), b"mine").unwrap();
    fs::write(segment::path(&folder.0, 7), b"TGL").unwrap();
    fs::write(segment::path(&folder.0, 8), b"").unwrap();
    let (journal, recovered) = folder.open();
    assert_eq!((recovered.damages.len(), recovered.records), (1, 0));
    journal.intend(1, b"x").await.unwrap();
    assert_eq!(folder.files(), [7, 8, 9]);
    assert_eq!(fs::read(folder.0.join("notes.txt")).unwrap(), b"mine");
}

#[tokio::test]
async fn whoever_reads_sees_a_record_once_it_is_written_and_not_before() {
    let folder = Folder::new("tail");
    let (journal, recovered) = folder.open();
    let mut committed = journal.committed();
    let (none, from) = rows(&journal, recovered.first);
    assert_eq!(none, Vec::<u128>::new());
    committed.mark_unchanged();
    journal.settle(1, b"row");
    committed.changed().await.unwrap();
    assert_eq!(rows(&journal, from).0, [1]);
    // What stands behind the place that is committed is not looked at.
    OpenOptions::new()
        .append(true)
        .open(segment::path(&folder.0, 1))
        .unwrap()
        .write_all(b"half a rec")
        .unwrap();
    assert_eq!(rows(&journal, rows(&journal, from).1).0, Vec::<u128>::new());
}

#[tokio::test]
async fn a_row_larger_than_any_is_refused_and_stops_nothing() {
    let folder = Folder::new("large");
    let (journal, recovered) = folder.open();
    let large = vec![b'x'; frame::PAYLOAD_BYTES_MAX + 1];
    assert!(!journal.settle(1, &large));
    assert_eq!(journal.intend(2, &large).await, Err(Unwritten));
    assert!(journal.settle(3, &large[1..]));
    journal.flush().await.unwrap();
    assert_eq!(rows(&journal, recovered.first).0, [3]);
}

#[tokio::test]
async fn a_disk_that_refuses_keeps_intents_back_and_rows_in_memory_until_it_takes_them() {
    let folder = Folder::new("refuses");
    let (journal, recovered) = folder.open_with(Options { segment_bytes: 1, ..Options::default() });
    journal.intend(1, b"intent").await.unwrap();
    // The folder is gone: no file can follow the one that is full.
    let elsewhere = folder.0.with_extension("moved");
    let _ = fs::remove_dir_all(&elsewhere);
    fs::rename(&folder.0, &elsewhere).unwrap();
    assert_eq!(journal.intend(2, b"intent").await, Err(Unwritten));
    journal.settle(1, b"row 1");
    journal.settle(3, b"row 3");
    assert_eq!(journal.flush().await, Err(Unwritten));
    assert_eq!(journal.trouble(), (true, 2));
    fs::rename(&elsewhere, &folder.0).unwrap();
    journal.flush().await.unwrap();
    assert_eq!(journal.trouble(), (false, 0));
    journal.intend(4, b"intent").await.unwrap();
    assert_eq!(rows(&journal, recovered.first).0, [1, 3]);
    drop(journal);
    assert_eq!(ids(&folder.open().1.orphans), [4], "what was refused was not sent");
}

/// Writes an intent and takes it back at once, as a caller does who leaves while it is waited for.
fn change_ones_mind(journal: &Journal, attempt: u128) {
    let mut intending = Box::pin(journal.intend(attempt, b"intent"));
    let polled = intending.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    drop(intending);
    // It may be on the disk already, or not: either way it is over.
    let _ = polled;
    journal.drop_intent(attempt);
}

#[tokio::test]
async fn an_intent_that_is_taken_back_before_it_is_written_is_no_orphan() {
    let folder = Folder::new("mind");
    let (journal, _) = folder.open();
    for attempt in 0..2_000 {
        change_ones_mind(&journal, attempt);
    }
    journal.flush().await.unwrap();
    drop(journal);
    assert_eq!(ids(&folder.open().1.orphans), Vec::<u128>::new());
}

#[tokio::test]
async fn what_was_refused_and_is_taken_back_fills_no_memory() {
    let folder = Folder::new("memory");
    let (journal, _) = folder.open_with(Options { segment_bytes: 1, ..Options::default() });
    journal.intend(1, b"intent").await.unwrap();
    let elsewhere = folder.0.with_extension("moved");
    let _ = fs::remove_dir_all(&elsewhere);
    fs::rename(&folder.0, &elsewhere).unwrap();
    for attempt in 2..102 {
        assert_eq!(journal.intend(attempt, b"intent").await, Err(Unwritten));
        journal.drop_intent(attempt);
    }
    journal.drop_intent(1);
    assert_eq!(journal.flush().await, Err(Unwritten));
    assert_eq!(journal.trouble(), (true, 1), "of the one that was written");
    fs::rename(&elsewhere, &folder.0).unwrap();
    journal.flush().await.unwrap();
    drop(journal);
    assert_eq!(ids(&folder.open().1.orphans), Vec::<u128>::new());
}

#[tokio::test]
async fn many_who_wait_are_written_together() {
    let folder = Folder::new("group");
    let (journal, recovered) = folder.open();
    let journal = Arc::new(journal);
    let mut waiting = tokio::task::JoinSet::new();
    for attempt in 0..500_u128 {
        let journal = Arc::clone(&journal);
        waiting.spawn(async move {
            journal.intend(attempt, b"intent").await.unwrap();
            journal.settle(attempt, b"row");
        });
    }
    assert_eq!(waiting.join_all().await.len(), 500);
    journal.flush().await.unwrap();
    let mut all = rows(&journal, recovered.first).0;
    all.sort_unstable();
    assert_eq!(all, (0..500).collect::<Vec<u128>>());
}

#[tokio::test]
async fn a_journal_has_one_writer_at_a_time() {
    let place = Folder::new("lock");
    let (journal, _) = Journal::open(&place.0, Options::default()).unwrap();
    let refused = Journal::open(&place.0, Options::default()).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("another gateway uses this journal"), "{refused}");
    drop(journal);
    assert!(Journal::open(&place.0, Options::default()).is_ok());
}

#[tokio::test]
async fn a_file_that_could_only_be_begun_is_finished_when_the_disk_takes_it() {
    let folder = Folder::new("unfinished");
    let options = Options { segment_bytes: 1, ..Options::default() };
    let (journal, _) = folder.open_with(options);
    let next = folder.files().last().unwrap() + 1;
    // What is left where the disk refused after the file was made, and would not let it be taken away.
    fs::write(segment::path(&folder.0, next), b"TG").unwrap();
    journal.settle(1, b"row");
    journal.flush().await.unwrap();
    // One that has anything in it is not taken.
    let taken = folder.files().last().unwrap() + 1;
    fs::write(segment::path(&folder.0, taken), [0; 64]).unwrap();
    journal.settle(2, b"row");
    journal.flush().await.unwrap_err();
    fs::remove_file(segment::path(&folder.0, taken)).unwrap();
    journal.flush().await.unwrap();
    let first = Position { segment: 1, offset: 0 };
    assert_eq!(rows(&journal, first).0, [1, 2]);
}

/// A disk that stands still until it is let go, and says when it is asked.
fn slow_disk() -> (Disk, Receiver<()>, Sender<()>) {
    let (begun, is_asked) = channel();
    let (release, released) = channel::<()>();
    let released = std::sync::Mutex::new(released);
    let disk: Disk = Arc::new(move |file: &File| {
        let _ = begun.send(());
        let _ = released.lock().unwrap().recv();
        file.sync_data()
    });
    (disk, is_asked, release)
}

fn relaxed() -> Options {
    Options { sync: Sync::Later, sync_after: Duration::ZERO, segment_bytes: 2_000 }
}

#[tokio::test]
async fn whoever_does_not_wait_for_the_disk_waits_for_no_sync_of_others() {
    let folder = Folder::new("slow");
    let (disk, is_asked, release) = slow_disk();
    let (journal, recovered) = Journal::start(&folder.0, relaxed(), disk).unwrap();
    // Dropped before the journal, which waits for the disk.
    let release = release;
    journal.intend(0, &[b'i'; 100]).await.unwrap();
    is_asked.recv().unwrap();
    for attempt in 1..=100 {
        let written = journal.intend(attempt, &[b'i'; 100]);
        let written = tokio::time::timeout(Duration::from_secs(60), written).await;
        assert_eq!(written, Ok(Ok(())), "the disk stands still");
        journal.settle(attempt, b"row");
    }
    journal.intend(101, b"so that all before it is written").await.unwrap();
    assert!(folder.files().len() > 3, "also over the end of a file: {:?}", folder.files());
    assert_eq!(journal.unsynced(), 202, "those that the disk is at are among them");
    // Whoever carries rows learns of them a moment after those who wait.
    while rows(&journal, recovered.first).0.len() < 100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(rows(&journal, recovered.first).0, (1..=100).collect::<Vec<_>>());
    drop(release);
    journal.flush().await.unwrap();
    assert_eq!(journal.unsynced(), 0);
    drop(journal);
    assert_eq!(ids(&folder.open().1.orphans), [0, 101]);
}

#[tokio::test]
async fn a_file_stays_until_what_is_left_of_it_was_synced_elsewhere() {
    let folder = Folder::new("slow-free");
    let (disk, is_asked, release) = slow_disk();
    let (journal, recovered) = Journal::start(&folder.0, relaxed(), disk).unwrap();
    // Dropped before the journal, which waits for the disk.
    let release = release;
    journal.intend(u128::MAX, b"a long stream").await.unwrap();
    is_asked.recv().unwrap();
    for attempt in 0..100 {
        journal.settle(attempt, &[b's'; 60]);
    }
    journal.intend(200, b"so that all before it is written").await.unwrap();
    while rows(&journal, recovered.first).0.len() < 100 {
        tokio::task::yield_now().await;
    }
    journal.free(rows(&journal, recovered.first).1);
    journal.intend(201, b"after that").await.unwrap();
    assert_eq!(folder.files().first(), Some(&1));
    drop(release);
    journal.flush().await.unwrap();
    assert!(folder.files().len() <= 2, "{:?}", folder.files());
    drop(journal);
    assert_eq!(ids(&folder.open().1.orphans), [200, 201, u128::MAX]);
}

#[tokio::test]
async fn nothing_is_added_to_a_file_whose_sync_has_failed() {
    let folder = Folder::new("failed-sync");
    let (begun, is_asked) = channel();
    let refuses = std::sync::atomic::AtomicBool::new(true);
    let disk: Disk = Arc::new(move |file: &File| {
        let _ = begun.send(());
        if refuses.swap(false, Ordering::SeqCst) {
            return Err(io::Error::other("no"));
        }
        file.sync_data()
    });
    let (journal, _) = Journal::start(&folder.0, relaxed(), disk).unwrap();
    journal.intend(1, b"intent 1").await.unwrap();
    is_asked.recv().unwrap();
    while folder.files().len() < 2 {
        journal.intend(2, b"intent 2").await.unwrap();
    }
    journal.flush().await.unwrap();
    assert_eq!((journal.trouble(), journal.unsynced()), ((false, 0), 0));
    // What the first file has is in the second too before the first goes.
    journal.free(Position { segment: 2, offset: 0 });
    journal.intend(3, b"after that").await.unwrap();
    journal.flush().await.unwrap();
    assert_eq!(folder.files(), [2]);
    drop(journal);
    assert_eq!(ids(&folder.open().1.orphans), [1, 2, 3]);
}
