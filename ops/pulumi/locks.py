"""Who holds a stack's lock, where the state is in files or in object storage."""

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlsplit
from urllib.request import url2pathname

from ops.digitalocean import OpsError
from ops.pulumi.stack import Stack

_LOCKS = ".pulumi/locks/"


@dataclass(frozen=True)
class Lock:
    """Who changes the stack, or was about to when they ended."""

    owner: str
    host: str
    pid: int
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} of {self.owner} on {self.host} (since {self.since})"

    @property
    def stale(self) -> bool | None:
        """Whether its owner is gone; None: it was another machine's."""
        if self.host != socket.gethostname():
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return False


def locks(stack: Stack) -> list[Lock]:
    """The stack's locks. Pulumi Cloud has none of this kind; of another backend's, `pulumi up` itself tells.

    Raises:
        OpsError: the bucket can't be read.
    """
    place = urlsplit(json.loads(stack.pulumi("whoami", "--json")).get("url") or "")
    read = {"file": _in_files, "s3": _in_bucket}.get(place.scheme)
    found = map(json.loads, read(place, stack.name)) if read else ()
    return [Lock(lock["username"], lock["hostname"], int(lock["pid"]), lock["timestamp"]) for lock in found]


def _in_files(place: SplitResult, stack: str) -> Iterator[str]:
    root = Path(url2pathname(f"{place.netloc}{place.path}")).expanduser()
    for file in sorted(root.glob(f"{_LOCKS}**/{stack}/*.json")):
        yield file.read_text()


def _in_bucket(place: SplitResult, stack: str) -> Iterator[str]:
    # As slow to import as all else here together, and not for everybody.
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    # The URL's options, as Pulumi reads them.
    options = {name: values[-1] for name, values in parse_qs(place.query).items()}
    endpoint = options.get("endpoint")
    if endpoint and "://" not in endpoint:
        insecure = "true" in (options.get("disableSSL"), options.get("disable_https"))
        endpoint = f"{'http' if insecure else 'https'}://{endpoint}"
    by_path = "true" in (options.get("s3ForcePathStyle"), options.get("use_path_style"))
    # Any region will do where the endpoint is not Amazon's.
    region = options.get("region") or ("us-east-1" if endpoint else None)
    prefix = f"{place.path.strip('/')}/".lstrip("/") + _LOCKS
    try:
        client = boto3.session.Session(profile_name=options.get("profile"), region_name=region).client(
            "s3", endpoint_url=endpoint, config=Config(s3={"addressing_style": "path" if by_path else "auto"})
        )
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=place.netloc, Prefix=prefix):
            for entry in page.get("Contents", []):
                if f"/{stack}/" in entry["Key"]:
                    yield client.get_object(Bucket=place.netloc, Key=entry["Key"])["Body"].read().decode()
    except (BotoCoreError, ClientError) as error:
        problem = " ".join(str(error).split())
        raise OpsError(f"the locks in bucket {place.netloc}: {problem}; fix: the keys that `pulumi` uses") from None
