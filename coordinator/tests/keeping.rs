//! What is kept and for how long: backups, deleted sweeps, workers that are sent away.

mod common;

use std::fs;

use common::fleet::{FakeWorker, Fate};
use common::{Cluster, SWEEP, json, text};

fn export(cluster: &Cluster, selector: &str) -> String {
    cluster.command(&["results", selector, "--raw", "--format", "csv"])
}

#[test]
fn a_backup_made_while_work_goes_on_is_restored_whole() {
    let mut cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    let mut worker = FakeWorker::register(&cluster, "abacus");
    worker.train(4, |_| Fate::Succeeds);
    let lease = worker.lease().unwrap();
    assert_eq!(worker.append(&lease, 1..=2), 2);
    let before = export(&cluster, "last");
    let file = cluster.folder.path().join("copies/a backup.sqlite");
    let file = file.to_str().unwrap();
    let said = cluster.command(&["backup", file]);
    assert!(said.contains("tenfold restore"), "{said}");
    let again = cluster.try_command(&["backup", file]);
    assert_eq!(again.status.code(), Some(2), "{}", text(&again.stderr));
    assert_eq!(worker.append(&lease, 3..=3), 3, "work goes on");
    worker.finish(&lease, 3, Fate::Succeeds);
    worker.train(3, |_| Fate::Succeeds);
    assert_eq!(cluster.until_over()["trials"]["succeeded"], 8);
    let undisturbed = export(&cluster, "last");
    assert!(
        fs::read_dir(cluster.folder.path().join("runs"))
            .unwrap()
            .flatten()
            .all(|entry| !entry.file_name().to_string_lossy().starts_with(".backup")),
        "nothing is left behind"
    );

    // The store is lost; what the backup has is there again, and the rest is trained again.
    let refused = cluster.try_command(&["restore", file]);
    assert_eq!(refused.status.code(), Some(4), "the store is there and in use");
    cluster.coordinator.take().unwrap().kill();
    let refused = cluster.try_command(&["restore", file]);
    assert!(
        refused.status.code() == Some(4) && text(&refused.stderr).contains("there already"),
        "{}",
        text(&refused.stderr)
    );
    for name in ["tenfold.sqlite", "tenfold.sqlite-wal", "tenfold.sqlite-shm"] {
        _ = fs::remove_file(cluster.folder.path().join("runs").join(name));
    }
    cluster.command(&["restore", file]);
    cluster.serve();
    assert_eq!(export(&cluster, "last"), before);
    let last_fence = lease.fence;
    worker.register_again("abacus");
    assert_eq!(
        worker.append(&lease, 3..=3),
        3,
        "a lease of the time of the backup goes on"
    );
    worker.finish(&lease, 3, Fate::Succeeds);
    let next = worker.lease().unwrap();
    assert!(
        next.fence > last_fence + 1_000_000,
        "no fence is given out twice: {} after {last_fence}",
        next.fence
    );
    assert_eq!(worker.append(&next, 1..=3), 3);
    worker.finish(&next, 3, Fate::Succeeds);
    worker.train(2, |_| Fate::Succeeds);
    cluster.until_over();
    assert_eq!(export(&cluster, "last"), undisturbed);
}

#[test]
fn what_is_no_backup_is_not_restored() {
    let cluster = Cluster::patient();
    for (text_, complaint) in [("these are notes", "no store"), ("", "no store")] {
        let file = cluster.write("notes", text_);
        let refused = cluster.try_command(&["restore", &file, "--store", "sqlite:elsewhere.sqlite"]);
        let said = text(&refused.stderr);
        assert!(
            refused.status.code() == Some(4) && said.contains(complaint),
            "{said}"
        );
        assert!(!cluster.folder.path().join("elsewhere.sqlite").exists());
    }
    let nothing = cluster.try_command(&["restore", "nothing", "--store", "sqlite:elsewhere.sqlite"]);
    assert_eq!(nothing.status.code(), Some(4));
    let odd = cluster.try_command(&["restore", "nothing", "--store", "memory:"]);
    assert!(text(&odd.stderr).contains("sqlite:PATH"), "{}", text(&odd.stderr));
}

#[test]
fn a_deleted_sweep_is_gone_and_others_stay() {
    let mut cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    let mut worker = FakeWorker::register(&cluster, "abacus");
    worker.train(7, |_| Fate::Succeeds);
    let running = cluster.try_command(&["delete", "small"]);
    let said = text(&running.stderr);
    assert!(
        running.status.code() == Some(4) && said.contains("cancel it first"),
        "{said}"
    );
    worker.train(1, |_| Fate::Succeeds);
    let first = export(&cluster, "small");
    let other = SWEEP
        .replace("\"small\"", "\"other\"")
        .replace("epochs = 3", "epochs = 2");
    cluster.command(&["submit", &cluster.write("other.toml", &other)]);
    worker.train(8, |_| Fate::Succeeds);
    let kept = export(&cluster, "other");
    assert!(cluster.command(&["delete", "small"]).contains("is deleted"));
    assert_eq!(cluster.try_command(&["show", "small"]).status.code(), Some(4));
    assert_eq!(json(&cluster.command(&["list", "--json"])).len(), 1);
    assert_eq!(export(&cluster, "other"), kept);
    cluster.coordinator.take().unwrap().kill();
    cluster.serve();
    assert_eq!(json(&cluster.command(&["list", "--json"])).len(), 1);
    // Submitted again it is a new one, and comes out the same.
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    worker.register_again("abacus");
    worker.train(8, |_| Fate::Succeeds);
    assert_eq!(export(&cluster, "small"), first);
}

#[test]
fn a_drained_worker_finishes_and_ends_by_itself() {
    let cluster = Cluster::start();
    let mut worker = cluster.worker("one");
    let long = SWEEP.replace("epochs = 3", "epochs = 40\ndata = { train = 300, test = 200 }");
    cluster.command(&["submit", &cluster.write("long.toml", &long)]);
    cluster.until("training has begun", || (cluster.epochs() > 5).then_some(()));
    let nobody = cluster.try_command(&["drain", "two"]);
    assert_eq!(nobody.status.code(), Some(4), "{}", text(&nobody.stderr));
    let said = cluster.command(&["drain", "one"]);
    assert!(said.contains("takes no more"), "{said}");
    let status = cluster.until("the worker ends", || worker.0.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    let sweep = cluster.sweep().unwrap();
    let trials = &sweep["trials"];
    assert!(trials["succeeded"].as_u64() >= Some(1), "{sweep}");
    assert_eq!(
        (trials["leased"].as_u64(), trials["running"].as_u64()),
        (Some(0), Some(0)),
        "it ends when it holds nothing: {sweep}"
    );
}
