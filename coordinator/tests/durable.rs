//! An acknowledgement leaves after its commit is on disk, as the system sees it: the coordinator's own calls, traced.

#![expect(clippy::unwrap_used, reason = "a test may unwrap")]

mod common;

use std::fs;
use std::process::{Command, Stdio};

use common::fleet::FakeWorker;
use common::{Cluster, Process, SWEEP};

/// The frames of HTTP/2 that carry an answer: DATA and HEADERS.
const ANSWERS: [u8; 2] = [0, 1];

/// What a traced call did, as far as it matters.
#[derive(Debug, PartialEq, Eq)]
enum Done {
    /// Bytes went to the write-ahead log.
    Written,
    /// The log was synced.
    Synced,
    /// Part of an answer left.
    Answered,
}

/// The bytes that a call was given: `strace` writes them as `"\x00\x01"`, one such text for each piece.
fn bytes(line: &str) -> Vec<u8> {
    let pieces = line.split('"').skip(1).step_by(2);
    pieces
        .flat_map(|piece| {
            piece
                .split("\\x")
                .skip(1)
                .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        })
        .collect()
}

/// Whether these bytes, which begin with a frame, have a frame of an answer.
fn has_answer(mut bytes: &[u8]) -> bool {
    while let [a, b, c, kind, ..] = bytes {
        if ANSWERS.contains(kind) {
            return true;
        }
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        bytes = bytes.get(9 + length..).unwrap_or_default();
    }
    false
}

/// What a line of the trace tells. A call that takes long comes in two lines: a write counts from its first on, a sync
/// from its second.
fn read(line: &str, syncing: &mut Vec<String>) -> Option<Done> {
    let (thread, call) = line.trim().split_once(' ')?;
    let call = call.trim_start();
    // Names of files are written as all other bytes are: this one ends with "-wal".
    let log = call.contains("\\x2d\\x77\\x61\\x6c>");
    if call.starts_with("pwrite64(") && log {
        return Some(Done::Written);
    }
    if call.starts_with("fdatasync(") || call.starts_with("fsync(") {
        if log && call.contains("<unfinished") {
            syncing.push(thread.to_owned());
        }
        return (log && call.ends_with("= 0")).then_some(Done::Synced);
    }
    if call.contains("sync resumed") && syncing.iter().any(|of| of == thread) {
        syncing.retain(|of| of != thread);
        return call.ends_with("= 0").then_some(Done::Synced);
    }
    let sends = ["sendto(", "write(", "writev(", "sendmsg("]
        .iter()
        .any(|name| call.starts_with(name));
    (sends && call.contains("<TCP") && has_answer(&bytes(call))).then_some(Done::Answered)
}

#[test]
fn no_acknowledgement_leaves_between_a_write_to_the_log_and_its_sync() {
    let mut cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    let trace = cluster.folder.path().join("trace");
    let process = cluster.coordinator.as_ref().unwrap().0.id().to_string();
    let strace = Command::new("strace")
        .args([
            "-f",
            "-yy",
            "-xx",
            "-s",
            "4096",
            "-e",
            "trace=pwrite64,fdatasync,fsync,sendto,sendmsg,write,writev",
        ])
        .arg("-o")
        .arg(&trace)
        .args(["-p", &process])
        .stdout(Stdio::null())
        .stderr(fs::File::create(cluster.folder.path().join("strace.log")).unwrap())
        .spawn();
    let _strace =
        Process(strace.unwrap_or_else(|error| panic!("strace does not start: {error}; install it")));
    cluster.until("the coordinator is traced", || {
        fs::read_to_string(cluster.folder.path().join("strace.log"))
            .is_ok_and(|said| said.contains("attached"))
            .then_some(())
    });
    // One client with one call at a time: whatever is answered is the answer to the last one.
    let mut worker = FakeWorker::register(&cluster, "abacus");
    let lease = worker.lease().unwrap();
    for epoch in 1..=3 {
        assert_eq!(worker.append(&lease, epoch..=epoch), epoch);
    }
    cluster.coordinator.take().unwrap().kill();
    let (mut unsynced, mut commits, mut answers, mut syncing) = (false, 0, 0, Vec::new());
    for line in fs::read_to_string(&trace).unwrap().lines() {
        match read(line, &mut syncing) {
            Some(Done::Written) => unsynced = true,
            Some(Done::Synced) => {
                commits += u32::from(unsynced);
                unsynced = false;
            }
            Some(Done::Answered) => {
                assert!(!unsynced, "an answer left before the sync: {line}");
                answers += 1;
            }
            None => {}
        }
    }
    // Registration, lease and three appends.
    assert!(
        commits >= 5 && answers >= 5,
        "{commits} commits and {answers} answers were seen"
    );
}
