"""What people do about identity with a real kubectl."""

import asyncio
import base64
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Run = Callable[..., Awaitable[tuple[int, str, str]]]
_KUBECTLS = {
    "newest": str(Path(sys.executable).with_name("kubectl")),
    "machine": shutil.which("kubectl", path="/usr/local/bin:/usr/bin:/bin"),
}


@pytest.fixture(params=_KUBECTLS)
def kubectl(request: pytest.FixtureRequest, managed: Any, tmp_path: Path) -> Run:
    """Return a coroutine function that runs kubectl as the administrator: (code, out, err)."""
    binary = _KUBECTLS[request.param]
    if not binary or not Path(binary).exists():
        pytest.skip(f"there is no {request.param} kubectl")
    pki = tmp_path / "pki"
    options = [
        f"--server=https://127.0.0.1:{managed.server.port}",
        f"--certificate-authority={pki / 'ca.crt'}",
        f"--cache-dir={tmp_path}/cache",
    ]
    admin = [f"--client-certificate={pki / 'admin.crt'}", f"--client-key={pki / 'admin.key'}"]

    async def run(*arguments: str, text: str = "", token: str = "") -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            binary,
            *options,
            *([f"--token={token}"] if token else admin),
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=tmp_path,
            env={"HOME": str(tmp_path), "KUBECONFIG": "/dev/null", "PATH": "/usr/bin:/bin"},
        )
        async with asyncio.timeout(100):
            out, err = await process.communicate(text.encode())
        return process.returncode or 0, out.decode(), err.decode()

    return run


async def ok(kubectl: Run, *arguments: str, **options: str) -> str:
    code, out, err = await kubectl(*arguments, **options)
    assert code == 0, f"{arguments}: {err}{out}"
    return out


async def test_a_certificate_is_asked_for_approved_and_used(
    kubectl: Run, managed: Any, tmp_path: Path
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "devs"),
            x509.NameAttribute(NameOID.COMMON_NAME, "ada"),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    request = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    manifest = f"""
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata:
  name: ada
spec:
  request: {base64.b64encode(request).decode()}
  signerName: kubernetes.io/kube-apiserver-client
  expirationSeconds: 86400
  usages: ["client auth"]
"""
    await ok(kubectl, "create", "-f", "-", text=manifest)
    assert "Pending" in await ok(kubectl, "get", "csr", "ada")
    assert "ada approved" in await ok(kubectl, "certificate", "approve", "ada")
    await ok(kubectl, "wait", "csr/ada", "--for=jsonpath={.status.certificate}", "--timeout=60s")
    assert "Approved,Issued" in await ok(kubectl, "get", "csr", "ada")
    data = await ok(kubectl, "get", "csr", "ada", "-o", "jsonpath={.status.certificate}")
    (tmp_path / "ada.crt").write_bytes(base64.b64decode(data))
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "ada.key").write_bytes(pem)
    # Later options win over the administrator's.
    mine = (f"--client-certificate={tmp_path / 'ada.crt'}", f"--client-key={tmp_path / 'ada.key'}")
    who = await ok(kubectl, "auth", "whoami", *mine)
    assert "ada" in who
    assert "devs" in who
    code, _, err = await kubectl("get", "pods", *mine)
    assert code == 1
    assert 'User "ada" cannot list resource "pods"' in err


async def test_a_denied_certificate(kubectl: Run) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "eve")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    request = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    manifest = f"""
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {{name: eve}}
spec:
  request: {base64.b64encode(request).decode()}
  signerName: kubernetes.io/kube-apiserver-client
  usages: ["client auth"]
"""
    await ok(kubectl, "create", "-f", "-", text=manifest)
    assert "eve denied" in await ok(kubectl, "certificate", "deny", "eve")
    assert "Denied" in await ok(kubectl, "get", "csr", "eve")


