//! `tenfold run`: coordinator, local workers, progress and results in one.

use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use tenfold::report::figure::CurvesOptions;
use tenfold::report::hypotheses::{self as judged, Asked, Judged};
use tenfold::report::{export, raw, table};
use tenfold::results::{LOG, sweep_folder};
use tenfold::server::{self, Server, ServerConfig};
use tenfold_core::Settings;
use tenfold_core::aggregate::GroupResult;
use tenfold_proto::v1;
use tenfold_types::{DeviceKind, Metric, printable};
use tokio::process::{Child, Command};

use super::client::Client;
use super::exit::{self, Failure};
use super::plot::Kind;
use super::progress::{self, Bar};
use super::serve::asked_to_stop;
use super::{Common, Source, format, hypotheses, plan, report, results, wire, worker, write_file};

/// How long a worker may take to stop.
const STOPPING: Duration = Duration::from_secs(5);
/// The pause before a worker that died is started again.
const AGAIN: Duration = Duration::from_secs(1);
/// A worker that died so often within this run is not started again.
const DEATHS: u32 = 5;
/// A lost local worker shows soon: its machine is this one.
const LEASE_TERM: u64 = 5_000;
/// How often it is asked which workers there are.
const ASK: Duration = Duration::from_millis(500);
/// The file of the verdicts on hypotheses.
const HYPOTHESES: &str = "hypotheses.txt";
/// Lines of a worker's log that are shown when it cannot go on.
const LOG_LINES: usize = 12;

