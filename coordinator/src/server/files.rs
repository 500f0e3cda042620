//! How many files the process may have open, and how many of them may be connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are never connections: the store and its readers, results logs, and connections that are being refused.
const RESERVE: u64 = 256;

/// Raises the limit on open files as far as the system allows without asking anyone, and returns it.
pub(super) fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if limit.current == limit.maximum {
        return limit.current.unwrap_or(u64::MAX);
    }
    match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(error) => {
            let current = limit.current.unwrap_or(u64::MAX);
            tracing::warn!(%error, current, "the limit on open files cannot be raised");
            current
        }
    }
}

/// The most connections that fit beside everything else, at most `wanted`.
pub(super) fn connections(wanted: u32, files: u64) -> usize {
    let reserve = RESERVE.min(files / 2);
    let room = files.saturating_sub(reserve).max(1);
    if u64::from(wanted) > room {
        tracing::warn!(
            wanted,
            files,
            connections = room,
            "fewer connections are taken than wanted: the limit on open files (ulimit -n) is too low"
        );
    }
    u64::from(wanted).min(room) as usize
}

#[cfg(test)]
mod tests {
    use super::connections;

    #[test]
    fn connections_leave_files_for_the_store() {
        assert_eq!(connections(8192, 1 << 20), 8192);
        assert_eq!(connections(8192, 1024), 768);
        assert_eq!(connections(8192, 64), 32);
        assert_eq!(connections(10, 64), 10);
        assert_eq!(connections(8192, 0), 1);
    }
}
