//! Damage to the journal that a kill has left: torn ends, turned bits, foreign bytes.
//!
//! The test reads the undamaged journal by the lengths of its records alone, and so knows which of them are hit.

use crate::ground::{DATABASE, JOURNAL, Row, ask, rows_by, site, until_books};
use crate::support::{COST, Site, count, ms};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use tollgate_simulator::{Behaviour, Fault, Rule};

/// Requests that were answered, and those that were under way.
const ANSWERED: usize = 30;
const OPEN: usize = 5;
/// Of a file, and of a record: mark, length, checksum.
const FILE_HEAD: usize = 8;
const RECORD_HEAD: usize = 10;
const INTENT: u8 = 1;
const SETTLED: u8 = 2;

/// What a kill has left, before it is damaged.
struct Left {
    /// Every file of the folder, by its path within.
    files: BTreeMap<PathBuf, Vec<u8>>,
    /// The file of the journal that has records.
    journal: PathBuf,
    records: Vec<Record>,
}

/// A record of the journal.
struct Record {
    at: Range<usize>,
    kind: u8,
    /// As the books have it: 32 hexadecimal digits.
    attempt: String,
}

/// What happens to the journal.
#[derive(Debug, Clone, Copy)]
enum Damage {
    /// It ends before this byte.
    Torn(usize),
    /// A bit of this byte is turned.
    Turned(usize, u8),
    /// So many bytes from here on were never written.
    Zeroed(usize, usize),
    /// Bytes that are none of ours stand at its end.
    Foreign(usize),
}

impl Damage {
    /// One of every kind by turns, all over the file.
    fn number(number: usize, bytes: usize) -> Self {
        let at = number * 7_919 % bytes;
        match number % 4 {
            0 => Self::Turned(at, (number / 4 % 8) as u8),
            1 => Self::Torn(at),
            2 => Self::Zeroed(at, (number * 31 % 600).min(bytes - at)),
            _ => Self::Foreign(1 + number * 131 % 3_000),
        }
    }

    fn apply(self, file: &mut Vec<u8>) {
        match self {
            Self::Torn(at) => file.truncate(at),
            Self::Turned(at, bit) => file[at] ^= 1 << bit,
            Self::Zeroed(at, bytes) => file[at..at + bytes].fill(0),
            Self::Foreign(bytes) => file.extend((0..bytes).map(|at| (at * 37 % 251) as u8)),
        }
    }

    /// Whether a record is hit.
    fn hits(self, at: &Range<usize>) -> bool {
        match self {
            Self::Torn(end) => at.end > end,
            Self::Turned(byte, _) => at.contains(&byte),
            Self::Zeroed(from, bytes) => at.start < from + bytes && from < at.end,
            Self::Foreign(_) => false,
        }
    }
}

/// The records of a file that nobody has damaged.
fn records(file: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    let mut at = FILE_HEAD;
    while at < file.len() {
        let length = u32::from_le_bytes(file[at + 2..at + 6].try_into().unwrap()) as usize;
        let body = &file[at + RECORD_HEAD..at + RECORD_HEAD + length];
        let attempt = u128::from_le_bytes(body[1..17].try_into().unwrap());
        let end = at + RECORD_HEAD + length;
        records.push(Record { at: at..end, kind: body[0], attempt: format!("{attempt:032x}") });
        at = end;
    }
    records
}

/// All files below a folder.
fn read_all(folder: &Path, within: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(folder.join(within)).unwrap() {
        let entry = entry.unwrap();
        let name = within.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            read_all(folder, &name, files);
        } else {
            files.insert(name.clone(), std::fs::read(folder.join(&name)).unwrap());
        }
    }
}

impl Left {
    fn of(folder: &Path) -> Self {
        let mut files = BTreeMap::new();
        read_all(folder, Path::new(""), &mut files);
        let journals = files.iter().filter(|(name, _)| name.extension().is_some_and(|end| end == "journal"));
        let (journal, file) = journals.max_by_key(|(_, file)| file.len()).unwrap();
        let (journal, records) = (journal.clone(), records(file));
        Self { files, journal, records }
    }

    /// Puts everything where it was, and damages the journal.
    fn put_back(&self, folder: &Path, damage: Damage) {
        std::fs::remove_dir_all(folder.join(JOURNAL)).unwrap();
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(folder.join(format!("{DATABASE}{suffix}")));
        }
        std::fs::create_dir(folder.join(JOURNAL)).unwrap();
        for (name, bytes) in &self.files {
            let mut bytes = bytes.clone();
            if *name == self.journal {
                damage.apply(&mut bytes);
            }
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }

