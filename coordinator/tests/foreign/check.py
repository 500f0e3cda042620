#!/usr/bin/env python3
"""Tries what the protos say of refusals, repeats and cursors on a coordinator, after worker.py has trained a sweep there.

    check.py --coordinator 127.0.0.1:7465 sweep.toml
"""

import argparse
import os
import pathlib
import uuid

import grpc
from grpc import StatusCode
from tenfold.v1 import common_pb2, control_pb2, control_pb2_grpc, fleet_pb2, fleet_pb2_grpc

import contract
import curves
from client import Client
from worker import floats

MEBIBYTE = 1 << 20


def refused(code, method, request, *words):
    """Checks that a call is refused with this code, and that the message has these words."""
    try:
        method(request, timeout=30)
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()} instead of {code}: {error.details()}"
        for word in words:
            assert word in error.details(), f"{word!r} is not in {error.details()!r}"
        return
    raise AssertionError(f"{type(request).__name__} is not refused with {code}")


# --- Control ---


def request_ids(control, path):
    """The same id gives the first answer, a new one is a new order, and an id belongs to one request."""
    source = control_pb2.SweepSource(text=pathlib.Path(path).read_text().replace("foreign", "other"), file="other.toml")
    source.text += "\n[data]\ntrain = 10\n"
    request = control_pb2.SubmitRequest(source=source, request_id=str(uuid.uuid4()))
    first = control.Submit(request)
    assert not first.existing
    assert control.Submit(request) == first
    request.request_id = str(uuid.uuid4())
    assert control.Submit(request).existing
    other = control_pb2.SelectRequest(selector="other", request_id=request.request_id)
    refused(StatusCode.ALREADY_EXISTS, control.Cancel, other, request.request_id)
    refused(StatusCode.INVALID_ARGUMENT, control.Cancel, control_pb2.SelectRequest(selector="other", request_id="1"), "request id")
    refused(StatusCode.FAILED_PRECONDITION, control.Delete, control_pb2.SelectRequest(selector="other"))
    control.Cancel(control_pb2.SelectRequest(selector="other"))
    control.Delete(control_pb2.SelectRequest(selector="other"))
    refused(StatusCode.NOT_FOUND, control.Show, control_pb2.ShowRequest(selector="other"))


def sizes_of_sweeps(control):
    source = control_pb2.SweepSource(text="#" * (256 * 1024 + 1))
    refused(StatusCode.INVALID_ARGUMENT, control.Plan, control_pb2.PlanRequest(source=source), "262144")
    source.text = "#" * MEBIBYTE
    refused(StatusCode.OUT_OF_RANGE, control.Plan, control_pb2.PlanRequest(source=source))


def cursors(control, client, selector):
    """A cursor at the head tells nothing that is stored, and so does one behind it."""
    told = list(client.follow(selector))
    assert [message.WhichOneof("event") for message in told].count("complete") == 8
    head = told[-1].cursor
    for since in (head, head + 1, 2**64 - 1):
        request = control_pb2.WatchRequest(selector=selector, since=since, follow=True)
        again = list(control.Watch(request))
        assert [message.WhichOneof("event") for message in again] == ["sweep"], again
        assert again[-1].cursor == head


def curves_came_through(client, selector):
    """Each accepted curve is what the trainer makes of the trial, to the bit."""
    read = client.curves(selector)
    assert len(read) == 16
    for first, columns in read:
        settings = {value.setting: getattr(value.value, value.value.WhichOneof("kind")) for value in first.point}
        spec = fleet_pb2.TrialSpec(
            seed=7, repetition=first.trial.repetition, epochs=40, train_pairs=1000, test_pairs=1000, **settings
        )
        trial = fleet_pb2.LeasedTrial(trial=first.trial, attempt=2, spec=spec)
        expected = list(curves.train(trial, fleet_pb2.Architecture(sub_networks=2)))
        if settings["learning_rate"] >= curves.DIVERGES_FROM:
            assert first.state == common_pb2.TRIAL_STATE_DIVERGED
            expected = expected[: curves.IN_EPOCH - 1]
        by_metric = [[epoch[name] for epoch in expected] for name in first.metrics]
        assert [floats(column) for column in columns] == [floats(column) for column in by_metric], first.trial


# --- Fleet ---


