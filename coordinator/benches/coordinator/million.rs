//! A sweep of a million trials.

use std::time::{Duration, Instant};

use tenfold_proto::v1;

use crate::Arguments;
use crate::fleet::Work;
use crate::server::Server;
use crate::table::{Table, Target};
use crate::throughput::{Run, sweep};

pub(crate) fn measure(arguments: &Arguments, table: &mut Table) {
    let trials = arguments.sized(1_000_000, 100_000);
    let small = Server::fresh(&arguments.output, "small");
    sweep(&small, "warm", 2_000, 100);
    let Run { cpu, wall } = sweep(&small, "small", 10_000, 100);
    let (small_cpu, small_wall) = (cpu / 10_000.0, wall / 10_000.0);
    drop(small);

    let server = Server::fresh(&arguments.output, "million");
    sweep(&server, "warm", 2_000, 100);
    let (began, cpu) = (Instant::now(), server.cpu());
    let submit = server.submit("large", trials, 100);
    table.add(
        format!("{trials} trials: submit"),
        submit.as_secs_f64(),
        "s",
        Target::AtMost(0.1),
    );
    let work = Work {
        workers: 4,
        pack: 250,
        epochs: 100,
        ..Work::default()
    };
    let half = Work {
        trials: trials / 2,
        ..work.clone()
    };
    server.fleet(half).said();
    let (mut wall, mut cpu) = (began.elapsed().as_secs_f64(), server.cpu() - cpu);
    let most = server.memory().1;
    let server = server.restart();
    table.add(
        format!("{trials} trials: restart when half are done, to serving"),
        server.started_in.as_secs_f64(),
        "s",
        Target::AtMost(2.0),
    );
    let (began, before) = (Instant::now(), server.cpu());
    // Those leased when it was killed are still held; the rest is done.
    let rest = server.fleet(Work {
        trials: trials / 2,
        ..work
    });
    while server.status("large").trials.unwrap().pending > 0 {
        std::thread::sleep(Duration::from_millis(100));
    }
    wall += began.elapsed().as_secs_f64();
    cpu += server.cpu() - before;
    drop(rest);
    let memory = server.memory().1.max(most);
    table.add(
        format!("{trials} trials: memory, at most"),
        memory / 1e6,
        "MB",
        Target::AtMost(300.0),
    );
    let done = trials as f64;
    table.add(
        format!("server CPU a trial, at {trials} to at 10,000"),
        cpu / done / small_cpu,
        "×",
        Target::AtMost(1.2),
    );
    table.add(
        format!("time a trial, at {trials} to at 10,000"),
        wall / done / small_wall,
        "×",
        Target::AtMost(1.2),
    );
    answers(&server, table, trials);
}

/// How fast people are answered, with all of that in the store.
fn answers(server: &Server, table: &mut Table, trials: u64) {
    let mut time = |what: &str, ask: &dyn Fn()| {
        let mut times: Vec<f64> = (0..5)
            .map(|_| {
                let began = Instant::now();
                ask();
                1e3 * began.elapsed().as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        table.add(
            format!("{trials} trials stored: {what}"),
            times[2],
            "ms",
            Target::None,
        );
    };
    time("list", &|| {
        server.ask(async |mut control| control.list(v1::ListRequest::default()).await.unwrap());
    });
    time("show", &|| _ = server.show("large"));
    time("show a trial", &|| {
        let trial = "large/0.5000.3".to_owned();
        server.ask(async |mut control| control.show_trial(v1::ShowTrialRequest { trial }).await.unwrap());
    });
    time("first group of results", &|| {
        let request = v1::ResultsRequest {
            selector: "large".to_owned(),
            by: Vec::new(),
        };
        server.ask(async |mut control| {
            let mut stream = control.results(request).await.unwrap().into_inner();
            stream.message().await.unwrap();
        });
    });
}
