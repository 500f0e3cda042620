//! What the turn itself costs a trial, without gRPC: decide, commit with its sync, evolve; in an SQLite store,
//! and beside it in a PostgreSQL server of its own. Prints a line a case.
//!
//! `cargo bench -p tenfold --bench turn [-- TRIALS]`

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on ends there")]

use std::collections::BTreeMap;
use std::time::Instant;

use tenfold::store;
use tenfold::turn::Turn;
use tenfold_core::record::{Slot, WorkerRow};
use tenfold_core::sweep::Sweep;
use tenfold_core::{Answer, End, Grant, Input, Settings, TrialReport};
use tenfold_types::{Block, DeviceKind, Outcome, RequestId, WorkerId};

#[path = "../tests/common/postgres.rs"]
#[expect(dead_code, unreachable_pub, reason = "the tests of processes use all of it")]
mod server;

const WORKERS: u8 = 4;

struct Bench {
    turn: Turn,
    began: Instant,
}

impl Bench {
    fn step(&mut self, inputs: Vec<Input>) -> Vec<Answer> {
        let now = 1_000 + self.began.elapsed().as_millis() as u64;
        let outcome = self.turn.step(inputs, now);
        outcome.answers.into_iter().map(Result::unwrap).collect()
    }
}

fn acquire(worker: u8, request: u64, pack: u32) -> Input {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&request.to_le_bytes());
    Input::Acquire {
        worker: WorkerId([worker; 8]),
        request: RequestId(id),
        slot: 0,
        max_trials: pack,
        sizes: BTreeMap::new(),
    }
}

fn append(worker: u8, grant: &Grant, epochs: u32) -> Input {
    let report = |(key, attempt, ..): &(_, u32, _, _)| TrialReport {
        key: *key,
        attempt: *attempt,
        blocks: vec![Block {
            first: 1,
            epochs,
            columns: vec![0.25; 4 * epochs as usize],
            seconds: vec![0.5; epochs as usize],
        }],
        end: Some(End {
            epochs,
            outcome: Outcome::Succeeded,
            stderr: String::new(),
        }),
    };
    Input::Append {
        worker: WorkerId([worker; 8]),
        sweep: grant.sweep,
        fence: grant.fence,
        trials: grant.trials.iter().map(report).collect(),
    }
}

fn sqlite(trials: u64, epochs: u32, pack: u32) {
    let folder = tempfile::Builder::new()
        .prefix("turn-")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .unwrap();
    let store = format!("sqlite:{}", folder.path().join("store").display());
    case(&store, trials, epochs, pack);
}

fn case(specification: &str, trials: u64, epochs: u32, pack: u32) {
    let kind = specification.split(':').next().unwrap_or_default();
    let store = store::open(specification).unwrap();
    let turn = Turn::open(store, Settings::default(), 1_000).unwrap();
    let mut bench = Bench {
        turn,
        began: Instant::now(),
    };
    let points = trials / 10;
    let text = format!(
        "repetitions = 10\nepochs = {epochs}\n[settings]\narchitecture = \"perceptron-100\"\n\
         [axes]\nlearning_rate = {{ log = [1e-6, 0.1], points = {points} }}\n"
    );
    let sweep = Sweep::parse(&text, "bench.toml", &[], None).unwrap();
    let began = Instant::now();
    bench.step(vec![Input::Submit(sweep)]);
    let submit = began.elapsed();
    let row = |worker: u8| {
        Input::Register(WorkerRow {
            id: WorkerId([worker; 8]),
            host: "node".to_owned(),
            process: 1,
            protocol: 0,
            version: "0.1.0".to_owned(),
            libtorch: "2.11.0".to_owned(),
            slots: vec![Slot {
                kind: DeviceKind::Cpu,
                device: "abacus".to_owned(),
                threads: 1,
            }],
            draining: false,
        })
    };
    bench.step((0..WORKERS).map(row).collect());
    let (mut done, mut request, mut acquiring, mut appending) = (0, 0, 0.0, 0.0);
    let began = Instant::now();
    let mut tenth = Vec::new();
    while done < trials {
        let inputs = (0..WORKERS)
            .map(|worker| {
                request += 1;
                acquire(worker, request, pack)
            })
            .collect();
        let at = Instant::now();
        let grants = bench.step(inputs);
        acquiring += at.elapsed().as_secs_f64();
        let inputs: Vec<Input> = grants
            .iter()
            .enumerate()
            .filter_map(|(worker, answer)| match answer {
                Answer::Leased(grant) => {
                    done += grant.trials.len() as u64;
                    Some(append(worker as u8, grant, epochs))
                }
                _ => None,
            })
            .collect();
        let at = Instant::now();
        bench.step(inputs);
        appending += at.elapsed().as_secs_f64();
        while tenth.len() < 10 && done >= trials * (tenth.len() as u64 + 1) / 10 {
            tenth.push((acquiring + appending) * 1e6 / done as f64);
        }
    }
    let micros = |seconds: f64| 1e6 * seconds / trials as f64;
    println!(
        "{kind:>8}: {trials:>8} trials of {epochs:>3} epochs in packs of {pack:>4}: {:6.2} µs a trial leased, {:6.2} appended and \
         ended; submit {:.1} ms; {:.1} s in all; by tenths {:.1} … {:.1}",
        micros(acquiring),
        micros(appending),
        submit.as_secs_f64() * 1e3,
        began.elapsed().as_secs_f64(),
        tenth[0],
        tenth[9],
    );
}

fn main() {
    let trials = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(40_000);
    let server = server::Postgres::start();
    for epochs in [1, 100] {
        for pack in [1, 32, 512] {
            let trials = if pack == 1 { trials / 10 } else { trials };
            sqlite(trials, epochs, pack);
            let database = server.database(&format!("of{epochs}in{pack}"));
            case(&database, trials, epochs, pack);
        }
    }
}
