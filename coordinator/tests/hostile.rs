//! A worker and a sweep's author whose texts try to act on the displays of others: what every command prints and every file that
//! is written has no character that acts on a display, and no line that passes for one of ours.

#![expect(clippy::unwrap_used, reason = "a test may unwrap")]

mod common;

use std::path::Path;
use std::process::Output;

use common::fleet::{FakeWorker, Fate};
use common::{Cluster, data, json, tenfold, text};
use tenfold_types::printable;

/// Retitles the terminal, rings, fills the clipboard, clears the screen in 7 and 8 bits, overstrikes, turns text around, hides,
/// and goes on in lines of its own.
const EVIL: &str = "\u{1b}]0;owned\u{7}\u{1b}]52;c;cm0gLXJmIC8=\u{1b}\\\u{1b}[2J\u{9b}2J\0\u{8}\u{7f}\u{202e}lave\u{2066}\
                    \u{61c}\u{200b}\u{2028}\u{feff}\u{e0041}\r\nFORGED by a peer\nFORGED again\rFORGED";

/// What a sweep file's names may have, which is no control character.
const MARKS: &str = "\u{202e}gnp\u{2066}\u{200f}\u{2028}\u{feff}\u{e0041}";

/// Every text that a sweep's author chooses has such characters.
fn evil_sweep() -> String {
    let sweep = r#"
        name = "rates@"
        description = "a description@\nFORGED\rFORGED"
        repetitions = 2
        epochs = 2
        data = { train = 20, test = 20 }
        [axes]
        architecture = ["mine@", "perceptron-5"]
        weight_sharing = [false, true]
        learning_rate = [1e-2, 1e-1]
        [[architecture]]
        name = "mine@"
        layers = ["flatten", { linear = { units = 10 } }]
        [[hypothesis]]
        claim = "sharing@helps"
        this = { weight_sharing = true }
        than = { weight_sharing = false }
        lower_by = 0
    "#;
    sweep.replace('@', MARKS)
}

/// Choices are made for values that have such characters.
fn evil_stages() -> String {
    let sweep = r#"
        name = "stages@"
        repetitions = 2
        epochs = 2
        [[architecture]]
        name = "mine@"
        layers = ["flatten", { linear = { units = 10 } }]
        [[stage]]
        name = "scan"
        [stage.axes]
        architecture = ["mine@", "perceptron-5"]
        learning_rate = [1e-2, 1e-1]
        [[stage]]
        name = "best"
        [stage.axes]
        architecture = ["mine@", "perceptron-5"]
        learning_rate = { best_of = "scan", per = ["architecture"] }
        weight_sharing = [false, true]
    "#;
    sweep.replace('@', MARKS)
}

/// Sweep files that are wrong, whose errors quote them.
fn wrong_sweeps() -> Vec<String> {
    let wrong = [
        "name = \"a@\"\nepochs@ = 3\n",
        "name = \"a\u{1b}[2J@\"\n",
        "name = \"a\"\nepochs = \"@\"\n",
        "name = \"\\u001b[2J\\u202e\"\n",
        "[axes]\narchitecture = [\"no such@\"]\n",
        "[\"axes@\"]\nlearning_rate = [1]\n",
    ];
    wrong.iter().map(|text| text.replace('@', MARKS)).collect()
}

fn assert_harmless(what: &str, text: &str) {
    let acts = |c: char| !printable::is_printable(c) && c != '\n' && c != '\t';
    let found = text
        .lines()
        .find(|line| line.contains(acts) || line.starts_with("FORGED"));
    assert_eq!(found, None, "{what}");
}

fn assert_output_harmless(call: &[&str], output: &Output) {
    assert_harmless(&format!("{call:?}"), &text(&output.stdout));
    assert_harmless(
        &format!("{call:?}, standard error"),
        &String::from_utf8_lossy(&output.stderr),
    );
}

/// Checks every text file in a folder, and all names. Sweep files are as their authors wrote them.
fn assert_files_harmless(folder: &Path) -> usize {
    let mut checked = 0;
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        assert_harmless("a file's name", path.to_str().unwrap());
        if path.is_dir() {
            checked += assert_files_harmless(&path);
        } else if path.extension().is_none_or(|kind| kind != "toml")
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            assert_harmless(&path.display().to_string(), &text);
            checked += 1;
        }
    }
    checked
}

