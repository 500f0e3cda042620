//! The `tenfold-worker` command.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tenfold_proto::dial::Addresses;
use tenfold_types::frame::{CHECKPOINT_MIB, MAX_PACK};
use tenfold_types::printable;
use tenfold_worker::agent::{self, Config};
use tenfold_worker::doctor::{self, Checkup, Verdict};
use tenfold_worker::node::{self, Checkpoints};
use tenfold_worker::session::{Exit, Options};
use tenfold_worker::slot::Launch;
use tenfold_worker::throughput::Cache;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Unacknowledged epochs may take so much memory.
const OUTBOX: usize = 64 << 20;

const EXIT_CODES: &str = "\
exit codes:
  0  stopped or drained on request (doctor: nothing is missing)
  2  usage
  3  no coordinator for longer than --on-server-lost allows
  4  the coordinator refused this worker
  5  this node cannot train (doctor: something is missing)
  141  doctor: nobody reads its output any more";

/// Starts a worker: trains trials in its slots for a Tenfold coordinator.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    node: Node,
}

#[derive(Subcommand)]
enum Command {
    /// Says what this node has, what it lacks, and what to do about that.
    Doctor(Node),
}

#[derive(Args)]
struct Node {
    /// The coordinator's address; several with commas between them when another one stands by
    #[arg(
        long,
        env = "TENFOLD_COORDINATOR",
        default_value = "http://127.0.0.1:7465",
        value_name = "URL"
    )]
    coordinator: String,
    /// What to train on: auto (GPUs if there are any), cpu, cuda:N, or several as cuda:0,cuda:1
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    device: String,
    /// Trainers at once [default: one a core on the CPU, one a GPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    slots: Option<u16>,
    /// CPU threads of each trainer, each with a trial of its own; curves do not depend on it [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads_per_slot: Option<u16>,
    /// The folder with MNIST's four IDX files [default: data/mnist]
    #[arg(long, env = "TENFOLD_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// What to do without a coordinator: go on, or stop-after=DURATION such as stop-after=1h
    #[arg(long, default_value = "go-on", value_name = "WHAT", value_parser = server_lost)]
    on_server_lost: ServerLost,
    /// The trainer program [default: tenfold-trainer beside this program]
    #[arg(long, value_name = "PATH")]
    trainer: Option<PathBuf>,
    /// Kill a trainer that makes no progress for so long
    #[arg(long, default_value = "60s", value_name = "DURATION", value_parser = duration)]
    trainer_timeout: Duration,
    /// No pack is to have more trials; how many it has is measured on GPUs, and on CPUs as many as the trainer's threads
    #[arg(long, value_name = "N", default_value_t = MAX_PACK, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PACK)))]
    max_pack: u32,
    /// Where measured sizes of packs are kept [default: tenfold in $XDG_CACHE_HOME, else in ~/.cache]
    #[arg(long, env = "TENFOLD_CACHE", value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Where what trials have learned is kept for later ones that go on from it; nodes of one kind may share it [default:
    /// checkpoints in the folder of --cache]
    #[arg(long, env = "TENFOLD_CHECKPOINTS", value_name = "DIR")]
    checkpoints: Option<PathBuf>,
    /// That folder may take so many MiB, then the oldest give way; 0 to keep none and train every trial whole
    #[arg(long, value_name = "N", default_value_t = CHECKPOINT_MIB)]
    checkpoint_mib: u64,
    /// This node's name [default: its host name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// End when the process that started this one does
    #[arg(long, hide = true)]
    exit_with_parent: bool,
}

impl Node {
    fn checkpoints(&self) -> Option<Checkpoints> {
        Checkpoints::new(
            self.checkpoints.as_deref(),
            self.cache.as_deref(),
            self.checkpoint_mib,
        )
    }
}

#[derive(Clone, Copy)]
struct ServerLost(Option<Duration>);

