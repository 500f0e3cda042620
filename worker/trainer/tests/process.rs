//! The trainer's process, driven over its socket as a worker drives it.
#![expect(clippy::unwrap_used, reason = "of tests")]

mod common;

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use common::{data_folder, run, spec};
use tenfold_trainer::checkpoint::{Checkpoint, Checkpoints};
use tenfold_trainer::host::HostArray;
use tenfold_types::frame::{self, FromTrainer, PROTOCOL, ToTrainer, Trial};
use tenfold_types::{Block, Curve, DeviceKind, Outcome, TrialSpec};

const TRAINER: &str = env!("CARGO_BIN_EXE_tenfold-trainer");

struct Trainer {
    process: Child,
    socket: UnixStream,
}

impl Trainer {
    fn start(data: &Path, arguments: &[&OsStr]) -> Self {
        let (socket, theirs) = UnixStream::pair().unwrap();
        // The shell moves the socket from the standard input to descriptor 3, where a worker puts it.
        let process = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 </dev/null", TRAINER, "--data"])
            .arg(data)
            .args(arguments)
            .env_remove("TENFOLD_CHECKPOINTS")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { process, socket }
    }

    fn ready() -> Self {
        Self::ready_with(&[])
    }

    fn ready_with(arguments: &[&OsStr]) -> Self {
        let mut trainer = Self::start(&data_folder(), arguments);
        let Some(FromTrainer::Hello {
            protocol,
            device,
            lanes,
            memory,
        }) = trainer.next()
        else {
            panic!("the first frame is no greeting")
        };
        assert_eq!(
            (protocol, device.kind, device.threads, lanes),
            (PROTOCOL, DeviceKind::Cpu, 1, 1)
        );
        assert!(memory > 1 << 20, "{memory}");
        assert!(device.libtorch.starts_with("2."), "{device:?}");
        assert!(!device.name.is_empty());
        trainer
    }

    fn send(&mut self, message: &ToTrainer) {
        frame::write(&mut self.socket, message).unwrap();
    }

    fn train(&mut self, pack: u64, trials: &[TrialSpec]) {
        let trials = trials.iter().cloned().map(Trial::from).collect();
        self.send(&ToTrainer::Train { pack, trials });
    }

    /// The next frame that is not [`FromTrainer::Alive`].
    fn next(&mut self) -> Option<FromTrainer> {
        loop {
            match frame::read(&mut self.socket).unwrap() {
                Some(FromTrainer::Alive { .. }) => {}
                other => return other,
            }
        }
    }

    /// Curves and outcomes of a pack, to its end.
    fn results(&mut self, pack: u64, trials: &[TrialSpec]) -> Vec<(Curve, Option<Outcome>)> {
        let mut results: Vec<_> = trials
            .iter()
            .map(|spec| (Curve::new(spec.metrics()), None))
            .collect();
        loop {
            match self.next().unwrap() {
                FromTrainer::Epochs {
                    pack: of,
                    trial,
                    block,
                } => {
                    assert_eq!(of, pack);
                    let (curve, outcome) = &mut results[trial as usize];
                    assert_eq!(*outcome, None, "epochs after the end");
                    assert!(curve.push(&block), "a gap or a repeat");
                }
                FromTrainer::Ended {
                    pack: of,
                    trial,
                    outcome,
                } => {
                    assert_eq!(of, pack);
                    assert_eq!(results[trial as usize].1.replace(outcome), None, "a second end");
                }
                FromTrainer::PackEnded { pack: of, .. } => {
                    assert_eq!(of, pack);
                    return results;
                }
                other => panic!("{other:?} within a pack"),
            }
        }
    }

    fn close(self) -> Output {
        drop(self.socket);
        self.process.wait_with_output().unwrap()
    }
}

fn long() -> TrialSpec {
    let mut spec = spec("perceptron-50");
    spec.epochs = 1_000_000;
    spec
}

