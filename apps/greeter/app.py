"""The greeter microservice: gRPC, as greeter.proto says."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc

from apps.greeter.greeter_pb2 import Greeting, Request

THREADS = 8
"""Calls at a time; a stream is one for as long as it lasts."""
GRACE_SECONDS = 20
"""Seconds that calls under way get to end."""
LONGEST_STREAM = 1000
GREETING = os.environ.get("GREETING", "Hello")


def greet(request: Request, _: grpc.ServicerContext) -> Greeting:
    return Greeting(text=f"{GREETING} {request.name}")


def greet_often(request: Request, context: grpc.ServicerContext) -> Iterator[Greeting]:
    if not 1 <= request.times <= LONGEST_STREAM:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"times: from 1 to {LONGEST_STREAM}")
    for number in range(request.times):
        if number:
            time.sleep(request.milliseconds / 1000)
        yield Greeting(text=f"{GREETING} {request.name}, {number + 1} of {request.times}")


def server(port: int) -> tuple[grpc.Server, int]:
    """A server that isn't started yet, and its port: with 0 any that is free."""
    methods = {
        "Greet": grpc.unary_unary_rpc_method_handler(greet, Request.FromString, Greeting.SerializeToString),
        "GreetOften": grpc.unary_stream_rpc_method_handler(greet_often, Request.FromString, Greeting.SerializeToString),
    }
    made = grpc.server(ThreadPoolExecutor(THREADS))
    made.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("greeter.Greeter", methods)])
    return made, made.add_insecure_port(f"[::]:{port}")


def main() -> None:
    running, _ = server(int(os.environ["PORT"]))
    signal.signal(signal.SIGTERM, lambda *_: running.stop(GRACE_SECONDS))
    running.start()
    running.wait_for_termination()


if __name__ == "__main__":
    main()
