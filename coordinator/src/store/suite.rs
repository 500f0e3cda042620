//! What every store must do. Each store runs all of it, through `store_suite!`.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tenfold_core::rank::Ratio;
use tenfold_core::record::*;
use tenfold_core::sweep::{ChoiceId, Extension};
use tenfold_core::trial::TrialState;
use tenfold_types::{Block, DeviceKind, Fence, RequestId, SweepId, TrialId, TrialKey, Value, WorkerId};

use super::*;

/// A store in its place, which can be closed and opened again.
pub(super) trait Place {
    fn open(&mut self) -> Box<dyn Store>;
}

macro_rules! store_suite {
    ($place:expr) => {
        use crate::store::suite;

        #[test]
        fn rows_come_back_as_they_were_written() {
            suite::rows_come_back(&mut $place);
        }
        #[test]
        fn a_row_is_replaced_by_its_newer_self() {
            suite::upserts(&mut $place);
        }
        #[test]
        fn only_live_epochs_are_loaded() {
            suite::live_epochs(&mut $place);
        }
        #[test]
        fn changes_have_no_gap_and_no_repeat() {
            suite::changes(&mut $place);
        }
        #[test]
        fn a_watcher_beside_the_writer_sees_each_row_once() {
            suite::watched(&mut $place);
        }
        #[test]
        fn a_point_comes_with_the_epochs_that_count() {
            suite::points(&mut $place);
        }
        #[test]
        fn what_is_touched_is_named_with_what_changed() {
            suite::touched(&mut $place);
        }
        #[test]
        fn extensions_come_in_the_order_of_their_commits() {
            suite::extensions(&mut $place);
        }
        #[test]
        fn answers_to_requests_are_kept_until_they_are_forgotten() {
            suite::requests(&mut $place);
        }
        #[test]
        fn choices_come_in_the_order_of_their_commits() {
            suite::choices(&mut $place);
        }
        #[test]
        fn a_trial_can_have_the_curve_of_another() {
            suite::copied(&mut $place);
        }
        #[test]
        fn a_sweep_that_is_gone_leaves_nothing() {
            suite::gone(&mut $place);
        }
        #[test]
        fn a_sweep_deleted_and_submitted_again_in_one_commit_is_the_new_one() {
            suite::gone_and_back(&mut $place);
        }
        #[test]
        fn what_one_commit_opens_and_closes_is_as_if_done_one_after_the_other() {
            suite::in_one_commit(&mut $place);
        }
        #[test]
        fn single_epochs_are_found_without_reading_curves() {
            suite::single_epochs(&mut $place);
        }
        #[test]
        fn rows_of_a_point_say_when_they_changed() {
            suite::rows_of_a_point(&mut $place);
        }
        #[test]
        fn attempts_come_newest_first() {
            suite::attempts(&mut $place);
        }
    };
}
pub(super) use store_suite;

pub(super) fn sweep(number: u64) -> SweepRow {
    SweepRow {
        id: SweepId([number as u8; 16]),
        number,
        name: format!("sweep {number}"),
        normalised: format!("{{\"number\":{number}}}"),
        submitted_at: 1_000 + number,
        finished_at: None,
        control: Control::Active,
    }
}

pub(super) fn trial(sweep: u64, index: u64, repetition: u32, state: TrialState) -> TrialRow {
    let key = TrialKey {
        stage: 0,
        repetition,
        index,
    };
    let id = TrialId {
        sweep: SweepId([sweep as u8; 16]),
        key,
    };
    let accepted_at = state.accepted().map(|_| 77);
    TrialRow {
        id,
        state,
        attempts: 2,
        failures: 1,
        error: Some("an error".to_owned()),
        pack_limit: 3,
        accepted_at,
    }
}

pub(super) fn epochs(of: &TrialRow, fence: u64, first: u32) -> EpochsRow {
    let value = |at: u32| (first * 10 + at) as f32 + 0.1;
    EpochsRow {
        trial: of.id,
        fence: Fence(fence),
        attempt: 2,
        block: Block {
            first,
            epochs: 2,
            columns: vec![value(0), value(1), f32::MIN_POSITIVE, -0.0],
            seconds: vec![0.25, 0.5],
        },
    }
}

fn worker() -> WorkerRow {
    WorkerRow {
        id: WorkerId([7; 8]),
        host: "node".to_owned(),
        process: 42,
        protocol: 4,
        version: "0.1.0".to_owned(),
        libtorch: "2.11.0".to_owned(),
        slots: vec![Slot {
            kind: DeviceKind::Cuda,
            device: "a GPU".to_owned(),
            threads: 1,
        }],
        draining: true,
    }
}

fn lease(fence: u64) -> LeaseRow {
    LeaseRow {
        fence: Fence(fence),
        worker: WorkerId([7; 8]),
        request: RequestId([9; 16]),
        slot: 0,
        given_at: 5,
        provenance: provenance(),
        sweep: SweepId([1; 16]),
        trials: vec![(
            TrialKey {
                stage: 0,
                repetition: 1,
                index: 2,
            },
            3,
        )],
    }
}

