//! Whatever comes in whatever order: the world's own checks hold, and so do a few promises.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tenfold_core::trial::TrialState;
use tenfold_core::{Answer, Input, Order, Settings};
use tenfold_types::{Fence, Outcome, RequestId, SweepId, TrialKey};

use crate::World;
use crate::world::{Held, SETTINGS};

const EPOCHS: u32 = 3;

#[derive(Debug, Clone)]
enum Step {
    Acquire {
        worker: u8,
        request: u8,
    },
    /// By a lease once held, living or not.
    Append {
        held: usize,
        first: u32,
        last: u32,
    },
    Finish {
        held: usize,
        epochs: u32,
        outcome: Outcome,
    },
    Heartbeat {
        worker: u8,
        held: Vec<usize>,
    },
    Order {
        sweep: usize,
        order: Order,
    },
    Extend {
        sweep: usize,
        repetitions: u32,
    },
    Decide {
        sweep: usize,
    },
    Pass(u64),
    Restart,
}

/// What is chosen and decided while a sweep runs, of each kind: rungs of a search, repetitions by need, and both behind a value
/// that is taken from an earlier stage.
const GATED: [&str; 3] = [
    r#"
epochs = 3
repetitions = 2
stop = { rule = "successive-halving", from = 1, factor = 2 }
[axes]
architecture = ["perceptron-1", "perceptron-2"]
learning_rate = [0.1, 0.01]
"#,
    r#"
epochs = 3
[axes]
architecture = ["perceptron-3", "perceptron-4"]
[[stage]]
name = "some"
repetitions = { min = 2, max = 4, until = { ci95_half_width = 0.1 } }
[[stage]]
name = "others"
repetitions = 1
stop = { rule = "patience", at = [1, 2], patience = 1 }
"#,
    r#"
epochs = 3
repetitions = 1
[axes]
architecture = ["perceptron-5", "perceptron-6"]
[[stage]]
name = "coarse"
[stage.axes]
learning_rate = [0.1, 0.01]
[[stage]]
name = "search"
stop = { rule = "asha", from = 1, factor = 2, per = ["architecture"] }
[stage.axes]
learning_rate = { best_of = "coarse" }
batch_size = [50, 100]
[[stage]]
name = "last"
repetitions = { min = 2, max = 3, until = { ci95_half_width = 0.1 } }
[stage.axes]
learning_rate = { best_of = "search", per = ["architecture"] }
"#,
];
/// Two plain ones and one of these.
const SWEEPS: usize = 3;

