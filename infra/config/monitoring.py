"""Whether the gateway is watched, and how long what is seen is kept."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from infra.config.types import Model


class Monitoring(Model):
    """Prometheus with the gateway's metrics, and Grafana with a dashboard of them."""

    retention: str = Field(
        "7d", pattern=r"^[1-9][0-9]*[hdw]$", description="hours, days or weeks, such as 12h, 7d or 2w", examples=["7d"]
    )
    grafana: bool = Field(True, description="true or false", examples=[True])


def _switch(value: Any) -> Any:  # noqa: ANN401 -- what stands in the file
    """`true` is all of it as it comes, `false` nothing."""
    return {True: {}, False: None}[value] if isinstance(value, bool) else value


MonitoringSwitch = Annotated[Monitoring | None, BeforeValidator(_switch)]
