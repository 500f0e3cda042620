"""What every program needs that speaks with a coordinator: a channel, and calls that are repeated until they are answered.

The modules below tenfold.v1 are generated from the protos:

    python -m grpc_tools.protoc -I proto --python_out=OUT --grpc_python_out=OUT proto/tenfold/v1/*.proto

and found with OUT in PYTHONPATH. The comments in the protos say all that this relies on.
"""

import random
import time

import grpc

# Both sides refuse a peer with another one; Register says it too.
PROTOCOL = 4
# A lease can be so long. Clients take 4 MiB unless they are told otherwise.
LONGEST_MESSAGE = 16 << 20
# Calls that end with one of these were not done, and would end the same way again.
FINAL = {
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNIMPLEMENTED,
}


def connect(address, lose_every=0):
    """Opens a channel. With `lose_every`, every so manieth answer is thrown away after the call was done, as a network may do."""
    options = [
        ("grpc.max_receive_message_length", LONGEST_MESSAGE),
        # A coordinator that restarts is back within seconds; gRPC would wait for up to two minutes.
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]
    channel = grpc.insecure_channel(address.removeprefix("http://"), options)
    return grpc.intercept_channel(channel, LosesAnswers(lose_every)) if lose_every else channel


def answered(method, request, timeout=10):
    """Makes a call until it is answered, for good or with a code in FINAL. All requests may be sent again as they are."""
    pause = 0.1
    while True:
        try:
            return method(request, timeout=timeout)
        except grpc.RpcError as error:
            if error.code() in FINAL:
                raise
            time.sleep(pushback(error) or random.uniform(0, pause))
            pause = min(2 * pause, 5)


def pushback(error):
    """Returns the pause in seconds that a coordinator with too much to do asks for."""
    metadata = dict(error.trailing_metadata() or ())
    return int(metadata.get("grpc-retry-pushback-ms", 0)) / 1000


class Lost(grpc.RpcError):
    """The answer to a call that was done is lost."""

    def code(self):
        return grpc.StatusCode.UNAVAILABLE

    def trailing_metadata(self):
        return ()


class LosesAnswers(grpc.UnaryUnaryClientInterceptor):
    def __init__(self, every):
        self.every, self.calls = every, 0

    def intercept_unary_unary(self, continuation, details, request):
        self.calls += 1
        call = continuation(details, request)
        if self.calls % self.every == 0:
            call.result()
            raise Lost(f"the answer to {details.method} is lost")
        return call
