"""Tokens that lie in Secrets: filled in, given to accounts that should have one, and taken back.

A Secret of type `kubernetes.io/service-account-token` that names an account is given the authority's
certificate, its namespace and a token; one whose account is gone is deleted. Source: the tokens
controller of Kubernetes. As Kubernetes did before 1.24, accounts can be given such a Secret without
asking: guides that read `kubectl get sa NAME -o yaml` still look for its name there.
"""

import base64
import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, Final

from wherry.controller.controller import Controller, Watch
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.objects import errors, kinds, metadata, names
from wherry.objects.requests import Object

TYPE: Final = "kubernetes.io/service-account-token"
ACCOUNT_NAME: Final = "kubernetes.io/service-account.name"
ACCOUNT_UID: Final = "kubernetes.io/service-account.uid"
WANTED: Final = "wherry.dev/token-secret"
"""Annotation of a ServiceAccount: ``"true"`` gives it a Secret, ``"false"`` gives it none."""

_BY_ACCOUNT: Final = "service-account"
_LONGEST_PREFIX = 240
_ATTEMPTS = 8

Issue = Callable[[str, str, str, str], str]
"""(namespace, account's name, account's uid, Secret's name) → a token for that Secret."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenSecretSettings:
    """How Secrets are filled and who is given one.

    Attributes:
        issue: Makes tokens.
        certificate_authority: PEM of the API server's authority.
        given_to: Names of accounts that are given a Secret in every namespace without asking.
    """

    issue: Issue
    certificate_authority: str
    given_to: tuple[str, ...] = ()


class SecretReconciler:
    """Fills Secrets, and deletes those whose account is gone."""

    def __init__(self, manager: Manager, settings: TokenSecretSettings) -> None:
        self._client = manager.client
        self._settings = settings
        self._secrets = manager.cache(kinds.SECRETS)

    async def reconcile(self, request: Request) -> Result | None:
        """Fill one Secret, or delete it."""
        secret = self._secrets.get(request.namespace, request.name)
        if secret is None or metadata.is_deleting(secret) or not account_of(secret):
            return None
        try:
            # Asked, not read from the cache: what is deleted by mistake does not come back.
            account = await self._client.get(
                kinds.SERVICE_ACCOUNTS, account_of(secret), request.namespace
            )
        except errors.NotFoundError:
            await self._delete(secret)
            return None
        known = metadata.annotations(secret).get(ACCOUNT_UID, "")
        if known and known != metadata.uid(account):
            await self._delete(secret)
            return None
        wanted = self._filled(secret, account)
        if wanted != secret:
            await self._client.update(kinds.SECRETS, wanted)
        return None

    async def _delete(self, secret: Object) -> None:
        namespace, name = metadata.namespaced_name(secret)
        try:
            await self._client.delete(kinds.SECRETS, name, namespace, uid=metadata.uid(secret))
        except errors.NotFoundError:
            return

    def _filled(self, secret: Object, account: Object) -> Object:
        namespace, name = metadata.namespaced_name(secret)
        data: dict[str, Any] = dict(secret.get("data") or {})
        data["ca.crt"] = _encoded(self._settings.certificate_authority)
        data["namespace"] = _encoded(namespace)
        if not data.get("token"):
            place = (namespace, metadata.name(account), metadata.uid(account), name)
            data["token"] = _encoded(self._settings.issue(*place))
        annotations = {**metadata.annotations(secret), ACCOUNT_UID: metadata.uid(account)}
        return {
            **secret,
            "metadata": {**secret["metadata"], "annotations": annotations},
            "data": data,
        }


class AccountReconciler:
    """Gives accounts the Secret that they should have, and lists it in them."""

    def __init__(self, manager: Manager, settings: TokenSecretSettings) -> None:
        self._client = manager.client
        self._given_to = settings.given_to
        self._accounts = manager.cache(kinds.SERVICE_ACCOUNTS)
        self._secrets = manager.cache(kinds.SECRETS)
        self._namespaces = manager.cache(kinds.NAMESPACES)

    async def reconcile(self, request: Request) -> Result | None:
        """Bring one account's Secret and its list of Secrets up to date."""
        account = self._accounts.get(request.namespace, request.name)
        namespace = self._namespaces.get("", request.namespace)
        if account is None or metadata.is_deleting(account):
            return None
        if namespace is None or metadata.is_deleting(namespace):
            return None
        listed = [each for each in account.get("secrets") or () if self._is_there(account, each)]
        if self._wants(account) and not self._has_token(account, listed):
            try:
                listed.append({"name": await self._secret(account)})
            except errors.ForbiddenError:
                # The namespace began to terminate since the cache was read.
                return None
        if listed != (account.get("secrets") or []):
            await self._client.update(kinds.SERVICE_ACCOUNTS, {**account, "secrets": listed})
        return None

    def _wants(self, account: Object) -> bool:
        asked = metadata.annotations(account).get(WANTED)
        return asked == "true" or (asked != "false" and metadata.name(account) in self._given_to)

    def _is_there(self, account: Object, reference: dict[str, Any]) -> bool:
        name = str(reference.get("name", ""))
        ours = name.startswith(_prefix(account))
        return not ours or self._secrets.get(metadata.namespace(account), name) is not None

    def _has_token(self, account: Object, listed: Iterable[dict[str, Any]]) -> bool:
        for reference in listed:
            secret = self._secrets.get(metadata.namespace(account), str(reference.get("name", "")))
            if secret is not None and account_of(secret) == metadata.name(account):
                return True
        return False

    async def _secret(self, account: Object) -> str:
        """Return the name of a Secret for the account, one that is there or a new one."""
        for attempt in range(_ATTEMPTS):
            # The same name each time: whoever is cut off after creating it finds it again.
            suffix = names.suffix(f"{metadata.uid(account)}/{attempt}")
            name = f"{_prefix(account)}{suffix}"
            present = self._secrets.get(metadata.namespace(account), name)
            if present is None:
                try:
                    await self._client.create(kinds.SECRETS, _new_secret(account, name))
                except errors.AlreadyExistsError:
                    continue
                return name
            if account_of(present) == metadata.name(account) and not metadata.is_deleting(present):
                return name
        raise errors.AlreadyExistsError(
            f"all names for a token Secret of {metadata.name(account)} are taken"
        )


