//! The import rules that Cargo itself cannot check: who may depend on whom, and what core must not touch.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The system that this is built for, as Cargo names it.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.unwrap().to_owned()
}

fn metadata(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline"])
        // What other systems need is not there, and need not be.
        .args(["--filter-platform", &host()])
        .args(arguments)
        .current_dir(workspace())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Everything that a package's normal dependencies bring along, by name.
fn reaches(metadata: &Value, package: &str) -> BTreeSet<String> {
    let name_of = |id: &str| {
        let packages = metadata["packages"].as_array().unwrap();
        packages.iter().find(|p| p["id"] == id).unwrap()["name"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let node = |id: &str| nodes.iter().find(|node| node["id"] == id).unwrap();
    let first = nodes
        .iter()
        .find(|node| name_of(node["id"].as_str().unwrap()) == package)
        .unwrap();
    let mut open = vec![first["id"].as_str().unwrap().to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        for dependency in node(&id)["deps"].as_array().unwrap() {
            let normal = dependency["dep_kinds"]
                .as_array()
                .unwrap()
                .iter()
                .any(|kind| kind["kind"].is_null());
            let id = dependency["pkg"].as_str().unwrap();
            if normal && seen.insert(id.to_owned()) {
                open.push(id.to_owned());
            }
        }
    }
    seen.iter().map(|id| name_of(id)).collect()
}

#[test]
fn packages_know_only_what_they_may() {
    let metadata = metadata(&[]);
    let ours = [
        "tenfold",
        "tenfold-types",
        "tenfold-proto",
        "tenfold-core",
        "tenfold-worker",
        "tenfold-trainer",
    ];
    for (package, allowed) in [
        ("tenfold-types", &[][..]),
        ("tenfold-proto", &["tenfold-types"]),
        ("tenfold-core", &["tenfold-types"]),
        ("tenfold", &["tenfold-types", "tenfold-proto", "tenfold-core"]),
        ("tenfold-worker", &["tenfold-types", "tenfold-proto"]),
        ("tenfold-trainer", &["tenfold-types"]),
    ] {
        let reached = reaches(&metadata, package);
        for other in ours.iter().filter(|other| **other != package) {
            assert!(
                !reached.contains(*other) || allowed.contains(other),
                "{package} must not depend on {other}"
            );
        }
        let links = reached.contains("torch-sys") || reached.contains("tch");
        assert_eq!(links, package == "tenfold-trainer", "libtorch in {package}");
        if matches!(package, "tenfold-types" | "tenfold-core") {
            for library in ["tokio", "tonic", "prost", "rusqlite"] {
                assert!(
                    !reached.contains(library),
                    "{package} must not depend on {library}"
                );
            }
        }
    }
}

/// The sources of these folders of the workspace, with what is in them.
fn sources(folders: &[&str]) -> Vec<(String, String)> {
    let workspace = workspace();
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| workspace.join(folder)).collect();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_some_and(|kind| kind == "rs") {
                let name = path.strip_prefix(&workspace).unwrap().display().to_string();
                sources.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(sources.len() > 10, "the sources were not found");
    sources
}

#[test]
fn core_has_no_clock_no_files_and_no_network() {
    for (file, text) in sources(&["coordinator/core/src"]) {
        for banned in [
            "std::time",
            "std::fs",
            "std::net",
            "std::env",
            "std::process",
            "std::thread",
            "rand::",
        ] {
            assert!(!text.contains(banned), "{file} uses {banned}");
        }
    }
}

/// What is written elsewhere could be a peer's text as it came.
#[test]
fn only_a_few_places_write_to_terminals() {
    let places = [
        // Printable text on standard output; a line on standard error, the log, and the question where help was written.
        ("coordinator/src/cli/format.rs", 1),
        ("coordinator/src/cli/mod.rs", 4),
        // A bar of numbers and words of ours.
        ("coordinator/src/cli/progress.rs", 1),
        // The worker's log and last words; its doctor.
        ("worker/src/main.rs", 3),
        ("worker/src/doctor.rs", 1),
        // The trainer's log, what it tells its worker, and that it is not to be started by hand.
        ("worker/trainer/src/main.rs", 3),
    ];
    let folders = [
        "coordinator/src",
        "coordinator/core/src",
        "worker/src",
        "worker/trainer/src",
        "proto/src",
        "proto/types/src",
    ];
    let mut found = Vec::new();
    for (file, text) in sources(&folders) {
        if file.ends_with("tests.rs") {
            continue;
        }
        let writes = ["stdout()", "stderr()", "print!(", "println!(", "dbg!("];
        let code = text.split("#[cfg(test)]").next().unwrap();
        let count = writes
            .map(|write| code.matches(write).count())
            .iter()
            .sum::<usize>();
        if count > 0 {
            found.push((file, count));
        }
    }
    found.sort();
    let mut places = places.map(|(file, count)| (file.to_owned(), count));
    places.sort();
    assert_eq!(found, places);
}
