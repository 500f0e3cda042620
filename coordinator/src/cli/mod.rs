//! The command line: one file a command. Commands talk to a coordinator through gRPC alone; only `run` and `serve`
//! start one.

/// A line on the standard error, printable whatever a peer has put into it. That nobody can read it is no reason to end: where it goes may be closed, or full.
macro_rules! note {
    ($($what:tt)*) => {{
        use std::io::Write as _;
        let what = format!($($what)*);
        _ = writeln!(std::io::stderr(), "{}", tenfold_types::printable::lines(&what));
    }};
}

mod backup;
mod client;
mod compare;
mod completions;
mod delete;
mod drain;
mod exit;
mod explain;
mod extend;
mod format;
mod hypotheses;
mod json;
mod list;
mod orders;
mod plan;
mod plot;
mod progress;
mod refine;
mod report;
mod results;
mod run;
mod serve;
mod show;
mod submit;
mod tail;
mod told;
mod wire;
mod worker;
mod workers;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tenfold_core::sweep::MAX_TEXT;
use tenfold_proto::v1;
use tenfold_types::printable;

use client::Client;
use exit::Failure;

const EXAMPLES: &str = "\
examples:
  tenfold run configs/quickstart.toml          coordinator, workers and results in one
  tenfold serve                                a coordinator; then, on each node:
  tenfold worker --coordinator http://HOST:7465
  tenfold submit configs/figure3.toml --repetitions 2 --set epochs=20
  tenfold tail last --follow
  tenfold plot last -o figure.png

A selector SEL is a sweep's id, its name, a unique prefix of either, or `last`.
";

/// Runs hyperparameter sweeps in which every point is repeated, on many machines.
#[derive(Parser)]
#[command(name = "tenfold", version, after_help = format!("{EXAMPLES}\n{}", exit::CODES), max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args, Clone)]
pub(crate) struct Common {
    /// The coordinator's address, or several with commas between them [default: http://127.0.0.1:7465]
    #[arg(long, global = true, env = "TENFOLD_COORDINATOR", value_name = "URL")]
    coordinator: Option<String>,
    /// Print one JSON object a line
    #[arg(long, global = true)]
    json: bool,
}

impl Common {
    /// What further commands need to find the same coordinator, unless the environment or the default says it.
    fn elsewhere(&self) -> String {
        match &self.coordinator {
            Some(address) if std::env::var("TENFOLD_COORDINATOR").ok().as_ref() != Some(address) => {
                format!(" --coordinator {address}")
            }
            _ => String::new(),
        }
    }

    async fn client(&self) -> Result<Client, Failure> {
        Client::connect(self.coordinator.as_deref().unwrap_or(client::DEFAULT)).await
    }
}

#[derive(Subcommand)]
enum Command {
    /// Run a sweep here: coordinator, local workers, progress and results in one
    Run(run::Run),
    /// Start a coordinator
    Serve(serve::Serve),
    /// Start a worker on this node (see: tenfold worker --help)
    #[command(disable_help_flag = true)]
    Worker(worker::Worker),
    /// Say what a sweep would be; submit nothing
    Plan(plan::Plan),
    /// Submit a sweep
    Submit(submit::Submit),
    /// List sweeps, the newest first
    List(list::List),
    /// Show a sweep, or a trial as SEL/stage.point.repetition
    Show(show::Show),
    /// Say why a trial waits, ran again, or ended as it did
    Explain(explain::Explain),
    /// Print results as they come
    Tail(tail::Tail),
    /// Print aggregated results, or single curves
    Results(results::Results),
    /// Compare points in pairs of repetitions: differences, intervals, tests
    Compare(compare::Compare),
    /// Judge the hypotheses of a sweep
    Hypotheses(hypotheses::Hypotheses),
    /// Draw error curves with their 95 % bands
    Plot(plot::Plot),
    /// Write a report: figures, tables and text, as a page of HTML and as Markdown
    Report(report::Report),
    /// Hand out no more trials of a sweep; what runs goes on
    Pause(orders::Select),
    /// Undo pause, stop and cancel
    Resume(orders::Select),
    /// Cancel what waits, finish what runs
    Stop(orders::Select),
    /// Cancel what waits and what runs
    Cancel(orders::Select),
    /// Run failed or cancelled trials again
    Retry(orders::Retry),
    /// Run the points of a sweep more often, whether it runs or is over
    Extend(extend::Extend),
    /// Look more closely around the best values of an axis: one more stage
    Refine(refine::Refine),
    /// List workers
    Workers(workers::Workers),
    /// Have a worker finish what it trains and end
    Drain(drain::Drain),
    /// Forget a sweep that is over, with its curves
    Delete(delete::Delete),
    /// Copy the whole store to a file, while the coordinator goes on
    Backup(backup::Backup),
    /// Put a backup in the place of a store that is not there
    Restore(backup::Restore),
    /// Print shell completions
    Completions(completions::Completions),
}

