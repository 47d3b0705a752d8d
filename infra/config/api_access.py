"""Checks of the token and the endpoint of DigitalOcean's API, for the program and `ops`, before a request."""

import ipaddress
import math
import re
from urllib.parse import urlsplit

ENDPOINT = "https://api.digitalocean.com"
PAUSE_VARIABLE = "DIGITALOCEAN_HTTP_RETRY_WAIT_MIN"
"""The environment variable with the seconds before the first retry, for Pulumi's provider, the program and `ops`."""


def token_problem(token: str) -> str:
    """Returns why the token can't be sent; empty if it can. An HTTP client would repeat it in its own error."""
    if not token:
        return "is missing"
    return "" if re.fullmatch("[!-~]+", token) else "has a blank, a line break or another character that no token has"


def token_fix(name: str) -> str:
    """Returns the command that sets another token where this one comes from."""
    if name == "digitalocean:token":
        return "pulumi config set --secret digitalocean:token"
    return "export DIGITALOCEAN_TOKEN=dop_v1_..."


def endpoint_problem(endpoint: str) -> str:
    """Returns why the token must not be sent there; empty if it may."""
    if not re.fullmatch("[!-~]+", endpoint):
        return "not a URL"
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname or "", parts.port
        host.encode("idna")  # an empty or too long label, which an HTTP client would raise as no error of its own
        if re.fullmatch("[0-9.]+", host):
            ipaddress.ip_address(host)
    except ValueError as error:
        return str(error)
    if parts.scheme not in ("http", "https") or not host:
        return "not a URL"
    if parts.scheme == "http" and not is_loopback(host):
        return "the token would go over plain HTTP"
    return ""


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def first_pause(text: str | None) -> float | None:
    """Returns the seconds before the first retry; None if the text isn't a number of seconds."""
    try:
        seconds = float(text or 1)
    except ValueError:
        return None
    return seconds if 0 <= seconds < math.inf else None
