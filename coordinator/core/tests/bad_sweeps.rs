//! Every file in `bad-sweeps/` is refused with the text beside it. `BLESS=1` writes those texts anew: look at what
//! changed before you commit it.
//!
//! A first comment `#! …` is the command line of the file, such as `#! --set learning_rate=1,2 --repetitions 0`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use tenfold_core::sweep::Sweep;

/// The overrides and the repetitions in the file's first line.
fn command_line(text: &str) -> (Vec<String>, Option<u32>) {
    let (mut overrides, mut repetitions) = (Vec::new(), None);
    let line = text.lines().next().and_then(|line| line.strip_prefix("#!"));
    let mut words = line.unwrap_or_default().split_whitespace();
    while let Some(word) = words.next() {
        let value = words.next().unwrap();
        match word {
            "--set" => overrides.push(value.to_owned()),
            "--repetitions" => repetitions = Some(value.parse().unwrap()),
            _ => panic!("{word} is no flag of a bad sweep"),
        }
    }
    (overrides, repetitions)
}

#[test]
fn bad_sweeps_are_refused_in_these_words() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad-sweeps");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    assert!(files.len() > 50, "the folder is there");
    let mut wrong = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let file = path.file_name().unwrap().to_str().unwrap();
        let (overrides, repetitions) = command_line(&text);
        let said = match Sweep::parse(&text, file, &overrides, repetitions) {
            Ok(_) => "accepted\n".to_owned(),
            Err(error) => format!("{error}\n"),
        };
        let golden = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&golden, &said).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if said != expected || said == "accepted\n" {
            wrong.push(format!("{file}\nexpected\n{expected}but got\n{said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
