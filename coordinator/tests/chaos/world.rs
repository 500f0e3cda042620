//! A sweep, the processes that train it, and what its results must be.

use std::ops::{Deref, DerefMut};
use std::thread::sleep;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use crate::common::{Cluster, Process, Start};
use crate::form::form;

/// The sweep's name.
pub(crate) const NAME: &str = "chaos";

/// A sweep of so many trials and epochs.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) trials: u32,
    pub(crate) epochs: u32,
}

impl Shape {
    const REPETITIONS: u32 = 5;

    /// So many trials of the usual length.
    pub(crate) fn of(trials: u32) -> Self {
        Self { trials, epochs: 20 }
    }

    fn text(self) -> String {
        let points = self.trials / Self::REPETITIONS;
        assert_eq!(points * Self::REPETITIONS, self.trials);
        let rates: Vec<String> = (1..=points).map(|point| format!("{point}e-4")).collect();
        format!(
            "name = \"{NAME}\"\nepochs = {}\nrepetitions = {}\n\
             [settings]\narchitecture = \"perceptron-10\"\n[axes]\nlearning_rate = [{}]\n",
            self.epochs,
            Self::REPETITIONS,
            rates.join(", ")
        )
    }
}

/// A cluster that has this sweep.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) shape: Shape,
    file: String,
}

impl Deref for World {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Cluster {
        &mut self.cluster
    }
}

impl World {
    /// A coordinator that serves, with the sweep submitted.
    pub(crate) fn new(shape: Shape, start: Start) -> Self {
        let mut world = Self::stopped(shape, start, tempfile::tempdir().unwrap());
        world.serve();
        world.submit();
        world
    }

    /// A coordinator that is still to be started.
    pub(crate) fn stopped(shape: Shape, start: Start, folder: tempfile::TempDir) -> Self {
        let mut cluster = Cluster::stopped(folder, start);
        cluster.patience = Duration::from_secs(form(300, 1200));
        let file = cluster.write("chaos.toml", &shape.text());
        Self { cluster, shape, file }
    }

    pub(crate) fn submit(&self) {
        assert!(self.try_submit(), "submitted");
    }

    /// Whether the coordinator has promised to keep the sweep.
    pub(crate) fn try_submit(&self) -> bool {
        self.try_command(&["submit", &self.file]).status.success()
    }

    /// A worker at the coordinator's own address.
    pub(crate) fn worker(&self, name: &str, slots: u32, epoch_ms: u32) -> Process {
        self.fake_worker(name, &self.address(), slots, epoch_ms)
    }

    /// Where the sweep stands; nothing while nobody answers.
    pub(crate) fn status(&self) -> Option<Value> {
        let shown = self.try_command(&["show", NAME, "--json"]);
        let shown = String::from_utf8(shown.stdout).unwrap();
        shown
            .lines()
            .next()
            .map(|line| serde_json::from_str(line).unwrap())
    }

    fn epochs_of(&self) -> Option<u64> {
        self.status().and_then(|sweep| sweep["epochs"].as_u64())
    }

    /// Waits until more epochs are there than now.
    pub(crate) fn until_progress(&self) {
        let before = self.until("the coordinator answers", || self.epochs_of());
        self.until("there are more epochs", || {
            self.epochs_of().filter(|now| *now > before || self.is_over())
        });
    }

    pub(crate) fn is_over(&self) -> bool {
        self.status().is_some_and(|sweep| !sweep["finished_at"].is_null())
    }

    /// A fault that comes when there is nothing left to disturb shows nothing.
    pub(crate) fn assert_going(&self) {
        let sweep = self.until("the coordinator answers", || self.status());
        assert!(
            sweep["finished_at"].is_null(),
            "the sweep was over before the last fault"
        );
    }

    /// Waits until every trial has succeeded; those whose trainers were killed too often are tried again, as users would.
    pub(crate) fn until_over(&self) {
        self.until("all trials have succeeded", || {
            let sweep = self.status()?;
            let trials = &sweep["trials"];
            if trials["failed"] != 0 {
                _ = self.try_command(&["retry", NAME, "--failed"]);
            }
            (trials["succeeded"] == self.shape.trials).then_some(())
        });
    }

    fn exports(&self) -> [String; 3] {
        let export = |arguments: &[&str]| self.command(&[&["results", NAME], arguments].concat());
        [
            export(&["--format", "csv"]),
            export(&["--format", "jsonl"]),
            export(&["--raw", "--format", "csv"]),
        ]
    }

    /// Waits until the sweep is over; then its results must be those of an undisturbed run, and its store be whole.
    pub(crate) fn assert_undisturbed(mut self) -> Self {
        self.until_over();
        let exports = self.exports();
        let undisturbed = Self::new(self.shape, Start::default());
        let worker = undisturbed.worker("undisturbed", 4, 0);
        undisturbed.until_over();
        assert!(
            exports == undisturbed.exports(),
            "the results differ from those of an undisturbed run"
        );
        let epochs = u64::from(self.shape.trials * self.shape.epochs);
        assert_eq!(
            exports[2].lines().count() as u64,
            1 + epochs,
            "a row for each epoch"
        );
        drop(worker);
        if self.start.store.is_none() {
            self.kill();
            let checked: String = self
                .store()
                .query_row("PRAGMA integrity_check", [], |row| row.get(0))
                .unwrap();
            assert_eq!(checked, "ok");
        }
        self
    }

    /// No fault but a kill may end a coordinator.
    pub(crate) fn assert_alive(&mut self) {
        let ended = self.cluster.coordinator.as_mut().unwrap().0.try_wait().unwrap();
        if let Some(status) = ended {
            let said = std::fs::read_to_string(self.folder.path().join("serve.log")).unwrap_or_default();
            panic!("the coordinator has ended: {status}\n{said}");
        }
    }

    /// The store's file, to look into.
    pub(crate) fn store(&self) -> Connection {
        let path = self.folder.path().join("runs/tenfold.sqlite");
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let store = Connection::open_with_flags(path, flags).unwrap();
        store.busy_timeout(Duration::from_secs(10)).unwrap();
        store
    }
}

/// Waits for as many milliseconds.
pub(crate) fn pause(random: &mut StdRng, milliseconds: std::ops::Range<u64>) {
    sleep(Duration::from_millis(random.random_range(milliseconds)));
}
