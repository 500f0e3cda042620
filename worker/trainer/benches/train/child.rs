//! What a process of a row does.

use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tch::{Device, Kind, Tensor};
use tenfold_trainer::array::{Array, Tick};
use tenfold_trainer::data::Mnist;
use tenfold_trainer::fused::FusedArray;
use tenfold_trainer::train::{End, Follower, Place, TrainError, train_pack};
use tenfold_types::TrialSpec;

use crate::network::spec;
use crate::row::{Row, Way};

/// Epochs of a trial in rows of ours: each trial draws its data anew, and that counts.
const EPOCHS: u32 = 100;

/// Says that it is ready, then measures whenever it is told to.
pub(crate) fn run(row: &Row, data: &Path) {
    tch::set_num_threads(row.threads as i32);
    let mut measure: Box<dyn FnMut(f64) -> f64> = match &row.way {
        Way::Host => {
            tch::set_num_threads(1);
            host(row, Mnist::load(data).unwrap())
        }
        Way::Fused => fused(row, &Mnist::load(data).unwrap()),
        Way::Peak(products) => peak(products.clone()),
        Way::PyTorch(_) => unreachable!("PyTorch has its own process"),
    };
    measure(0.2);
    println!("{{\"ready\": true}}");
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let seconds = line.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap();
        let rate = measure(seconds);
        println!("{{\"rate\": {rate}, \"memory\": {}}}", memory());
    }
}

/// The most memory that this process had, in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// Counts batches, and stops everything when its time is over.
struct Counter {
    batches: AtomicU64,
    until: Instant,
}

impl Follower for Counter {
    fn batch(&self) {
        self.batches.fetch_add(1, Ordering::Relaxed);
    }

    fn wants(&self, _: usize) -> bool {
        Instant::now() < self.until
    }

    fn epoch(&self, _: usize, _: &[f32], _: f32) {}

    fn ended(&self, _: usize, end: Result<End, Arc<TrainError>>) {
        end.unwrap();
    }
}

/// Batches of an epoch by hand: ten to train on, and twice five to evaluate.
const HOST_BATCHES: f64 = 20.0;

fn host(row: &Row, mnist: Mnist) -> Box<dyn FnMut(f64) -> f64> {
    let trial = |repetition: usize| TrialSpec {
        epochs: EPOCHS,
        repetition: repetition as u32,
        ..spec(&row.network).unwrap()
    };
    let trials: Vec<TrialSpec> = (0..row.trials).map(trial).collect();
    let place = Place {
        device: Device::Cpu,
        threads: row.threads,
        memory: u64::MAX,
        fuse: false,
    };
    Box::new(move |seconds| {
        let start = Instant::now();
        let counter = Counter {
            batches: AtomicU64::new(0),
            until: start + Duration::from_secs_f64(seconds),
        };
        // Pack after pack, as a worker gets them.
        while counter.wants(0) {
            train_pack(&trials, &mnist, place, &counter);
        }
        counter.batches.into_inner() as f64 / HOST_BATCHES / start.elapsed().as_secs_f64()
    })
}

struct On;

impl Tick for On {
    fn tick(&self) -> bool {
        true
    }
}

fn device(name: &str) -> Device {
    match name.parse().unwrap() {
        tenfold_trainer::device::Wanted::Cpu => Device::Cpu,
        tenfold_trainer::device::Wanted::Cuda(number) => {
            tenfold_trainer::cuda::load().unwrap();
            Device::Cuda(number)
        }
    }
}

fn fused(row: &Row, mnist: &Mnist) -> Box<dyn FnMut(f64) -> f64> {
    let trial = |repetition: usize| TrialSpec {
        repetition: repetition as u32,
        ..spec(&row.network).unwrap()
    };
    let trials: Vec<TrialSpec> = (0..row.trials).map(trial).collect();
    let mut array = FusedArray::new(&trials, mnist, device(&row.device), Kind::Float).unwrap();
    Box::new(move |seconds| {
        let start = Instant::now();
        let mut epochs = 0;
        while start.elapsed().as_secs_f64() < seconds {
            array.epochs(1, &On).unwrap();
            epochs += trials.len();
        }
        epochs as f64 / start.elapsed().as_secs_f64()
    })
}

/// Sizes of a product, and its three matrices.
type Panel = ([usize; 3], Vec<f32>, Vec<f32>, Vec<f32>);

/// Operations a second of the best product, by either library, in one thread.
fn peak(mut products: Vec<[usize; 3]>) -> Box<dyn FnMut(f64) -> f64> {
    tch::set_num_threads(1);
    products.extend([[256, 256, 256], [512, 512, 512], [200, 1000, 200]]);
    let random =
        |rows: usize, columns: usize| Tensor::rand([rows as i64, columns as i64], (Kind::Float, Device::Cpu));
    let tensors: Vec<(f64, Tensor, Tensor)> = products
        .iter()
        .map(|&[m, n, k]| ((2 * m * n * k) as f64, random(m, k), random(k, n)))
        .collect();
    let mut panels: Vec<Panel> = products
        .iter()
        .map(|&[m, n, k]| ([m, n, k], vec![0.5; m * k], vec![0.25; k * n], vec![0.0; m * n]))
        .collect();
    Box::new(move |seconds| {
        let each = seconds / (2 * products.len()) as f64;
        let mut best: f64 = 0.0;
        for (operations, a, b) in &tensors {
            let c = a.matmul(b);
            best = best.max(rate(each, *operations, || drop(a.matmul_out(&c, b))));
        }
        for ([m, n, k], a, b, c) in &mut panels {
            let operations = (2 * *m * *n * *k) as f64;
            best = best.max(rate(each, operations, || {
                tenfold_trainer::host::product(*m, *n, *k, a, b, c)
            }));
        }
        best
    })
}

fn rate(seconds: f64, operations: f64, mut product: impl FnMut()) -> f64 {
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed().as_secs_f64() < seconds {
        for _ in 0..10 {
            product();
        }
        count += 10;
    }
    f64::from(count) * operations / start.elapsed().as_secs_f64()
}

/// Times the training of all that the 2019 report trained, as packs: perceptrons, then everything.
pub(crate) fn report(device: &str, data: &Path) {
    let mnist = Mnist::load(data).unwrap();
    let place = Place {
        device: self::device(device),
        threads: 2,
        memory: 1 << 36,
        fuse: device != "cpu",
    };
    let families = [
        (
            "perceptrons",
            vec!["perceptron-"],
            vec![100, 200, 300, 400, 500, 600],
        ),
        (
            "convolutional",
            vec!["conv-", "conv1-"],
            vec![20, 40, 60, 80, 100],
        ),
    ];
    for (what, families, widths) in families {
        let start = Instant::now();
        for family in families {
            for width in &widths {
                for sharing in [false, true] {
                    let trial = |number: u32| TrialSpec {
                        weight_sharing: sharing,
                        auxiliary_loss: number % 2 == 1,
                        repetition: number / 2,
                        epochs: 200,
                        ..spec(&format!("{family}{width}")).unwrap()
                    };
                    let trials: Vec<TrialSpec> = (0..20).map(trial).collect();
                    let counter = Counter {
                        batches: AtomicU64::new(0),
                        until: start + Duration::from_secs(3600),
                    };
                    train_pack(&trials, &mnist, place, &counter);
                }
            }
        }
        println!(
            "the 2019 report's {what}, four modes, 10 repetitions, 200 epochs: {:.1} s",
            start.elapsed().as_secs_f64()
        );
    }
}
