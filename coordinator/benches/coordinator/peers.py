#!/usr/bin/env python3
"""Another tool at the work of `make bench-coordinator`: trials that compute nothing and report 100 values each, or, for
HyperQueue, which knows no reports, tasks that do nothing.

peers.py PEER SECONDS works for about so long, in the folder that it is started in, and prints a line of JSON: the tool's
`name` with its version, and `figures`, of each the work that it is compared in, its value and its unit.

All are used as their documentation advises where there is a choice: Optuna without a sampler that looks at former trials
and with a distribution that is short to store; Ray Tune with a class, two trials at once, one for each core asked for.
"""

import contextlib
import glob
import io
import json
import os
import sys
import tempfile
import time

REPORTS = 100


def reports(trials, unit="trials/s"):
    return [("trials of 100 reports", trials, unit), ("reports", trials * REPORTS, "reports/s")]


def optuna(kind, make_storage):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=make_storage(optuna), sampler=optuna.samplers.RandomSampler(seed=1))
    done = 0

    def objective(trial):
        nonlocal done
        trial.suggest_float("learning_rate", 1e-6, 0.1, log=True)
        for step in range(REPORTS):
            trial.report(0.5 / (1 + step), step)
        done += 1
        return 0.5

    began = time.perf_counter()
    study.optimize(objective, timeout=seconds)
    took = time.perf_counter() - began
    return f"Optuna {optuna.__version__}, {kind}", reports(done / took)


def optuna_sqlite():
    return optuna("SQLite", lambda optuna: "sqlite:///optuna.db")


def optuna_journal():
    def storage(optuna):
        return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend("journal.log"))

    return optuna("JournalFile", storage)


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

        def save_checkpoint(self, folder):
            pass

        def load_checkpoint(self, checkpoint):
            pass

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")

    def run(samples):
        tuner = tune.Tuner(
            Reports,
            param_space={"learning_rate": tune.loguniform(1e-6, 0.1)},
            tune_config=tune.TuneConfig(num_samples=samples, max_concurrent_trials=2, reuse_actors=reuse),
            run_config=tune.RunConfig(
                storage_path=os.getcwd(),
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                verbose=0,
            ),
        )
        began = time.perf_counter()
        results = tuner.fit()
        assert len(results) == samples and not results.errors, results
        return samples / (time.perf_counter() - began)

    # How many fit into the time is found out first; Ray starts its processes meanwhile, which is not counted.
    rate = run(4)
    rate = run(max(4, round(rate * seconds)))
    ray.shutdown()
    return f"Ray Tune {ray.__version__}, {'reused' if reuse else 'new'} actors", reports(rate)


def hyperqueue():
    """Tasks are processes, which bounds their rate; what its server, without a journal, takes of the processor does not
    include them, nor its worker. Its package has both as threads of this process."""
    from importlib.metadata import version

    from hyperqueue import Job, LocalCluster
    from hyperqueue.cluster import WorkerConfig

    def threads():
        return {os.path.basename(path) for path in glob.glob("/proc/self/task/*")}

    def processor(ids):
        # The first number is nanoseconds on a processor.
        texts = [open(f"/proc/self/task/{id}/schedstat").read() for id in ids]
        return sum(int(text.split()[0]) for text in texts) / 1e9

    before = threads()
    cluster = LocalCluster()
    server = threads() - before
    cluster.start_worker(WorkerConfig(cores=2))
    client = cluster.client()

    def run(tasks):
        job = Job()
        for _ in range(tasks):
            job.program(["true"], stdout=None, stderr=None)
        began, used = time.perf_counter(), processor(server)
        client.wait_for_jobs([client.submit(job)])
        return tasks / (time.perf_counter() - began), (processor(server) - used) / tasks

    # The client asks once a second whether all is done.
    rate, _ = run(1_000)
    rate, cost = run(round(rate * seconds))
    cluster.stop()
    name = f"HyperQueue {version('hyperqueue')}, no journal"
    return name, [("server CPU, a task", 1e6 * cost, "µs"), ("tasks", rate, "tasks/s")]


peers = {
    "optuna-sqlite": optuna_sqlite,
    "optuna-journal": optuna_journal,
    "ray-new": lambda: ray_tune(False),
    "ray-reused": lambda: ray_tune(True),
    "hyperqueue": hyperqueue,
}
peer, seconds = sys.argv[1], float(sys.argv[2])
with tempfile.TemporaryDirectory(dir=".") as folder:
    home = os.getcwd()
    os.chdir(folder)
    # Only the last line is for the benchmark.
    with contextlib.redirect_stdout(io.StringIO()):
        name, figures = peers[peer]()
    os.chdir(home)
named = [{"work": work, "value": value, "unit": unit} for work, value, unit in figures]
print(json.dumps({"name": name, "figures": named}))
