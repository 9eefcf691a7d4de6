"""Who is asking, what for, and the two questions every request is put through.

Authentication and authorization are written elsewhere in this room and for other deployments may be
replaced; the verbs and the HTTP layer know only these shapes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

MASTERS = "system:masters"
NODES = "system:nodes"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"


@dataclass(frozen=True, slots=True)
class User:
    """A caller.

    Attributes:
        name: ``kubernetes-admin``, ``system:serviceaccount:NAMESPACE:NAME`` …
        uid: Distinguishes users of one name over time; empty where there is none.
        groups: All groups, ``system:authenticated`` included.
        extra: What the authenticator adds, e.g. the pod a token is bound to.
    """

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_NODE: Final = "system:node:"

ANONYMOUS = User("system:anonymous", groups=(UNAUTHENTICATED,))


def node_of(user: User) -> str:
    """Return which node a user is; empty for everybody else."""
    if user.name.startswith(_NODE) and NODES in user.groups:
        return user.name.removeprefix(_NODE)
    return ""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is about to be done, in the words of RBAC.

    Attributes:
        user: Who asks.
        verb: ``get``, ``list``, ``create``, ``impersonate`` …; the HTTP method in lower case for a path.
        group: API group, empty for core.
        version: API version.
        resource: Plural name; empty when ``path`` is what is asked for.
        subresource: ``status``, ``log`` … or empty.
        namespace: Empty for cluster scope and for all namespaces.
        name: Empty where the request names no object.
        path: The URL path of a request that is not for a resource (``/metrics``).
    """

    user: User
    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it may be done; the reason is shown to people and to access reviews."""

    allowed: bool
    reason: str = ""


class Authenticator(Protocol):
    """Tells who sent a request."""

    async def authenticate(
        self, headers: Mapping[str, str], peer_certificate: dict[str, Any] | None
    ) -> User | None:
        """Return the user, or None for a request that carries no credentials.

        Args:
            headers: Request headers; look-up ignores case.
            peer_certificate: As ``ssl.SSLSocket.getpeercert`` gives it; None without one.

        Raises:
            UnauthorizedError: credentials were sent and are not good.
        """
        ...


class Authorizer(Protocol):
    """Tells whether a user may. Called once per request: must be quick and must not wait."""

    def authorize(self, attributes: Attributes) -> Decision:
        """Return the decision."""
        ...