#[test]
fn packs_are_trained_one_after_the_other_and_the_end_of_file_ends_an_idle_process() {
    let mut trainer = Trainer::ready();
    let mut helped = spec("perceptron-10");
    helped.auxiliary_loss = true;
    helped.weight_sharing = true;
    let mut absurd = spec("perceptron-10");
    absurd.learning_rate = 1e30;
    let mut nonsense = spec("perceptron-10");
    nonsense.batch_size = 0;
    let first = [helped.clone(), absurd, nonsense];
    trainer.train(7, &first);
    let results = trainer.results(7, &first);
    assert_eq!(results[0], (run(&helped).1, Some(Outcome::Succeeded)));
    assert_eq!(results[1].1, Some(Outcome::Diverged { epoch: 1 }));
    let error = "batch_size is 0, needs to be at least 1".to_owned();
    assert_eq!(results[2].1, Some(Outcome::Failed { error }));

    trainer.train(8, &[]);
    assert_eq!(trainer.results(8, &[]), []);
    let second = [spec("conv-3"), helped];
    trainer.train(9, &second);
    let again = trainer.results(9, &second);
    assert_eq!(again[0], (run(&second[0]).1, Some(Outcome::Succeeded)));
    assert_eq!(again[1], results[0], "neighbours change nothing");

    let output = trainer.close();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

#[test]
fn another_process_gives_the_same_bits() {
    let trials = [spec("perceptron-30")];
    let curves = [1, 2].map(|pack| {
        let mut trainer = Trainer::ready();
        trainer.train(pack, &trials);
        trainer.results(pack, &trials)
    });
    assert_eq!(curves[0], curves[1]);
}

#[test]
fn a_cancelled_trial_stops_and_the_others_go_on() {
    let mut trainer = Trainer::ready();
    let trials = [long(), long(), spec("perceptron-5")];
    trainer.train(3, &trials);
    trainer.send(&ToTrainer::Cancel { pack: 3, trial: 1 });
    // Of another pack: nothing.
    trainer.send(&ToTrainer::Cancel { pack: 2, trial: 2 });
    assert!(matches!(
        trainer.next(),
        Some(FromTrainer::Epochs { trial: 0, .. })
    ));
    trainer.send(&ToTrainer::Cancel { pack: 3, trial: 0 });
    loop {
        match trainer.next().unwrap() {
            FromTrainer::Epochs { trial: 0 | 2, .. } => {}
            FromTrainer::Ended { trial, outcome, .. } => {
                assert_eq!((trial, outcome), (2, Outcome::Succeeded))
            }
            other => {
                assert!(
                    matches!(other, FromTrainer::PackEnded { pack: 3, .. }),
                    "{other:?}"
                );
                break;
            }
        }
    }
    assert_eq!(trainer.close().status.code(), Some(0));
}

#[test]
fn a_trainer_measures_packs() {
    let mut trainer = Trainer::ready();
    let measure = |spec: TrialSpec| ToTrainer::Measure {
        pack: 5,
        spec,
        sizes: vec![1, 2],
        memory: 1 << 30,
    };
    trainer.send(&measure(spec("perceptron-5")));
    let Some(FromTrainer::Measured {
        pack: 5,
        rates,
        error: None,
    }) = trainer.next()
    else {
        panic!("no measurement")
    };
    assert_eq!(rates.iter().map(|rate| rate.trials).collect::<Vec<_>>(), [1, 2]);
    let mut nonsense = spec("perceptron-5");
    nonsense.batch_size = 0;
    trainer.send(&measure(nonsense));
    let Some(FromTrainer::Measured {
        rates,
        error: Some(error),
        ..
    }) = trainer.next()
    else {
        panic!("a measurement of nonsense")
    };
    assert!(rates.is_empty() && error.contains("batch_size is 0"), "{error}");
    // And trains as before.
    let pack = [spec("perceptron-5")];
    trainer.train(6, &pack);
    assert_eq!(trainer.results(6, &pack)[0].1, Some(Outcome::Succeeded));
    assert_eq!(trainer.close().status.code(), Some(0));
}

#[test]
fn a_working_process_says_that_it_is_alive_and_dies_with_its_worker() {
    let mut trainer = Trainer::ready();
    trainer.train(1, &[long()]);
    let mut alive = Vec::new();
    while alive.len() < 2 {
        if let FromTrainer::Alive { progress } = frame::read(&mut trainer.socket).unwrap().unwrap() {
            alive.push(progress);
        }
    }
    assert!(alive[0] > 0 && alive[1] > alive[0], "{alive:?}");
    let status = trainer.close().status;
    assert_eq!(status.signal(), Some(9), "{status}");
}

#[test]
fn a_broken_frame_ends_the_process() {
    use std::io::Write;
    let mut trainer = Trainer::ready();
    trainer.socket.write_all(&[255; 64]).unwrap();
    // What it has not read makes the end a reset.
    assert!(!matches!(
        frame::read::<FromTrainer>(&mut trainer.socket),
        Ok(Some(_))
    ));
    let output = trainer.close();
    assert!(String::from_utf8_lossy(&output.stderr).contains("a frame of 4294967295 bytes"));
}

#[test]
fn a_trainer_without_good_data_is_unfit_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    for (written, complaint) in [
        (None, "No such file"),
        (Some("<html>"), "has 6 bytes, needs 10008"),
    ] {
        if let Some(text) = written {
            std::fs::write(folder.path().join("t10k-labels-idx1-ubyte"), text).unwrap();
        }
        let mut trainer = Trainer::start(folder.path(), &[]);
        let Some(FromTrainer::Unfit { error }) = trainer.next() else {
            panic!("fit without data")
        };
        assert!(
            error.contains(complaint) && error.contains("deploy/setup-mnist.sh"),
            "{error}"
        );
        assert_eq!(trainer.next(), None);
        assert_eq!(trainer.close().status.code(), Some(1));
    }
}

