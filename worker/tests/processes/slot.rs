//! One slot, and what becomes of its trainers.

use std::time::Duration;

use tenfold_types::Outcome;
use tenfold_types::frame::{FromTrainer, ToTrainer};
use tenfold_worker::session::Event;
use tenfold_worker::slot::{self, Launch, Order};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::{launch, soon, spec};

struct Slot {
    orders: mpsc::UnboundedSender<Order>,
    events: mpsc::Receiver<(usize, Event)>,
    paused: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Slot {
    fn start(launch: Launch) -> Self {
        let (orders, incoming) = mpsc::unbounded_channel();
        let (sender, events) = mpsc::channel(64);
        let (paused, is_paused) = watch::channel(false);
        let running = tokio::spawn(slot::run(3, launch, incoming, sender, is_paused));
        Self {
            orders,
            events,
            paused,
            running,
        }
    }

    async fn event(&mut self) -> Event {
        let (number, event) = soon("an event", self.events.recv()).await.unwrap();
        assert_eq!(number, 3);
        event
    }

    async fn ready(&mut self) {
        let event = self.event().await;
        assert!(matches!(event, Event::Ready { slot: 3, .. }), "{event:?}");
    }

    async fn unfit(&mut self) -> String {
        match self.event().await {
            Event::Unfit { error, .. } => error,
            other => panic!("{other:?}"),
        }
    }

    /// How it died, and its last words; epochs before that are passed over.
    async fn died(&mut self) -> (String, String) {
        loop {
            match self.event().await {
                Event::Died { how, stderr, .. } => return (how, stderr),
                Event::Frame { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn train(&self, pack: u64, epochs: &[u32]) {
        let trials = epochs.iter().map(|epochs| spec(*epochs).into()).collect();
        self.orders
            .send(Order::Tell(ToTrainer::Train { pack, trials }))
            .unwrap();
    }

    /// Follows a pack to its end: for each trial its epochs, which must come in order, and its outcome.
    async fn follow(&mut self, pack: u64, trials: usize) -> Vec<(u32, Option<Outcome>)> {
        let mut seen = vec![(0, None); trials];
        loop {
            let event = self.event().await;
            let Event::Frame { frame, .. } = event else {
                panic!("{event:?}");
            };
            match frame {
                FromTrainer::Epochs {
                    pack: of,
                    trial,
                    block,
                } => {
                    let (last, _) = &mut seen[trial as usize];
                    assert_eq!((of, block.first), (pack, *last + 1));
                    *last = block.last();
                }
                FromTrainer::Ended {
                    pack: of,
                    trial,
                    outcome,
                } => {
                    assert_eq!(of, pack);
                    seen[trial as usize].1 = Some(outcome);
                }
                FromTrainer::PackEnded { pack: of, .. } => {
                    assert_eq!(of, pack);
                    return seen;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    async fn end(self) {
        drop(self.orders);
        soon("the slot's end", self.running).await.unwrap();
    }
}

#[tokio::test]
async fn packs_are_trained_one_after_the_other() {
    let mut slot = Slot::start(launch(&[]));
    slot.ready().await;
    let done = |epochs| (epochs, Some(Outcome::Succeeded));
    slot.train(7, &[3, 5]);
    assert_eq!(slot.follow(7, 2).await, [done(3), done(5)]);
    slot.train(9, &[2]);
    assert_eq!(slot.follow(9, 1).await, [done(2)]);
    slot.end().await;
}

#[tokio::test]
async fn a_trainer_that_dies_is_reported_and_replaced() {
    let crash = (
        "FAKE_CRASH_AT=2",
        "was killed by signal 9",
        "the fake trainer crashes in epoch 2",
    );
    let exit = (
        "FAKE_EXIT_AT=2",
        "exited with code 7",
        "the fake trainer exits in epoch 2",
    );
    for (trouble, how, stderr) in [crash, exit] {
        let folder = tempfile::tempdir().unwrap();
        let once = format!("FAKE_ONCE={}", folder.path().join("happened").display());
        let mut slot = Slot::start(launch(&[trouble, &once]));
        slot.ready().await;
        slot.train(1, &[5]);
        assert_eq!(slot.died().await, (how.to_owned(), stderr.to_owned()));
        slot.ready().await;
        slot.train(2, &[5]);
        assert_eq!(slot.follow(2, 1).await, [(5, Some(Outcome::Succeeded))]);
        slot.end().await;
    }
}

#[tokio::test]
async fn a_trainer_without_progress_is_killed_however_lively_it_says_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let once = format!("FAKE_ONCE={}", folder.path().join("happened").display());
    let mut slot = Slot::start(Launch {
        patience: Duration::from_secs(1),
        ..launch(&["FAKE_HANG_AT=3", &once])
    });
    slot.ready().await;
    slot.train(1, &[5]);
    assert_eq!(slot.died().await.0, "made no progress for 1 s and was killed");
    slot.ready().await;
    slot.train(2, &[5]);
    assert_eq!(slot.follow(2, 1).await, [(5, Some(Outcome::Succeeded))]);
    slot.end().await;
}

#[tokio::test]
async fn a_trainer_is_killed_when_ordered_and_another_takes_its_place() {
    let mut slot = Slot::start(launch(&["FAKE_HANG_AT=1"]));
    slot.ready().await;
    slot.train(1, &[5]);
    slot.orders.send(Order::Kill).unwrap();
    assert_eq!(slot.died().await.0, "was killed");
    // What is ordered before the next one has greeted was meant for the one that is gone.
    slot.train(1, &[5]);
    slot.orders.send(Order::Kill).unwrap();
    slot.ready().await;
    slot.end().await;
}

#[tokio::test]
async fn a_cancelled_trial_ends_without_an_outcome() {
    let mut slot = Slot::start(launch(&["FAKE_HANG_AT=1"]));
    slot.ready().await;
    slot.train(1, &[5]);
    slot.orders
        .send(Order::Tell(ToTrainer::Cancel { pack: 1, trial: 0 }))
        .unwrap();
    assert_eq!(slot.follow(1, 1).await, [(0, None)]);
    slot.end().await;
}

#[tokio::test]
async fn nothing_is_lost_while_a_trainer_is_not_read_from() {
    // Far more than the socket between the two holds.
    const EPOCHS: u32 = 20_000;
    let mut slot = Slot::start(launch(&[]));
    slot.ready().await;
    slot.paused.send(true).unwrap();
    slot.train(1, &[EPOCHS]);
    tokio::task::yield_now().await;
    slot.paused.send(false).unwrap();
    slot.paused.send(true).unwrap();
    slot.paused.send(false).unwrap();
    assert_eq!(slot.follow(1, 1).await, [(EPOCHS, Some(Outcome::Succeeded))]);
    slot.end().await;
}

#[tokio::test]
async fn a_trainer_that_cannot_work_says_why() {
    let mut slot = Slot::start(launch(&["FAKE_UNFIT=there is no data"]));
    assert_eq!(slot.unfit().await, "there is no data");
    slot.running.abort();

    let mut slot = Slot::start(launch(&["FAKE_PROTOCOL=99"]));
    assert!(slot.unfit().await.contains("frames of version 99"));
    slot.running.abort();

    let ends_early = Launch {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), "echo no libtorch >&2; exit 127".into()],
        ..launch(&[])
    };
    let mut slot = Slot::start(ends_early);
    let error = slot.unfit().await;
    assert_eq!(error, "the trainer exited with code 127: no libtorch");
    slot.running.abort();

    let nowhere = Launch {
        program: "/nowhere/tenfold-trainer".into(),
        ..launch(&[])
    };
    let mut slot = Slot::start(nowhere);
    assert!(slot.unfit().await.contains("/nowhere/tenfold-trainer"));
    slot.running.abort();
}
