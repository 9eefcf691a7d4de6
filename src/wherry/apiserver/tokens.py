"""Service-account tokens: made, signed and read.

A token is a JWT in the form kube-apiserver issues, signed with ES256. There are two kinds: those of
a TokenRequest, which end after a while and can be bound to a Pod, Node or Secret, and those that
lie in a Secret of type `kubernetes.io/service-account-token`, which are good for as long as the
Secret holds them. Reading one proves only who signed it and when it ends; whether the account
still exists is for the authenticator to look up on every request.
"""

import base64
import dataclasses
import datetime
import hashlib
import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import jwt
import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from wherry.objects import errors

DEFAULT_ISSUER = "https://kubernetes.default.svc.cluster.local"
LEGACY_ISSUER: Final = "kubernetes/serviceaccount"
MINIMUM_LIFETIME_SECONDS = 600
MAXIMUM_LIFETIME_SECONDS = 2**32
BINDABLE: Final = ("Pod", "Secret", "Node")
"""Kinds that a token of a TokenRequest can be bound to, all of `v1`."""

# Longer than any token we sign; what exceeds it is refused before it is parsed.
_LONGEST_TOKEN = 8192
_LEGACY: Final = "kubernetes.io/serviceaccount/"
_SUBJECT: Final = "system:serviceaccount:"
_ALGORITHM: Final = "ES256"
_REQUIRED: Final = ("exp", "iat", "nbf", "sub", "aud", "iss")


class SigningKeyError(Exception):
    """The key that should sign tokens is none that can."""


@dataclasses.dataclass(frozen=True, slots=True)
class Reference:
    """An object that a token is bound to: it ends when the object does."""

    name: str
    uid: str


@dataclasses.dataclass(frozen=True, slots=True)
class Bound:
    """What a token is bound to besides its account.

    Attributes:
        kind: One of `BINDABLE`.
        object: Which one, in the account's namespace (Nodes are in none).
    """

    kind: str
    object: Reference