#[derive(Args)]
pub(crate) struct Run {
    #[command(flatten)]
    source: Source,
    /// Trainers at once [default: one a core on the CPU, one a GPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    slots: Option<u16>,
    /// What to train on: auto, cpu, cuda:N
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    device: String,
    /// The folder with MNIST's four IDX files [default: data/mnist]
    #[arg(long, env = "TENFOLD_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where everything is kept [default: sqlite:RESULTS/tenfold.sqlite]
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    /// Open a store of which some is missing (its -wal file, or its newest commits) and go on without that
    #[arg(long)]
    accept_loss: bool,
    /// The folder of results
    #[arg(long, default_value = "runs", value_name = "DIR")]
    results: PathBuf,
    /// Draw no figure
    #[arg(long)]
    no_plot: bool,
    /// Write a report into this folder as well, as `tenfold report` does
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

impl Run {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let began = Instant::now();
        if let Some(output) = self
            .report
            .as_ref()
            .filter(|output| output.exists() && !output.is_dir())
        {
            return Err(Failure::Usage(format!(
                "{} is a file; a report goes into a folder",
                output.display()
            )));
        }
        let source = self.source.read()?;
        let sweep = plan::parse(&source)?;
        let folder = self.results.join(sweep_folder(sweep.name(), sweep.id()));
        let config = ServerConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            store: self
                .store
                .clone()
                .unwrap_or_else(|| format!("sqlite:{}/tenfold.sqlite", self.results.display())),
            accept_loss: self.accept_loss,
            results: self.results.clone(),
            max_connections: server::MAX_CONNECTIONS,
            settings: Settings {
                lease_term: LEASE_TERM,
                ..Settings::default()
            },
        };
        let mut server = Server::start(config).await?;
        let address = format!("http://{}", server.address());
        let outcome = tokio::select! {
            outcome = self.with_server(&address, source, sweep.required_device(), &folder, began) => outcome,
            error = server.failed() => Err(error.into()),
        };
        tokio::select! {
            () = server.shutdown() => {}
            () = asked_to_stop() => {}
        }
        let done = match outcome {
            Err(Failure::Interrupted) => {
                note!(
                    "\ninterrupted; everything trained so far is kept: `tenfold run {}` again goes on from here",
                    self.source.file.display()
                );
                return Err(Failure::Interrupted);
            }
            other => other?,
        };
        self.say(&done, &folder, began, common)?;
        progress::verdict(&done.status)
    }

    /// Does everything that needs the coordinator.
    async fn with_server(
        &self,
        address: &str,
        source: v1::SweepSource,
        required: Option<DeviceKind>,
        folder: &Path,
        began: Instant,
    ) -> Result<Done, Failure> {
        let client = Client::connect(address).await?;
        let text = source.text.clone();
        let request = v1::SubmitRequest {
            source: Some(source),
            ..v1::SubmitRequest::default()
        };
        let answer = client
            .order(request, |mut control, request| async move {
                control.submit(request).await
            })
            .await?;
        let status = answer.sweep.unwrap_or_default();
        let selector = format::hex(&status.sweep);
        write_file(&folder.join("sweep.toml"), self.annotated(&text).as_bytes())?;
        let resumable = matches!(
            status.state(),
            v1::SweepState::Paused | v1::SweepState::Stopping | v1::SweepState::Cancelled
        );
        let finished = status.finished_at_ms.is_some() && !resumable;
        let mut training = None;
        let mut last = status.clone();
        if finished {
            note!(
                "{} ({}) is finished already; these are its results",
                status.name,
                format::short(&status.sweep)
            );
        } else {
            self.announce(&status, answer.existing);
            if resumable {
                let request = v1::SelectRequest {
                    selector: selector.clone(),
                    ..v1::SelectRequest::default()
                };
                client
                    .order(request, |mut control, request| async move {
                        control.resume(request).await
                    })
                    .await?;
            }
            let started = Instant::now();
            let mut local = LocalWorker::new(self, address, folder)?;
            let mut bar = Bar::new();
            let waited = tokio::select! {
                waited = progress::until_over(&client, &selector, &mut bar) => waited,
                failure = local.supervise() => Err(failure),
                failure = wrong_device(&client, required) => Err(failure),
                () = asked_to_stop() => Err(Failure::Interrupted),
            };
            bar.clear();
            let waited_for = started.elapsed();
            // Asked a second time, it ends at once: the worker ends with this process, and the store is whole at any moment.
            tokio::select! {
                () = local.stop() => {}
                () = asked_to_stop() => return Err(Failure::Interrupted),
            }
            last = waited?;
            let trained = trained_since(&client, &selector, began).await?;
            training = Some(Training {
                trained,
                waited: waited_for,
            });
        }
        let verdicts = tokio::select! {
            exported = self.export(&client, &selector, &last, folder) => exported?,
            () = asked_to_stop() => return Err(Failure::Interrupted),
        };
        Ok(Done {
            status: last,
            training,
            verdicts,
        })
    }

    fn announce(&self, status: &v1::SweepStatus, existing: bool) {
        let (over, trials) = format::over(&status.trials.unwrap_or_default());
        let id = format::short(&status.sweep);
        if existing {
            note!(
                "going on with {} ({id}): {over} of {trials} trials are over",
                status.name
            );
        } else {
            note!("{} ({id}): {}", status.name, format::size(status));
        }
    }

    /// The sweep file, with what the command line changed of it.
    fn annotated(&self, text: &str) -> String {
        let mut head = String::new();
        for set in &self.source.set {
            head.push_str(&format!("# --set {}\n", set.replace('\n', " ")));
        }
        if let Some(repetitions) = self.source.repetitions {
            head.push_str(&format!("# --repetitions {repetitions}\n"));
        }
        if head.is_empty() {
            text.to_owned()
        } else {
            format!("# run with\n{head}\n{text}")
        }
    }

    /// Writes tables, figures and the report. Returns the verdicts on the sweep's hypotheses.
    async fn export(
        &self,
        client: &Client,
        selector: &str,
        status: &v1::SweepStatus,
        folder: &Path,
    ) -> Result<Vec<Judged>, Failure> {
        let groups = results::groups(client, selector, Vec::new(), None).await?;
        let curves = results::curves(client, selector, false, None).await?;
        let (mut aggregated, mut single) = (Vec::new(), Vec::new());
        let written = export::csv(&groups, &mut aggregated).and_then(|()| raw::csv(&curves, &mut single));
        written.map_err(|error| Failure::Refused(error.to_string()))?;
        write_file(&folder.join("results.csv"), &aggregated)?;
        write_file(&folder.join("curves.csv"), &single)?;
        write_file(&folder.join("table.txt"), table::final_table(&groups).as_bytes())?;
        let shown = hypotheses::show(client, selector.to_owned()).await?;
        let sweep = wire::sweep(&shown)?;
        let verdicts = hypotheses::judged(client, &shown, &sweep, &[], &Asked::default()).await?;
        if !verdicts.is_empty() {
            let text = judged::text(&verdicts, &format::short(&status.sweep));
            write_file(&folder.join(HYPOTHESES), printable::lines(&text).as_bytes())?;
        }
        if let Some(output) = &self.report
            && groups.iter().any(|group| !group.epochs.is_empty())
        {
            report::write(client, selector.to_owned(), output, None, Metric::TestError).await?;
        }
        if self.no_plot {
            return Ok(verdicts);
        }
        for groups in groups.chunk_by(|a, b| a.group.stage == b.group.stage) {
            if groups.iter().any(|group| !group.epochs.is_empty()) {
                draw(groups, &status.name, folder)?;
            }
        }
        Ok(verdicts)
    }

    fn say(
        &self,
        Done {
            status,
            training,
            verdicts,
        }: &Done,
        folder: &Path,
        began: Instant,
        common: &Common,
    ) -> Result<(), Failure> {
        if common.json {
            return last_word(&super::json::line(&super::json::sweep(status)));
        }
        let path = folder.join("table.txt");
        let table = fs::read_to_string(&path).map_err(|error| exit::of_file(&path, &error))?;
        let mut text = format!("{table}\n");
        if !verdicts.is_empty() {
            text.extend(verdicts.iter().map(judged::heading));
            text.push('\n');
        }
        let counts = status.trials.unwrap_or_default();
        let (over, _) = format::over(&counts);
        let remarks = match format::remarks(&counts) {
            none if none.is_empty() => none,
            some => format!(" ({some})"),
        };
        text.push_str(&format!(
            "{over} trials over{remarks}, {} epochs\n",
            status.epochs
        ));
        if let Some(training) = training {
            text.push_str(&training.said(began.elapsed()));
        }
        let of_stage = |stage: &v1::Stage| ["png", "svg"].map(|kind| format!("figure-{}.{kind}", stage.name));
        let files = ["figure.png", "figure.svg"].map(str::to_owned).into_iter();
        let files = files.chain(status.stages.iter().flat_map(of_stage));
        let mut there: Vec<String> = files
            .chain(["results.csv", "curves.csv", HYPOTHESES, LOG].map(str::to_owned))
            .collect();
        there.retain(|file| folder.join(file).exists());
        text.push_str(&format!("{}/: {}\n", folder.display(), there.join(", ")));
        if let Some(output) = &self.report {
            text.push_str(&format!(
                "{}/: the report; begin with index.html\n",
                output.display()
            ));
        }
        if status.state() == v1::SweepState::Failed {
            text.push_str(&format!(
                "some trials failed; see why with\n  tenfold serve --store sqlite:{}/tenfold.sqlite &\n  tenfold show {}\n",
                self.results.display(),
                format::short(&status.sweep)
            ));
        }
        last_word(&text)
    }
}

