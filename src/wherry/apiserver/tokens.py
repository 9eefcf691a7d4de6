"""Service-account tokens: made, signed and read.

A token is a JWT in the form kube-apiserver issues (bound to its ServiceAccount and, if asked,
to a Pod), signed with ES256. Reading one proves only who signed it and when it ends; whether
the account still exists is for the authenticator to look up on every request.
"""

import dataclasses
import datetime
import hashlib
import uuid
from collections.abc import Sequence
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from wherry.objects import errors

DEFAULT_ISSUER = "https://kubernetes.default.svc.cluster.local"
MINIMUM_LIFETIME_SECONDS = 600
MAXIMUM_LIFETIME_SECONDS = 2**32
# Longer than any token we sign; what exceeds it is refused before it is parsed.
_LONGEST_TOKEN = 8192


@dataclasses.dataclass(frozen=True)
class Reference:
    """An object that a token is bound to: it ends when the object does."""

    name: str
    uid: str


@dataclasses.dataclass(frozen=True)
class Claims:
    """What a verified token says.

    Attributes:
        namespace: Of the service account.
        account: The service account.
        pod: The pod the token is bound to, if any.
        expires: Seconds since the epoch.
        identifier: ``jti``, unique to the token.
    """

    namespace: str
    account: Reference
    pod: Reference | None
    expires: float
    identifier: str


class TokenSigner:
    """Signs and verifies service-account tokens with one P-256 key."""

    def __init__(self, signing_key: bytes, issuer: str = DEFAULT_ISSUER) -> None:
        """Take the key.

        Args:
            signing_key: PEM private key.
            issuer: ``iss`` of the tokens and the audience of a token that asks for none.

        Raises:
            TypeError: the key is of another kind.
        """
        key = serialization.load_pem_private_key(signing_key, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("the key that signs service-account tokens must be a P-256 key")
        self.issuer = issuer
        self._key = key
        self._public = key.public_key()
        encoded = self._public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.key_id = hashlib.sha256(encoded).hexdigest()[:32]

    def issue(
        self,
        namespace: str,
        account: Reference,
        *,
        audiences: Sequence[str] = (),
        lifetime_seconds: int = 3600,
        pod: Reference | None = None,
        now: datetime.datetime,
    ) -> tuple[str, datetime.datetime]:
        """Return a new token and when it ends.

        Args:
            namespace: Of the service account.
            account: Name and uid of the service account.
            audiences: Whom the token is for; empty for the API server itself.
            lifetime_seconds: 600 … 2^32.
            pod: Binds the token to a pod of the same namespace.
            now: Current time, aware.
        """
        expires = now + datetime.timedelta(seconds=lifetime_seconds)
        private: dict[str, Any] = {
            "namespace": namespace,
            "serviceaccount": dataclasses.asdict(account),
        }
        if pod is not None:
            private["pod"] = dataclasses.asdict(pod)
        issued = int(now.timestamp())
        claims = {
            "iss": self.issuer,
            "sub": f"system:serviceaccount:{namespace}:{account.name}",
            "aud": list(audiences) or [self.issuer],
            "exp": int(expires.timestamp()),
            "iat": issued,
            "nbf": issued,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": private,
        }
        token = jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": self.key_id})
        return token, expires

    def verify(self, token: str, audiences: Sequence[str] = ()) -> Claims:
        """Return what a token says, having checked signature, issuer, audience and time.

        Args:
            token: The JWT.
            audiences: Any one of these must be among the token's; by default the issuer.

        Raises:
            UnauthorizedError: the token is forged, expired, not yet valid or for somebody else.
                The message says which, and never repeats the token.
        """
        if len(token) > _LONGEST_TOKEN:
            raise errors.UnauthorizedError("the bearer token is longer than any this server issues")
        try:
            claims = jwt.decode(
                token,
                self._public,
                algorithms=["ES256"],
                audience=list(audiences) or [self.issuer],
                issuer=self.issuer,
                options={"require": ["exp", "iat", "sub", "aud", "iss"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise errors.UnauthorizedError("the bearer token has expired") from error
        except jwt.InvalidAudienceError as error:
            raise errors.UnauthorizedError("the bearer token is for another audience") from error
        except jwt.PyJWTError as error:
            raise errors.UnauthorizedError("the bearer token is not valid") from error
        return _read_claims(claims)


def _read_claims(claims: dict[str, Any]) -> Claims:
    try:
        private = claims["kubernetes.io"]
        account = private["serviceaccount"]
        pod = private.get("pod")
        return Claims(
            namespace=private["namespace"],
            account=Reference(account["name"], account["uid"]),
            pod=Reference(pod["name"], pod["uid"]) if pod else None,
            expires=float(claims["exp"]),
            identifier=str(claims.get("jti", "")),
        )
    except (KeyError, TypeError, AttributeError) as error:
        message = "the bearer token carries no service account"
        raise errors.UnauthorizedError(message) from error
