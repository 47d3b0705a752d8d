"""Paths of routes, as Kong's controller and Kong read them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from infra.config.types import UrlPath
from infra.services.route import http_route_path, ingress_paths

PATHS = st.from_regex(r"/[a-z.~_-]{1,4}(/[a-z.]{1,3})?", fullmatch=True).filter(
    lambda path: re.fullmatch(TypeAdapter(UrlPath).json_schema()["pattern"], path)
)
REQUESTS = st.from_regex(r"/[a-z.~_x-]{1,4}(/[a-z.x]{1,3})?/?", fullmatch=True)


def controllers_paths_of_an_ingress(path: str, path_type: str) -> list[str]:
    """Returns Kong's paths (KIC 3.5.13, PathsFromIngressPaths and MaybePrependRegexPrefix)."""
    if path_type == "Prefix":
        base = path.strip("/")
        return [f"/{base}/", f"~/{base}$"] if base else ["/"]
    return [path.replace("/~", "~", 1)]


def controllers_paths_of_an_http_route(path_type: str, path: str) -> list[str]:
    """Returns Kong's paths (KIC 3.5.13, generateKongRoutePathFromHTTPRouteMatch)."""
    if path_type == "PathPrefix":
        return [f"~{path}$", path if path.endswith("/") else f"{path}/"]
    return [f"~{path}"]


def is_matched(request: str, paths: list[str]) -> bool:
    return any(re.match(path[1:], request) if path.startswith("~") else request.startswith(path) for path in paths)


@given(path=PATHS, request=REQUESTS)
def test_a_path_matches_itself_and_its_children_literally(path: str, request: str) -> None:
    wanted = request == path or request.startswith(f"{path}/")
    ingress = [pattern for pair in ingress_paths(path) for pattern in controllers_paths_of_an_ingress(*pair)]
    assert is_matched(request, ingress) is wanted
    assert is_matched(request, controllers_paths_of_an_http_route(*http_route_path(path))) is wanted
    for own in (path, f"{path}/", f"{path}/x"):
        assert is_matched(own, ingress)
        assert is_matched(own, controllers_paths_of_an_http_route(*http_route_path(path)))


@pytest.mark.parametrize(
    ("path", "request_", "matched"),
    [
        ("/v1.0", "/v1-0", False),
        ("/v1.0", "/v1x0/", False),
        ("/robots.txt", "/robotsXtxt", False),
        ("/.well-known/x", "/.well-known/x", True),
        ("/v1.0", "/v1.0/users", True),
        ("/", "/anything", True),
    ],
)
def test_a_dot_in_a_path_is_literal(path: str, request_: str, matched: bool) -> None:
    ingress = [pattern for pair in ingress_paths(path) for pattern in controllers_paths_of_an_ingress(*pair)]
    assert is_matched(request_, ingress) is matched
    assert is_matched(request_, controllers_paths_of_an_http_route(*http_route_path(path))) is matched