fn choice(number: u64, cell: u64, outcome: Outcome) -> ChoiceRow {
    let candidate = |value: Value, mean: f64| Candidate {
        n: 3,
        missing: 1,
        mean,
        standard_error: (mean > 0.2).then_some(mean / 3.0),
        trials: (mean > 0.2).then_some(5),
        exact: (mean > 0.2).then_some(Ratio { sum: 7, of: 10 }),
        points_left_out: u32::from(mean > 0.2),
        repetitions_left_out: 0,
        value,
    };
    ChoiceRow {
        sweep: sweep(number).id,
        choice: ChoiceId {
            stage: 1,
            rule: 0,
            cell,
        },
        candidates: vec![
            candidate(Value::Text("adam".to_owned()), 0.1),
            candidate(Value::Int(7), 0.7),
        ],
        outcome,
        // Of the rules of earlier versions, and of others.
        rules: cell as u32 % 2,
    }
}

fn extension(number: u64, which: u32, repetitions: u32) -> ExtensionRow {
    ExtensionRow {
        sweep: sweep(number).id,
        number: which,
        at: 1_000 + u64::from(which),
        extension: Extension::Repetitions {
            stage: 1,
            repetitions,
            // As versions wrote it that did not record it, and as this one does.
            seen: (which % 2 == 1).then_some(which),
        },
    }
}

pub(super) fn extensions(place: &mut impl Place) {
    let mut store = place.open();
    let (first, second) = (extension(1, 1, 5), extension(1, 2, 7));
    let with = |row: &ExtensionRow| [Record::Extension(row.clone()), Record::Sweep(sweep(1))];
    store.commit(&[Record::Sweep(sweep(1))]).unwrap();
    store.commit(&with(&first)).unwrap();
    store.commit(&with(&second)).unwrap();
    let mut reader = store.reader().unwrap();
    let id = sweep(1).id;
    assert_eq!(
        reader.extensions(id, 0).unwrap(),
        [(2, first), (3, second.clone())]
    );
    assert_eq!(reader.extensions(id, 2).unwrap(), [(3, second)]);
    assert_eq!(reader.extensions(sweep(2).id, 0).unwrap(), []);
    let touched = reader.touched(id, 2, 100).unwrap();
    assert!(touched.sweep.is_some(), "a watcher sees that there is one");
}

fn request(number: u64, text: &str) -> RequestRow {
    RequestRow {
        number,
        key: RequestKey {
            id: format!("request-{number:08}"),
            method: "Refine".to_owned(),
            digest: [number as u8; 32],
        },
        at: 1_000 * number,
        code: (number % 2) as u32,
        // Any bytes: a message is no text.
        answer: [text.as_bytes(), &[0, 255]].concat(),
    }
}

pub(super) fn requests(place: &mut impl Place) {
    let kept = |place: &mut dyn Place| -> Vec<RequestRow> {
        let (records, _) = loaded(place.open().as_mut());
        let kept = records.into_iter().filter_map(|record| match record {
            Record::Request(row) => Some(row),
            _ => None,
        });
        kept.collect()
    };
    let mut store = place.open();
    let keep = |number| Record::Request(request(number, "first"));
    store
        .commit(&[Record::Sweep(sweep(1)), keep(1), keep(2)])
        .unwrap();
    store.commit(&[keep(3), keep(4)]).unwrap();
    drop(store);
    assert_eq!(kept(place), [1, 2, 3, 4].map(|number| request(number, "first")));
    let mut store = place.open();
    loaded(store.as_mut());
    let forget = |through| Record::RequestsForgotten { through };
    // One after the other in one commit, also of what the commit itself keeps.
    store
        .commit(&[forget(2), keep(5), forget(3), keep(6), forget(5), keep(7)])
        .unwrap();
    store.commit(&[Record::Request(request(7, "again"))]).unwrap();
    drop(store);
    assert_eq!(kept(place), [request(6, "first"), request(7, "again")]);
}

pub(super) fn choices(place: &mut impl Place) {
    let mut store = place.open();
    let chosen = |cell| choice(1, cell, Outcome::Chosen(vec![Value::Float(0.1)]));
    store
        .commit(&[Record::Sweep(sweep(1)), Record::Choice(chosen(3))])
        .unwrap();
    store
        .commit(&[Record::Choice(chosen(0)), Record::Choice(chosen(2))])
        .unwrap();
    let again = choice(1, 3, Outcome::Withdrawn);
    store.commit(&[Record::Choice(again.clone())]).unwrap();
    let mut reader = store.reader().unwrap();
    let id = sweep(1).id;
    assert_eq!(
        reader.choices(id, 0).unwrap(),
        [(2, chosen(0)), (2, chosen(2)), (3, again.clone())]
    );
    assert_eq!(reader.choices(id, 2).unwrap(), [(3, again)]);
    assert_eq!(reader.choices(sweep(2).id, 0).unwrap(), []);
}

