//! Single flipped bits anywhere in a store that is at rest: each is refused with a reason, or named, or changes nothing.
//!
//! The store is written by real processes; each of its damaged copies is then opened by a server in this process.

#![expect(clippy::unwrap_used, reason = "a test may unwrap")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::fleet::{FakeWorker, Fate};
use common::{Cluster, SWEEP, signal};
use prost::Message;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tenfold::server::{MAX_CONNECTIONS, Server, ServerConfig};
use tenfold_core::Settings;
use tenfold_proto::v1;
use tenfold_proto::v1::control_client::ControlClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

/// Bits that are flipped; `TENFOLD_FLIPS` says otherwise.
const FLIPS: usize = 400;

const STAGES: &str = r#"
name = "stages"
epochs = 3
repetitions = 2
[settings]
architecture = "perceptron-10"
[[stage]]
name = "rates"
[stage.axes]
learning_rate = [1e-3, 1e-2, 1e-1]
[[stage]]
name = "modes"
[stage.axes]
weight_sharing = [false, true]
learning_rate = { best_of = "rates" }
"#;

/// A store with choices, an extension, results, a diverged trial, and one that is being trained, which comes with it; closed in
/// order.
fn store() -> (Vec<u8>, String) {
    let mut cluster = Cluster::patient();
    let mut worker = FakeWorker::register(&cluster, "abacus");
    cluster.command(&["submit", &cluster.write("stages.toml", STAGES)]);
    worker.train(6, |_| Fate::Succeeds);
    cluster.until("the choice is made", || {
        let said = cluster.command(&["show", "stages", "--json"]);
        said.contains("\"choice\"").then_some(())
    });
    // The others of the stage have what the first stage has trained.
    worker.train(2, |key| match (key.index, key.repetition) {
        (1, 1) => Fate::DivergesIn(2),
        _ => Fate::Succeeds,
    });
    cluster.command(&["extend", "stages", "--stage", "modes", "--repetitions", "3"]);
    worker.train(2, |_| Fate::Succeeds);
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    worker.train(5, |_| Fate::Succeeds);
    let lease = worker.lease().unwrap();
    worker.append(&lease, 1..=2);
    let held = lease.trials[0].trial.unwrap();
    let held = format!("small/{}.{}.{}", held.stage, held.index, held.repetition);
    let coordinator = cluster.coordinator.as_mut().unwrap();
    signal(coordinator.0.id(), "-TERM");
    coordinator.0.wait().unwrap();
    let runs = cluster.folder.path().join("runs");
    let log = runs.join("tenfold.sqlite-wal");
    assert!(
        fs::metadata(&log).map_or(0, |there| there.len()) == 0,
        "a store that is closed in order needs no log"
    );
    (fs::read(runs.join("tenfold.sqlite")).unwrap(), held)
}

/// All that there is to see of a sweep, or why it is not to be seen.
type Seen = Result<Vec<u8>, String>;

/// What a coordinator makes of a store.
#[derive(Debug, PartialEq, Clone)]
struct Shown {
    sweeps: BTreeMap<String, Seen>,
    /// What it names as damaged.
    named: Vec<String>,
}

async fn all<T: Message>(
    answer: Result<tonic::Response<Streaming<T>>, Status>,
    into: &mut Vec<u8>,
) -> Result<(), Status> {
    let mut stream = answer?.into_inner();
    while let Some(message) = stream.message().await? {
        into.extend(message.encode_length_delimited_to_vec());
    }
    Ok(())
}

fn is_damage(error: &str) -> bool {
    error.contains("damaged on disk")
}

async fn exports(
    client: &mut ControlClient<Channel>,
    selector: &str,
    named: &mut Vec<String>,
) -> Result<Vec<u8>, Status> {
    let mut seen = Vec::new();
    let results = v1::ResultsRequest {
        selector: selector.to_owned(),
        ..v1::ResultsRequest::default()
    };
    all(client.results(results).await, &mut seen).await?;
    let curves = v1::CurvesRequest {
        selector: selector.to_owned(),
        every_trial: true,
        ..v1::CurvesRequest::default()
    };
    all(client.curves(curves).await, &mut seen).await?;
    let shown = v1::ShowRequest {
        selector: selector.to_owned(),
    };
    let shown = client.show(shown).await?.into_inner();
    let errors = shown.failures.iter().filter_map(|trial| trial.error.clone());
    named.extend(errors.filter(|error| is_damage(error)));
    seen.extend(shown.encode_length_delimited_to_vec());
    Ok(seen)
}

