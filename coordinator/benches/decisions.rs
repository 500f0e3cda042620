//! What decisions of a search that stops early cost: each point × 3 repetitions, trained through the turn in packs, asynchronous
//! halving at epochs 1 and 3 of 9, and beside it the same points without any. Rows are kept in memory, so nothing waits for a
//! disk; but this store looks through all trials for those of a point, so what reading takes here is not what others take. Prints a
//! line a case.
//!
//! `cargo bench -p tenfold --bench decisions [-- POINTS]`

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on ends there")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use tenfold::choose;
use tenfold::store::{MemoryStore, Store};
use tenfold::turn::Turn;
use tenfold_core::record::{Slot, WorkerRow};
use tenfold_core::sweep::{ChoiceId, Sweep};
use tenfold_core::{Answer, End, Grant, Input, Settings, TrialReport};
use tenfold_types::{Block, DeviceKind, Outcome, RequestId, SweepId, TrialKey, TrialSpec, WorkerId};

const WORKER: WorkerId = WorkerId([1; 8]);
const PACK: u32 = 256;

/// Where the time went.
#[derive(Default)]
struct Spent {
    trained: Duration,
    looked: Duration,
    read: Duration,
    decided: Duration,
}

struct Bench {
    turn: Turn,
    store: MemoryStore,
    sweep: SweepId,
    request: u64,
    spent: Spent,
}

impl Bench {
    fn step(&mut self, input: Input) -> Answer {
        self.turn.step(vec![input], 1_000).answers.remove(0).unwrap()
    }

    /// Trains a pack, and says how many trials it had.
    fn train(&mut self) -> usize {
        self.request += 1;
        let mut request = [0; 16];
        request[..8].copy_from_slice(&self.request.to_le_bytes());
        let began = Instant::now();
        let acquire = Input::Acquire {
            worker: WORKER,
            request: RequestId(request),
            slot: 0,
            max_trials: PACK,
            sizes: BTreeMap::new(),
        };
        let trials = match self.step(acquire) {
            Answer::Leased(grant) => {
                self.step(append(&grant));
                grant.trials.len()
            }
            _ => 0,
        };
        self.spent.trained += began.elapsed();
        trials
    }

    /// Decides what is due, as the coordinator does beside the turn, and says how much that was.
    fn decide(&mut self) -> usize {
        let began = Instant::now();
        let mut due = VecDeque::from(choose::due(self.turn.state().unwrap()));
        let mut looked_at: BTreeSet<ChoiceId> = due.iter().map(|due| due.choice).collect();
        self.spent.looked += began.elapsed();
        let mut made = 0;
        while let Some(next) = due.pop_front() {
            let choice = next.choice;
            let began = Instant::now();
            let mut reader = self.store.reader().unwrap();
            let candidates = choose::candidates(reader.as_mut(), &next).unwrap();
            self.spent.read += began.elapsed();
            let began = Instant::now();
            let input = Input::Choose {
                sweep: self.sweep,
                choice,
                candidates,
            };
            assert_eq!(self.step(input), Answer::Chosen(true));
            self.spent.decided += began.elapsed();
            made += 1;
            let began = Instant::now();
            let behind = choose::due_behind(self.turn.state().unwrap(), self.sweep, choice);
            due.extend(behind.filter(|behind| looked_at.insert(behind.choice)));
            self.spent.looked += began.elapsed();
        }
        made
    }
}

/// Errors that have nothing to do with the order of points.
fn error(key: TrialKey) -> f32 {
    let mixed = (key.index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    (mixed as f32 / (1 << 24) as f32) + key.repetition as f32 / 1e3
}

fn append(grant: &Grant) -> Input {
    let report = |(key, attempt, spec, _): &(TrialKey, u32, TrialSpec, bool)| TrialReport {
        key: *key,
        attempt: *attempt,
        blocks: vec![Block {
            first: 1,
            epochs: spec.epochs,
            columns: vec![error(*key); spec.metrics().len() * spec.epochs as usize],
            seconds: vec![0.5; spec.epochs as usize],
        }],
        end: Some(End {
            epochs: spec.epochs,
            outcome: Outcome::Succeeded,
            stderr: String::new(),
        }),
    };
    Input::Append {
        worker: WORKER,
        sweep: grant.sweep,
        fence: grant.fence,
        trials: grant.trials.iter().map(report).collect(),
    }
}

/// Trains all of a sweep. With `late` nothing is decided before nothing is left to train, as when whoever decides was away.
fn case(name: &str, points: u64, stop: &str, late: bool) {
    let text = format!(
        "repetitions = 3\nepochs = 9\n{stop}\n[settings]\narchitecture = \"perceptron-100\"\n\
         [axes]\nlearning_rate = {{ log = [1e-6, 0.1], points = {points} }}\n"
    );
    let sweep = Sweep::parse(&text, "bench.toml", &[], None).unwrap();
    let store = MemoryStore::default();
    let mut bench = Bench {
        turn: Turn::open(Box::new(store.clone()), Settings::default(), 1_000).unwrap(),
        store,
        sweep: sweep.id(),
        request: 0,
        spent: Spent::default(),
    };
    bench.step(Input::Submit(sweep));
    bench.step(Input::Register(WorkerRow {
        id: WORKER,
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
    }));
    let (mut trials, mut decisions) = (0, 0);
    loop {
        let trained = bench.train();
        trials += trained;
        if late && trained > 0 {
            continue;
        }
        let mut decided = 0;
        loop {
            match bench.decide() {
                0 => break,
                more => decided += more,
            }
        }
        decisions += decided;
        if trained + decided == 0 {
            break;
        }
    }
    let state = bench.turn.state().unwrap();
    assert!(state.sweep(bench.sweep).unwrap().row().finished_at.is_some());
    let began = Instant::now();
    let again = Turn::open(Box::new(bench.store.clone()), Settings::default(), 1_000).unwrap();
    let loaded = began.elapsed();
    assert!(again.state().unwrap().same_durable(state), "loaded as it was");
    let Spent {
        trained,
        looked,
        read,
        decided,
    } = bench.spent;
    let all = trained + looked + read + decided;
    let each = |spent: Duration| spent.as_secs_f64() * 1e6 / (decisions.max(1)) as f64;
    println!(
        "{name:>18}: {points:>6} points, {trials:>6} trials: {:6.2} µs a trial in all, {:5.2} of them trained; {decisions:>6} decisions: {:7.2} \
         µs to find one, {:6.2} to read, {:7.2} to decide; {:.2} s in all; loaded in {:.2} s",
        all.as_secs_f64() * 1e6 / trials as f64,
        trained.as_secs_f64() * 1e6 / trials as f64,
        each(looked),
        each(read),
        each(decided),
        all.as_secs_f64(),
        loaded.as_secs_f64(),
    );
}

fn main() {
    let most = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    let most: u64 = most.unwrap_or(10_000);
    let asha = "stop = { rule = \"asha\", from = 1, factor = 3 }";
    let halving = "stop = { rule = \"successive-halving\", from = 1, factor = 3 }";
    for points in [most / 10, most] {
        case("all are run", points, "", false);
        case("halving", points, halving, false);
        case("asha", points, asha, false);
        case("asha, decided late", points, asha, true);
    }
}
