"""The dashboard of the gateway and its services: how many requests, how many of them fail, how long they take."""

from collections.abc import Iterable, Sequence
from typing import Any

UID = "kong-doks"
"""Part of the dashboard's URL."""
SOURCE = "prometheus"
"""The uid of the data source of its queries."""

_ALL = 'route=~".+"'
_QUANTILES = (50, 95, 99)
_ROW_HEIGHT, _PANEL_HEIGHT, _WIDTH = 1, 8, 24
_WINDOW = "$__rate_interval"


def routes(namespace: str, service: str) -> str:
    """Returns the label selector of a service's routes.

    The controller names them <namespace>.<Ingress>.<Service>.<host>.<port> or
    httproute.<namespace>.<HTTPRoute>.<rule>.<match>. Both kinds have the service's name here, which has no dot.
    """
    return f'route=~"(httproute[.])?{namespace}[.]{service}[.].+"'


def share_of_errors(selector: str, window: str, by: str = "") -> str:
    """Returns PromQL for the share of requests with a status from 500 on. Without `by` it is 0 if there was none."""

    def rate(status: str = "") -> str:
        return f"sum{by}(rate(kong_http_requests_total{{{selector}{status}}}[{window}]))"

    failed = rate(',code=~"5.."')
    return f"{failed if by else f'({failed} or vector(0))'} / {rate()}"


def quantile(percent: int, metric: str, selector: str, window: str, by: str = "le") -> str:
    """Returns PromQL for the milliseconds that `percent` of the requests stay below."""
    return f"histogram_quantile({percent / 100}, sum by ({by}) (rate({metric}_bucket{{{selector}}}[{window}])))"


def dashboard(namespace: str, services: Iterable[str]) -> dict[str, Any]:
    """Returns Grafana's JSON model (schema version 41): a row for the gateway and one for each service.

    The same services give the same text, so an unchanged stack stays unchanged.
    """
    gateway = [
        *_red(_ALL),
        _panel("Kong's own part", "ms", _latencies("kong_kong_latency_ms", _ALL), "What Kong and its plugins add."),
        _panel(
            "Pods",
            "short",
            [('sum(up{job="kong"})', "answering"), ('count(up{job="kong"})', "known")],
            "Kong's pods that Prometheus reaches, and those that it knows of.",
        ),
    ]
    rows = [("Gateway", gateway), *((service, _red(routes(namespace, service))) for service in services)]
    return {
        "uid": UID,
        "title": "API gateway",
        "tags": ["kong"],
        "schemaVersion": 41,
        "version": 1,
        "editable": False,
        "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": []},
        "annotations": {"list": []},
        "panels": list(_laid_out(rows)),
    }


def _red(selector: str) -> list[dict[str, Any]]:
    """Rate, errors, duration."""
    rate = f"sum by (code) (rate(kong_http_requests_total{{{selector}}}[{_WINDOW}]))"
    errors = share_of_errors(selector, _WINDOW)
    return [
        _panel("Rate", "reqps", [(rate, "{{code}}")], "Requests a second, by the status of their answers."),
        _panel("Errors", "percentunit", [(errors, "5xx")], "The share that was answered 500 or above."),
        _panel("Duration", "ms", _latencies("kong_request_latency_ms", selector), "From a request's first byte on."),
    ]


def _latencies(metric: str, selector: str) -> list[tuple[str, str]]:
    return [(quantile(percent, metric, selector, _WINDOW), f"p{percent}") for percent in _QUANTILES]


def _panel(title: str, unit: str, queries: Sequence[tuple[str, str]], description: str) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": SOURCE}
    return {
        "type": "timeseries",
        "title": title,
        "description": description,
        "datasource": source,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": source, "expr": expression, "legendFormat": legend}
            for index, (expression, legend) in enumerate(queries)
        ],
    }


def _laid_out(rows: Iterable[tuple[str, list[dict[str, Any]]]]) -> Iterable[dict[str, Any]]:
    """Rows and their panels with ids and places on Grafana's grid, which is 24 wide."""
    identity, y = 0, 0
    for title, panels in rows:
        identity += 1
        place = {"h": _ROW_HEIGHT, "w": _WIDTH, "x": 0, "y": y}
        yield {"type": "row", "id": identity, "title": title, "collapsed": False, "panels": [], "gridPos": place}
        y += _ROW_HEIGHT
        across = 3  # what fits beside each other and can be read
        for index, panel in enumerate(panels):
            identity += 1
            line, column = divmod(index, across)
            width = _WIDTH // min(across, len(panels) - line * across)
            place = {"h": _PANEL_HEIGHT, "w": width, "x": column * width, "y": y + line * _PANEL_HEIGHT}
            yield {**panel, "id": identity, "gridPos": place}
        y += -(-len(panels) // across) * _PANEL_HEIGHT
