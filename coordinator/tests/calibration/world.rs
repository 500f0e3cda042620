//! A real coordinator with its workers, and the commands that say what came of sweeps.

use std::time::Duration;

use serde_json::Value;

use crate::common::{Cluster, json, text};
use crate::figures::form;
use crate::fleet::{Fleet, Model};

pub(crate) struct World {
    // Dropped first: the workers end with their coordinator.
    cluster: Cluster,
    fleet: Fleet,
}

impl Drop for World {
    fn drop(&mut self) {
        self.fleet.dismiss();
    }
}

impl World {
    /// Starts a coordinator in a folder of its own.
    pub(crate) fn start() -> Self {
        let mut cluster = Cluster::patient();
        cluster.patience = Duration::from_secs(form(120, 3600));
        let fleet = Fleet::start(&cluster.address());
        Self { cluster, fleet }
    }

    /// Submits a sweep whose trials are as the model says; returns its id.
    pub(crate) fn submit(&self, seed: u64, sweep: &str, model: Model) -> String {
        self.fleet.learn(seed, model);
        let file = self
            .cluster
            .write(&format!("sweep-{seed}.toml"), &format!("seed = {seed}\n{sweep}"));
        let said = json(&self.cluster.command(&["submit", &file, "--json"]));
        said[0]["sweep"].as_str().unwrap().to_owned()
    }

    /// Submits a sweep, and waits until it is over; returns its id.
    pub(crate) fn run(&self, seed: u64, sweep: &str, model: Model) -> String {
        let id = self.submit(seed, sweep, model);
        self.until_over(&id);
        id
    }

    pub(crate) fn until_over(&self, id: &str) {
        self.cluster.until("the sweep is over", || {
            assert!(!self.fleet.is_broken(), "the workers have ended");
            let list = self.lines(&["list", "--limit", "1000", "--json"]);
            let sweep = list.iter().find(|sweep| sweep["sweep"] == id).unwrap();
            (!sweep["finished_at"].is_null()).then(|| {
                let trials = &sweep["trials"];
                assert_eq!(
                    (&trials["failed"], &trials["cancelled"]),
                    (&0.into(), &0.into()),
                    "{sweep}"
                );
            })
        });
    }

    /// Returns the objects that a command prints.
    pub(crate) fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        json(&self.cluster.command(arguments))
    }

    /// Returns the groups of a sweep, grouped by some axes or else by point.
    pub(crate) fn groups(&self, id: &str, by: &str) -> Vec<Value> {
        let all = ["results", id, "--format", "jsonl"];
        match by {
            "" => self.lines(&all),
            by => self.lines(&[&all[..], &["--by", by]].concat()),
        }
    }

    /// Returns the verdicts on the sweep's own hypotheses.
    pub(crate) fn verdicts(&self, id: &str) -> Vec<Value> {
        self.lines(&["hypotheses", id, "--json"])
    }

    /// Returns the verdicts on further hypotheses, in the order given.
    pub(crate) fn added(&self, id: &str, hypotheses: &[String]) -> Vec<Value> {
        let mut verdicts = Vec::new();
        for some in hypotheses.chunks(MOST) {
            let file = self.cluster.write(&format!("added-{id}.toml"), &some.concat());
            let said = self.lines(&["hypotheses", id, "--json", "--add", &file]);
            verdicts.extend(said.into_iter().filter(|line| line["post_hoc"] == true));
        }
        assert_eq!(verdicts.len(), hypotheses.len());
        verdicts
    }

    pub(crate) fn extend(&self, id: &str, repetitions: u32) {
        self.cluster
            .command(&["extend", id, "--repetitions", &repetitions.to_string()]);
        self.until_over(id);
    }

    /// Whether this program accepts a sweep file. Programs before a key was there do not.
    pub(crate) fn accepts(&self, sweep: &str) -> bool {
        let file = self.cluster.write("probe.toml", sweep);
        let output = self.cluster.try_command(&["plan", &file]);
        let said = text(&output.stderr);
        assert!(output.status.success() || said.contains("unknown key"), "{said}");
        output.status.success()
    }

    /// Returns the line of a hypothesis by which it is judged by itself. Programs without such a key judge all so.
    pub(crate) fn alone(&self) -> &'static str {
        let line = "family = \"none\"\n";
        let probe = "repetitions = 2\nepochs = 1\n[settings]\narchitecture = \"perceptron-5\"\n[axes]\n\
                     weight_sharing = [false, true]\n"
            .to_owned()
            + &hypothesis(SHARING, "lower_by = 0", "test_error", 1)
            + line;
        if self.accepts(&probe) { line } else { "" }
    }
}

/// The most hypotheses of a file.
pub(crate) const MOST: usize = 200;

/// Both sides of a hypothesis.
pub(crate) const SHARING: &str = "this = { weight_sharing = true }\nthan = { weight_sharing = false }";

/// Returns a hypothesis as a sweep file has it; further lines may follow it.
pub(crate) fn hypothesis(sides: &str, expected: &str, metric: &str, at: u32) -> String {
    format!("[[hypothesis]]\nclaim = \"x\"\n{sides}\nmetric = \"{metric}\"\nat = {at}\n{expected}\n")
}

/// Returns the verdict of a line.
pub(crate) fn is(verdict: &Value, wanted: &str) -> bool {
    verdict["verdict"] == wanted
}

/// Returns a number of a line, which must be there.
pub(crate) fn number(line: &Value, name: &str) -> f64 {
    line[name]
        .as_f64()
        .unwrap_or_else(|| panic!("no {name} in {line}"))
}

/// Returns an axis of whole numbers from 1.
pub(crate) fn whole_numbers(to: u32) -> String {
    format!("{{ linear = [1, {to}], points = {to} }}")
}
