//! Groups against a store in memory.

use tenfold_core::record::{EpochsRow, Record, SweepRow};
use tenfold_types::{Block, Fence, TrialId, TrialKey, WorkerId};

use super::*;
use crate::store::{MemoryStore, Store};

const SWEEP: &str = "epochs = 2\nrepetitions = 2\n[settings]\narchitecture = \"perceptron-5\"\n\
                     [axes]\nlearning_rate = [0.1, 0.01]\n";

fn trial(sweep: SweepId, repetition: u32, state: TrialState) -> TrialRow {
    let key = TrialKey {
        stage: 0,
        repetition,
        index: 0,
    };
    let accepted_at = state.accepted().map(|_| 1);
    TrialRow {
        id: TrialId { sweep, key },
        state,
        attempts: 1,
        failures: 0,
        error: None,
        pack_limit: 0,
        accepted_at,
    }
}

fn succeeded(sweep: SweepId, repetition: u32) -> [Record; 2] {
    let fence = Fence(1);
    let row = trial(sweep, repetition, TrialState::Succeeded { fence, epochs: 2 });
    let epochs = EpochsRow {
        trial: row.id,
        fence,
        attempt: 1,
        block: Block {
            first: 1,
            epochs: 2,
            columns: vec![0.5; 8],
            seconds: vec![1.0; 2],
        },
    };
    [Record::Epochs(epochs), Record::Trial(row)]
}

#[test]
fn what_a_complete_group_came_to_is_kept_until_one_of_its_trials_changes() {
    let sweep = Sweep::parse(SWEEP, "sweep.toml", &[], None).unwrap();
    let id = sweep.id();
    let mut store = MemoryStore::default();
    let row = SweepRow {
        id,
        number: 1,
        name: "kept".to_owned(),
        normalised: String::new(),
        submitted_at: 0,
        finished_at: None,
        control: Control::Active,
    };
    store.commit(&[Record::Sweep(row)]).unwrap();
    store.commit(&succeeded(id, 0)).unwrap();
    store
        .commit(&[Record::Trial(trial(id, 1, TrialState::Failed))])
        .unwrap();
    let mut reader = store.reader().unwrap();
    let groups = Groups {
        grouping: Arc::new(sweep.grouping(&[]).unwrap()),
        sweep,
        control: Control::Active,
        kept: Kept::default(),
    };
    let mut whole = |index| {
        let group = GroupId { stage: 0, index };
        let standing = groups.standing(reader.as_mut(), group).unwrap();
        match groups.result(reader.as_mut(), &standing).unwrap() {
            Some(Found::Whole(part)) => Some(part),
            Some(Found::Curves(_)) | None => None,
        }
    };
    let first = whole(0).unwrap();
    assert_eq!(first.result.group.counts.failed, 1);
    assert!(Arc::ptr_eq(&first, &whole(0).unwrap()), "kept");
    assert!(whole(1).is_none(), "nobody has touched its trials");
    store
        .commit(&[Record::Trial(trial(id, 1, TrialState::Pending))])
        .unwrap();
    assert!(whole(0).is_none(), "it is not complete any more");
    store.commit(&succeeded(id, 1)).unwrap();
    let second = whole(0).unwrap();
    assert_eq!(second.result.group.counts.succeeded, 2);
    assert_eq!(second.result.epochs[1][0].n, 2);
    let group = GroupId { stage: 0, index: 0 };
    let standing = groups.standing(reader.as_mut(), group).unwrap();
    store.commit(&[Record::SweepGone(id)]).unwrap();
    assert!(
        groups.curves(reader.as_mut(), &standing).unwrap().is_none(),
        "deleted"
    );
}

#[test]
fn so_many_bytes_are_kept_and_no_more() {
    let kept = Kept::default();
    let sweep = Sweep::parse(SWEEP, "sweep.toml", &[], None).unwrap();
    let curve = Curve {
        metrics: sweep.metrics(TrialKey::FIRST),
        columns: vec![vec![0.5; 1000]; 4],
    };
    let (metrics, epochs) = aggregate::aggregate(&[&curve]);
    for group in 0..1_000 {
        let part = GroupPart {
            result: GroupResult {
                group: Group {
                    stage: 0,
                    stage_name: String::new(),
                    index: group,
                    values: Vec::new(),
                    counts: Counts::default(),
                    sample: Sample::default(),
                },
                metrics: metrics.clone(),
                answers: Vec::new(),
                epochs: epochs.clone(),
            },
            first: 1,
            more: false,
        };
        let key = Key {
            sweep: sweep.id(),
            by: Vec::new(),
            group: GroupId {
                stage: 0,
                index: group,
            },
        };
        let aggregated = Aggregated {
            version: Version::default(),
            part: Arc::new(part),
        };
        assert!(Bytes.weight(&key, &aggregated) > 4_000 * size_of::<Statistics>() as u64);
        kept.0.insert(key, aggregated);
        assert!(kept.0.weight() <= KEPT, "{}", kept.0.weight());
    }
    assert!(kept.0.weight() > KEPT / 2, "{}", kept.0.weight());
}

const POOLED: &str = "epochs = 2\nrepetitions = 3\n[settings]\narchitecture = \"perceptron-5\"\n\
                      [axes]\nauxiliary_loss = [false, true]\naux_weight = [0.1, 1.0, 10.0]\n";

