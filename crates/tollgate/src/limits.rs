//! What the system lets this process have: connections, from its limit of open files, and memory.

use std::path::Path;

/// Files that are neither callers' nor providers' connections: log, configuration, timers, the threads' own.
const RESERVE: u64 = 64;
/// Where the limit is unknown.
const FALLBACK: u64 = 1_024;

/// Callers' connections at a time: each may need one to a provider too, and a fifth is kept free.
pub(crate) fn connections_max() -> usize {
    let text = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    from_open_files(open_files(&text).unwrap_or(FALLBACK))
}

fn from_open_files(open_files: u64) -> usize {
    let connections = open_files.saturating_sub(RESERVE) / 2 * 4 / 5;
    usize::try_from(connections.clamp(8, 1 << 20)).unwrap_or(8)
}

/// The soft limit in the text of `/proc/self/limits`.
fn open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

/// The most memory that this process may take: what is configured, or less where its control group (version 2) allows less.
pub(crate) fn memory_max(configured: Option<u64>) -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let allowed = group(&groups).and_then(|group| allowed_within(Path::new("/sys/fs/cgroup"), group));
    configured.into_iter().chain(allowed).min()
}

/// The control group in the text of `/proc/self/cgroup`: version 2 has the number 0 and no controllers.
fn group(groups: &str) -> Option<&str> {
    groups.lines().find_map(|line| line.strip_prefix("0::"))
}

/// The least that a control group or one that it lies in allows.
fn allowed_within(root: &Path, group: &str) -> Option<u64> {
    let place = root.join(group.trim_start_matches('/'));
    let within = place.ancestors().take_while(|place| place.starts_with(root));
    let allowed = |place: &Path| std::fs::read_to_string(place.join("memory.max")).ok()?.trim().parse().ok();
    within.filter_map(allowed).min()
}

/// The memory that this process has of its own: what the system cannot take back.
pub(crate) fn memory_used() -> Option<u64> {
    own_memory(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// The same, in the text of `/proc/self/status`, which has it in units of 1,024 bytes.
fn own_memory(status: &str) -> Option<u64> {
    let row = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Some((row("RssAnon:")? + row("RssShmem:").unwrap_or(0)).saturating_mul(1_024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_process_has_of_its_own_is_read() {
        let text = "Name:\ttollgate\nVmRSS:\t   9000 kB\nRssAnon:\t    5000 kB\nRssFile:\t    3900 kB\nRssShmem:\t     100 kB\n";
        assert_eq!(own_memory(text), Some(5_100 * 1_024));
        assert_eq!(own_memory("VmRSS:\t 9000 kB\n"), None);
        assert!(memory_used().is_some_and(|used| used > 0));
    }

    #[test]
    fn the_least_that_a_group_or_one_around_it_allows_counts() {
        assert_eq!(group("12:cpu:/old\n0::/a/b\n"), Some("/a/b"));
        assert_eq!(group("12:cpu:/old\n"), None);
        let root = std::env::temp_dir().join(format!("tollgate-groups-{}", std::process::id()));
        let write = |place: &str, text: &str| {
            std::fs::create_dir_all(root.join(place)).unwrap();
            std::fs::write(root.join(place).join("memory.max"), text).unwrap();
        };
        write("a", "1000\n");
        write("a/b", "max\n");
        write("a/c", "400\n");
        write("d", "max\n");
        let check =
            |group: &str, expect: Option<u64>| assert_eq!(allowed_within(&root, group), expect, "{group}");
        check("/a/b", Some(1_000));
        check("/a/c", Some(400));
        check("/a/none/deeper", Some(1_000));
        check("/d", None);
        check("/", None);
        std::fs::remove_dir_all(&root).unwrap();
        assert!(memory_max(Some(5)).is_some_and(|most| most <= 5));
    }

    #[test]
    fn the_soft_limit_is_read() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max open files            1024                 1048576              files     \n";
        assert_eq!(open_files(text), Some(1_024));
        assert_eq!(
            open_files("Max open files            unlimited            unlimited            files"),
            None
        );
        assert_eq!(open_files(""), None);
    }

    #[test]
    fn connections_leave_room_for_the_providers_side() {
        assert_eq!(from_open_files(1_024), 384);
        assert_eq!(from_open_files(256), 76);
        assert_eq!(from_open_files(0), 8);
        assert!(connections_max() >= 8);
    }
}
