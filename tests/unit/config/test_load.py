"""Keys belong to the project's own namespace, whatever the project is called."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.config.errors import InvalidConfigError
from infra.config.load import load
from infra.config.stack_file import stack_file
from tests.unit.conftest import Recording

PROVIDER_SECRETS = ("digitalocean:token", "digitalocean:spacesSecretKey", "docker-build:registries")
CONFIGURATIONS = {
    f"{key} in clear": {"stack": "dev", "config": {key: "planted-" + "token"}} for key in PROVIDER_SECRETS
}


def refused(config: dict[str, str], project: str) -> list[str]:
    with pytest.raises(InvalidConfigError) as error:
        load(config, [], project)
    return error.value.lines


def test_a_renamed_project_reads_its_own_namespace() -> None:
    assert load({"shop-gateway:nodeCount": "3"}, [], "shop-gateway").node_count == 3


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "Infinity"])
def test_nan_and_infinity_are_refused(number: str) -> None:
    service = f'{{"name": "foo", "path": "/foo", "image": "a:1", "plugins": {{"cors": {{"max_age": {number}}}}}}}'
    (line,) = refused({"shop:services": f"[{service}]"}, "shop")
    assert "a list of services" in line


def test_json_that_is_too_deep_to_parse_is_reported_in_one_line() -> None:
    (line,) = refused({"shop:services": "[" * 100_000}, "shop")
    assert line.startswith("shop:services: ")
    assert len(line) < 500


def test_a_key_of_another_namespace_is_an_error_that_names_the_right_one() -> None:
    config = {"kong-doks:nodeCount": "3", "shop-gateway:clusterName": "prod"}
    (line,) = refused(config, "shop-gateway")
    key, _, text = line.partition(": ")
    assert key == "kong-doks:nodeCount"
    assert text.startswith("is in an unknown namespace; allowed: shop-gateway (this project's own), digitalocean, ")
    assert text.endswith("; fix: write shop-gateway:nodeCount")


def test_an_error_has_the_renamed_projects_namespace() -> None:
    (line,) = refused({"shop-gateway:nodeCount": "0"}, "shop-gateway")
    assert line.startswith('shop-gateway:nodeCount: "0" is not allowed; ')


@pytest.mark.parametrize("key", ["digitalocean:token", "kubernetes:context", "docker-build:host", "pulumi:tags"])
def test_provider_keys_are_ignored(key: str) -> None:
    assert load({key: "value"}, [], "kong-doks").node_count == 1


@pytest.mark.parametrize(
    ("key", "value", "path"),
    [
        ("consumers", '[{"name": "alice", "apiKey": "planted-key-of-20-ch"}]', "consumers[0].apiKey"),
        (
            "registry",
            '{"kind": "other", "server": "ghcr.io/u", "username": "u", "password": "planted"}',
            "registry.password",
        ),
    ],
)
def test_a_secret_must_be_encrypted(key: str, value: str, path: str) -> None:
    (line,) = refused({f"shop:{key}": value}, "shop")
    assert line.startswith(f"shop:{path}: ")
    assert line.endswith(f"fix: pulumi config set --secret --path 'shop:{path}'")
    assert "planted" not in line
    assert load({f"shop:{key}": value}, [f"shop:{key}"], "shop")


def test_sections_below_a_secret_key_are_secret() -> None:
    services = '[{"name": "foo", "path": "/foo", "image": "a:1"}]'
    settings = load({"shop:services": services, "shop:gateway": "{}"}, ["shop:services"], "shop")
    assert [service.is_secret for service in settings.services] == [True]
    assert not settings.gateway.is_secret


CLEAR, ENCRYPTED = "planted-key-of-20-ch", {"secure": "v1:planted"}


def _consumers(*keys: object) -> list[dict[str, object]]:
    return [{"name": f"consumer-{number}", "apiKey": key} for number, key in enumerate(keys)]


@pytest.mark.parametrize("key", ["shop:consumers", "consumers"])
@pytest.mark.parametrize(
    ("written", "in_clear"),
    [
        (_consumers(ENCRYPTED, ENCRYPTED), []),
        (_consumers(ENCRYPTED, f"{CLEAR}-1"), [1]),
        (_consumers(f"{CLEAR}-0", ENCRYPTED), [0]),
        (_consumers(f"{CLEAR}-0", f"{CLEAR}-1"), [0, 1]),
        # The configuration came from elsewhere: an environment, --config-file.
        (_consumers("another", "another"), []),
        (None, []),
        ("text", []),
    ],
)
def test_every_plain_text_secret_is_refused(key: str, written: object, in_clear: list[int]) -> None:
    config = {"shop:consumers": json.dumps(_consumers(f"{CLEAR}-0", f"{CLEAR}-1"))}
    lines: list[str] = []
    try:
        load(config, list(config), "shop", {key: written})
    except InvalidConfigError as error:
        lines = [*error.lines]
    assert [line.partition(": ")[0] for line in lines] == [f"shop:consumers[{index}].apiKey" for index in in_clear]
    assert all("is in clear in the stack's file" in line and CLEAR not in line for line in lines)


_FILE = f"""\
config:
  shop:consumers:
    - name: consumer-0
      apiKey: {{secure: "v1:planted"}}
    - name: consumer-1
      apiKey: {CLEAR}-1
  shop:email: it
