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

#[test]
fn core_has_no_clock_no_files_and_no_network() {
    let mut folders = vec![workspace().join("coordinator/core/src")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let text = fs::read_to_string(&path).unwrap();
            for banned in [
                "std::time",
                "std::fs",
                "std::net",
                "std::env",
                "std::process",
                "std::thread",
                "rand::",
            ] {
                assert!(!text.contains(banned), "{} uses {banned}", path.display());
            }
        }
    }
    assert!(files > 10, "the sources were not found");
}
