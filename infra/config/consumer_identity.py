"""Assigns objects of the cluster to consumers, so that a renamed consumer or a moved credential causes no 401.

Kong and its controller drop consumers that share a name or a credential. Pulumi deletes removed objects last. So a new
object named after a renamed consumer would share its credentials with the old object during the whole `up`. Here a
credential stays in its object when the consumer's name changes. The stack's output `consumers` records the assignment
for the next `up`.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count

from infra.config.consumer import Consumer
from infra.config.errors import ConfigError, InvalidConfigError, error_line

Claims = Mapping[str, Sequence[str]]
"""Hashes of credentials and the consumer's name, by object name; each must be unique at any time."""


@dataclass(frozen=True)
class Entry:
    """A consumer's object.

    Attributes:
        object_name: the name of the KongConsumer, and of its resource.
        consumer: its settings; None: other objects take over its claims, and the next `up` deletes it.
        after: names of objects that have to be updated before this one, because it takes a claim of theirs.
    """

    object_name: str
    consumer: Consumer | None
    after: frozenset[str]


def claims(consumer: Consumer | None) -> list[str]:
    if consumer is None:
        return []
    credentials = {"jwt": consumer.issuer, "key-auth": consumer.plain_api_key}
    hashes = {kind: hashlib.sha256(value.encode()).hexdigest() for kind, value in credentials.items() if value}
    return [*(f"{kind}:{value}" for kind, value in hashes.items()), f"name:{consumer.name}"]


def arrange(consumers: Sequence[Consumer], previous: Claims) -> list[Entry]:
    """Returns the consumers' objects in the order of their updates.

    Args:
        consumers: as the stack's configuration has them.
        previous: the claims of the objects at the end of the last `up`.

    Raises:
        InvalidConfigError: consumers exchange names or credentials, so every order has a conflict.
    """
    assigned: dict[str, Consumer | None] = dict(_object_names(consumers, previous))
    kept = {claim for consumer in consumers for claim in claims(consumer)}
    assigned |= {name: None for name, held in previous.items() if name not in assigned and kept & {*held}}
    after = {
        name: frozenset(
            other
            for other in assigned
            if other != name and {*previous.get(other, ())} & {*claims(consumer)} - {*previous.get(name, ())}
        )
        for name, consumer in assigned.items()
    }
    ordered: dict[str, Entry] = {}
    while pending := [name for name in assigned if name not in ordered]:
        name = next((name for name in pending if after[name] <= ordered.keys()), None)
        if name is None:
            raise InvalidConfigError([_exchange(assigned, {name: after[name] & {*pending} for name in pending})])
        ordered[name] = Entry(name, assigned[name], after[name])
    return [*ordered.values()]


def _exchange(assigned: Mapping[str, Consumer | None], waiting: Mapping[str, frozenset[str]]) -> str:
    """Returns the error for an exchange among the objects in `waiting`, each of which waits for others in it."""
    path = [min(waiting)]
    while (following := min(waiting[path[-1]])) not in path:
        path.append(following)
    names = sorted(consumer.name for name in path[path.index(following) :] if (consumer := assigned[name]))
    allowed = "a name, a key, an issuer that no other consumer has until then"
    fix = f"first give {names[0]} others that nobody has, pulumi up; then the final ones, pulumi up again"
    problem = f"{' and '.join(names)} exchange names or credentials, and Kong would refuse both during the update"
    return error_line(ConfigError("consumers", None, allowed, fix, problem), hidden=False)


def _object_names(consumers: Sequence[Consumer], previous: Claims) -> Iterator[tuple[str, Consumer]]:
    free, unnamed = dict(previous), list(consumers)
    for by_name in (False, True):
        for consumer in [*unnamed]:
            sought = {claim for claim in claims(consumer) if claim.startswith("name:") is by_name}
            if match := next((name for name, held in free.items() if sought & {*held}), None):
                yield match, consumer
                del free[match]
                unnamed.remove(consumer)
    taken = {*previous}
    for consumer in unnamed:
        candidates = chain([consumer.name], (f"{consumer.name}-{number}" for number in count(2)))
        name = next(name for name in candidates if name not in taken)
        taken.add(name)
        yield name, consumer
