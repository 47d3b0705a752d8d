"""Commands of the documentation, typed as the pages show them, on the running stack."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from infra.config import versions
from tests.e2e.configured import Configured, configured
from tests.e2e.pages import Guide
from tests.e2e.stack import Stack, nothing_is_billed
from tests.support import eventually

LEFT = "RateLimit-Remaining"
AUTH = yaml.safe_load(Guide("how-to/authenticate-clients.md").shown("yaml")[0])["config"]


class Reader:
    """Types a page's commands into a shell in the project's folder, and edits the stack file."""

    def __init__(self, stack: Stack, changed: Configured) -> None:
        self.stack = stack
        self.changed = changed
        self.types = stack.types

    def writes(self, stack_file: dict[str, Any]) -> None:
        for key, value in stack_file.items():
            self.changed.set(key, value)

    def is_answered(self, request: str) -> None:
        """Repeats a request that ends in curl until Kong has received the new configuration."""
        eventually(lambda: "HTTP/1.1 200 OK" in self.types(request))


@pytest.fixture
def reader(stack: Stack) -> Iterator[Reader]:
    # The tests that follow configure the stack themselves, or destroy it.
    with configured(stack, restored=False) as changed:
        yield Reader(stack, changed)


@pytest.mark.last(1)
def test_the_guide_to_authentication_works_as_typed(reader: Reader) -> None:
    with Guide("how-to/authenticate-clients.md") as guide:
        reader.writes(AUTH)
        reader.types(guide.commands())
        assert (reader.stack.folder / "alice.secret").stat().st_mode & 0o077 == 0
        eventually(lambda: reader.stack.get("/foo").status_code == 401)
        request = guide.commands()
        reader.is_answered(request)

        public_key = reader.types(guide.commands())
        alice = {"name": "alice", "groups": ["team-a"], "jwt": {"algorithm": "ES256", "publicKey": public_key}}
        reader.writes({"consumers": [alice]})
        reader.types("pulumi up")
        (shown,) = re.findall(r'`(open\("alice\.pem"\).*)`', guide.section("Tokens with a key pair"))
        reader.is_answered(request.replace('open("alice.secret").read().strip(), "HS256"', shown))

        services = [service | ({"auth": "key-auth"} if "auth" in service else {}) for service in AUTH["services"]]
        reader.writes({"services": services, "consumers": [{"name": "alice", "groups": ["team-a"]}]})
        reader.types(guide.commands())
        reader.is_answered(guide.commands())


@pytest.mark.last(1)
def test_the_guide_to_the_page_works_as_typed_and_the_page_shows_which_service_fails(reader: Reader) -> None:
    with Guide("how-to/show-a-page.md") as guide:
        reader.writes(yaml.safe_load(guide.shown("yaml")[0]))
        printed = reader.types(guide.commands())
    (shown,) = re.findall(r"<!DOCTYPE html>.*</html>", printed, re.DOTALL)
    assert re.findall(r'<th scope="row">(.*?)</th>', shown) == ["foo", "bar"]
    assert '<a href="/foo">/foo</a>' in shown
    assert f"<dt>Kong</dt><dd>{versions.KONG}</dd>" in shown

    def health() -> list[str]:
        return re.findall(r'<span class="\w+">(.*?)</span>', reader.changed.get("/").text)

    eventually(lambda: health() == ["healthy", "healthy"])
    scale = ("kubectl", "scale", "deployment", "bar-deployment")
    reader.stack.run(*scale, "--replicas=0")
    try:
        eventually(lambda: health() == ["healthy", "no answer"])
    finally:
        reader.stack.run(*scale, "--replicas=1")
    assert reader.changed.get("/no-such-path").json()["message"] == "no Route matched with those values"


@pytest.mark.soak
@pytest.mark.last(5)
def test_the_tutorial_of_digitalocean_works_as_typed_from_an_empty_account_to_an_empty_account(stack: Stack) -> None:
    stack.pulumi("destroy", "--yes", "--skip-preview")
    nothing_is_billed()
    with (
        Guide("tutorials/first-gateway-on-digitalocean.md") as tutorial,
        Guide("how-to/recover-from-a-failure.md") as recovering,
        Guide("how-to/leave-without-a-bill.md") as leaving,
    ):
        assert tutorial.commands("git clone", "export DIGITALOCEAN_TOKEN") == ""
        assert (
            tutorial.commands("export PULUMI_CONFIG_PASSPHRASE", "pulumi login", "pulumi stack init", "pulumi install")
            == ""
        )
        assert "$24.00" in stack.types(tutorial.commands())
        stack.types(tutorial.commands())
        (stack.folder / "kubeconfig").write_text(stack.output("kubeconfig"))
        answers = tutorial.commands()
        eventually(lambda: "Hello from the bar microservice" in stack.types(answers))
        printed = stack.types(answers)
        assert "HTTP/1.1 404 Not Found" in printed
        assert '{"msg":"Hello from the foo microservice"}' in printed
        assert '{"msg":"Hello from the bar microservice"}' in printed
        assert "service/kong-proxy" in stack.types(tutorial.commands())

        (entry,) = yaml.safe_load(tutorial.shown("yaml", "7. Protect a service")[0])
        changed = Configured(stack)
        before = changed.file.read_text()
        changed.set("services", [entry, {"name": "bar", "path": "/bar", "build": "apps/bar"}])
        stack.types("pulumi up")
        changed.file.write_text(before)
        stack.address = stack.output("proxy_ip")
        eventually(lambda: LEFT in stack.get("/foo").headers)
        if time.time() % 60 > 40:  # the requests belong into one minute
            time.sleep(60 - time.time() % 60)
        left = int(stack.get("/foo").headers[LEFT])
        assert [stack.get("/foo").status_code for _ in range(left + 1)] == [200] * left + [429]

        printed = stack.types(recovering.commands())
        assert "ready" in printed
        assert "gunicorn" in printed

        assert "nothing is billed" in stack.types(tutorial.commands())
        assert "nothing is billed" in stack.types(recovering.commands("pulumi cancel"))
        assert "nothing is billed" in stack.types(leaving.commands())
    nothing_is_billed()
