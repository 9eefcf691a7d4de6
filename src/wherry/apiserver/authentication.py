"""Who is asking: client certificates of our authority and service-account tokens.

A request without either is `system:anonymous`; what that may see is for the roles to say.
"""

import datetime
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wherry.apiserver.identity import AUTHENTICATED, User
from wherry.apiserver.tokens import Claims, TokenSigner
from wherry.objects import errors, kinds

_REMEMBERED_TOKENS = 1024

UidLookup = Callable[[str, str, str], str | None]
"""(resource key, namespace, name) → uid of the object, or None where there is none."""


class RequestAuthenticator:
    """Reads the client certificate first, then the bearer token, as kube-apiserver does."""

    def __init__(
        self,
        signer: TokenSigner,
        uid_of: UidLookup,
        now: Callable[[], datetime.datetime],
    ) -> None:
        """Take what authentication depends on.

        Args:
            signer: Verifies service-account tokens.
            uid_of: Finds the objects that a token is bound to, in the committed state.
            now: Current time, aware.
        """
        self._signer = signer
        self._uid_of = uid_of
        self._now = now
        self._verified: OrderedDict[str, Claims] = OrderedDict()

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

    def user_of_token(self, token: str, audiences: Sequence[str] = ()) -> User:
        """Return the service account that a token stands for.

        Args:
            token: The JWT.
            audiences: Any one of these must be among the token's; by default the API server.

        Raises:
            UnauthorizedError: the token is not good, or what it is bound to is gone.
        """
        claims = self._signer.verify(token, audiences) if audiences else self._claims(token)
        place = f"{claims.namespace}:{claims.account.name}"
        account = self._uid_of(kinds.SERVICE_ACCOUNTS.key, claims.namespace, claims.account.name)
        if account != claims.account.uid:
            raise errors.UnauthorizedError(f"the service account {place} of the token is gone")
        extra = {"authentication.kubernetes.io/credential-id": (f"JTI={claims.identifier}",)}
        if claims.pod is not None:
            pod = self._uid_of(kinds.PODS.key, claims.namespace, claims.pod.name)
            if pod != claims.pod.uid:
                raise errors.UnauthorizedError(
                    f"the pod {claims.namespace}/{claims.pod.name} of the token is gone"
                )
            extra["authentication.kubernetes.io/pod-name"] = (claims.pod.name,)
            extra["authentication.kubernetes.io/pod-uid"] = (claims.pod.uid,)
        return User(
            name=f"system:serviceaccount:{place}",
            uid=claims.account.uid,
            groups=(
                "system:serviceaccounts",
                f"system:serviceaccounts:{claims.namespace}",
                AUTHENTICATED,
            ),
            extra=extra,
        )

    def _claims(self, token: str) -> Claims:
        # Verifying a signature costs ten times what the rest of a request does: once per token.
        known = self._verified.get(token)
        if known is not None:
            if known.expires <= self._now().timestamp():
                del self._verified[token]
                raise errors.UnauthorizedError("the bearer token has expired")
            return known
        claims = self._signer.verify(token)
        self._verified[token] = claims
        if len(self._verified) > _REMEMBERED_TOKENS:
            self._verified.popitem(last=False)
        return claims


def user_of_certificate(certificate: Mapping[str, Any]) -> User | None:
    """Return the user a verified client certificate names: CN the user, each O a group."""
    fields = [pair for group in certificate.get("subject", ()) for pair in group]
    names = [value for key, value in fields if key == "commonName"]
    if not names:
        return None
    groups = tuple(value for key, value in fields if key == "organizationName")
    return User(name=names[0], uid="", groups=(*groups, AUTHENTICATED), extra={})