@dataclasses.dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says.

    Attributes:
        namespace: Of the service account.
        account: The service account.
        bound: What the token is bound to, if anything.
        node: Where the Pod it is bound to ran when it was issued; its uid is empty where there was no such Node.
        secret: Name of the Secret that must hold this very token; empty for requested tokens.
        expires: Seconds since the epoch; infinite for tokens of Secrets.
        identifier: ``jti``, unique to the token; empty for tokens of Secrets.
        audiences: Whom it is for.
    """

    namespace: str
    account: Reference
    bound: Bound | None
    secret: str
    expires: float
    identifier: str
    audiences: tuple[str, ...]
    node: Reference | None = None


class TokenSigner:
    """Signs and verifies service-account tokens with one P-256 key."""

    def __init__(self, signing_key: bytes, issuer: str = DEFAULT_ISSUER) -> None:
        """Take the key.

        Args:
            signing_key: PEM private key.
            issuer: ``iss`` of the tokens and the audience of a token that asks for none.

        Raises:
            SigningKeyError: the key is damaged or of another kind.
        """
        try:
            key = serialization.load_pem_private_key(signing_key, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise SigningKeyError(f"the key that signs tokens is damaged: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise SigningKeyError("the key that signs tokens must be an unencrypted P-256 key")
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
        bound: Bound | None = None,
        node: Reference | None = None,
        now: datetime.datetime,
    ) -> tuple[str, datetime.datetime]:
        """Return a new token and when it ends.

        Args:
            namespace: Of the service account.
            account: Name and uid of the service account.
            audiences: Whom the token is for; empty for the API server itself.
            lifetime_seconds: 600 … 2^32.
            bound: What the token ends with, besides its account.
            node: Where the Pod runs that it is bound to; it does not end with it.
            now: Current time, aware.
        """
        expires = now + datetime.timedelta(seconds=lifetime_seconds)
        private: dict[str, Any] = {
            "namespace": namespace,
            "serviceaccount": dataclasses.asdict(account),
        }
        if bound is not None:
            private[bound.kind.lower()] = dataclasses.asdict(bound.object)
        if node is not None:
            private["node"] = {key: text for key, text in dataclasses.asdict(node).items() if text}
        issued = int(now.timestamp())
        claims = {
            "iss": self.issuer,
            "sub": f"{_SUBJECT}{namespace}:{account.name}",
            "aud": list(audiences) or [self.issuer],
            "exp": int(expires.timestamp()),
            "iat": issued,
            "nbf": issued,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": private,
        }
        return self._signed(claims), expires

    def issue_for_secret(self, namespace: str, account: Reference, secret: str) -> str:
        """Return a new token that does not end by itself.

        It is good while the Secret of that name holds it and the account exists.

        Args:
            namespace: Of the service account and the Secret.
            account: Name and uid of the service account.
            secret: Name of the Secret that will hold the token.
        """
        claims = {
            "iss": LEGACY_ISSUER,
            "sub": f"{_SUBJECT}{namespace}:{account.name}",
            f"{_LEGACY}namespace": namespace,
            f"{_LEGACY}secret.name": secret,
            f"{_LEGACY}service-account.name": account.name,
            f"{_LEGACY}service-account.uid": account.uid,
        }
        return self._signed(claims)

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
        wanted = list(audiences) or [self.issuer]
        try:
            # The issuer decides what else must hold; that it is the issuer is verified below.
            unverified = jwt.decode(token, options={"verify_signature": False})
            if unverified.get("iss") == LEGACY_ISSUER:
                return self._verify_legacy(token, wanted)
            claims = jwt.decode(
                token,
                self._public,
                algorithms=[_ALGORITHM],
                audience=wanted,
                issuer=self.issuer,
                options={"require": list(_REQUIRED)},
            )
        except jwt.ExpiredSignatureError as error:
            raise errors.UnauthorizedError("the bearer token has expired") from error
        except jwt.InvalidAudienceError as error:
            raise _other_audience() from error
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise errors.UnauthorizedError("the bearer token is not valid") from error
        return _read_claims(claims)

    def _verify_legacy(self, token: str, wanted: Sequence[str]) -> Claims:
        claims = jwt.decode(
            token,
            self._public,
            algorithms=[_ALGORITHM],
            issuer=LEGACY_ISSUER,
            options={"require": ["iss", "sub"], "verify_aud": False},
        )
        if self.issuer not in wanted:
            raise _other_audience()
        try:
            return Claims(
                namespace=_text(claims, f"{_LEGACY}namespace"),
                account=Reference(
                    _text(claims, f"{_LEGACY}service-account.name"),
                    _text(claims, f"{_LEGACY}service-account.uid"),
                ),
                bound=None,
                secret=_text(claims, f"{_LEGACY}secret.name"),
                expires=math.inf,
                identifier="",
                audiences=(self.issuer,),
            )
        except (KeyError, TypeError) as error:
            raise _no_account() from error

    def discovery(self, jwks_uri: str) -> bytes:
        """Return `/.well-known/openid-configuration`.

        Args:
            jwks_uri: Where `jwks` is served.
        """
        return orjson.dumps(
            {
                "issuer": self.issuer,
                "jwks_uri": jwks_uri,
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [_ALGORITHM],
            }
        )

    def jwks(self) -> bytes:
        """Return `/openid/v1/jwks`: the public key, by which others verify tokens."""
        numbers = self._public.public_numbers()
        key = {
            "use": "sig",
            "kty": "EC",
            "kid": self.key_id,
            "alg": _ALGORITHM,
            "crv": "P-256",
            "x": _base64url(numbers.x),
            "y": _base64url(numbers.y),
        }
        return orjson.dumps({"keys": [key]})

    def _signed(self, claims: dict[str, Any]) -> str:
        headers = {"kid": self.key_id}
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM, headers=headers)


def _read_claims(claims: dict[str, Any]) -> Claims:
    try:
        private = claims["kubernetes.io"]
        namespace = _text(private, "namespace")
        account = _reference(private["serviceaccount"])
        kinds = [kind for kind in BINDABLE if private.get(kind.lower())]
        bound = Bound(kinds[0], _reference(private[kinds[0].lower()])) if kinds else None
        node = private.get("node") if bound is not None and bound.kind == "Pod" else None
        audiences = claims["aud"]
        # What is written twice must be the same twice: others read only the subject.
        if claims["sub"] != f"{_SUBJECT}{namespace}:{account.name}":
            raise _no_account()
        return Claims(
            namespace=namespace,
            account=account,
            bound=bound,
            secret="",
            expires=float(claims["exp"]),
            identifier=str(claims.get("jti", "")),
            audiences=(audiences,) if isinstance(audiences, str) else tuple(audiences),
            node=Reference(_text(node, "name"), str(node.get("uid", ""))) if node else None,
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise _no_account() from error


def _reference(value: Mapping[str, Any]) -> Reference:
    return Reference(_text(value, "name"), _text(value, "uid"))


def _text(values: Mapping[str, Any], key: str) -> str:
    text = values[key]
    if not isinstance(text, str) or not text:
        raise TypeError(f"{key} must be a text that is not empty")
    return text


def _base64url(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32)).rstrip(b"=").decode()


def _no_account() -> errors.UnauthorizedError:
    return errors.UnauthorizedError("the bearer token carries no service account")


def _other_audience() -> errors.UnauthorizedError:
    return errors.UnauthorizedError("the bearer token is for another audience")