pub(super) fn copied(place: &mut impl Place) {
    let mut store = place.open();
    let state = TrialState::Succeeded {
        fence: Fence(3),
        epochs: 4,
    };
    let from = trial(1, 0, 1, state.clone());
    let to = trial(1, 5, 0, state);
    store
        .commit(&[
            Record::Sweep(sweep(1)),
            Record::Epochs(epochs(&from, 3, 1)),
            Record::Epochs(epochs(&from, 3, 3)),
            // Of another attempt, which did not count.
            Record::Epochs(epochs(&from, 2, 1)),
            Record::Trial(from.clone()),
        ])
        .unwrap();
    store
        .commit(&[
            Record::EpochsCopied {
                sweep: from.id.sweep,
                from: from.id.key,
                to: to.id.key,
                fence: Fence(3),
            },
            Record::Trial(to.clone()),
        ])
        .unwrap();
    let mut reader = store.reader().unwrap();
    let stored = |reader: &mut dyn Reader, row: &TrialRow| {
        let of_point = reader.point(row.id.sweep, 0, row.id.key.index).unwrap();
        let found = of_point
            .into_iter()
            .find(|stored| stored.row.id == row.id)
            .unwrap();
        (found.row, found.blocks)
    };
    let (there, here) = (stored(reader.as_mut(), &from), stored(reader.as_mut(), &to));
    assert_eq!((here.0, &here.1), (to.clone(), &there.1));
    assert_eq!(here.1.len(), 2);
    let touched = reader.touched(to.id.sweep, 1, 10).unwrap();
    assert!(touched.trials.iter().all(|(key, _)| *key == to.id.key));
    let any = |of: fn(&What) -> bool| touched.trials.iter().any(|(_, what)| of(what));
    assert!(any(|what| what.row) && any(|what| what.epochs) && any(|what| what.over));
    let rows = reader.changes(to.id.sweep, 1, Page::rows(10)).unwrap().rows;
    assert_eq!(rows.len(), 3, "two blocks and the trial: {rows:?}");
}

fn provenance() -> Provenance {
    Provenance {
        host: "node".to_owned(),
        device: "cpu".to_owned(),
        threads: 1,
        version: "0.1.0".to_owned(),
        libtorch: "2.11.0".to_owned(),
    }
}

fn attempt(of: &TrialRow, number: u32) -> AttemptRow {
    AttemptRow {
        trial: of.id,
        number,
        fence: Fence(u64::from(number)),
        worker: WorkerId([7; 8]),
        provenance: provenance(),
        started_at: 10,
        ended_at: None,
        ended: String::new(),
        error: String::new(),
        stderr: String::new(),
    }
}

pub(super) fn loaded(store: &mut dyn Store) -> (Vec<Record>, Cursor) {
    let mut records = Vec::new();
    let cursor = store.load(&mut |record| records.push(record)).unwrap();
    (records, cursor)
}

const HELD: TrialState = TrialState::Running {
    fence: Fence(3),
    worker: WorkerId([7; 8]),
};

pub(super) fn rows_come_back(place: &mut impl Place) {
    let states = [
        TrialState::Pending,
        TrialState::Leased {
            fence: Fence(2),
            worker: WorkerId([7; 8]),
        },
        HELD,
        TrialState::Backoff {
            until: u64::from(u32::MAX) * 1000,
        },
        TrialState::Succeeded {
            fence: Fence(4),
            epochs: 2,
        },
        TrialState::Diverged {
            fence: Fence(5),
            epoch: 3,
        },
        TrialState::Failed,
        TrialState::Cancelled,
    ];
    let trials: Vec<TrialRow> = states
        .into_iter()
        .enumerate()
        .map(|(at, state)| trial(1, at as u64, 0, state))
        .collect();
    let mut written = vec![
        Record::Counters(Counters { fence: 9, sweeps: 1 }),
        Record::Sweep(sweep(1)),
    ];
    written.extend([Record::Worker(worker()), Record::Lease(lease(3))]);
    written.extend([
        Record::Extension(extension(1, 1, 3)),
        Record::Extension(ExtensionRow {
            extension: Extension::Stage {
                name: "refine-1".to_owned(),
                text: "{\"tenfold\":1}".to_owned(),
            },
            ..extension(1, 2, 0)
        }),
        Record::Choice(choice(
            1,
            0,
            Outcome::Chosen(vec![Value::Float(0.1 + 0.2), Value::Bool(true)]),
        )),
        Record::Choice(choice(1, 7, Outcome::Nothing("nothing".to_owned()))),
    ]);
    written.extend(trials.iter().cloned().map(Record::Trial));
    written.push(Record::Epochs(epochs(&trials[2], 3, 1)));
    let mut store = place.open();
    assert_eq!(
        loaded(store.as_mut()),
        (vec![Record::Counters(Counters::default())], 0),
        "an empty store"
    );
    let volatile = [
        Record::Seen {
            worker: WorkerId([7; 8]),
            at: 1,
        },
        Record::Renewed {
            fence: Fence(3),
            expires: 9,
        },
    ];
    assert_eq!(store.commit(&[&written[..], &volatile].concat()).unwrap(), 1);
    assert_eq!(loaded(store.as_mut()), (written.clone(), 1));
    drop(store);
    let mut store = place.open();
    assert_eq!(
        loaded(store.as_mut()),
        (written, 1),
        "after it was closed and opened"
    );
    assert_eq!(
        store
            .commit(&[
                Record::LeaseClosed(Fence(3)),
                Record::WorkerGone(WorkerId([7; 8]))
            ])
            .unwrap(),
        2,
        "commits count on"
    );
    assert!(
        !loaded(store.as_mut())
            .0
            .iter()
            .any(|record| matches!(record, Record::Lease(_) | Record::Worker(_)))
    );
}