/// The commands of `tenfold --help`.
fn commands() -> Vec<String> {
    let help = tenfold().arg("--help").output().unwrap();
    let help = text(&help.stdout);
    let commands = help.split("Commands:").nth(1).unwrap().lines().skip(1);
    commands
        .map_while(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

#[test]
fn nothing_that_a_peer_sends_reaches_a_terminal_or_a_file_as_it_came() {
    let cluster = Cluster::patient();
    let files = [evil_sweep(), evil_stages()];
    let [file, stages] = ["evil.toml", "stages.toml"];
    cluster.write(file, &files[0]);
    cluster.write(stages, &files[1]);
    let mut sweeps = Vec::new();
    for file in [file, stages] {
        let submitted = cluster.command(&["submit", file, "--json"]);
        sweeps.push(json(&submitted)[0]["sweep"].as_str().unwrap().to_owned());
    }
    let mut worker = FakeWorker::register(&cluster, "abacus");
    worker.register_saying(EVIL, EVIL, EVIL, EVIL);
    let of_both = 16 + 8 + 8;
    worker.train(of_both, |trial| match (trial.index, trial.repetition) {
        (0, 0) if trial.stage == 0 => Fate::Fails(EVIL),
        (3, 1) if trial.stage == 0 => Fate::DivergesIn(2),
        _ => Fate::Succeeds,
    });
    // An argument holds no NUL, and its lines are the caller's own.
    let idle = cluster.command(&["submit", file, "--repetitions", "3", "--json"]);
    let idle = json(&idle)[0]["sweep"].as_str().unwrap().to_owned();
    let idle = idle.as_str();
    let evil = EVIL.lines().next().unwrap().replace('\0', "");
    let evil = evil.as_str();
    let mut calls: Vec<Vec<&str>> = vec![
        vec!["submit", file],
        vec!["plan", file],
        vec!["plan", file, "--set", evil],
        vec!["plan", evil],
        vec!["list"],
        vec!["workers"],
        vec!["show", evil],
        vec!["backup", "out/copy.sqlite"],
        vec![
            "restore",
            "out/copy.sqlite",
            "--store",
            "sqlite:out/restored.sqlite",
        ],
        vec!["restore", evil],
        vec!["completions", "bash"],
    ];
    let trials: Vec<String> = sweeps
        .iter()
        .flat_map(|sweep| ["0.0.0", "0.1.1", "0.2.0", "1.0.0"].map(|key| format!("{sweep}/{key}")))
        .collect();
    for trial in &trials {
        calls.extend([vec!["show", trial], vec!["explain", trial]]);
    }
    let wrong = wrong_sweeps();
    let names: Vec<String> = (0..wrong.len())
        .map(|number| format!("wrong-{number}.toml"))
        .collect();
    for (name, text) in names.iter().zip(&wrong) {
        cluster.write(name, text);
        calls.extend([vec!["plan", name], vec!["submit", name]]);
    }
    for sweep in &sweeps {
        let of_sweep: &[&[&str]] = &[
            &["show"],
            &["tail"],
            &["tail", "--raw"],
            &["tail", "--by", "architecture"],
            &["results"],
            &["results", "--raw", "--format", "csv"],
            &["results", "--raw", "--provenance", "--format", "csv"],
            &["results", "--raw", "--provenance", "-o", "out/curves.csv"],
            &["results", "--format", "csv", "-o", "out/groups.csv"],
            &["results", "--format", "jsonl", "-o", "out/groups.jsonl"],
            &["results", "--by", "architecture"],
            &["results", "--by", evil],
            &["compare", "--by", "architecture"],
            &["compare", "--stage", "scan", "--by", "architecture"],
            &["compare", "--by", "architecture", "--format", "csv"],
            &["compare", "--by", "architecture", "--format", "latex"],
            &["compare", "--by", "architecture", "--against", evil],
            &["hypotheses"],
            &["plot", "-o", "out/figure.svg"],
            &["plot", "--stage", "best", "-o", "out/best.svg"],
        ];
        calls.extend(of_sweep.iter().map(|call| {
            let mut call = call.to_vec();
            call.insert(1, sweep);
            call
        }));
    }
    // The last ones change what the ones before print.
    let [one, several] = [sweeps[0].as_str(), sweeps[1].as_str()];
    calls.extend([
        vec!["report", one, "-o", "out/report"],
        vec!["pause", idle],
        vec!["resume", idle],
        vec!["stop", idle],
        vec!["cancel", idle],
        vec!["retry", one, "--failed"],
        vec!["extend", one, "--repetitions", "4"],
        vec!["refine", one, "--axis", evil],
        vec!["refine", one, "--axis", "learning_rate", "--points", "3"],
        vec!["show", one],
        vec!["explain", &trials[0]],
        vec!["cancel", one],
        vec!["drain", evil],
        vec!["drain", "6162616375730000"],
        vec!["workers"],
        vec!["delete", several],
    ]);
    let mut succeeded = Vec::new();
    for call in &calls {
        let output = cluster.try_command(call);
        assert_output_harmless(call, &output);
        if output.status.success() {
            succeeded.push(call[0].to_owned());
        }
        // Drawing twice would take long and show nothing new.
        if call[0] == "report" {
            continue;
        }
        let mut as_json = call.clone();
        as_json.push("--json");
        let output = cluster.try_command(&as_json);
        assert_output_harmless(&as_json, &output);
        if output.status.success() && call[0] != "completions" {
            json(&text(&output.stdout));
        }
    }
    // Escapes change nothing of what JSON says.
    let workers = json(&cluster.command(&["workers", "--json"]));
    assert_eq!(workers[0]["host"], EVIL);

    let run = tenfold()
        .current_dir(cluster.folder.path())
        .env("TENFOLD_DATA", data())
        .args([
            "run",
            file,
            "--slots",
            "1",
            "--device",
            "cpu",
            "--results",
            "out/runs",
        ])
        .arg("--no-plot")
        .output()
        .unwrap();
    assert_output_harmless(&["run"], &run);
    assert!(run.status.success(), "{}", text(&run.stderr));
    succeeded.push("run".to_owned());

    // `serve` has run all the time, and its log is among the files.
    succeeded.push("serve".to_owned());
    let files = assert_files_harmless(cluster.folder.path());
    assert!(files > 30, "{files} files of text were checked");
    for command in commands() {
        // What a worker prints is looked at beside a hostile coordinator.
        assert!(
            succeeded.contains(&command) || ["worker", "help"].contains(&command.as_str()),
            "{command} was not tried, or never succeeded"
        );
    }
}
