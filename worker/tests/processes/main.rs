//! Real processes: slots with trainers, agents with coordinators that misbehave, the command itself. The trainer is
//! `examples/fake-trainer.rs`, which needs no libtorch.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod agent;
mod command;
mod fleet;
mod slot;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tenfold_types::network::Architecture;
use tenfold_types::{Data, Join, Target, TrialSpec};
use tenfold_worker::slot::Launch;

/// Far longer than anything here takes: only what would never come at all is given up.
const AT_MOST: Duration = Duration::from_secs(60);

async fn soon<T>(what: &str, coming: impl Future<Output = T>) -> T {
    let came = tokio::time::timeout(AT_MOST, coming).await;
    came.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

fn worker_program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_tenfold-worker"))
}

fn fake_trainer() -> PathBuf {
    let program = worker_program().with_file_name("examples/fake-trainer");
    assert!(
        program.exists(),
        "{} is not built: run `cargo build --examples`",
        program.display()
    );
    program
}

/// The fake trainer with such an environment.
fn launch(environment: &[&str]) -> Launch {
    let environment = environment.iter().map(Into::into);
    Launch {
        program: "/usr/bin/env".into(),
        arguments: environment.chain([fake_trainer().into()]).collect(),
        patience: 2 * AT_MOST,
    }
}

fn spec(epochs: u32) -> TrialSpec {
    TrialSpec {
        weight_sharing: true,
        join: Join::AsIs,
        learning_rate: 0.01,
        batch_size: 10,
        dropout: 0.0,
        epochs,
        data: Data {
            train: 100,
            test: 100,
            target: Target::Less,
        },
        seed: 5,
        ..TrialSpec::with_defaults(Architecture::named("perceptron-5").unwrap())
    }
}
