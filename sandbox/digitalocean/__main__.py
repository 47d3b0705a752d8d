"""python -m sandbox.digitalocean: the API alone, on one port, without root and without a Kubernetes."""

import typer
from werkzeug.serving import make_server

from sandbox.digitalocean.account import Cloud
from sandbox.digitalocean.app import create_app
from sandbox.digitalocean.kubernetes.records import ClusterRecord, NodeRecord

TOKEN = "dop_v1_" + "0" * 64


class Nameless:
    """A cluster without machines: nothing answers at its address."""

    server = "https://127.0.0.1:1"
    ca_pem = b""
    admin_token = ""

    def stop(self) -> None: ...
    def join(self, node: NodeRecord) -> None: ...
    def drain(self, node: str) -> None: ...
    def leave(self, node: str) -> None: ...
    def mark(self, node: NodeRecord, before: NodeRecord) -> None: ...
    def lose(self, node: str) -> None: ...


def start(_record: ClusterRecord) -> Nameless:
    return Nameless()


def main(
    port: int = typer.Option(7070, help="On 127.0.0.1."),
    token: str = typer.Option(TOKEN, help="An API token with every scope."),
) -> None:
    """Serve an empty DigitalOcean account until Ctrl-C."""
    account = Cloud(token, start, real_kubernetes=False)
    try:
        server = make_server("127.0.0.1", port, create_app(account), threaded=True)
    except SystemExit:  # werkzeug has printed why
        raise typer.Exit(1) from None
    typer.echo(f"DigitalOcean's API: http://127.0.0.1:{server.port}\ntoken: {token}")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        account.stop()


if __name__ == "__main__":
    typer.run(main)