pub(super) fn upserts(place: &mut impl Place) {
    let mut store = place.open();
    let newer = SweepRow {
        finished_at: Some(77),
        control: Control::Stopped,
        ..sweep(1)
    };
    let (first, last) = (
        trial(1, 0, 0, TrialState::Pending),
        trial(1, 0, 0, TrialState::Failed),
    );
    // Within one commit, and from one to the next.
    store
        .commit(&[
            Record::Sweep(sweep(1)),
            Record::Sweep(newer.clone()),
            Record::Trial(first),
        ])
        .unwrap();
    let counters = Counters { fence: 2, sweeps: 1 };
    store
        .commit(&[Record::Trial(last.clone()), Record::Counters(counters)])
        .unwrap();
    let expected = vec![
        Record::Counters(counters),
        Record::Sweep(newer),
        Record::Trial(last),
    ];
    assert_eq!(loaded(store.as_mut()), (expected, 2));
}

pub(super) fn live_epochs(place: &mut impl Place) {
    let mut store = place.open();
    let held = trial(1, 0, 0, HELD);
    let over = trial(
        1,
        1,
        0,
        TrialState::Succeeded {
            fence: Fence(3),
            epochs: 2,
        },
    );
    let records = [
        Record::Sweep(sweep(1)),
        Record::Trial(held.clone()),
        Record::Trial(over.clone()),
        Record::Epochs(epochs(&held, 3, 1)),
        Record::Epochs(epochs(&over, 3, 1)),
        Record::Epochs(epochs(&held, 3, 3)),
        // Of an earlier attempt.
        Record::Epochs(epochs(&held, 2, 1)),
    ];
    store.commit(&records).unwrap();
    let live = |store: &mut dyn Store| -> Vec<Record> {
        loaded(store)
            .0
            .into_iter()
            .filter(|record| matches!(record, Record::Epochs(_)))
            .collect()
    };
    assert_eq!(
        live(store.as_mut()),
        [
            Record::Epochs(epochs(&held, 3, 1)),
            Record::Epochs(epochs(&held, 3, 3))
        ],
        "in order, and only of trials that are held"
    );
    store
        .commit(&[Record::EpochsDropped {
            trial: held.id,
            fence: Fence(3),
        }])
        .unwrap();
    assert_eq!(live(store.as_mut()), []);
    assert_eq!(
        store.reader().unwrap().point(over.id.sweep, 0, 1).unwrap()[0]
            .blocks
            .len(),
        1
    );
}

pub(super) fn changes(place: &mut impl Place) {
    let mut store = place.open();
    let mut reader = store.reader().unwrap();
    let id = SweepId([1; 16]);
    let nothing = Changes {
        cursor: 0,
        rows: Vec::new(),
        end: true,
    };
    assert_eq!(
        reader.changes(id, 0, Page::rows(10)).unwrap(),
        nothing,
        "an unknown sweep"
    );
    store
        .commit(&[Record::Sweep(sweep(1)), Record::Sweep(sweep(2))])
        .unwrap();
    let mut written: Vec<Change> = vec![Change::Sweep(sweep(1))];
    for index in 0..20 {
        let row = trial(1, index, 0, HELD);
        let other = trial(2, index, 0, TrialState::Failed);
        let (a, b) = (epochs(&row, 3, 1), epochs(&row, 3, 3));
        let records = [
            Record::Trial(row.clone()),
            Record::Trial(other),
            Record::Epochs(a.clone()),
            Record::Epochs(b.clone()),
        ];
        store.commit(&records).unwrap();
        written.extend([Change::Epochs(a), Change::Epochs(b), Change::Trial(row)]);
    }
    let bytes = |bytes| Page { rows: 1000, bytes };
    let pages = [0, 1, 2, 3, 4, 7, 1000].map(Page::rows);
    for limit in pages.into_iter().chain([0, 1, 300, 1000, 100_000].map(bytes)) {
        let (mut since, mut seen) = (0, Vec::new());
        loop {
            let page = reader.changes(id, since, limit).unwrap();
            assert!(page.cursor >= since);
            assert!(page.end || page.cursor > since, "a page that goes nowhere");
            since = page.cursor;
            seen.extend(page.rows);
            if page.end {
                break;
            }
        }
        assert_eq!(seen, written, "pages of {limit:?}");
        assert_eq!(since, 21);
    }
    // A row that changes again comes again, once, as it is then.
    let again = trial(1, 0, 0, TrialState::Cancelled);
    store.commit(&[Record::Trial(again.clone())]).unwrap();
    let page = reader.changes(id, 21, Page::rows(10)).unwrap();
    assert_eq!(
        page,
        Changes {
            cursor: 22,
            rows: vec![Change::Trial(again)],
            end: true
        }
    );
    assert_eq!(
        reader.changes(id, 22, Page::rows(10)).unwrap(),
        Changes {
            cursor: 22,
            rows: Vec::new(),
            end: true
        }
    );
}

