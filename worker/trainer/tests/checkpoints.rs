//! Trials that go on where an earlier one stopped: to the bit the curve that they would have had.
#![expect(clippy::unwrap_used, reason = "of tests")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use common::{Collector, Finished, mnist, place, run, run_on, spec};
use tenfold_trainer::array::Learned;
use tenfold_trainer::checkpoint::{Checkpoint, Checkpoints};
use tenfold_trainer::train::{End, Pack, Place};
use tenfold_types::frame::{Device, Trial};
use tenfold_types::network::{BatchNorm1d, BatchNorm2d, Dropout, Layer};
use tenfold_types::{DeviceKind, Optimizer, Schedule, TrialSpec};

/// Far more than these tests keep.
const MUCH: u64 = 1 << 30;

fn device(name: &str) -> Device {
    Device {
        kind: DeviceKind::Cpu,
        name: name.to_owned(),
        threads: 1,
        libtorch: "2.11.0".to_owned(),
    }
}

fn checkpoints(folder: &Path, place: Place) -> Checkpoints {
    Checkpoints::new(folder, MUCH, &device("a processor"), place.fuse)
}

fn fused() -> Place {
    Place {
        fuse: true,
        ..place(1)
    }
}

/// Trains a pack: how each trial ended, its curve, and how many of its epochs were not trained.
fn train(trials: &[Trial], place: Place, checkpoints: &Checkpoints) -> Vec<(Finished, usize)> {
    let collector = Collector::default();
    let pack = Pack {
        trials,
        mnist: mnist(),
        place,
        checkpoints: Some(checkpoints),
        follower: &collector,
    };
    let trained = pack.train();
    assert_eq!(trained.lost, None);
    let mut collected = collector.trials.into_inner().unwrap();
    let result = |(trial, of): (usize, &Trial)| {
        let collected = collected.remove(&trial).unwrap();
        let curve = collected.curve(&of.spec);
        // An epoch that was trained took some time.
        let found = collected.seconds.iter().take_while(|seconds| **seconds == 0.0);
        let found = found.count();
        assert!(collected.seconds[found..].iter().all(|seconds| *seconds > 0.0));
        ((collected.end.unwrap(), curve), found)
    };
    trials.iter().enumerate().map(result).collect()
}

fn to(epochs: u32, continued: bool) -> impl Fn(&TrialSpec) -> Trial {
    move |spec| Trial {
        spec: TrialSpec {
            epochs,
            ..spec.clone()
        },
        continued,
    }
}

/// Everything that a network and an optimizer can have, a spec each.
fn kinds() -> Vec<(&'static str, TrialSpec)> {
    let with = |architecture: &str, change: &dyn Fn(&mut TrialSpec)| {
        let mut spec = spec(architecture);
        change(&mut spec);
        spec
    };
    let insert = |at: usize, layer: Layer| {
        move |spec: &mut TrialSpec| spec.architecture.stacks[0].insert(at, layer.clone())
    };
    let optimizer = |optimizer: Optimizer| {
        move |spec: &mut TrialSpec| {
            spec.optimizer = optimizer;
            spec.weight_decay = 1e-3;
            if optimizer.has_momentum() {
                spec.momentum = 0.8;
            }
        }
    };
    let dropout = insert(1, Dropout { rate: None }.into());
    let sharing = |spec: &mut TrialSpec| {
        spec.weight_sharing = true;
        spec.auxiliary_loss = true;
    };
    vec![
        ("perceptron", with("perceptron-20", &|_| {})),
        ("convolutional", with("conv-3", &|_| {})),
        (
            "auxiliary loss",
            with("perceptron-20", &|spec| spec.auxiliary_loss = true),
        ),
        ("weight sharing", with("conv-3", &sharing)),
        (
            "dropout",
            with("perceptron-20", &|spec| {
                spec.dropout = 0.3;
                dropout(spec);
            }),
        ),
        (
            "batch norm",
            with("perceptron-20", &insert(1, BatchNorm1d::default().into())),
        ),
        (
            "batch norm, shared",
            with("conv-3", &|spec| {
                insert(1, BatchNorm2d::default().into())(spec);
                sharing(spec);
            }),
        ),
        (
            "uneven batches",
            with("perceptron-20", &|spec| spec.batch_size = 70),
        ),
        (
            "warm-up and steps",
            with("perceptron-20", &|spec| {
                spec.schedule = Schedule::Step;
                (spec.warm_up, spec.step_epochs) = (2, 3);
            }),
        ),
        ("adam", with("perceptron-20", &optimizer(Optimizer::Adam))),
        ("adamw", with("perceptron-20", &optimizer(Optimizer::AdamW))),
        ("sgd", with("perceptron-20", &optimizer(Optimizer::Sgd))),
        (
            "nesterov",
            with("perceptron-20", &|spec| {
                optimizer(Optimizer::Sgd)(spec);
                spec.nesterov = true;
            }),
        ),
        ("rmsprop", with("perceptron-20", &optimizer(Optimizer::RmsProp))),
        ("adagrad", with("perceptron-20", &optimizer(Optimizer::Adagrad))),
    ]
}

