//! More workers than can be known: those that went away make room, and nobody who is here is forgotten.

use tenfold_core::record::{Record, Slot, WorkerRow};
use tenfold_core::{Answer, Effect, Input, Refusal, Settings, State, decide};
use tenfold_types::{DeviceKind, WorkerId};

fn register(state: &mut State, number: u64, now: u64) -> (Result<Answer, Refusal>, usize) {
    let text = String::new;
    let row = WorkerRow {
        id: WorkerId(number.to_le_bytes()),
        host: text(),
        process: 1,
        protocol: 0,
        version: text(),
        libtorch: text(),
        slots: vec![Slot {
            kind: DeviceKind::Cpu,
            device: text(),
            threads: 1,
        }],
        draining: false,
    };
    let transition = decide(state, Input::Register(row), now);
    let gone = transition
        .records
        .iter()
        .filter(|record| matches!(record, Record::WorkerGone(_)));
    let gone = gone.count();
    transition.records.iter().for_each(|record| state.evolve(record));
    let mut answers = transition.effects.into_iter().filter_map(|effect| match effect {
        Effect::Answer(answer) => Some(answer),
        Effect::WorkAvailable => None,
    });
    (answers.next().unwrap(), gone)
}

#[test]
fn workers_that_went_away_make_room_for_others() {
    let mut state = State::new(Settings::default());
    for number in 0..10_000 {
        assert_eq!(register(&mut state, number, number), (Ok(Answer::Registered), 0));
    }
    let refused = register(&mut state, 10_000, 20_000).0;
    assert!(
        matches!(refused, Err(Refusal::TooManyWorkers(10_000))),
        "all are alive"
    );
    assert_eq!(
        register(&mut state, 3, 20_000),
        (Ok(Answer::Registered), 0),
        "one that is known is not another"
    );
    // A minute after the thousandth was heard of: all up to it are forgotten, but for the one heard of since.
    assert_eq!(
        register(&mut state, 10_000, 61_000),
        (Ok(Answer::Registered), 1_000)
    );
    assert_eq!(state.workers().len(), 9_001);
    assert!(state.worker(WorkerId(3u64.to_le_bytes())).is_some());
    assert!(state.worker(WorkerId(1_000u64.to_le_bytes())).is_none());
    state.check_invariants();
}
