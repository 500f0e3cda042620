//! The trainer's process. A worker starts one in each of its slots; see `--help`.

use std::io::Write;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tenfold_trainer::device::Wanted;
use tenfold_trainer::{probe, session, socket};
use tenfold_types::frame::{CHECKPOINT_MIB, DESCRIPTOR};
use tenfold_types::printable;

const NOTES: &str = "\
A trainer is started by tenfold-worker, which talks with it over a socket on descriptor 3. It trains what the worker \
sends, writes its log to standard error (RUST_LOG sets how much), and ends when the socket does.

With --probe it writes lines key=value to standard output and exits:
  libtorch=VERSION           the libtorch it runs with
  processor=MODEL            the processor's model and vector extension
  threads=N                  the value of --threads
  memory=BYTES               memory that is free
  cuda_devices=N             GPUs that libtorch can use
  cuda=ok | REASON           why there are none
  device_I.name=MODEL        of GPU cuda:I
  device_I.memory=BYTES
  device=ok | REASON         whether --device can be used
  data=ok | REASON           whether --data has MNIST's four files, sums checked

Exit status: 0 the worker closed the socket, or the probe is written; 1 no data, no device, or a broken socket; \
2 wrong arguments, or started by hand; killed by itself when the worker closes the socket in the middle of work.";

/// Trains what a worker sends it.
#[derive(Debug, Parser)]
#[command(name = "tenfold-trainer", version, after_long_help = NOTES)]
struct Arguments {
    /// What to train on: cpu or cuda:N.
    #[arg(long, value_name = "DEVICE", default_value_t = Wanted::Cpu)]
    device: Wanted,
    /// CPU threads that compute, each a trial of its own.
    #[arg(long, value_name = "N", default_value_t = NonZeroU16::MIN)]
    threads: NonZeroU16,
    /// The folder with MNIST's four IDX files.
    #[arg(long, value_name = "DIR", env = "TENFOLD_DATA", default_value = "data/mnist")]
    data: PathBuf,
    /// The folder of checkpoints: where trials go on from earlier ones with the same spec but fewer epochs, and are kept for
    /// later ones. Without it they are trained whole.
    #[arg(long, value_name = "DIR", env = "TENFOLD_CHECKPOINTS")]
    checkpoints: Option<PathBuf>,
    /// The folder of checkpoints takes at most so many MiB, the oldest give way; 0 for no checkpoints.
    #[arg(long, value_name = "N", default_value_t = CHECKPOINT_MIB)]
    checkpoint_mib: u64,
    /// Say what this node has, and exit.
    #[arg(long)]
    probe: bool,
}

fn main() -> ExitCode {
    let socket = socket::inherited();
    let Arguments {
        device,
        threads,
        data,
        checkpoints,
        checkpoint_mib,
        probe,
    } = Arguments::parse();
    tracing_subscriber::fmt()
        // A log that cannot be written, as on a full disk, must not end the process: complaining about it would.
        .log_internal_errors(false)
        .with_writer(|| printable::Log {
            to: std::io::stderr(),
            colours: false,
        })
        .with_ansi(false)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()),
        )
        .init();
    if probe {
        let lines = probe::probe(device, threads, &data);
        return match std::io::stdout().write_all(lines.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let socket = match socket {
        Ok(socket) => socket,
        Err(error) => {
            // Nobody may be able to read it.
            _ = writeln!(
                std::io::stderr(),
                "tenfold-trainer is started by tenfold-worker, not by hand: there is no worker's socket on descriptor \
                 {DESCRIPTOR} ({error}); run tenfold-worker, or tenfold-trainer --help"
            );
            return ExitCode::from(2);
        }
    };
    let checkpoints = checkpoints
        .filter(|_| checkpoint_mib > 0)
        .map(|folder| (folder, checkpoint_mib.saturating_mul(1 << 20)));
    match session::run(socket, device, threads, &data, checkpoints) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
