"""Environment variables that policies need: of Kong, and of the services."""

from collections.abc import Mapping

from infra.config.gateway import GatewayPolicies, Tracing
from infra.config.policies import HEADERS_OF_KONG


def gateway_environment(policies: GatewayPolicies, body_buffer_mib: int | None = None) -> Mapping[str, str]:
    """Returns Kong's own settings that policies need; Kong restarts when they change.

    Args:
        policies: of the gateway.
        body_buffer_mib: size up to which plugins need a request's body; None: Kong's default of 8 KiB.
    """
    size = f"{policies.header_limit}k"
    environment = {
        # Requests: the request line and each header line; all together four times as much.
        "nginx_proxy_large_client_header_buffers": f"4 {size}",
        # Responses: all headers together. nginx requires more than two buffers of that size.
        "nginx_proxy_proxy_buffer_size": size,
        "nginx_proxy_proxy_buffers": f"8 {size}",
        "nginx_proxy_grpc_buffer_size": size,
    }
    if body_buffer_mib:
        environment["nginx_http_client_body_buffer_size"] = f"{body_buffer_mib}m"
    if removed := policies.removed_headers_of_kong:
        kept = [name for name in HEADERS_OF_KONG if name.lower() not in removed]
        environment["headers"] = ",".join(kept) or "off"
    if policies.access_log:
        environment["proxy_access_log"] = "off"  # nginx's text lines would mix with the JSON lines
    if policies.tracing:
        environment |= {
            "tracing_instrumentations": "all",
            "tracing_sampling_rate": str(policies.tracing.sampling),
        }
    return environment


def tracing_environment(tracing: Tracing | None, service: str) -> Mapping[str, str]:
    """Returns a service's variables for OpenTelemetry's SDKs, whichever language it is written in."""
    if tracing is None:
        return {}
    return {
        "OTEL_SERVICE_NAME": service,
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": tracing.url,
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
        # Kong samples; requests from elsewhere, such as probes, aren't traced.
        "OTEL_TRACES_SAMPLER": "parentbased_always_off",
    }
