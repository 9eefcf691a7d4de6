"""TokenRequest: new tokens of a service account, for a while and bound to what they are used by.

Source: `pkg/registry/core/serviceaccount/storage/token.go` of Kubernetes.
"""

import datetime
from collections.abc import Callable, Mapping
from typing import Any

from wherry.apiserver.authentication import Accounts
from wherry.apiserver.identity import User
from wherry.apiserver.tokens import (
    BINDABLE,
    MAXIMUM_LIFETIME_SECONDS,
    MINIMUM_LIFETIME_SECONDS,
    Bound,
    Reference,
    TokenSigner,
)
from wherry.objects import errors, kinds, metadata
from wherry.objects.errors import Cause
from wherry.objects.requests import Object

KEY = "serviceaccounts/token"
"""By which the registry finds who answers."""

_DEFAULT_LIFETIME_SECONDS = 3600
_MOST_AUDIENCES = 16
_LONGEST_AUDIENCE = 256
_RESOURCES = {"Pod": kinds.PODS, "Secret": kinds.SECRETS, "Node": kinds.NODES}


class TokenRequest:
    """Answers the creation of `serviceaccounts/token`."""

    def __init__(
        self, signer: TokenSigner, accounts: Accounts, now: Callable[[], datetime.datetime]
    ) -> None:
        """Take what is needed to issue tokens.

        Args:
            signer: Signs them.
            accounts: Finds what they are bound to.
            now: Current time, aware.
        """
        self._signer = signer
        self._accounts = accounts
        self._now = now

    async def create(self, obj: Object, user: User) -> Object:
        """Return the request with a token.

        Raises:
            BadRequestError: a field has the wrong type.
            InvalidError: the lifetime is out of range or the bound object is of another kind.
            NotFoundError: the account or the bound object is not there.
            ConflictError: the bound object is another one of that name.
        """
        spec = _typed(obj.get("spec"), dict, "spec")
        namespace, name = metadata.namespaced_name(obj)
        lifetime = _lifetime(obj, spec)
        audiences = _audiences(obj, spec)
        uid = self._accounts.uid_of(kinds.SERVICE_ACCOUNTS.key, namespace, name)
        if uid is None:
            raise errors.not_found(kinds.SERVICE_ACCOUNTS.plural, name)
        bound = self._bound(obj, spec, namespace)
        token, expires = self._signer.issue(
            namespace,
            Reference(name, uid),
            audiences=audiences,
            lifetime_seconds=lifetime,
            bound=bound,
            node=self._node(namespace, bound),
            now=self._now(),
        )
        wanted = {
            **spec,
            "audiences": list(audiences) or [self._signer.issuer],
            "expirationSeconds": lifetime,
        }
        created = {"creationTimestamp": metadata.format_time(self._now())}
        status = {"token": token, "expirationTimestamp": metadata.format_time(expires)}
        return {**obj, "metadata": obj["metadata"] | created, "spec": wanted, "status": status}

    def _node(self, namespace: str, bound: Bound | None) -> Reference | None:
        """Return where the Pod runs that a token is bound to."""
        if bound is None or bound.kind != "Pod":
            return None
        name = self._accounts.node_of(namespace, bound.object.name)
        if not name:
            return None
        return Reference(name, self._accounts.uid_of(kinds.NODES.key, "", name) or "")

    def _bound(self, obj: Object, spec: Mapping[str, Any], namespace: str) -> Bound | None:
        reference = _typed(spec.get("boundObjectRef"), dict, "spec.boundObjectRef")
        if not reference:
            return None
        kind = reference.get("kind")
        if (reference.get("apiVersion") or "v1") != "v1" or kind not in BINDABLE:
            accepted = ", ".join(f'"{each}"' for each in BINDABLE)
            message = f'Unsupported value: "{kind!s:.100}": supported values: {accepted}'
            raise _invalid(obj, "spec.boundObjectRef.kind", message)
        name = _typed(reference.get("name"), str, "spec.boundObjectRef.name")
        if not name:
            raise _invalid(obj, "spec.boundObjectRef.name", "Required value")
        resource = _RESOURCES[str(kind)]
        home = namespace if resource.namespaced else ""
        uid = self._accounts.uid_of(resource.key, home, name)
        if uid is None:
            raise errors.not_found(resource.plural, name)
        if reference.get("uid") not in {None, "", uid}:
            why = (
                f"the UID in the bound object reference ({reference['uid']!s:.100}) does not match "
                f"the UID in record ({uid}). The object might have been deleted and then recreated"
            )
            raise errors.conflict(resource.plural, name, why)
        return Bound(str(kind), Reference(name, uid))


def _lifetime(obj: Object, spec: Mapping[str, Any]) -> int:
    lifetime = spec.get("expirationSeconds")
    if lifetime is None:
        return _DEFAULT_LIFETIME_SECONDS
    if isinstance(lifetime, bool) or not isinstance(lifetime, int):
        raise errors.BadRequestError("spec.expirationSeconds must be a whole number of seconds")
    if lifetime < MINIMUM_LIFETIME_SECONDS:
        why = "may not specify a duration less than 10 minutes"
    elif lifetime > MAXIMUM_LIFETIME_SECONDS:
        why = "may not specify a duration larger than 2^32 seconds"
    else:
        return lifetime
    raise _invalid(obj, "spec.expirationSeconds", f"Invalid value: {lifetime}: {why}")


def _audiences(obj: Object, spec: Mapping[str, Any]) -> tuple[str, ...]:
    audiences = _typed(spec.get("audiences"), list, "spec.audiences")
    for index, audience in enumerate(audiences):
        if not isinstance(audience, str):
            raise errors.BadRequestError(f"spec.audiences[{index}] must be a string")
        if not audience or len(audience) > _LONGEST_AUDIENCE:
            why = f"must have 1 to {_LONGEST_AUDIENCE} characters"
            raise _invalid(obj, f"spec.audiences[{index}]", f"Invalid value: {why}")
    if len(audiences) > _MOST_AUDIENCES:
        raise _invalid(
            obj, "spec.audiences", f"Too many: must have at most {_MOST_AUDIENCES} items"
        )
    return tuple(audiences)


def _typed(value: Any, kind: type, field: str) -> Any:
    # The body of a subresource reaches its handler without having passed a schema.
    if value is None:
        return kind()
    if not isinstance(value, kind):
        wanted = {"dict": "an object", "list": "a list", "str": "a string"}
        raise errors.BadRequestError(f"{field} must be {wanted[kind.__name__]}")
    return value


def _invalid(obj: Object, field: str, message: str) -> errors.InvalidError:
    return errors.invalid(
        str(obj.get("kind", "")),
        metadata.name(obj),
        [Cause(field, message)],
        "authentication.k8s.io",
    )
