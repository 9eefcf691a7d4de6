"""What every namespace is given: its `default` ServiceAccount and the authority's certificate.

Source: serviceaccounts and root-ca-cert-publisher controllers of Kubernetes. Both come back when
somebody deletes them, and the certificate is put right when somebody edits it.
"""

from collections.abc import Iterable

from wherry.builtin.settings import BuiltinSettings
from wherry.controller.controller import Controller, Watch
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object

ROOT_CERTIFICATE = "kube-root-ca.crt"


class ServiceAccountReconciler:
    """Keeps a namespace's service accounts and root certificate."""

    def __init__(self, manager: Manager, settings: BuiltinSettings) -> None:
        self._client = manager.client
        self._settings = settings
        self._namespaces = manager.cache(kinds.NAMESPACES)
        self._accounts = manager.cache(kinds.SERVICE_ACCOUNTS)
        self._config_maps = manager.cache(kinds.CONFIG_MAPS)

    async def reconcile(self, request: Request) -> Result | None:
        """Create what is missing in the namespace, mend what was changed.

        Raises:
            ForbiddenError: something other than the namespace's end forbids it.
        """
        namespace = self._namespaces.get("", request.name)
        if namespace is None or metadata.is_deleting(namespace):
            return None
        try:
            for name in self._settings.service_account_names:
                if self._accounts.get(request.name, name) is None:
                    await self._create_account(request.name, name)
            await self._keep_certificate(request.name)
        except errors.ForbiddenError:
            # It began to terminate since the cache was read: nothing is owed to it any more.
            current = await self._client.get(kinds.NAMESPACES, request.name)
            if not metadata.is_deleting(current):
                raise
        except errors.AlreadyExistsError:
            return None
        return None

    async def _create_account(self, namespace: str, name: str) -> None:
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": namespace},
        }
        await self._client.create(kinds.SERVICE_ACCOUNTS, account)

    async def _keep_certificate(self, namespace: str) -> None:
        data = {"ca.crt": self._settings.certificate_authority}
        present = self._config_maps.get(namespace, ROOT_CERTIFICATE)
        if present is None:
            wanted: Object = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": ROOT_CERTIFICATE, "namespace": namespace},
                "data": data,
            }
            await self._client.create(kinds.CONFIG_MAPS, wanted)
        elif present.get("data") != data:
            await self._client.update(kinds.CONFIG_MAPS, {**present, "data": data})


def controller(manager: Manager, settings: BuiltinSettings) -> Controller:
    """Return the controller of service accounts and root certificates."""

    def account(obj: Object) -> Iterable[Request]:
        if metadata.name(obj) in settings.service_account_names:
            yield Request("", metadata.namespace(obj))

    def certificate(obj: Object) -> Iterable[Request]:
        if metadata.name(obj) == ROOT_CERTIFICATE:
            yield Request("", metadata.namespace(obj))

    return Controller(
        "serviceaccount",
        kinds.NAMESPACES,
        ServiceAccountReconciler(manager, settings),
        watches=(Watch(kinds.SERVICE_ACCOUNTS, account), Watch(kinds.CONFIG_MAPS, certificate)),
        workers=2,
    )
