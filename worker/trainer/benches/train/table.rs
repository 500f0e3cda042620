//! The table, in several forms.

use std::fmt::Write;

use crate::row::{Row, Way};

/// What came out of a row.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub(crate) row: Row,
    /// Model-epochs a second.
    pub(crate) rate: f64,
    /// Of the arithmetic peak of as many cores.
    pub(crate) share: Option<f64>,
    /// Bytes of all processes.
    pub(crate) memory: u64,
    /// To the best of the peer's rows of the same network.
    pub(crate) ratio: Option<f64>,
    /// To the best of those in the default layout.
    pub(crate) ratio_default: Option<f64>,
    /// Which that is.
    pub(crate) peer: String,
}

/// Gives each figure its ratio to the peer's best; convolutional networks have one for each layout.
pub(crate) fn with_ratios(figures: Vec<Figure>) -> Vec<Figure> {
    let all = figures.clone();
    let best = |network: &str, any_layout: bool| {
        let peers = all.iter().filter(|figure| match &figure.row.way {
            Way::PyTorch((_, layout)) => figure.row.network == network && (any_layout || layout == "default"),
            _ => false,
        });
        peers.max_by(|a, b| a.rate.total_cmp(&b.rate))
    };
    let with_ratio = |mut figure: Figure| {
        if let Some(peer) = best(&figure.row.network, true) {
            figure.ratio = Some(figure.rate / peer.rate);
            figure.peer = peer.row.to_string();
        }
        let peer = best(&figure.row.network, false);
        figure.ratio_default = peer.map(|peer| figure.rate / peer.rate);
        figure
    };
    figures.into_iter().map(with_ratio).collect()
}

fn columns(figure: &Figure) -> [String; 9] {
    let row = &figure.row;
    let what = match &row.way {
        Way::Host => "tenfold".to_owned(),
        Way::Fused => "tenfold, fused".to_owned(),
        Way::PyTorch((variant, layout)) if layout == "default" => format!("PyTorch, {variant}"),
        Way::PyTorch((variant, layout)) => format!("PyTorch, {variant}, {layout}"),
        Way::Peak(_) => "peak".to_owned(),
    };
    [
        row.network.clone(),
        what,
        row.trials.to_string(),
        format!("{} × {}", row.processes, row.threads),
        match figure.rate {
            rate if rate >= 100.0 => format!("{rate:.0}"),
            rate if rate >= 1.0 => format!("{rate:.1}"),
            rate => format!("{rate:.2}"),
        },
        figure
            .share
            .map_or_else(|| "–".to_owned(), |share| format!("{:.0} %", 100.0 * share)),
        format!("{}", figure.memory >> 20),
        ratio(figure.ratio_default),
        ratio(figure.ratio),
    ]
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"))
}

const HEADS: [&str; 9] = [
    "network",
    "what",
    "K",
    "processes × threads",
    "model-epochs/s",
    "of the peak",
    "MiB",
    "to PyTorch's best, default layout",
    "any layout",
];

pub(crate) fn text(figures: &[Figure]) -> String {
    let mut rows = vec![HEADS.map(str::to_owned)];
    rows.extend(figures.iter().map(columns));
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEADS.len()).map(width).collect();
    let mut out = String::new();
    for row in rows {
        for (column, (text, width)) in row.iter().zip(&widths).enumerate() {
            let gap = " ".repeat(width - text.chars().count());
            let _ = match column {
                0 | 1 => write!(out, "{text}{gap}  "),
                _ => write!(out, "{gap}{text}  "),
            };
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    out
}

pub(crate) fn markdown(figures: &[Figure]) -> String {
    let mut out = format!(
        "| {} |\n| --- | --- |{}\n",
        HEADS.join(" | "),
        " ---: |".repeat(7)
    );
    for figure in figures {
        let _ = writeln!(out, "| {} |", columns(figure).join(" | "));
    }
    out
}

pub(crate) fn json(figures: &[Figure]) -> String {
    let rows: Vec<_> = figures
        .iter()
        .map(|figure| {
            serde_json::json!({
                "name": format!("{}: {}", figure.row.network, figure.row),
                "value": figure.rate,
                "unit": "model-epochs/s",
                "ratio": figure.ratio,
                "peer": figure.peer,
            })
        })
        .collect();
    serde_json::to_string_pretty(&rows).unwrap_or_default()
}