/// A sweep file and what the command line changes of it.
#[derive(Args, Clone)]
pub(crate) struct Source {
    /// The sweep file (TOML)
    file: PathBuf,
    /// Change a setting: learning_rate=0.01, weight_sharing=true,false, learning_rate=log(1e-5,1e-2,4), epochs=20
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Change the number of repetitions
    #[arg(long, value_name = "N")]
    repetitions: Option<u32>,
}

impl Source {
    /// The file's text and the changes, as they are submitted.
    fn read(&self) -> Result<v1::SweepSource, Failure> {
        Ok(v1::SweepSource {
            text: read_text(&self.file)?,
            file: self.file.display().to_string(),
            overrides: self.set.clone(),
            repetitions: self.repetitions,
        })
    }
}

/// The text of a sweep file, or of one like it.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| exit::of_file(path, &error);
    // What a file says of its length need not be so: a device says 0 and never ends.
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    file.take(MAX_TEXT as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let length = length.max(bytes.len() as u64);
    let wrong = |what: String| Failure::Usage(format!("{}: {what}", path.display()));
    if length > MAX_TEXT as u64 {
        return Err(wrong(format!(
            "the file has {length} bytes; a sweep file has at most {MAX_TEXT}"
        )));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        wrong(format!(
            "byte {at} begins no UTF-8 character; a sweep file is TOML text"
        ))
    })
}

/// Runs the command that the arguments name.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return help(&error),
    };
    // The coordinator's own log: everything for `serve`, what went wrong for `run`, whose output is for the user.
    let default = if matches!(cli.command, Command::Serve(_)) {
        "info"
    } else {
        "error"
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("TENFOLD_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
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
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            note!("tenfold: cannot start: {error}");
            return ExitCode::from(4);
        }
    };
    let result = runtime.block_on(dispatch(cli));
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let message = failure.to_string();
            if !message.is_empty() {
                note!("tenfold: {message}");
            }
            failure.code()
        }
    }
}

/// Prints help, the version, or what is wrong with the arguments.
fn help(error: &clap::Error) -> ExitCode {
    match error.print() {
        Err(broken) if broken.kind() == std::io::ErrorKind::BrokenPipe && !error.use_stderr() => {
            Failure::BrokenPipe.code()
        }
        _ => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)),
    }
}

async fn dispatch(cli: Cli) -> Result<(), Failure> {
    let common = cli.common;
    match cli.command {
        Command::Run(command) => command.run(&common).await,
        Command::Serve(command) => command.run(&common).await,
        Command::Worker(command) => command.run(&common),
        Command::Plan(command) => command.run(&common).await,
        Command::Submit(command) => command.run(&common).await,
        Command::List(command) => command.run(&common).await,
        Command::Show(command) => command.run(&common).await,
        Command::Explain(command) => command.run(&common).await,
        Command::Tail(command) => command.run(&common).await,
        Command::Results(command) => command.run(&common).await,
        Command::Compare(command) => command.run(&common).await,
        Command::Hypotheses(command) => command.run(&common).await,
        Command::Plot(command) => command.run(&common).await,
        Command::Report(command) => command.run(&common).await,
        Command::Pause(command) => orders::pause(command, &common).await,
        Command::Resume(command) => orders::resume(command, &common).await,
        Command::Stop(command) => orders::stop(command, &common).await,
        Command::Cancel(command) => orders::cancel(command, &common).await,
        Command::Retry(command) => command.run(&common).await,
        Command::Extend(command) => command.run(&common).await,
        Command::Refine(command) => command.run(&common).await,
        Command::Workers(command) => command.run(&common).await,
        Command::Drain(command) => command.run(&common).await,
        Command::Delete(command) => command.run(&common).await,
        Command::Backup(command) => command.run(&common).await,
        Command::Restore(command) => command.run(&common),
        Command::Completions(command) => command.run(&mut <Cli as clap::CommandFactory>::command()),
    }
}

/// Writes a file whole or not at all.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| exit::of_file(path, &error);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    // What a link names is written, not the link; a device or a pipe is written as it is.
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if path.exists() && !path.is_file() {
        return std::fs::write(path, bytes).map_err(failed);
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, path));
    written.map_err(|error| {
        _ = std::fs::remove_file(&partial);
        failed(error)
    })
}
