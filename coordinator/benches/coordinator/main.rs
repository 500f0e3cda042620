//! How much a coordinator bears, beside other tools on the same machine in the same run: `make bench-coordinator`.
//!
//! The coordinator is the real program with its store on a real disk; the workers are made up (`fleet`), run in a process
//! of their own, and hand over curves as fast as they are taken. See `--help`.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

mod crowd;
mod fleet;
mod floors;
mod latency;
mod million;
mod peers;
mod server;
mod table;
mod tail;
mod throughput;

use std::path::PathBuf;

use clap::Parser;
use table::Table;

/// What measures some rows.
type Family = fn(&Arguments, &mut Table);

const FAMILIES: [(&str, Family); 7] = [
    ("floors", floors::measure),
    ("throughput", throughput::measure),
    ("latency", latency::measure),
    ("tail", tail::measure),
    ("crowd", crowd::measure),
    ("million", million::measure),
    ("peers", peers::measure),
];

/// The type of a file system in memory, of statfs(2).
const TMPFS: i64 = 0x0102_1994;

/// Measures a coordinator, and other tools at the same work.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// Only these families of rows, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = FAMILIES.map(|(name, _)| name))]
    only: Vec<String>,
    /// Smaller and shorter
    #[arg(long)]
    quick: bool,
    /// Only ours
    #[arg(long)]
    no_peers: bool,
    /// Where coordinator.json and coordinator.md go, and stores while they are needed
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench"))]
    output: PathBuf,
    /// Be the workers: what to do, as JSON
    #[arg(long, hide = true)]
    fleet: Option<String>,
    /// Cargo passes it
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    fn wants(&self, family: &str) -> bool {
        match self.only.as_slice() {
            [] => !(self.no_peers && family == "peers"),
            only => only.iter().any(|name| name == family),
        }
    }

    /// A number, or a smaller one when it is to be quick.
    fn sized(&self, whole: u64, quick: u64) -> u64 {
        if self.quick { quick } else { whole }
    }
}

fn main() {
    let arguments = Arguments::parse();
    if let Some(work) = &arguments.fleet {
        return fleet::run(&serde_json::from_str(work).unwrap());
    }
    std::fs::create_dir_all(&arguments.output).unwrap();
    let mut table = Table::default();
    let folder = rustix::fs::statfs(&arguments.output).unwrap();
    assert!(
        folder.f_type != TMPFS,
        "{} is in memory; --output takes a folder on a disk",
        arguments.output.display()
    );
    for (name, family) in FAMILIES {
        if arguments.wants(name) {
            eprintln!("{name} …");
            family(&arguments, &mut table);
        }
    }
    table.compare();
    print!("{}", table.text());
    std::fs::write(arguments.output.join("coordinator.json"), table.json()).unwrap();
    std::fs::write(arguments.output.join("coordinator.md"), table.markdown()).unwrap();
}
