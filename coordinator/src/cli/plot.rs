//! `tenfold plot`.

use std::path::PathBuf;

use clap::Args;
use tenfold::report::figure::{CurvesOptions, curves_figure, png};
use tenfold_core::aggregate::GroupResult;
use tenfold_proto::v1;

use super::exit::Failure;
use super::{Common, format, json, results, write_file};

#[derive(Args)]
pub(crate) struct Plot {
    /// The sweep
    #[arg(value_name = "SEL")]
    selector: String,
    /// Where to: FILE.svg or FILE.png
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Draw this metric alone, such as test_loss [default: train and test error side by side]
    #[arg(long, value_name = "METRIC")]
    metric: Option<String>,
    /// A line for each value of these axes [default: for each point]
    #[arg(long, value_delimiter = ',', value_name = "AXIS,…")]
    by: Vec<String>,
    /// The stage to draw, where the sweep has several
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// The figure's title [default: the sweep's name]
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
}

impl Plot {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let kind = Kind::of(&self.output)?;
        let metric = self.metric.map(|name| name.parse()).transpose();
        let metric =
            metric.map_err(|error: tenfold_types::curve::UnknownMetric| Failure::Usage(error.to_string()))?;
        let client = common.client().await?;
        let show = v1::ShowRequest {
            selector: self.selector,
        };
        let shown = client
            .ask(
                show,
                |mut control, request| async move { control.show(request).await },
            )
            .await?;
        let status = shown.status.unwrap_or_default();
        let groups = results::groups(&client, &format::hex(&status.sweep), self.by, self.stage).await?;
        if let stages @ [_, _, ..] = results::stages(&groups).as_slice() {
            return Err(Failure::Usage(format!(
                "a figure is of one stage; say which with --stage: {}",
                stages.join(", ")
            )));
        }
        let title = self.title.unwrap_or(status.name);
        let options = CurvesOptions {
            title,
            metrics: metric.into_iter().collect(),
        };
        write_file(&self.output, &kind.draw(&groups, &options)?)?;
        if common.json {
            return format::print(&json::line(&json::file(&self.output)));
        }
        format::print(&format!("wrote {}\n", self.output.display()))
    }
}

/// Pixels across a PNG: sharp on paper at the width of a page.
const PNG_WIDTH: u32 = 2000;

/// Lines that a figure may have: of more, nobody could tell one from another.
const MAX_LINES: usize = 500;

/// What a figure is written as.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Svg,
    Png,
}

impl Kind {
    fn of(path: &std::path::Path) -> Result<Self, Failure> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            _ => Err(Failure::Usage(format!(
                "{} is neither a .svg nor a .png file",
                path.display()
            ))),
        }
    }

    pub(crate) fn draw(self, groups: &[GroupResult], options: &CurvesOptions) -> Result<Vec<u8>, Failure> {
        if groups.len() > MAX_LINES {
            return Err(Failure::Refused(format!(
                "{} lines are too many for one figure, which has at most {MAX_LINES}; group them with --by AXIS,…",
                groups.len()
            )));
        }
        let svg = curves_figure(groups, options).svg();
        match self {
            Self::Svg => Ok(svg.into_bytes()),
            Self::Png => png(&svg, PNG_WIDTH).map_err(|error| Failure::Refused(error.to_string())),
        }
    }
}
