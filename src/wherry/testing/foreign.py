"""Somebody else's cluster with `wherry controllers` beside it: processes of their own, and real pods.

The API is reached over HTTPS, as the account and with the rights that we ship. It knows no product.
"""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import yaml

from wherry.client import kubeconfig
from wherry.controller import installing
from wherry.embedded.settings import Settings
from wherry.objects import errors, kinds
from wherry.objects.requests import Object
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.waiting import eventually

NAMESPACE: Final = "wherry-system"
"""Where the controllers have their account, lease and certificate."""
_WHERRY: Final = (sys.executable, "-P", "-m", "wherry.cli", "controllers")
_LEASE: Final = ("--lease-duration", "3", "--renew-deadline", "2", "--retry-period", "0.3")
_SECONDS: Final = 120
_RBAC: Final = kinds.CLUSTER_ROLES.group


@dataclasses.dataclass
class Replica:
    """One process of `wherry controllers`.

    Attributes:
        process: The process.
        log: What it has written.
    """

    process: "subprocess.Popen[bytes]"
    log: Path

    def check(self) -> None:
        """Fail where it has ended by itself.

        Raises:
            RuntimeError: it has; the message is what it wrote.
        """
        if self.process.poll() is not None:
            raise RuntimeError(self.log.read_text())

    def kill(self) -> None:
        """End it as a machine that fails does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(_SECONDS)


@dataclasses.dataclass
class Foreign:
    """An API with a node, and no product in it.

    Attributes:
        platform: The API, the node and the administrator's client.
        access: Kubeconfig of the controllers' account, which has the shipped rights and no others.
    """

    platform: InProcessPlatform
    access: Path

    @contextlib.contextmanager
    def replica(
        self, name: str, products: str, options: Mapping[str, str] | None = None
    ) -> Iterator[Replica]:
        """Run `wherry controllers` while the block runs.

        Args:
            name: Of its log, unique.
            products: What it runs, with commas between.
            options: Further variables of its environment.
        """
        log = self.platform.directory / f"{name}.log"
        words = ["--kubeconfig", str(self.access), "--components", products, *_LEASE]
        words += ["--webhook-listen", "127.0.0.1:0", "--namespace", NAMESPACE]
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        kept["WHERRY_HOME"] = str(self.platform.directory / name)
        with log.open("wb") as file:
            process = subprocess.Popen(  # noqa: S603 - our own words
                [*_WHERRY, *words],
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                env={**kept, **(options or {})},
            )
        try:
            yield Replica(process, log)
        finally:
            process.terminate()
            process.wait(_SECONDS)

    @contextlib.contextmanager
    def replicas(
        self,
        products: str,
        options: Mapping[str, str] | None = None,
        *,
        ready: Callable[[], bool] | None = None,
    ) -> Iterator[list[Replica]]:
        """Run two replicas while the block runs, of which one leads; begin when it does.

        Args:
            products: As in `replica`.
            options: As in `replica`.
            ready: Whether one works; by default: webhooks are led to it.
        """
        works = ready or self.is_registered
        with (
            self.replica("a", products, options) as one,
            self.replica("b", products, options) as two,
        ):

            def begun() -> bool:
                one.check()
                two.check()
                return works()

            eventually(begun, _SECONDS, what="controllers that work")
            yield [one, two]

    def kubeconfig_of(self, name: str, namespace: str, role: str) -> Path:
        """Write the kubeconfig of a new account that has a ClusterRole's rights in a namespace."""
        subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
        head = {"metadata": {"name": name, "namespace": namespace}}
        reference = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role}
        _create(self.platform, {"apiVersion": "v1", "kind": "ServiceAccount", **head})
        binding = {"apiVersion": f"{_RBAC}/v1", "kind": "RoleBinding", **head}
        _create(self.platform, {**binding, "roleRef": reference, "subjects": [subject]})
        return _account(self.platform, self.access.with_name(f"{name}.kubeconfig"), name, namespace)

    def is_registered(self) -> bool:
        """Return whether the API has been led to webhooks."""
        listed = self.platform.client.list(kinds.VALIDATING_WEBHOOK_CONFIGURATIONS)
        return bool(self.platform.call(listed).items)

    def requests(self) -> list[Object]:
        """Return what the controllers have asked the API so far, as its audit log has it."""
        log = self.platform.settings.audit_log
        assert log is not None
        account = f"system:serviceaccount:{NAMESPACE}:wherry"
        events = [json.loads(line) for line in log.read_text().splitlines()]
        return [each for each in events if each["user"]["username"] == account]

    def leader(self) -> str:
        """Return who holds the lease; empty: nobody yet."""
        lease = self.platform.client.get(kinds.LEASES, "wherry-controllers", NAMESPACE)
        try:
            return str(self.platform.call(lease)["spec"].get("holderIdentity", ""))
        except errors.NotFoundError:
            return ""

    def kill_leader(self, replicas: Sequence[Replica]) -> None:
        """End the replica that leads as a machine that fails does."""
        leader = self.leader()
        next(each for each in replicas if f"_{each.process.pid}_" in leader).kill()


@contextlib.contextmanager
def cluster(directory: Path) -> Iterator[Foreign]:
    """Give an API with a node, on which the access that we ship is granted.

    Args:
        directory: For all that is kept.
    """
    settings = Settings(
        directory=directory / "platform", port=0, components=(), audit_log=directory / "audit.log"
    )
    platform = InProcessPlatform(settings)
    platform.start()
    try:
        printed = subprocess.run(  # noqa: S603 - our own words
            [*_WHERRY, "--print-access"], capture_output=True, text=True, check=True
        ).stdout
        for obj in yaml.safe_load_all(printed):
            _apply(platform, obj)
        yield Foreign(platform, _account(platform, directory / "controllers.kubeconfig"))
    finally:
        platform.stop()


def _apply(platform: InProcessPlatform, obj: Object) -> None:
    resource = kinds.by_kind(obj["apiVersion"], obj["kind"])
    assert resource is not None, f"{obj['apiVersion']} {obj['kind']}"
    platform.call(installing.ensure(platform.client, resource, obj))


def _create(platform: InProcessPlatform, obj: Object) -> None:
    resource = kinds.by_kind(obj["apiVersion"], obj["kind"])
    assert resource is not None, f"{obj['apiVersion']} {obj['kind']}"
    platform.call(platform.client.create(resource, obj))


def _account(
    platform: InProcessPlatform, path: Path, name: str = "wherry", namespace: str = NAMESPACE
) -> Path:
    """Write a kubeconfig of an account, by default the controllers', and of nothing more."""
    request: Object = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"audiences": [], "expirationSeconds": 3600},
    }
    answer = platform.call(
        platform.client.create(kinds.SERVICE_ACCOUNTS, request, subresource="token", name=name)
    )
    own = dataclasses.replace(
        platform.connection,
        client_certificate=None,
        client_key=None,
        token=answer["status"]["token"],
        namespace=namespace,
    )
    kubeconfig.write(path, kubeconfig.entry(name, own))
    return path