async def test_impersonation(kubectl: Run) -> None:
    who = await ok(kubectl, "auth", "whoami", "--as=ada", "--as-group=devs", "--as-uid=u-1")
    for word in ("ada", "devs", "u-1"):
        assert word in who
    code, _, err = await kubectl("get", "secrets", "--as=ada")
    assert code == 1
    assert (
        'Error from server (Forbidden): secrets is forbidden: User "ada" cannot list resource '
        '"secrets" in API group "" in the namespace "default"'
    ) in err
    answer = await kubectl("auth", "can-i", "get", "pods", "--as=ada")
    assert (answer[0], answer[1].strip()) == (1, "no")
    account = "--as=system:serviceaccount:default:robot"
    await ok(kubectl, "create", "serviceaccount", "robot")
    await ok(
        kubectl,
        "create",
        "rolebinding",
        "r",
        "--clusterrole=view",
        "--serviceaccount=default:robot",
    )
    assert (await ok(kubectl, "auth", "can-i", "list", "pods", account)).strip() == "yes"


async def test_roles_and_what_one_may(kubectl: Run) -> None:
    await ok(kubectl, "create", "serviceaccount", "robot")
    token = (await ok(kubectl, "create", "token", "robot", "--duration=10m")).strip()
    await ok(kubectl, "create", "role", "r", "--verb=get,list", "--resource=pods,pods/log")
    await ok(kubectl, "create", "rolebinding", "r", "--role=r", "--serviceaccount=default:robot")
    who = await ok(kubectl, "auth", "whoami", token=token)
    assert "system:serviceaccount:default:robot" in who
    assert "No resources found" in (await kubectl("get", "pods", token=token))[2]
    listed = await ok(kubectl, "auth", "can-i", "--list", token=token)
    assert "pods/log" in listed
    assert "/healthz" in listed
    for verb, resource, answer in (
        *(("get", "pods", "yes"), ("get", "pods/p", "yes"), ("delete", "pods", "no")),
        *(("get", "/version", "yes"), ("get", "/metrics", "no")),
    ):
        found = await kubectl("auth", "can-i", verb, resource, token=token)
        assert found[1].strip() == answer, (verb, resource)
    found = await kubectl("auth", "can-i", "get", "pods", "--subresource=log", token=token)
    assert found[1].strip() == "yes"
    await ok(kubectl, "delete", "rolebinding", "r")
    code, _, err = await kubectl("get", "pods", token=token)
    assert code == 1
    assert "(Forbidden)" in err


async def test_a_role_of_more_than_one_has(kubectl: Run) -> None:
    await ok(kubectl, "create", "serviceaccount", "robot")
    await ok(
        kubectl,
        "create",
        "rolebinding",
        "r",
        "--clusterrole=admin",
        "--serviceaccount=default:robot",
    )
    token = (await ok(kubectl, "create", "token", "robot")).strip()
    code, _, err = await kubectl(
        "create", "role", "more", "--verb=*", "--resource=pods", token=token
    )
    assert code == 1
    assert "is attempting to grant RBAC permissions not currently held" in err
    assert '{APIGroups:[""], Resources:["pods"], Verbs:["*"]}' in err


async def test_reconcile(kubectl: Run) -> None:
    manifest = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: r, namespace: default}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
"""
    out = await ok(kubectl, "auth", "reconcile", "-f", "-", text=manifest)
    assert "r reconciled" in out
    await ok(kubectl, "auth", "reconcile", "-f", "-", text=manifest.replace("get", "list"))
    verbs = await ok(kubectl, "get", "role", "r", "-o", "jsonpath={.rules[*].verbs}")
    assert verbs == '["get"] ["list"]'


async def test_a_legacy_secret_is_described(kubectl: Run) -> None:
    manifest = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: robot}
---
apiVersion: v1
kind: Secret
metadata:
  name: robot-token
  annotations: {kubernetes.io/service-account.name: robot}
type: kubernetes.io/service-account-token
"""
    await ok(kubectl, "apply", "-f", "-", text=manifest)
    await ok(kubectl, "wait", "secret/robot-token", "--for=jsonpath={.data.token}", "--timeout=60s")
    described = await ok(kubectl, "describe", "secret", "robot-token")
    for word in ("ca.crt:", "namespace:", "token:", "kubernetes.io/service-account.uid"):
        assert word in described
    token = described.partition("token:")[2].split()[0]
    assert "system:serviceaccount:default:robot" in await ok(kubectl, "auth", "whoami", token=token)
