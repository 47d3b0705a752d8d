from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2_grpc

from sandbox.digitalocean.provider.server import Provider
from tests.standins.digitalocean_provider.engine import TOKEN, Account, Engine


@pytest.fixture
def account() -> Iterator[Account]:
    account = Account()
    yield account
    account.stop()


@pytest.fixture
def engine(account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The provider's service under the account's token, impatient."""
    monkeypatch.setenv("KONG_DOKS_SANDBOX_POLL_SECONDS", "0.02")
    monkeypatch.setenv("DIGITALOCEAN_HTTP_RETRY_WAIT_MIN", "0.01")
    monkeypatch.setenv("DIGITALOCEAN_HTTP_RETRY_WAIT_MAX", "0.02")
    server = grpc.server(ThreadPoolExecutor(max_workers=8))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        engine = Engine(channel)
        engine.configure(apiEndpoint=account.url, token=TOKEN)
        yield engine
    server.stop(grace=None)
