"""The one place where it is asked whether a request may be done."""

from wherry.apiserver.identity import MASTERS, Attributes, Authorizer, Decision, User
from wherry.objects import errors
from wherry.objects.requests import Request


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
        name=request.name or "",
    )
    decision = authorizer.authorize(attributes)
    if not decision.allowed:
        raise _forbidden(attributes, decision)


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


def _own_namespace(request: Request) -> str:
    # A namespace is asked for in itself, so that a Role in it can grant reading it.
    return (request.name or "") if request.resource.key == "namespaces" else ""


def _forbidden(asked: Attributes, decision: Decision) -> errors.ForbiddenError:
    resource = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    why = (
        f'User "{asked.user.name}" cannot {asked.verb} resource "{resource}" '
        f'in API group "{asked.group}" {where}'
    )
    if decision.reason:
        why += f": {decision.reason}"
    return errors.forbidden(asked.resource, asked.name, why, asked.group)