    /// What the books must have: of each attempt its end if that is whole, else what its intent says if that is.
    fn expected(&self, damage: Damage) -> HashMap<String, bool> {
        let mut expected = HashMap::new();
        for record in self.records.iter().filter(|record| !damage.hits(&record.at)) {
            match record.kind {
                SETTLED => {
                    expected.insert(record.attempt.clone(), false);
                }
                INTENT => {
                    expected.entry(record.attempt.clone()).or_insert(true);
                }
                other => panic!("a record of kind {other}"),
            }
        }
        expected
    }
}

/// Files of damaged bytes.
fn quarantined(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder.join(JOURNAL)).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "bad")).count()
}

/// A gateway that is killed while its books are locked and some of its requests are under way.
async fn leave(site: &mut Site) -> Left {
    let key = site.gateway.new_key(json!({"max_budget": 1_000})).await;
    let locked = rusqlite::Connection::open(site.gateway.folder().join(DATABASE)).unwrap();
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    for number in 0..ANSWERED {
        let answered = ask(site.gateway.address, key.clone(), format!("answered-{number}")).await;
        assert!(answered.is_some());
    }
    site.simulator.script().set_rules(vec![Rule::any(Behaviour::new().fault(Fault::Hang))]);
    let open: Vec<_> = (0..OPEN)
        .map(|number| tokio::spawn(ask(site.gateway.address, key.clone(), format!("open-{number}"))))
        .collect();
    site.until("they are under way", |site| site.simulator.active_requests() == OPEN).await;
    // The last settlements are soon on the disk.
    tokio::time::sleep(ms(300)).await;
    let mut left = None;
    site.gateway
        .restart(|folder| {
            drop(locked);
            left = Some(Left::of(folder));
        })
        .await;
    for call in open {
        assert_eq!(call.await.unwrap(), None);
    }
    left.unwrap()
}

fn costs(rows: &HashMap<String, Vec<Row>>) -> i128 {
    rows.values().flatten().map(|(cost, _)| cost).sum()
}

#[tokio::test]
async fn r32_whatever_is_damaged_in_the_journal_it_starts_and_has_all_that_is_whole_and_nothing_else() {
    let mut site = site("").await;
    let left = leave(&mut site).await;
    let bytes = left.files[&left.journal].len();
    let of = |kind: u8| left.records.iter().filter(|record| record.kind == kind).count();
    assert_eq!((of(INTENT), of(SETTLED)), (ANSWERED + OPEN, ANSWERED));
    let (mut recovered, mut damaged) = (0, 0);
    for number in 0..count(16, 400) {
        let damage = Damage::number(number, bytes);
        site.gateway.restart(|folder| left.put_back(folder, damage)).await;
        let expected = left.expected(damage);
        let folder = site.gateway.folder().to_owned();
        let read = || rows_by(&folder, "attempt_id");
        until_books(&format!("{damage:?}: what is whole is in the books"), || read().len() >= expected.len())
            .await;
        // Once more, so that nothing is found twice.
        site.gateway.restart(|_| {}).await;
        let rows = read();
        assert_eq!(rows.len(), expected.len(), "{damage:?}");
        for (attempt, is_recovered) in &expected {
            match rows.get(attempt).map(Vec::as_slice) {
                Some([(COST, false)]) if !is_recovered => {}
                Some([(1.., true)]) if *is_recovered => {}
                other => panic!("{damage:?}: {attempt} is {other:?}"),
            }
        }
        assert_eq!(crate::ground::settled(&folder), costs(&rows), "{damage:?}");
        let is_boundary =
            |at: usize| at == FILE_HEAD || left.records.iter().any(|record| record.at.end == at);
        let is_damaged = !matches!(damage, Damage::Torn(at) if at == 0 || is_boundary(at))
            && !matches!(damage, Damage::Zeroed(_, 0));
        assert_eq!(quarantined(&folder) > 0, is_damaged, "{damage:?}");
        recovered += expected.len();
        damaged += left.records.len() - left.records.iter().filter(|record| !damage.hits(&record.at)).count();
    }
    eprintln!("{recovered} attempts recovered, {damaged} damaged records, none of them accepted");
    site.simulator.script().set_rules(Vec::new());
    site.stop().await;
}