/// Prints what came of the run. All of it is in files, and the exit code says how the sweep ended: that nobody reads it is no failure.
fn last_word(text: &str) -> Result<(), Failure> {
    match format::print(text) {
        Err(Failure::BrokenPipe) => Ok(()),
        printed => printed,
    }
}

/// A sweep that is over, as this run leaves it.
struct Done {
    status: v1::SweepStatus,
    /// None if nothing was left to train.
    training: Option<Training>,
    verdicts: Vec<Judged>,
}

/// What training took of this run.
struct Training {
    /// The time in which at least one trainer was in an epoch.
    trained: Duration,
    /// From the start of the workers to the end of the sweep.
    waited: Duration,
}

impl Training {
    fn said(&self, wall: Duration) -> String {
        let rest = wall.saturating_sub(self.trained);
        format!(
            "{} in all: {} of training (some trainer was in an epoch), {} of everything else ({:.0} %): {} around the \
             epochs, {} before and after\n",
            format::duration(wall.as_secs_f64()),
            format::duration(self.trained.as_secs_f64()),
            format::duration(rest.as_secs_f64()),
            100.0 * rest.as_secs_f64() / wall.as_secs_f64(),
            format::duration(self.waited.saturating_sub(self.trained).as_secs_f64()),
            format::duration(wall.saturating_sub(self.waited).as_secs_f64()),
        )
    }
}

/// How long, in this run, at least one trainer was in an epoch: the union of the stretches that trials trained in,
/// each of which ends with its attempt and is as long as its epochs took.
async fn trained_since(client: &Client, selector: &str, began: Instant) -> Result<Duration, Failure> {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let since = now.saturating_sub(began.elapsed()).as_secs_f64();
    let curves = results::curves(client, selector, true, None).await?;
    let mut stretches: Vec<(f64, f64)> = curves
        .iter()
        .filter_map(|curve| curve.provenance.as_ref())
        .filter_map(|provenance| {
            let end = provenance.attempt.ended_at? as f64 / 1000.0;
            let seconds: f64 = provenance.seconds.iter().map(|&seconds| f64::from(seconds)).sum();
            Some(((end - seconds).max(since), end))
        })
        .filter(|(start, end)| start < end)
        .collect();
    stretches.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut trained, mut until) = (0.0, f64::MIN);
    for (start, end) in stretches {
        trained += (end - start.max(until)).max(0.0);
        until = until.max(end);
    }
    Ok(Duration::from_secs_f64(trained))
}