pub(super) fn watched(place: &mut impl Place) {
    const COMMITS: u64 = 150;
    let mut store = place.open();
    let mut reader = store.reader().unwrap();
    store.commit(&[Record::Sweep(sweep(1))]).unwrap();
    let written = |index: u64| {
        let row = trial(1, index, 0, HELD);
        [1, 3].map(|first| epochs(&row, 3, first))
    };
    let writer = std::thread::spawn(move || {
        for index in 0..COMMITS {
            // One row changes in every commit; a watcher may see it seldom, but its last state for sure.
            let row = TrialRow {
                attempts: index as u32,
                ..trial(1, 0, 1, TrialState::Pending)
            };
            let records = written(index).map(Record::Epochs);
            store
                .commit(&[&records[..], &[Record::Trial(row)]].concat())
                .unwrap();
        }
    });
    let (mut since, mut seen, mut newest) = (0, Vec::new(), None);
    while since <= COMMITS {
        let page = reader.changes(SweepId([1; 16]), since, Page::rows(5)).unwrap();
        assert!(page.end || page.cursor > since, "a page that goes nowhere");
        since = page.cursor;
        for change in page.rows {
            match change {
                Change::Epochs(row) => seen.push(row),
                Change::Trial(row) => {
                    assert!(newest <= Some(row.attempts), "a row goes back");
                    newest = Some(row.attempts);
                }
                Change::Sweep(_) => {}
            }
        }
    }
    writer.join().unwrap();
    let rest = reader.changes(SweepId([1; 16]), since, Page::rows(5)).unwrap();
    assert_eq!(
        (rest.cursor, rest.rows, rest.end),
        (COMMITS + 1, Vec::new(), true)
    );
    let expected: Vec<EpochsRow> = (0..COMMITS).flat_map(written).collect();
    assert_eq!(seen, expected, "all epochs, once, in order");
    assert_eq!(newest, Some(COMMITS as u32 - 1));
}

pub(super) fn single_epochs(place: &mut impl Place) {
    let mut store = place.open();
    let mut reader = store.reader().unwrap();
    let id = SweepId([1; 16]);
    let (fence, worker) = (Fence(5), WorkerId([7; 8]));
    let running = trial(1, 0, 0, TrialState::Running { fence, worker });
    let failed = trial(1, 0, 1, TrialState::Failed);
    let leased = trial(1, 0, 2, TrialState::Leased { fence, worker });
    let elsewhere = trial(1, 1, 0, TrialState::Running { fence, worker });
    let attempts = [
        (elsewhere.id.key, fence),
        (leased.id.key, fence),
        (running.id.key, Fence(4)),
        (running.id.key, fence),
    ];
    assert_eq!(reader.lengths(id, &attempts).unwrap(), [0; 4], "an unknown sweep");
    assert_eq!(reader.values(id, &attempts, 1).unwrap(), vec![None; 4]);
    let blocks = [epochs(&running, 5, 1), epochs(&running, 5, 3)];
    let records = [
        Record::Sweep(sweep(1)),
        Record::Trial(running.clone()),
        Record::Trial(failed.clone()),
        Record::Trial(leased.clone()),
        Record::Trial(elsewhere.clone()),
        Record::Epochs(blocks[0].clone()),
        Record::Epochs(blocks[1].clone()),
        Record::Epochs(epochs(&elsewhere, 5, 1)),
    ];
    store.commit(&records).unwrap();
    assert_eq!(
        reader.trials(id, 0, 0).unwrap().rows,
        [running.clone(), failed, leased]
    );
    assert_eq!(reader.lengths(id, &attempts).unwrap(), [2, 0, 0, 4]);
    assert_eq!(reader.lengths(id, &[]).unwrap(), [0; 0]);
    for epoch in 0..=5 {
        let of = |blocks: &[EpochsRow]| blocks.iter().find_map(|row| row.block.values(epoch));
        let expected = [of(&[epochs(&elsewhere, 5, 1)]), None, None, of(&blocks)];
        assert_eq!(expected[3].is_some(), (1..=4).contains(&epoch));
        assert_eq!(
            reader.values(id, &attempts, epoch).unwrap(),
            expected,
            "epoch {epoch}"
        );
    }
}

pub(super) fn rows_of_a_point(place: &mut impl Place) {
    let mut store = place.open();
    let mut reader = store.reader().unwrap();
    let id = SweepId([1; 16]);
    let mut newest = |index| {
        let trials = reader.trials(id, 0, index).unwrap();
        (trials.rows.len(), trials.newest)
    };
    assert_eq!(newest(0), (0, 0), "an unknown sweep");
    store.commit(&[Record::Sweep(sweep(1))]).unwrap();
    assert_eq!(newest(0), (0, 0), "no trial is touched");
    let running = TrialState::Running {
        fence: Fence(1),
        worker: WorkerId([7; 8]),
    };
    let mut first = trial(1, 0, 0, running);
    let first_at = store.commit(&[Record::Trial(first.clone())]).unwrap();
    let others = [
        Record::Trial(trial(1, 1, 0, TrialState::Failed)),
        Record::Trial(trial(1, 1, 3, TrialState::Cancelled)),
    ];
    let others_at = store.commit(&others).unwrap();
    assert_eq!((newest(0), newest(1)), ((1, first_at), (2, others_at)));
    store.commit(&[Record::Epochs(epochs(&first, 1, 1))]).unwrap();
    assert_eq!(newest(0), (1, first_at), "epochs are no rows of trials");
    first.state = TrialState::Succeeded {
        fence: Fence(1),
        epochs: 2,
    };
    let over_at = store.commit(&[Record::Trial(first)]).unwrap();
    assert_eq!((newest(0), newest(1)), ((1, over_at), (2, others_at)));
    store.commit(&[Record::SweepGone(id)]).unwrap();
    assert_eq!(newest(0), (0, 0));
}

