//! A whole agent, with trainers, against a coordinator that loses answers, goes away, changes its mind.

use std::time::Duration;

use tenfold_proto::dial::Addresses;
use tenfold_proto::v1::end::Outcome;
use tenfold_worker::agent::{self, Config};
use tenfold_worker::session::{Exit, Options};
use tenfold_worker::throughput::{Cache, Table};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::fleet::{Coordinator, Shared};
use crate::{launch, soon};

struct Agent {
    stop: mpsc::Sender<()>,
    running: JoinHandle<Exit>,
    /// Where it keeps what it measures.
    folder: tempfile::TempDir,
}

impl Agent {
    fn start(coordinator: &Coordinator, slots: usize, environment: &[&str]) -> Self {
        let addresses: Addresses = coordinator.url().parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            coordinator: addresses.within(Duration::from_secs(1)),
            host: "here".to_owned(),
            slots: vec![launch(environment); slots],
            session: Options {
                outbox_bytes: 1 << 20,
                stop_after: None,
                max_pack: 100,
                table: Table::default(),
            },
            cache: Cache::new(Some(folder.path())),
        };
        let (stop, stopped) = mpsc::channel(2);
        let running = tokio::spawn(agent::run(config, stopped));
        Self {
            stop,
            running,
            folder,
        }
    }

    async fn end(self) {
        self.stop.send(()).await.unwrap();
        assert_eq!(soon("the agent's end", self.running).await.unwrap(), Exit::Asked);
    }
}

