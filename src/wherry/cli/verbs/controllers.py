"""`wherry controllers`: the products' controllers and webhooks against any Kubernetes."""

import asyncio
import logging
import os
import secrets
import signal
import socket
from argparse import Namespace
from collections.abc import Sequence

import yaml

from wherry import components
from wherry.cli import failures
from wherry.cli.home import Home
from wherry.client import kubeconfig
from wherry.client.client import Client
from wherry.client.transports.http import HttpTransport
from wherry.cluster import registration, running
from wherry.controller import surroundings
from wherry.controller.component import Component
from wherry.controller.surroundings import Surroundings

NAMESPACE = "wherry-system"


def run(options: Namespace) -> int:
    """Run controllers until interrupted, or print what they need."""
    try:
        chosen = components.named(options.components)
    except ValueError as error:
        raise failures.UsageError(f"--components: {error}") from error
    namespace = options.namespace or NAMESPACE
    if options.print_access:
        documents = registration.access(chosen, namespace)
        print(yaml.safe_dump_all(documents, sort_keys=False), end="")
        return failures.SUCCESS
    level = logging.DEBUG if options.verbose else logging.INFO
    logging.basicConfig(level=level, format="%(asctime)s %(levelname).1s %(name)s: %(message)s")
    asyncio.run(_work(options, chosen, namespace))
    return failures.SUCCESS


async def _work(options: Namespace, chosen: Sequence[Component], namespace: str) -> None:
    connection = kubeconfig.connection(options.kubeconfig, options.context)
    client = Client(HttpTransport(connection))
    settings = running.Settings(
        namespace=namespace,
        identity=f"{socket.gethostname()}_{os.getpid()}_{secrets.token_hex(4)}",
        leader_election=options.leader_election,
        webhooks=_webhooks(options),
        lease=(options.lease_duration, options.renew_deadline, options.retry_period),
        surroundings=Surroundings(
            home=Home.of(None).directory / "products",
            options=surroundings.options_of(os.environ),
        ),
    )
    try:
        settings.election()
    except ValueError as error:
        raise failures.UsageError(str(error)) from error
    print(f"controllers of {', '.join(each.name for each in chosen)} at {connection.server}")
    work = asyncio.ensure_future(running.run(client, chosen, settings))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        if not work.cancelled():
            raise
    finally:
        await client.close()


def _webhooks(options: Namespace) -> running.WebhookSettings | None:
    if not options.webhooks:
        return None
    if options.webhook_url and not options.webhook_url.startswith("https://"):
        raise failures.UsageError(
            f"--webhook-url {options.webhook_url!r}: want https://HOST[:PORT]"
        )
    if options.webhook_service and options.webhook_service.count("/") != 1:
        raise failures.UsageError(f"--webhook-service {options.webhook_service!r}: want NS/NAME")
    host, colon, port = options.webhook_listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise failures.UsageError(f"--webhook-listen {options.webhook_listen!r}: want HOST:PORT")
    return running.WebhookSettings(
        host=host.strip("[]"),
        port=int(port),
        url=options.webhook_url,
        service=options.webhook_service,
    )
