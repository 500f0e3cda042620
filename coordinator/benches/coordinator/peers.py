#!/usr/bin/env python3
"""Another tool at the work of `make bench-coordinator`: trials that compute nothing and report 100 values each.

peers.py PEER SECONDS prints one line of JSON: the tool's name and version, trials and reports a second.
"""

import json
import os
import sys
import tempfile
import time

REPORTS = 100


def optuna_with(make_storage, kind):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rates = [10 ** (-6 + 5 * i / 9999) for i in range(10000)]
    study = optuna.create_study(storage=make_storage(), sampler=optuna.samplers.RandomSampler(seed=1))

    def objective(trial):
        trial.suggest_categorical("learning_rate", rates[:100])
        for step in range(REPORTS):
            trial.report(0.5 / (1 + step), step)
        return 0.5

    began = time.time()
    study.optimize(objective, n_trials=100_000, timeout=seconds)
    done, took = len(study.trials), time.time() - began
    return f"Optuna {optuna.__version__}, {kind}", done / took


def optuna_sqlite():
    folder = tempfile.mkdtemp(dir=".")
    return optuna_with(lambda: f"sqlite:///{folder}/optuna.db", "SQLite")


def optuna_journal():
    import optuna
    from optuna.storages.journal import JournalFileBackend

    folder = tempfile.mkdtemp(dir=".")
    return optuna_with(lambda: optuna.storages.JournalStorage(JournalFileBackend(f"{folder}/journal.log")), "JournalFile")


def ray_tune(reuse):
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    import ray
    from ray import tune

    class Reports(tune.Trainable):
        def setup(self, config):
            self.at = 0

        def step(self):
            self.at += 1
            return {"error": 0.5 / self.at, "done": self.at == REPORTS}

        def reset_config(self, config):
            self.at = 0
            return True

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    folder = tempfile.mkdtemp(dir=".")
    samples = max(4, int(seconds * (3 if reuse else 1)))
    tuner = tune.Tuner(
        Reports,
        param_space={"learning_rate": tune.loguniform(1e-6, 0.1)},
        tune_config=tune.TuneConfig(num_samples=samples, max_concurrent_trials=2, reuse_actors=reuse),
        run_config=tune.RunConfig(storage_path=os.path.abspath(folder), verbose=0),
    )
    began = time.time()
    results = tuner.fit()
    took = time.time() - began
    ray.shutdown()
    kind = "reuse_actors" if reuse else "new actors"
    return f"Ray Tune {ray.__version__}, {kind}", len(results) / took


peers = {
    "optuna-sqlite": optuna_sqlite,
    "optuna-journal": optuna_journal,
    "ray": lambda: ray_tune(False),
    "ray-reuse": lambda: ray_tune(True),
}
peer, seconds = sys.argv[1], float(sys.argv[2])
name, rate = peers[peer]()
print(json.dumps({"name": name, "trials": rate, "reports": rate * REPORTS}))
