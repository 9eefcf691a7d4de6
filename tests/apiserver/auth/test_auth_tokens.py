"""Which tokens are taken, and which are not."""

import base64
import datetime
import hashlib
import hmac
import json
import re
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from wherry.apiserver.authentication import RequestAuthenticator
from wherry.apiserver.tokens import (
    LEGACY_ISSUER,
    Bound,
    Reference,
    SigningKeyError,
    TokenSigner,
)
from wherry.objects import errors

NOW = datetime.datetime.now(datetime.UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
PUBLIC = KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
SIGNER = TokenSigner(PEM)
ACCOUNT = Reference("robot", "uid-1")


class Accounts:
    """The objects that exist: (resource, namespace, name) → uid; and what Secrets hold."""

    def __init__(self) -> None:
        self.uids = {("serviceaccounts", "ns", "robot"): "uid-1", ("pods", "ns", "p"): "pod-1"}
        self.secrets: dict[tuple[str, str], str] = {}

    def uid_of(self, resource: str, namespace: str, name: str) -> str | None:
        return self.uids.get((resource, namespace, name))

    def node_of(self, namespace: str, pod: str) -> str:
        return ""

    def holds_token(self, namespace: str, secret: str, token: str) -> bool:
        return self.secrets.get((namespace, secret)) == token


class Clock:
    def __init__(self) -> None:
        self.moment = NOW

    def __call__(self) -> datetime.datetime:
        return self.moment


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authenticator(accounts: Accounts, clock: Clock) -> RequestAuthenticator:
    return RequestAuthenticator(SIGNER, accounts, clock)


def issue(**more: Any) -> str:
    return SIGNER.issue("ns", ACCOUNT, **{"now": NOW, **more})[0]


def claims(**more: Any) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(issue(), options={"verify_signature": False})
    return {key: value for key, value in {**found, **more}.items() if value is not None}


def signed(payload: Any, key: Any = KEY, algorithm: str = "ES256") -> str:
    return jwt.encode(payload, key, algorithm)


def raw(header: dict[str, Any], payload: Any, signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(payload).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def refusal(authenticator: RequestAuthenticator, token: str) -> str:
    with pytest.raises(errors.UnauthorizedError) as caught:
        authenticator.user_of_token(token)
    assert len(token) < 20 or token not in caught.value.message
    return caught.value.message


def test_a_good_token(authenticator: RequestAuthenticator) -> None:
    user = authenticator.user_of_token(issue(bound=Bound("Pod", Reference("p", "pod-1"))))
    assert user.name == "system:serviceaccount:ns:robot"
    assert user.uid == "uid-1"
    assert user.groups == (
        *("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"),
    )
    assert user.extra["authentication.kubernetes.io/pod-name"] == ("p",)
    assert user.extra["authentication.kubernetes.io/pod-uid"] == ("pod-1",)
    (credential,) = user.extra["authentication.kubernetes.io/credential-id"]
    assert credential.startswith("JTI=")


@pytest.mark.parametrize("uid", ["node-1", ""])
def test_a_token_of_a_pod_tells_its_node(authenticator: RequestAuthenticator, uid: str) -> None:
    bound = Bound("Pod", Reference("p", "pod-1"))
    user = authenticator.user_of_token(issue(bound=bound, node=Reference("n", uid)))
    extra = {
        key.removeprefix("authentication.kubernetes.io/"): value
        for key, value in user.extra.items()
    }
    assert extra["pod-name"] == ("p",)
    assert extra["node-name"] == ("n",)
    assert extra.get("node-uid", ("",)) == (uid,)


def test_two_tokens_are_never_the_same() -> None:
    assert len({claims()["jti"] for _ in range(20)}) == 20


def test_another_key(authenticator: RequestAuthenticator) -> None:
    token = signed(claims(), ec.generate_private_key(ec.SECP256R1()))
    assert "not valid" in refusal(authenticator, token)


def test_no_algorithm(authenticator: RequestAuthenticator) -> None:
    for name in ("none", "None", "NONE", "nOnE", ""):
        assert "not valid" in refusal(authenticator, raw({"alg": name, "typ": "JWT"}, claims()))


def test_the_public_key_as_a_shared_secret(authenticator: RequestAuthenticator) -> None:
    der = KEY.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for secret in (PUBLIC, PUBLIC.strip(), der, b""):
        for name, digest in (("HS256", hashlib.sha256), ("HS512", hashlib.sha512)):
            unsigned = raw({"alg": name, "typ": "JWT"}, claims()).rpartition(".")[0]
            mac = hmac.digest(secret, unsigned.encode(), digest)
            token = f"{unsigned}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
            assert "not valid" in refusal(authenticator, token)


def test_other_asymmetric_algorithms(authenticator: RequestAuthenticator) -> None:
    for key, algorithm in (
        (rsa.generate_private_key(65537, 2048), "RS256"),
        (ec.generate_private_key(ec.SECP384R1()), "ES384"),
    ):
        assert "not valid" in refusal(authenticator, signed(claims(), key, algorithm))


def test_a_key_that_the_token_brings_along(authenticator: RequestAuthenticator) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    own = json.loads(TokenSigner(pem(other)).jwks())["keys"][0]
    for header in ({"jwk": own}, {"jku": "https://evil.example/jwks"}, {"kid": SIGNER.key_id}):
        token = jwt.encode(claims(), other, "ES256", headers=header)
        assert "not valid" in refusal(authenticator, token)


def test_one_changed_character(authenticator: RequestAuthenticator) -> None:
    token = issue()
    head, payload, signature = token.split(".")
    altered = json.loads(base64.urlsafe_b64decode(payload + "=="))
    altered["kubernetes.io"]["serviceaccount"]["name"] = "admin"
    text = base64.urlsafe_b64encode(json.dumps(altered).encode()).rstrip(b"=").decode()
    assert "not valid" in refusal(authenticator, f"{head}.{text}.{signature}")
    swapped = ("A" if signature[10] != "A" else "B").join((signature[:10], signature[11:]))
    assert "not valid" in refusal(authenticator, f"{head}.{payload}.{swapped}")


@pytest.mark.parametrize(
    "token",
    [
        *("", ".", "..", "a.b.c", "a.b.c.d", "é.é.é", "\udcff.\udcff.x", "x" * 9000),
        raw({"alg": "ES256"}, [1, 2]),
        raw({"alg": "ES256"}, "text"),
        raw({"alg": "ES256"}, None),
        raw({"alg": ["ES256"]}, {}),
        raw({"alg": None}, {"iss": LEGACY_ISSUER}),
        raw({"alg": "ES256", "crit": ["b64"], "b64": False}, {}),
        base64.urlsafe_b64encode(b"[" * 2000).decode() + ".e30.AA",
        "e30." + base64.urlsafe_b64encode(b"[" * 5000).decode() + ".AA",
        base64.urlsafe_b64encode(b'{"alg":"ES256","a":' + b"[" * 2000).decode() + ".e30.AA",
        base64.urlsafe_b64encode(b'{"alg":"ES256","exp":' + b"9" * 5000 + b"}").decode() + ".e30.A",
    ],
)
def test_nonsense(authenticator: RequestAuthenticator, token: str) -> None:
    assert refusal(authenticator, token)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"exp": int(NOW.timestamp()) - 1}, "expired"),
        ({"exp": None}, "not valid"),
        ({"nbf": int(NOW.timestamp()) + 86_400}, "not valid"),
        ({"iat": int(NOW.timestamp()) + 86_400}, "not valid"),
        ({"exp": "soon"}, "not valid"),
        ({"aud": ["somebody-else"]}, "another audience"),
        ({"aud": None}, "not valid"),
        ({"aud": []}, "not valid|another audience"),
        ({"aud": 7}, "not valid|another audience"),
        ({"iss": "https://evil.example"}, "not valid"),
        ({"iss": None}, "not valid"),
        ({"iss": ["kubernetes/serviceaccount"]}, "not valid"),
        ({"sub": None}, "not valid"),
        ({"sub": "system:serviceaccount:ns:other"}, "no service account"),
        ({"kubernetes.io": None}, "no service account"),
        ({"kubernetes.io": "text"}, "no service account"),
        ({"kubernetes.io": {"namespace": "ns"}}, "no service account"),
        (
            {"kubernetes.io": {"namespace": 1, "serviceaccount": {"name": "robot", "uid": "u"}}},
            "no service account",
        ),
        (
            {"kubernetes.io": {"namespace": "ns", "serviceaccount": {"name": "robot", "uid": ""}}},
            "no service account",
        ),
    ],
)
def test_claims_that_are_not_good(
    authenticator: RequestAuthenticator, change: dict[str, Any], why: str
) -> None:
    assert re.search(why, refusal(authenticator, jwt_of(claims(**change))))


