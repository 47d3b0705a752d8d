"""Which nodes a load balancer's health check lets have connections. The checks' answers are the test's."""

from collections.abc import Mapping

import pytest

from sandbox.digitalocean.load_balancers.health import HEALTH_CHECK, Backends


class Checked(Backends):
    """Backends with checks that the test controls, without delays."""

    def __init__(self) -> None:
        super().__init__()
        self.stop()  # no checks but the test's
        self.passes: dict[str, bool] = {}
        self.healthy: list[str] = []
        self.watched()

    def watched(self, *hosts: str) -> None:
        self.hosts = hosts
        self.watch(hosts, HEALTH_CHECK, lambda healthy: self.take(list(healthy)))

    def take(self, healthy: list[str]) -> None:
        self.healthy = healthy

    def check(self, times: int = 1) -> list[str]:
        for _ in range(times):
            self.check_once()
        return self.healthy

    def _passes(self, host: str) -> bool:
        return self.passes.get(host, False)


@pytest.fixture
def backends() -> Checked:
    return Checked()


def healthy(backends: Checked, passes: Mapping[str, bool]) -> list[str]:
    backends.passes = dict(passes)
    return backends.check()


def test_a_new_load_balancer_starts_with_its_first_passed_check(backends: Checked) -> None:
    backends.watched("a", "b")
    assert backends.healthy == []
    assert healthy(backends, {"a": True}) == ["a"]


def test_an_added_node_needs_five_passed_checks(backends: Checked) -> None:
    backends.passes = {"a": True, "b": True}
    backends.watched("a")
    assert backends.check() == ["a"]
    backends.watched("a", "b")
    assert backends.check(4) == ["a"]
    assert backends.check() == ["a", "b"]


def test_a_node_is_removed_after_three_failed_checks_in_a_row(backends: Checked) -> None:
    backends.passes = {"a": True, "b": True}
    backends.watched("a", "b")
    assert backends.check() == ["a", "b"]
    assert healthy(backends, {"a": True}) == ["a", "b"]
    assert healthy(backends, {"a": True, "b": True}) == ["a", "b"]
    backends.passes = {"a": True}
    assert backends.check(2) == ["a", "b"]
    assert backends.check() == ["a"]


def test_a_detached_node_gets_no_connections(backends: Checked) -> None:
    backends.passes = {"a": True, "b": True}
    backends.watched("a", "b")
    backends.check()
    backends.watched("b")
    assert backends.healthy == ["b"]