#[test]
fn a_trial_that_goes_on_has_the_curve_of_one_trained_whole() {
    for place in [place(1), fused()] {
        for (name, spec) in kinds() {
            let folder = tempfile::tempdir().unwrap();
            let checkpoints = checkpoints(folder.path(), place);
            let specs: Vec<TrialSpec> = (0..3)
                .map(|repetition| TrialSpec {
                    repetition,
                    ..spec.clone()
                })
                .collect();
            let longer: Vec<Trial> = specs.iter().map(to(9, false)).collect();
            let whole: Vec<TrialSpec> = longer.iter().map(|trial| trial.spec.clone()).collect();
            let (whole, _) = run_on(&whole, place);
            let shorter: Vec<Trial> = specs.iter().map(to(4, true)).collect();
            for (trial, (_, found)) in train(&shorter, place, &checkpoints).iter().enumerate() {
                assert_eq!(*found, 0, "{name}, trial {trial}");
            }
            for (trial, (result, found)) in train(&longer, place, &checkpoints).iter().enumerate() {
                let how = format!("{name}, trial {trial}, fused: {}", place.fuse);
                assert_eq!(*found, 4, "{how}");
                assert_eq!(*result, whole[trial], "{how}");
                assert_eq!(result.1.epochs(), 9, "{how}");
            }
        }
    }
}

#[test]
fn a_chain_goes_on_from_its_longest_link() {
    for place in [place(1), fused()] {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = checkpoints(folder.path(), place);
        let spec = spec("perceptron-20");
        let whole = run_on(&[to(9, false)(&spec).spec], place).0.remove(0).1;
        let first = |epochs: u32| {
            let mut curve = whole.clone();
            curve
                .columns
                .iter_mut()
                .for_each(|column| column.truncate(epochs as usize));
            (Ok(End::Succeeded), curve)
        };
        // Each time: epochs, and those of them that are found.
        for (epochs, found) in [
            (2, 0),
            (4, 2),
            (4, 4),
            (2, 2),
            (3, 2),
            (9, 4),
            (9, 9),
            (1, 0),
            (8, 4),
        ] {
            let result = train(&[to(epochs, true)(&spec)], place, &checkpoints).remove(0);
            assert_eq!(result, (first(epochs), found), "to epoch {epochs}");
        }
    }
}

#[test]
fn who_trains_beside_changes_nothing() {
    let spec = spec("perceptron-20");
    let of = |repetition| TrialSpec {
        repetition,
        ..spec.clone()
    };
    for place in [place(1), place(3), fused()] {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = checkpoints(folder.path(), place);
        let mut kept: Vec<Trial> = vec![to(4, true)(&of(0)), to(2, true)(&of(1)), to(4, true)(&of(2))];
        // Nobody is to go on from it; one that diverges; one that makes no sense.
        kept.push(to(4, false)(&of(3)));
        kept.push(to(4, true)(&TrialSpec {
            learning_rate: 1e30,
            ..of(4)
        }));
        kept.push(to(4, true)(&TrialSpec {
            learning_rate: f64::NAN,
            ..of(5)
        }));
        let ends = train(&kept, place, &checkpoints);
        assert_eq!(ends[4].0.0, Ok(End::Diverged(1)));
        assert!(ends[5].0.0.is_err());
        assert_eq!(files(folder.path()).len(), 3, "only what succeeded is kept");
        let mut pack: Vec<Trial> = kept.iter().map(|trial| to(9, false)(&trial.spec)).collect();
        // And one of which nothing is left to do.
        pack.push(to(4, false)(&of(2)));
        let together = train(&pack, place, &checkpoints);
        let found: Vec<usize> = together.iter().map(|(_, found)| *found).collect();
        assert_eq!(found, [4, 2, 4, 0, 0, 0, 4]);
        for (trial, (result, _)) in pack.iter().zip(&together) {
            let alone = run_on(std::slice::from_ref(&trial.spec), Place { threads: 1, ..place });
            assert_eq!(*result, alone.0[0]);
        }
    }
}

