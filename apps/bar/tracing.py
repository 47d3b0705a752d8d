"""Continues the gateway's traces where OTEL_EXPORTER_OTLP_TRACES_ENDPOINT names a collector. Gunicorn reads this."""

import os
from typing import Any


def post_worker_init(worker: Any) -> None:  # noqa: ANN401 -- Gunicorn has no types
    """In the worker: a thread sends the spans, and no thread survives a fork. Untraced, nothing of this is loaded."""
    if not os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        return
    # ruff: noqa: PLC0415 -- see above
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    FlaskInstrumentor().instrument_app(worker.app.wsgi())
