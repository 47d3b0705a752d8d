"""The plugin: started by Pulumi's engine, prints its port, ends with the engine."""

import logging
import os
from concurrent.futures import ThreadPoolExecutor

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from sandbox.digitalocean.provider.server import Provider


def main() -> None:
    # Pulumi shows whatever a plugin writes; the official one is silent about retries.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    engine = os.getppid()
    # A create holds its thread until the cluster runs.
    server = grpc.server(ThreadPoolExecutor(max_workers=32))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(), server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    while server.wait_for_termination(timeout=1):
        if os.getppid() != engine:
            # The engine was killed. No one gets the answers of what is under way, so nothing is waited for.
            os._exit(1)


if __name__ == "__main__":
    main()
