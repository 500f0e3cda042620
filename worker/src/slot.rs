//! A slot: starts a trainer, feeds it, passes on what it says, kills it when it hangs, and starts the next.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use tenfold_types::frame::{self, DESCRIPTOR, FromTrainer, PROTOCOL, ToTrainer};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::session::Event;

/// How much of a trainer's standard error is kept.
const STDERR_LINES: usize = 64;
const STDERR_LINE: usize = 1024;
/// A trainer has so long to load its data and greet.
const GREETING: Duration = Duration::from_secs(120);
/// The first pause before a trainer that died early is replaced, doubled with each, and the longest.
const AGAIN: Duration = Duration::from_millis(250);
const AGAIN_CAP: Duration = Duration::from_secs(30);
/// A trainer that lived so long did not die early.
const LIVED: Duration = Duration::from_secs(20);

/// How to start a trainer.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// One that makes no progress for so long has hung.
    pub patience: Duration,
}

/// What the agent says to a slot.
#[derive(Debug)]
pub enum Order {
    /// Pass this on.
    Tell(ToTrainer),
    /// Kill the trainer and start another.
    Kill,
}

/// Runs a slot until nobody orders any more. While `paused` is true nothing is read from the trainer.
pub async fn run(
    number: usize,
    launch: Launch,
    mut orders: mpsc::UnboundedReceiver<Order>,
    events: mpsc::Sender<(usize, Event)>,
    paused: watch::Receiver<bool>,
) {
    let mut early_deaths = 0u32;
    loop {
        let began = Instant::now();
        let mut life = match Life::begin(&launch) {
            Ok(life) => life,
            Err(error) => {
                let error = format!("cannot start {}: {error}", launch.program.display());
                if events
                    .send((number, Event::Unfit { slot: number, error }))
                    .await
                    .is_err()
                {
                    return;
                }
                sleep(AGAIN_CAP).await;
                continue;
            }
        };
        let end = life
            .live(number, &launch, &mut orders, &events, paused.clone())
            .await;
        let end_of_life = life.end(matches!(end, End::Killed | End::Hung(_))).await;
        let event = match end {
            End::Closed => return,
            End::Unfit(error) => Event::Unfit { slot: number, error },
            End::Killed => Event::Died {
                slot: number,
                how: "was killed".to_owned(),
                stderr: String::new(),
            },
            End::Hung(seconds) => Event::Died {
                slot: number,
                how: format!("made no progress for {seconds} s and was killed"),
                stderr: end_of_life.1,
            },
            // One that ends by itself before it has greeted would do so again; one that was killed was unlucky.
            End::Stillborn if end_of_life.0.is_some_and(|status| status.code().is_some()) => Event::Unfit {
                slot: number,
                error: format!("the trainer {}: {}", in_words(end_of_life.0), end_of_life.1),
            },
            End::Gone | End::Stillborn => Event::Died {
                slot: number,
                how: in_words(end_of_life.0),
                stderr: end_of_life.1,
            },
        };
        let killed = matches!(&event, Event::Died { how, .. } if how == "was killed");
        if let Event::Died { how, stderr, .. } = &event
            && !killed
        {
            tracing::warn!(slot = number, how, stderr, "a trainer died");
        }
        if let Event::Unfit { error, .. } = &event {
            tracing::error!(slot = number, error, "a trainer cannot work");
        }
        if events.send((number, event)).await.is_err() {
            return;
        }
        early_deaths = if killed || began.elapsed() > LIVED {
            0
        } else {
            early_deaths + 1
        };
        if early_deaths > 0 {
            sleep(
                AGAIN
                    .saturating_mul(1 << (early_deaths - 1).min(16))
                    .min(AGAIN_CAP),
            )
            .await;
        }
    }
}

/// Why a trainer's life ended.
enum End {
    /// The agent ends.
    Closed,
    /// It said that it cannot work.
    Unfit(String),
    /// It was ordered.
    Killed,
    /// It made no progress for so many seconds.
    Hung(u64),
    /// It is gone by itself.
    Gone,
    /// It is gone before it ever greeted: it cannot start here.
    Stillborn,
}

struct Life {
    child: Child,
    reader: Option<OwnedReadHalf>,
    writer: tokio::net::unix::OwnedWriteHalf,
    stderr: tokio::task::JoinHandle<VecDeque<String>>,
}

impl Life {
    fn begin(launch: &Launch) -> io::Result<Self> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new(&launch.program);
        command
            .args(&launch.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A Ctrl-C, or the end of the terminal, is for the worker, which then stops its trainers in order: one that such a
            // signal ended by itself would count as a failure of what it trained.
            .process_group(0)
            .kill_on_drop(true);
        let mapping = FdMapping {
            parent_fd: OwnedFd::from(theirs),
            child_fd: DESCRIPTOR,
        };
        command.fd_mappings(vec![mapping]).map_err(io::Error::other)?;
        let mut child = command.spawn()?;
        // The command holds the trainer's end until it is dropped here; only then does a death show as an end of file.
        drop(command);
        let (reader, writer) = UnixStream::from_std(ours)?.into_split();
        let piped = child.stderr.take();
        let stderr = tokio::spawn(async move {
            let mut kept = VecDeque::new();
            let Some(piped) = piped else { return kept };
            let mut lines = BufReader::new(piped).split(b'\n');
            while let Ok(Some(line)) = lines.next_segment().await {
                let line: String = String::from_utf8_lossy(&line).chars().take(STDERR_LINE).collect();
                match line.split_whitespace().nth(1) {
                    // As the trainer's log has its levels: behind the time.
                    Some("WARN" | "ERROR") => tracing::warn!(target: "trainer", "{line}"),
                    _ => tracing::debug!(target: "trainer", "{line}"),
                }
                kept.push_back(line);
                if kept.len() > STDERR_LINES {
                    kept.pop_front();
                }
            }
            kept
        });
        Ok(Self {
            child,
            reader: Some(reader),
            writer,
            stderr,
        })
    }

