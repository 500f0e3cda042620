//! `tenfold completions`.

use clap::Args;
use clap_complete::Shell;

use super::exit::Failure;
use super::format;

#[derive(Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, command: &mut clap::Command) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, command, "tenfold", &mut script);
        format::print(&String::from_utf8_lossy(&script))
    }
}
