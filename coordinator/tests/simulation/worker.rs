//! Workers that train as real ones do, one trial of a pack after the other: what they say next, and what they make of
//! an answer. Now and then they crash, give a trial back, or only say that they live.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, RngExt};
use tenfold::turn::TurnError;
use tenfold_core::record::{Slot, WorkerRow};
use tenfold_core::{Answer, End, Grant, Input, Refusal, Standing, TrialReport};
use tenfold_types::{Block, DeviceKind, Fence, Outcome, RequestId, TrialKey, WorkerId};

use crate::landscape::Landscape;

/// A pack, trained trial by trial.
struct Training {
    grant: Grant,
    /// The trial's place in it.
    place: usize,
    key: TrialKey,
    attempt: u32,
    trained: u32,
    acknowledged: u32,
}

pub(crate) struct FakeWorker {
    pub(crate) id: WorkerId,
    request: RequestId,
    training: Option<Training>,
    landscape: Landscape,
}

impl FakeWorker {
    pub(crate) fn new(random: &mut StdRng, landscape: Landscape) -> Self {
        Self {
            landscape,
            id: WorkerId(random.random()),
            request: RequestId(random.random()),
            training: None,
        }
    }

    pub(crate) fn register(&self) -> Input {
        let slots = vec![Slot {
            kind: DeviceKind::Cpu,
            device: "fake".to_owned(),
            threads: 1,
        }];
        let text = String::new;
        Input::Register(WorkerRow {
            id: self.id,
            host: text(),
            process: 1,
            protocol: 0,
            version: text(),
            libtorch: text(),
            slots,
            draining: false,
        })
    }

    /// What it wants to say next, once it is registered.
    pub(crate) fn next_message(&mut self, random: &mut StdRng) -> Input {
        let crashes = random.random_ratio(1, 40);
        let gives_back = random.random_ratio(1, 40);
        let only_lives = random.random_ratio(1, 4);
        let ends_with_epochs = random.random_ratio(1, 2);
        let max_trials = random.random_range(1..=4);
        let together = random.random_range(1..=3);
        let worker = self.id;
        let Some(training) = &mut self.training else {
            return Input::Acquire {
                worker,
                request: self.request,
                slot: 0,
                max_trials,
                sizes: BTreeMap::new(),
            };
        };
        let (fence, sweep) = (training.grant.fence, training.grant.sweep);
        let (key, attempt) = (training.key, training.attempt);
        if only_lives {
            let fences = vec![fence];
            return Input::Heartbeat { worker, fences };
        }
        let spec = &training.grant.trials[training.place].2;
        let diverges = self.landscape.diverges(spec);
        let last = diverges.map_or(spec.epochs, |epoch| epoch - 1);
        let report = |blocks, end: Option<(Outcome, u32)>| Input::Append {
            worker,
            sweep,
            fence,
            trials: vec![TrialReport {
                key,
                attempt,
                blocks,
                end: end.map(|(outcome, epochs)| End {
                    epochs,
                    outcome,
                    stderr: String::new(),
                }),
            }],
        };
        if crashes {
            let error = "crashed".to_owned();
            let outcome = match together {
                1 => Outcome::Failed { error },
                together => Outcome::Lost { error, together },
            };
            return report(Vec::new(), Some((outcome, training.trained)));
        }
        if gives_back {
            return report(Vec::new(), Some((Outcome::Released, training.trained)));
        }
        if training.trained < last && training.trained <= training.acknowledged + 1 {
            training.trained += 1;
        }
        let blocks: Vec<Block> = (training.acknowledged + 1..=training.trained)
            .map(|epoch| self.landscape.block(spec, epoch))
            .collect();
        let outcome = diverges.map_or(Outcome::Succeeded, |epoch| Outcome::Diverged { epoch });
        // Its end may come with its last epochs, or behind them.
        let over = training.trained == last && (blocks.is_empty() || ends_with_epochs);
        report(blocks, over.then_some((outcome, last)))
    }

    /// Takes an answer to what it once said.
    pub(crate) fn hear(&mut self, random: &mut StdRng, said: &Input, answer: &Result<Answer, TurnError>) {
        let mut next = RequestId([0; 16]);
        random.fill_bytes(&mut next.0);
        match (said, answer) {
            (Input::Acquire { request, .. }, Ok(Answer::Leased(grant))) => {
                if self.training.is_some() || *request != self.request {
                    return;
                }
                let Some(&(key, attempt, ..)) = grant.trials.first() else {
                    return;
                };
                self.training = Some(Training {
                    grant: grant.clone(),
                    place: 0,
                    key,
                    attempt,
                    trained: 0,
                    acknowledged: 0,
                });
            }
            (Input::Append { fence, trials, .. }, Ok(Answer::Acknowledged(acknowledgements))) => {
                let (key, epochs) = (trials[0].key, acknowledgements[0].epochs);
                if let Some(training) = self.of_fence(*fence).filter(|training| training.key == key) {
                    training.acknowledged = training.acknowledged.max(epochs);
                }
                match &acknowledgements[0].standing {
                    Standing::Going => {}
                    Standing::Ended | Standing::Cancelled => self.go_on(*fence, key, next),
                    // An end may be delayed until after epochs that followed it, when the worker has changed its mind.
                    Standing::Refused(Refusal::IncompleteCurve { .. } | Refusal::Gap { .. }) => {}
                    Standing::Refused(refusal) => {
                        panic!("a worker that tells the truth is called a liar: {refusal}: {said:?}")
                    }
                }
            }
            (Input::Append { fence, .. }, Err(TurnError::Refused(Refusal::StaleFence(_)))) => {
                self.let_go(*fence, next);
            }
            (Input::Heartbeat { .. }, Ok(Answer::Heard { stale, .. })) => {
                for fence in stale {
                    self.let_go(*fence, next);
                }
            }
            (_, Err(TurnError::Refused(Refusal::Differs { .. } | Refusal::Malformed { .. }))) => {
                panic!("a worker that tells the truth is called a liar: {said:?}")
            }
            _ => {}
        }
    }

    /// A trial of the pack is over: on to the next, or the lease is.
    fn go_on(&mut self, fence: Fence, key: TrialKey, next: RequestId) {
        let Some(training) = self.of_fence(fence).filter(|training| training.key == key) else {
            return;
        };
        training.place += 1;
        match training.grant.trials.get(training.place) {
            Some(&(key, attempt, ..)) => {
                (training.key, training.attempt) = (key, attempt);
                (training.trained, training.acknowledged) = (0, 0);
            }
            None => self.let_go(fence, next),
        }
    }

    /// The lease is over for this worker: its next request is another.
    fn let_go(&mut self, fence: Fence, next: RequestId) {
        if self.of_fence(fence).is_some() {
            self.training = None;
            self.request = next;
        }
    }

    fn of_fence(&mut self, fence: Fence) -> Option<&mut Training> {
        self.training
            .as_mut()
            .filter(|training| training.grant.fence == fence)
    }
}