pub(super) fn points(place: &mut impl Place) {
    let mut store = place.open();
    let over = trial(
        1,
        4,
        1,
        TrialState::Succeeded {
            fence: Fence(6),
            epochs: 4,
        },
    );
    let held = trial(1, 4, 0, HELD);
    let waits = trial(1, 4, 2, TrialState::Pending);
    let records = [
        Record::Sweep(sweep(1)),
        Record::Trial(over.clone()),
        Record::Trial(held.clone()),
        Record::Trial(waits.clone()),
        Record::Trial(trial(1, 5, 0, TrialState::Pending)),
        Record::Epochs(epochs(&over, 6, 3)),
        Record::Epochs(epochs(&over, 6, 1)),
        // Of an earlier attempt, whose curve does not count.
        Record::Epochs(epochs(&over, 2, 1)),
        Record::Epochs(epochs(&held, 3, 1)),
    ];
    store.commit(&records).unwrap();
    let stored = store.reader().unwrap().point(over.id.sweep, 0, 4).unwrap();
    let expected = [
        StoredTrial {
            blocks: vec![epochs(&held, 3, 1).block],
            row: held,
        },
        StoredTrial {
            blocks: vec![epochs(&over, 6, 1).block, epochs(&over, 6, 3).block],
            row: over,
        },
        StoredTrial {
            blocks: Vec::new(),
            row: waits,
        },
    ];
    assert_eq!(stored, expected, "in repetition order");
}

pub(super) fn touched(place: &mut impl Place) {
    let mut store = place.open();
    let mut reader = store.reader().unwrap();
    let id = SweepId([1; 16]);
    let empty = reader.touched(id, 0, 10).unwrap();
    assert_eq!((empty.cursor, empty.trials.len(), empty.end), (0, 0, true));
    store
        .commit(&[Record::Sweep(sweep(1)), Record::Sweep(sweep(2))])
        .unwrap();
    let rows: Vec<TrialRow> = (0..6).map(|index| trial(1, index, 0, HELD)).collect();
    for row in &rows {
        let other = trial(2, 0, 0, TrialState::Failed);
        store
            .commit(&[Record::Trial(row.clone()), Record::Trial(other)])
            .unwrap();
    }
    store.commit(&[Record::Epochs(epochs(&rows[2], 3, 1))]).unwrap();
    let whole = reader.touched(id, 0, 1000).unwrap();
    assert_eq!((whole.cursor, whole.end), (8, true));
    assert_eq!(whole.sweep, Some(sweep(1)));
    let mut named = whole.trials;
    named.sort_unstable();
    named.dedup();
    let leased = What {
        row: true,
        ..What::default()
    };
    assert!(
        rows.iter()
            .filter(|row| row.id != rows[2].id)
            .all(|row| named.contains(&(row.id.key, leased)))
    );
    let last = reader.touched(id, 7, 1000).unwrap();
    let epochs = What {
        epochs: true,
        ..What::default()
    };
    assert_eq!(last.trials, [(rows[2].id.key, epochs)], "only its epochs are new");
    assert_eq!(last.sweep, None);
    let over = trial(1, 9, 0, TrialState::Failed);
    store.commit(&[Record::Trial(over.clone())]).unwrap();
    let last = reader.touched(id, 8, 1000).unwrap();
    let is_over = What { over: true, ..leased };
    assert_eq!(last.trials, [(over.id.key, is_over)]);
    for limit in [1, 2, 3] {
        let (mut since, mut seen) = (0, BTreeSet::new());
        loop {
            let page = reader.touched(id, since, limit).unwrap();
            assert!(page.end || page.cursor > since, "a page that goes nowhere");
            since = page.cursor;
            seen.extend(page.trials.into_iter().map(|(key, _)| key));
            if page.end {
                break;
            }
        }
        assert_eq!((since, seen.len()), (9, 7), "pages of {limit:?}");
    }
}

pub(super) fn gone(place: &mut impl Place) {
    let mut store = place.open();
    let (mine, other) = (trial(1, 0, 0, TrialState::Failed), trial(2, 0, 0, HELD));
    let mut records = vec![Record::Sweep(sweep(1)), Record::Sweep(sweep(2))];
    records.push(Record::Counters(Counters { fence: 3, sweeps: 2 }));
    records.push(Record::Trial(mine.clone()));
    records.extend((0..500).map(|at| Record::Epochs(epochs(&mine, 3, 1 + 2 * at))));
    records.extend((0..3_000).map(|index| Record::Trial(trial(1, 1 + index, 0, TrialState::Failed))));
    records.push(Record::Attempt(attempt(&mine, 1)));
    records.push(Record::Choice(choice(1, 0, Outcome::Withdrawn)));
    records.push(Record::Extension(extension(1, 1, 3)));
    records.extend([Record::Trial(other.clone()), Record::Epochs(epochs(&other, 3, 1))]);
    store.commit(&records).unwrap();
    let mut reader = store.reader().unwrap();
    store.commit(&[Record::SweepGone(mine.id.sweep)]).unwrap();
    let kept = [
        Record::Counters(Counters { fence: 3, sweeps: 2 }),
        Record::Sweep(sweep(2)),
        Record::Trial(other.clone()),
        Record::Epochs(epochs(&other, 3, 1)),
    ];
    assert_eq!(loaded(store.as_mut()), (kept.to_vec(), 2), "gone at once");
    let nothing = |reader: &mut dyn Reader| {
        assert_eq!(reader.point(mine.id.sweep, 0, 0).unwrap(), []);
        assert_eq!(reader.attempts(mine.id).unwrap(), []);
        assert_eq!(reader.choices(mine.id.sweep, 0).unwrap(), []);
        assert_eq!(reader.extensions(mine.id.sweep, 0).unwrap(), []);
        assert_eq!(reader.changes(mine.id.sweep, 0, Page::rows(10)).unwrap().rows, []);
    };
    nothing(reader.as_mut());
    // Submitted again before all of it is cleared away: it is a new one, with a number of its own.
    let again = SweepRow {
        number: 3,
        ..sweep(1)
    };
    store
        .commit(&[
            Record::Counters(Counters { fence: 3, sweeps: 3 }),
            Record::Sweep(again.clone()),
        ])
        .unwrap();
    assert_eq!(reader.point(mine.id.sweep, 0, 0).unwrap(), []);
    let mut times = 0;
    while store.tidy().unwrap() {
        times += 1;
        assert!(times < 1_000, "it never ends");
    }
    store.commit(&[Record::Trial(mine.clone())]).unwrap();
    assert_eq!(reader.point(mine.id.sweep, 0, 0).unwrap().len(), 1);
    assert_eq!(reader.point(other.id.sweep, 0, 0).unwrap().len(), 1);
}

