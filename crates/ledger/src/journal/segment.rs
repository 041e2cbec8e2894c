//! The files of a journal: their names, their heads, and reading their records in order.
//!
//! **Invariant:** a file is only ever appended to, and by the process alone that made it: what an earlier one left is
//! read and then deleted, never changed.

use super::Sync;
use super::frame::{self, Found, Frame};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// What a file begins with.
const HEAD: [u8; 8] = *b"TGLEDG01";
const EXTENSION: &str = "journal";

/// A place in the journal: a file, and so many bytes of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The number of the file, from 1.
    pub segment: u64,
    /// Bytes from its beginning.
    pub offset: u64,
}

/// Bytes that are no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Where they begin.
    pub at: Position,
    /// How many they are.
    pub bytes: u64,
}

pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:020}.{EXTENSION}"))
}

/// The numbers of the files that are there, in order.
pub(super) fn list(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.path();
        let is_ours = name.extension().is_some_and(|extension| extension == EXTENSION);
        let number =
            name.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
        numbers.extend(number.filter(|_| is_ours));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// A new file, readable by its user alone, with its head; with [`Sync::Always`] it is there after a loss of power too. One that
/// was begun and could not be finished, nor taken away, since the disk refused in the midst of it, is finished now.
pub(super) fn create(folder: &Path, number: u64, sync: Sync) -> io::Result<(File, u64)> {
    let mut options = OpenOptions::new();
    options.append(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = match options.open(path(folder, number)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => unfinished(folder, number)?,
        opened => opened?,
    };
    let is_to_stay = |file: &File| match sync {
        Sync::Always => file.sync_all().and_then(|()| sync_folder(folder)),
        Sync::Later => Ok(()),
    };
    let written = file.write_all(&HEAD).and_then(|()| is_to_stay(&file));
    if let Err(error) = written {
        drop(file);
        let _ = fs::remove_file(path(folder, number));
        return Err(error);
    }
    Ok((file, HEAD.len() as u64))
}

/// A file that has no more than a head, emptied.
fn unfinished(folder: &Path, number: u64) -> io::Result<File> {
    let file = OpenOptions::new().append(true).open(path(folder, number))?;
    if file.metadata()?.len() > HEAD.len() as u64 {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    file.set_len(0)?;
    Ok(file)
}

/// A name in a folder outlives a loss of power only when the folder is synced.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// What was read in one go.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// Where the next read begins.
    pub(super) next: Position,
    /// What was passed over.
    pub(super) damages: Vec<Damage>,
    /// There is nothing more in this file.
    pub(super) is_end: bool,
}

/// Reads records from a place on, up to the end of its file or to `up_to`, some `bytes_max` bytes at a time, and gives each
/// to `take` as long as that says to go on. A file that ends within a record was torn: the rest of it is damage.
pub(super) fn read(
    folder: &Path,
    from: Position,
    up_to: Option<Position>,
    bytes_max: usize,
    mut take: impl FnMut(Frame<'_>) -> bool,
) -> io::Result<Read> {
    let mut file = File::open(path(folder, from.segment))?;
    let mut length = file.metadata()?.len();
    let is_growing = up_to.filter(|up_to| up_to.segment == from.segment);
    if let Some(up_to) = is_growing {
        length = length.min(up_to.offset);
    }
    let mut start = from.offset;
    let mut read = Read { next: from, ..Read::default() };
    if start < HEAD.len() as u64 {
        start = start_after_head(&mut file, from.segment, length, &mut read)?;
    }
    file.seek(SeekFrom::Start(start))?;
    let left = length.saturating_sub(start);
    let wanted = left.min(bytes_max.max(frame::PAYLOAD_BYTES_MAX * 2) as u64);
    let mut bytes = vec![0; usize::try_from(wanted).unwrap_or(usize::MAX)];
    file.read_exact(&mut bytes)?;
    let reaches_end = wanted == left;
    let (mut at, mut goes_on) = (0, true);
    while let Some(rest) = bytes.get(at..).filter(|rest| goes_on && !rest.is_empty()) {
        match frame::decode(rest) {
            Found::Frame(frame, size) => {
                goes_on = take(frame);
                at += size;
            }
            Found::Part if !reaches_end => break,
            Found::Part | Found::Damage => {
                let Some(skipped) = frame::next_after_damage(rest).or(behind(rest, at, reaches_end)) else {
                    break;
                };
                let place = Position { segment: from.segment, offset: start + at as u64 };
                read.damages.push(Damage { at: place, bytes: skipped as u64 });
                at += skipped;
            }
        }
    }
    read.next = Position { segment: from.segment, offset: start + at as u64 };
    read.is_end = reaches_end && goes_on;
    Ok(read)
}

/// How much of bytes without a record is passed over. Where the file goes on, a record may begin in the last of them: then
/// as much as no whole record could have begun in, or nothing, to be read again with more behind it.
fn behind(rest: &[u8], at: usize, reaches_end: bool) -> Option<usize> {
    if reaches_end {
        return Some(rest.len());
    }
    rest.len().checked_sub(frame::FRAME_BYTES_MAX).filter(|skipped| at == 0 && *skipped > 0)
}

/// Where the records begin; a file without our head has none that are known.
fn start_after_head(file: &mut File, segment: u64, length: u64, read: &mut Read) -> io::Result<u64> {
    let mut head = [0; HEAD.len()];
    let is_whole = length >= HEAD.len() as u64;
    if is_whole {
        file.read_exact(&mut head)?;
    }
    if head == HEAD {
        return Ok(HEAD.len() as u64);
    }
    if length > 0 {
        let bytes = length.min(HEAD.len() as u64);
        read.damages.push(Damage { at: Position { segment, offset: 0 }, bytes });
    }
    Ok(length.min(HEAD.len() as u64))
}

/// Copies damaged bytes into a file of their own beside the journal, for people to look at.
pub(super) fn quarantine(folder: &Path, damage: &Damage) -> io::Result<()> {
    let name = format!("{:020}-{}.bad", damage.at.segment, damage.at.offset);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut copy = match options.open(folder.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        opened => opened?,
    };
    let mut file = File::open(path(folder, damage.at.segment))?;
    file.seek(SeekFrom::Start(damage.at.offset))?;
    io::copy(&mut file.take(damage.bytes), &mut copy)?;
    Ok(())
}
