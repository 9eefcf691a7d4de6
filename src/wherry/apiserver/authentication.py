"""Who is asking: client certificates of our authority and service-account tokens.

A request without either is `system:anonymous`; what that may see is for the roles to say.
"""

import datetime
import functools
import ssl
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from wherry.apiserver.identity import AUTHENTICATED, User
from wherry.apiserver.tokens import Claims, TokenSigner
from wherry.objects import errors, kinds

_REMEMBERED_TOKENS = 1024
_EXTRA = "authentication.kubernetes.io/"
_BOUND_KINDS = {"Pod": kinds.PODS, "Secret": kinds.SECRETS, "Node": kinds.NODES}


class Accounts(Protocol):
    """What authentication looks up, in the committed state, at every request."""

    def uid_of(self, resource: str, namespace: str, name: str) -> str | None:
        """Return the uid of an object; None where there is none, or it is long being deleted.

        Args:
            resource: `Resource.key`.
            namespace: Empty for kinds without.
            name: Of the object.
        """
        ...

    def node_of(self, namespace: str, pod: str) -> str:
        """Return the node a Pod is bound to; empty where it is bound to none."""
        ...

    def holds_token(self, namespace: str, secret: str, token: str) -> bool:
        """Return whether a service-account Secret holds exactly this token."""
        ...


class _Known(NamedTuple):
    claims: Claims
    user: User


class RequestAuthenticator:
    """Reads the client certificate first, then the bearer token, as kube-apiserver does."""

    def __init__(
        self,
        signer: TokenSigner,
        accounts: Accounts,
        now: Callable[[], datetime.datetime],
    ) -> None:
        """Take what authentication depends on.

        Args:
            signer: Verifies service-account tokens.
            accounts: Finds the objects that a token is bound to.
            now: Current time, aware.
        """
        self._signer = signer
        self._accounts = accounts
        self._now = now
        self._verified: OrderedDict[str, _Known] = OrderedDict()

    async def authenticate(
        self, headers: Mapping[str, str], peer_certificate: dict[str, Any] | None
    ) -> User | None:
        """Return the user, or None for an anonymous request.

        Args:
            headers: The request's headers, names case-insensitive.
            peer_certificate: The client certificate as `ssl.SSLSocket.getpeercert` has it; the TLS
                layer has verified it already.

        Raises:
            UnauthorizedError: credentials were given and are not good.
        """
        if peer_certificate:
            self._check_still_valid(peer_certificate)
            user = user_of_certificate(peer_certificate)
            if user is not None:
                return user
        authorization = headers.get("Authorization", "")
        if not authorization:
            return None
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise errors.UnauthorizedError(
                "the Authorization header must read: Bearer TOKEN; other schemes are not accepted"
            )
        return self.user_of_token(token.strip())

    def user_of_token(self, token: str) -> User:
        """Return the service account that a token for this server stands for.

        Args:
            token: The JWT.

        Raises:
            UnauthorizedError: the token is not good, or what it is bound to is gone.
        """
        # Verifying a signature costs ten times what the rest of a request does: once per token.
        known = self._verified.get(token)
        if known is None:
            claims = self._signer.verify(token)
            known = self._verified[token] = _Known(claims, _user_of(claims))
            if len(self._verified) > _REMEMBERED_TOKENS:
                self._verified.popitem(last=False)
        elif known.claims.expires <= self._now().timestamp():
            del self._verified[token]
            raise errors.UnauthorizedError("the bearer token has expired")
        self._check_bound(known.claims, token)
        return known.user

    def review(self, token: str, audiences: Sequence[str]) -> tuple[User, tuple[str, ...]]:
        """Return the user of a token and for which of some audiences it is meant.

        Args:
            token: The JWT.
            audiences: Who may ask; empty for this server.

        Raises:
            UnauthorizedError: the token is not good, for none of them, or what it is bound to is gone.
        """
        claims = self._signer.verify(token, audiences)
        self._check_bound(claims, token)
        wanted = tuple(audiences) or (self._signer.issuer,)
        return _user_of(claims), tuple(each for each in wanted if each in claims.audiences)

    def _check_bound(self, claims: Claims, token: str) -> None:
        """Refuse a token whose account or other bound object is gone, or another of that name."""
        namespace, account = claims.namespace, claims.account
        uid = self._accounts.uid_of(kinds.SERVICE_ACCOUNTS.key, namespace, account.name)
        if uid != account.uid:
            place = f"{namespace}/{account.name}"
            raise errors.UnauthorizedError(f"the service account {place} of the token is gone")
        if claims.secret and not self._accounts.holds_token(namespace, claims.secret, token):
            place = f"{namespace}/{claims.secret}"
            raise errors.UnauthorizedError(f"the secret {place} does not hold the token any more")
        if claims.bound is not None:
            resource, bound = _BOUND_KINDS[claims.bound.kind], claims.bound.object
            home = namespace if resource.namespaced else ""
            if self._accounts.uid_of(resource.key, home, bound.name) != bound.uid:
                kind = claims.bound.kind.lower()
                raise errors.UnauthorizedError(f"the {kind} {bound.name} of the token is gone")

    def _check_still_valid(self, certificate: Mapping[str, Any]) -> None:
        # TLS looks at the start of a connection only, and those of watches last for hours.
        if _ends(str(certificate.get("notAfter", ""))) <= self._now().timestamp():
            raise errors.UnauthorizedError("the client certificate has expired")


@functools.lru_cache(maxsize=256)
def _ends(text: str) -> float:
    try:
        return float(ssl.cert_time_to_seconds(text))
    except ValueError:
        return 0.0


def _user_of(claims: Claims) -> User:
    extra: dict[str, tuple[str, ...]] = {}
    if claims.identifier:
        extra[f"{_EXTRA}credential-id"] = (f"JTI={claims.identifier}",)
    if claims.bound is not None and claims.bound.kind != "Secret":
        kind = claims.bound.kind.lower()
        extra[f"{_EXTRA}{kind}-name"] = (claims.bound.object.name,)
        extra[f"{_EXTRA}{kind}-uid"] = (claims.bound.object.uid,)
    if claims.node is not None:
        extra[f"{_EXTRA}node-name"] = (claims.node.name,)
        if claims.node.uid:
            extra[f"{_EXTRA}node-uid"] = (claims.node.uid,)
    return User(
        name=f"system:serviceaccount:{claims.namespace}:{claims.account.name}",
        uid=claims.account.uid,
        groups=(
            "system:serviceaccounts",
            f"system:serviceaccounts:{claims.namespace}",
            AUTHENTICATED,
        ),
        extra=extra,
    )


def user_of_certificate(certificate: Mapping[str, Any]) -> User | None:
    """Return the user a verified client certificate names: CN the user, each O a group."""
    return _user_of_subject(certificate.get("subject", ()))


@functools.lru_cache(maxsize=256)
def _user_of_subject(subject: tuple[tuple[tuple[str, str], ...], ...]) -> User | None:
    fields = [pair for group in subject for pair in group]
    # Of several names the last counts, as in Go.
    name = [value for key, value in fields if key == "commonName"][-1:]
    if not name or not name[0]:
        return None
    groups = tuple(value for key, value in fields if key == "organizationName")
    return User(name=name[0], uid="", groups=(*groups, AUTHENTICATED), extra={})
