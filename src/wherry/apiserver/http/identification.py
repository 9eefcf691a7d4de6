"""Who sends a request: credentials, then `Impersonate-` headers of those who may use them."""

from collections.abc import Mapping
from urllib.parse import unquote

from wherry.apiserver import access
from wherry.apiserver.identity import (
    ANONYMOUS,
    AUTHENTICATED,
    MASTERS,
    UNAUTHENTICATED,
    Attributes,
    Authorizer,
    User,
)
from wherry.objects import errors, names

_USER = "Impersonate-User"
_FIRST = frozenset("iI")
_EXTRA = "impersonate-extra-"
_SERVICE_ACCOUNT = "system:serviceaccount:"


def impersonated(authorizer: Authorizer, user: User, headers: Mapping[str, str]) -> User:
    """Return the user that ``user`` asks to be, or ``user``.

    Raises:
        ForbiddenError: ``user`` may not be that one.
        BadRequestError: Groups or extras are named without a user.
    """
    name = headers.get(_USER, "")
    if not name:
        # Every request passes here: most names are told by their first letter.
        for key in headers:
            if key[:1] in _FIRST and key.lower().startswith("impersonate-"):
                text = f"{_USER} must be set when other Impersonate headers are"
                raise errors.BadRequestError(text)
        return user
    groups = tuple(value for key, value in headers.items() if key.lower() == "impersonate-group")
    extra: dict[str, tuple[str, ...]] = {}
    for key, value in headers.items():
        if key.lower().startswith(_EXTRA):
            field = unquote(key.lower().removeprefix(_EXTRA))
            extra[field] = (*extra.get(field, ()), value)
    uid = headers.get("Impersonate-Uid", "")
    asked = [_subject(name), *(("", "groups", "", group) for group in groups)]
    authentication = "authentication.k8s.io"
    asked += [(authentication, "uids", "", uid)] if uid else []
    asked += [
        (authentication, f"userextras/{key}", "", value)
        for key, values in extra.items()
        for value in values
    ]
    for group, resource, namespace, target in asked:
        _check(authorizer, user, (group, resource, namespace, target))
    return User(name, uid, _completed(name, groups), extra)


def _completed(name: str, groups: tuple[str, ...]) -> tuple[str, ...]:
    """Return the groups that go with a user without being named."""
    if not groups and _account(name):
        namespace, _ = name.removeprefix(_SERVICE_ACCOUNT).split(":")
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    if AUTHENTICATED in groups or UNAUTHENTICATED in groups:
        return groups
    return (*groups, UNAUTHENTICATED if name == ANONYMOUS.name else AUTHENTICATED)


def _account(name: str) -> tuple[str, str] | None:
    """Return the namespace and name of the service account that a user is."""
    if not name.startswith(_SERVICE_ACCOUNT):
        return None
    namespace, _, account = name.removeprefix(_SERVICE_ACCOUNT).partition(":")
    if names.dns_label(namespace) or names.dns_subdomain(account):
        return None
    return namespace, account


def _subject(name: str) -> tuple[str, str, str, str]:
    if place := _account(name):
        return ("", "serviceaccounts", *place)
    return ("", "users", "", name)


def _check(authorizer: Authorizer, user: User, target: tuple[str, str, str, str]) -> None:
    if MASTERS in user.groups:
        return
    group, resource, namespace, name = target
    plural, _, subresource = resource.partition("/")
    attributes = Attributes(
        user=user,
        verb="impersonate",
        group=group,
        version="v1",
        resource=plural,
        subresource=subresource,
        namespace=namespace,
        name=name,
    )
    decision = authorizer.authorize(attributes)
    if not decision.allowed:
        raise access.forbidden(attributes, decision)