"""


@pytest.mark.parametrize(
    "file",
    [
        _FILE.encode(),
        f"{_FILE}---\nanother: document\n".encode(),
        f"{_FILE}---\n".encode(),
        _FILE.encode("utf-16"),
        _FILE.encode("utf-8-sig"),
        _FILE.replace(f"{CLEAR}-1", f"!own {CLEAR}-1").encode(),
        _FILE.replace(f"{CLEAR}-1", f"!!binary {base64.b64encode(f'{CLEAR}-1'.encode()).decode()}").encode(),
        *(_FILE.replace("email: it", f"email: {text}").encode() for text in ("=", "<<", "2024-13-45")),
    ],
)
def test_a_plain_text_secret_is_refused_in_every_file_that_pulumi_reads(tmp_path: Path, file: bytes) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_bytes(file)
    config = {"shop:consumers": json.dumps(_consumers(f"{CLEAR}-0", f"{CLEAR}-1"))}
    with pytest.raises(InvalidConfigError) as refused:
        load(config, list(config), "shop", stack_file(tmp_path, "dev", {}))
    (line,) = refused.value.lines
    assert line.startswith("shop:consumers[1].apiKey: is in clear in the stack's file; ")


@pytest.mark.parametrize("file", [_FILE.replace(f"apiKey: {CLEAR}", f"apiKey:\t{CLEAR}"), f"{'[' * 100_000}{CLEAR}"])
def test_a_file_that_only_pulumi_can_read_is_refused_without_its_secrets(tmp_path: Path, file: str) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text(file)
    with pytest.raises(
        InvalidConfigError, match=r"^Pulumi\.dev\.yaml: .*can't be seen; allowed: .*; fix: write "
    ) as error:
        stack_file(tmp_path, "dev", {})
    (line,) = error.value.lines
    assert CLEAR not in line
    assert "\n" not in line


@pytest.mark.parametrize("number", ["0755", "010", "-07", "0_17", "00"])
def test_a_number_that_yaml_reads_as_octal_is_refused(tmp_path: Path, number: str) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text(
        "config:\n  shop:services:\n"
        f"  - {{name: foo, path: /foo, image: user/foo:1, port: {number}, env: {{MODE: {number}}}}}\n"
        f"  nodeCount: {number}\n  other:key: {number}\n"
    )
    read = int(number.replace("_", ""), 8)
    service = {"name": "foo", "path": "/foo", "image": "user/foo:1", "port": read, "env": {"MODE": read}}
    config = {"shop:services": json.dumps([service]), "shop:nodeCount": str(read)}
    with pytest.raises(InvalidConfigError) as refused:
        load(config, [], "shop", stack_file(tmp_path, "dev", {}))
    assert refused.value.lines == [
        f"shop:{key}: has a leading zero, so YAML reads it as octal; allowed: a number without a leading zero; "
        "fix: leave the zero out, or quote a text"
        for key in ("services[0].port", "services[0].env.MODE", "nodeCount")
    ]


def test_other_forms_of_numbers_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {shop:nodeCount: 0x2, shop:nodeSize: '0755', shop:protect: 0}\n")
    assert load({"shop:nodeCount": "2"}, [], "shop", stack_file(tmp_path, "dev", {})).node_count == 2


def test_a_password_beside_another_encrypted_value_is_refused() -> None:
    registry = {"kind": "other", "server": "ghcr.io/user", "username": "user", "password": CLEAR}
    written = {"shop:registry": registry | {"username": ENCRYPTED}}
    with pytest.raises(InvalidConfigError) as refused:
        load({"shop:registry": json.dumps(registry)}, ["shop:registry"], "shop", written)
    (line,) = refused.value.lines
    assert line.startswith("shop:registry.password: is in clear")


@pytest.mark.parametrize("key", PROVIDER_SECRETS)
def test_a_plain_text_secret_of_a_provider_is_refused_before_any_call(
    run: Callable[[str], Recording], key: str
) -> None:
    recording = run(f"{key} in clear")
    (error,) = recording.errors
    assert error.startswith(f"{key}: is in clear in the stack's file; ")
    assert "planted-token" not in error
    assert (recording.invoked, recording.resources) == ([], [])
