//! The command: what it prints, and the codes it exits with.

use std::os::unix::fs::PermissionsExt;
use std::process::{Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tenfold_proto::v1::end::Outcome;
use tenfold_types::printable;
use tokio::process::{Child, Command};

use crate::fleet::{Coordinator, Shared};
use crate::{fake_trainer, soon, worker_program};

/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:1";

fn worker(arguments: &[&str]) -> Command {
    let mut command = Command::new(worker_program());
    command
        .args(arguments)
        .env_remove("TENFOLD_COORDINATOR")
        .env_remove("TENFOLD_DATA")
        .env_remove("TENFOLD_CHECKPOINTS")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// With the fake trainer.
fn faking(coordinator: &str, arguments: &[&str]) -> Command {
    let mut command = worker(arguments);
    command.args([
        "--coordinator",
        coordinator,
        "--device",
        "cpu",
        "--slots",
        "1",
        "--trainer",
    ]);
    command.arg(fake_trainer());
    command
}

async fn output(mut command: Command) -> (Option<i32>, String, String) {
    let output: Output = soon("the command to end", command.output()).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn signal(child: &Child, signal: Signal) {
    let process = Pid::from_raw(child.id().unwrap() as i32).unwrap();
    kill_process(process, signal).unwrap();
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused() {
    let wrong: &[(&[&str], &str)] = &[
        (&["--slots", "0"], "0"),
        (&["--slots", "many"], "many"),
        (&["--device", "gpu"], "\"gpu\" is no device"),
        (&["--device", "cuda:x"], "\"cuda:x\" is no device"),
        (&["--coordinator", "http://"], "no coordinator's address"),
        (&["--on-server-lost", "panic"], "stop-after=1h"),
        (&["--on-server-lost", "stop-after=1d"], "no duration"),
        (&["--trainer-timeout", "0s"], "between 1ms and 1000h"),
        (&["--speed", "high"], "--speed"),
        (&["--checkpoint-mib", "-1"], "-1"),
        (&["doctor", "--coordinator", "a b"], "no coordinator's address"),
    ];
    for (arguments, hint) in wrong {
        let mut command = worker(arguments);
        if !arguments.contains(&"doctor") {
            command.arg("--trainer").arg(fake_trainer());
        }
        let (code, _, stderr) = output(command).await;
        assert_eq!(code, Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(hint), "{arguments:?}: {stderr}");
    }
}

#[tokio::test]
async fn help_tells_the_exit_codes() {
    let (code, stdout, _) = output(worker(&["--help"])).await;
    assert_eq!(code, Some(0));
    for line in [
        "exit codes:",
        "  3  no coordinator",
        "  5  this node cannot train",
        "doctor",
    ] {
        assert!(stdout.contains(line), "{line:?} is not in:\n{stdout}");
    }
}

#[tokio::test]
async fn a_signal_stops_it_and_its_trial_is_given_back() {
    for number in [Signal::TERM, Signal::INT] {
        let book = Shared::new(1, 10);
        let coordinator = Coordinator::start(&book).await;
        // Without a scheme, too.
        let mut command = faking(&coordinator.address.to_string(), &["--name", "n1"]);
        let mut child = command.env("FAKE_HANG_AT", "2").spawn().unwrap();
        book.until("it trains", |book| book.epochs.get(&1) == Some(&1))
            .await;
        signal(&child, number);
        let status = soon("the worker's end", child.wait()).await.unwrap();
        assert_eq!(status.code(), Some(0));
        book.look(|book| {
            assert!(matches!(book.ends[&1], Outcome::Released(_)));
            assert_eq!(book.workers.values().next().unwrap().host, "n1");
        });
    }
}

#[tokio::test]
async fn it_ends_with_the_process_that_started_it_when_told_so() {
    let book = Shared::new(1, 10);
    let coordinator = Coordinator::start(&book).await;
    let mut parent = Command::new("sh");
    let script = "\"$@\" & wait";
    parent.args(["-c", script, "sh"]).arg(worker_program());
    parent.args(["--exit-with-parent", "--device", "cpu", "--slots", "1"]);
    parent
        .args(["--coordinator", &coordinator.url(), "--trainer"])
        .arg(fake_trainer());
    parent
        .env("FAKE_HANG_AT", "2")
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let mut parent = parent.spawn().unwrap();
    book.until("it trains", |book| book.epochs.get(&1) == Some(&1))
        .await;
    parent.kill().await.unwrap();
    book.until("it gives its trial back", |book| book.are_over(1))
        .await;
    assert!(book.look(|book| matches!(book.ends[&1], Outcome::Released(_))));
}

#[tokio::test]
async fn without_a_coordinator_it_waits_as_long_as_it_was_told() {
    let (code, _, stderr) = output(faking(NOBODY, &["--on-server-lost", "stop-after=300ms"])).await;
    assert_eq!(code, Some(3), "{stderr}");
    assert!(
        stderr.contains("no coordinator at http://127.0.0.1:1"),
        "{stderr}"
    );
}

#[tokio::test]
async fn a_coordinator_that_refuses_it_ends_it() {
    let book = Shared::new(1, 10);
    book.change(|book| book.refuses_workers = true);
    let coordinator = Coordinator::start(&book).await;
    let (code, _, stderr) = output(faking(&coordinator.url(), &[])).await;
    assert_eq!(code, Some(4), "{stderr}");
    assert!(stderr.contains("this coordinator wants none"), "{stderr}");
    let acts = |c: char| !printable::is_printable(c) && c != '\n';
    assert!(
        !stderr.contains(acts) && !stderr.contains("\nFORGED"),
        "{stderr:?}"
    );
}

#[tokio::test]
async fn a_node_that_cannot_train_says_what_to_do() {
    let mut unfit = faking(NOBODY, &[]);
    unfit.env("FAKE_UNFIT", "train-images-idx3-ubyte is truncated");
    let (code, _, stderr) = output(unfit).await;
    assert_eq!(code, Some(5), "{stderr}");
    assert!(
        stderr.contains("is truncated") && stderr.contains("doctor"),
        "{stderr}"
    );

    let (code, _, stderr) = output(worker(&["--trainer", "/nowhere/tenfold-trainer"])).await;
    assert_eq!(code, Some(5), "{stderr}");
    assert!(
        stderr.contains("/nowhere/tenfold-trainer") && stderr.contains("--trainer"),
        "{stderr}"
    );
}

#[tokio::test]
async fn the_doctor_works_where_libtorch_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("tenfold-trainer");
    let loader = "libtorch_cpu.so: cannot open shared object file";
    std::fs::write(&program, format!("#!/bin/sh\necho '{loader}' >&2\nexit 127\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    for device in ["auto", "cuda:0"] {
        let mut command = worker(&["doctor", "--coordinator", NOBODY, "--device", device]);
        command.arg("--trainer").arg(&program);
        let (code, stdout, stderr) = output(command).await;
        assert_eq!(code, Some(5), "{stdout}{stderr}");
        for line in [
            "ok      trainer",
            "missing libtorch",
            loader,
            "run deploy/setup-libtorch.sh",
            "missing coordinator",
            "tenfold serve",
        ] {
            assert!(stdout.contains(line), "{line:?} is not in:\n{stdout}");
        }
    }
    for device in ["auto", "cpu", "cuda"] {
        let mut command = worker(&["--coordinator", NOBODY, "--device", device, "--trainer"]);
        command.arg(&program);
        let (code, _, stderr) = output(command).await;
        assert_eq!(code, Some(5), "the worker itself does not wait: {stderr}");
        assert!(stderr.contains(loader), "{stderr}");
        assert!(
            stderr.contains("doctor") || stderr.contains("setup-libtorch.sh"),
            "{stderr}"
        );
    }
}

#[tokio::test]
async fn the_doctor_says_what_is_there_and_what_is_not() {
    let mut command = faking(NOBODY, &["doctor"]);
    command.args(["--data", "/some/folder"]);
    let (code, stdout, _) = output(command).await;
    assert_eq!(code, Some(5));
    let findings: Vec<&str> = stdout
        .lines()
        .filter(|line| !line.starts_with("        "))
        .collect();
    let finds = |start: &str| findings.iter().any(|line| line.starts_with(start));
    for finding in [
        "ok      version",
        "ok      libtorch     fake",
        "ok      data         /some/folder",
        "ok      checkpoints  at most 4096 MiB, in /",
    ] {
        assert!(finds(finding), "{finding:?} is not in:\n{stdout}");
    }
    assert_eq!(
        findings.iter().filter(|line| line.starts_with("missing")).count(),
        1,
        "{stdout}"
    );
    let (code, stdout, _) = output(worker(&[
        "doctor",
        "--trainer",
        "/nowhere",
        "--coordinator",
        NOBODY,
    ]))
    .await;
    assert_eq!(code, Some(5));
    assert!(
        stdout.contains("missing trainer      there is no tenfold-trainer at /nowhere"),
        "{stdout}"
    );
}

#[tokio::test]
async fn trainers_are_told_where_checkpoints_are() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("tenfold-trainer");
    // Whatever its arguments are, it cannot start.
    std::fs::write(&program, "#!/bin/sh\necho \"$@\" >&2\nexit 3\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let home = folder.path().to_str().unwrap();
    let user = rustix::process::getuid().as_raw();
    let told = async |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = worker(arguments);
        command.args([
            "--coordinator",
            NOBODY,
            "--device",
            "cpu",
            "--slots",
            "1",
            "--trainer",
        ]);
        command.arg(&program);
        for name in ["HOME", "XDG_CACHE_HOME", "TENFOLD_CACHE"] {
            command.env_remove(name);
        }
        command.envs(variables.iter().copied()).env("TMPDIR", home);
        let (code, _, stderr) = output(command).await;
        assert_eq!(code, Some(5), "{stderr}");
        stderr
    };
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], String);
    let cases: &[Case<'_>] = &[
        (
            &[("HOME", home)],
            &[],
            format!("4096 --checkpoints {home}/.cache/tenfold/checkpoints"),
        ),
        (
            &[("XDG_CACHE_HOME", "/x")],
            &[],
            "4096 --checkpoints /x/tenfold/checkpoints".to_owned(),
        ),
        (
            &[("HOME", home)],
            &["--cache", "/y"],
            "4096 --checkpoints /y/checkpoints".to_owned(),
        ),
        (
            &[("HOME", home), ("TENFOLD_CHECKPOINTS", "/z")],
            &[],
            "4096 --checkpoints /z".to_owned(),
        ),
        (
            &[("TENFOLD_CHECKPOINTS", "/z")],
            &["--checkpoints", "/a", "--checkpoint-mib", "7"],
            "--checkpoint-mib 7 --checkpoints /a".to_owned(),
        ),
        (
            &[],
            &[],
            format!("4096 --checkpoints {home}/tenfold-{user}/checkpoints"),
        ),
    ];
    for (variables, arguments, expected) in cases {
        let stderr = told(variables, arguments).await;
        assert!(stderr.contains(expected), "{expected:?} is not in:\n{stderr}");
    }
    let none = "--checkpoint-mib 0";
    let stderr = told(&[("HOME", home)], &["--checkpoint-mib", "0"]).await;
    assert!(
        stderr.contains(none) && !stderr.contains("--checkpoints"),
        "{stderr}"
    );
    // What others can write is not trusted.
    let own = folder.path().join(format!("tenfold-{user}"));
    assert_eq!(own.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o777)).unwrap();
    let stderr = told(&[], &[]).await;
    assert!(
        stderr.contains(none) && stderr.contains("others can write there"),
        "{stderr}"
    );
}
