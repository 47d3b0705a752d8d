"""Consumers that are renamed, or whose names and credentials move: no valid credential is refused on the way."""

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from infra.config.consumer import Consumer
from infra.config.consumer_identity import arrange, claims
from infra.config.errors import InvalidConfigError
from tests.unit.configurations import KEY
from tests.unit.conftest import Recording

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "consumer renamed": {
        "stack": "dev",
        "config": {"kong-doks:consumers": [{"name": "alicia", "apiKey": "planted-key-of-20-ch"}]},
        "secret_keys": ["kong-doks:consumers"],
        "outputs": {"consumers": {"alice": [KEY, "name:alice"]}},
    },
    "key moved, its owner removed": {
        "stack": "dev",
        "config": {"kong-doks:consumers": [{"name": "bob", "apiKey": "planted-key-of-20-ch"}]},
        "secret_keys": ["kong-doks:consumers"],
        "outputs": {"consumers": {"alice": [KEY, "name:alice"], "bob": ["key-auth:another", "name:bob"]}},
    },
}

HELD = [f"key-auth:{hashlib.sha256(f'planted-key-of-20-char-{number}'.encode()).hexdigest()}" for number in (1, 2)]
CONFIGURATIONS["consumers exchange names"] = {
    "stack": "dev",
    "config": {
        "kong-doks:consumers": [
            {"name": "alice", "apiKey": "planted-key-of-20-char-2"},
            {"name": "bob", "apiKey": "planted-key-of-20-char-1"},
        ]
    },
    "secret_keys": ["kong-doks:consumers"],
    "outputs": {"consumers": {"alice": [HELD[0], "name:alice"], "bob": [HELD[1], "name:bob"]}},
}
K1, K2, K3 = (f"planted-key-of-20-char-{number}" for number in (1, 2, 3))


def consumer(name: str, key: str | None = None, issuer: str | None = None) -> dict[str, Any]:
    jwt = {"jwt": {"key": issuer, "secret": "planted-secret-of-32-characters!"}} if issuer else {}
    return {"name": name, **({"apiKey": key} if key else {}), **jwt}


def consumers(entries: Sequence[dict[str, Any]]) -> list[Consumer]:
    return [Consumer.model_validate(entry) for entry in entries]


def first_up(entries: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    return {entry.object_name: claims(entry.consumer) for entry in arrange(consumers(entries), {})}


TRANSITIONS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "renamed": ([consumer("alice", K1)], [consumer("alicia", K1)]),
    "renamed beside another": (
        [consumer("alice", K1), consumer("bob", K2)],
        [consumer("bob", K2), consumer("alicia", K1)],
    ),
    "renamed, both credentials": ([consumer("alice", K1, "shop")], [consumer("alicia", K1, "shop")]),
    "key rotated": ([consumer("alice", K1, "shop")], [consumer("alice", K2, "shop")]),
    "only key rotated": ([consumer("alice", K1)], [consumer("alice", K2)]),
    "renamed and key rotated": ([consumer("alice", K1, "shop")], [consumer("alicia", K2, "shop")]),
    "key moved to a new consumer": ([consumer("alice", K1)], [consumer("alice", K2), consumer("bob", K1)]),
    "key moved to another that stays": (
        [consumer("alice", K1), consumer("bob", K2)],
        [consumer("alice", K3), consumer("bob", K1)],
    ),
    "key moved to another, its owner removed": ([consumer("alice", K1), consumer("bob", K2)], [consumer("bob", K1)]),
    "name moved to another, its owner removed": ([consumer("alice", K1), consumer("bob", K2)], [consumer("alice", K2)]),
    "names rotated": (
        [consumer("alice", K1), consumer("bob", K2)],
        [consumer("bob", K1), consumer("carol", K2)],
    ),
    "added, removed": ([consumer("alice", K1), consumer("bob", K2)], [consumer("bob", K2), consumer("carol", K3)]),
    "issuer follows the name": ([consumer("alice", None, "alice")], [consumer("alicia", None, "alicia")]),
}


@pytest.mark.parametrize("name", TRANSITIONS)
def test_a_credential_is_never_missing_or_duplicated(name: str) -> None:
    before, after = TRANSITIONS[name]
    cluster = first_up(before)
    valid = {claim for entry in consumers(before) for claim in claims(entry)} & {
        claim for entry in consumers(after) for claim in claims(entry)
    }
    previous = dict(cluster)
    entries = arrange(consumers(after), previous)
    for entry in entries:
        cluster[entry.object_name] = claims(entry.consumer)
        present = [claim for held in cluster.values() for claim in held]
        assert len(present) == len(set(present))
        # A name is no credential: clients aren't refused while the consumer of that name is missing.
        assert {claim for claim in valid if not claim.startswith("name:")} <= set(present)
    # Pulumi updates side by side what doesn't wait for another.
    updated: set[str] = set()
    for entry in entries:
        assert entry.after <= updated
        updated.add(entry.object_name)
    kept = {claim for entry in consumers(after) for claim in claims(entry)}
    assert {claim for entry in entries for claim in claims(entry.consumer)} == kept