def account_of(secret: Object) -> str:
    """Return the name of the account that a token Secret is for; empty for other Secrets."""
    if secret.get("type") != TYPE:
        return ""
    return metadata.annotations(secret).get(ACCOUNT_NAME, "")


def _prefix(account: Object) -> str:
    return f"{metadata.name(account)[:_LONGEST_PREFIX].rstrip('.-')}-token-"


def _new_secret(account: Object, name: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": metadata.namespace(account),
            "annotations": {
                ACCOUNT_NAME: metadata.name(account),
                ACCOUNT_UID: metadata.uid(account),
            },
        },
        "type": TYPE,
    }


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def controllers(manager: Manager, settings: TokenSecretSettings) -> list[Controller]:
    """Return the controllers of token Secrets and of the accounts that are given one."""
    secrets = manager.cache(kinds.SECRETS)
    secrets.add_index(_BY_ACCOUNT, _index)

    def of_account(account: Object) -> Iterable[Request]:
        namespace, name = metadata.namespaced_name(account)
        for secret in secrets.by_index(_BY_ACCOUNT, f"{namespace}/{name}"):
            yield Request(namespace, metadata.name(secret))

    def account(secret: Object) -> Iterable[Request]:
        if name := account_of(secret):
            yield Request(metadata.namespace(secret), name)

    return [
        Controller(
            "serviceaccount-token-secret",
            kinds.SECRETS,
            SecretReconciler(manager, settings),
            watches=(Watch(kinds.SERVICE_ACCOUNTS, of_account),),
            workers=2,
        ),
        Controller(
            "serviceaccount-token",
            kinds.SERVICE_ACCOUNTS,
            AccountReconciler(manager, settings),
            watches=(Watch(kinds.SECRETS, account),),
            workers=2,
        ),
    ]


def _index(secret: Object) -> Iterable[str]:
    if name := account_of(secret):
        yield f"{metadata.namespace(secret)}/{name}"
