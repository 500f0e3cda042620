//! `tenfold run`: coordinator, worker, trainer and results in one, with real training.

#![expect(clippy::unwrap_used, reason = "a test may unwrap")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use common::{PATIENCE, Running, children, data, kill, signal, tenfold, text, worker_program};
use serde_json::Value;

/// Some seconds of training, so that there is time to interrupt it.
const LONG: &str = r#"
name = "long"
seed = 559
repetitions = 2
epochs = 400
data = { train = 300, test = 200 }
[settings]
architecture = "perceptron-30"
[axes]
weight_sharing = [false, true]
"#;

const FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

fn short() -> String {
    LONG.replace("long", "short")
        .replace("epochs = 400", "epochs = 3")
}

/// `tenfold run FILE …` in a folder, on the CPU unless the arguments say otherwise.
fn run(folder: &Path, sweep: &str, arguments: &[&str]) -> Command {
    worker_program();
    fs::write(folder.join("sweep.toml"), sweep).unwrap();
    let mut command = tenfold();
    command.current_dir(folder).env("TENFOLD_DATA", data());
    command
        .args(["run", "sweep.toml", "--slots", "1"])
        .args(arguments);
    if !arguments.contains(&"--device") {
        command.args(["--device", "cpu"]);
    }
    command
}

/// The folder of the only sweep's results.
fn results(folder: &Path) -> std::path::PathBuf {
    let entries = fs::read_dir(folder.join("runs"))
        .unwrap()
        .flatten()
        .map(|entry| entry.path());
    let folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    folders[0].clone()
}

/// What a run ended with; one that does not end fails its test.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn finished(command: Command) -> Ended {
    let (code, lines, stderr) = Running::start(command).end();
    let stdout = lines.join("\n");
    Ended { code, stdout, stderr }
}

impl Ended {
    fn assert_code(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
    }

    fn assert_complains(&self, of: &str) {
        assert!(self.stderr.contains(of), "{of:?} is not in\n{}", self.stderr);
    }
}