#[test]
fn trials_that_go_on_are_cut_in_halves_where_memory_is_short() {
    let spec = spec("perceptron-20");
    let outline = spec.check().unwrap();
    let specs: Vec<TrialSpec> = (0..7)
        .map(|repetition| TrialSpec {
            repetition,
            ..spec.clone()
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = checkpoints(folder.path(), fused());
    let shorter: Vec<Trial> = specs.iter().map(to(4, true)).collect();
    let longer: Vec<Trial> = specs.iter().map(to(9, false)).collect();
    train(&shorter, fused(), &checkpoints);
    let short = Place {
        memory: tenfold_trainer::fused::bytes(&spec, &outline, 3, 3),
        ..fused()
    };
    let cut = train(&longer, short, &checkpoints);
    assert!(cut.iter().all(|(_, found)| *found == 4));
    assert_eq!(cut, train(&longer, fused(), &checkpoints));
}

#[test]
fn what_is_cancelled_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    // The last batch of all is the one at which nothing is wanted any more.
    let collector = Collector {
        stop_after: 18,
        ..Collector::default()
    };
    let pack = Pack {
        trials: &[to(3, true)(&spec("perceptron-5"))],
        mnist: mnist(),
        place: place(1),
        checkpoints: Some(&checkpoints(folder.path(), place(1))),
        follower: &collector,
    };
    pack.train();
    assert_eq!(collector.batches.into_inner(), 18);
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
}

#[test]
fn nobody_goes_on_from_what_would_have_been_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let here = checkpoints(folder.path(), place(1));
    let base = spec("perceptron-20");
    train(&[to(2, true)(&base)], place(1), &here);
    assert_eq!(train(&[to(3, false)(&base)], place(1), &here)[0].1, 2);
    let changes: [fn(&mut TrialSpec); 6] = [
        |spec| spec.learning_rate *= 1.0 + f64::EPSILON,
        |spec| spec.repetition = 1,
        |spec| spec.seed += 1,
        |spec| spec.optimizer = Optimizer::AdamW,
        |spec| spec.data.test -= 1,
        |spec| spec.schedule = Schedule::Step,
    ];
    for change in changes {
        let mut other = base.clone();
        change(&mut other);
        assert_eq!(train(&[to(3, false)(&other)], place(1), &here)[0].1, 0);
    }
    // Half a cosine depends on how many epochs there are.
    let cosine = TrialSpec {
        schedule: Schedule::Cosine,
        ..base.clone()
    };
    let before = files(folder.path());
    train(&[to(2, true)(&cosine)], place(1), &here);
    assert_eq!(files(folder.path()), before);
    // Nor from what was trained elsewhere, or as another kind of array.
    let elsewhere = Checkpoints::new(folder.path(), MUCH, &device("another processor"), false);
    assert_eq!(train(&[to(3, false)(&base)], place(1), &elsewhere)[0].1, 0);
    let otherwise = checkpoints(folder.path(), fused());
    assert_eq!(train(&[to(3, false)(&base)], fused(), &otherwise)[0].1, 0);
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

#[test]
fn a_damaged_file_is_as_good_as_none() {
    let folder = tempfile::tempdir().unwrap();
    let here = checkpoints(folder.path(), place(1));
    let mut tiny = spec("perceptron-1");
    (tiny.data.train, tiny.data.test) = (20, 20);
    let whole = run(&to(3, false)(&tiny).spec).1;
    train(&[to(2, true)(&tiny)], place(1), &here);
    let file = files(folder.path()).remove(0);
    let bytes = fs::read(&file).unwrap();
    let go_on = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        let ((end, curve), found) = train(&[to(3, false)(&tiny)], place(1), &here).remove(0);
        assert_eq!((end, &curve), (Ok(End::Succeeded), &whole));
        found
    };
    assert_eq!(go_on(&bytes), 2);
    for length in (0..bytes.len()).step_by(61) {
        assert_eq!(go_on(&bytes[..length]), 0, "{length} bytes");
    }
    for bit in (0..8 * bytes.len()).step_by(487) {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(go_on(&flipped), 0, "bit {bit}");
    }
    assert_eq!(go_on(&[bytes.as_slice(), b"more"].concat()), 0);
    // Of another trial, under this one's name.
    let mut other = tiny.clone();
    other.repetition = 1;
    train(&[to(2, true)(&other)], place(1), &here);
    let foreign = files(folder.path())
        .into_iter()
        .find(|path| *path != file)
        .unwrap();
    assert_eq!(go_on(&fs::read(foreign).unwrap()), 0);
    // A folder where a file should be.
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(train(&[to(3, false)(&tiny)], place(1), &here)[0].1, 0);
    // A shorter one is still good.
    train(&[to(1, true)(&tiny)], place(1), &here);
    assert_eq!(train(&[to(3, false)(&tiny)], place(1), &here)[0].1, 1);
}