def test_a_renamed_consumer_keeps_its_objects() -> None:
    state = first_up([consumer("alice", K1)])
    for name in ("alicia", "alicia", "alison"):
        (entry,) = arrange(consumers([consumer(name, K1)]), state)
        assert (entry.object_name, entry.consumer and entry.consumer.name) == ("alice", name)
        state = {entry.object_name: claims(entry.consumer)}
    # The old name is free again, the old object isn't.
    entries = arrange(consumers([consumer("alison", K1), consumer("alice", K2)]), state)
    assert {entry.object_name for entry in entries} == {"alice", "alice-2"}


def test_retired_objects_are_deleted_by_the_next_up() -> None:
    state = first_up([consumer("alice", K1), consumer("bob", K2)])
    entries = arrange(consumers([consumer("bob", K1)]), state)
    assert [(entry.object_name, entry.consumer is None) for entry in entries] == [("bob", True), ("alice", False)]
    state = {entry.object_name: claims(entry.consumer) for entry in entries}
    assert [entry.object_name for entry in arrange(consumers([consumer("bob", K1)]), state)] == ["alice"]


A, B = (f"planted-issuer-{name}" for name in "ab")
EXCHANGES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], str]] = {
    "names": (
        [consumer("alice", K1), consumer("bob", K2)],
        [consumer("alice", K2), consumer("bob", K1)],
        "alice and bob",
    ),
    "keys beside issuers": (
        [consumer("alice", K1, A), consumer("bob", K2, B)],
        [consumer("alice", K2, A), consumer("bob", K1, B)],
        "alice and bob",
    ),
    "names in a round": (
        [consumer("alice", K1), consumer("bob", K2), consumer("carol", K3)],
        [consumer("alice", K3), consumer("bob", K1), consumer("carol", K2)],
        "alice and bob and carol",
    ),
    "keys, beside one that waits for them and one that doesn't": (
        [consumer("alice", K1, A), consumer("bob", K2, B), consumer("carol", K3)],
        [
            consumer("aaron", None, "new"),
            consumer("alice", K2, A),
            consumer("bob", K1, B),
            consumer("carol", K3, "also"),
        ],
        "alice and bob",
    ),
}


@pytest.mark.parametrize("name", EXCHANGES)
def test_exchanged_names_or_credentials_are_refused_with_two_steps(name: str) -> None:
    before, after, names = EXCHANGES[name]
    with pytest.raises(InvalidConfigError) as refused:
        arrange(consumers(after), first_up(before))
    (line,) = refused.value.lines
    assert line.startswith(f"consumers: {names}")
    assert re.search(r" exchange names or credentials, .*; allowed: .+; fix: first give \w+ others that nobody", line)
    assert "planted" not in line


def test_the_two_steps_exchange_names() -> None:
    state = first_up([consumer("alice", K1), consumer("bob", K2)])
    for entries in ([consumer("alice-2", K1), consumer("bob", K2)], [consumer("bob", K1), consumer("alice", K2)]):
        state = {entry.object_name: claims(entry.consumer) for entry in arrange(consumers(entries), state)}
    assert {name: held[-1] for name, held in state.items()} == {"alice": "name:bob", "bob": "name:alice"}


def test_an_exchange_is_refused_before_the_first_resource(run: Callable[[str], Recording]) -> None:
    refused = run("consumers exchange names")
    (error,) = refused.errors
    assert error.startswith("kong-doks:consumers: alice and bob exchange names or credentials, ")
    assert refused.resources == []


def test_objects_of_consumers_are_in_kongs_namespace_and_keep_their_names(run: Callable[[str], Recording]) -> None:
    renamed = run("consumer renamed")
    alicia = renamed.one("KongConsumer")
    assert alicia.name == "alice"
    assert alicia.inputs["metadata"]["name"] == "alice"
    assert alicia.inputs["username"] == "alicia"
    assert alicia.inputs["credentials"] == ["alice.key-auth"]
    assert list(renamed.outputs["consumers"]) == ["secret"]
    assert list(renamed.outputs["consumers"]["secret"]) == ["alice"]
    for resource in [alicia, renamed.one("Secret", "alice.key-auth")]:
        assert resource.inputs["metadata"]["namespace"] == "kong"
        assert resource.options["deleteBeforeReplace"] is True


def test_a_consumer_depends_on_the_one_that_releases_its_credential(run: Callable[[str], Recording]) -> None:
    moved = run("key moved, its owner removed")
    retired, bob = moved.one("KongConsumer", "bob"), moved.one("KongConsumer", "alice")
    assert (retired.inputs["username"], retired.inputs["credentials"]) == ("retired.bob", [])
    assert bob.inputs["username"] == "bob"
    assert "KongConsumer bob" in moved.before(bob)
    assert "KongConsumer bob" in moved.before(moved.one("Secret", "alice.key-auth"))
