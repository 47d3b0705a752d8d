"""Short stack traces in the state."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

FRAMES = 7
"""Six of Pulumi's SDKs, which aren't stored, and the one that creates the resource."""


@contextmanager
def short_stack_traces() -> Iterator[None]:
    """Leaves all but the first frame out of the stack trace that Pulumi's SDK stores with each resource.

    The others are the callers of that line: up to eleven frames of asyncio, of the language host and of the SDK. They
    hold paths of the user's machine and are a fifth of a service's state. The SDK has no option for it, but reads the
    stack with Python's `traceback`, which obeys `sys.tracebacklimit`. An error that leaves the context has its whole
    traceback.
    """
    sys.tracebacklimit = FRAMES
    try:
        yield
    finally:
        del sys.tracebacklimit
