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
        }
    }
}

/// An extension for people, in a line: `stage modes extended to 10 repetitions`.
pub fn extension_text(extension: &v1::Extension) -> String {
    let stage = match extension.stage_name.as_str() {
        "" => String::new(),
        name => format!("stage {name} "),
    };
    let plural = if extension.repetitions == 1 { "" } else { "s" };
    format!("{stage}extended to {} repetition{plural}", extension.repetitions)
}
