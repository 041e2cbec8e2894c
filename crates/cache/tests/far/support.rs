//! Keys, bytes, folders and ears for the tests.

use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollgate_cache::{Entry, Event, FarRules, Form, Key, KeyMaker, Scope};

pub(crate) type Heard = Arc<Mutex<Vec<Event>>>;

/// Rules with a patient look, and what is heard of events.
pub(crate) fn rules() -> (FarRules, Heard) {
    let heard: Heard = Arc::default();
    let hears = Arc::clone(&heard);
    let told = Arc::new(move |event| hears.lock().unwrap().push(event));
    (FarRules { timeout: Duration::from_secs(20), told, give_way: || {} }, heard)
}

/// How many of these were heard.
pub(crate) fn count(heard: &Heard, event: Event) -> usize {
    heard.lock().unwrap().iter().filter(|other| **other == event).count()
}

pub(crate) fn maker() -> KeyMaker {
    KeyMaker::new(b"secret")
}

pub(crate) fn key(number: u64) -> Key {
    maker().key(Scope::Shared, &[&number.to_be_bytes()])
}

/// The sealed bytes of an entry whose body says its number, of so many bytes.
pub(crate) fn sealed(number: u64, length: usize) -> Bytes {
    entry(number, length).to_bytes(&key(number), &maker())
}

pub(crate) fn entry(number: u64, length: usize) -> Entry {
    let body = number.to_be_bytes().into_iter().cycle().take(length).collect::<Vec<u8>>();
    Entry {
        kind: "k".into(),
        form: Form::Whole,
        body: body.into(),
        deployment: "d".into(),
        facts: "".into(),
        stored_at: 0,
        expires_at: 100,
    }
}

/// A folder that is gone with its value.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tollgate-cache-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
