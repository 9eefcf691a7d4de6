"""Certificate requests and what a node may read, as upstream's sig-auth cases have them."""

import base64
import contextlib
import ssl
from pathlib import Path
from typing import Any

import pytest
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.waiting import eventually

REQUESTS = kinds.CERTIFICATE_SIGNING_REQUESTS
CERTIFICATES = "Certificates API [Privileged:ClusterAdmin]"
NODES = "[Feature:NodeAuthorizer]"
APPROVED = {"type": "Approved", "status": "True", "reason": "E2E", "message": "Set from a test"}


def case(name: str, what: str = CERTIFICATES) -> pytest.MarkDecorator:
    full = f"{what} {name}"
    return pytest.mark.conformance("kubernetes-api", group="sig-auth", name=full)


def request(key: ec.EllipticCurvePrivateKey, user: str, **labels: str) -> Any:
    """Build a request for a client's certificate."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user)])
    signed = (
        x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    )
    pem = signed.public_bytes(serialization.Encoding.PEM)
    return {
        "metadata": {"generateName": f"{user}-", "labels": labels},
        "spec": {
            "request": base64.b64encode(pem).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client",
            "usages": ["digital signature", "key encipherment", "client auth"],
            "expirationSeconds": 3600,
        },
    }


def approve(api: Any, made: Any) -> Any:
    changed = {**made, "status": {**made.get("status", {}), "conditions": [APPROVED]}}
    return api.update(REQUESTS, changed, "approval")


@case("should support building a client with a CSR")
def test_client(api: Any, tmp_path: Path, unique: str, cleanup: contextlib.ExitStack) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    made = api.create(REQUESTS, request(key, "tester-csr"))
    name = made["metadata"]["name"]
    approve(api, made)
    status = eventually(
        lambda: (found := api.get(REQUESTS, name)["status"]).get("certificate") and found,
        what="it is signed",
    )
    (tmp_path / "crt").write_bytes(base64.b64decode(status["certificate"]))
    pem = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *pem))
    role = {
        "metadata": {"name": unique},
        "subjects": [
            {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "tester-csr"}
        ],
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
    }
    api.create(kinds.CLUSTER_ROLE_BINDINGS, role)
    cleanup.callback(api.delete, kinds.CLUSTER_ROLE_BINDINGS, unique)
    tls = ssl.create_default_context(cafile=str(api.platform.directory / "pki" / "ca.crt"))
    tls.load_cert_chain(str(tmp_path / "crt"), str(tmp_path / "key"))
    with urllib3.PoolManager(ssl_context=tls, retries=False) as pool:

        def deleted() -> bool:
            answer = pool.request("DELETE", api.platform.url + REQUESTS.path(None, name))
            return answer.status == 200

        eventually(deleted, what="the new client may delete its own request")
    assert api.find(REQUESTS, name) is None


@case("should support CSR API operations")
def test_api(api: Any, unique: str) -> None:
    groups = {one["name"]: one for one in api.ask("GET", "/apis")["groups"]}
    versions = [one["version"] for one in groups["certificates.k8s.io"]["versions"]]
    assert "v1" in versions
    served = {one["name"] for one in api.ask("GET", "/apis/certificates.k8s.io/v1")["resources"]}
    plural = "certificatesigningrequests"
    assert {plural, f"{plural}/approval", f"{plural}/status"} <= served
    key = ec.generate_private_key(ec.SECP256R1())
    selector = f"special={unique}"
    with api.watch(REQUESTS, labelSelector=selector) as watch:
        made = [api.create(REQUESTS, request(key, "e2e", special=unique)) for _ in range(3)]
        watch.until_type("ADDED")
        name = made[0]["metadata"]["name"]
        assert api.get(REQUESTS, name)["spec"]["signerName"] == made[0]["spec"]["signerName"]
        assert len(api.items(REQUESTS, labelSelector=selector)) == 3
        patch = {"metadata": {"annotations": {"patched": "true"}}}
        patched = api.patch(REQUESTS, name, patch)
        assert patched["metadata"]["annotations"]["patched"] == "true"
        watch.until_type("MODIFIED")
        patched["metadata"]["annotations"]["updated"] = "true"
        updated = api.update(REQUESTS, patched)
        assert updated["metadata"]["annotations"]["updated"] == "true"
        _check_subresources(api, name)
        api.delete(REQUESTS, name)
        watch.until_type("DELETED")
        api.delete_collection(REQUESTS, labelSelector=selector)
        assert api.items(REQUESTS, labelSelector=selector) == []


def _check_subresources(api: Any, name: str) -> None:
    read = api.get(REQUESTS, name, None, "approval")
    patch = {
        "metadata": {"annotations": {"patchedapproval": "true"}},
        "status": {"conditions": [{**APPROVED, "type": "ApprovalPatch"}]},
    }
    patched = api.patch(REQUESTS, name, patch, subresource="approval")
    assert patched["metadata"]["annotations"]["patchedapproval"] == "true"
    assert [one["type"] for one in patched["status"]["conditions"]] == ["ApprovalPatch"]
    assert read["kind"] == "CertificateSigningRequest"
    assert "Approved" in str(approve(api, patched)["status"]["conditions"])
    status = api.get(REQUESTS, name, None, "status")["status"]
    patch = {
        "metadata": {"annotations": {"patchedstatus": "true"}},
        "status": {"conditions": [*status["conditions"], {**APPROVED, "type": "StatusPatch"}]},
    }
    patched = api.patch(REQUESTS, name, patch, subresource="status")
    assert "StatusPatch" in str(patched["status"]["conditions"])
    patched["status"]["conditions"].append({**APPROVED, "type": "StatusUpdate"})
    updated = api.call("PUT", REQUESTS.path(None, name, "status"), patched)
    assert updated.code in {200, 409}, updated.text


@pytest.fixture
def as_node(api: Any) -> Any:
    """Give the API as the node has it."""
    [name] = api.names(kinds.NODES)
    return api.as_user(f"system:node:{name}", "system:nodes")


@pytest.mark.parametrize(
    ("resource", "there"),
    [
        pytest.param(
            resource,
            there,
            marks=case(
                f"Getting an existing {word} should exit with the Forbidden error"
                if there
                else f"Getting a non-existent {word} should exit with the Forbidden error, not a NotFound error",
                NODES,
            ),
        )
        for word, resource in (("secret", kinds.SECRETS), ("configmap", kinds.CONFIG_MAPS))
        for there in (True, False)
    ],
)
def test_what_a_node_may_not_read(
    api: Any, as_node: Any, namespace: str, refused: Any, resource: Any, there: bool
) -> None:
    if there:
        api.create(resource, {"metadata": {"name": "foo"}}, namespace)
    with refused(403, "Forbidden"):
        as_node.get(resource, "foo", namespace)


@case("Getting a secret for a workload the node has access to should succeed", NODES)
def test_what_a_node_may_read(api: Any, as_node: Any, namespace: str, refused: Any) -> None:
    api.create(kinds.SECRETS, builders.secret("s", namespace=namespace, data="kept"))
    with refused(403, "Forbidden"):
        as_node.get(kinds.SECRETS, "s", namespace)
    [node] = api.names(kinds.NODES)
    volumes = [{"name": "s", "secret": {"secretName": "s"}}]
    api.create(kinds.PODS, builders.pod("p", namespace=namespace, nodeName=node, volumes=volumes))
    path = kinds.SECRETS.path(namespace, "s")
    eventually(lambda: as_node.call("GET", path).code == 200, what="the node may read it")


@case("A node shouldn't be able to create another node", NODES)
def test_no_node_makes_another(as_node: Any, refused: Any) -> None:
    with refused(403, "Forbidden"):
        as_node.create(kinds.NODES, {"metadata": {"name": "foo"}})


@case("A node shouldn't be able to delete another node", NODES)
def test_no_node_deletes_another(as_node: Any, refused: Any) -> None:
    with refused(403, "Forbidden"):
        as_node.delete(kinds.NODES, "foo")
