//! Whatever is said twice is done once: all calls that change something, by the descriptors of the protos, sent twice, and once more
//! after a restart.

#![expect(clippy::unwrap_used, reason = "a test may unwrap")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::fleet::FakeWorker;
use common::{Cluster, PATIENCE, Running, SWEEP, tenfold, text};
use prost::Message;
use prost_types::FileDescriptorSet;
use prost_types::method_options::IdempotencyLevel;
use rusqlite::{Connection, OpenFlags};
use tenfold_proto::v1::control_client::ControlClient;
use tenfold_proto::v1::fleet_client::FleetClient;
use tenfold_proto::{PROTOCOL, v1};
use tenfold_types::floats;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};

/// What a call gave: the encoded answer, or the code and text of its refusal.
type Answer = Result<Vec<u8>, (Code, String)>;

/// A call that changes something.
struct Call {
    /// Brings about what it changes.
    before: fn(&Cluster),
    /// Sends it under this request id, if it has one.
    send: fn(&Cluster, &str) -> Answer,
    /// Whether this is what the same gives as a new order, under another id.
    anew: fn(&Answer) -> bool,
    /// It leaves something on disk.
    writes: bool,
}

impl Call {
    fn new(before: fn(&Cluster), send: fn(&Cluster, &str) -> Answer, anew: fn(&Answer) -> bool) -> Self {
        Self {
            before,
            send,
            anew,
            writes: true,
        }
    }
}

fn ask<M: Message>(
    cluster: &Cluster,
    call: impl AsyncFnOnce(Channel) -> Result<Response<M>, Status>,
) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let answer = runtime.block_on(async {
        let endpoint = Endpoint::from_shared(cluster.address()).unwrap();
        call(endpoint.connect().await.unwrap()).await
    });
    answer
        .map(|answer| answer.into_inner().encode_to_vec())
        .map_err(|status| (status.code(), status.message().to_owned()))
}

/// A call of Control that names a sweep.
macro_rules! select {
    ($method:ident) => {
        |cluster, id| {
            let request = v1::SelectRequest {
                selector: "last".to_owned(),
                request_id: id.to_owned(),
            };
            ask(cluster, async |channel| {
                ControlClient::new(channel).$method(request).await
            })
        }
    };
}

fn submit(cluster: &Cluster, text: &str, id: &str) -> Answer {
    let request = v1::SubmitRequest {
        source: Some(v1::SweepSource {
            text: text.to_owned(),
            file: "small.toml".to_owned(),
            ..v1::SweepSource::default()
        }),
        request_id: id.to_owned(),
    };
    ask(cluster, async |channel| {
        ControlClient::new(channel).submit(request).await
    })
}

fn refine(cluster: &Cluster, id: &str) -> Answer {
    let request = v1::RefineRequest {
        selector: "last".to_owned(),
        axis: "learning_rate".to_owned(),
        points: 3,
        span: 0.5,
        request_id: id.to_owned(),
        ..v1::RefineRequest::default()
    };
    ask(cluster, async |channel| {
        ControlClient::new(channel).refine(request).await
    })
}

fn submitted(cluster: &Cluster) {
    submit(cluster, SWEEP, "").unwrap();
}

fn ordered(cluster: &Cluster, order: &str) {
    submitted(cluster);
    cluster.command(&[order, "last"]);
}

const WORKER: [u8; 8] = [1; 8];
const FENCE: u64 = 1;

fn register(cluster: &Cluster, _: &str) -> Answer {
    let slot = v1::Slot {
        kind: v1::DeviceKind::Cpu.into(),
        device: "an abacus".to_owned(),
        threads: 1,
    };
    let request = v1::RegisterRequest {
        protocol: PROTOCOL,
        worker: WORKER.to_vec(),
        host: "node".to_owned(),
        slots: vec![slot],
        ..v1::RegisterRequest::default()
    };
    ask(cluster, async |channel| {
        FleetClient::new(channel).register(request).await
    })
}