/// Returns when the worker here has come and is none that the sweep takes: it would wait for another for ever.
async fn wrong_device(client: &Client, required: Option<DeviceKind>) -> Failure {
    let Some(required) = required else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(ASK).await;
        let Ok(answer) = client
            .control
            .clone()
            .workers(v1::WorkersRequest::default())
            .await
        else {
            continue;
        };
        let kinds = answer.into_inner().workers.into_iter();
        let kinds: Vec<_> = kinds
            .filter_map(|worker| DeviceKind::try_from(worker.kind()).ok())
            .collect();
        if !kinds.is_empty() && !kinds.contains(&required) {
            return Failure::Refused(format!(
                "the sweep requires device = \"{required}\", and the worker here has {}; run it where there is one, or \
                 with --set device=any",
                kinds[0]
            ));
        }
    }
}

/// The worker of this machine, started again when it dies.
struct LocalWorker {
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    child: Child,
}

impl LocalWorker {
    fn new(run: &Run, address: &str, folder: &Path) -> Result<Self, Failure> {
        let program = worker::program()?;
        let log = folder.join("worker.log");
        let mut arguments: Vec<String> = [
            "--exit-with-parent",
            "--coordinator",
            address,
            "--device",
            &run.device,
        ]
        .map(str::to_owned)
        .into();
        if let Some(slots) = run.slots {
            arguments.extend(["--slots".to_owned(), slots.to_string()]);
        }
        if let Some(data) = &run.data {
            arguments.extend(["--data".to_owned(), data.display().to_string()]);
        }
        File::create(&log).map_err(|error| exit::of_file(&log, &error))?;
        let child = start(&program, &arguments, &log)?;
        Ok(Self {
            program,
            arguments,
            log,
            child,
        })
    }

    /// Returns when the worker cannot be kept going.
    async fn supervise(&mut self) -> Failure {
        let mut deaths = 0;
        loop {
            let how = match self.child.wait().await {
                Ok(status) => status,
                Err(error) => return Failure::Refused(format!("cannot wait for the worker: {error}")),
            };
            deaths += 1;
            // What a worker says for good is not said differently the next time.
            if matches!(how.code(), Some(2 | 4 | 5)) || deaths >= DEATHS {
                return self.gave_up(how);
            }
            note!(
                "tenfold: the worker ended ({how}) and is started again; see {}",
                self.log.display()
            );
            tokio::time::sleep(AGAIN).await;
            match start(&self.program, &self.arguments, &self.log) {
                Ok(child) => self.child = child,
                Err(failure) => return failure,
            }
        }
    }

    fn gave_up(&self, how: ExitStatus) -> Failure {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        let what = format!("the worker ended ({how}):\n{end}");
        if how.code() == Some(2) {
            Failure::Usage(what)
        } else {
            Failure::Refused(what)
        }
    }

    async fn stop(mut self) {
        if let Some(process) = self
            .child
            .id()
            .and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()))
        {
            _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        }
        if tokio::time::timeout(STOPPING, self.child.wait()).await.is_err() {
            _ = self.child.kill().await;
        }
    }
}

fn start(program: &Path, arguments: &[String], log: &Path) -> Result<Child, Failure> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(log)
        .map_err(|error| exit::of_file(log, &error))?;
    Command::new(program)
        .args(arguments)
        // A Ctrl-C is for this process, which then stops the worker in order.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::from(file))
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Failure::Refused(format!("cannot start {}: {error}", program.display())))
}

/// Draws the curves of a stage: `figure.svg` and `figure.png`, or `figure-NAME.svg` where stages have names.
fn draw(groups: &[GroupResult], sweep: &str, folder: &Path) -> Result<(), Failure> {
    let stage = groups
        .first()
        .map_or("", |result| result.group.stage_name.as_str());
    let (title, stem) = match stage {
        "" => (sweep.to_owned(), "figure".to_owned()),
        stage => (format!("{sweep}: {stage}"), format!("figure-{stage}")),
    };
    let options = CurvesOptions {
        title,
        metrics: Vec::new(),
    };
    // What was trained is not to be hidden by a figure that cannot be drawn.
    for (kind, extension) in [(Kind::Svg, "svg"), (Kind::Png, "png")] {
        match kind.draw(groups, &options) {
            Ok(bytes) => write_file(&folder.join(format!("{stem}.{extension}")), &bytes)?,
            Err(failure) => {
                note!("tenfold: there is no figure: {failure}");
                break;
            }
        }
    }
    Ok(())
}
