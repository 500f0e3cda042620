//! What becomes of coordinators, workers and commands when their terminal goes away, or whoever reads their output.

#![expect(clippy::unwrap_used, reason = "a test may unwrap")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::{PipeWriter, pipe};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use common::fleet::{FakeWorker, Fate};
use common::{Cluster, Process, SWEEP, Start, data, signal, tenfold, text, worker_program};

/// The end of a pipe that nobody reads.
fn unread() -> PipeWriter {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    writer
}

/// Has a program started with SIGHUP's own meaning, or with none, whatever that of this process is.
fn through(signal: &str) -> Start {
    Start {
        lease_term: 3600,
        through: vec!["env".to_owned(), format!("--{signal}-signal=HUP")],
        ..Start::default()
    }
}

/// A command, with SIGHUP's own meaning.
fn hanging_up(command: &Command) -> Command {
    let mut through = Command::new("env");
    through
        .arg("--default-signal=HUP")
        .arg(command.get_program())
        .args(command.get_args());
    through.envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    if let Some(folder) = command.get_current_dir() {
        through.current_dir(folder);
    }
    through
}

fn end(cluster: &Cluster, mut process: Process) -> Option<i32> {
    let status = cluster.until("a process ends", || process.0.try_wait().unwrap());
    status.code()
}

/// A worker whose trainer takes a minute for an epoch, in a process group of its own.
fn slow_worker(cluster: &Cluster) -> Command {
    let mut command = Command::new(worker_program());
    let trainer = worker_program().with_file_name("examples/fake-trainer");
    command
        .args([
            "--device",
            "cpu",
            "--slots",
            "1",
            "--name",
            "slow",
            "--coordinator",
            &cluster.address(),
        ])
        .args(["--trainer", trainer.to_str().unwrap()])
        .arg("--cache")
        .arg(cluster.folder.path())
        .env("FAKE_EPOCH_MS", "60000");
    command
}

#[test]
fn the_end_of_a_terminal_stops_a_coordinator_in_order_but_not_under_nohup() {
    let mut cluster = Cluster::with(tempfile::tempdir().unwrap(), through("default"));
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    let coordinator = cluster.coordinator.take().unwrap();
    signal(coordinator.0.id(), "-HUP");
    assert_eq!(end(&cluster, coordinator), Some(0));

    cluster.start = through("ignore");
    cluster.serve();
    let process = cluster.coordinator.as_ref().unwrap().0.id();
    signal(process, "-HUP");
    // It takes a call after that, and still stops when it is asked to.
    assert_eq!(cluster.sweep().unwrap()["name"], "small");
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .unwrap();
    let ignored = u64::from_str_radix(ignored.trim(), 16).unwrap();
    assert_eq!(ignored & 1, 1, "SIGHUP is still ignored: {status}");
    signal(process, "-TERM");
    let coordinator = cluster.coordinator.take().unwrap();
    assert_eq!(end(&cluster, coordinator), Some(0));
}

#[test]
fn the_end_of_a_terminal_stops_a_worker_in_order_and_is_charged_to_no_trial() {
    let cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    for interrupt in ["HUP", "INT"] {
        let mut command = hanging_up(&slow_worker(&cluster));
        let log = fs::File::create(cluster.folder.path().join("slow.log")).unwrap();
        let worker = command
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let worker = Process(worker);
        let trains = || (cluster.sweep()?["trials"]["leased"] == 1).then_some(());
        cluster.until("a trial is leased", trains);
        // A terminal sends it to all processes of its group: to the trainer too, if that were one of them.
        let group = format!("-{}", worker.0.id());
        let sent = Command::new("kill")
            .args(["-s", interrupt, "--", &group])
            .status();
        assert!(sent.unwrap().success());
        assert_eq!(end(&cluster, worker), Some(0), "{interrupt}");
        let shown = cluster.command(&["show", "last/0.0.0"]);
        assert!(shown.contains("(0 charged to the trial)"), "{shown}");
        assert!(!shown.contains("signal") && shown.contains("released"), "{shown}");
    }
}

#[test]
fn a_coordinator_and_a_worker_go_on_when_nobody_reads_what_they_say() {
    let mut cluster = Cluster::stopped(tempfile::tempdir().unwrap(), Start::default());
    let coordinator = tenfold()
        .current_dir(cluster.folder.path())
        .env("TENFOLD_LOG", "debug")
        .args(["serve", "--listen", &format!("127.0.0.1:{}", cluster.port)])
        .stdout(unread())
        .stderr(unread())
        .spawn()
        .unwrap();
    cluster.coordinator = Some(Process(coordinator));
    cluster.until_serving();
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    let worker = slow_worker(&cluster)
        .env("FAKE_EPOCH_MS", "1")
        .env("TENFOLD_LOG", "debug")
        .stdout(unread())
        .stderr(unread())
        .spawn()
        .unwrap();
    let worker = Process(worker);
    assert_eq!(cluster.until_over()["state"], "complete");
    for process in [worker, cluster.coordinator.take().unwrap()] {
        signal(process.0.id(), "-TERM");
        assert_eq!(end(&cluster, process), Some(0));
    }
}

/// Commands of `tenfold` by its help.
fn commands() -> BTreeSet<String> {
    let help = tenfold().arg("--help").output().unwrap();
    let help = text(&help.stdout);
    let commands = help.split("Commands:").nth(1).unwrap();
    let lines = commands
        .trim_start_matches('\n')
        .lines()
        .take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect()
}

