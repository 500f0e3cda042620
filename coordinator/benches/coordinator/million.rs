//! A sweep of a million trials.

use std::time::Instant;

use tenfold_proto::v1;

use crate::Arguments;
use crate::fleet::How;
use crate::server::Server;
use crate::table::{Table, Target, number};
use crate::tail;
use crate::throughput::{PACK, WORKERS, median, sweep};

/// Trials of the sweep that it is compared with.
const FEW: u64 = 10_000;

pub(crate) fn measure(arguments: &Arguments, table: &mut Table) {
    let trials = arguments.sized(1_000_000, 100_000);
    let (many, few) = (number(trials as f64), number(FEW as f64));
    let small = Server::fresh(&arguments.output, "small");
    sweep(&small, "warm", 2_000, 100);
    let runs: Vec<_> = (0..5)
        .map(|at| sweep(&small, &format!("small-{at}"), FEW, 100))
        .collect();
    let cpu_of_few = median(runs.iter().map(|run| run.cpu)) / FEW as f64;
    let wall_of_few = median(runs.iter().map(|run| run.wall)) / FEW as f64;
    drop(small);

    let server = Server::fresh(&arguments.output, "million");
    sweep(&server, "warm", 2_000, 100);
    let submit = server.submit("large", trials, 100);
    table.add(
        format!("{many} trials: submit"),
        submit.as_secs_f64(),
        "s",
        Target::AtMost(0.1),
    );
    let mut fleet = server.fleet(WORKERS, PACK, How::Whole { trials: trials / 2 });
    let (began, before) = (Instant::now(), server.cpu());
    fleet.begin();
    fleet.said();
    let mut wall = began.elapsed().as_secs_f64();
    let mut cpu = server.rested() - before;
    let most = server.memory().1;
    let server = server.again();
    table.add(
        format!("{many} trials: restart when half are done, to serving"),
        server.started_in.as_secs_f64(),
        "s",
        Target::AtMost(2.0),
    );
    // It is written anew after a restart, which is no part of what trials cost.
    table.add(
        format!("{many} trials: server CPU of a restart when half are done, the results log and all"),
        server.rested(),
        "s",
        Target::None,
    );
    let mut fleet = server.fleet(WORKERS, PACK, How::Whole { trials: u64::MAX });
    let (began, before) = (Instant::now(), server.cpu());
    fleet.begin();
    server.finished("large", &mut fleet);
    wall += began.elapsed().as_secs_f64();
    drop(fleet);
    cpu += server.rested() - before;
    table.add(
        format!("{many} trials: memory, at most"),
        server.memory().1.max(most) / 1e6,
        "MB",
        Target::AtMost(300.0),
    );
    let done = trials as f64;
    table.add(
        format!("server CPU a trial, of {many} against of {few}"),
        cpu / done / cpu_of_few,
        "×",
        Target::AtMost(1.2),
    );
    table.add(
        format!("time a trial, of {many} against of {few}"),
        wall / done / wall_of_few,
        "×",
        Target::AtMost(1.2),
    );
    answers(&server, table, trials);
    server.submit("tailed", 1_000, 50);
    tail::seen(&server, &format!("{many} trials stored"), arguments, table);
}

/// How fast people are answered, with all of that in the store.
fn answers(server: &Server, table: &mut Table, trials: u64) {
    let mut time = |what: &str, ask: &dyn Fn()| {
        let times = (0..9).map(|_| {
            let began = Instant::now();
            ask();
            1e3 * began.elapsed().as_secs_f64()
        });
        table.add(
            format!("{} trials stored: {what}", number(trials as f64)),
            median(times),
            "ms",
            Target::None,
        );
    };
    time("list", &|| {
        server.ask(async |mut control| control.list(v1::ListRequest::default()).await.unwrap());
    });
    time("show", &|| {
        let selector = "large".to_owned();
        server.ask(async |mut control| control.show(v1::ShowRequest { selector }).await.unwrap());
    });
    time("show a trial", &|| {
        let trial = format!("large/0.{}.3", trials / 20);
        server.ask(async |mut control| control.show_trial(v1::ShowTrialRequest { trial }).await.unwrap());
    });
    time("the first group of results", &|| {
        let request = v1::ResultsRequest {
            selector: "large".to_owned(),
            by: Vec::new(),
            stage: None,
        };
        server.ask(async |mut control| {
            let mut stream = control.results(request).await.unwrap().into_inner();
            stream.message().await.unwrap();
        });
    });
}
