//! The command line by itself: what it says about itself, and how it refuses. No coordinator runs.

#![expect(clippy::unwrap_used, reason = "a test may unwrap")]

mod common;

use std::fs;
use std::io::pipe;
use std::process::{Command, Output, Stdio};

use common::{free_port, golden, tenfold, text};

const SWEEP: &str = r#"
name = "small"
epochs = 3
repetitions = 2
[settings]
architecture = "perceptron-10"
[axes]
learning_rate = { log = [1e-4, 1e-2], points = 3 }
"#;

/// What a command ends with: its exit code, and what it prints to either side.
fn outcome(output: &Output) -> (i32, String, String) {
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    outcome(&tenfold().args(arguments).output().unwrap())
}

#[test]
fn help_is_as_it_was() {
    let mut all = String::new();
    for command in [
        "",
        "run",
        "serve",
        "plan",
        "submit",
        "list",
        "show",
        "explain",
        "tail",
        "results",
        "compare",
        "hypotheses",
        "plot",
        "report",
        "pause",
        "resume",
        "stop",
        "cancel",
        "retry",
        "extend",
        "refine",
        "workers",
        "completions",
    ] {
        let arguments: Vec<&str> = [command, "--help"]
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect();
        let (code, said, complained) = run(&arguments);
        assert_eq!((code, complained.as_str()), (0, ""), "{command}");
        all += &format!("$ tenfold {}\n{said}\n", arguments.join(" "));
    }
    golden("help.txt", &all);
}

#[test]
fn wrong_usage_ends_with_2() {
    let wrong: &[&[&str]] = &[
        &[],
        &["frobnicate"],
        &["plan"],
        &["list", "--limit", "0"],
        &["tail"],
        &["tail", "last", "--raw", "--by", "learning_rate"],
        &["tail", "last", "--since", "-1"],
        &["results", "last", "--format", "xml"],
        &["results", "last", "--provenance"],
        &["submit", "x.toml", "--tail", "--wait"],
        &["retry", "last"],
        &["plot", "last"],
        &["plot", "last", "-o", "figure.pdf"],
        &["plot", "last", "-o", "figure.svg", "--metric", "test_eror"],
        &["serve", "--listen", "nowhere"],
        &["serve", "--store", "mysql:x"],
        &["serve", "--lease-term", "0"],
        &["completions", "tcsh"],
        &["list", "--coordinator", "not an address"],
        &["list", "--coordinator", ""],
        &["list", "--coordinator", "https://127.0.0.1:7465"],
    ];
    for arguments in wrong {
        let (code, said, complained) = run(arguments);
        assert_eq!(
            (code, said.as_str()),
            (2, ""),
            "tenfold {arguments:?} said {complained}"
        );
        assert!(!complained.is_empty(), "tenfold {arguments:?} says why");
    }
}

#[test]
fn without_a_coordinator_it_ends_with_3_and_a_hint() {
    let nowhere = format!("127.0.0.1:{}", free_port());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sweep.toml");
    fs::write(&file, SWEEP).unwrap();
    let file = file.to_str().unwrap();
    let commands: &[&[&str]] = &[
        &["list"],
        &["workers"],
        &["show", "last"],
        &["show", "last/0.0.0"],
        &["tail", "last"],
        &["tail", "last", "--follow"],
        &["results", "last"],
        &["plot", "last", "-o", "x.svg"],
        &["pause", "last"],
        &["resume", "last"],
        &["stop", "last"],
        &["cancel", "last"],
        &["retry", "last", "--failed"],
        &["submit", file],
        &["submit", file, "--wait"],
        &["plan", file],
    ];
    for arguments in commands {
        for by_environment in [false, true] {
            let mut command = tenfold();
            if by_environment {
                command.env("TENFOLD_COORDINATOR", &nowhere);
            } else {
                command.args(["--coordinator", &nowhere]);
            }
            let (code, said, complained) = outcome(&command.args(*arguments).output().unwrap());
            assert_eq!(
                (code, said.as_str()),
                (3, ""),
                "tenfold {arguments:?} said {complained}"
            );
            assert!(
                complained.starts_with("tenfold: ") && complained.contains(&nowhere),
                "{complained}"
            );
            assert!(
                complained.contains("tenfold serve") && complained.contains("--coordinator"),
                "{complained}"
            );
        }
    }
}

#[test]
fn bad_files_end_with_2_whoever_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("large.toml", &vec![b'#'; 300 * 1024]);
    write("binary.toml", &[0xff, 0xfe, 0x00]);
    write("misspelt.toml", format!("epoks = 3\n{SWEEP}").as_bytes());
    write(
        "trillion.toml",
        SWEEP.replace("points = 3", "points = 1000000000000").as_bytes(),
    );
    let cases = [
        ("missing.toml", "missing.toml: "),
        (".", ".: "),
        (
            "large.toml",
            "large.toml: the file has 307200 bytes; a sweep file has at most 262144",
        ),
        // Its length is said to be 0, and it never ends.
        ("/dev/zero", "/dev/zero: "),
        ("binary.toml", "binary.toml: byte 0 begins no UTF-8 character"),
        ("misspelt.toml", "misspelt.toml:1:1: "),
        ("trillion.toml", "trillion.toml:"),
    ];
    for (file, says) in cases {
        // What is in a file is for the coordinator to judge when it is submitted.
        let readable = file == "misspelt.toml" || file == "trillion.toml";
        for command in ["plan", "run", "submit"]
            .into_iter()
            .take(if readable { 2 } else { 3 })
        {
            let output = tenfold()
                .current_dir(folder.path())
                .args([command, file])
                .output()
                .unwrap();
            let (code, said, complained) = outcome(&output);
            assert_eq!(
                (code, said.as_str()),
                (2, ""),
                "tenfold {command} {file} said {complained}"
            );
            assert!(
                complained.starts_with(&format!("tenfold: {says}")),
                "tenfold {command} {file} said {complained}"
            );
        }
        assert!(
            !folder.path().join("runs").exists(),
            "a bad file leaves nothing behind"
        );
    }
}

