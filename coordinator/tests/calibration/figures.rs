//! What was found beside what should be: judged at once, and in the long form kept as a document.
//!
//! `TENFOLD_CALIBRATION=long` is the long form; `TENFOLD_CALIBRATION=short` has the sizes of the test and writes the document as well.
//! `TENFOLD_CALIBRATION=before` is the long form of a program whose methods are not
//! to be judged but to be compared with: its figures go to `before.tsv`, from where the document has them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

/// Standard errors by which a share may be off. One in 1.7 million is by chance, were the draws not the same each time.
const SIGMAS: f64 = 5.0;

/// What a share should be.
#[derive(Clone, Copy)]
pub(crate) enum Should {
    /// This.
    Be(f64),
    /// This at most.
    NotExceed(f64),
    /// This, itself simulated so many times without the program.
    BeAsSimulated(f64, u64),
    /// It is shown and not judged.
    BeSeen,
}

/// A share of simulations.
#[derive(Clone)]
pub(crate) struct Share {
    what: String,
    should: Should,
    hits: u64,
    of: u64,
}

impl Share {
    pub(crate) fn new(what: impl Into<String>, should: Should) -> Self {
        let what = what.into();
        let (hits, of) = (0, 0);
        Self {
            what,
            should,
            hits,
            of,
        }
    }

    /// Counts one more simulation.
    pub(crate) fn count(&mut self, hit: bool) {
        self.hits += u64::from(hit);
        self.of += 1;
    }

    fn share(&self) -> f64 {
        self.hits as f64 / self.of as f64
    }

    /// Returns the binomial standard error of a share of as many simulations.
    fn error(&self, share: f64) -> f64 {
        (share * (1.0 - share) / self.of as f64).sqrt()
    }

    fn is_right(&self) -> bool {
        let found = self.share();
        match self.should {
            Should::Be(share) => (found - share).abs() <= SIGMAS * self.error(share),
            Should::NotExceed(share) => found <= share + SIGMAS * self.error(share),
            Should::BeAsSimulated(share, of) => {
                let error = self
                    .error(share)
                    .hypot((share * (1.0 - share) / of as f64).sqrt());
                (found - share).abs() <= SIGMAS * error
            }
            Should::BeSeen => true,
        }
    }

    fn should(&self) -> String {
        match self.should {
            Should::Be(share) => format!("{} %", number(100.0 * share)),
            Should::BeAsSimulated(share, _) => {
                format!("{:.1} % (simulated without the program)", 100.0 * share)
            }
            Should::NotExceed(share) => format!("at most {} %", number(100.0 * share)),
            Should::BeSeen => "–".to_owned(),
        }
    }

    fn found(&self) -> String {
        format!(
            "{:.2} % ± {:.2}",
            100.0 * self.share(),
            100.0 * self.error(self.share())
        )
    }
}

/// A number without zeros behind it.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// One of these, by the form that runs.
pub(crate) fn form<T>(short: T, long: T) -> T {
    match mode().as_str() {
        "long" | "before" => long,
        _ => short,
    }
}

fn mode() -> String {
    std::env::var("TENFOLD_CALIBRATION").unwrap_or_default()
}

/// Shares of one scenario.
pub(crate) struct Figures {
    title: &'static str,
    about: &'static str,
    shares: Vec<Share>,
}

impl Figures {
    /// Begins a scenario; titles are in the order of their numbers.
    pub(crate) fn of(title: &'static str, about: &'static str) -> Self {
        let shares = Vec::new();
        Self { title, about, shares }
    }

    pub(crate) fn add(&mut self, share: Share) {
        assert!(share.of > 0, "{}: nothing was counted", share.what);
        println!(
            "{} | {} | {} | {} of {}",
            share.what,
            share.should(),
            share.found(),
            share.hits,
            share.of
        );
        self.shares.push(share);
    }