fn acquire(cluster: &Cluster, _: &str) -> Answer {
    let request = v1::AcquireRequest {
        worker: WORKER.to_vec(),
        request: vec![9; 16],
        slot: 0,
        max_trials: 2,
        sizes: Vec::new(),
    };
    ask(cluster, async |channel| {
        FleetClient::new(channel).acquire(request).await
    })
}

/// The trials of the lease: the repetitions of the first point.
const TRIALS: [v1::TrialKey; 2] = [key(0), key(1)];

const fn key(repetition: u32) -> v1::TrialKey {
    v1::TrialKey {
        stage: 0,
        index: 0,
        repetition,
    }
}

fn lease(cluster: &Cluster) -> v1::Lease {
    let answer = acquire(cluster, "").unwrap();
    let answer = v1::AcquireResponse::decode(answer.as_slice()).unwrap();
    answer.lease.unwrap()
}

fn leased(cluster: &Cluster) {
    submitted(cluster);
    register(cluster, "").unwrap();
    let lease = lease(cluster);
    let trials: Vec<_> = lease.trials.iter().filter_map(|leased| leased.trial).collect();
    assert_eq!((lease.fence, trials), (FENCE, TRIALS.to_vec()));
}

fn append(cluster: &Cluster, _: &str) -> Answer {
    // Of the first trial all epochs and the end, of the second the first epoch.
    let report = |trial: v1::TrialKey, epochs: u32, end: Option<v1::End>| v1::TrialReport {
        trial: Some(trial),
        attempt: 1,
        blocks: vec![v1::Block {
            first: 1,
            epochs,
            columns: floats::to_bytes(&vec![0.5; 4 * epochs as usize]),
            seconds: floats::to_bytes(&vec![0.25; epochs as usize]),
        }],
        end,
    };
    let end = v1::End {
        epochs: 3,
        outcome: Some(v1::end::Outcome::Succeeded(v1::Succeeded {})),
    };
    let request = v1::AppendRequest {
        worker: WORKER.to_vec(),
        sweep: lease(cluster).sweep,
        fence: FENCE,
        trials: vec![report(TRIALS[0], 3, Some(end)), report(TRIALS[1], 1, None)],
    };
    ask(cluster, async |channel| {
        FleetClient::new(channel).append(request).await
    })
}

fn heartbeat(cluster: &Cluster, _: &str) -> Answer {
    let request = v1::HeartbeatRequest {
        worker: WORKER.to_vec(),
        fences: vec![FENCE, 7],
    };
    ask(cluster, async |channel| {
        FleetClient::new(channel).heartbeat(request).await
    })
}

fn is_fine(answer: &Answer) -> bool {
    answer.is_ok()
}

