"""Labels of the stack's own objects."""

SERVICE_LABEL = "kong-doks/service"
"""Label of a service's pods, by which NetworkPolicies select them. Its value is the service's name, in all versions."""


def app_labels(name: str) -> dict[str, str]:
    """Returns the label `app` of an object. Deployments and Service objects select their pods by it.

    A Deployment's selector can't change: another label would replace every Deployment.
    """
    return {"app": name}