fn server_lost(text: &str) -> Result<ServerLost, String> {
    match text.split_once('=') {
        None if text == "go-on" => Ok(ServerLost(None)),
        Some(("stop-after", after)) => duration(after).map(|after| ServerLost(Some(after))),
        _ => Err("write go-on, or stop-after=DURATION such as stop-after=1h".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration; write a number with ms, s, m or h, such as 90s");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let milliseconds = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    match number.checked_mul(milliseconds) {
        Some(total) if (1..=u64::from(u32::MAX)).contains(&total) => Ok(Duration::from_millis(total)),
        _ => Err(format!(
            "{text:?} is out of range; a duration lies between 1ms and 1000h"
        )),
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("TENFOLD_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        // A log that cannot be written, as on a full disk, must not end the process: complaining about it would.
        .log_internal_errors(false)
        .with_env_filter(filter)
        .with_writer(move || printable::Log {
            to: std::io::stderr(),
            colours,
        })
        .with_target(false)
        .with_ansi(colours)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return end(5, &format!("cannot start: {error}")),
    };
    let code = runtime.block_on(async {
        match cli.command {
            Some(Command::Doctor(node)) => doctor(node).await,
            None => work(cli.node).await,
        }
    });
    // Calls may still wait for a coordinator that is not there; nothing of theirs matters any more.
    runtime.shutdown_background();
    code
}

fn end(code: u8, message: &str) -> ExitCode {
    // Nobody may be able to read it: where it goes may be closed, or full.
    _ = writeln!(std::io::stderr(), "tenfold-worker: {}", printable::lines(message));
    ExitCode::from(code)
}

async fn doctor(node: Node) -> ExitCode {
    let coordinator = match node.coordinator.parse::<Addresses>() {
        Ok(addresses) => addresses,
        Err(error) => return end(2, &error.to_string()),
    };
    let data = node::data(node.data.as_deref());
    let checkup = Checkup {
        device: &node.device,
        trainer: node.trainer.as_deref(),
        data: &data,
        coordinator: &coordinator,
        cache: &Cache::new(node.cache.as_deref()),
        checkpoints: node.checkpoints(),
    };
    match doctor::run(checkup).await {
        Verdict::Well => ExitCode::SUCCESS,
        Verdict::Missing => ExitCode::from(5),
        Verdict::Unread => ExitCode::from(141),
    }
}

async fn work(node: Node) -> ExitCode {
    let coordinator = match node.coordinator.parse::<Addresses>() {
        Ok(addresses) => addresses,
        Err(error) => return end(2, &error.to_string()),
    };
    let trainer = match node::trainer(node.trainer.as_deref()) {
        Ok(trainer) => trainer,
        Err(error) => return end(5, &error.to_string()),
    };
    let data = node::data(node.data.as_deref());
    let threads = node.threads_per_slot.map(usize::from);
    // A look at the node costs a load of libtorch: only when there is something to choose.
    let probe = if node.device == "cuda" || node.device == "auto" && node::may_have_gpu() {
        match node::probe(&trainer, "cpu", &data).await {
            Ok(probe) => probe,
            Err(error) => return end(5, &error.to_string()),
        }
    } else {
        node::Probe::default()
    };
    let slots = match node::slots(&node.device, node.slots.map(usize::from), threads, &probe) {
        Ok(slots) => slots,
        Err(error) => return end(2, &error.to_string()),
    };
    let cache = Cache::new(node.cache.as_deref());
    let checkpoints = node.checkpoints();
    let launch = |(device, threads): &(String, usize)| Launch {
        program: trainer.clone(),
        arguments: node::arguments(device, *threads, &data, checkpoints.as_ref()),
        patience: node.trainer_timeout,
    };
    let config = Config {
        coordinator,
        host: node
            .name
            .unwrap_or_else(|| gethostname::gethostname().to_string_lossy().into_owned()),
        slots: slots.iter().map(launch).collect(),
        cache: cache.clone(),
        session: Options {
            outbox_bytes: OUTBOX,
            stop_after: node.on_server_lost.0.map(|after| after.as_millis() as u64),
            max_pack: node.max_pack,
            table: cache.load(),
        },
    };
    tracing::info!(
        coordinator = node.coordinator,
        slots = config.slots.len(),
        device = slots[0].0,
        "starting"
    );
    let (stop, stopped) = mpsc::channel(2);
    tokio::spawn(signals(stop, node.exit_with_parent));
    match agent::run(config, stopped).await {
        Exit::Asked => ExitCode::SUCCESS,
        Exit::Drained => {
            tracing::info!("drained: all that was leased is done");
            ExitCode::SUCCESS
        }
        Exit::Refused(why) => end(
            4,
            &format!("the coordinator refused this worker: {}", printable::line(&why)),
        ),
        Exit::ServerLost(after) => end(
            3,
            &format!("no coordinator at {} for {} s", node.coordinator, after / 1000),
        ),
        Exit::Unfit(why) => end(
            5,
            &format!("this node cannot train: {why}\nsee: tenfold-worker doctor"),
        ),
    }
}

/// The first signal stops in order, the second at once.
async fn signals(stop: mpsc::Sender<()>, with_parent: bool) {
    let mut hangup = hangups();
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    let parent = rustix::process::getppid();
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = hung_up(&mut hangup) => {}
            () = tokio::time::sleep(Duration::from_millis(500)), if with_parent => {
                if rustix::process::getppid() == parent {
                    continue;
                }
            }
        }
        if stop.send(()).await.is_err() {
            return;
        }
    }
}

/// Listens for SIGHUP, which says that the terminal is gone; not where it was ignored when this process began, which is what `nohup`
/// is for. To be called before there is a handler.
fn hangups() -> Option<Signal> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // SIGHUP is 1, the lowest bit.
    let ignored = mask.is_some_and(|mask| mask & 1 != 0);
    (!ignored).then(|| signal(SignalKind::hangup()).ok()).flatten()
}

async fn hung_up(hangup: &mut Option<Signal>) {
    match hangup {
        Some(hangup) => _ = hangup.recv().await,
        None => std::future::pending().await,
    }
}
