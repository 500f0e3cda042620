//! Numbers, times and states as people read them.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use comfy_table::{ContentArrangement, presets};
use tenfold_proto::v1;
use tenfold_types::printable;

use super::exit::Failure;

/// Writes text to standard output, [printable]: names, errors and the like may be a peer's. Whoever reads may go away.
///
/// [printable]: tenfold_types::printable
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let text = printable::lines(text);
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
            _ => Failure::Refused(format!("cannot write the output: {error}")),
        })
}

/// A table without more lines than it needs.
pub(crate) struct Table(comfy_table::Table);

impl Table {
    /// An empty one with these titles.
    pub(crate) fn new(header: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table
            .load_preset(presets::UTF8_FULL_CONDENSED)
            .set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(header.to_vec());
        Self(table)
    }

    /// Adds a row, each cell on one printable line.
    pub(crate) fn row(&mut self, cells: &[String]) {
        self.0.add_row(cells.iter().map(|cell| printable::line(cell)));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names and values, a line each. A value of several lines goes on below its beginning, so that no line of a peer's text passes
/// for one of ours.
pub(crate) struct Fields {
    text: String,
    margin: usize,
    width: usize,
}

impl Fields {
    /// None yet; names begin behind a margin and have this width, and values begin a space behind it.
    pub(crate) fn new(margin: usize, width: usize) -> Self {
        Self {
            text: String::new(),
            margin,
            width,
        }
    }

    /// Appends a name and its value.
    pub(crate) fn line(&mut self, name: &str, value: &str) {
        let (margin, width) = (self.margin, self.width);
        let mut lines = value.lines();
        let first = printable::line(lines.next().unwrap_or_default());
        // Writing to a string cannot fail.
        _ = writeln!(self.text, "{:margin$}{name:<width$} {first}", "");
        for line in lines {
            _ = writeln!(self.text, "{:margin$}{:width$} {}", "", "", printable::line(line));
        }
    }

    /// All lines.
    pub(crate) fn finish(self) -> String {
        self.text
    }
}

/// `1 trial`, `2 trials`.
pub(crate) fn count(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// `4 points × 3 repetitions = 12 trials`; of stages one after the other: `rates 6 × 2, modes 4 × 10 = 52 trials`.
pub(crate) fn size(sweep: &v1::SweepStatus) -> String {
    let repetitions = u64::from(sweep.repetitions);
    if sweep.stages.is_empty() {
        if let Some(min) = sweep.min_repetitions {
            let (_, trials) = over(&sweep.trials.unwrap_or_default());
            return format!(
                "{} × {min} to {repetitions} repetitions = at most {}",
                count(sweep.points, "point"),
                count(trials, "trial")
            );
        }
        return format!(
            "{} × {} = {}",
            count(sweep.points, "point"),
            count(repetitions, "repetition"),
            count(sweep.points * repetitions, "trial")
        );
    }
    let stage = |stage: &v1::Stage| match stage.min_repetitions {
        Some(min) => format!(
            "{} {} × {min} to {}",
            stage.name, stage.most_points, stage.repetitions
        ),
        None if stage.confirms => {
            format!(
                "{} {} × {} (confirm)",
                stage.name, stage.most_points, stage.repetitions
            )
        }
        None => format!("{} {} × {}", stage.name, stage.most_points, stage.repetitions),
    };
    let stages: Vec<String> = sweep.stages.iter().map(stage).collect();
    let trials = sweep.stages.iter().map(|stage| stage.trials).sum();
    let at_most = match sweep.stages.iter().any(|stage| stage.may_shrink) {
        true => "at most ",
        false => "",
    };
    format!("{} = {at_most}{}", stages.join(", "), count(trials, "trial"))
}

/// `3 d 4 h`, `2 h 5 min`, `3 min 20 s`, `12.3 s`.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        86_400.. => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3_600),
        3_600.. => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
        60.. => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{:.1} s", seconds.max(0.0)),
    }
}

/// How long ago a time was.
pub(crate) fn ago(at_ms: u64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis() as u64;
    format!("{} ago", duration(now.saturating_sub(at_ms) as f64 / 1000.0))
}

/// The last second that four digits of a year can say, in milliseconds since 1970.
const LAST_TIME: u64 = 253_402_300_799_000;

/// A time in UTC, as RFC 3339 has it. One beyond the year 9999, which only a broken peer sends, is that year's end.
pub(crate) fn time(at_ms: u64) -> String {
    let at = UNIX_EPOCH + Duration::from_millis(at_ms.min(LAST_TIME));
    humantime::format_rfc3339_seconds(at).to_string()
}

/// A sweep's state in a word.
pub(crate) fn sweep_state(state: v1::SweepState) -> &'static str {
    match state {
        v1::SweepState::Unspecified => "unknown",
        v1::SweepState::Active => "active",
        v1::SweepState::Paused => "paused",
        v1::SweepState::Stopping => "stopping",
        v1::SweepState::Complete => "complete",
        v1::SweepState::Failed => "failed",
        v1::SweepState::Cancelled => "cancelled",
    }
}

