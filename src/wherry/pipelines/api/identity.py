"""Who calls: a front that proves itself says so, or a token does; else nobody has said."""

import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Final

from multidict import CIMultiDictProxy

from wherry.client.client import Client
from wherry.objects import callers, errors
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines.api.access import NOBODY, User

AUDIENCE: Final = "pipelines.kubeflow.org"
_KEPT_SECONDS: Final = 10.0
_MOST_KEPT: Final = 1024
_AUTHENTICATED: Final = "system:authenticated"


class Identity:
    """Finds out who calls. For one event loop."""

    def __init__(self, client: Client, secret: str) -> None:
        """Take what it works with.

        Args:
            client: May create TokenReviews.
            secret: By which fronts prove that they may say who calls.
        """
        self._client = client
        self._secret = secret.encode()
        # By the token's digest: no token is kept.
        self._known: dict[bytes, tuple[float, User]] = {}

    async def user(self, headers: CIMultiDictProxy[str]) -> User:
        """Return who has sent a request; what anybody could have written into its headers does not count.

        Raises:
            UnauthorizedError: it has a token that is good for nothing.
            ApiError: the API does not say whose token it is.
        """
        proof = headers.get(callers.PROOF, "").encode("utf-8", "surrogateescape")
        if proof and hmac.compare_digest(proof, self._secret):
            return _told(headers)
        match headers.get("Authorization", "").split():
            case []:
                return NOBODY
            case [scheme, token] if scheme.lower() == "bearer":
                return await self.of_token(token)
        raise errors.UnauthorizedError("Authorization: want Bearer and a token")

    async def of_token(self, token: str) -> User:
        """Return whose a token is; an answer is good for some seconds.

        Raises:
            UnauthorizedError: nobody's.
            ApiError: the API does not say.
        """
        digest, now = (
            hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest(),
            time.monotonic(),
        )
        known = self._known.get(digest)
        if known is not None and now < known[0]:
            return known[1]
        user = await self._review(token, [AUDIENCE]) or await self._review(token, [])
        if user is None:
            raise errors.UnauthorizedError(
                f"the token is not valid: want one for the audience {AUDIENCE} or for the API server"
            )
        if len(self._known) >= _MOST_KEPT:
            self._known.clear()
        self._known[digest] = now + _KEPT_SECONDS, user
        return user

    async def _review(self, token: str, audiences: list[str]) -> User | None:
        review = {
            "apiVersion": core.TOKEN_REVIEWS.api_version,
            "kind": core.TOKEN_REVIEWS.kind,
            "spec": {"token": token, **({"audiences": audiences} if audiences else {})},
        }
        answer: Object = await self._client.create(core.TOKEN_REVIEWS, review)
        status: Mapping[str, Object] = answer.get("status") or {}
        if not status.get("authenticated"):
            return None
        user = status.get("user") or {}
        return User(str(user.get("username", "")), tuple(user.get("groups") or ()))


def _told(headers: CIMultiDictProxy[str]) -> User:
    name = headers.get(callers.USER) or headers.get(callers.USER_ID, "")
    if not name:
        return NOBODY
    groups = headers.getall(callers.GROUP, [_AUTHENTICATED])
    return User(name, tuple(groups))