pub(super) fn gone_and_back(place: &mut impl Place) {
    let mut store = place.open();
    let old = trial(1, 2, 0, HELD);
    store
        .commit(&[Record::Sweep(sweep(1)), Record::Trial(old.clone())])
        .unwrap();
    let again = SweepRow {
        number: 2,
        ..sweep(1)
    };
    let new = trial(1, 3, 0, TrialState::Failed);
    store
        .commit(&[
            Record::SweepGone(again.id),
            Record::Sweep(again.clone()),
            Record::Trial(new.clone()),
        ])
        .unwrap();
    while store.tidy().unwrap() {}
    let (rows, _) = loaded(store.as_mut());
    assert!(rows.contains(&Record::Sweep(again)), "{rows:?}");
    assert!(rows.contains(&Record::Trial(new)), "{rows:?}");
    assert!(!rows.contains(&Record::Trial(old)), "{rows:?}");
}

pub(super) fn in_one_commit(place: &mut impl Place) {
    let mut store = place.open();
    let held = trial(1, 2, 1, HELD);
    let over = trial(1, 2, 1, TrialState::Failed);
    let another = trial(1, 2, 0, HELD);
    store
        .commit(&[
            Record::Sweep(sweep(1)),
            Record::Lease(lease(3)),
            Record::Trial(held.clone()),
            Record::Trial(another.clone()),
            Record::Epochs(epochs(&held, 3, 1)),
            Record::Epochs(epochs(&another, 3, 1)),
            Record::EpochsDropped {
                trial: held.id,
                fence: Fence(3),
            },
            Record::LeaseClosed(Fence(3)),
            Record::Trial(over.clone()),
            Record::Worker(worker()),
            Record::WorkerGone(worker().id),
        ])
        .unwrap();
    let (rows, _) = loaded(store.as_mut());
    let expected = [
        Record::Sweep(sweep(1)),
        Record::Trial(another.clone()),
        Record::Trial(over.clone()),
        Record::Epochs(epochs(&another, 3, 1)),
    ];
    assert_eq!(rows[1..], expected, "{rows:?}");
    let point = store.reader().unwrap().point(sweep(1).id, 0, 2).unwrap();
    assert_eq!((point[1].row.clone(), point[1].blocks.len()), (over, 0));
}

pub(super) fn attempts(place: &mut impl Place) {
    let mut store = place.open();
    let of = trial(1, 0, 0, TrialState::Pending);
    let ended = AttemptRow {
        ended_at: Some(20),
        ended: "failed".to_owned(),
        ..attempt(&of, 1)
    };
    let (first, second) = (attempt(&of, 1), attempt(&of, 2));
    store
        .commit(&[
            Record::Sweep(sweep(1)),
            Record::Attempt(first),
            Record::Attempt(second.clone()),
            Record::Lease(lease(3)),
            Record::Trial(TrialRow {
                state: HELD,
                attempts: 3,
                ..of.clone()
            }),
        ])
        .unwrap();
    store.commit(&[Record::Attempt(ended.clone())]).unwrap();
    let mut reader = store.reader().unwrap();
    let third = AttemptRow {
        started_at: 5,
        ..attempt(&of, 3)
    };
    assert_eq!(
        reader.attempts(of.id).unwrap(),
        [third.clone(), second.clone(), ended.clone()],
        "the newest runs, and its lease tells of it"
    );
    let accepted = TrialRow {
        attempts: 3,
        accepted_at: Some(99),
        ..trial(
            1,
            0,
            0,
            TrialState::Diverged {
                fence: Fence(3),
                epoch: 7,
            },
        )
    };
    store
        .commit(&[Record::Trial(accepted), Record::LeaseClosed(Fence(3))])
        .unwrap();
    let third = AttemptRow {
        ended_at: Some(99),
        ended: "diverged in epoch 7".to_owned(),
        ..third
    };
    assert_eq!(
        reader.attempts(of.id).unwrap(),
        [third, second, ended],
        "a lease that is over tells all the same"
    );
    assert_eq!(
        reader.attempts(trial(1, 1, 0, TrialState::Pending).id).unwrap(),
        []
    );
}

