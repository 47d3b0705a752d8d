"""Files of a backend that keeps the state in files or in object storage: locks, checkpoints, attributes."""

import gzip
import itertools
import json
import os
import re
import socket
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlsplit
from urllib.request import url2pathname

from ops.digitalocean import one_line
from ops.errors import OpsError
from ops.pulumi.cli import Cli
from ops.pulumi.stack import Stack, history

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CHECKPOINTS = 100
"""Each is read as a whole, from object storage as well."""


@dataclass(frozen=True)
class Lock:
    """A command that changes the stack, or was about to when it ended."""

    owner: str
    host: str
    pid: int
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} of {self.owner} on {self.host} (since {self.since})"

    @property
    def stale(self) -> bool | None:
        """True if the process has ended; None if it is another machine's."""
        if self.host != socket.gethostname():
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        # By now the number may be another program's.
        return not _program(self.pid).startswith("pulumi")


class Backend:
    """The backend that Pulumi is logged in to."""

    def __init__(self, cli: Cli) -> None:
        self._cli = cli
        place = urlsplit(cli.pulumi_json("whoami", "--json").get("url") or "")
        kinds: dict[str, type[_Folder | _Bucket]] = {"file": _Folder, "s3": _Bucket}
        kind = kinds.get(place.scheme)
        self._files = kind(place) if kind else None

    def broken_attributes(self) -> list[Path]:
        """Files beside checkpoints and locks that a killed command left without their content (file backend only).

        Go CDK's file storage writes attributes to NAME.attrs in place, and fails to read NAME if they aren't JSON.
        """
        files = self._files.attributes() if isinstance(self._files, _Folder) else ()
        return [file for file in files if not _is_json(file)]

    def locks(self, stack: Stack) -> list[Lock]:
        """The stack's locks. Pulumi Cloud has none of this kind; for another backend `pulumi up` names the owner.

        Raises:
            OpsError: the bucket can't be read.
        """
        texts = self._files.read("locks", _places(stack)) if self._files else ()
        locks = [json.loads(text) for text in texts]
        return [Lock(lock["username"], lock["hostname"], int(lock["pid"]), lock["timestamp"]) for lock in locks]

    def earlier_ids(self, stack: Stack) -> set[str]:
        """The UUIDs in the stack's last checkpoints: ids of clusters that it had.

        Raises:
            OpsError: the bucket, or a checkpoint, can't be read.
        """
        files = self._files
        texts = files.read("history", _places(stack)) if files else self._versions(stack)
        return {identifier for text in itertools.islice(texts, _CHECKPOINTS) for identifier in _UUID.findall(text)}

    def _versions(self, stack: Stack) -> Iterator[str]:
        """The checkpoints that Pulumi Cloud keeps, newest first."""
        for update in history(stack):
            if version := update.get("version"):
                yield self._cli.pulumi("stack", "export", "--version", str(version), "--stack", stack.name)


class _Folder:
    """A folder of this machine."""

    def __init__(self, place: SplitResult) -> None:
        self._root = Path(url2pathname(f"{place.netloc}{place.path}")).expanduser() / ".pulumi"

    def read(self, folder: str, places: Collection[str]) -> Iterator[str]:
        """Reads the JSON files at these places below a folder of .pulumi, the newest name first."""
        root = self._root / folder
        for file in sorted(root.rglob("*.json*"), reverse=True):
            if file.relative_to(root).parent.as_posix() in places and file.suffix in (".json", ".gz"):
                yield _text(file.read_bytes())

    def attributes(self) -> Iterator[Path]:
        return iter(sorted(self._root.rglob("*.attrs")))


class _Bucket:
    """A bucket of an object storage."""

    def __init__(self, place: SplitResult) -> None:
        self._place = place

    def read(self, folder: str, places: Collection[str]) -> Iterator[str]:
        """Reads the JSON files as `Folder` does."""
        # The import doubles the start of ops, and only buckets need it.
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        # The URL's options, as Pulumi reads them.
        options = {name: values[-1] for name, values in parse_qs(self._place.query).items()}
        endpoint = options.get("endpoint")
        if endpoint and "://" not in endpoint:
            insecure = "true" in (options.get("disableSSL"), options.get("disable_https"))
            endpoint = f"{'http' if insecure else 'https'}://{endpoint}"
        by_path = "true" in (options.get("s3ForcePathStyle"), options.get("use_path_style"))
        # Endpoints other than Amazon's accept any region.
        region = options.get("region") or ("us-east-1" if endpoint else None)
        bucket, prefix = self._place.netloc, f"{self._place.path.strip('/')}/.pulumi/{folder}/".lstrip("/")
        try:
            client = boto3.session.Session(profile_name=options.get("profile"), region_name=region).client(
                "s3", endpoint_url=endpoint, config=Config(s3={"addressing_style": "path" if by_path else "auto"})
            )
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
            for key in sorted(keys, reverse=True):
                if key.removeprefix(prefix).rpartition("/")[0] in places and key.endswith((".json", ".gz")):
                    yield _text(client.get_object(Bucket=bucket, Key=key)["Body"].read())
        except (BotoCoreError, ClientError) as error:
            problem = one_line(str(error))
            raise OpsError(f"{folder} in bucket {bucket}: {problem}; fix: the keys that `pulumi` uses") from None


def _program(pid: int) -> str:
    """Returns the name of a process's program; Pulumi on systems that don't show it."""
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8", "replace")
    except OSError:
        return "pulumi"


def _places(stack: Stack) -> Collection[str]:
    """Folders of the stack's files. Other projects may share the backend, and have a stack of the same name."""
    name = f"{stack.project}/{stack.short_name}"
    # Locks are below the organization; a backend that is older than projects has the stack's name alone.
    return (name, f"organization/{name}", stack.short_name)


def _text(content: bytes) -> str:
    return (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode()


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_text("utf-8"))
    except ValueError:
        return False
    return True
