"""Planted faults, and the calls that the API received."""

import re
import socket
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Literal

from flask import Response, request
from pydantic import BaseModel, ConfigDict, Field

from sandbox.digitalocean.ledger import timestamp


class Fault(BaseModel):
    """Trouble for the calls that `method` and `path` (a regular expression, searched) choose.

    status: answered with `status`, `headers` and `message`, without effect;
    refuse: the connection closes without an answer or effect;
    timeout: no answer or effect, the connection closes after `seconds`;
    drop_after: the call takes effect, then the connection closes without an answer.
    The first `skip` calls pass; then `times` calls are hit (null: all).
    """

    model_config = ConfigDict(extra="forbid")

    method: str = ".*"
    path: str = ""
    kind: Literal["status", "refuse", "timeout", "drop_after"] = "status"
    status: int = Field(default=500, ge=400, le=599)
    message: str = "planted fault"
    headers: dict[str, str] = {}
    seconds: float = 60
    times: int | None = Field(default=1, ge=1)
    skip: int = Field(default=0, ge=0)

    def matches(self, method: str, path: str) -> bool:
        """Reports whether this call is hit; counts calls that match."""
        if not re.fullmatch(self.method, method) or not re.search(self.path, path) or self.times == 0:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass
class Call:
    method: str
    path: str
    query: str
    status: int | None = None
    """The status of the answer; None before it is sent."""
    fault: str | None = None
    at: str = field(default_factory=timestamp)


class Rate:
    """Requests of each token in the last hour and minute."""

    def __init__(self) -> None:
        self._times: defaultdict[str, deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    def count(self, token: str, per_hour: int, per_minute: int) -> tuple[dict[str, str], float]:
        """Returns the rate-limit headers, and the seconds until the call is allowed (0: it is)."""
        now = time.time()
        with self._lock:
            times = self._times[token]
            while times and times[0] <= now - 3600:
                times.popleft()
            wait = 0.0
            if len(times) >= per_hour:
                wait = times[0] + 3600 - now
            elif len(times) >= per_minute and times[-per_minute] > now - 60:
                wait = times[-per_minute] + 60 - now
            else:
                times.append(now)
            oldest = times[0] if times else now
            return {
                "ratelimit-limit": str(per_hour),
                "ratelimit-remaining": str(max(per_hour - len(times), 0)),
                "ratelimit-reset": str(int(oldest + 3600)),
            }, wait


def hang_up(response: Response | None = None) -> Response:
    """Closes the connection under the server, whose response is lost."""
    connection: socket.socket = request.environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    return response or Response()
