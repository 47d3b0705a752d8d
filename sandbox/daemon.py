"""python -m sandbox.daemon READY: the running sandbox, which makes that file; SIGTERM ends it and all in it."""

import functools
import http.server
import logging
import secrets
import signal
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
from moto.server import ThreadedMotoServer
from werkzeug.serving import make_server

from sandbox.charts import repository as charts
from sandbox.cluster.cluster import Kubernetes
from sandbox.digitalocean.account import Cloud
from sandbox.digitalocean.app import create_app
from sandbox.digitalocean.kubernetes.records import ClusterRecord
from sandbox.digitalocean.settings import Settings
from sandbox.environment import STATE_BUCKET, write_environment
from sandbox.host.addresses import API, CHARTS, STATE, address
from sandbox.host.process import ANSWER_SECONDS
from sandbox.images import buildkit as builder
from sandbox.images import catalog as images
from sandbox.images import registry

_MACHINES = 4
"""Nodes at most; an upgrade has one more for a while. Two processors serve no more kubelets."""


def _say(text: str) -> None:
    print(text, flush=True)


class _Charts(http.server.SimpleHTTPRequestHandler):
    """Serves Helm's repository folder."""

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


def _serve(server: http.server.HTTPServer, until: ExitStack) -> None:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    until.callback(server.shutdown)


def run(until: ExitStack) -> None:
    """Starts every part; each is ended by `until`, in reverse order."""
    signer = registry.Signer()
    token = f"dop_v1_{secrets.token_hex(32)}"
    cloud = Cloud(token, start_kubernetes=_start_kubernetes, sign=signer.token, settings=Settings(machines=_MACHINES))
    until.callback(cloud.stop)
    host, port = address(API)
    _serve(make_server(host, port, create_app(cloud), threaded=True), until)
    _start_state(until)

    until.callback(registry.start_mirror().stop)
    until.callback(registry.start_digitalocean_registry(signer).stop)
    until.callback(builder.start().stop)
    images.publish(_say)
    repository = charts.package(_say)
    handler = functools.partial(_Charts, directory=str(repository))
    _serve(http.server.ThreadingHTTPServer(address(CHARTS), handler), until)
    write_environment(token, builder.DOCKER_CONFIG)


def _start_state(until: ExitStack) -> None:
    """The object storage for Pulumi's state: in memory, it ends with the account that it is about."""
    host, port = address(STATE)
    server = ThreadedMotoServer(host, port, verbose=False)
    server.start()
    until.callback(server.stop)
    httpx.put(f"{STATE}/{STATE_BUCKET}", timeout=ANSWER_SECONDS, trust_env=False).raise_for_status()


def _start_kubernetes(record: ClusterRecord) -> Kubernetes:
    kubernetes = Kubernetes(token_webhook=f"{API}/_control/tokenreview", report=_say)
    kubernetes.start(record.node)
    return kubernetes


def main(ready: Path) -> None:
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # log no line for each request
    started = time.monotonic()
    with ExitStack() as until:
        run(until)
        ready.touch()
        _say(f"ready after {time.monotonic() - started:.1f} s")
        stopping.wait()
        _say("stopping")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
