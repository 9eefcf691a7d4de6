"""Tokens and certificates that are expired, forged or of another authority, and none at all."""

import base64
import dataclasses
import datetime
import hmac
import http.client
import json
import ssl
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.waiting import eventually

pytestmark = pytest.mark.usefixtures("alive_and_unchanged")


@pytest.fixture
def good(wire: Any, space: str) -> str:
    """A service account's token that works."""
    path = f"{space}/serviceaccounts/default/token"
    eventually(lambda: wire.send("GET", f"{space}/serviceaccounts/default").code == 200)
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    made = wire.send("POST", path, json.dumps(body))
    return str(json.loads(made.text)["status"]["token"])


@dataclasses.dataclass(frozen=True)
class Forger:
    """Turns a good token into one that must not be taken."""

    good: str
    key: Any

    @property
    def claims(self) -> dict[str, Any]:
        found: dict[str, Any] = jwt.decode(self.good, options={"verify_signature": False})
        return found

    @property
    def head(self) -> dict[str, Any]:
        found: dict[str, Any] = jwt.get_unverified_header(self.good)
        return found

    def signed(self, **claims: Any) -> str:
        """The platform's own signature under other claims."""
        return jwt.encode({**self.claims, **claims}, self.key, self.head["alg"], self.head)

    def by_another_key(self) -> str:
        other = ec.generate_private_key(ec.SECP256R1())
        return jwt.encode(self.claims, other, "ES256", self.head)

    def without_signature(self) -> str:
        return f"{encoded({**self.head, 'alg': 'none'})}.{self.good.split('.')[1]}."

    def by_the_public_key_as_secret(self) -> str:
        # By hand: PyJWT itself refuses to do this.
        public = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        said = f"{encoded({**self.head, 'alg': 'HS256'})}.{self.good.split('.')[1]}"
        made = hmac.digest(public, said.encode(), "sha256")
        return f"{said}.{base64.urlsafe_b64encode(made).decode().rstrip('=')}"

    def with_more_rights(self) -> str:
        first, _, last = self.good.split(".")
        claims = {**self.claims, "sub": "system:serviceaccount:kube-system:default"}
        return f"{first}.{encoded(claims)}.{last}"

    def of_an_account_that_never_was(self) -> str:
        told = dict(self.claims["kubernetes.io"])
        told["serviceaccount"] = {"name": "default", "uid": "00000000-0000-0000-0000-000000000000"}
        return self.signed(**{"kubernetes.io": told})


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def seconds_from_now(seconds: int) -> int:
    return int(datetime.datetime.now(datetime.UTC).timestamp()) + seconds


FORGERIES: dict[str, Callable[[Forger], str]] = {
    "expired": lambda forger: forger.signed(exp=seconds_from_now(-60)),
    "not yet valid": lambda forger: forger.signed(nbf=seconds_from_now(600)),
    "other issuer": lambda forger: forger.signed(iss="https://example.com"),
    "other audience": lambda forger: forger.signed(aud=["someone-else"]),
    "other key": Forger.by_another_key,
    "no algorithm": Forger.without_signature,
    "public key as secret": Forger.by_the_public_key_as_secret,
    "more rights": Forger.with_more_rights,
    "account that never was": Forger.of_an_account_that_never_was,
    "cut": lambda forger: forger.good[:-10],
    "nonsense": lambda _: "nonsense",
    "parts": lambda _: "a.b.c",
    "long": lambda _: "x" * 5_000,
}


@pytest.mark.parametrize("how", FORGERIES)
def test_tokens_that_are_no_good(wire, space, good, how):
    assert wire.send("GET", f"{space}/pods", token=good).code == 403  # known, without rights
    pem = (wire.directory / "pki" / "sa.key").read_bytes()
    forger = Forger(good, serialization.load_pem_private_key(pem, None))
    token = FORGERIES[how](forger)
    answer = wire.send("GET", f"{space}/pods", token=token)
    assert token not in answer.is_refusal(401, "Unauthorized")["message"]


def test_a_token_ends_with_its_account(wire, world, space):
    world.create(
        kinds.SERVICE_ACCOUNTS,
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a"}},
    )
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    made = wire.send("POST", f"{space}/serviceaccounts/a/token", json.dumps(body))
    token = json.loads(made.text)["status"]["token"]
    assert wire.send("GET", f"{space}/pods", token=token).code == 403
    wire.send("DELETE", f"{space}/serviceaccounts/a")
    wire.send("GET", f"{space}/pods", token=token).is_refusal(401, "Unauthorized")


def test_nobody_gets_nothing(wire, space):
    for path in (f"{space}/secrets", "/api/v1/nodes", "/metrics", "/apis/apps/v1/deployments"):
        answer = wire.send("GET", path, anonymous=True)
        assert answer.code in {401, 403}
        assert answer.status["reason"] in {"Unauthorized", "Forbidden"}
    assert wire.send(
        "POST", f"{space}/configmaps", json.dumps(builders.config_map("bad")), anonymous=True
    ).code in {401, 403}
    answer = wire.send("GET", f"{space}/secrets", anonymous=True, Authorization="Basic YTpi")
    assert answer.code in {401, 403}
    for headers in (
        {"Impersonate_User": "system:admin", "Impersonate_Group": "system:masters"},
        {"X_Remote_User": "admin", "X_Remote_Group": "system:masters"},
    ):
        assert wire.send("GET", f"{space}/secrets", anonymous=True, **headers).code in {401, 403}


def test_a_certificate_of_another_authority(wire, space, tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters"),
            x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes-admin"),
        ]
    )
    now = datetime.datetime.now(datetime.UTC)
    authority = x509.load_pem_x509_certificate((wire.directory / "pki" / "ca.crt").read_bytes())
    for number, issuer in enumerate((name, authority.subject)):
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        crt, pem = tmp_path / f"{number}.crt", tmp_path / f"{number}.key"
        crt.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        pem.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = wire.context((crt, pem))
        connection = http.client.HTTPSConnection(
            str(wire.address.hostname), wire.address.port, context=context, timeout=90
        )
        try:
            connection.request("GET", f"{space}/secrets")
            assert connection.getresponse().status == 401
        except (ssl.SSLError, ConnectionError):
            pass  # refused in the handshake, which is as good
        finally:
            connection.close()
