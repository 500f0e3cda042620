//! Where and when the trials of a report were trained, in files of their own: all that may differ from one run of the same
//! sweep to the next.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use tenfold_core::rounding::significant;
use tenfold_types::printable;

use super::super::JSON_VERSION;
use super::super::raw::TrialCurveRow;
use super::written::{self, List};
use super::{Column, File, markdown};

/// Rows of the table of places; of more, the file says how many there are.
const MAX_PLACES: usize = 200;

/// Where and when a sweep was trained.
#[derive(Debug, Clone)]
pub struct Provenance<'a> {
    /// The sweep's id.
    pub sweep: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The version of the program that wrote the report.
    pub version: &'a str,
    /// When the report was written, as RFC 3339 has it.
    pub written_at: String,
    /// When the sweep was submitted.
    pub submitted_at: String,
    /// When its last trial was over; none while some are not.
    pub finished_at: Option<String>,
    /// Its trials, with provenance.
    pub trials: &'a [TrialCurveRow],
    /// How times in milliseconds since 1970 are written.
    pub time: fn(u64) -> String,
}

/// What trials ran on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Place<'a> {
    host: &'a str,
    device: &'a str,
    threads: u32,
    version: &'a str,
    libtorch: &'a str,
}

/// What ran on a place.
#[derive(Debug, Clone, Default, Serialize)]
struct Work {
    trials: u64,
    epochs: u64,
    /// Of all epochs together; trials that are trained together share theirs.
    seconds: f64,
}

#[derive(Serialize)]
struct All<'a> {
    v: u32,
    kind: &'static str,
    sweep: &'a str,
    name: &'a str,
    version: &'a str,
    written_at: &'a str,
    submitted_at: &'a str,
    finished_at: Option<&'a str>,
    /// The report's other files, by which a later report in the same folder finds what it does not write itself.
    files: List,
    places: Vec<PlaceLine<'a>>,
    trials: Vec<TrialLine<'a>>,
}

#[derive(Serialize)]
struct PlaceLine<'a> {
    #[serde(flatten)]
    place: &'a Place<'a>,
    #[serde(flatten)]
    work: &'a Work,
}

#[derive(Serialize)]
struct TrialLine<'a> {
    trial: String,
    state: &'a str,
    attempt: u32,
    worker: String,
    #[serde(flatten)]
    place: Place<'a>,
    started_at: String,
    ended_at: Option<String>,
    seconds: f64,
}

impl Provenance<'_> {
    /// `provenance.json`, with every trial and a list of the report's files, which are given; and `provenance.md`, with a line
    /// for each place.
    pub fn files(&self, of: &[File]) -> Vec<File> {
        let mut places: BTreeMap<Place<'_>, Work> = BTreeMap::new();
        let mut trials = Vec::new();
        for row in self.trials {
            let Some(of) = &row.provenance else { continue };
            let ran = &of.attempt.provenance;
            let place = Place {
                host: &ran.host,
                device: &ran.device,
                threads: ran.threads,
                version: &ran.version,
                libtorch: &ran.libtorch,
            };
            let seconds: f64 = of.seconds.iter().map(|&seconds| f64::from(seconds)).sum();
            let work = places.entry(place.clone()).or_default();
            work.trials += 1;
            work.epochs += u64::from(row.curve.epochs());
            work.seconds += seconds;
            trials.push(TrialLine {
                trial: row.key.to_string(),
                state: &row.state,
                attempt: of.attempt.number,
                worker: of.attempt.worker.to_string(),
                place,
                started_at: (self.time)(of.attempt.started_at),
                ended_at: of.attempt.ended_at.map(self.time),
                seconds: significant(seconds),
            });
        }
        let text = self.text(&places);
        for work in places.values_mut() {
            work.seconds = significant(work.seconds);
        }
        let all = All {
            v: JSON_VERSION,
            kind: "provenance",
            sweep: self.sweep,
            name: self.name,
            version: self.version,
            written_at: &self.written_at,
            submitted_at: &self.submitted_at,
            finished_at: self.finished_at.as_deref(),
            files: written::list(of),
            places: places
                .iter()
                .map(|(place, work)| PlaceLine { place, work })
                .collect(),
            trials,
        };
        // Plain data with string keys and finite numbers: there is nothing that JSON could refuse.
        let json = serde_json::to_string_pretty(&all).unwrap_or_default();
        let mut json = printable::lines(&json).into_owned().into_bytes();
        json.push(b'\n');
        vec![
            File::new("provenance.json", json),
            File::new("provenance.md", text),
        ]
    }

    fn text(&self, places: &BTreeMap<Place<'_>, Work>) -> String {
        let mut text = format!("# Provenance of {}\n\n", markdown::escape(self.name));
        let finished = self.finished_at.as_deref().unwrap_or("not yet");
        for (what, value) in [
            ("sweep", self.sweep),
            ("submitted", &self.submitted_at),
            ("finished", finished),
            ("report written", &self.written_at),
            ("by tenfold", self.version),
        ] {
            _ = writeln!(text, "- {what}: {}", markdown::code(value));
        }
        text += "\nWhere the accepted attempts of its trials ran. Seconds are those of all epochs; trials that are trained \
                 together share theirs.\n\n";
        let columns = [
            Column::words("host"),
            Column::words("device"),
            Column::number("threads"),
            Column::words("tenfold"),
            Column::words("libtorch"),
            Column::number("trials"),
            Column::number("epochs"),
            Column::number("seconds"),
        ];
        let row = |(place, work): (&Place<'_>, &Work)| {
            vec![
                place.host.to_owned(),
                place.device.to_owned(),
                place.threads.to_string(),
                place.version.to_owned(),
                place.libtorch.to_owned(),
                work.trials.to_string(),
                work.epochs.to_string(),
                format!("{:.1}", work.seconds),
            ]
        };
        let rows: Vec<Vec<String>> = places.iter().take(MAX_PLACES).map(row).collect();
        text += &markdown::rows(&columns, &rows, &[]);
        if places.len() > MAX_PLACES {
            _ = writeln!(text, "\nAnd {} more.", places.len() - MAX_PLACES);
        }
        text += "\nEvery trial: [provenance.json](provenance.json).\n";
        text
    }
}