fn any_record() -> impl Strategy<Value = Record> {
    let state = prop_oneof![
        Just(TrialState::Pending),
        Just(HELD),
        Just(TrialState::Failed),
        (1..9u64).prop_map(|fence| TrialState::Succeeded {
            fence: Fence(fence),
            epochs: 2
        }),
    ];
    let row = (1..3u64, 0..4u64, 0..2u32, state).prop_map(|(s, index, r, state)| trial(s, index, r, state));
    prop_oneof![
        3 => row.clone().prop_map(Record::Trial),
        2 => row.clone().prop_map(|row| Record::EpochsDropped { trial: row.id, fence: Fence(3) }),
        2 => (row.clone(), 1..4u64, prop_oneof![Just(1), Just(3)])
            .prop_map(|(row, fence, first)| Record::Epochs(epochs(&row, fence, first))),
        2 => (row.clone(), 1..4u32).prop_map(|(row, number)| Record::Attempt(attempt(&row, number))),
        1 => (1..3u64, any::<bool>()).prop_map(|(number, over)| {
            Record::Sweep(SweepRow { finished_at: over.then_some(5), ..sweep(number) })
        }),
        1 => (1..3u64, 1..3u32, 1..9u32).prop_map(|(number, which, n)| Record::Extension(extension(number, which, n))),
        1 => (1..3u64, 0..2u64, prop_oneof![Just(Outcome::Withdrawn), Just(Outcome::Chosen(vec![Value::Float(0.1)]))])
            .prop_map(|(number, cell, outcome)| Record::Choice(choice(number, cell, outcome))),
        1 => (1..9u64).prop_map(|number| Record::Request(request(number, "any"))),
        1 => (1..9u64).prop_map(|through| Record::RequestsForgotten { through }),
        1 => (1..5u64).prop_map(|fence| Record::Lease(lease(fence))),
        1 => (1..5u64).prop_map(|fence| Record::LeaseClosed(Fence(fence))),
        1 => (0..99u64).prop_map(|fence| Record::Counters(Counters { fence, sweeps: 2 })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// The stores agree with one another, whatever is written.
    #[test]
    fn memory_and_sqlite_agree(commits in prop::collection::vec(prop::collection::vec(any_record(), 1..8), 1..12)) {
        let folder = tempfile::tempdir().unwrap();
        let mut memory = MemoryStore::default();
        let mut sqlite = SqliteStore::open(&folder.path().join("store"), false).unwrap();
        let first = [Record::Sweep(sweep(1)), Record::Sweep(sweep(2))];
        prop_assert_eq!(memory.commit(&first).unwrap(), sqlite.commit(&first).unwrap());
        let mut next: BTreeMap<(TrialId, Fence), u32> = BTreeMap::new();
        for mut records in commits {
            // Epochs follow one another, as the turn has them.
            let held: Vec<TrialRow> = records.iter().filter_map(|record| match record {
                Record::Trial(row) if row.state == HELD => Some(row.clone()),
                _ => None,
            }).collect();
            for row in held {
                let first = next.entry((row.id, Fence(3))).or_insert(1);
                records.push(Record::Epochs(epochs(&row, 3, *first)));
                *first += 2;
            }
            prop_assert_eq!(memory.commit(&records).unwrap(), sqlite.commit(&records).unwrap());
        }
        let sorted = |store: &mut dyn Store| {
            let (records, cursor) = loaded(store);
            let mut lines: Vec<String> = records.iter().map(|record| format!("{record:?}")).collect();
            lines.sort();
            (lines, cursor)
        };
        prop_assert_eq!(sorted(&mut memory), sorted(&mut sqlite));
        let (mut a, mut b) = (memory.reader().unwrap(), sqlite.reader().unwrap());
        for number in [1, 2] {
            let id = sweep(number).id;
            prop_assert_eq!(a.choices(id, 1).unwrap(), b.choices(id, 1).unwrap());
            prop_assert_eq!(a.extensions(id, 1).unwrap(), b.extensions(id, 1).unwrap());
            for index in 0..4 {
                prop_assert_eq!(a.point(id, 0, index).unwrap(), b.point(id, 0, index).unwrap());
            }
            let sorted = |changes: Changes| {
                let mut rows: Vec<String> = changes.rows.iter().map(|row| format!("{row:?}")).collect();
                rows.sort();
                (rows, changes.cursor, changes.end)
            };
            let both = (a.changes(id, 1, Page::rows(1000)).unwrap(), b.changes(id, 1, Page::rows(1000)).unwrap());
            prop_assert_eq!(sorted(both.0), sorted(both.1));
            // However small its pages, a watcher sees the same.
            let (mut since, mut pages) = (1, Changes::default());
            while !pages.end {
                let page = b.changes(id, since, Page::rows(1 + since as usize % 3)).unwrap();
                prop_assert!(page.end || page.cursor > since);
                since = page.cursor;
                pages.rows.extend(page.rows);
                (pages.cursor, pages.end) = (page.cursor, page.end);
            }
            prop_assert_eq!(pages, b.changes(id, 1, Page::rows(1000)).unwrap());
        }
    }
}
