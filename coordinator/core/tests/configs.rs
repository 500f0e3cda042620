//! Every sweep in `configs/` is valid, and is what its comments say.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tenfold_core::sweep::Sweep;
use tenfold_types::Setting;
use tenfold_types::network::Layer;
use tenfold_types::trial::{Head, Join, Loss, Optimizer, Schedule, Target};

fn configs() -> BTreeMap<String, Sweep> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let mut sweeps = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let sweep = Sweep::parse(&text, path.to_str().unwrap(), &[], None);
        let sweep = sweep.unwrap_or_else(|error| panic!("{error}"));
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert_eq!(sweep.name(), stem, "a config is named as its file");
        sweeps.insert(stem, sweep);
    }
    sweeps
}

#[test]
fn every_config_parses_and_survives_the_store() {
    let configs = configs();
    assert!(configs.len() >= 5, "{:?}", configs.keys());
    for (name, sweep) in configs {
        assert_eq!(
            Sweep::from_normalised(&name, sweep.normalised()),
            Ok(sweep.clone())
        );
        assert!(sweep.describe().contains(&name));
        for index in sweep.stages()[0].indexes() {
            assert!(
                sweep.stages()[0]
                    .spec(index, sweep.stages()[0].repetitions() - 1)
                    .is_some(),
                "{name} {index}"
            );
        }
    }
}

#[test]
fn the_figures_are_those_of_the_report() {
    let configs = configs();
    let of = |name: &str| {
        let sweep = &configs[name];
        let spec = sweep.stages()[0].spec(0, 0).unwrap();
        let axes: Vec<Setting> = sweep.stages()[0].axes().iter().map(|axis| axis.setting).collect();
        (spec.architecture.name, axes, sweep.points(), sweep.trials())
    };
    let rates = vec![Setting::LearningRate];
    let modes = vec![Setting::WeightSharing, Setting::AuxiliaryLoss];
    assert_eq!(of("figure1"), ("perceptron-600".to_owned(), rates.clone(), 6, 60));
    assert_eq!(of("figure2"), ("conv-20".to_owned(), rates, 6, 60));
    assert_eq!(of("figure3"), ("perceptron-600".to_owned(), modes.clone(), 4, 40));
    assert_eq!(of("figure4"), ("conv-20".to_owned(), modes.clone(), 4, 40));
    assert_eq!(of("quickstart"), ("perceptron-100".to_owned(), modes, 4, 12));
    let rates: Vec<f64> = configs["figure1"].stages()[0]
        .indexes()
        .map(|index| {
            configs["figure1"].stages()[0]
                .spec(index, 0)
                .unwrap()
                .learning_rate
        })
        .collect();
    assert_eq!(rates, [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]);
}

/// The reference cannot show what code has; it can be held to naming all of it.
#[test]
fn the_reference_names_everything() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sweep-file.md");
    let reference = fs::read_to_string(path).unwrap();
    let top = [
        "name",
        "description",
        "seed",
        "repetitions",
        "epochs",
        "device",
        "zip",
        "method",
        "points",
        "train",
        "test",
        "target",
    ];
    let settings = Setting::ALL.iter().map(|setting| setting.name());
    for name in settings.chain(Layer::NAMES.iter().copied()).chain(top) {
        assert!(
            reference.contains(&format!("`{name}`")),
            "{name} is not in docs/sweep-file.md"
        );
    }
    let choices = [
        Join::NAMES,
        Optimizer::NAMES,
        Loss::NAMES,
        Target::NAMES,
        Head::NAMES,
        Schedule::NAMES,
    ];
    for name in choices.concat() {
        assert!(
            reference.contains(&format!("`\"{name}\"`")),
            "{name} is not in docs/sweep-file.md"
        );
    }
    let example = reference.split("```").nth(1).unwrap();
    let sweep = Sweep::parse(example.strip_prefix("toml").unwrap(), "example.toml", &[], None);
    assert_eq!(sweep.unwrap_or_else(|error| panic!("{error}")).points(), 12);
}
