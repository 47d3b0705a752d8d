"""The running stack with another configuration for a while."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import yaml

from tests.e2e.stack import Stack, stack_file
from tests.support import eventually


class Configured:
    """The stack; `file` is its configuration, `address` the gateway's."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.file = stack.folder / "Pulumi.sandbox.yaml"
        self.address = stack.address

    def set(self, key: str, value: Any) -> None:  # noqa: ANN401 -- YAML
        document = stack_file(self.file)
        document["config"][key] = value
        self.file.write_text(yaml.safe_dump(document))

    def up(self, *services: dict[str, Any]) -> None:
        """Brings the stack up with these services. All else in the configuration stays."""
        self.set("services", list(services))
        self.stack.up()

    def get(self, path: str, **headers: str) -> httpx.Response:
        return httpx.get(f"http://{self.address}{path}", headers=headers, timeout=30)

    def post(self, path: str, body: Any) -> httpx.Response:  # noqa: ANN401 -- JSON
        return httpx.post(f"http://{self.address}{path}", json=body, timeout=30)

    @contextmanager
    def asked_throughout(self, path: str) -> Iterator[list[int]]:
        """Requests a path without a break and without a credential; yields the statuses of the answers.

        Every request has to be answered, with any status, and there are answers from before and after the change.
        """
        statuses: list[int] = []
        failures: list[str] = []
        done = threading.Event()

        def ask() -> None:
            # A connection that is kept may be closed the moment it is used again.
            with httpx.Client(timeout=30, limits=httpx.Limits(max_keepalive_connections=0)) as client:
                while not done.wait(0.01):
                    try:
                        statuses.append(client.get(f"http://{self.address}{path}").status_code)
                    except httpx.HTTPError as failure:
                        failures.append(repr(failure))

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            eventually(lambda: bool(statuses or failures))
            yield statuses
            # The controller looks for changes every three seconds.
            time.sleep(4)
            answered = len(statuses)
            eventually(lambda: bool(statuses[answered:] or failures))
        finally:
            done.set()
            thread.join()
        assert not failures, failures[:3]


@contextmanager
def configured(stack: Stack, *, restored: bool = True) -> Iterator[Configured]:
    """Yields the stack for changes of its configuration, which is restored at the end; the stack too if `restored`."""
    changed = Configured(stack)
    before = changed.file.read_text()
    # The tutorial's node has room for three services; these tests have more of them. So would their users' nodes.
    stack.run("kubectl", "delete", "daemonset", "doks", "-n", "kube-system", "--ignore-not-found")
    try:
        yield changed
    finally:
        changed.file.write_text(before)
        if restored:
            stack.up()