    /// Prints, keeps and judges what was found.
    pub(crate) fn end(self) {
        let wrong: Vec<String> = self
            .shares
            .iter()
            .filter(|share| !share.is_right())
            .map(|share| {
                format!(
                    "{}: {} of {} where it should be {}",
                    share.what,
                    share.found(),
                    share.of,
                    share.should()
                )
            })
            .collect();
        match mode().as_str() {
            "before" => self.keep_as_before(),
            "long" | "short" => self.write(),
            _ => {}
        }
        let judged = mode() != "before";
        assert!(
            wrong.is_empty() || !judged,
            "{}\n{}",
            self.title,
            wrong.join("\n")
        );
    }

    fn keep_as_before(&self) {
        let _alone = alone();
        let mut rows = before();
        for share in &self.shares {
            let found = format!("{} of {}", share.found(), share.of);
            rows.insert((self.title.to_owned(), share.what.clone()), found);
        }
        let lines = rows
            .iter()
            .map(|((title, what), found)| format!("{title}\t{what}\t{found}\n"));
        fs::write(here("before.tsv"), lines.collect::<String>()).unwrap();
    }

    /// Puts the scenario's table into the document, and its place among the others.
    fn write(&self) {
        let _alone = alone();
        let before = before();
        let mut text = format!("### {}\n\n{}\n\n", self.title, self.about);
        text += "| share of | should be | before | now | simulations |\n| --- | --- | ---: | ---: | ---: |\n";
        for share in &self.shares {
            let key = (self.title.to_owned(), share.what.clone());
            let before = before.get(&key).map_or("–", String::as_str);
            _ = writeln!(
                text,
                "| {} | {} | {before} | {} | {} |",
                share.what,
                share.should(),
                share.found(),
                share.of
            );
        }
        let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/calibration.md");
        let whole = fs::read_to_string(&document).unwrap();
        let (head, figures) = whole
            .split_once(BEGIN)
            .expect("the document has a place for the figures");
        let mut sections: BTreeMap<u32, String> = figures
            .split("### ")
            .skip(1)
            .map(|section| (order(section), format!("### {}\n", section.trim_end())))
            .collect();
        sections.insert(order(self.title), text);
        let sections: Vec<String> = sections.into_values().collect();
        fs::write(&document, format!("{head}{BEGIN}{}", sections.join("\n"))).unwrap();
    }
}

/// The line of the document behind which the tables are.
const BEGIN: &str = "## Figures\n\n";

/// The number that a title begins with.
fn order(title: &str) -> u32 {
    title
        .split('.')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap()
}

/// Scenarios are tests, and end at the same time.
fn alone() -> MutexGuard<'static, ()> {
    static FILES: Mutex<()> = Mutex::new(());
    FILES.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/calibration")
        .join(name)
}

/// What was found before, by title and share.
fn before() -> BTreeMap<(String, String), String> {
    let text = fs::read_to_string(here("before.tsv")).unwrap_or_default();
    let row = |line: &str| {
        let mut cells = line.split('\t').map(str::to_owned);
        Some(((cells.next()?, cells.next()?), cells.next()?))
    };
    text.lines().filter_map(row).collect()
}

#[test]
fn shares_are_judged_by_their_standard_errors() {
    let share = |hits, of, should| Share {
        hits,
        of,
        ..Share::new("", should)
    };
    // Standard error of 2.5 % of 10,000: 0.156 %.
    assert!(share(327, 10_000, Should::NotExceed(0.025)).is_right());
    assert!(!share(329, 10_000, Should::NotExceed(0.025)).is_right());
    assert!(share(0, 10_000, Should::NotExceed(0.025)).is_right());
    assert!(!share(171, 10_000, Should::Be(0.025)).is_right());
    assert!(!share(1, 10_000, Should::NotExceed(0.0)).is_right());
    assert!(!share(999, 1000, Should::Be(1.0)).is_right());
    assert!(!share(800, 1000, Should::BeAsSimulated(0.9, 1000)).is_right());
    assert!(share(880, 1000, Should::BeAsSimulated(0.9, 1000)).is_right());
}