/// Opens a copy of a store and looks at everything; an error when it is refused as a whole.
async fn look(folder: &Path, bytes: &[u8], ids: &[String], held: &str) -> Result<Shown, String> {
    _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).unwrap();
    let store = folder.join("tenfold.sqlite");
    fs::write(&store, bytes).unwrap();
    let config = ServerConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        store: format!("sqlite:{}", store.display()),
        accept_loss: false,
        results: folder.join("results"),
        max_connections: MAX_CONNECTIONS,
        settings: Settings {
            lease_term: 3_600_000,
            ..Settings::default()
        },
    };
    let server = match Server::start(config).await {
        Ok(server) => server,
        Err(error) => return Err(error.to_string()),
    };
    let address = format!("http://{}", server.address());
    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    let mut client = ControlClient::new(channel);
    let mut shown = Shown {
        sweeps: BTreeMap::new(),
        named: Vec::new(),
    };
    for id in ids {
        let seen = exports(&mut client, id, &mut shown.named).await;
        shown
            .sweeps
            .insert(id.clone(), seen.map_err(|status| status.message().to_owned()));
    }
    let held = v1::ShowTrialRequest {
        trial: held.to_owned(),
    };
    if let Ok(answer) = client.show_trial(held).await {
        let error = answer.into_inner().status.and_then(|status| status.error);
        shown.named.extend(error.filter(|error| is_damage(error)));
    }
    match client.list(v1::ListRequest::default()).await {
        Ok(listed) => {
            let damaged = listed.into_inner().damaged.into_iter();
            shown.named.extend(damaged.map(|sweep| sweep.why));
        }
        Err(status) => shown.named.push(status.message().to_owned()),
    }
    drop(client);
    server.shutdown().await;
    Ok(shown)
}

/// What became of a flipped bit; none when other results came out without a word.
fn verdict(whole: &Shown, found: &Result<Shown, String>) -> Option<&'static str> {
    match found {
        Err(reason) => (!reason.is_empty()).then_some("refused"),
        Ok(found) if found.sweeps == whole.sweeps => Some(match found.named.is_empty() {
            true => "nothing",
            false => "named",
        }),
        Ok(found) => {
            let differ = found
                .sweeps
                .iter()
                .filter(|(id, seen)| whole.sweeps[*id] != **seen);
            let mut silent = differ.filter(|(_, seen)| seen.is_ok());
            match silent.next() {
                // Each of the other sweeps says why it is not to be seen.
                None => Some("refused in part"),
                Some(_) => (!found.named.is_empty()).then_some("named"),
            }
        }
    }
}

#[test]
fn a_flipped_bit_never_gives_other_results_without_a_word() {
    let (bytes, held) = store();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ids = {
        let copy = folder.path().join("ids.sqlite");
        fs::write(&copy, &bytes).unwrap();
        let connection = rusqlite::Connection::open(copy).unwrap();
        let mut ids = connection.prepare("SELECT lower(hex(id)) FROM sweep").unwrap();
        let ids = ids.query_map([], |row| row.get::<_, String>(0)).unwrap();
        ids.map(Result::unwrap).collect::<Vec<_>>()
    };
    assert_eq!(ids.len(), 2);
    let place = folder.path().join("store");
    let whole = runtime.block_on(look(&place, &bytes, &ids, &held)).unwrap();
    assert!(whole.named.is_empty() && whole.sweeps.values().all(Result::is_ok));
    assert_eq!(
        runtime.block_on(look(&place, &bytes, &ids, &held)).as_ref(),
        Ok(&whole),
        "what is not damaged looks the same each time"
    );
    let flips = std::env::var("TENFOLD_FLIPS").map_or(FLIPS, |flips| flips.parse().unwrap());
    let mut random = StdRng::seed_from_u64(14);
    let (mut counts, mut silent) = (BTreeMap::new(), Vec::new());
    // Most of so small a store is free: every other bit is flipped where something is written.
    let written: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at] != 0).collect();
    for flip in 0..flips {
        let at = match flip % 2 {
            0 => random.random_range(0..bytes.len()),
            _ => written[random.random_range(0..written.len())],
        };
        let bit = random.random_range(0..8);
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << bit;
        let found = runtime.block_on(look(&place, &damaged, &ids, &held));
        match verdict(&whole, &found) {
            Some(verdict) => *counts.entry(verdict).or_insert(0) += 1,
            None => silent.push((at, bit)),
        }
    }
    println!(
        "{flips} flipped bits of {} bytes, {} of them written: {counts:?}",
        bytes.len(),
        written.len()
    );
    assert!(
        silent.is_empty(),
        "{} gave other results: {silent:#?}",
        silent.len()
    );
    assert!(counts.len() > 2, "flips that do nothing show nothing: {counts:?}");
}
