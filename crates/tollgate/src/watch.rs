//! Tells when a configuration file may have changed.
//!
//! The folders are watched, not the files: editors and container platforms replace files by renaming. A burst of events
//! becomes one.

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Notify;

/// Watches the folders of some files.
pub(crate) struct Watch {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    changed: Arc<Notify>,
}

impl Watch {
    /// Watches nothing yet. Where the system offers no watching, SIGHUP remains.
    pub(crate) fn new() -> Self {
        let changed = Arc::new(Notify::new());
        let tell = Arc::clone(&changed);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                tell.notify_one();
            }
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, "file changes are not watched; send SIGHUP to reload");
        }
        Self { watcher: watcher.ok(), folders: BTreeSet::new(), changed }
    }

    /// Watches the folders of these files, beside those watched already.
    pub(crate) fn add(&mut self, files: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else { return };
        for file in files {
            let folder = match file.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            if !self.folders.contains(folder) {
                match watcher.watch(folder, RecursiveMode::NonRecursive) {
                    Ok(()) => {
                        self.folders.insert(folder.to_path_buf());
                    }
                    Err(error) => tracing::warn!(folder = %folder.display(), %error, "not watched"),
                }
            }
        }
    }

    /// Waits until something changed in the folders.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// The contents of some files, to tell whether an event changed any of them. A file that cannot be read counts as empty.
pub(crate) fn contents(files: &[PathBuf]) -> Vec<Vec<u8>> {
    files.iter().map(|file| std::fs::read(file).unwrap_or_default()).collect()
}
