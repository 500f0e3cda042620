//! What a report has written into its folder: the list that it leaves there, by which a later one finds the files that it
//! does not write itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::File;

/// Files by their places, each with the hash of what is in it.
pub(super) type List = BTreeMap<String, String>;

/// A file of an older report that the newer one does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    /// Its place under the report's folder, with `/` between folders; it does not lead out of there.
    pub path: String,
    sha256: String,
}

impl Stale {
    /// Whether these bytes are what the older report wrote; else they are somebody's own.
    pub fn is(&self, bytes: &[u8]) -> bool {
        sha256(bytes) == self.sha256
    }
}

pub(super) fn list(files: &[File]) -> List {
    let of = |file: &File| (file.path.clone(), sha256(&file.bytes));
    files.iter().map(of).collect()
}

/// The files that an older report lists in its `provenance.json` and that are not among these. None where that is
/// something else, or was written before there were lists.
pub fn stale(older: &[u8], files: &[File]) -> Vec<Stale> {
    #[derive(Deserialize)]
    struct Older {
        kind: String,
        files: List,
    }
    let Ok(older) = serde_json::from_slice::<Older>(older) else {
        return Vec::new();
    };
    if older.kind != "provenance" {
        return Vec::new();
    }
    let stays: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    older
        .files
        .into_iter()
        .filter(|(path, _)| is_inside(path) && !stays.contains(path.as_str()))
        .map(|(path, sha256)| Stale { path, sha256 })
        .collect()
}

/// Whether a place is one that reports write to: names of letters, digits, `-` and `.` alone, in one folder at most.
fn is_inside(path: &str) -> bool {
    let is_name = |name: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        !name.starts_with('.') && !name.is_empty() && name.chars().all(plain)
    };
    path.split('/').count() <= 2 && path.split('/').all(is_name)
}

fn sha256(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_older_report_wrote_and_this_one_does_not_is_stale() {
        let files = [File::new("index.html", "a"), File::new("tables/x.csv", "b")];
        let older = serde_json::json!({ "v": 1, "kind": "provenance", "files": list(&files) });
        let found = stale(older.to_string().as_bytes(), &files[..1]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "tables/x.csv");
        assert!(found[0].is(b"b") && !found[0].is(b"c"));
        assert_eq!(stale(older.to_string().as_bytes(), &files), []);
        for other in [
            "",
            "no JSON",
            r#"{"kind": "provenance"}"#,
            r#"{"kind": "else", "files": {"a": ""}}"#,
        ] {
            assert_eq!(stale(other.as_bytes(), &[]), [], "{other}");
        }
    }

    #[test]
    fn a_list_leads_nowhere_else() {
        for path in ["index.html", "figures/a-1.png"] {
            assert!(is_inside(path), "{path}");
        }
        for path in [
            "", "/a", "../a", "a/../b", "a//b", "a\\b", "c:a", "a/b/c", ".git", "a/",
        ] {
            assert!(!is_inside(path), "{path}");
        }
    }
}
