#!/usr/bin/env python3
"""A client that knows the protos alone: submits a sweep, follows it to its end, and prints its results as JSON, a group a line.

    client.py --coordinator 127.0.0.1:7465 sweep.toml
"""

import argparse
import json
import pathlib
import time
import uuid

import grpc
from tenfold.v1 import control_pb2, control_pb2_grpc

import contract


class Client:
    def __init__(self, channel):
        self.stub = control_pb2_grpc.ControlStub(channel)

    def submit(self, path):
        """Submits a sweep file, and returns its SubmitResponse. However often the request is sent, it is one order."""
        source = control_pb2.SweepSource(text=pathlib.Path(path).read_text(), file=str(path))
        request = control_pb2.SubmitRequest(source=source, request_id=str(uuid.uuid4()))
        return contract.answered(self.stub.Submit, request)

    def follow(self, selector):
        """Yields what becomes of a sweep until it is over, across restarts of the coordinator: groups as they are complete, each as
        its parts, and where the sweep stands.

        A pass counts when it is closed. What a pass told that was cut off comes again.
        """
        cursor, told = 0, []
        while True:
            request = control_pb2.WatchRequest(selector=selector, since=cursor, follow=True)
            try:
                for message in self.stub.Watch(request):
                    told.append(message)
                    if message.WhichOneof("event") == "sweep":
                        yield from told
                        cursor, told = message.cursor, []
                        if message.sweep.HasField("finished_at_ms"):
                            return
            except grpc.RpcError as error:
                if error.code() in contract.FINAL:
                    raise
                time.sleep(contract.pushback(error) or 0.2)
            told = []

    def results(self, selector, by=()):
        """Returns the aggregated curves of all groups, the parts of a long one put together."""
        groups = []
        for part in self.stub.Results(control_pb2.ResultsRequest(selector=selector, by=by)):
            if groups and groups[-1].more:
                groups[-1].statistics.extend(part.statistics)
                groups[-1].more = part.more
            else:
                groups.append(part)
        return groups

    def curves(self, selector):
        """Returns the accepted curves of all trials: of each its first part and its values, by metric."""
        curves = []
        for part in self.stub.Curves(control_pb2.CurvesRequest(selector=selector)):
            columns = [part.columns[at * part.epochs : (at + 1) * part.epochs] for at in range(len(part.metrics))]
            if curves and curves[-1][0].more:
                for whole, column in zip(curves[-1][1], columns):
                    whole.extend(column)
                curves[-1][0].more = part.more
            else:
                curves.append((part, [list(column) for column in columns]))
        return curves


def summary(result):
    """Returns the last epoch of a group, as a line of JSON."""
    count = len(result.metrics)
    last = result.statistics[-count:] if result.statistics else []
    values = {value.setting: getattr(value.value, value.value.WhichOneof("kind")) for value in result.group.values}
    return json.dumps(
        {
            "group": result.group.index,
            "values": values,
            "succeeded": result.group.trials.succeeded,
            "diverged": result.group.trials.diverged,
            "epochs": len(result.statistics) // count if count else 0,
            "last": {name: {"n": of.n, "mean": of.mean} for name, of in zip(result.metrics, last)},
        }
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coordinator", default="127.0.0.1:7465")
    parser.add_argument("--lose-every", type=int, default=0, help="lose every so manieth answer, as a test")
    parser.add_argument("sweep")
    arguments = parser.parse_args()
    client = Client(contract.connect(arguments.coordinator, arguments.lose_every))
    sweep = client.submit(arguments.sweep).sweep
    selector = sweep.sweep.hex()
    for message in client.follow(selector):
        if message.WhichOneof("event") == "complete":
            print(json.dumps({"complete": message.complete.group.index}), flush=True)
    for result in client.results(selector):
        print(summary(result), flush=True)


if __name__ == "__main__":
    main()
