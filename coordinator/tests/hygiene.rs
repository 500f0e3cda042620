//! What clients cannot do to a coordinator: take all its connections, files, memory or patience.

#![expect(clippy::unwrap_used, reason = "a test may unwrap")]

mod common;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::fleet::{FakeWorker, Fate};
use common::tails::unread_tails;
use common::{Cluster, PATIENCE, SWEEP, signal};
use tenfold_proto::v1::control_client::ControlClient;
use tenfold_proto::v1::fleet_client::FleetClient;
use tenfold_proto::{pushback, v1};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn process(cluster: &Cluster) -> u32 {
    cluster.coordinator.as_ref().unwrap().0.id()
}

fn log(cluster: &Cluster) -> String {
    fs::read_to_string(cluster.folder.path().join("serve.log")).unwrap()
}

fn silent(cluster: &Cluster, sockets: usize) -> Vec<TcpStream> {
    (0..sockets)
        .map(|_| TcpStream::connect(("127.0.0.1", cluster.port)).unwrap())
        .collect()
}

fn channel(runtime: &Runtime, cluster: &Cluster) -> Channel {
    let _inside = runtime.enter();
    Endpoint::from_shared(cluster.address()).unwrap().connect_lazy()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// Kilobytes of memory that a process has.
fn memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Hundredths of seconds of processor that a process has used.
fn processor(process: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

fn files(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).unwrap().count()
}

fn limit_files(process: u32, soft: usize) {
    let status = Command::new("prlimit")
        .args(["--pid", &process.to_string(), &format!("--nofile={soft}:")])
        .status()
        .unwrap();
    assert!(status.success());
}

/// Waits for something to come: whether that is the end.
fn is_closed_by_peer(socket: &mut TcpStream) -> bool {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    match socket.read(&mut [0; 64]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

fn assert_asks_for_a_pause(status: &Status) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    let pause = pushback::of(status).unwrap_or_else(|| panic!("no pause in {status:?}"));
    assert!(
        pause > Duration::ZERO && pause < Duration::from_secs(10),
        "{pause:?}"
    );
}

#[test]
fn connections_over_the_limit_hear_why_and_are_taken_again_when_there_is_room() {
    let mut cluster = Cluster::patient();
    cluster.serve_with(&["--max-connections", "4"]);
    let mut holders = silent(&cluster, 8);
    let runtime = runtime();
    let list = || {
        let mut control = ControlClient::new(channel(&runtime, &cluster));
        runtime.block_on(async { control.list(v1::ListRequest::default()).await })
    };
    let refused = cluster.until("a connection is refused", || list().err());
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert!(
        format!("{refused:?}").contains("all its 4 connections"),
        "{refused:?}"
    );

    // One of the commands that waited until it served may have held a connection until now.
    holders.extend(silent(&cluster, 8));
    let waiting = cluster.spawn(&["list"]);
    sleep(Duration::from_millis(300));
    holders.clear();
    let (code, _, complained) = waiting.end();
    assert_eq!(code, Some(0), "{complained}");
    assert!(complained.contains("all its 4 connections"), "{complained}");
    // Said when they run out, not with every refusal; they did again if one of the first commands was still there.
    let said = log(&cluster).matches("all connections are taken").count();
    assert!((1..=2).contains(&said), "said {said} times");
}

#[test]
fn whoever_does_not_begin_to_speak_http_2_is_cut_off() {
    let cluster = Cluster::patient();
    let mut silent = silent(&cluster, 3);
    silent[1].write_all(&PREFACE[..10]).unwrap();
    silent[2]
        .write_all(b"GET / HTTP/1.1\r\nHost: tenfold\r\n\r\n")
        .unwrap();
    for socket in &mut silent {
        assert!(is_closed_by_peer(socket));
    }
}

#[test]
fn a_coordinator_without_files_left_goes_on_and_takes_connections_again() {
    let mut cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    let mut worker = FakeWorker::register(&cluster, "abacus");
    let of = process(&cluster);
    limit_files(of, files(of) + 3);
    let crowd = silent(&cluster, 30);
    cluster.until("files run out", || {
        log(&cluster).contains("no connection can be taken").then_some(())
    });
    let before = processor(of);
    sleep(Duration::from_secs(2));
    let used = processor(of) - before;
    assert!(used < 50, "it spins: {used} of 200 hundredths of a second");
    worker.train(1, |_| Fate::Succeeds);

    drop(crowd);
    limit_files(of, 1024);
    let (_, _, complained) = {
        let list = cluster.spawn(&["list"]).end();
        assert_eq!(list.0, Some(0), "{}", list.2);
        list
    };
    assert_eq!(complained, "");
    worker.train(7, |_| Fate::Succeeds);
    cluster.until_over();
    let said = log(&cluster);
    assert_eq!(said.matches("no connection can be taken").count(), 1, "{said}");
    assert_eq!(said.matches("connections are taken again").count(), 1, "{said}");
    signal(of, "-TERM");
    let status = cluster.coordinator.as_mut().unwrap().0.wait().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn with_few_files_it_takes_fewer_connections_and_keeps_its_store_open() {
    let mut cluster = Cluster::patient();
    cluster.start.through = ["prlimit", "--nofile=64"].map(str::to_owned).to_vec();
    cluster.serve_with(&[]);
    assert!(
        log(&cluster).contains("fewer connections are taken"),
        "{}",
        log(&cluster)
    );
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    let mut worker = FakeWorker::register(&cluster, "abacus");
    let crowd = silent(&cluster, 200);
    worker.train(4, |_| Fate::Succeeds);
    drop(crowd);
    worker.train(4, |_| Fate::Succeeds);
    assert_eq!(cluster.until_over()["state"], "complete");
}

#[test]
fn a_message_of_more_than_a_mebibyte_is_refused_and_the_connection_goes_on() {
    let cluster = Cluster::patient();
    let runtime = runtime();
    let mut control = ControlClient::new(channel(&runtime, &cluster));
    runtime.block_on(async {
        let source = v1::SweepSource {
            text: "#".repeat(3 << 19),
            ..v1::SweepSource::default()
        };
        let refused = control
            .submit(v1::SubmitRequest {
                source: Some(source),
                ..v1::SubmitRequest::default()
            })
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::OutOfRange, "{refused:?}");
        assert!(refused.message().contains("1048576"), "{refused:?}");
        assert!(control.list(v1::ListRequest::default()).await.is_ok());
    });
}

/// A call that has begun, whose message never comes.
async fn half(channel: Channel) {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let messages = tonic::Request::new(tokio_stream::pending::<v1::HeartbeatRequest>());
    let codec = tonic_prost::ProstCodec::<_, v1::HeartbeatResponse>::default();
    let path = PathAndQuery::from_static("/tenfold.v1.Fleet/Heartbeat");
    _ = client.client_streaming(messages, path, codec).await;
}

#[test]
fn a_flood_of_calls_is_shed_with_a_pause_and_a_worker_gets_through_in_the_end() {
    let cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    let runtime = runtime();
    let mut flood = JoinSet::new();
    for _ in 0..17 {
        let channel = channel(&runtime, &cluster);
        for _ in 0..250 {
            flood.spawn_on(half(channel.clone()), runtime.handle());
        }
    }
    let mut client = FleetClient::new(channel(&runtime, &cluster));
    let heartbeat = v1::HeartbeatRequest {
        worker: b"stranger".to_vec(),
        fences: Vec::new(),
    };
    let shed = cluster.until("a call is shed", || {
        let answer = runtime.block_on(client.heartbeat(heartbeat.clone()));
        answer
            .err()
            .filter(|status| status.code() == Code::ResourceExhausted)
    });
    assert_asks_for_a_pause(&shed);
    assert!(shed.message().contains("4096 reports"), "{shed}");

    // People are counted apart, and so are workers that wait.
    cluster.command(&["list"]);
    let worker = cluster.fake_worker("patient", &cluster.address(), 1, 0);
    cluster.until("the worker is turned away", || {
        let said = fs::read_to_string(cluster.folder.path().join("patient.log")).unwrap();
        said.contains("4096 reports").then_some(())
    });
    assert_eq!(cluster.command(&["workers", "--json"]), "");
    flood.abort_all();
    assert_eq!(cluster.until_over()["state"], "complete");
    drop(worker);
}

#[test]
fn tails_that_are_never_read_cost_nothing() {
    const EPOCHS: u32 = 20_000;
    let cluster = Cluster::patient();
    let sweep = SWEEP.replace("epochs = 3", &format!("epochs = {EPOCHS}"));
    cluster.command(&["submit", &cluster.write("long.toml", &sweep)]);
    let mut worker = FakeWorker::register(&cluster, "abacus");
    let train = |worker: &mut FakeWorker| {
        let lease = worker.lease().unwrap();
        for first in (1..=EPOCHS).step_by(5_000) {
            worker.append(&lease, first..=first + 4_999);
        }
        worker.finish(&lease, EPOCHS, Fate::Succeeds);
    };
    // What SQLite and the allocator take once is there before it is measured.
    train(&mut worker);
    let runtime = runtime();
    let _tails = [
        unread_tails(&runtime, &cluster, 40, true),
        unread_tails(&runtime, &cluster, 10, false),
    ];
    let before = memory(process(&cluster));
    for _ in 0..7 {
        train(&mut worker);
    }
    assert_eq!(cluster.until_over()["state"], "complete");
    sleep(Duration::from_secs(2));
    let grown = memory(process(&cluster)).saturating_sub(before) / 1024;
    // 3 MB were appended: kept for each tail, they would be 150 MB and more. Some 35 MB are for the results log.
    assert!(grown < 100, "grown by {grown} MB");
}

#[test]
fn streams_that_fill_their_limit_leave_others_alone_and_a_tail_waits_for_its_turn() {
    let cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    let runtime = runtime();
    let request = v1::WatchRequest {
        selector: "last".to_owned(),
        follow: true,
        ..v1::WatchRequest::default()
    };
    let (mut streams, mut shed) = (Vec::new(), None);
    'all: for _ in 0..5 {
        let mut control = ControlClient::new(channel(&runtime, &cluster));
        for _ in 0..250 {
            match runtime.block_on(control.watch(request.clone())) {
                Ok(stream) => streams.push(stream),
                Err(status) => {
                    shed = Some(status);
                    break 'all;
                }
            }
        }
    }
    assert_eq!(streams.len(), 1024);
    assert_asks_for_a_pause(&shed.unwrap());
    cluster.command(&["list"]);
    let tail = cluster.spawn(&["tail", "last", "--json"]);
    FakeWorker::register(&cluster, "abacus").train(8, |_| Fate::Succeeds);
    streams.clear();
    let (code, lines, complained) = tail.end();
    assert_eq!(code, Some(0), "{complained}");
    assert!(complained.contains("1024 streams"), "{complained}");
    assert!(!lines.is_empty());
}

#[test]
fn a_coordinator_ends_within_15_s_whatever_its_clients_do() {
    let mut cluster = Cluster::patient();
    let sweep = SWEEP.replace("epochs = 3", "epochs = 20000");
    cluster.command(&["submit", &cluster.write("long.toml", &sweep)]);
    let mut worker = FakeWorker::register(&cluster, "abacus");
    let lease = worker.lease().unwrap();
    let runtime = runtime();
    let _tails = unread_tails(&runtime, &cluster, 50, true);
    for first in (1..=20_000).step_by(5_000) {
        worker.append(&lease, first..=first + 4_999);
    }
    let _silent = silent(&cluster, 10);
    let mut partial = silent(&cluster, 3);
    partial
        .iter_mut()
        .for_each(|socket| socket.write_all(&PREFACE[..7]).unwrap());
    // The whole preface and nothing behind it.
    let mut mute = silent(&cluster, 3);
    mute.iter_mut()
        .for_each(|socket| socket.write_all(PREFACE).unwrap());
    let mut halves = JoinSet::new();
    let shared = channel(&runtime, &cluster);
    for _ in 0..10 {
        halves.spawn_on(half(shared.clone()), runtime.handle());
    }
    sleep(Duration::from_millis(500));

    let mut coordinator = cluster.coordinator.take().unwrap();
    let began = Instant::now();
    signal(coordinator.0.id(), "-TERM");
    let status = cluster.until("the coordinator ends", || coordinator.0.try_wait().unwrap());
    assert_eq!(status.code(), Some(0), "{}", log(&cluster));
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());

    cluster.serve();
    let trial = cluster.command(&["show", "last/0.0.0"]);
    assert!(
        trial.contains("20000"),
        "what was acknowledged is durable: {trial}"
    );
}
