//! The rows, and the table of them.

use serde::Serialize;

/// What a figure has to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// At least so much.
    AtLeast(f64),
    /// At most so much.
    AtMost(f64),
    /// There is none: a floor of the machine, or a peer.
    None,
}

/// A figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    name: String,
    value: f64,
    unit: String,
    #[serde(skip)]
    aim: Target,
    target: Option<f64>,
    met: Option<bool>,
    /// The tool that is best at the same work, and its figure.
    peer: Option<String>,
    peer_value: Option<f64>,
    /// How many times better than the peer.
    ratio: Option<f64>,
    #[serde(skip)]
    work: Option<String>,
    #[serde(skip)]
    whose: Option<String>,
}

/// All rows.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    pub(crate) fn add(&mut self, name: impl Into<String>, value: f64, unit: &str, aim: Target) {
        self.push(name.into(), value, unit, aim, None, None);
    }

    /// A figure that other tools have too: those of one `work` are compared.
    pub(crate) fn ours(&mut self, work: &str, name: &str, value: f64, unit: &str, aim: Target) {
        self.push(name.to_owned(), value, unit, aim, Some(work), None);
    }

    pub(crate) fn theirs(&mut self, work: &str, whose: &str, value: f64, unit: &str) {
        let name = format!("{whose}: {work}");
        self.push(
            name,
            value,
            unit,
            Target::None,
            Some(work),
            Some(whose.to_owned()),
        );
    }

    fn push(
        &mut self,
        name: String,
        value: f64,
        unit: &str,
        aim: Target,
        work: Option<&str>,
        whose: Option<String>,
    ) {
        let (target, met) = match aim {
            Target::AtLeast(target) => (Some(target), Some(value >= target)),
            Target::AtMost(target) => (Some(target), Some(value <= target)),
            Target::None => (None, None),
        };
        eprintln!("  {name}: {} {unit}", number(value));
        self.0.push(Row {
            name,
            value,
            unit: unit.to_owned(),
            aim,
            target,
            met,
            peer: None,
            peer_value: None,
            ratio: None,
            work: work.map(str::to_owned),
            whose,
        });
    }

    /// Gives our rows the best of the others at the same work: the most, or the least of what is to be at most so much.
    pub(crate) fn compare(&mut self) {
        let all = self.0.clone();
        for row in self.0.iter_mut().filter(|row| row.whose.is_none()) {
            if row.work.is_none() {
                continue;
            }
            let less = matches!(row.aim, Target::AtMost(_));
            let better = |value: f64| if less { -value } else { value };
            let best = all
                .iter()
                .filter(|other| other.work == row.work)
                .filter_map(|other| Some((other.value, other.whose.clone()?)))
                .max_by(|a, b| better(a.0).total_cmp(&better(b.0)));
            if let Some((peer, whose)) = best {
                let ratio = if less { peer / row.value } else { row.value / peer };
                (row.peer, row.peer_value, row.ratio) = (Some(whose), Some(peer), Some(ratio));
            }
        }
    }

    fn lines(&self) -> Vec<[String; 5]> {
        let line = |row: &Row| {
            [
                row.name.clone(),
                format!("{} {}", number(row.value), row.unit),
                match row.aim {
                    Target::AtLeast(target) => format!("≥ {}", number(target)),
                    Target::AtMost(target) => format!("≤ {}", number(target)),
                    Target::None => String::new(),
                },
                row.met
                    .map_or("", |met| if met { "yes" } else { "no" })
                    .to_owned(),
                match (&row.peer, row.peer_value, row.ratio) {
                    (Some(peer), Some(value), Some(ratio)) => {
                        format!("{} × {peer} ({})", number(ratio), number(value))
                    }
                    _ => String::new(),
                },
            ]
        };
        self.0.iter().map(line).collect()
    }

    pub(crate) fn text(&self) -> String {
        let lines = self.lines();
        let wide = |column: usize| {
            lines
                .iter()
                .map(|line| line[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let (names, values, targets) = (wide(0), wide(1), wide(2));
        let line = |[name, value, target, met, peer]: &[String; 5]| {
            format!("{name:<names$}  {value:>values$}  {target:>targets$}  {met:<3}  {peer}")
        };
        lines
            .iter()
            .map(|columns| line(columns).trim_end().to_owned() + "\n")
            .collect()
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text =
            "| what | figure | target | met | best other tool |\n| --- | ---: | ---: | --- | --- |\n"
                .to_owned();
        for line in self.lines() {
            text += &format!("| {} |\n", line.join(" | "));
        }
        text
    }

    pub(crate) fn json(&self) -> String {
        serde_json::to_string_pretty(&self.0).unwrap()
    }
}

/// Three figures, or all before the point.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 && digit.is_ascii_digit() {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}