/// How each command is called that prints and ends. The sweep is over.
const PRINTING: &[&[&str]] = &[
    &["plan", "small.toml"],
    &["submit", "small.toml"],
    &["list"],
    &["list", "--json"],
    &["show", "last"],
    &["explain", "last/0.0.0"],
    &["tail", "last"],
    &["tail", "last", "--raw", "--json"],
    &["results", "last"],
    &["compare", "last", "--by", "weight_sharing"],
    &["hypotheses", "judged"],
    &["plot", "last", "-o", "figure.svg"],
    &["report", "last", "-o", "report"],
    &["resume", "last"],
    &["stop", "last"],
    &["cancel", "last"],
    &["retry", "last", "--failed"],
    &["extend", "last", "--repetitions", "3"],
    &["pause", "last"],
    &["refine", "last", "--axis", "learning_rate", "--points", "3"],
    &["workers"],
    &["drain", "abacus"],
    &["backup", "store.backup"],
    &["restore", "store.backup", "--store", "sqlite:restored.sqlite"],
    &["delete", "judged"],
    &["completions", "bash"],
    &["help"],
    &["--version"],
];

#[test]
fn commands_that_print_end_without_a_word_when_nobody_reads() {
    let cluster = Cluster::patient();
    let file = cluster.write("small.toml", SWEEP);
    cluster.write("judged.toml", &(SWEEP.replace("small", "judged") + HYPOTHESIS));
    let mut worker = FakeWorker::register(&cluster, "abacus");
    for file in ["judged.toml", &file] {
        cluster.command(&["submit", file]);
        worker.train(8, |_| Fate::Succeeds);
    }
    let called: BTreeSet<String> = PRINTING.iter().map(|call| call[0].to_owned()).collect();
    // These go on, or become another program.
    let others = ["run", "serve", "worker"].map(str::to_owned);
    let missing: Vec<String> = commands()
        .into_iter()
        .filter(|name| !called.contains(name))
        .collect();
    let missing: Vec<String> = missing
        .into_iter()
        .filter(|name| !others.contains(name))
        .collect();
    assert!(missing.is_empty(), "{missing:?} are called nowhere here");
    for call in PRINTING {
        let output = tenfold()
            .current_dir(cluster.folder.path())
            .args(*call)
            .env("TENFOLD_COORDINATOR", cluster.address())
            .stdout(unread())
            .output()
            .unwrap();
        assert_eq!(
            (output.status.code(), text(&output.stderr).as_str()),
            (Some(141), ""),
            "tenfold {call:?}"
        );
    }
    // What was asked was done all the same.
    assert!(cluster.folder.path().join("restored.sqlite").exists());
    assert_eq!(cluster.sweep().unwrap()["state"], "paused");
    let doctor = Command::new(worker_program())
        .args([
            "doctor",
            "--coordinator",
            &cluster.address(),
            "--trainer",
            "/bin/false",
        ])
        .stdout(unread())
        .output()
        .unwrap();
    assert_eq!(
        (doctor.status.code(), text(&doctor.stderr).as_str()),
        (Some(141), "")
    );
}

const HYPOTHESIS: &str = r#"
[[hypothesis]]
claim = "sharing helps"
this = { weight_sharing = true }
than = { weight_sharing = false }
lower_by = 0.0
"#;

/// `tenfold run` of a short sweep in a folder.
fn run(folder: &Path) -> Command {
    worker_program();
    let sweep = SWEEP.replace("epochs = 3", "epochs = 2\ndata = { train = 100, test = 100 }");
    fs::write(folder.join("small.toml"), sweep).unwrap();
    let mut command = tenfold();
    command.current_dir(folder).env("TENFOLD_DATA", data()).args([
        "run",
        "small.toml",
        "--device",
        "cpu",
        "--slots",
        "1",
        "--no-plot",
    ]);
    command
}

#[test]
fn a_run_that_nobody_reads_trains_to_its_end_and_writes_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(folder.path())
        .stdout(unread())
        .stderr(unread())
        .status()
        .unwrap();
    assert_eq!(ended.code(), Some(0), "its code says how the sweep ended");
    let runs = fs::read_dir(folder.path().join("runs")).unwrap().flatten();
    let results = runs
        .map(|entry| entry.path().join("results.csv"))
        .find(|file| file.exists());
    let results = fs::read_to_string(results.unwrap()).unwrap();
    // A header; 4 points × 2 epochs × 4 metrics.
    assert_eq!(results.lines().count(), 1 + 32);
}

#[test]
fn the_end_of_its_terminal_interrupts_a_run_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = hanging_up(&run(folder.path()));
    command.args(["--set", "epochs=100000"]);
    let mut run = Process(
        command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let log = || {
        let runs = fs::read_dir(folder.path().join("runs")).ok()?.flatten();
        let logs = runs.filter_map(|entry| fs::read_to_string(entry.path().join("aggregate.jsonl")).ok());
        logs.into_iter().find(|log| log.contains("\"progress\""))
    };
    let began = std::time::Instant::now();
    while log().is_none() {
        assert!(began.elapsed() < common::PATIENCE, "it does not train");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    signal(run.0.id(), "-HUP");
    let mut complaints = run.0.stderr.take().unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut complaints, &mut said).unwrap();
    assert_eq!(run.0.wait().unwrap().code(), Some(130), "{said}");
    assert!(said.contains("goes on from here"), "{said}");
}
