//! The one door to files, environment variables and the wall clock.
//!
//! Owns: [`Surroundings`], which tests fill with closures of their own. Leaves to others: what the values mean.
//!
//! **Invariant:** nothing else in this crate reads a file, a variable or the time of day.

use crate::call::refused;
use crate::error::CredentialError;
use crate::secret::Secret;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tollgate_upstream::Failure;

/// Most bytes of a credential file. The largest in the wild, a shared AWS configuration, has a few kilobytes.
const FILE_BYTES_MAX: usize = 1 << 20;

/// Reads an environment variable; `None` where it is not set or not UTF-8.
pub type Variables = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;
/// Reads a file whole.
pub type Files = Arc<dyn Fn(&Path) -> io::Result<Vec<u8>> + Send + Sync>;
/// Says the time of day.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Where credentials are looked for.
#[derive(Clone)]
pub struct Surroundings {
    /// The environment.
    pub variables: Variables,
    /// The file system. It is asked on a thread of its own once requests are served.
    pub files: Files,
    /// The time of day, for signatures and for credentials that say when they end.
    pub clock: Clock,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").finish_non_exhaustive()
    }
}

impl Surroundings {
    /// Those of the process.
    pub fn of_process() -> Self {
        Self {
            variables: Arc::new(|name| std::env::var(name).ok()),
            files: Arc::new(|path| std::fs::read(path)),
            clock: Arc::new(SystemTime::now),
        }
    }

    /// A variable that has a value; an empty one counts as not set.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        (self.variables)(name).filter(|value| !value.trim().is_empty())
    }

    /// The time of day.
    pub(crate) fn now(&self) -> SystemTime {
        (self.clock)()
    }

    /// The time of day in whole seconds since 1970.
    pub(crate) fn unix_seconds(&self) -> u64 {
        self.now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    /// The person's own folder, as the providers' tools find it.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.variable("HOME").or_else(|| self.variable("USERPROFILE")).map(PathBuf::from)
    }

    /// A file's text, `None` where there is no such file.
    pub(crate) fn text_if_there(&self, path: &Path) -> Result<Option<String>, CredentialError> {
        let shown = path.display();
        match (self.files)(path) {
            Ok(bytes) if bytes.len() > FILE_BYTES_MAX => {
                Err(CredentialError::new(format!("{shown} has more than {FILE_BYTES_MAX} bytes")))
            }
            Ok(bytes) => String::from_utf8(bytes)
                .map(Some)
                .map_err(|_| CredentialError::new(format!("{shown} is not UTF-8 text"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            // The kind alone: an error's own text is the file system's to word.
            Err(error) => Err(CredentialError::new(format!("{shown} cannot be read: {}", error.kind()))),
        }
    }

    /// A file's text.
    pub(crate) fn text(&self, path: &Path) -> Result<String, CredentialError> {
        self.text_if_there(path)?
            .ok_or_else(|| CredentialError::new(format!("{} does not exist", path.display())))
    }

    /// As [`Surroundings::text`], beside the runtime: what others renew on disk may be on a network's file system.
    pub(crate) async fn text_aside(&self, path: &Path) -> Result<Secret, Failure> {
        let (this, path) = (self.clone(), path.to_owned());
        match tokio::task::spawn_blocking(move || this.text(&path)).await {
            Ok(Ok(text)) => Ok(Secret::new(text)),
            Ok(Err(error)) => Err(refused(error.to_string())),
            Err(_) => Err(refused("a credential's file could not be read")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(answer: fn() -> io::Result<Vec<u8>>) -> Surroundings {
        Surroundings { files: Arc::new(move |_| answer()), ..Surroundings::of_process() }
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_the_reason() {
        let check = |answer: fn() -> io::Result<Vec<u8>>, expected: &str| {
            let error = holding(answer).text(Path::new("/etc/x")).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check(|| Err(io::ErrorKind::NotFound.into()), "/etc/x does not exist");
        check(|| Err(io::ErrorKind::PermissionDenied.into()), "/etc/x cannot be read: permission denied");
        check(|| Ok(vec![0xff]), "/etc/x is not UTF-8 text");
        check(|| Ok(vec![b' '; FILE_BYTES_MAX + 1]), "/etc/x has more than 1048576 bytes");
        assert_eq!(holding(|| Ok(b"text".to_vec())).text(Path::new("/etc/x")).unwrap(), "text");
        let absent = holding(|| Err(io::ErrorKind::NotFound.into()));
        assert_eq!(absent.text_if_there(Path::new("/etc/x")), Ok(None));
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let variables: Variables = Arc::new(|name| Some(if name == "FULL" { "x" } else { " " }.to_owned()));
        let surroundings = Surroundings { variables, ..Surroundings::of_process() };
        assert_eq!(surroundings.variable("FULL").as_deref(), Some("x"));
        assert_eq!(surroundings.variable("EMPTY"), None);
    }
}