/// Trains one trial in a process of its own: its blocks, how it ended, and what the process wrote to its standard error.
fn alone(spec: &TrialSpec, continued: bool, arguments: &[&OsStr]) -> (Vec<Block>, Outcome, String) {
    let mut trainer = Trainer::ready_with(arguments);
    let trial = Trial {
        spec: spec.clone(),
        continued,
    };
    trainer.send(&ToTrainer::Train {
        pack: 1,
        trials: vec![trial],
    });
    let (mut blocks, mut end) = (Vec::new(), None);
    loop {
        match trainer.next().unwrap() {
            FromTrainer::Epochs { block, .. } => blocks.push(block),
            FromTrainer::Ended { outcome, .. } => end = Some(outcome),
            FromTrainer::PackEnded { .. } => break,
            other => panic!("{other:?} within a pack"),
        }
    }
    let output = trainer.close();
    let log = String::from_utf8(output.stderr).unwrap();
    (blocks, end.unwrap(), log)
}

fn curve(spec: &TrialSpec, blocks: &[Block]) -> Curve {
    let mut curve = Curve::new(spec.metrics());
    for block in blocks {
        assert!(curve.push(block), "a gap or a repeat");
    }
    curve
}

/// Epochs that took no time, since nobody trained them.
fn not_trained(blocks: &[Block]) -> usize {
    let seconds = blocks.iter().flat_map(|block| &block.seconds);
    seconds.filter(|seconds| **seconds == 0.0).count()
}