/// A checkpoint of a perceptron, with numbers that say whose it is.
fn made_up(repetition: u32) -> (TrialSpec, Checkpoint) {
    let spec = TrialSpec {
        repetition,
        ..spec("perceptron-2")
    };
    let outline = spec.check().unwrap();
    let numbers = vec![repetition as f32; tenfold_trainer::network::Layout::new(&spec, &outline).length()];
    let checkpoint = Checkpoint {
        epochs: 3,
        metrics: 4,
        curve: vec![repetition as f32; 12],
        learned: Learned {
            moments: [numbers.clone(), numbers.clone()],
            parameters: numbers,
            state: Vec::new(),
        },
    };
    (spec, checkpoint)
}

fn find(checkpoints: &Checkpoints, spec: &TrialSpec) -> Option<Checkpoint> {
    checkpoints.find(spec, &spec.check().unwrap())
}

#[test]
fn the_oldest_give_way() {
    let folder = tempfile::tempdir().unwrap();
    let size = |folder: &Path| -> u64 {
        let sizes = files(folder)
            .into_iter()
            .map(|path| fs::metadata(path).unwrap().len());
        sizes.sum()
    };
    let one = tempfile::tempdir().unwrap();
    let (spec, checkpoint) = made_up(0);
    checkpoints(one.path(), place(1)).keep(&spec, &checkpoint);
    let bytes = size(one.path());
    // Things of others stay, wherever they lie, and do not count.
    for foreign in ["ab/notes", "ab/unfinished-", "mine/ab/0-1", "0-1"] {
        let path = folder.path().join(foreign);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if foreign != "ab/unfinished-" {
            fs::write(path, vec![0; 10_000]).unwrap();
        }
    }
    // Left by a trainer that was killed: as old as can be.
    let left = folder.path().join("ab/unfinished-x1y2z3");
    fs::write(&left, vec![0; bytes as usize]).unwrap();
    let age = |path: &Path, seconds| {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        fs::File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(at)
            .unwrap();
    };
    age(&left, 1);
    let foreign = 3 * 10_000;
    let most = 8 * bytes + bytes / 2;
    let here = Checkpoints::new(folder.path(), most, &device("a processor"), false);
    // Another trainer of the folder, which knows nothing of the first.
    let beside = Checkpoints::new(folder.path(), most, &device("a processor"), false);
    let mut known = files(folder.path());
    for number in 0..40 {
        let (spec, checkpoint) = made_up(number);
        let to = if number % 10 == 9 { &beside } else { &here };
        to.keep(&spec, &checkpoint);
        let new: Vec<PathBuf> = files(folder.path())
            .into_iter()
            .filter(|path| !known.contains(path))
            .collect();
        assert_eq!(new.len(), 1);
        age(&new[0], 100 + u64::from(number));
        known = files(folder.path());
        assert_eq!(find(&here, &spec), Some(checkpoint));
        // The newest are there, without a gap.
        let there: Vec<bool> = (0..=number)
            .map(|number| find(&here, &made_up(number).0).is_some())
            .collect();
        assert!(there.is_sorted(), "{there:?}");
        let sum = size(folder.path()) - foreign;
        assert!(sum <= most + bytes, "{sum} of {most} bytes");
        assert!(
            number < 8 || sum >= 6 * bytes,
            "{sum} of {most} bytes: too many are gone"
        );
    }
    assert!(!left.exists());
    // One that is larger than all may be.
    let none = Checkpoints::new(one.path(), bytes - 1, &device("a processor"), false);
    let (spec, checkpoint) = made_up(1);
    none.keep(&spec, &checkpoint);
    assert_eq!(find(&none, &spec), None);
    assert_eq!(files(one.path()).len(), 1, "and what is there stays");
}

#[test]
fn who_writes_the_same_at_once_disturbs_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (spec, checkpoint) = made_up(7);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let here = checkpoints(folder.path(), place(1));
                for _ in 0..200 {
                    here.keep(&spec, &checkpoint);
                    assert_eq!(find(&here, &spec).as_ref(), Some(&checkpoint));
                }
            });
        }
    });
    assert_eq!(files(folder.path()).len(), 1);
}

#[test]
fn where_nothing_can_be_kept_trials_are_trained_all_the_same() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let here = checkpoints(&file.path().join("folder"), place(1));
    let spec = spec("perceptron-5");
    for epochs in [2, 3] {
        let (result, found) = train(&[to(epochs, true)(&spec)], place(1), &here).remove(0);
        assert_eq!((result.0, found), (Ok(End::Succeeded), 0));
        assert_eq!(result.1, run(&to(epochs, false)(&spec).spec).1);
    }
}

#[test]
fn the_folder_is_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made/here");
    let (spec, checkpoint) = made_up(0);
    checkpoints(&path, place(1)).keep(&spec, &checkpoint);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(files(&path)[0].parent().unwrap()), 0o700);
}
