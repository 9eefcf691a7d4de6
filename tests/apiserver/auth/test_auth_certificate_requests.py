"""Certificates by request: who may approve, what is signed, and what never is."""

import base64
import datetime
import ipaddress
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from wherry.apiserver import certificates
from wherry.apiserver.auth import certificate_requests
from wherry.apiserver.auth.certificate_requests import CLIENT, CLIENT_KUBELET, SERVING_KUBELET
from wherry.apiserver.certificates import KeyPair
from wherry.objects import errors, kinds
from wherry.objects.requests import Object

CSRS = kinds.CERTIFICATE_SIGNING_REQUESTS
NOW = datetime.datetime.now(datetime.UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
CLIENT_USAGES = ["digital signature", "key encipherment", "client auth"]
SERVER_USAGES = ["digital signature", "server auth"]
ADA: Object = {"kind": "User", "apiGroup": kinds.ROLES.group, "name": "ada"}


def request(
    name: str = "ada",
    groups: tuple[str, ...] = (),
    names: tuple[x509.GeneralName, ...] = (),
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = KEY,
) -> bytes:
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject += [x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def csr(data: bytes, signer: str = CLIENT, usages: list[str] | None = None, **more: Any) -> Object:
    return {
        "metadata": {"name": "ada"},
        "spec": {
            "request": base64.b64encode(data).decode(),
            "signerName": signer,
            "usages": usages or CLIENT_USAGES,
            **more,
        },
    }


def judged(obj: Object, kind: str = "Approved") -> Object:
    condition = {"type": kind, "status": "True", "reason": "Test", "message": "by a test"}
    status = obj.get("status") or {}
    return {**obj, "status": {"conditions": [*(status.get("conditions") or ()), condition]}}


async def approve(client: Any, obj: Object, kind: str = "Approved") -> Object:
    made: Object = await client.update(CSRS, judged(obj, kind), subresource="approval")
    return made


def conditions_of(obj: Object) -> list[str]:
    return [each["type"] for each in (obj.get("status") or {}).get("conditions") or ()]


async def test_an_approved_request_is_signed_and_its_user_let_in(managed: Any, until: Any) -> None:
    made = await managed.client.create(CSRS, csr(request("ada", ("devs",)), expirationSeconds=3600))
    assert conditions_of(made) == []
    await approve(managed.client, made)

    async def signed() -> Object | None:
        found: Object = await managed.client.get(CSRS, "ada")
        return found if found["status"].get("certificate") else None

    found = await until(signed)
    (condition,) = found["status"]["conditions"]
    assert condition["lastUpdateTime"]
    assert condition["lastTransitionTime"]
    data = base64.b64decode(found["status"]["certificate"])
    certificate = x509.load_pem_x509_certificate(data)
    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    assert left < datetime.timedelta(hours=1, minutes=1)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    pem = KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    answer = await managed.request(
        "POST",
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
        certificate=KeyPair(data, pem),
    )
    assert answer.body["status"]["userInfo"] == {
        "username": "ada",
        "groups": ["devs", "system:authenticated"],
    }


async def test_denied_and_foreign_requests_are_not_signed(managed: Any, until: Any) -> None:
    made = await managed.client.create(CSRS, csr(request()))
    await approve(managed.client, made, "Denied")
    foreign = csr(request(), signer="example.com/mine")
    foreign["metadata"]["name"] = "foreign"
    await approve(managed.client, await managed.client.create(CSRS, foreign))
    wrong = csr(request(), signer=CLIENT_KUBELET)
    wrong["metadata"]["name"] = "wrong"
    await approve(managed.client, await managed.client.create(CSRS, wrong))

    async def refused() -> Object | None:
        found: Object = await managed.client.get(CSRS, "wrong")
        return found if "Failed" in conditions_of(found) else None

    found = await until(refused)
    failed = found["status"]["conditions"][-1]
    assert failed["reason"] == "SignerValidationFailure"
    assert "system:node" in failed["message"]
    for name in ("ada", "foreign", "wrong"):
        status = (await managed.client.get(CSRS, name))["status"]
        assert "certificate" not in status


async def test_masters_are_not_made_by_request(cluster: Any) -> None:
    body = csr(request("eve", ("devs", "system:masters")))
    with pytest.raises(errors.ForbiddenError, match="system:masters group is not allowed"):
        await cluster.client.create(CSRS, body)


async def test_who_may_approve(cluster: Any) -> None:
    rule = {
        "verbs": ["create", "get", "update", "patch"],
        "apiGroups": ["certificates.k8s.io"],
        "resources": [
            "certificatesigningrequests",
            "certificatesigningrequests/approval",
            "certificatesigningrequests/status",
        ],
    }
    await cluster.role("r", rule, namespace="")
    await cluster.bind("b", "r", ADA, kind="ClusterRole", namespace="")
    ada = cluster.as_user("ada", "devs")
    made = await ada.create(CSRS, csr(request()))
    assert made["spec"]["username"] == "ada"
    with pytest.raises(errors.ForbiddenError, match="not permitted to approve requests"):
        await approve(ada, made)
    # Neither does the main resource or the status.
    for subresource in (None, "status"):
        after = await ada.update(CSRS, judged(made), subresource=subresource)
        assert conditions_of(after) == []
        made = after
    certificate = {**made, "status": {"certificate": base64.b64encode(b"x").decode()}}
    with pytest.raises(errors.ForbiddenError, match="approved"):
        await ada.update(CSRS, certificate, subresource="status")
    signers = {
        "verbs": ["approve"],
        "apiGroups": ["certificates.k8s.io"],
        "resources": ["signers"],
        "resourceNames": ["kubernetes.io/*"],
    }
    await cluster.role("s", signers, namespace="")
    await cluster.bind("s", "s", ADA, kind="ClusterRole", namespace="")
    made = await approve(ada, made)
    assert conditions_of(made) == ["Approved"]
    certificate = {**made, "status": {**made["status"], **certificate["status"]}}
    with pytest.raises(errors.ForbiddenError, match="not permitted to sign"):
        await ada.update(CSRS, certificate, subresource="status")


async def test_a_judgement_stays(cluster: Any) -> None:
    made = await cluster.client.create(CSRS, csr(request()))
    made = await approve(cluster.client, made)
    with pytest.raises(errors.ForbiddenError, match="mutually exclusive"):
        await approve(cluster.client, made, "Denied")
    with pytest.raises(errors.ForbiddenError, match="stays"):
        await cluster.client.update(CSRS, {**made, "status": {}}, subresource="approval")
    other = {**made, "spec": {**made["spec"], "username": "root", "request": "eA=="}}
    assert (await cluster.client.update(CSRS, other))["spec"] == made["spec"]


async def test_the_asker_is_told_by_the_connection(cluster: Any) -> None:
    body = csr(request(), username="root", groups=["system:masters"], uid="0")
    made = await cluster.client.create(CSRS, body)
    assert made["spec"]["username"] == "system:wherry"
    assert made["spec"].get("uid", "") == ""


NODE = ("system:node:n1", ("system:nodes",))
DNS = (x509.DNSName("n1"),)
URI = (x509.UniformResourceIdentifier("spiffe://x"),)


@pytest.mark.parametrize(
    ("data", "signer", "usages", "why"),
    [
        (request("eve", ("system:masters",)), CLIENT, CLIENT_USAGES, "system:masters"),
        (request(""), CLIENT, CLIENT_USAGES, "common name"),
        (request(), CLIENT, ["server auth"], "client auth"),
        (request(), CLIENT, [*CLIENT_USAGES, "cert sign"], "client auth"),
        (request(), CLIENT, [*CLIENT_USAGES, "server auth"], "client auth"),
        (request(), "example.com/x", CLIENT_USAGES, "not a signer"),
        (request("system:node:n1"), CLIENT_KUBELET, CLIENT_USAGES, "subject must be"),
        (
            request("system:node:n1", ("system:nodes", "system:masters")),
            *(CLIENT_KUBELET, CLIENT_USAGES, "subject must be"),
        ),
        (request("ada", ("system:nodes",)), CLIENT_KUBELET, CLIENT_USAGES, "subject must be"),
        (request(*NODE, DNS), CLIENT_KUBELET, CLIENT_USAGES, "not allowed"),
        (request(*NODE), SERVING_KUBELET, SERVER_USAGES, "must be given"),
        (request(*NODE, URI), SERVING_KUBELET, SERVER_USAGES, "only DNS names"),
        (request(*NODE, DNS), SERVING_KUBELET, CLIENT_USAGES, "server auth"),
        (b"nonsense", CLIENT, CLIENT_USAGES, "cannot be read"),
        (
            request(key=rsa.generate_private_key(65537, 1024)),
            *(CLIENT, CLIENT_USAGES, "at least 2048"),
        ),
    ],
)
def test_what_is_not_signed(
    tmp_path: Any, data: bytes, signer: str, usages: list[str], why: str
) -> None:
    pki = certificates.load_or_create(tmp_path, (), NOW)
    with pytest.raises(certificate_requests.RefusedError, match=why):
        certificate_requests.sign(pki.authority, csr(data, signer, usages), now=NOW)


def test_a_request_with_a_foreign_signature(tmp_path: Any) -> None:
    pki = certificates.load_or_create(tmp_path, (), NOW)
    parsed = x509.load_pem_x509_csr(request())
    der = bytearray(parsed.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    pem = b"-----BEGIN CERTIFICATE REQUEST-----\n%s\n-----END CERTIFICATE REQUEST-----\n"
    with pytest.raises(certificate_requests.RefusedError, match=r"not signed by its own|cannot be"):
        certificate_requests.sign(
            pki.authority, csr(pem % base64.encodebytes(bytes(der)).strip()), now=NOW
        )


def test_what_is_signed(tmp_path: Any) -> None:
    pki = certificates.load_or_create(tmp_path, (), NOW)
    names = (x509.DNSName("n1"), x509.IPAddress(ipaddress.ip_address("10.0.0.1")))
    for data, signer, usages, seconds, days in (
        (request(*NODE, names), SERVING_KUBELET, SERVER_USAGES, None, 365),
        (request(*NODE), CLIENT_KUBELET, CLIENT_USAGES, 10**9, 365),
        (request(), CLIENT, ["client auth"], 86_400, 1),
    ):
        body = csr(data, signer, usages, expirationSeconds=seconds)
        signed = certificate_requests.sign(pki.authority, body, now=NOW)
        certificate = x509.load_pem_x509_certificate(signed)
        certificate.verify_directly_issued_by(
            x509.load_pem_x509_certificate(pki.authority.certificate)
        )
        assert certificate.public_key() == KEY.public_key()
        ends = NOW + datetime.timedelta(days=days)
        assert abs(certificate.not_valid_after_utc - ends) < datetime.timedelta(seconds=2)
