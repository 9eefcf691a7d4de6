"""The one place where it is asked whether a request may be done."""

import dataclasses
from typing import Final

from wherry.apiserver.identity import MASTERS, Attributes, Authorizer, Decision, User
from wherry.objects import errors, selectors
from wherry.objects.requests import Request

_RUNNING: Final = frozenset({"exec", "attach", "portforward"})


def check(authorizer: Authorizer, user: User, request: Request) -> None:
    """Refuse what the user may not do.

    Raises:
        ForbiddenError: In Kubernetes' words: who, what, where.
    """
    if MASTERS in user.groups:
        return
    resource = request.resource
    attributes = Attributes(
        user=user,
        verb=request.verb,
        group=resource.group,
        version=resource.version,
        resource=resource.plural,
        subresource=request.subresource or "",
        namespace=(request.namespace or "") if resource.namespaced else _own_namespace(request),
        name=request.name or _selected_name(request),
    )
    _require(authorizer, attributes)
    if (
        attributes.verb == "get"
        and attributes.subresource in _RUNNING
        and resource.plural == "pods"
    ):
        # A WebSocket opens with GET; to run something in a pod is no reading all the same.
        _require(authorizer, dataclasses.replace(attributes, verb="create"))


def _require(authorizer: Authorizer, attributes: Attributes) -> None:
    decision = authorizer.authorize(attributes)
    if not decision.allowed:
        raise forbidden(attributes, decision)


def check_path(authorizer: Authorizer, user: User, method: str, path: str) -> None:
    """Refuse a path that is no resource and that the user may not have.

    Raises:
        ForbiddenError: The user may not.
    """
    if MASTERS in user.groups:
        return
    attributes = Attributes(user=user, verb=method.lower(), path=path)
    if not authorizer.authorize(attributes).allowed:
        raise errors.ForbiddenError(
            f'forbidden: User "{user.name}" cannot {attributes.verb} path "{path}"'
        )


def _selected_name(request: Request) -> str:
    # Who may read objects of some names only lists and watches them one by one.
    text = request.options.get("fieldSelector", "")
    if request.verb not in {"list", "watch"} or "metadata.name" not in text:
        return ""
    try:
        terms = selectors.parse_fields(text).requirements
    except ValueError:
        return ""  # refused with its reason when the list is made
    wanted = [term.value for term in terms if term.path == "metadata.name" and term.operator == "="]
    return wanted[0] if len(wanted) == 1 else ""


def _own_namespace(request: Request) -> str:
    # A namespace is asked for in itself, so that a Role in it can grant reading it.
    return (request.name or "") if request.resource.key == "namespaces" else ""


def forbidden(asked: Attributes, decision: Decision) -> errors.ForbiddenError:
    """Return the refusal of a request for a resource."""
    resource = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    why = (
        f'User "{asked.user.name}" cannot {asked.verb} resource "{resource}" '
        f'in API group "{asked.group}" {where}'
    )
    if decision.reason:
        why += f": {decision.reason}"
    return errors.forbidden(asked.resource, asked.name, why, asked.group)
