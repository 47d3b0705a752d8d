"""Commands of the documentation, typed as the pages show them, on the running stack."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from sandbox.host.paths import PROJECT
from tests.e2e.configured import Configured, configured
from tests.e2e.pages import blocks, section
from tests.e2e.stack import Stack, eventually, stack_file

# Tests after these destroy the stack, so nobody has to wait until it is restored.
pytestmark = pytest.mark.last(1)


class Reader:
    """Types a page's commands into a shell in the project's folder, and edits the stack file."""

    def __init__(self, stack: Stack, changed: Configured) -> None:
        self.stack = stack
        self.changed = changed

    def types(self, commands: str) -> str:
        return self.stack.run("bash", "-euo", "pipefail", "-c", commands).stdout

    def writes(self, stack_file: dict[str, Any]) -> None:
        for key, value in stack_file.items():
            self.changed.set(key, value)


@pytest.fixture
def reader(stack: Stack) -> Iterator[Reader]:
    virtual_environment = stack.folder / ".venv"
    virtual_environment.symlink_to(PROJECT / ".venv")
    variables = {"PULUMI_SKIP_CONFIRMATIONS": "true", "PULUMI_STACK": stack.name}
    stack.environment |= variables
    try:
        with configured(stack) as changed:
            yield Reader(stack, changed)
    finally:
        virtual_environment.unlink()
        for name in variables:
            del stack.environment[name]


GUIDE = "how-to/authenticate-clients.md"
AUTH = yaml.safe_load(blocks((PROJECT / "docs" / GUIDE).read_text(), "yaml")[0])["config"]


def answered(reader: Reader, request: str) -> None:
    """Repeats a request that ends in curl until Kong has received the new configuration."""
    eventually(lambda: "HTTP/1.1 200 OK" in reader.types(request))


def test_the_guide_to_authentication_works_as_typed(reader: Reader) -> None:
    reader.writes(AUTH)
    make_secret, request = blocks(section(GUIDE, "Tokens with a shared secret"), "sh")
    reader.types(make_secret)
    assert (reader.stack.folder / "alice.secret").stat().st_mode & 0o077 == 0
    assert reader.stack.get("/foo").status_code == 401
    answered(reader, request)

    (make_keys,) = blocks(section(GUIDE, "Tokens with a key pair"), "sh")
    public_key = reader.types(make_keys)
    alice = {"name": "alice", "groups": ["team-a"], "jwt": {"algorithm": "ES256", "publicKey": public_key}}
    reader.writes({"consumers": [alice]})
    reader.types("pulumi up")
    (shown,) = re.findall(r'`(open\("alice\.pem"\).*)`', section(GUIDE, "Tokens with a key pair"))
    answered(reader, request.replace('open("alice.secret").read().strip(), "HS256"', shown))

    services = [service | ({"auth": "key-auth"} if "auth" in service else {}) for service in AUTH["services"]]
    reader.writes({"services": services, "consumers": [{"name": "alice", "groups": ["team-a"]}]})
    make_key, request = blocks(section(GUIDE, "API keys"), "sh")
    reader.types(make_key)
    answered(reader, request)


def test_the_tutorial_of_the_sandbox_works_as_typed(reader: Reader) -> None:
    text = section("tutorials/offline-in-the-sandbox.md", "3. Change something")
    (entry,) = yaml.safe_load(blocks(text, "yaml")[0])
    before = stack_file(reader.changed.file)["config"]["services"]
    reader.writes({"services": [*before, entry]})
    commands, _ = blocks(text, "sh")  # the second one brings up another stack
    copy, _, rest = commands.partition("\n")
    reader.types(copy)
    app = reader.stack.folder / "apps" / "hello" / "app.py"
    app.write_text(app.read_text().replace('"/foo"', '"/hello"'))
    # The requests belong into one window of the limit, after Kong has received the route.
    up, _, requests = rest.partition("\n")
    reader.types(up)
    time.sleep(4 if time.time() % 60 < 40 else 64 - time.time() % 60)
    assert reader.types(requests.replace("127.77.0.10", reader.stack.address)).split() == ["200"] * 5 + ["429"]


def test_the_tutorial_of_digitalocean_works_as_typed_on_the_sandbox(reader: Reader) -> None:
    page = "tutorials/first-gateway-on-digitalocean.md"
    steps = re.findall(r"^## (.+)$", (PROJECT / "docs" / page).read_text(), re.MULTILINE)
    typed = {}
    for step in steps[2:6]:
        (commands,) = blocks(section(page, step), "sh")
        typed[step] = reader.types(commands)
    assert "$24.00" in typed["3. Check before it costs anything"]
    assert "unchanged" in typed["4. Create everything"]
    answers = typed["5. Call the gateway"]
    assert "HTTP/1.1 404 Not Found" in answers
    assert '{"msg":"Hello from the foo microservice"}' in answers
    assert '{"msg":"Hello from the bar microservice"}' in answers
    assert "service/kong-proxy" in typed["6. Look inside"]
    (reader.stack.folder / "kubeconfig.json").unlink()