def registration(fleet):
    good = registration_of(os.urandom(8))
    for change, code, word in [
        (lambda it: setattr(it, "protocol", contract.PROTOCOL - 1), StatusCode.FAILED_PRECONDITION, "install"),
        (lambda it: setattr(it, "worker", b"short"), StatusCode.INVALID_ARGUMENT, "8"),
        (lambda it: it.ClearField("slots"), StatusCode.INVALID_ARGUMENT, "1 to 1024"),
        (lambda it: it.slots.extend([it.slots[0]] * 1024), StatusCode.INVALID_ARGUMENT, "1025"),
        (lambda it: it.slots[0].ClearField("kind"), StatusCode.INVALID_ARGUMENT, "kind"),
    ]:
        wrong = fleet_pb2.RegisterRequest()
        wrong.CopyFrom(good)
        change(wrong)
        refused(code, fleet.Register, wrong, word)


def registration_of(worker):
    slot = fleet_pb2.Slot(kind=common_pb2.DEVICE_KIND_CPU, device="an abacus", threads=1)
    return fleet_pb2.RegisterRequest(protocol=contract.PROTOCOL, worker=worker, host="check", slots=[slot])


def acquiring(fleet, worker):
    """Returns a lease, found again by its request id."""

    def ask(**changes):
        return fleet_pb2.AcquireRequest(**{"worker": worker, "request": bytes(16), "max_trials": 2, **changes})

    def size(shape, trials=1):
        return fleet_pb2.PackSize(shape=shape, trials=trials)

    unknown = os.urandom(8)
    refused(StatusCode.NOT_FOUND, fleet.Acquire, ask(worker=unknown))
    refused(StatusCode.NOT_FOUND, fleet.Heartbeat, fleet_pb2.HeartbeatRequest(worker=unknown))
    invalid = StatusCode.INVALID_ARGUMENT
    refused(invalid, fleet.Acquire, ask(slot=1), "slot 1")
    refused(invalid, fleet.Acquire, ask(max_trials=0), "at least 1")
    refused(invalid, fleet.Acquire, ask(sizes=[size(1, 0)]), "at least 1")
    refused(invalid, fleet.Acquire, ask(request=bytes(8)), "16")
    refused(invalid, fleet.Acquire, ask(sizes=[size(shape) for shape in range(1025)]), "1024")
    refused(invalid, fleet.Acquire, ask(sizes=[size(5), size(6), size(5)]), "twice")
    lease = fleet.Acquire(ask()).lease
    assert fleet.Acquire(ask()).lease == lease
    assert len(lease.trials) == 2
    return lease


def appending(fleet, worker, lease):
    """Blocks and ends that do not fit are refused, each for its trial alone."""
    first, second = lease.trials

    def said(*blocks, of=first, **end):
        report = fleet_pb2.TrialReport(trial=of.trial, attempt=of.attempt, blocks=blocks)
        if end:
            report.end.CopyFrom(fleet_pb2.End(**end))
        request = fleet_pb2.AppendRequest(worker=worker, sweep=lease.sweep, fence=lease.fence, trials=[report])
        [answer] = fleet.Append(request).acknowledgements
        return answer

    metrics = len(lease.metrics[first.metrics].names)

    def block(start, epochs, value=0.5, columns=metrics, seconds=True):
        times = floats([0.1] * epochs) if seconds else b""
        return common_pb2.Block(first=start, epochs=epochs, columns=floats([value] * columns * epochs), seconds=times)

    assert said(block(1, 2)).epochs == 2
    assert said(block(1, 3)).epochs == 3, "what is there may come again"
    for wrong, word in [
        (block(5, 1), "without gaps"),
        (block(1, 1, value=0.25), "other values"),
        (block(4, 1, value=float("nan")), "NaN"),
        (block(4, 1, columns=metrics - 1), "train_error, test_error, train_loss, test_loss"),
        (block(4, 1, columns=metrics + 1), "train_error, test_error, train_loss, test_loss"),
        (block(4, 1, seconds=False), "one time an epoch"),
        (block(4, first.spec.epochs - 2), "trains 40"),
        (block(0, 1), "count from 1"),
    ]:
        answer = said(wrong)
        assert word in answer.refused and answer.epochs == 3, answer
    assert said(epochs=3, succeeded={}).refused, "too short"
    assert said(epochs=3, diverged={"epoch": 5}).refused, "epoch 4 is missing"
    assert said(block(1, 2), of=second, epochs=2, diverged={"epoch": 3}).ended, "blocks count before the end"
    again = said(of=second, epochs=2, diverged={"epoch": 3})
    assert again.ended, "a result may be told again"
    other_attempt = fleet_pb2.LeasedTrial(trial=first.trial, attempt=9)
    assert "no attempt 9" in said(of=other_attempt).refused

    def ask(**changes):
        return fleet_pb2.AppendRequest(**{"worker": worker, "sweep": lease.sweep, "fence": lease.fence, **changes})

    report = fleet_pb2.TrialReport(trial=first.trial, attempt=first.attempt)
    invalid = StatusCode.INVALID_ARGUMENT
    refused(invalid, fleet.Append, ask(trials=[report, report]), "twice")
    refused(invalid, fleet.Append, ask(trials=[report] * 4097), "4096")
    refused(invalid, fleet.Append, ask(fence=0), "fence")
    refused(invalid, fleet.Append, ask(sweep=b"short"), "16")
    odd = fleet_pb2.TrialReport(trial=first.trial, attempt=1, blocks=[common_pb2.Block(first=4, epochs=1, columns=b"odd")])
    refused(invalid, fleet.Append, ask(trials=[odd]), "four bytes")
    no_outcome = fleet_pb2.TrialReport(trial=first.trial, attempt=1, end=fleet_pb2.End())
    refused(invalid, fleet.Append, ask(trials=[no_outcome]), "outcome")
    refused(StatusCode.NOT_FOUND, fleet.Append, ask(sweep=bytes(16)))
    refused(StatusCode.ABORTED, fleet.Append, ask(fence=lease.fence + 1), "stale")
    refused(StatusCode.ABORTED, fleet.Append, ask(worker=os.urandom(8)), "stale")
    long = fleet_pb2.TrialReport(trial=first.trial, attempt=1, blocks=[common_pb2.Block(columns=bytes(MEBIBYTE))])
    refused(StatusCode.OUT_OF_RANGE, fleet.Append, ask(trials=[long]))
    assert not fleet.Append(ask()).acknowledgements, "an append of nothing renews the lease"