/// All calls that change something, by their names in the protos.
fn calls() -> BTreeMap<&'static str, Call> {
    let existing = |answer: &Answer| {
        let answer = answer.as_ref().unwrap().as_slice();
        v1::SubmitResponse::decode(answer).unwrap().existing
    };
    let retry = |cluster: &Cluster, id: &str| {
        let request = v1::RetryRequest {
            selector: "last".to_owned(),
            failed: false,
            cancelled: true,
            request_id: id.to_owned(),
        };
        ask(cluster, async |channel| {
            ControlClient::new(channel).retry(request).await
        })
    };
    let nothing_to_retry = |answer: &Answer| {
        let answer = answer.as_ref().unwrap().as_slice();
        v1::RetryResponse::decode(answer).unwrap().retried == 0
    };
    let extend = |cluster: &Cluster, id: &str| {
        let request = v1::ExtendRequest {
            selector: "last".to_owned(),
            repetitions: 3,
            request_id: id.to_owned(),
            ..v1::ExtendRequest::default()
        };
        ask(cluster, async |channel| {
            ControlClient::new(channel).extend(request).await
        })
    };
    let extended_already =
        |answer: &Answer| matches!(answer, Err((Code::InvalidArgument, why)) if why.contains("extended"));
    // There is a stage more that varies the axis, so that the file's own has to be named.
    let refined_already =
        |answer: &Answer| matches!(answer, Err((Code::InvalidArgument, why)) if why.contains("refine-1"));
    let drain = |cluster: &Cluster, id: &str| {
        let request = v1::DrainRequest {
            worker: "node".to_owned(),
            request_id: id.to_owned(),
        };
        ask(cluster, async |channel| {
            ControlClient::new(channel).drain(request).await
        })
    };
    let not_found = |answer: &Answer| matches!(answer, Err((Code::NotFound, _)));
    BTreeMap::from([
        (
            "Control.Submit",
            Call::new(|_| (), |cluster, id| submit(cluster, SWEEP, id), existing),
        ),
        ("Control.Pause", Call::new(submitted, select!(pause), is_fine)),
        (
            "Control.Resume",
            Call::new(|cluster| ordered(cluster, "pause"), select!(resume), is_fine),
        ),
        ("Control.Stop", Call::new(submitted, select!(stop), is_fine)),
        ("Control.Cancel", Call::new(leased, select!(cancel), is_fine)),
        (
            "Control.Retry",
            Call::new(|cluster| ordered(cluster, "stop"), retry, nothing_to_retry),
        ),
        ("Control.Extend", Call::new(submitted, extend, extended_already)),
        ("Control.Refine", Call::new(submitted, refine, refined_already)),
        // The worker is not heard of after the restart, so that its host's name finds nobody.
        (
            "Control.Drain",
            Call::new(|cluster| _ = register(cluster, ""), drain, not_found),
        ),
        (
            "Control.Delete",
            Call::new(|cluster| ordered(cluster, "cancel"), select!(delete), not_found),
        ),
        ("Fleet.Register", Call::new(|_| (), register, is_fine)),
        (
            "Fleet.Acquire",
            Call::new(
                |cluster| {
                    submitted(cluster);
                    register(cluster, "").unwrap();
                },
                acquire,
                is_fine,
            ),
        ),
        ("Fleet.Append", Call::new(leased, append, is_fine)),
        (
            "Fleet.Heartbeat",
            Call {
                writes: false,
                ..Call::new(leased, heartbeat, is_fine)
            },
        ),
    ])
}

/// The calls that change something and need a request id, and those that are idempotent by what they say, as the descriptors have it.
fn declared() -> (BTreeSet<String>, BTreeSet<String>) {
    let files = FileDescriptorSet::decode(tenfold_proto::DESCRIPTORS).unwrap();
    let files = || files.file.iter().filter(|file| file.package() == "tenfold.v1");
    let has_id = |message: &str| {
        let mut messages = files().flat_map(|file| &file.message_type);
        let found = messages.find(|found| message.ends_with(&format!(".{}", found.name())));
        found
            .unwrap()
            .field
            .iter()
            .any(|field| field.name() == "request_id")
    };
    let (mut with_id, mut without) = (BTreeSet::new(), BTreeSet::new());
    for service in files().flat_map(|file| &file.service) {
        for method in &service.method {
            let name = format!("{}.{}", service.name(), method.name());
            let level = method.options.as_ref().map(|options| options.idempotency_level());
            match level.unwrap_or(IdempotencyLevel::IdempotencyUnknown) {
                IdempotencyLevel::NoSideEffects => {
                    assert!(
                        !has_id(method.input_type()),
                        "{name} reads, and needs no request id"
                    );
                }
                IdempotencyLevel::Idempotent => _ = without.insert(name),
                IdempotencyLevel::IdempotencyUnknown => {
                    assert!(
                        has_id(method.input_type()),
                        "{name} changes something: its request needs a request_id, or it the option idempotency_level"
                    );
                    with_id.insert(name);
                }
            }
        }
    }
    (with_id, without)
}