/// Line and column of the complaint, and a word of it, for each way in which the sweep above can be wrong.
#[test]
fn every_bad_sweep_is_refused_where_it_is_wrong() {
    let mine = |layers: &str| {
        format!("{SWEEP}\n[[architecture]]\nname = \"mine\"\nsub_networks = 2\nlayers = [{layers}]\n")
    };
    let axis = "learning_rate = { log = [1e-4, 1e-2], points = 3 }";
    let cases = [
        ("an unknown key", SWEEP.replace("epochs", "epoks"), "epochs"),
        (
            "a wrong type",
            SWEEP.replace("epochs = 3", "epochs = \"three\""),
            "epochs",
        ),
        ("no number", SWEEP.replace(axis, "learning_rate = [nan]"), "nan"),
        ("infinity", SWEEP.replace(axis, "learning_rate = [inf]"), "inf"),
        (
            "a negative rate",
            SWEEP.replace(axis, "learning_rate = [-0.1]"),
            "-0.1",
        ),
        (
            "a rate of zero",
            SWEEP.replace(axis, "learning_rate = [0.0]"),
            "0",
        ),
        (
            "an empty axis",
            SWEEP.replace(axis, "learning_rate = []"),
            "learning_rate",
        ),
        (
            "an axis repeated",
            SWEEP.replace(axis, &format!("{axis}\n{axis}")),
            "learning_rate",
        ),
        (
            "zero repetitions",
            SWEEP.replace("repetitions = 2", "repetitions = 0"),
            "repetitions",
        ),
        (
            "two architectures of one name",
            [
                mine("{ linear = { units = 10 } }").as_str(),
                &mine("{ linear = { units = 10 } }")[SWEEP.len()..],
            ]
            .concat(),
            "mine",
        ),
        (
            "shapes that do not fit",
            mine("{ linear = { units = 100 } }, { conv2d = { channels = 20, kernel = 3 } }")
                .replace("\"perceptron-10\"", "\"mine\""),
            "layer 2 (conv2d, channels 20, kernel 3) got 100 values, needs an image",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (what, sweep, says) in cases {
        fs::write(folder.path().join("wrong.toml"), sweep).unwrap();
        let output = tenfold()
            .current_dir(folder.path())
            .args(["plan", "wrong.toml"])
            .output()
            .unwrap();
        let (code, said, complained) = outcome(&output);
        assert_eq!((code, said.as_str()), (2, ""), "{what}: {complained}");
        let place = complained
            .strip_prefix("tenfold: wrong.toml:")
            .unwrap_or_else(|| panic!("{what}: {complained}"));
        let mut numbers = place.splitn(3, ':');
        let is_number = |text: Option<&str>| text.is_some_and(|text| text.parse::<u32>().is_ok());
        assert!(
            is_number(numbers.next()) && is_number(numbers.next()),
            "{what}: line and column: {complained}"
        );
        assert!(complained.contains(says), "{what}: {complained}");
    }
}

#[test]
fn a_plan_needs_no_coordinator() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("small.toml");
    fs::write(&file, SWEEP).unwrap();
    let file = file.to_str().unwrap();
    let (code, said, complained) = run(&["plan", file]);
    assert_eq!((code, complained.as_str()), (0, ""));
    golden("plan.txt", &said);

    let changed = [
        "plan",
        file,
        "--json",
        "--repetitions",
        "5",
        "--set",
        "learning_rate=log(1e-5,1e-2,4)",
    ];
    let (code, said, _) = run(&changed);
    let plan: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(code, 0);
    assert_eq!(
        (&plan["v"], &plan["kind"], &plan["name"]),
        (&2.into(), &"plan".into(), &"small".into())
    );
    assert_eq!(
        (&plan["points"], &plan["repetitions"], &plan["trials"]),
        (&4.into(), &5.into(), &20.into())
    );

    let (code, _, complained) = run(&["plan", file, "--set", "learning_rat=1"]);
    assert_eq!(code, 2);
    assert!(complained.contains("learning_rate"), "{complained}");
}

#[test]
fn every_shell_is_completed() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (code, script, complained) = run(&["completions", shell]);
        assert_eq!((code, complained.as_str()), (0, ""), "{shell}");
        for word in ["submit", "results", "retry", "--repetitions", "--coordinator"] {
            let word = if shell == "fish" {
                word.trim_start_matches('-')
            } else {
                word
            };
            assert!(script.contains(word), "the completions for {shell} know {word}");
        }
    }
    let (_, script, _) = run(&["completions", "bash"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tenfold.bash");
    fs::write(&file, script).unwrap();
    assert!(
        Command::new("bash")
            .arg("-n")
            .arg(&file)
            .status()
            .unwrap()
            .success(),
        "bash reads it"
    );
}

#[test]
fn without_a_reader_a_command_ends_without_a_word() {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let output = tenfold()
        .args(["completions", "bash"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(
        (output.status.code(), text(&output.stderr).as_str()),
        (Some(141), "")
    );
}

#[test]
fn a_full_disk_is_an_error() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = tenfold()
        .args(["completions", "bash"])
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(
        text(&output.stderr).contains("cannot write the output"),
        "{}",
        text(&output.stderr)
    );
}