fn until<T>(what: &str, mut happened: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = happened() {
            return value;
        }
        assert!(began.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Waits until epochs are in the results log, and so in the store.
fn until_it_trains(folder: &Path) {
    until("there are epochs", || {
        let folder = fs::read_dir(folder.join("runs"))
            .ok()?
            .flatten()
            .find(|entry| entry.path().is_dir())?;
        let log = fs::read_to_string(folder.path().join("aggregate.jsonl")).ok()?;
        log.contains("\"progress\"").then_some(())
    });
}

/// A process's children and theirs.
fn descendants(of: u32) -> Vec<u32> {
    children(of)
        .into_iter()
        .flat_map(|child| [vec![child], descendants(child)].concat())
        .collect()
}

/// Whether a process runs; one that is dead and not yet buried does not.
fn runs(process: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    state
        .rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[test]
fn it_trains_once_and_then_shows_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let first = finished(run(folder.path(), &short(), &["--set", "learning_rate=0.003"]));
    first.assert_code(0);
    let printed = &first.stdout;
    for words in [
        "test error",
        "2/2",
        "4 trials over",
        "training",
        "everything else",
        "figure.png",
        "results.csv",
    ] {
        assert!(printed.contains(words), "{words:?} is not in\n{printed}");
    }
    let results = results(folder.path());
    let file = |name: &str| fs::read(results.join(name)).unwrap();
    assert!(file("figure.png").starts_with(b"\x89PNG"));
    assert!(text(&file("figure.svg")).contains("<svg"));
    // A header; 2 points × 3 epochs × 4 metrics; 4 trials × 3 epochs.
    assert_eq!(text(&file("results.csv")).lines().count(), 1 + 24);
    assert_eq!(text(&file("curves.csv")).lines().count(), 1 + 12);
    assert!(text(&file("sweep.toml")).starts_with("# run with\n# --set learning_rate=0.003\n"));
    let log = text(&file("aggregate.jsonl"));
    let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!(last["state"], "complete");

    // No worker could start without data: none is started.
    let kept = [
        "results.csv",
        "curves.csv",
        "figure.svg",
        "figure.png",
        "table.txt",
        "aggregate.jsonl",
        "worker.log",
    ];
    let before = kept.map(file);
    let again = finished(run(
        folder.path(),
        &short(),
        &["--set", "learning_rate=0.003", "--data", "/nowhere"],
    ));
    again.assert_code(0);
    again.assert_complains("is finished already");
    assert!(again.stdout.contains("2/2"), "{}", again.stdout);
    for (name, before) in kept.iter().zip(before) {
        assert!(file(name) == before, "{name} is another");
    }
    let as_json = finished(run(
        folder.path(),
        &short(),
        &["--set", "learning_rate=0.003", "--json"],
    ));
    let sweep: Value = serde_json::from_str(&as_json.stdout).unwrap();
    assert_eq!(
        (&sweep["v"], &sweep["trials"]["succeeded"]),
        (&2.into(), &4.into())
    );
}

#[test]
fn interruptions_of_any_kind_lose_nothing() {
    let undisturbed = tempfile::tempdir().unwrap();
    let reference = finished(run(undisturbed.path(), LONG, &["--no-plot"]));
    reference.assert_code(0);

    // Ctrl-C.
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(run(folder.path(), LONG, &["--no-plot"]));
    until_it_trains(folder.path());
    let processes = descendants(running.process.0.id());
    assert!(processes.len() >= 2, "a worker and a trainer: {processes:?}");
    signal(running.process.0.id(), "-INT");
    let (code, _, complained) = running.end();
    assert_eq!(code, Some(130), "{complained}");
    assert!(
        complained.contains("`tenfold run sweep.toml` again goes on from here"),
        "{complained}"
    );
    until("worker and trainer are gone", || {
        (!processes.iter().any(|&process| runs(process))).then_some(())
    });

    // kill -9: nobody is left to stop the worker, which sees to it by itself.
    let running = Running::start(run(folder.path(), LONG, &["--no-plot"]));
    until("there is a trainer", || {
        (descendants(running.process.0.id()).len() >= 2).then_some(())
    });
    let processes = descendants(running.process.0.id());
    kill(running.process.0.id());
    assert_eq!(running.end().0, None);
    until("worker and trainer are gone", || {
        (!processes.iter().any(|&process| runs(process))).then_some(())
    });

    // The worker is killed: it is started again.
    let running = Running::start(run(folder.path(), LONG, &["--no-plot"]));
    let worker = until("there is a worker", || {
        children(running.process.0.id()).first().copied()
    });
    until("there is a trainer", || children(worker).first().copied());
    kill(worker);
    let (code, printed, complained) = running.end();
    assert_eq!(code, Some(0), "{complained}");
    assert!(complained.contains("going on with long"), "{complained}");
    assert!(complained.contains("is started again"), "{complained}");
    assert!(
        printed.iter().any(|line| line.contains("4 trials over")),
        "{printed:#?}"
    );

    for file in ["results.csv", "curves.csv", "table.txt"] {
        let of = |folder: &Path| fs::read(results(folder).join(file)).unwrap();
        assert!(
            of(folder.path()) == of(undisturbed.path()),
            "{file} is not what an undisturbed run gives"
        );
    }
}

#[test]
fn a_node_that_cannot_train_says_why() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("mnist")).unwrap();
    let missing = finished(run(folder.path(), &short(), &["--data", "mnist"]));
    missing.assert_code(4);
    missing.assert_complains("cannot read mnist/");

    for name in FILES {
        let bytes = fs::read(data().join(name)).unwrap();
        fs::write(folder.path().join("mnist").join(name), &bytes[..bytes.len() / 2]).unwrap();
    }
    let truncated = finished(run(folder.path(), &short(), &["--data", "mnist"]));
    truncated.assert_code(4);
    truncated.assert_complains("mnist/");

    assert!(
        !truncated.stderr.contains('\x1b'),
        "no colours where there is no terminal"
    );

    for name in FILES {
        let mut bytes = fs::read(data().join(name)).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(folder.path().join("mnist").join(name), bytes).unwrap();
    }
    let corrupt = finished(run(folder.path(), &short(), &["--data", "mnist"]));
    corrupt.assert_code(4);
    corrupt.assert_complains("mnist/");

    let device = finished(run(folder.path(), &short(), &["--device", "abacus"]));
    device.assert_complains("abacus");
    device.assert_code(2);
    finished(run(folder.path(), &short(), &["--slots", "0"])).assert_code(2);

    let required = format!(
        "device = \"cuda\"
{}",
        short()
    );
    let elsewhere = tempfile::tempdir().unwrap();
    let elsewhere = finished(run(elsewhere.path(), &required, &[]));
    elsewhere.assert_code(4);
    elsewhere.assert_complains("requires device = \"cuda\", and the worker here has cpu");

    // None of it harmed the sweep.
    let mended = finished(run(folder.path(), &short(), &[]));
    mended.assert_code(0);
}
