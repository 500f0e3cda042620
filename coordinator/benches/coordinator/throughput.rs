//! Trials and epochs a second, and what each costs.

use std::time::{Duration, Instant};

use crate::Arguments;
use crate::fleet::How;
use crate::server::Server;
use crate::table::{Table, Target};

/// Trials of a pack.
pub(crate) const PACK: u32 = 250;
/// Workers that do a whole sweep.
pub(crate) const WORKERS: u32 = 4;

/// What a run of a whole sweep took, all in seconds.
pub(crate) struct Run {
    /// From the submit to the last durable end.
    pub(crate) wall: f64,
    /// The coordinator's processor time until then.
    until_end: f64,
    /// The coordinator's processor time until nothing is left to do: its results log comes after.
    pub(crate) cpu: f64,
    /// The workers' processor time.
    workers: f64,
}

/// Submits a sweep and has four workers do it, until nothing is left to do.
pub(crate) fn sweep(server: &Server, name: &str, trials: u64, epochs: u32) -> Run {
    let cpu = server.cpu();
    let run = done(server, name, trials, epochs);
    Run {
        cpu: server.rested() - cpu,
        ..run
    }
}

/// The same, until the last end is durable.
fn done(server: &Server, name: &str, trials: u64, epochs: u32) -> Run {
    // What went before is not written while this is measured.
    rustix::fs::sync();
    // They never come to the end of so many: what they took is read while they are there.
    let mut fleet = server.fleet(WORKERS, PACK, How::Whole { trials: u64::MAX });
    let (began, cpu, workers) = (Instant::now(), server.cpu(), fleet.cpu());
    server.submit(name, trials, epochs);
    fleet.begin();
    server.finished(name, &mut fleet);
    let cpu = server.cpu() - cpu;
    Run {
        wall: began.elapsed().as_secs_f64(),
        until_end: cpu,
        cpu,
        workers: fleet.cpu() - workers,
    }
}

pub(crate) fn measure(arguments: &Arguments, table: &mut Table) {
    empty(arguments, table);
    let server = Server::fresh(&arguments.output, "throughput");
    sweep(&server, "warm", 2_000, 100);
    let rounds = arguments.sized(5, 3);
    hundred(&server, rounds, arguments.sized(60_000, 20_000), table);
    one(&server, rounds, arguments.sized(100_000, 20_000), table);
}

/// Trials of a hundred epochs.
fn hundred(server: &Server, rounds: u64, trials: u64, table: &mut Table) {
    let count = trials as f64;
    let runs: Vec<Run> = (0..rounds)
        .map(|round| sweep(server, &format!("hundred-{round}"), trials, 100))
        .collect();
    // Fetched at once, while the results log is written as well.
    let fetched = (0..rounds).map(|round| {
        let name = format!("fetched-{round}");
        let run = done(server, &name, trials, 100);
        let began = Instant::now();
        assert_eq!(server.results(&name), trials / 10);
        let fetched = run.wall + began.elapsed().as_secs_f64();
        server.rested();
        fetched
    });
    let fetched = median(fetched);
    let of = |what: fn(&Run) -> f64| median(runs.iter().map(what));
    table.ours(
        "trials of 100 reports",
        "fake trials of 100 epochs, submitted to durably succeeded",
        count / of(|run| run.wall),
        "trials/s",
        Target::AtLeast(10_000.0),
    );
    table.add(
        "epochs accepted and durable, of 4 metrics",
        100.0 * count / of(|run| run.wall),
        "epochs/s",
        Target::None,
    );
    table.ours(
        "reports",
        "epochs accepted, durable and aggregated: until all results are fetched",
        100.0 * count / fetched,
        "epochs/s",
        Target::AtLeast(1e6),
    );
    table.add(
        "server CPU, a trial of 100 epochs, until its end is durable",
        1e6 * of(|run| run.until_end) / count,
        "µs",
        Target::None,
    );
    table.add(
        "server CPU, a trial of 100 epochs, the results log and all",
        1e6 * of(|run| run.cpu) / count,
        "µs",
        Target::AtMost(40.0),
    );
    table.add(
        "the workers' CPU, a trial of 100 epochs",
        1e6 * of(|run| run.workers) / count,
        "µs",
        Target::None,
    );
}

/// Trials of one epoch.
fn one(server: &Server, rounds: u64, trials: u64, table: &mut Table) {
    let count = trials as f64;
    let runs: Vec<Run> = (0..rounds)
        .map(|round| sweep(server, &format!("one-{round}"), trials, 1))
        .collect();
    table.add(
        "server CPU, a trial of 1 epoch, until its end is durable",
        1e6 * median(runs.iter().map(|run| run.until_end)) / count,
        "µs",
        Target::None,
    );
    table.ours(
        "server CPU, a task",
        "server CPU, a trial of 1 epoch, the results log and all",
        1e6 * median(runs.iter().map(|run| run.cpu)) / count,
        "µs",
        Target::AtMost(16.0),
    );
    table.ours(
        "tasks",
        "fake trials of 1 epoch, submitted to durably succeeded",
        count / median(runs.iter().map(|run| run.wall)),
        "trials/s",
        Target::None,
    );
}

/// A coordinator that has nothing to do.
fn empty(arguments: &Arguments, table: &mut Table) {
    let started: Vec<Server> = (0..5)
        .map(|at| Server::fresh(&arguments.output, &format!("start-{at}")))
        .collect();
    let times = started.iter().map(|server| server.started_in.as_secs_f64());
    table.add(
        "start to serving, empty store",
        1e3 * median(times),
        "ms",
        Target::AtMost(30.0),
    );
    std::thread::sleep(Duration::from_secs(2));
    let memory = started.iter().map(|server| server.memory().0);
    table.add("memory, idle", median(memory) / 1e6, "MB", Target::AtMost(20.0));
}

pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    percentile(values, 0.5)
}

/// The value that a share of all is at most: the nearest one that there is.
pub(crate) fn percentile(values: impl IntoIterator<Item = f64>, share: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[((values.len() as f64 * share).ceil() as usize).clamp(1, values.len()) - 1]
}
