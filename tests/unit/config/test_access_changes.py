"""No update replaces one kind of access control of a route by another."""

from collections.abc import Callable
from typing import Any

import pytest

from infra.config.access_changes import access_kinds, replaced_kinds
from infra.config.errors import error_line
from tests.unit.conftest import Recording
from tests.unit.loading import loaded, services

ADDRESSES_ONLY = {"name": "foo", "path": "/foo", "image": "a/foo:1", "allowIps": ["198.51.100.0/24"]}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "allowIps instead of auth": {
        "stack": "dev",
        "config": {"kong-doks:services": [ADDRESSES_ONLY]},
        "outputs": {"access_control": {"foo": ["auth"]}},
    },
    "allowIps on a new route": {
        "stack": "dev",
        "config": {"kong-doks:services": [ADDRESSES_ONLY]},
    },
    "preview of allowIps on a new route": {
        "stack": "dev",
        "config": {"kong-doks:services": [ADDRESSES_ONLY]},
        "preview": True,
    },
}

AUTH = {"auth": "jwt"}
OFFICE = {"allowIps": ["198.51.100.0/24"]}
TEAM = {"auth": "jwt", "allow": ["team-a"]}
LDAP = {
    "plugins": {"ldap-auth": {"ldap_host": "ldap.example.com", "ldap_port": 389, "base_dn": "dc=a", "attribute": "cn"}}
}
Policies = dict[str, Any]

REFUSED: dict[str, tuple[Policies, Policies, str]] = {
    "addresses after auth": (
        AUTH,
        OFFICE,
        "allowIps or denyIps replaces auth, and foo could answer without either during",
    ),
    "auth after addresses": (OFFICE, AUTH, "fix: write allowIps or denyIps too, pulumi up; then remove "),
    "auth after a plugin": (LDAP, AUTH, "auth replaces plugins.ldap-auth, "),
    "addresses after groups": (TEAM, {"denyIps": ["192.0.2.1"]}, "replaces allow and auth, "),
    "a plugin after addresses": (OFFICE, LDAP, "plugins.ldap-auth replaces allowIps or denyIps, "),
}
ACCEPTED: dict[str, tuple[Policies, Policies]] = {
    "the same": (AUTH, AUTH),
    "none before": ({}, OFFICE),
    "none after": (OFFICE, {}),
    "another list": (OFFICE, {"denyIps": ["192.0.2.1"]}),
    "the list as a plugin": (OFFICE, {"plugins": {"ip-restriction": {"allow": ["198.51.100.0/24"]}}}),
    "the other kind of auth": ({"plugins": {"key-auth": {}}}, AUTH),
    "fewer": (TEAM, AUTH),
    "both": (OFFICE, OFFICE | AUTH),
    "one of both": (OFFICE | AUTH, AUTH),
    "what refuses nobody": ({"rateLimit": {"minute": 60}}, OFFICE),
}


def replaced(before: Policies, after: Policies) -> list[str]:
    errors = replaced_kinds(loaded(services(**after)), access_kinds(loaded(services(**before))))
    return [error_line(error, hidden=False) for error in errors]


@pytest.mark.parametrize("name", REFUSED)
def test_replaced_access_control_is_refused_with_two_steps(name: str) -> None:
    before, after, expected = REFUSED[name]
    (line,) = replaced(before, after)
    assert line.startswith("services[0]: ")
    assert expected in line


@pytest.mark.parametrize("name", ACCEPTED)
def test_access_control_of_which_a_kind_stays_is_accepted(name: str) -> None:
    assert replaced(*ACCEPTED[name]) == []


@pytest.mark.parametrize("name", REFUSED)
def test_the_two_steps_are_accepted(name: str) -> None:
    before, after, _ = REFUSED[name]
    assert replaced(before, before | after) == []
    assert replaced(before | after, after) == []


def test_another_service_has_a_history_of_its_own() -> None:
    assert list(replaced_kinds(loaded(services(**OFFICE)), {"bar": ["auth"]})) == []


def test_a_replacement_is_refused_before_the_first_resource(run: Callable[[str], Recording]) -> None:
    refused = run("allowIps instead of auth")
    (error,) = refused.errors
    assert error.startswith("kong-doks:services[0]: allowIps or denyIps replaces auth, and foo could ")
    assert refused.resources == []
    assert refused.outputs == {}


def test_the_kinds_are_recorded_once_the_routes_have_them(run: Callable[[str], Recording]) -> None:
    assert run("allowIps on a new route").outputs["access_control"] == {"foo": ["ip-restriction"]}
    assert run("preview of allowIps on a new route").outputs["access_control"] == "(unknown)"
