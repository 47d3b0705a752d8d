"""What Prometheus raises an alert for. Who hears of it is whom an Alertmanager or Grafana is told to tell."""

from typing import Any

from infra.monitoring.dashboard import quantile, share_of_errors

_EVERY = 'route=~".+"'
_WINDOW = "5m"


def rules() -> dict[str, Any]:
    """A rule file of Prometheus."""
    errors = share_of_errors(_EVERY, _WINDOW, by=" by (service) ")
    slow = quantile(95, "kong_request_latency_ms", _EVERY, _WINDOW, by="le, service")
    return {
        "groups": [
            {
                "name": "gateway",
                "rules": [
                    _rule("GatewayDown", '(sum(up{job="kong"}) or vector(0)) == 0', "2m", "no pod of Kong answers"),
                    _rule("GatewayErrors", f"{errors} > 0.05", "5m", "{{ $labels.service }}: over 5 % answered 5xx"),
                    _rule("GatewaySlow", f"{slow} > 1000", "10m", "{{ $labels.service }}: 5 % take over a second"),
                ],
            }
        ]
    }


def _rule(name: str, expression: str, holds_for: str, summary: str) -> dict[str, Any]:
    return {"alert": name, "expr": expression, "for": holds_for, "annotations": {"summary": summary}}
