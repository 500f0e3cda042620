//! A worker and a person whose texts try to act on the terminals of others: what every command prints, and every file that is
//! written, is free of characters that act on a display.

#![expect(clippy::unwrap_used, reason = "a test may unwrap")]

mod common;

use std::path::Path;

use common::fleet::{FakeWorker, Fate};
use common::{Cluster, tenfold, text};
use tenfold_types::printable;

/// Retitles the terminal, rings, fills the clipboard, clears the screen in 7 and 8 bits, turns the text around, hides.
const EVIL: &str = "\u{1b}]0;owned\u{7}\u{1b}]52;c;cm0gLXJmIC8=\u{1b}\\\u{1b}[2J\u{9b}2J\0\u{8}\u{7f}\u{202e}lave\u{2066}\u{200b}\u{e0041}\r\nstate succeeded";

const SWEEP: &str = "name = \"rates\u{202e}gnp\u{2066}\"\nrepetitions = 2\nepochs = 2\n[axes]\n\
    architecture = [\"mine\u{202e}\", \"perceptron-5\"]\nweight_sharing = [false, true]\n\
    [[architecture]]\nname = \"mine\u{202e}\"\nlayers = [\"flatten\", { linear = { units = 10 } }]\n\
    [[hypothesis]]\nclaim = \"sharing\u{202e}helps\"\nthis = { weight_sharing = true }\n\
    than = { weight_sharing = false }\nlower_by = 0\n";

fn assert_printable(what: &str, text: &str) {
    let found = text.lines().find(|line| line.contains(printable::acts));
    assert_eq!(found, None, "{what}");
}

/// Checks every text file in a folder, and all names.
fn assert_files_printable(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        assert_printable("a file's name", &path.to_string_lossy());
        if path.is_dir() {
            assert_files_printable(&path);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            // Fonts and figures that a page embeds are one long line of text without such characters either.
            assert_printable(&path.display().to_string(), &text);
        }
    }
}

#[test]
fn nothing_that_a_peer_sends_reaches_a_terminal_or_a_page_as_it_came() {
    let cluster = Cluster::patient();
    let file = cluster.write("evil.toml", SWEEP);
    let submitted = cluster.try_command(&["submit", &file]);
    assert!(submitted.status.success(), "{}", text(&submitted.stderr));
    let mut worker = FakeWorker::register(&cluster, "abacus");
    worker.register_saying(EVIL, EVIL, EVIL, EVIL);
    worker.train(10, |trial| match (trial.index, trial.repetition) {
        (0, 0) => Fate::Fails(EVIL),
        (1, 1) => Fate::DivergesIn(2),
        _ => Fate::Succeeds,
    });
    let sel = "last";
    // Of every command what needs no second coordinator; in this order, as the last ones change the sweep.
    let calls: &[&[&str]] = &[
        &["submit", &file],
        &["plan", &file],
        &["list"],
        &["show", sel],
        &["show", "last/0.0.0"],
        &["show", "last/0.1.1"],
        &["explain", "last/0.0.0"],
        &["explain", "last/0.2.0"],
        &["tail", sel],
        &["results", sel],
        &["results", sel, "--raw", "--format", "csv"],
        &["results", sel, "--raw", "--provenance", "--format", "jsonl"],
        &["results", sel, "--format", "csv"],
        &["compare", sel, "--by", "weight_sharing"],
        &["compare", sel, "--by", "weight_sharing", "--format", "latex"],
        &["hypotheses", sel],
        &["plot", sel, "-o", "out/figure.svg"],
        &["report", sel, "-o", "out/report"],
        &["workers"],
        &["backup", "out/copy.sqlite"],
        &["pause", sel],
        &["resume", sel],
        &["refine", sel, "--axis", "weight_sharing", "--points", "3"],
        &["extend", sel, "--repetitions", "3"],
        &["stop", sel],
        &["cancel", sel],
        &["retry", sel, "--failed"],
        &["drain", EVIL.trim_matches('\0')],
        &["delete", sel],
        &["show", EVIL],
        &["plan", "no\u{202e}file.toml"],
    ];
    for call in calls {
        let call: Vec<String> = call.iter().map(|argument| argument.replace('\0', "")).collect();
        for json in [false, true] {
            let mut call: Vec<&str> = call.iter().map(String::as_str).collect();
            call.extend(json.then_some("--json"));
            let output = cluster.try_command(&call);
            assert_printable(&format!("{call:?}"), &text(&output.stdout));
            assert_printable(&format!("{call:?}, standard error"), &text(&output.stderr));
        }
    }
    let help = tenfold().arg("--help").output().unwrap();
    let commands = text(&help.stdout);
    let commands = commands.split("Commands:").nth(1).unwrap().lines().skip(1);
    let commands = commands.map_while(|line| line.split_whitespace().next().map(str::to_owned));
    // Started by hand: their logs are looked at below. These print nothing of a peer's.
    let others = ["run", "serve", "worker", "restore", "completions", "help"];
    for command in commands {
        let called = calls.iter().any(|call| call[0] == command);
        assert!(
            called || others.contains(&command.as_str()),
            "{command} is not tried"
        );
    }
    assert_files_printable(cluster.folder.path());
}