/// A trial's state in a word.
pub(crate) fn trial_state(state: v1::TrialState) -> &'static str {
    match state {
        v1::TrialState::Unspecified => "unknown",
        v1::TrialState::Pending => "pending",
        v1::TrialState::Leased => "leased",
        v1::TrialState::Running => "running",
        v1::TrialState::Backoff => "backoff",
        v1::TrialState::Suspect => "suspect",
        v1::TrialState::Succeeded => "succeeded",
        v1::TrialState::Diverged => "diverged",
        v1::TrialState::Failed => "failed",
        v1::TrialState::Cancelled => "cancelled",
        v1::TrialState::LeftOut => "left out",
    }
}

/// Trials that are over, of all.
pub(crate) fn over(counts: &v1::TrialCounts) -> (u64, u64) {
    let over = counts.succeeded + counts.diverged + counts.failed + counts.cancelled;
    (
        over,
        over + counts.pending + counts.leased + counts.running + counts.backoff + counts.suspect,
    )
}

/// What is worth a word in a sweep's counts: `3 running, 1 diverged`.
pub(crate) fn remarks(counts: &v1::TrialCounts) -> String {
    let remark = |count: u64, what: &str| (count > 0).then(|| format!("{count} {what}"));
    let list = [
        remark(counts.leased + counts.running, "running"),
        remark(counts.suspect, "suspect"),
        remark(counts.backoff, "waiting after a failure"),
        remark(counts.diverged, "diverged"),
        remark(counts.failed, "failed"),
        remark(counts.cancelled, "cancelled"),
    ];
    list.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// `learning_rate=0.001 weight_sharing=true`.
pub(crate) fn point(assignments: &[v1::Assignment]) -> String {
    let one = |assignment: &v1::Assignment| {
        let value = assignment
            .value
            .clone()
            .and_then(|value| tenfold_types::Value::try_from(value).ok());
        format!(
            "{}={}",
            assignment.setting,
            value.map_or_else(
                || "?".to_owned(),
                |value| printable::line(&value.to_string()).into_owned()
            )
        )
    };
    assignments.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// A trial's key: `stage.point.repetition`.
pub(crate) fn key(key: Option<v1::TrialKey>) -> String {
    key.map(|key| tenfold_types::TrialKey::from(key).to_string())
        .unwrap_or_default()
}

/// The first eight hexadecimal digits of an id.
pub(crate) fn short(id: &[u8]) -> String {
    id.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// All hexadecimal digits of an id.
pub(crate) fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_peer_passes_for_one_of_ours() {
        let mut fields = Fields::new(2, 5);
        fields.line("host", "a\nstate\u{1b}[2J");
        fields.line("end", "");
        assert_eq!(fields.finish(), "  host  a\n        state\\u001b[2J\n  end   \n");
        let mut table = Table::new(&["host", "n"]);
        table.row(&["a\nb\u{202e}".to_owned(), "1".to_owned()]);
        let table = table.to_string();
        assert!(table.contains("│ a\\u000ab\\u202e ┆ 1 │"), "{table}");
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
        assert_eq!(time(u64::MAX), "9999-12-31T23:59:59Z");
        assert_eq!(time(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(time(1_795_564_799_999), "2026-11-24T23:59:59Z");
    }

    #[test]
    fn one_is_no_plural() {
        let sweep = v1::SweepStatus {
            points: 1,
            repetitions: 2,
            ..v1::SweepStatus::default()
        };
        assert_eq!(size(&sweep), "1 point × 2 repetitions = 2 trials");
    }

    #[test]
    fn stages_are_counted_one_by_one() {
        let stage = |name: &str, points: u64, repetitions: u32| v1::Stage {
            name: name.to_owned(),
            points,
            repetitions,
            epochs: 5,
            trials: points * u64::from(repetitions),
            most_points: points,
            ..v1::Stage::default()
        };
        let sweep = v1::SweepStatus {
            stages: vec![stage("rates", 6, 2), stage("modes", 4, 10)],
            ..v1::SweepStatus::default()
        };
        assert_eq!(size(&sweep), "rates 6 × 2, modes 4 × 10 = 52 trials");
    }

    #[test]
    fn durations_have_two_units_at_most() {
        assert_eq!(duration(0.04), "0.0 s");
        assert_eq!(duration(59.4), "59.4 s");
        assert_eq!(duration(125.0), "2 min 5 s");
        assert_eq!(duration(7_500.0), "2 h 5 min");
        assert_eq!(duration(100_000.0), "1 d 3 h");
    }
}