#[test]
fn a_longer_trial_goes_on_in_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("not there yet");
    let keeping: [&OsStr; 2] = ["--checkpoints".as_ref(), path.as_ref()];
    let short = spec("conv-3");
    let long = TrialSpec {
        epochs: 7,
        ..short.clone()
    };
    let whole = run(&long).1;
    let off = [keeping[0], keeping[1], "--checkpoint-mib".as_ref(), "0".as_ref()];
    alone(&short, true, &off);
    assert!(!path.exists(), "none are kept");
    alone(&short, false, &keeping);
    assert!(!path.exists(), "nobody is to go on from it");
    let (blocks, end, _) = alone(&short, true, &keeping);
    assert_eq!((not_trained(&blocks), end), (0, Outcome::Succeeded));
    for (arguments, found) in [(&keeping[..], 3), (&off[..], 0), (&[], 0)] {
        let (blocks, end, log) = alone(&long, false, arguments);
        assert_eq!((not_trained(&blocks), end), (found, Outcome::Succeeded));
        assert_eq!(curve(&long, &blocks), whole);
        assert_eq!(log, "");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_complained_of_once() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let within = file.path().join("folder");
    let mut trainer = Trainer::ready_with(&["--checkpoints".as_ref(), within.as_ref()]);
    let trial = |repetition| Trial {
        spec: TrialSpec {
            repetition,
            ..spec("perceptron-5")
        },
        continued: true,
    };
    let trials: Vec<Trial> = (0..3).map(trial).collect();
    let specs: Vec<TrialSpec> = trials.iter().map(|trial| trial.spec.clone()).collect();
    for pack in [1, 2] {
        let trials = trials.clone();
        trainer.send(&ToTrainer::Train { pack, trials });
        for (spec, (curve, end)) in specs.iter().zip(trainer.results(pack, &specs)) {
            assert_eq!((curve, end), (run(spec).1, Some(Outcome::Succeeded)));
        }
    }
    let output = trainer.close();
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(log.matches("checkpoints cannot be kept").count(), 1, "{log}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_long_curve_comes_in_blocks_that_a_worker_can_pass_on() {
    let folder = tempfile::tempdir().unwrap();
    let spec = TrialSpec {
        epochs: 100_000,
        ..spec("perceptron-3")
    };
    let outline = spec.check().unwrap();
    let mut trainer = Trainer::start(&data_folder(), &[]);
    let Some(FromTrainer::Hello { device, .. }) = trainer.next() else {
        panic!("no greeting")
    };
    trainer.close();
    let checkpoints = Checkpoints::new(folder.path(), 1 << 30, &device, false);
    let array = HostArray::<f32>::new(std::slice::from_ref(&spec), common::mnist()).unwrap();
    let checkpoint = Checkpoint {
        epochs: spec.epochs,
        metrics: 4,
        curve: (0..400_000u32).map(|value| value as f32).collect(),
        learned: array.learned(0).unwrap(),
    };
    checkpoints.keep(&spec, &checkpoint);
    assert_eq!(checkpoints.find(&spec, &outline), Some(checkpoint));
    let arguments: [&OsStr; 2] = ["--checkpoints".as_ref(), folder.path().as_ref()];
    let (blocks, end, _) = alone(&spec, true, &arguments);
    assert_eq!(end, Outcome::Succeeded);
    assert!(blocks.iter().all(|block| block.epochs <= 256));
    let curve = curve(&spec, &blocks);
    assert_eq!(curve.epochs(), 100_000);
    assert_eq!(curve.columns[3].last(), Some(&399_999.0));
}

fn by_hand(arguments: &[&str]) -> Output {
    // The test's own process may have something on descriptor 3.
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec \"$0\" \"$@\" 3<&-", TRAINER])
        .args(arguments);
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn started_by_hand_it_says_how_it_is_meant() {
    let output = by_hand(&[]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("started by tenfold-worker, not by hand"), "{text}");
    assert_eq!(by_hand(&["--device", "gpu"]).status.code(), Some(2));
}

#[test]
fn the_probe_says_what_the_node_has() {
    let lines = |arguments: &[&str]| {
        let output = by_hand(arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let data = data_folder();
    let text = lines(&["--probe", "--data", data.to_str().unwrap()]);
    for line in ["threads=1", "device=ok", "data=ok"] {
        assert!(text.lines().any(|l| l == line), "{text}");
    }
    assert!(text.starts_with("libtorch=2."), "{text}");
    assert!(text.contains("\ncuda_devices="), "{text}");
    let text = lines(&["--probe", "--data", "/nonexistent", "--device", "cuda:1000"]);
    assert!(!text.contains("\ndevice=ok"), "{text}");
    assert!(
        text.contains("\ndata=cannot read /nonexistent/t10k-labels-idx1-ubyte"),
        "{text}"
    );
}
