"""Who sends a request: credentials, then `Impersonate-` headers of those who may use them."""

from collections.abc import Mapping
from urllib.parse import unquote

from wherry.apiserver.identity import (
    ANONYMOUS,
    AUTHENTICATED,
    MASTERS,
    Attributes,
    Authorizer,
    User,
)
from wherry.objects import errors

_USER = "Impersonate-User"
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
        if any(key.lower().startswith("impersonate-") for key in headers):
            raise errors.BadRequestError(f"{_USER} must be set when other Impersonate headers are")
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
    if name != ANONYMOUS.name and AUTHENTICATED not in groups:
        groups = (*groups, AUTHENTICATED)
    if name.startswith(_SERVICE_ACCOUNT) and name.count(":") == 3:
        namespace = name.split(":")[2]
        groups = (*groups, "system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    return User(name, uid, groups, extra)


def _subject(name: str) -> tuple[str, str, str, str]:
    if name.startswith(_SERVICE_ACCOUNT) and name.count(":") == 3:
        namespace, account = name.split(":")[2:]
        return ("", "serviceaccounts", namespace, account)
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
    if not authorizer.authorize(attributes).allowed:
        why = (
            f'User "{user.name}" cannot impersonate resource "{resource}" in API group "{group}" '
            "at the cluster scope"
        )
        raise errors.forbidden(plural, name, why, group)
