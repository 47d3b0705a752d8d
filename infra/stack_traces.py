"""Short stack traces in the state."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

FRAMES = 12
"""Six of Pulumi's SDKs, which aren't stored, and at most six of this project, from `__main__.py` to a NetworkPolicy."""


@contextmanager
def short_stack_traces() -> Iterator[None]:
    """Leaves the callers of `__main__.py` out of the stack trace that Pulumi's SDK stores with each resource.

    They are eleven frames of asyncio, of the language host and of the SDK, with paths of this machine: a sixth of the
    state of a service. The SDK has no option for it, but reads the stack with Python's `traceback`, which obeys
    `sys.tracebacklimit`. An error that leaves the context has its whole traceback.
    """
    sys.tracebacklimit = FRAMES
    try:
        yield
    finally:
        del sys.tracebacklimit