def living(fleet, worker, lease):
    fences = [lease.fence, lease.fence + 1]
    heard = fleet.Heartbeat(fleet_pb2.HeartbeatRequest(worker=worker, fences=fences))
    assert list(heard.stale) == [lease.fence + 1] and not heard.cancelled and not heard.drain
    too_many = fleet_pb2.HeartbeatRequest(worker=worker, fences=range(65_537))
    refused(StatusCode.INVALID_ARGUMENT, fleet.Heartbeat, too_many, "65536")


def no_message(channel):
    """Bytes that are no message at all."""
    nonsense = channel.unary_unary("/tenfold.v1.Fleet/Heartbeat", request_serializer=bytes, response_deserializer=bytes)
    refused(StatusCode.INTERNAL, nonsense, b"\xff" * 8)
    unknown = channel.unary_unary("/tenfold.v1.Fleet/Forget", request_serializer=bytes, response_deserializer=bytes)
    refused(StatusCode.UNIMPLEMENTED, unknown, b"")


def versions(channel):
    """Who says another protocol in the metadata is refused; each answer says the coordinator's."""
    listing = control_pb2_grpc.ControlStub(channel).List
    _, call = listing.with_call(control_pb2.ListRequest())
    said = dict(call.initial_metadata())
    assert said["tenfold-protocol"] == str(contract.PROTOCOL) and said["tenfold-version"], said
    for protocol, code in [(contract.PROTOCOL, None), (contract.PROTOCOL + 1, StatusCode.FAILED_PRECONDITION)]:
        try:
            listing(control_pb2.ListRequest(), metadata=[("tenfold-protocol", str(protocol))])
            assert code is None
        except grpc.RpcError as error:
            assert error.code() == code


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coordinator", default="127.0.0.1:7465")
    parser.add_argument("sweep")
    arguments = parser.parse_args()
    channel = contract.connect(arguments.coordinator)
    control, fleet = control_pb2_grpc.ControlStub(channel), fleet_pb2_grpc.FleetStub(channel)
    client = Client(channel)
    selector = client.submit(arguments.sweep).sweep.sweep.hex()
    curves_came_through(client, selector)
    cursors(control, client, selector)
    request_ids(control, arguments.sweep)
    sizes_of_sweeps(control)
    versions(channel)
    no_message(channel)
    registration(fleet)
    # A sweep of its own to lease, as the other one is over.
    source = control_pb2.SweepSource(text=pathlib.Path(arguments.sweep).read_text().replace("seed = 7", "seed = 8"))
    checked = control.Submit(control_pb2.SubmitRequest(source=source)).sweep.sweep.hex()
    worker = os.urandom(8)
    fleet.Register(registration_of(worker))
    lease = acquiring(fleet, worker)
    appending(fleet, worker, lease)
    living(fleet, worker, lease)
    control.Cancel(control_pb2.SelectRequest(selector=checked))
    heard = fleet.Heartbeat(fleet_pb2.HeartbeatRequest(worker=worker, fences=[lease.fence]))
    assert list(heard.stale) == [lease.fence], "a cancelled sweep's leases are over"
    print("all is as the protos say")


if __name__ == "__main__":
    main()
