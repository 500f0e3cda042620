#!/usr/bin/env python3
"""A worker with one slot that knows the protos alone. Its trainer is curves.py; put your own in its place.

    worker.py --coordinator 127.0.0.1:7465 --name abacus

It ends when it is drained: `tenfold drain abacus`.
"""

import argparse
import array
import math
import os
import sys
import threading
import time
import traceback

import grpc
from tenfold.v1 import common_pb2, fleet_pb2, fleet_pb2_grpc

import contract
import curves

# The most trials of a pack of a shape not met before, and of other shapes. A worker that trains trials as one array measures the latter.
UNKNOWN_SHAPE, KNOWN_SHAPE = 2, 6
# The most trials and bytes of epochs in one Append, which may have 1 MiB.
TRIALS_AT_ONCE, BYTES_AT_ONCE = 128, 512 << 10


class LeaseIsOver(Exception):
    """What is trained under the lease is of no use any more."""


class Trial:
    """A trial of a lease: what was trained, and how much of that is durable."""

    def __init__(self, lease, leased):
        self.leased = leased
        self.metrics = list(lease.metrics[leased.metrics].names)
        self.curve = curves.train(leased, lease.architecture)
        self.epochs, self.seconds = [], []
        self.acknowledged = 0
        self.end = None
        self.over = False

    def train_epoch(self):
        began = time.monotonic()
        done = len(self.epochs)
        try:
            values = next(self.curve, None)
            if values is None:
                self.end = fleet_pb2.End(epochs=done, succeeded=fleet_pb2.Succeeded())
            elif not all(map(math.isfinite, values.values())):
                # The epoch that diverged is in no block.
                self.end = fleet_pb2.End(epochs=done, diverged=fleet_pb2.Diverged(epoch=done + 1))
            else:
                self.epochs.append([values[name] for name in self.metrics])
                self.seconds.append(time.monotonic() - began)
        except Exception as error:
            self.fail(str(error), traceback.format_exc())

    def fail(self, error, stderr=""):
        failed = fleet_pb2.Failed(error=error, stderr=stderr)
        self.end = fleet_pb2.End(epochs=self.acknowledged, failed=failed)
        self.epochs, self.seconds = self.epochs[: self.acknowledged], self.seconds[: self.acknowledged]

    def has_news(self):
        return not self.over and (len(self.epochs) > self.acknowledged or self.end is not None)

    def report(self, most_bytes):
        """Returns what is not acknowledged yet; the end comes with the last epochs."""
        most = max(1, most_bytes // (4 * len(self.metrics) + 4))
        first, last = self.acknowledged, min(len(self.epochs), self.acknowledged + most)
        report = fleet_pb2.TrialReport(trial=self.leased.trial, attempt=self.leased.attempt)
        if last > first:
            by_metric = zip(*self.epochs[first:last])
            columns = floats(value for column in by_metric for value in column)
            seconds = floats(self.seconds[first:last])
            report.blocks.add(first=first + 1, epochs=last - first, columns=columns, seconds=seconds)
        if self.end is not None and last == len(self.epochs):
            report.end.CopyFrom(self.end)
        return report

    def acknowledge(self, said):
        if said.cancelled or said.ended:
            self.over = True
        elif said.refused:
            # To be told for good; if even that is refused, the trial is no longer ours.
            self.over = self.end is not None and self.end.HasField("failed")
            self.acknowledged = said.epochs
            self.fail(said.refused)
        else:
            self.acknowledged = said.epochs


def floats(values):
    """Returns float32s as bytes, little-endian."""
    numbers = array.array("f", values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


class Worker:
    def __init__(self, channel, name):
        self.stub = fleet_pb2_grpc.FleetStub(channel)
        self.name = name
        self.id = os.urandom(8)
        # How many trials of a shape are trained together, by what leases said of their shape.
        self.sizes = {}
        self.fences, self.stale, self.cancelled = set(), set(), set()
        self.drained = threading.Event()

    def run(self):
        self.register()
        threading.Thread(target=self.keep_alive, daemon=True).start()
        while not self.drained.is_set():
            lease = self.acquire()
            if lease is not None:
                self.train(lease)

    def register(self):
        slot = fleet_pb2.Slot(kind=common_pb2.DEVICE_KIND_CPU, device="an abacus", threads=1)
        request = fleet_pb2.RegisterRequest(
            protocol=contract.PROTOCOL,
            worker=self.id,
            host=self.name,
            process=os.getpid(),
            version="1.0",
            slots=[slot],
        )
        answer = contract.answered(self.stub.Register, request)
        self.heartbeat_interval = answer.heartbeat_interval_ms / 1000

    def registered(self, method, request, timeout=10):
        """Makes a call; registers first when the coordinator does not know the worker."""
        while True:
            try:
                return contract.answered(method, request, timeout)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.NOT_FOUND:
                    raise
                self.register()

    def keep_alive(self):
        while True:
            request = fleet_pb2.HeartbeatRequest(worker=self.id, fences=list(self.fences))
            heard = self.registered(self.stub.Heartbeat, request)
            self.stale.update(heard.stale)
            self.cancelled.update((trial.fence, identity(trial.trial)) for trial in heard.cancelled)
            if heard.drain:
                self.drained.set()
            time.sleep(self.heartbeat_interval)

    def acquire(self):
        # The same id until there is an answer: a lease whose answer is lost is found again.
        request = fleet_pb2.AcquireRequest(
            worker=self.id,
            request=os.urandom(16),
            slot=0,
            max_trials=UNKNOWN_SHAPE,
            sizes=[fleet_pb2.PackSize(shape=shape, trials=trials) for shape, trials in self.sizes.items()],
        )
        answer = self.registered(self.stub.Acquire, request, timeout=30)
        if not answer.HasField("lease"):
            time.sleep(answer.retry_after_ms / 1000)
            return None
        self.sizes[answer.lease.shape] = KNOWN_SHAPE
        return answer.lease

    def train(self, lease):
        print(f"lease {lease.fence}: {len(lease.trials)} trials", flush=True)
        self.fences.add(lease.fence)
        trials = [Trial(lease, leased) for leased in lease.trials]
        try:
            while not all(trial.over for trial in trials):
                for trial in trials:
                    if (lease.fence, identity(trial.leased.trial)) in self.cancelled:
                        trial.over = True
                    elif trial.end is None and not trial.over:
                        trial.train_epoch()
                self.hand_over(lease, trials)
        except LeaseIsOver:
            print(f"lease {lease.fence} is over", flush=True)
        finally:
            self.fences.discard(lease.fence)

    def hand_over(self, lease, trials):
        """Appends what is new, and returns when it is durable."""
        while news := [trial for trial in trials if trial.has_news()]:
            if lease.fence in self.stale:
                raise LeaseIsOver
            news = news[:TRIALS_AT_ONCE]
            reports = [trial.report(BYTES_AT_ONCE // len(news)) for trial in news]
            request = fleet_pb2.AppendRequest(worker=self.id, sweep=lease.sweep, fence=lease.fence, trials=reports)
            try:
                answer = contract.answered(self.stub.Append, request)
            except grpc.RpcError as error:
                if error.code() in {grpc.StatusCode.ABORTED, grpc.StatusCode.NOT_FOUND}:
                    raise LeaseIsOver from error
                raise
            for trial, said in zip(news, answer.acknowledgements):
                trial.acknowledge(said)


def identity(key):
    return (key.stage, key.index, key.repetition)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coordinator", default="127.0.0.1:7465")
    parser.add_argument("--name", default="abacus")
    parser.add_argument("--lose-every", type=int, default=0, help="lose every so manieth answer, as a test")
    arguments = parser.parse_args()
    Worker(contract.connect(arguments.coordinator, arguments.lose_every), arguments.name).run()


if __name__ == "__main__":
    main()