/// All rows of the store, when nothing of deleted sweeps is left.
fn rows(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let file = folder.join("runs/tenfold.sqlite");
    let store = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    // What a deleted sweep has left behind goes bit by bit.
    let began = Instant::now();
    let gone = || {
        store
            .query_row("SELECT count(*) FROM gone", [], |row| row.get::<_, u32>(0))
            .unwrap()
    };
    while gone() > 0 {
        assert!(began.elapsed() < PATIENCE, "a deleted sweep is still there");
        thread::sleep(Duration::from_millis(10));
    }
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table'";
    let mut names = store.prepare(names).unwrap();
    let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let rows = |table: String| {
        let mut statement = store.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let value = |column| row.get::<_, rusqlite::types::Value>(column).unwrap();
            Ok(format!("{:?}", (0..columns).map(value).collect::<Vec<_>>()))
        };
        let rows = statement
            .query_map([], row)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        (table, rows)
    };
    names.map(|table| rows(table.unwrap())).collect()
}

#[test]
fn every_call_that_changes_something_is_done_once_however_often_it_is_sent() {
    let (with_id, without) = declared();
    let calls = calls();
    let tested: BTreeSet<String> = calls.keys().map(|name| (*name).to_owned()).collect();
    let declared: BTreeSet<String> = with_id.union(&without).cloned().collect();
    assert_eq!(
        tested, declared,
        "each call that does not only read is sent twice here"
    );
    for (name, call) in calls {
        let mut cluster = Cluster::patient();
        (call.before)(&cluster);
        let id = format!("a-request-of-{name}");
        let before = rows(cluster.folder.path());
        let first = (call.send)(&cluster, &id);
        assert!(first.is_ok(), "{name}: {first:?}");
        let after = rows(cluster.folder.path());
        assert_eq!(before != after, call.writes, "{name} changes something");
        for restart in [false, true] {
            if restart {
                cluster.kill();
                cluster.serve();
            }
            assert_eq!((call.send)(&cluster, &id), first, "{name}, restarted: {restart}");
            assert_eq!(rows(cluster.folder.path()), after, "{name}, restarted: {restart}");
        }
        if !with_id.contains(name) {
            continue;
        }
        // Under the same id nothing else can be asked.
        let other = submit(&cluster, &SWEEP.replace("small", "other"), &id).unwrap_err();
        assert_eq!(other.0, Code::AlreadyExists, "{name}: {other:?}");
        assert!(other.1.contains(&id), "{other:?}");
        assert_eq!(rows(cluster.folder.path()), after, "{name}");
        let anew = (call.send)(&cluster, "another-order-entirely");
        assert!((call.anew)(&anew), "{name}: {anew:?}");
    }
}

#[test]
fn a_refusal_is_an_answer_too_and_what_is_no_id_is_refused() {
    let mut cluster = Cluster::patient();
    submitted(&cluster);
    cluster.command(&["stop", "last"]);
    let first = refine(&cluster, "refused-while-stopped");
    assert!(matches!(first, Err((Code::FailedPrecondition, _))), "{first:?}");
    cluster.command(&["resume", "last"]);
    cluster.kill();
    cluster.serve();
    assert_eq!(
        refine(&cluster, "refused-while-stopped"),
        first,
        "it was refused, and stays so"
    );
    let later = refine(&cluster, "a-new-order-later");
    assert!(later.is_ok(), "{later:?}");
    let wrong = refine(&cluster, "short");
    assert!(
        matches!(&wrong, Err((Code::InvalidArgument, why)) if why.contains("request id")),
        "{wrong:?}"
    );
    // Older programs and others that give no id are served, each time anew.
    let anew = refine(&cluster, "");
    assert!(
        matches!(&anew, Err((Code::InvalidArgument, why)) if why.contains("refine-1")),
        "{anew:?}"
    );
    assert_eq!(refine(&cluster, "a-new-order-later"), later);
}

