//! Keys that are replaced by themselves when their time has come: the folder where their texts are put, and the turns.
//!
//! Owns: the files. Leaves to others: which settings hold (config), which keys are due (identity), and the change (admin).
//!
//! **Invariant:** the text of a key is on the disk before the key is let through, and its name there is its final one only
//! once it is: whoever reads a file reads a key that is good. **Invariant:** a kill at any moment loses no text of a key that
//! is let through: what was left behind gets its name at the next turn. **Invariant:** nothing is put there or taken away while
//! nobody knows which keys there are, and a turn that comes to no end leaves no more behind than the one before it.

use crate::admin;
use crate::worker::Worker;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::spawn_blocking;
use tollgate_identity::Kind;
use tollgate_identity::secret::{KeyText, Token};

/// What a file's name ends with whose key is not yet let through.
const UNFINISHED: &str = ".new";
/// When what another gateway of the same folder has not finished is taken for left behind.
const LEFT_AFTER: Duration = Duration::from_secs(600);
/// Bytes of a key that is read back; the gateway's own are 46.
const TEXT_MAX: u64 = 4096;

/// Replaces keys that are due, from time to time, without an end.
pub async fn rotate_keys(worker: Arc<Worker>) {
    let mut unsure = Unsure::default();
    loop {
        turn(&worker, &mut unsure).await;
        let interval = worker.gateway.snapshot().config().key_rotation.check_interval;
        tokio::time::sleep(interval).await;
    }
}

/// Replaces the keys that are due now, where the operator wants it and says where to put them.
pub async fn rotate_keys_once(worker: &Worker) {
    turn(worker, &mut Unsure::default()).await;
}

async fn turn(worker: &Worker, unsure: &mut Unsure) {
    let snapshot = worker.gateway.snapshot();
    let settings = &snapshot.config().key_rotation;
    let Some(folder) = settings.folder.as_deref().filter(|_| settings.is_on) else { return };
    let ledger = Arc::clone(worker.gateway.ledger());
    if let Err(error) = ledger.catch_up().await {
        tracing::warn!(%error, "no key is replaced while the database is away");
        return;
    }
    let folder = Folder(folder.to_owned());
    let finishing = folder.clone();
    let finished = on_disk(move || {
        let is_key = |token: &Token| ledger.directory().get(Kind::Key, token.as_str()).is_some();
        finishing.finish(SystemTime::now(), is_key)
    });
    if let Err(error) = finished.await {
        tracing::warn!(%error, folder = %folder.0.display(), "texts of new keys that were left behind cannot be read");
    }
    admin::rotate_due(worker, &snapshot, &folder, unsure).await;
}

/// Does what waits for the disk beside everything else.
pub(crate) async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|_| Err(io::Error::other("it was not done")))
}

/// Texts of which nobody knows whether their keys were made, by the key that each is to replace: the next turn takes the same
/// one again.
#[derive(Default)]
pub(crate) struct Unsure(HashMap<Arc<str>, KeyText>);

impl Unsure {
    /// The text for a key that is due, where an earlier turn has put one into the folder that is still there.
    pub(crate) fn take(&mut self, old: &str, folder: &Folder, name: &str) -> Option<(KeyText, Pending)> {
        let key = self.0.remove(old)?;
        let pending = folder.pending(name, &key);
        pending.from.exists().then_some((key, pending))
    }

    /// Nobody knows whether it has taken a key's place.
    pub(crate) fn keep(&mut self, old: &Arc<str>, key: KeyText) {
        self.0.insert(Arc::clone(old), key);
    }
}

/// Where the texts of new keys are put.
#[derive(Clone)]
pub(crate) struct Folder(PathBuf);

/// A text that is on the disk, of a key that is not yet let through.
#[derive(Clone)]
pub(crate) struct Pending {
    from: PathBuf,
    to: PathBuf,
}