fn outcome() -> impl Strategy<Value = (u32, Outcome)> {
    prop_oneof![
        4 => Just((EPOCHS, Outcome::Succeeded)),
        1 => (0..=EPOCHS + 1).prop_map(|epoch| (epoch.saturating_sub(1), Outcome::Diverged { epoch })),
        1 => (0..=EPOCHS).prop_map(|epochs| (epochs, Outcome::Failed { error: "it burst".to_owned() })),
        1 => Just((0, Outcome::Released)),
        1 => (0..4_u32).prop_map(|together| (0, Outcome::Lost { error: "it burst".to_owned(), together })),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let held = 0..40_usize;
    let order = prop_oneof![
        2 => Just(Order::Pause),
        4 => Just(Order::Resume),
        1 => Just(Order::Stop),
        1 => Just(Order::Cancel),
        2 => any::<(bool, bool)>().prop_map(|(failed, cancelled)| Order::Retry { failed, cancelled }),
    ];
    prop_oneof![
        8 => (0..2_u8, 0..12_u8).prop_map(|(worker, request)| Step::Acquire { worker, request }),
        12 => (held.clone(), 1..=2_u32, 1..=EPOCHS + 1)
            .prop_map(|(held, first, last)| Step::Append { held, first, last: last.max(first) }),
        6 => (held.clone(), outcome())
            .prop_map(|(held, (epochs, outcome))| Step::Finish { held, epochs, outcome }),
        3 => (0..2_u8, prop::collection::vec(held, 0..4))
            .prop_map(|(worker, held)| Step::Heartbeat { worker, held }),
        2 => (0..SWEEPS, order).prop_map(|(sweep, order)| Step::Order { sweep, order }),
        3 => (0..SWEEPS).prop_map(|sweep| Step::Decide { sweep }),
        1 => (0..SWEEPS, 1..=4_u32).prop_map(|(sweep, repetitions)| Step::Extend { sweep, repetitions }),
        3 => (0..60_u64).prop_map(Step::Pass),
        1 => Just(Step::Restart),
    ]
}

struct Watch {
    world: World,
    sweeps: Vec<SweepId>,
    /// The trials of the latest leases, the newest first.
    held: Vec<Held>,
    leases: BTreeMap<Fence, Vec<(TrialKey, u32)>>,
    results: BTreeMap<(SweepId, TrialKey), TrialState>,
}

impl Watch {
    fn new(gated: usize) -> Self {
        let mut world = World::with(Settings {
            grace: 20,
            ..SETTINGS
        });
        let mut sweeps = vec![
            world.sweep_with("seed = 1", 2, 2, EPOCHS),
            world.sweep_with("seed = 2", 1, 2, EPOCHS),
        ];
        sweeps.push(world.try_submit(GATED[gated]).0);
        _ = world.woken();
        world.worker(0, 1);
        world.worker(1, 1);
        Self {
            world,
            sweeps,
            held: Vec::new(),
            leases: BTreeMap::new(),
            results: BTreeMap::new(),
        }
    }

    fn one(&self, number: usize) -> Option<Held> {
        (!self.held.is_empty()).then(|| self.held[number % self.held.len()].clone())
    }

    fn take(&mut self, step: Step) {
        let id = |worker: u8| tenfold_types::WorkerId([worker; 8]);
        match step {
            Step::Acquire { worker, request } => {
                let acquire = Input::Acquire {
                    worker: id(worker),
                    request: RequestId([request; 16]),
                    slot: 0,
                    max_trials: 1 + u32::from(request % 4),
                    sizes: BTreeMap::new(),
                };
                if let Ok(Answer::Leased(grant)) = self.world.ask(acquire) {
                    let worker = id(worker);
                    let lease: Vec<_> = grant.trials.iter().map(|trial| (trial.0, trial.1)).collect();
                    let first = self.leases.entry(grant.fence).or_insert_with(|| lease.clone());
                    assert!(
                        lease.iter().all(|trial| first.contains(trial)),
                        "the same fence is the same lease, or what is left of it"
                    );
                    for new in (Held { worker, grant }).singly() {
                        if !self.held.contains(&new) {
                            self.held.insert(0, new);
                        }
                    }
                    self.held.truncate(12);
                }
            }
            Step::Append { held, first, last } => {
                if let Some(held) = self.one(held) {
                    _ = self.world.append(&held, vec![held.block(first..=last)]);
                }
            }
            Step::Finish {
                held,
                epochs,
                outcome,
            } => {
                if let Some(held) = self.one(held) {
                    let all = held.grant.trials[0].2.epochs;
                    _ = match outcome {
                        Outcome::Succeeded => self.world.finish(&held, all, outcome),
                        outcome => self.world.finish(&held, epochs.min(all), outcome),
                    };
                }
            }
            Step::Heartbeat { worker, held } => {
                let fences = held
                    .into_iter()
                    .filter_map(|held| self.one(held))
                    .map(|held| held.fence());
                let fences: Vec<Fence> = fences.collect();
                for fence in self.world.heartbeat(id(worker), fences) {
                    let lease = self.world.state.lease(fence);
                    assert!(lease.is_none_or(|lease| lease.row.worker != id(worker)));
                }
            }
            Step::Order { sweep, order } => _ = self.world.order(self.sweeps[sweep], order),
            Step::Extend { sweep, repetitions } => {
                let sweep = self.sweeps[sweep];
                let before = self.world.state.sweep(sweep).unwrap().sweep().trials();
                let extended = self.world.extend(sweep, None, repetitions);
                let after = self.world.state.sweep(sweep).unwrap().sweep().trials();
                assert_eq!(extended.is_ok(), before < after);
            }
            Step::Decide { sweep } => _ = self.world.decide(self.sweeps[sweep]),
            Step::Pass(time) => self.world.pass(time),
            Step::Restart => self.world.restart(),
        }
        _ = self.world.woken();
        self.check();
    }

    fn check(&mut self) {
        for &sweep in &self.sweeps {
            let state = self.world.state.sweep(sweep).unwrap();
            assert_eq!(state.counts().total(), state.sweep().trials());
            for trial in state.touched_trials() {
                let key = trial.id.key;
                if let Some(fence) = trial.state.accepted() {
                    let first = self
                        .results
                        .entry((sweep, key))
                        .or_insert_with(|| trial.state.clone());
                    assert_eq!(*first, trial.state, "a result never changes");
                    let epochs = trial.state.accepted_epochs();
                    let stored = self.world.stored(sweep, key);
                    let whole = if epochs == 0 {
                        vec![]
                    } else {
                        vec![(fence, epochs)]
                    };
                    assert_eq!(stored, whole, "a result is one attempt's whole curve");
                } else if trial.state.holder().is_none() {
                    assert_eq!(self.world.stored(sweep, key), [], "epochs that belong to nobody");
                }
            }
        }
    }

    /// People and workers come to their senses.
    fn complete(&mut self) {
        for sweep in self.sweeps.clone() {
            self.world.obey(sweep, Order::Resume);
            self.world.obey(
                sweep,
                Order::Retry {
                    failed: true,
                    cancelled: true,
                },
            );
        }
        // Suspected, then over; and a worker on which everything failed is tried again.
        self.world.pass(1_000);
        self.world.pass(1_000);
        self.world.pass(600_000);
        let worker = tenfold_types::WorkerId([0; 8]);
        let mut request = 100;
        loop {
            while let Ok(Answer::Leased(grant)) = self.world.acquire(worker, request) {
                request = request.wrapping_add(1);
                self.world.complete(&Held { worker, grant });
                self.check();
            }
            let decided = self
                .sweeps
                .clone()
                .into_iter()
                .map(|sweep| self.world.decide(sweep));
            if decided.fold(0, usize::max) == 0 {
                break;
            }
            self.check();
        }
        _ = self.world.woken();
        for &sweep in &self.sweeps {
            let [pending, held, resting, succeeded, diverged, failed, cancelled] = self.world.counts(sweep);
            let explained = self.world.state.sweep(sweep).unwrap().sweep().name().to_owned();
            assert_eq!([pending, held, resting, failed, cancelled], [0; 5], "{explained}");
            assert!(succeeded + diverged > 0 && self.world.is_over(sweep));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_breaks_the_promises(gated in 0..GATED.len(), steps in prop::collection::vec(step(), 0..120)) {
        let mut watch = Watch::new(gated);
        for step in steps {
            watch.take(step);
        }
        watch.complete();
    }
}
