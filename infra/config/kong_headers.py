"""Headers that a request loses on its way through Kong."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

from infra.config.kong_lua import FORWARDED_HEADERS, IDENTITY_HEADERS
from infra.config.plugin_configs import PluginConfig


def removing(transformer: PluginConfig, headers: Sequence[str]) -> PluginConfig:
    """Returns a request-transformer that removes these headers as well."""
    remove = transformer.get("remove", {})
    present = remove.get("headers", [])
    return {
        **transformer,
        "remove": {**remove, "headers": [*present, *(name for name in headers if name not in present)]},
    }


def spoofable_headers(acl: PluginConfig) -> list[str]:
    """Headers by which a client could claim an identity.

    kong_lua.clean_request removes them from every request as well, and doesn't stop at the first 100 headers as
    request-transformer does. This holds should Kong ever run without that code.

    Kong's authentication plugins replace or clear X-Consumer-ID and the like in that spelling before the transformer
    runs, so what they set has to stay. Servers with CGI's naming convention treat "_" and "-" alike.
    """
    # Unless acl hides the groups, it has set X-Consumer-Groups itself before.
    hyphenated = ["X-Credential-Username", *(["X-Consumer-Groups"] if acl.get("hide_groups_header", not acl) else [])]
    return [
        *hyphenated,
        *(name for header in (*IDENTITY_HEADERS, *FORWARDED_HEADERS) for name in _with_underscores(header)),
    ]


def _with_underscores(header: str) -> Iterator[str]:
    """Yields the other spellings of a header: each with an underscore for at least one of the hyphens."""
    first, *rest = header.split("-")
    for marks in itertools.product("-_", repeat=len(rest)):
        if "_" in marks:
            yield first + "".join(mark + part for mark, part in zip(marks, rest, strict=True))


def compression_headers(configs: Mapping[str, PluginConfig]) -> list[str]:
    """Headers that make a service compress its answer: Kong transforms no compressed body (Kong issue 13741)."""
    operations = configs.get("response-transformer", {}).values()
    changes_body = any({"json", "json_types"} & change.keys() for change in operations if isinstance(change, Mapping))
    changes_body |= "body_filter" in configs.get("post-function", {})
    return ["Accept-Encoding"] if changes_body else []
