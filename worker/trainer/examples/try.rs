use tenfold_trainer::{array::*, data::Mnist, host::HostArray, train::*};
use tenfold_types::{network::Architecture, *};
struct T;
impl Tick for T {
    fn tick(&self) -> bool {
        true
    }
}
struct F(Vec<Vec<f32>>);
impl Follower for F {
    fn batch(&mut self) -> bool {
        true
    }
    fn epoch(&mut self, v: &[f32], _: f32) -> bool {
        self.0.push(v.to_vec());
        true
    }
}
fn main() {
    tch::set_num_threads(1);
    let mnist = Mnist::load(std::path::Path::new("data/mnist")).unwrap();
    let quick = std::env::args().nth(1).is_some();
    let only = std::env::var("ONLY").unwrap_or_default();
    for (name, sharing, aux, join, epochs, cmp) in [
        ("perceptron-100", false, false, Join::Softmax, 100u32, true),
        ("perceptron-100", true, true, Join::Softmax, 60, true),
        ("perceptron-100", false, true, Join::Relu, 60, false),
        ("perceptron-600", false, false, Join::Softmax, 60, false),
        ("conv-20", false, false, Join::Softmax, 20, false),
        ("perceptron-100", false, false, Join::Softmax, 400, false),
        ("conv-20", false, false, Join::Softmax, 8, !quick),
        ("conv-20", true, true, Join::Softmax, 8, false),
        ("conv-100", false, false, Join::Softmax, 1, false),
    ] {
        if !only.is_empty() && (only != name || cmp) {
            continue;
        }
        let spec = TrialSpec {
            architecture: Architecture::named(name).unwrap(),
            weight_sharing: sharing,
            auxiliary_loss: aux,
            aux_weight: 1.0,
            join,
            learning_rate: 1e-3,
            batch_size: 100,
            optimizer: Optimizer::Adam,
            loss: Loss::CrossEntropy,
            dropout: 0.0,
            epochs,
            data: Data {
                train: 1000,
                test: 1000,
                target: Target::Less,
            },
            seed: 559,
            repetition: 0,
        };
        let t = std::time::Instant::now();
        let mut a = HostArray::<f32>::new(std::slice::from_ref(&spec), &mnist).unwrap();
        let setup = t.elapsed();
        let t = std::time::Instant::now();
        let rows = a.epochs(epochs, &T).unwrap().unwrap().remove(0);
        let host = t.elapsed().as_secs_f64();
        println!(
            "{name} sharing {sharing} aux {aux} {join}: host {:.1} epochs/s (setup {setup:?}) {:?} {:?}",
            epochs as f64 / host,
            rows[0].values,
            rows[rows.len() - 1].values
        );
        if cmp {
            let n = 3.min(epochs);
            let spec = TrialSpec {
                epochs: n,
                ..spec.clone()
            };
            let mut f = F(vec![]);
            let t = std::time::Instant::now();
            train(&spec, &mnist, tch::Device::Cpu, &mut f).unwrap();
            println!(
                "   old {:.1} epochs/s {:?} host row {:?}",
                n as f64 / t.elapsed().as_secs_f64(),
                f.0[n as usize - 1],
                rows[n as usize - 1].values
            );
        }
    }
}
