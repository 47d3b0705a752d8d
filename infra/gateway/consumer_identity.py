"""Which objects a consumer has in the cluster, when consumers are renamed or credentials move between them.

Kong and its controller drop consumers that share a name or a credential. Pulumi deletes last what left the program. So
objects called after a renamed consumer would share its credentials with the old ones during the whole `up`, and clients
would get 401. Here a credential stays in the object that has it, whatever the consumer's name is; the stack's output
`consumers` carries that from one `up` to the next.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count

from infra.config.consumer import Consumer

Claims = Mapping[str, Sequence[str]]
"""Object name -> what no other consumer may have at the same time: credentials, as hashes, and the consumer's name."""


@dataclass(frozen=True)
class Entry:
    """A consumer's object.

    Attributes:
        object_name: the name of the KongConsumer, and of its resource.
        consumer: None: the object gives up all it had to others in this `up`, and goes in the next.
        after: names of objects that give up what this one takes.
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
    """
    wanted: dict[str, Consumer | None] = dict(_object_names(consumers, previous))
    kept = {each for consumer in consumers for each in claims(consumer)}
    wanted |= {name: None for name, held in previous.items() if name not in wanted and kept & {*held}}
    after = {
        name: frozenset(
            other
            for other in wanted
            if other != name and {*previous.get(other, ())} & {*claims(consumer)} - {*previous.get(name, ())}
        )
        for name, consumer in wanted.items()
    }
    ordered: list[Entry] = []
    while pending := [name for name in wanted if name not in {entry.object_name for entry in ordered}]:
        # Two consumers that swap names wait for each other: one has to begin.
        name = next((name for name in pending if not after[name] & {*pending}), pending[0])
        ordered.append(Entry(name, wanted[name], after[name] - {*pending}))
    return ordered


def _object_names(consumers: Sequence[Consumer], previous: Claims) -> Iterator[tuple[str, Consumer]]:
    free, unnamed = dict(previous), list(consumers)
    for by_name in (False, True):
        for consumer in [*unnamed]:
            sought = {each for each in claims(consumer) if each.startswith("name:") is by_name}
            if found := next((name for name, held in free.items() if sought & {*held}), None):
                yield found, consumer
                del free[found]
                unnamed.remove(consumer)
    taken = {*previous}
    for consumer in unnamed:
        candidates = chain([consumer.name], (f"{consumer.name}-{number}" for number in count(2)))
        name = next(name for name in candidates if name not in taken)
        taken.add(name)
        yield name, consumer
