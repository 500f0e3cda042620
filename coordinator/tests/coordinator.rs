//! A coordinator among its like, at its end, and on a full disk.

mod common;

use std::fs;
use std::net::TcpStream;
use std::process::Command;

use common::fleet::{FakeWorker, Fate};
use common::{Cluster, Running, SWEEP, SmallDisk, json, signal, tenfold, text};

#[test]
fn a_full_disk_refuses_what_it_cannot_keep_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path(), 2 << 10) else {
        return;
    };
    let mut cluster = Cluster::patient_in(folder);
    let submit = |cluster: &Cluster, seed: u32| {
        let sweep = SWEEP.replace("epochs = 3", &format!("epochs = 3\nseed = {seed}"));
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), sweep).unwrap();
        cluster.try_command(&["submit", file.path().to_str().unwrap()])
    };
    assert_eq!(submit(&cluster, 0).status.code(), Some(0));
    let mut worker = FakeWorker::register(&cluster, "abacus");
    let lease = worker.lease().unwrap();
    assert_eq!(worker.append(&lease, 1..=2), 2);

    let ballast = disk.0.join("ballast");
    let full = Command::new("dd")
        .arg("if=/dev/zero")
        .arg(format!("of={}", ballast.display()))
        .output();
    assert!(!full.unwrap().status.success(), "the disk is full");
    let (seed, refused) = (1..1000)
        .map(|seed| (seed, submit(&cluster, seed)))
        .find(|(_, output)| !output.status.success())
        .unwrap();
    let complaint = text(&refused.stderr);
    assert!(
        refused.status.code() == Some(4) && complaint.contains("room"),
        "{complaint}"
    );
    assert!(cluster.sweep().is_some(), "it still answers");

    fs::remove_file(&ballast).unwrap();
    let again = submit(&cluster, seed);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    assert_eq!(worker.append(&lease, 3..=3), 3, "nothing acknowledged was lost");
    worker.finish(&lease, 3, Fate::Succeeds);
    cluster.coordinator.take().unwrap().kill();
    cluster.serve();
    let listed = json(&cluster.command(&["list", "--json", "--limit", "1000"]));
    assert_eq!(
        (
            listed.len() as u32,
            &listed.last().unwrap()["trials"]["succeeded"]
        ),
        (seed + 1, &1.into())
    );
}

#[test]
fn a_second_coordinator_is_refused_and_the_first_goes_on() {
    let cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    let second = |arguments: &[&str]| {
        let output = tenfold()
            .current_dir(cluster.folder.path())
            .args(arguments)
            .output()
            .unwrap();
        (output.status.code(), text(&output.stderr))
    };
    let (code, complaint) = second(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(code, Some(4), "{complaint}");
    assert!(
        complaint.contains("runs/tenfold.sqlite is in use by another coordinator"),
        "{complaint}"
    );
    let (code, complaint) = second(&["run", "small.toml", "--device", "cpu"]);
    assert_eq!(code, Some(4), "{complaint}");
    assert!(
        complaint.contains("is in use by another coordinator"),
        "{complaint}"
    );
    let port = format!("127.0.0.1:{}", cluster.port);
    let (code, complaint) = second(&["serve", "--listen", &port, "--store", "memory:"]);
    assert_eq!(code, Some(4), "{complaint}");
    assert!(
        complaint.contains(&port) && complaint.contains("--listen"),
        "{complaint}"
    );
    FakeWorker::register(&cluster, "abacus").train(8, |_| Fate::Succeeds);
    assert_eq!(cluster.until_over()["state"], "complete");
}

#[test]
fn a_coordinator_stops_in_order_whoever_is_connected() {
    let mut cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    let _silent = TcpStream::connect(("127.0.0.1", cluster.port)).unwrap();
    let mut tail = cluster.spawn(&["tail", "last", "--follow", "--json"]);
    tail.lines_until("about the sweep", |line| line.contains("\"sweep\""));
    for interrupt in ["-TERM", "-INT"] {
        let mut coordinator = cluster.coordinator.take().unwrap();
        signal(coordinator.0.id(), interrupt);
        let status = cluster.until("the coordinator stops", || coordinator.0.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{interrupt}");
        cluster.serve();
    }
    assert!(
        tail.process.0.try_wait().unwrap().is_none(),
        "the tail waits for the coordinator"
    );
    let mut worker = FakeWorker::register(&cluster, "abacus");
    worker.train(8, |_| Fate::Succeeds);
    assert_eq!(tail.end().0, Some(0));
}

#[test]
fn a_memory_store_serves_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = tenfold();
    command
        .current_dir(folder.path())
        .args(["serve", "--listen", "127.0.0.1:0", "--store", "memory:"]);
    let serving = Running::start(command);
    let said = serving.lines_until("that it serves", |line| {
        line.starts_with("serving on http://127.0.0.1:")
    });
    let address = said
        .last()
        .unwrap()
        .trim_start_matches("serving on http://")
        .to_owned();
    let output = tenfold()
        .args(["list", "--coordinator", &address])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "host:port is an address too");
    signal(serving.process.0.id(), "-TERM");
    assert_eq!(serving.end().0, Some(0));
    assert!(!folder.path().join("runs/tenfold.sqlite").exists());
}