/// A trial of [`POOLED`] in this state, with so many epochs in which all metrics have the same value.
fn trained(
    sweep: &Sweep,
    index: u64,
    repetition: u32,
    state: TrialState,
    epochs: u32,
    value: f32,
) -> Vec<Record> {
    let mut row = trial(sweep.id(), repetition, state);
    row.id.key.index = index;
    let metrics = sweep.metrics(row.id.key).len();
    let epochs = (epochs > 0).then(|| EpochsRow {
        trial: row.id,
        fence: Fence(1),
        attempt: 1,
        block: Block {
            first: 1,
            epochs,
            columns: vec![value; metrics * epochs as usize],
            seconds: vec![1.0; epochs as usize],
        },
    });
    let epochs = epochs.map(Record::Epochs).into_iter();
    epochs.chain([Record::Trial(row)]).collect()
}

/// The groups of [`POOLED`] by its auxiliary loss, in a store with these records.
fn pooled(records: impl Fn(&Sweep) -> Vec<Vec<Record>>) -> (Groups, MemoryStore) {
    let sweep = Sweep::parse(POOLED, "sweep.toml", &[], None).unwrap();
    let mut store = MemoryStore::default();
    let row = SweepRow {
        id: sweep.id(),
        number: 1,
        name: "pooled".to_owned(),
        normalised: String::new(),
        submitted_at: 0,
        finished_at: None,
        control: Control::Active,
    };
    store.commit(&[Record::Sweep(row)]).unwrap();
    for records in records(&sweep) {
        store.commit(&records).unwrap();
    }
    let groups = Groups {
        grouping: Arc::new(sweep.grouping(&["auxiliary_loss".to_owned()]).unwrap()),
        sweep,
        control: Control::Active,
        kept: Kept::default(),
    };
    (groups, store)
}

const SUCCEEDED: TrialState = TrialState::Succeeded {
    fence: Fence(1),
    epochs: 2,
};

#[test]
fn several_points_count_by_repetition_and_twins_once() {
    let (groups, store) = pooled(|sweep| {
        let diverged = || TrialState::Diverged {
            fence: Fence(1),
            epoch: 1,
        };
        let mut all = Vec::new();
        for repetition in 0..3 {
            let value = [0.25, 0.5, 0.75][repetition as usize];
            // Points 0 to 2 are the same network: whatever is stored of the others, the first counts.
            for twin in 0..3 {
                all.push(trained(
                    sweep,
                    twin,
                    repetition,
                    SUCCEEDED,
                    2,
                    value + twin as f32 / 8.0,
                ));
            }
            all.push(trained(sweep, 3, repetition, SUCCEEDED, 2, value));
            all.push(match repetition {
                1 => trained(sweep, 4, repetition, diverged(), 0, 0.0),
                _ => trained(sweep, 4, repetition, SUCCEEDED, 2, value / 2.0),
            });
            all.push(trained(sweep, 5, repetition, diverged(), 0, 0.0));
        }
        all
    });
    let mut reader = store.reader().unwrap();
    let mut whole = |index| {
        let standing = groups
            .standing(reader.as_mut(), GroupId { stage: 0, index })
            .unwrap();
        let found = groups.result(reader.as_mut(), &standing).unwrap();
        let Some(Found::Whole(part)) = found else {
            panic!("group {index} is complete")
        };
        part
    };

    let off = whole(0);
    assert!(Arc::ptr_eq(&off, &whole(0)), "kept");
    let (group, last) = (&off.result.group, off.result.epochs[1][0]);
    assert_eq!((last.n, last.mean, last.min, last.max), (3, 0.5, 0.25, 0.75));
    assert_eq!((group.sample.points, group.sample.twins), (1, 2));
    assert_eq!((group.repetitions(), group.counts.succeeded), (3, 9));
    assert_eq!(off.result.answers, [Some(1000), Some(1000), None, None]);

    let on = whole(3);
    let (group, last) = (&on.result.group, on.result.epochs[1][0]);
    // Repetitions 0 and 2 of points 3 and 4: (0.25 + 0.125) / 2 and (0.75 + 0.375) / 2.
    assert_eq!((last.n, last.min, last.max), (2, 0.1875, 0.5625));
    assert_eq!(last, Statistics::of(&[0.1875, 0.5625]).unwrap());
    let expected = Sample {
        points: 2,
        points_left_out: 1,
        twins: 0,
        repetitions: 3,
        repetitions_left_out: 1,
    };
    assert_eq!((group.sample, group.counts.diverged), (expected, 4));
}

#[test]
fn a_provisional_row_is_over_the_repetitions_that_all_points_have_begun() {
    let running = || TrialState::Running {
        fence: Fence(1),
        worker: WorkerId([1; 8]),
    };
    let (groups, store) = pooled(|sweep| {
        vec![
            trained(sweep, 3, 0, SUCCEEDED, 2, 0.5),
            trained(sweep, 3, 1, running(), 1, 0.9),
            trained(sweep, 4, 0, running(), 1, 0.25),
            trained(sweep, 4, 2, running(), 0, 0.0),
        ]
    });
    let mut reader = store.reader().unwrap();
    let mut progress = |index| {
        let standing = groups
            .standing(reader.as_mut(), GroupId { stage: 0, index })
            .unwrap();
        groups.progress(reader.as_mut(), &standing).unwrap()
    };
    let on = progress(3).unwrap();
    let first = on.statistics[0];
    assert_eq!((on.epoch, first.n, first.mean, first.ci95), (1, 1, 0.375, None));
    let sample = on.group.sample;
    assert_eq!(
        (sample.points, sample.points_left_out),
        (2, 1),
        "point 5 has not begun"
    );
    assert_eq!((sample.repetitions, sample.repetitions_left_out), (3, 1));
    assert_eq!(progress(0), None);
}