fn all_succeeded(book: &Shared, leases: u64, epochs: u32) {
    book.look(|book| {
        for fence in 1..=leases {
            assert!(
                matches!(book.ends[&fence], Outcome::Succeeded(_)),
                "{:?}",
                book.ends[&fence]
            );
            assert_eq!(book.epochs[&fence], epochs);
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_measured_is_kept() {
    let book = Shared::new(2, 3);
    let coordinator = Coordinator::start(&book).await;
    let agent = Agent::start(&coordinator, 1, &["FAKE_KIND=cuda"]);
    book.until("all is trained", |book| book.are_over(2)).await;
    let cache = Cache::new(Some(agent.folder.path()));
    let kept = async {
        while cache.load().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("a table", kept).await;
    // Two trials of one shape, measured once: sixteen at once are as fast as it gets.
    let text = std::fs::read_to_string(cache.path()).unwrap();
    assert_eq!(
        (cache.load().len(), text.matches("\"trials\": 16").count()),
        (1, 1),
        "{text}"
    );
    agent.end().await;
    all_succeeded(&book, 2, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn trials_are_trained_in_all_slots() {
    let book = Shared::new(6, 20);
    let coordinator = Coordinator::start(&book).await;
    let agent = Agent::start(&coordinator, 2, &[]);
    book.until("all is trained", |book| book.are_over(6)).await;
    all_succeeded(&book, 6, 20);
    book.look(|book| {
        let worker = book.workers.values().next().unwrap();
        assert_eq!(
            (worker.host.as_str(), worker.slots.len(), worker.libtorch.as_str()),
            ("here", 2, "fake")
        );
        assert_eq!(book.registrations, 1);
    });
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_lose_nothing_and_repeat_nothing() {
    let book = Shared::new(4, 20);
    book.change(|book| book.loses_answers = true);
    let coordinator = Coordinator::start(&book).await;
    let agent = Agent::start(&coordinator, 2, &[]);
    book.until("all is trained", |book| book.are_over(4)).await;
    all_succeeded(&book, 4, 20);
    assert_eq!(
        book.look(|book| book.leased),
        4,
        "no lease was lost with its answer"
    );
    book.change(|book| book.loses_answers = false);
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_goes_and_comes_back_finds_the_trial_where_it_was() {
    const EPOCHS: u32 = 100;
    let undisturbed = Shared::new(1, EPOCHS);
    let coordinator = Coordinator::start(&undisturbed).await;
    let agent = Agent::start(&coordinator, 1, &[]);
    undisturbed.until("all is trained", |book| book.are_over(1)).await;
    agent.end().await;

    let book = Shared::new(1, EPOCHS);
    let coordinator = Coordinator::start(&book).await;
    let address = coordinator.address;
    let agent = Agent::start(&coordinator, 1, &["FAKE_EPOCH_MS=20"]);
    book.until("training has begun", |book| {
        book.epochs.get(&1).is_some_and(|epochs| *epochs > 5)
    })
    .await;
    drop(coordinator);
    let before = book.look(|book| book.epochs[&1]);
    // It comes back without its memory of workers, as one does that was given another store of them.
    book.change(|book| book.workers.clear());
    let _coordinator = Coordinator::start_at(&book, address).await;
    book.until("all is trained", |book| book.are_over(1)).await;
    assert!(before < EPOCHS, "it went away in the middle");
    assert_eq!(book.look(|book| (book.leased, book.registrations)), (1, 2));
    all_succeeded(&book, 1, EPOCHS);
    let curve = |book: &Shared| book.look(|book| book.columns[&1].clone());
    assert_eq!(curve(&book), curve(&undisturbed));
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_fence_frees_the_slot_at_once() {
    let book = Shared::new(1, 20);
    let coordinator = Coordinator::start(&book).await;
    // It would hang for ever, and be deaf; only a kill frees the slot. And the patience is long.
    let folder = tempfile::tempdir().unwrap();
    let once = format!("FAKE_ONCE={}", folder.path().join("happened").display());
    let agent = Agent::start(&coordinator, 1, &["FAKE_DEAF=1", "FAKE_HANG_AT=3", &once]);
    book.until("it hangs", |book| book.epochs.get(&1) == Some(&2))
        .await;
    book.change(|book| {
        book.stale.insert(1);
        book.waiting.push_back(crate::spec(20));
    });
    book.until("the next is trained", |book| book.are_over(1)).await;
    book.look(|book| {
        assert_eq!(
            book.ends.keys().copied().collect::<Vec<_>>(),
            [2],
            "the stale one gets no end"
        );
        assert_eq!(book.epochs[&1], 2);
    });
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_trial_frees_the_slot_whether_its_trainer_listens_or_not() {
    for deaf in ["FAKE_DEAF=1", "FAKE_LISTENS=1"] {
        let book = Shared::new(1, 1_000_000);
        let coordinator = Coordinator::start(&book).await;
        let agent = Agent::start(&coordinator, 1, &[deaf, "FAKE_EPOCH_MS=1"]);
        book.until("training has begun", |book| book.epochs.contains_key(&1))
            .await;
        book.change(|book| {
            book.cancelled.insert(1);
            book.waiting.push_back(crate::spec(3));
        });
        book.until("the next is trained", |book| book.are_over(1)).await;
        assert!(
            book.look(|book| book.ends.contains_key(&2)),
            "no end is needed for the cancelled one"
        );
        agent.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_reported_with_what_the_trainer_said_last() {
    let book = Shared::new(2, 10);
    let coordinator = Coordinator::start(&book).await;
    let folder = tempfile::tempdir().unwrap();
    let once = format!("FAKE_ONCE={}", folder.path().join("happened").display());
    let agent = Agent::start(&coordinator, 1, &["FAKE_CRASH_AT=4", &once]);
    book.until("both are over", |book| book.are_over(2)).await;
    book.look(|book| {
        let failed = book.failure(1);
        assert_eq!(failed.error, "the trainer was killed by signal 9 in epoch 4");
        assert_eq!(failed.stderr, "the fake trainer crashes in epoch 4");
        assert!(
            matches!(book.ends[&2], Outcome::Succeeded(_)),
            "another trainer goes on"
        );
    });
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn divergence_refusal_and_a_curve_too_short_are_told_apart() {
    let book = Shared::new(1, 10);
    let coordinator = Coordinator::start(&book).await;
    let agent = Agent::start(&coordinator, 1, &["FAKE_DIVERGE_AT=4"]);
    book.until("it is over", |book| book.are_over(1)).await;
    book.look(|book| {
        let Outcome::Diverged(diverged) = &book.ends[&1] else {
            panic!("{:?}", book.ends[&1]);
        };
        assert_eq!((diverged.epoch, book.epochs[&1]), (4, 3));
    });
    agent.end().await;

    let book = Shared::new(1, 10);
    let coordinator = Coordinator::start(&book).await;
    let agent = Agent::start(&coordinator, 1, &["FAKE_REFUSE=too big for this device"]);
    book.until("it is over", |book| book.are_over(1)).await;
    book.look(|book| assert_eq!(book.failure(1).error, "too big for this device"));
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_stopped_gives_its_trials_back() {
    let book = Shared::new(2, 10);
    let coordinator = Coordinator::start(&book).await;
    let agent = Agent::start(&coordinator, 2, &["FAKE_HANG_AT=2"]);
    book.until("both hang", |book| {
        book.epochs.values().filter(|epochs| **epochs == 1).count() == 2
    })
    .await;
    agent.end().await;
    book.look(|book| {
        let released = |outcome: &Outcome| matches!(outcome, Outcome::Released(_));
        assert!(
            book.ends.len() == 2 && book.ends.values().all(released),
            "{:?}",
            book.ends
        );
    });
}
