"""The metrics that autoscalers read."""
