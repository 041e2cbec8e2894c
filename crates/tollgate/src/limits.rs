//! How many connections this process can hold, from its limit of open files.

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

#[cfg(test)]
mod tests {
    use super::*;

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