#[test]
fn copies_that_come_at_once_are_one() {
    let cluster = Cluster::patient();
    submitted(&cluster);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let answers = runtime.block_on(async {
        let mut calls = JoinSet::new();
        for _ in 0..64 {
            let channel = Endpoint::from_shared(cluster.address()).unwrap().connect_lazy();
            calls.spawn(async move {
                let request = v1::RefineRequest {
                    selector: "last".to_owned(),
                    axis: "learning_rate".to_owned(),
                    points: 3,
                    span: 0.5,
                    request_id: "sent-by-a-whole-crowd".to_owned(),
                    ..v1::RefineRequest::default()
                };
                ControlClient::new(channel)
                    .refine(request)
                    .await
                    .unwrap()
                    .into_inner()
            });
        }
        calls.join_all().await
    });
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(rows(cluster.folder.path())["extension"].len(), 1);
}

/// A network that loses one answer: that to the first call whose change is on the disk.
struct Loser {
    port: u16,
    lost: Arc<AtomicBool>,
}

impl Loser {
    fn before(cluster: &Cluster) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let lost = Arc::new(AtomicBool::new(false));
        let (losing, to, folder) = (Arc::clone(&lost), cluster.port, cluster.folder.path().to_owned());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else {
                    continue;
                };
                let (mut from, mut on) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || {
                    _ = std::io::copy(&mut from, &mut on);
                    _ = on.shutdown(Shutdown::Both);
                });
                let (losing, folder) = (Arc::clone(&losing), folder.clone());
                thread::spawn(move || back(server, client, &losing, &folder));
            }
        });
        Self { port, lost }
    }
}

/// Carries answers to the client. What comes after a change is on the disk is its answer, or part of it.
fn back(mut server: TcpStream, mut client: TcpStream, lost: &AtomicBool, folder: &Path) {
    let mut bytes = [0; 16 << 10];
    while let Ok(length @ 1..) = server.read(&mut bytes) {
        if !lost.load(Ordering::Relaxed) && !rows(folder)["request"].is_empty() {
            lost.store(true, Ordering::Relaxed);
            break;
        }
        if client.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    _ = client.shutdown(Shutdown::Both);
    _ = server.shutdown(Shutdown::Both);
}

#[test]
fn a_command_whose_answer_is_lost_asks_again_and_is_done_once() {
    for killed in [false, true] {
        let mut cluster = Cluster::patient();
        submitted(&cluster);
        let network = Loser::before(&cluster);
        let mut command = tenfold();
        command.args(["--coordinator", &format!("http://127.0.0.1:{}", network.port)]);
        command.args(["refine", "last", "--axis", "learning_rate", "--points", "3"]);
        let refining = Running::start(command);
        cluster.until("the answer is lost", || {
            network.lost.load(Ordering::Relaxed).then_some(())
        });
        if killed {
            cluster.kill();
            cluster.serve();
        }
        let (code, said, complaints) = refining.end();
        assert_eq!(code, Some(0), "{complaints}");
        assert!(complaints.contains("asking again"), "{complaints}");
        assert!(said.iter().any(|line| line.contains("learning_rate")), "{said:?}");
        let rows = rows(cluster.folder.path());
        assert_eq!((rows["extension"].len(), rows["request"].len()), (1, 1));
    }
}

#[test]
fn each_order_of_a_person_has_an_id_of_its_own() {
    let cluster = Cluster::patient();
    let file = cluster.write("small.toml", SWEEP);
    cluster.command(&["submit", &file]);
    for order in ["pause", "resume", "stop", "resume", "cancel"] {
        cluster.command(&[order, "last"]);
    }
    cluster.command(&["retry", "last", "--cancelled"]);
    cluster.command(&["extend", "last", "--repetitions", "3"]);
    cluster.command(&["refine", "last", "--axis", "learning_rate", "--points", "3"]);
    FakeWorker::register(&cluster, "abacus");
    cluster.command(&["drain", "abacus"]);
    cluster.command(&["cancel", "last"]);
    cluster.command(&["delete", "last"]);
    let kept = &rows(cluster.folder.path())["request"];
    assert_eq!(kept.len(), 12, "{kept:#?}");
    let again = cluster.try_command(&["delete", "last"]);
    assert_eq!(again.status.code(), Some(4), "{}", text(&again.stderr));
}
