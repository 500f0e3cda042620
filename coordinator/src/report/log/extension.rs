//! Extensions.

use serde::Serialize;
use tenfold_proto::v1;

use crate::report::JSON_VERSION;

/// An extension as JSON; without its time, which is no result.
#[derive(Serialize)]
pub(super) struct ExtensionLine<'a> {
    v: u32,
    kind: &'static str,
    number: u32,
    stage: u32,
    stage_name: &'a str,
    repetitions: u32,
    /// Of a stage that is new: what it takes from an earlier one.
    takes: Option<&'a str>,
    /// Of more repetitions: pairs that were complete before, where that was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<u32>,
}

impl<'a> ExtensionLine<'a> {
    pub(super) fn of(extension: &'a v1::Extension) -> Self {
        Self {
            v: JSON_VERSION,
            kind: "extension",
            number: extension.number,
            stage: extension.stage,
            stage_name: &extension.stage_name,
            repetitions: extension.repetitions,
            takes: (!extension.normalised.is_empty()).then_some(&extension.takes),
            seen: extension.seen,
        }
    }
}

/// An extension for people, in a line: `stage modes extended to 10 repetitions`, or
/// `stage refine-1 added: learning_rate: 5 values, 1 decades to each side of …`.
pub fn extension_text(extension: &v1::Extension) -> String {
    if !extension.normalised.is_empty() {
        return format!("stage {} added: {}", extension.stage_name, extension.takes);
    }
    let stage = match extension.stage_name.as_str() {
        "" => String::new(),
        name => format!("stage {name} "),
    };
    let plural = if extension.repetitions == 1 { "" } else { "s" };
    format!("{stage}extended to {} repetition{plural}", extension.repetitions)
}