def jwt_of(payload: dict[str, Any]) -> str:
    # The library checks what it signs; an attacker with the key would not.
    return jwt.api_jws.encode(json.dumps(payload).encode(), KEY, "ES256")


def test_a_remembered_token_ends_in_time(authenticator: RequestAuthenticator, clock: Clock) -> None:
    token = issue(lifetime_seconds=86_400)
    authenticator.user_of_token(token)
    clock.moment = NOW + datetime.timedelta(seconds=86_401)
    assert "expired" in refusal(authenticator, token)


def test_an_account_that_is_gone(authenticator: RequestAuthenticator, accounts: Accounts) -> None:
    token = issue()
    authenticator.user_of_token(token)
    del accounts.uids["serviceaccounts", "ns", "robot"]
    assert "ns/robot of the token is gone" in refusal(authenticator, token)


def test_an_account_of_the_same_name(
    authenticator: RequestAuthenticator, accounts: Accounts
) -> None:
    token = issue()
    authenticator.user_of_token(token)
    accounts.uids["serviceaccounts", "ns", "robot"] = "uid-2"
    assert "gone" in refusal(authenticator, token)


@pytest.mark.parametrize("kind", ["Pod", "Secret", "Node"])
def test_a_bound_object_that_is_gone(
    authenticator: RequestAuthenticator, accounts: Accounts, kind: str
) -> None:
    place = (f"{kind.lower()}s", "" if kind == "Node" else "ns", "p")
    accounts.uids[place] = "pod-1"
    token = issue(bound=Bound(kind, Reference("p", "pod-1")))
    authenticator.user_of_token(token)
    accounts.uids[place] = "pod-2"
    assert f"the {kind.lower()} p of the token is gone" in refusal(authenticator, token)
    del accounts.uids[place]
    assert "gone" in refusal(authenticator, token)


