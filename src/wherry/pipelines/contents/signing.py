"""URLs that whoever has one may read an artifact by, for a while.

A signature holds for one artifact of one namespace, as long as it is in the same place, for reading, and
until a time that stands beside it. It is made with a secret that is kept in the cluster: URLs hold
beyond a restart, and no longer once the Secret is deleted and the service was started anew.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Final

from wherry.client.client import Client
from wherry.metadata.records import Artifact
from wherry.objects import errors
from wherry.objects import kinds as core
from wherry.pipelines.kinds import URLS_SECRET

USUAL_SECONDS: Final = 15 * 60
MOST_SECONDS: Final = 24 * 3600
_KEY: Final = "key"
_LEAST_BYTES: Final = 32
_METHOD: Final = "GET"


class Signer:
    """Signs URLs, and says whether they were signed. For one event loop."""

    def __init__(self, client: Client, namespace: str) -> None:
        """Take where the secret is kept.

        Args:
            client: May read that Secret, and create Secrets where it is.
            namespace: Of the Secret.
        """
        self._client = client
        self._namespace = namespace
        self._secret = b""

    async def sign(self, artifact: Artifact, expires: int) -> str:
        """Return the signature of an artifact's URL.

        Args:
            artifact: Which.
            expires: Until when it holds, in seconds since 1970 UTC.

        Raises:
            ApiError: the secret cannot be had.
        """
        secret = self._secret = self._secret or await self._kept()
        said = (_METHOD, artifact.namespace, str(artifact.id), artifact.uri, str(expires))
        digest = hmac.digest(secret, "\0".join(said).encode("utf-8", "replace"), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    async def is_signed(
        self, artifact: Artifact, expires: int, signature: str, *, now: float
    ) -> bool:
        """Return whether a signature is that of an artifact's URL, and holds.

        Args:
            artifact: Which.
            expires: As the URL says.
            signature: Likewise.
            now: The time, in seconds since 1970 UTC.

        Raises:
            ApiError: the secret cannot be had.
        """
        expected = await self.sign(artifact, expires)
        same = hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogateescape"))
        return same and now < expires <= now + MOST_SECONDS

    async def _kept(self) -> bytes:
        """Return the secret, made where there is none."""
        made = base64.b64encode(secrets.token_bytes(_LEAST_BYTES)).decode()
        secret = {
            "apiVersion": core.SECRETS.api_version,
            "kind": core.SECRETS.kind,
            "metadata": {"name": URLS_SECRET, "namespace": self._namespace},
            "type": "Opaque",
            "data": {_KEY: made},
        }
        try:
            found = await self._client.get(core.SECRETS, URLS_SECRET, self._namespace)
        except errors.NotFoundError:
            try:
                found = await self._client.create(core.SECRETS, secret)
            except errors.AlreadyExistsError:
                found = await self._client.get(core.SECRETS, URLS_SECRET, self._namespace)
        try:
            key = base64.b64decode((found.get("data") or {}).get(_KEY, ""), validate=True)
        except binascii.Error:
            key = b""
        if len(key) < _LEAST_BYTES:
            raise errors.ServiceUnavailableError(
                f"Secret {URLS_SECRET} in namespace {self._namespace} has no {_KEY} of {_LEAST_BYTES} bytes: "
                "delete it, and another one is made"
            )
        return key
