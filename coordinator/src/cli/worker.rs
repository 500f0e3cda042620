//! `tenfold worker`: becomes the `tenfold-worker` found beside this program.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use super::Common;
use super::exit::Failure;

#[derive(Args)]
pub(crate) struct Worker {
    /// Arguments of tenfold-worker
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

impl Worker {
    pub(crate) fn run(self, common: &Common) -> Result<(), Failure> {
        let program = program()?;
        let mut command = Command::new(&program);
        if let Some(coordinator) = &common.coordinator {
            command.env("TENFOLD_COORDINATOR", coordinator);
        }
        let error = command.args(self.arguments).exec();
        Err(Failure::Refused(format!(
            "cannot start {}: {error}",
            program.display()
        )))
    }
}

/// The worker program.
pub(crate) fn program() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe()
        .map_err(|error| Failure::Refused(format!("cannot find this program: {error}")))?;
    let program = own.with_file_name("tenfold-worker");
    if program.is_file() {
        return Ok(program);
    }
    Err(Failure::Refused(format!(
        "there is no {}; build it with `cargo build --release --workspace`, or install it beside tenfold",
        program.display()
    )))
}