def test_tokens_of_secrets(authenticator: RequestAuthenticator, accounts: Accounts) -> None:
    token = SIGNER.issue_for_secret("ns", ACCOUNT, "robot-token-x")
    assert "does not hold the token" in refusal(authenticator, token)
    accounts.secrets["ns", "robot-token-x"] = token
    user = authenticator.user_of_token(token)
    assert user.name == "system:serviceaccount:ns:robot"
    assert user.extra == {}
    accounts.secrets["ns", "robot-token-x"] = SIGNER.issue_for_secret(
        "ns", ACCOUNT, "robot-token-x"
    )
    assert "does not hold the token" in refusal(authenticator, token)


def test_tokens_of_secrets_are_for_this_server_only(
    authenticator: RequestAuthenticator, accounts: Accounts
) -> None:
    token = SIGNER.issue_for_secret("ns", ACCOUNT, "s")
    accounts.secrets["ns", "s"] = token
    with pytest.raises(errors.UnauthorizedError, match="another audience"):
        authenticator.review(token, ("vault",))
    assert authenticator.review(token, ("vault", SIGNER.issuer))[1] == (SIGNER.issuer,)


def test_the_issuer_of_secrets_does_not_make_other_tokens_eternal(
    authenticator: RequestAuthenticator,
) -> None:
    assert "no service account" in refusal(authenticator, signed(claims(iss=LEGACY_ISSUER)))
    other = ec.generate_private_key(ec.SECP256R1())
    payload = jwt.decode(
        SIGNER.issue_for_secret("ns", ACCOUNT, "s"), options={"verify_signature": False}
    )
    assert "not valid" in refusal(authenticator, signed(payload, other))


def test_audiences(authenticator: RequestAuthenticator) -> None:
    token = issue(audiences=("vault", "istio-ca"))
    assert "another audience" in refusal(authenticator, token)
    assert authenticator.review(token, ("x", "vault"))[1] == ("vault",)
    with pytest.raises(errors.UnauthorizedError, match="another audience"):
        authenticator.review(token, ("x",))


async def test_headers(authenticator: RequestAuthenticator) -> None:
    token = issue()
    for value in (f"Bearer {token}", f"bearer   {token} ", f"BEARER {token}"):
        user = await authenticator.authenticate({"Authorization": value}, None)
        assert user is not None
        assert user.name.endswith("robot")
    for value in ("Bearer", "Bearer ", f"Basic {token}", token, "Negotiate abc"):
        with pytest.raises(errors.UnauthorizedError):
            await authenticator.authenticate({"Authorization": value}, None)
    assert await authenticator.authenticate({}, None) is None


async def test_certificates_that_have_expired_meanwhile(
    authenticator: RequestAuthenticator, clock: Clock
) -> None:
    certificate = {
        "subject": ((("organizationName", "g"),), (("commonName", "ada"),)),
        "notAfter": "Jan  1 00:00:00 2050 GMT",
    }
    user = await authenticator.authenticate({}, certificate)
    assert user is not None
    assert (user.name, user.groups) == ("ada", ("g", "system:authenticated"))
    clock.moment = datetime.datetime(2050, 1, 2, tzinfo=datetime.UTC)
    with pytest.raises(errors.UnauthorizedError, match="expired"):
        await authenticator.authenticate({}, certificate)


async def test_a_certificate_without_a_name_leaves_it_to_the_token(
    authenticator: RequestAuthenticator,
) -> None:
    certificate = {"subject": (), "notAfter": "Jan  1 00:00:00 2050 GMT"}
    assert await authenticator.authenticate({}, certificate) is None
    headers = {"Authorization": f"Bearer {issue()}"}
    user = await authenticator.authenticate(headers, certificate)
    assert user is not None
    assert user.name == "system:serviceaccount:ns:robot"


def test_published_keys_verify_tokens() -> None:
    (key,) = json.loads(SIGNER.jwks())["keys"]
    assert key["kid"] == jwt.get_unverified_header(issue())["kid"]
    assert set(key) == {"use", "kty", "kid", "alg", "crv", "x", "y"}
    found = jwt.decode(issue(), jwt.PyJWK(key), ["ES256"], audience=SIGNER.issuer)
    assert found["sub"] == "system:serviceaccount:ns:robot"


@pytest.mark.parametrize(
    "data", [b"", b"-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----"]
)
def test_damaged_keys(data: bytes) -> None:
    with pytest.raises(SigningKeyError):
        TokenSigner(data)


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
