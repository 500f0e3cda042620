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
mod throughput;

use std::path::PathBuf;

use clap::Parser;
use table::Table;

/// Measures a coordinator, and other tools at the same work.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// Only rows whose names contain this
    #[arg(long, default_value = "")]
    only: String,
    /// Smaller and shorter
    #[arg(long)]
    quick: bool,
    /// Only ours
    #[arg(long)]
    no_peers: bool,
    /// Where coordinator.json goes, and stores while they are needed
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench"))]
    output: PathBuf,
    /// Also write the table in Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Be the workers: what to do, as JSON
    #[arg(long, hide = true)]
    fleet: Option<String>,
    /// Cargo passes it
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    fn wants(&self, family: &str) -> bool {
        self.only.is_empty() || family.contains(&self.only)
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
    type Family = fn(&Arguments, &mut Table);
    let families: [(&str, Family); 6] = [
        ("floors", floors::measure),
        ("throughput", throughput::measure),
        ("latency", latency::measure),
        ("crowd", crowd::measure),
        ("million", million::measure),
        ("peers", peers::measure),
    ];
    for (name, family) in families {
        if arguments.wants(name) && !(name == "peers" && arguments.no_peers) {
            eprintln!("{name} …");
            family(&arguments, &mut table);
        }
    }
    table.compare();
    print!("{}", table.text());
    std::fs::write(arguments.output.join("coordinator.json"), table.json()).unwrap();
    if let Some(file) = &arguments.markdown {
        std::fs::write(file, table.markdown()).unwrap();
    }
}
