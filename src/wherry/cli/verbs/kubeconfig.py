"""`wherry kubeconfig`: how other programs reach Wherry. Only ``--merge`` touches the user's own."""

import asyncio
import dataclasses
import os
from argparse import Namespace
from pathlib import Path
from typing import Any

import yaml

from wherry.cli import failures
from wherry.cli.home import Home
from wherry.client import kubeconfig
from wherry.client.client import Client
from wherry.client.connections import Connection
from wherry.client.transports.http import HttpTransport
from wherry.objects import kinds

_CONTEXT = "wherry"
_TOKEN_SECONDS = 24 * 3600


def run(options: Namespace) -> int:
    """Print a kubeconfig, write it, or merge it into the user's own."""
    home = Home.of(options.directory)
    if not home.kubeconfig.is_file():
        raise failures.CommandError(
            f"no kubeconfig in {home.directory}; `wherry up` starts Wherry and makes one"
        )
    config = _config(home, options.user)
    if options.merge:
        path = _own_file(home)
        kubeconfig.write(path, config, merge=True)
        name = config["current-context"]
        print(f"{path}: added the context {name!r} and made it the current one")
    elif options.path is not None:
        kubeconfig.write(options.path, config)
        print(f"wrote {options.path}; use it with: export KUBECONFIG={options.path.absolute()}")
    else:
        print(yaml.safe_dump(config, sort_keys=False), end="")
    return failures.SUCCESS


def _config(home: Home, user: str) -> dict[str, Any]:
    administrator = kubeconfig.load([home.kubeconfig])
    if not user:
        return kubeconfig.entry(_CONTEXT, administrator)
    namespace, slash, name = (
        user.removeprefix("system:serviceaccount:").replace(":", "/").partition("/")
    )
    if not (namespace and slash and name) or "/" in name:
        raise failures.UsageError(f"--user {user!r}: want NAMESPACE/NAME of a ServiceAccount")
    token = asyncio.run(_token(administrator, namespace, name))
    # An account's token must not travel with the administrator's certificate, which would win.
    account = dataclasses.replace(
        administrator, token=token, client_certificate=None, client_key=None, namespace=namespace
    )
    return kubeconfig.entry(f"{_CONTEXT}-{namespace}-{name}", account)


async def _token(administrator: Connection, namespace: str, name: str) -> str:
    client = Client(HttpTransport(administrator))
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"audiences": [], "expirationSeconds": _TOKEN_SECONDS},
    }
    try:
        answer = await client.create(
            kinds.SERVICE_ACCOUNTS, request, subresource="token", name=name
        )
    finally:
        await client.close()
    return str(answer["status"]["token"])


def _own_file(home: Home) -> Path:
    """Return the file that is the user's own: the first of `KUBECONFIG` that Wherry has not made."""
    listed = [Path(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    own = [path for path in listed if path.expanduser().resolve() != home.kubeconfig.resolve()]
    return own[0] if own else kubeconfig.DEFAULT.expanduser()
