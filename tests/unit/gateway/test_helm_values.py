"""Values of Kong's chart that nothing in the sandbox shows: the stand-in isn't Kong's image."""

from tests.unit.conftest import Recording


def test_kong_runs_as_the_user_of_its_image(dev: Recording) -> None:
    values = dev.one("Release", "kong").inputs["values"]
    context = values["containerSecurityContext"]
    # /usr/local/kong belongs to the user kong, 1000 (Kong's Dockerfile).
    assert (context["runAsUser"], context["runAsNonRoot"]) == (1000, True)
    assert (context["allowPrivilegeEscalation"], context["capabilities"]) == (False, {"drop": ["ALL"]})
    assert (values["admin"]["enabled"], values["manager"]["enabled"]) == (False, False)
