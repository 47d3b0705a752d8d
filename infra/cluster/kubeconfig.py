"""A kubeconfig that requests a credential from DigitalOcean at each use, so that it doesn't expire."""

from pathlib import Path

import pulumi

PYTHON = ("python3", "-I", "-c")
"""Isolated: without -I, Python imports the modules of the current directory before its own."""
_CREDENTIAL = Path(__file__).with_name("exec_credential.py")


def kubeconfig(  # noqa: PLR0913 -- a kubeconfig has that many parts
    *,
    context: str,
    cluster_id: pulumi.Input[str],
    server: pulumi.Input[str],
    certificate_authority: pulumi.Input[str],
    api_endpoint: str | None,
    stack: str | None,
) -> pulumi.Output[str]:
    """Returns the kubeconfig as JSON, which is YAML too.

    The cluster's own kubeconfig holds a token that expires after seven days. Then a plain `pulumi destroy` fails, since
    it doesn't run this program. Here a small program requests a token at each use. The kubeconfig contains its text, so
    it needs no path of this checkout and nothing to install.

    Args:
        context: the context's name, as doctl would call it.
        cluster_id: the cluster's UUID.
        server: the API server's URL.
        certificate_authority: its certificate, PEM in base64.
        api_endpoint: DigitalOcean's API where it isn't the usual one.
        stack: the stack whose configuration holds `digitalocean:token`; None: the token is in the environment.
    """
    options = [*(["--api", api_endpoint] if api_endpoint else []), *(["--stack", stack] if stack else [])]
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "interactiveMode": "Never",
        "command": PYTHON[0],
        "args": [*PYTHON[1:], _CREDENTIAL.read_text("utf-8"), cluster_id, *options],
    }
    return pulumi.Output.secret(
        pulumi.Output.json_dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": context,
                "clusters": [
                    {
                        "name": context,
                        "cluster": {"server": server, "certificate-authority-data": certificate_authority},
                    }
                ],
                "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
                "users": [{"name": context, "user": {"exec": credential}}],
            }
        )
    )