impl Folder {
    /// Writes the text of a key that is about to be let through under this name.
    pub(crate) fn write(&self, name: &str, key: &KeyText) -> io::Result<Pending> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        let pending = self.pending(name, key);
        let written = write_new(&pending.from, key.as_str().as_bytes());
        if written.is_err() {
            let _ = fs::remove_file(&pending.from);
        }
        written.map(|()| pending)
    }

    /// Where the text of a key is before the key is let through, and after.
    fn pending(&self, name: &str, key: &KeyText) -> Pending {
        let name = file_name(name);
        let from = self.0.join(format!(".{name}.{}{UNFINISHED}", key.token().as_str()));
        Pending { from, to: self.0.join(name) }
    }

    /// Gives what was left behind its name where its key is let through; what is old and nobody's goes.
    fn finish(&self, now: SystemTime, is_key: impl Fn(&Token) -> bool) -> io::Result<()> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let parts = name.to_str().and_then(|name| name.strip_prefix('.')?.strip_suffix(UNFINISHED));
            let Some((name, token)) = parts.and_then(|rest| rest.rsplit_once('.')) else { continue };
            let metadata = entry.metadata()?;
            if metadata.len() > TEXT_MAX || !metadata.is_file() {
                continue;
            }
            let text = fs::read(entry.path())?;
            let own = Token::of(&text);
            let age = now.duration_since(metadata.modified()?).unwrap_or_default();
            if own.as_str() == token && is_key(&own) {
                Pending { from: entry.path(), to: self.0.join(name) }.keep()?;
            } else if age > LEFT_AFTER {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

impl Pending {
    /// Gives it its name: its key is let through.
    pub(crate) fn keep(&self) -> io::Result<()> {
        fs::rename(&self.from, &self.to)?;
        self.to.parent().map_or(Ok(()), sync)
    }

    /// Takes it away: its key never was.
    pub(crate) fn drop(&self) -> io::Result<()> {
        fs::remove_file(&self.from)
    }
}

/// A file that only its owner reads, on the disk when this returns.
fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text)?;
    file.sync_all()?;
    path.parent().map_or(Ok(()), sync)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A name that is a file's: letters, digits, `_`, `-` and full stops but for the first; every other byte as `%` and two
/// hexadecimal digits.
fn file_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for (at, byte) in name.bytes().enumerate() {
        match byte {
            b'.' if at > 0 => out.push('.'),
            byte if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of a test's own, which goes with it.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("tollgate-rotation-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn key(byte: u8) -> KeyText {
        KeyText::minted([byte; 32])
    }

    fn files(folder: &Path) -> Vec<(String, String)> {
        let read = |entry: io::Result<fs::DirEntry>| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
        };
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(read).collect();
        files.sort();
        files
    }

    #[test]
    fn names_of_files_are_one_part_of_a_path() {
        for (name, expect) in [
            ("chat-bot_2.eu", "chat-bot_2.eu"),
            ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
            (".hidden", "%2Ehidden"),
            ("Büro 1", "B%C3%BCro%201"),
            ("a%b", "a%25b"),
        ] {
            assert_eq!(file_name(name), expect, "{name}");
        }
    }

    #[test]
    fn a_text_has_its_name_once_its_key_is_let_through() {
        let place = Place::new("named");
        let folder = Folder(place.0.join("keys"));
        let (first, second) = (key(1), key(2));
        let pending = folder.write("bot", &first).unwrap();
        let unfinished = format!(".bot.{}.new", first.token().as_str());
        assert_eq!(files(&folder.0), [(unfinished, first.as_str().to_owned())]);
        pending.keep().unwrap();
        folder.write("bot", &second).unwrap().drop().unwrap();
        assert_eq!(files(&folder.0), [("bot".to_owned(), first.as_str().to_owned())]);
    }

    #[test]
    fn a_text_that_may_be_a_keys_is_taken_again_and_no_other_is_put_beside_it() {
        let place = Place::new("again");
        let folder = Folder(place.0.clone());
        let old: Arc<str> = Arc::from("old");
        let mut unsure = Unsure::default();
        folder.write("bot", &key(1)).unwrap();
        unsure.keep(&old, key(1));
        let (again, pending) = unsure.take("old", &folder, "bot").unwrap();
        assert!(again == key(1));
        assert_eq!(files(&place.0).len(), 1);
        assert!(unsure.take("old", &folder, "bot").is_none(), "once");
        unsure.keep(&old, again);
        pending.drop().unwrap();
        assert!(unsure.take("old", &folder, "bot").is_none(), "what is gone is written anew");
    }

    #[test]
    fn what_a_kill_left_behind_gets_its_name_if_its_key_is_let_through_and_goes_later_if_not() {
        let place = Place::new("left");
        let folder = Folder(place.0.clone());
        let (good, never) = (key(1), key(2));
        folder.write("bot", &good).unwrap();
        folder.write("tool", &never).unwrap();
        fs::write(place.0.join("readme"), "not a key").unwrap();
        let is_key = |token: &Token| token.as_str() == good.token().as_str();
        let now = SystemTime::now();
        folder.finish(now, is_key).unwrap();
        let unfinished = format!(".tool.{}.new", never.token().as_str());
        let names =
            |files: Vec<(String, String)>| files.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(files(&place.0)), [unfinished.as_str(), "bot", "readme"]);
        folder.finish(now + LEFT_AFTER * 2, is_key).unwrap();
        assert_eq!(names(files(&place.0)), ["bot", "readme"]);
        assert_eq!(fs::read_to_string(place.0.join("bot")).unwrap(), good.as_str());
    }
}
