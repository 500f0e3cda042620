"""The trainer of worker.py: it makes its curves up, as a function of a trial's settings, seed and repetition alone.

Trials with a learning rate of at least 1 diverge in epoch 4, and the first attempt at one trial fails.
"""

import hashlib
import math
import time

FAILS_ONCE = (0, 1, 1)
DIVERGES_FROM, IN_EPOCH = 1.0, 4
# An epoch takes so many seconds: time enough to kill the coordinator in between.
SECONDS = 0.005


def train(trial, architecture):
    """Yields the metrics of one epoch after the other, by their names. `trial` is a LeasedTrial."""
    spec, key = trial.spec, trial.trial
    for epoch in range(1, spec.epochs + 1):
        time.sleep(SECONDS)
        if (key.stage, key.index, key.repetition) == FAILS_ONCE and trial.attempt == 1 and epoch == 3:
            raise RuntimeError("the abacus has lost a bead")
        if spec.learning_rate >= DIVERGES_FROM and epoch == IN_EPOCH:
            yield {"train_loss": math.inf}
            return
        error = 0.5 / (1 + spec.learning_rate * 100 * epoch)
        metrics = {
            "train_error": share_wrong(spec, spec.train_pairs, error, "train"),
            "test_error": share_wrong(spec, spec.test_pairs, error, "test"),
            "train_loss": error * 1.5,
            "test_loss": error * 1.75,
        }
        if spec.auxiliary_loss:
            for sub_network in range(architecture.sub_networks):
                name = f"test_digit_error_{sub_network}"
                metrics[name] = share_wrong(spec, spec.test_pairs, error, name)
        yield metrics


def share_wrong(spec, pairs, error, what):
    """Returns the share of the pairs answered wrongly: about `error`, and a little more by the luck of the repetition."""
    hashed = hashlib.sha256(f"{spec.seed} {spec.repetition} {what}".encode()).digest()
    luck = int.from_bytes(hashed[:4], "little") / 2**32
    return round(pairs * (error + luck / 10)) / pairs