    async fn live(
        &mut self,
        number: usize,
        launch: &Launch,
        orders: &mut mpsc::UnboundedReceiver<Order>,
        events: &mpsc::Sender<(usize, Event)>,
        mut paused: watch::Receiver<bool>,
    ) -> End {
        // Reading is a task of its own: half a frame must not be lost when something else comes first.
        let (sender, mut frames) = mpsc::channel::<FromTrainer>(16);
        let Some(mut reader) = self.reader.take() else {
            return End::Gone;
        };
        let reading = tokio::spawn(async move {
            while let Ok(Some(frame)) = read_frame(&mut reader).await {
                if sender.send(frame).await.is_err() {
                    break;
                }
            }
        });
        let _stop_reading = AbortOnDrop(reading);
        let mut greeted = false;
        let mut busy = false;
        let mut progress = 0;
        let mut progressed = Instant::now();
        loop {
            let is_paused = *paused.borrow_and_update();
            let patience = if greeted { launch.patience } else { GREETING };
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    None => return End::Closed,
                    // Meant for the trainer before this one, whose death was not known yet.
                    Some(_) if !greeted => {}
                    Some(Order::Kill) => return End::Killed,
                    Some(Order::Tell(frame)) => {
                        busy |= matches!(frame, ToTrainer::Train { .. } | ToTrainer::Measure { .. });
                        progressed = Instant::now();
                        let Ok(bytes) = frame::encode(&frame) else { return End::Killed };
                        // A trainer reads at once or is dead, in which case its end of file comes next.
                        if timeout(launch.patience, self.writer.write_all(&bytes)).await.is_err() {
                            return End::Hung(launch.patience.as_secs());
                        }
                    }
                },
                changed = paused.changed() => {
                    if changed.is_err() {
                        return End::Closed;
                    }
                    progressed = Instant::now();
                }
                frame = frames.recv(), if !is_paused => {
                    let Some(frame) = frame else {
                        return if greeted { End::Gone } else { End::Stillborn };
                    };
                    let event = match frame {
                        FromTrainer::Hello {
                            protocol,
                            device,
                            lanes,
                            memory,
                        } => {
                            if protocol != PROTOCOL {
                                return End::Unfit(format!(
                                    "the trainer speaks frames of version {protocol} and this worker {PROTOCOL}; \
                                     install both from one build"
                                ));
                            }
                            greeted = true;
                            Event::Ready {
                                slot: number,
                                device,
                                lanes,
                                memory,
                            }
                        }
                        FromTrainer::Unfit { error } => return End::Unfit(error),
                        FromTrainer::Alive { progress: seen } => {
                            if seen != progress {
                                progress = seen;
                                progressed = Instant::now();
                            }
                            continue;
                        }
                        frame => {
                            progressed = Instant::now();
                            busy &= !matches!(frame, FromTrainer::PackEnded { .. } | FromTrainer::Measured { .. });
                            Event::Frame { slot: number, frame }
                        }
                    };
                    if events.send((number, event)).await.is_err() {
                        return End::Closed;
                    }
                }
                () = tokio::time::sleep_until(progressed + patience), if !is_paused && (busy || !greeted) => {
                    return End::Hung(patience.as_secs());
                }
            }
        }
    }

    /// Kills it if it still lives, `at_once` or when it does not end by itself; how it ended, and the end of its
    /// standard error.
    async fn end(mut self, at_once: bool) -> (Option<ExitStatus>, String) {
        if at_once {
            _ = self.child.start_kill();
        }
        // One that has closed its socket is about to exit by itself; its own status says more than our signal.
        let status = match timeout(Duration::from_millis(200), self.child.wait()).await {
            Ok(status) => status.ok(),
            Err(_) => {
                _ = self.child.start_kill();
                self.child.wait().await.ok()
            }
        };
        let kept = timeout(Duration::from_secs(1), self.stderr).await;
        let lines = kept.ok().and_then(Result::ok).unwrap_or_default();
        (status, lines.into_iter().collect::<Vec<_>>().join("\n"))
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn read_frame(reader: &mut OwnedReadHalf) -> io::Result<Option<FromTrainer>> {
    let mut prefix = [0; 4];
    match reader.read_exact(&mut prefix).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut bytes = vec![0; frame::length(prefix)?];
    reader.read_exact(&mut bytes).await?;
    frame::decode(&bytes).map(Some)
}

fn in_words(status: Option<ExitStatus>) -> String {
    match status.map(|status| (status.code(), status.signal())) {
        Some((Some(code), _)) => format!("exited with code {code}"),
        Some((None, Some(signal))) => format!("was killed by signal {signal}"),
        _ => "is gone".to_owned(),
    }
}
