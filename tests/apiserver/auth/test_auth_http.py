"""Who one is over real TLS, and what one is told when one may not."""

import asyncio
import contextlib
import datetime
import json
import socket
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from wherry.apiserver import certificates
from wherry.apiserver.certificates import KeyPair
from wherry.objects import kinds
from wherry.objects.requests import Object

NOW = datetime.datetime.now(datetime.UTC)
SELF = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


async def whoami(cluster: Any, **how: Any) -> Any:
    answer = await cluster.request("POST", SELF, REVIEW, **how)
    assert answer.code == 201, answer.body
    return answer.body["status"]["userInfo"]


async def test_a_certificate_of_our_authority(cluster: Any) -> None:
    authority = cluster.identity.pki.authority
    pair = certificates.issue_client(authority, "ada", ("devs", "ops"), now=NOW)
    assert await whoami(cluster, certificate=pair) == {
        "username": "ada",
        "groups": ["devs", "ops", "system:authenticated"],
    }


async def test_the_administrator(cluster: Any) -> None:
    admin = cluster.identity.pki.admin
    answer = await cluster.request("GET", "/api/v1/secrets", certificate=admin)
    assert answer.code == 200
    assert (await whoami(cluster, certificate=admin))["username"] == "kubernetes-admin"


async def test_a_certificate_of_another_authority(cluster: Any, tmp_path: Path) -> None:
    other = certificates.load_or_create(tmp_path / "other", (), NOW)
    with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
        await cluster.request("GET", "/version", certificate=other.admin)


async def test_an_authority_of_the_same_name(cluster: Any) -> None:
    ours = x509.load_pem_x509_certificate(cluster.identity.pki.authority.certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    forged = KeyPair(
        x509.CertificateBuilder()
        .subject_name(ours.subject)
        .issuer_name(ours.subject)
        .public_key(key.public_key())
        .serial_number(ours.serial_number)
        .not_valid_before(ours.not_valid_before_utc)
        .not_valid_after(ours.not_valid_after_utc)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    pair = certificates.issue_client(forged, "kubernetes-admin", ("system:masters",), now=NOW)
    with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
        await cluster.request("GET", "/version", certificate=pair)


async def test_the_servers_certificate_is_not_a_users(cluster: Any) -> None:
    with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
        await cluster.request("GET", "/version", certificate=cluster.identity.pki.server)


async def test_expired_and_future_certificates(cluster: Any) -> None:
    authority = cluster.identity.pki.authority
    for days in (-400, 10):
        moment = NOW + datetime.timedelta(days=days)
        pair = certificates.issue_client(authority, "ada", (), now=moment)
        with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
            await cluster.request("GET", "/version", certificate=pair)


async def test_a_certificate_signed_by_a_users_certificate(cluster: Any) -> None:
    authority = cluster.identity.pki.authority
    ada = certificates.issue_client(authority, "ada", (), now=NOW)
    forged = certificates.issue_client(ada, "kubernetes-admin", ("system:masters",), now=NOW)
    chain = KeyPair(forged.certificate + ada.certificate, forged.key)
    with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
        await cluster.request("GET", "/version", certificate=chain)


async def test_a_certificate_without_a_name_is_anonymous(cluster: Any) -> None:
    authority = cluster.identity.pki.authority
    key = ec.generate_private_key(ec.SECP256R1())
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters")]))
        .sign(key, hashes.SHA256())
    )
    data = certificates.certify_request(
        authority,
        request,
        usages=["client auth"],
        names=[],
        lifetime=datetime.timedelta(hours=1),
        now=NOW,
    )
    pair = KeyPair(
        data,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    answer = await cluster.request("GET", "/api/v1/secrets", certificate=pair)
    assert answer.code == 403
    assert 'User "system:anonymous"' in answer.message


async def test_plain_http_and_old_tls_are_refused(cluster: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", cluster.server.port)
    writer.write(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"HTTP/1.1 200" not in await reader.read()
    writer.close()
    context = ssl.create_default_context(cadata=cluster.identity.pki.authority.certificate.decode())
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", cluster.server.port, ssl=context)


async def test_a_client_that_does_nothing_more_does_not_hold_up_the_end(cluster: Any) -> None:
    port, authority = cluster.server.port, cluster.identity.pki.authority.certificate.decode()

    def connected() -> socket.socket:
        context = ssl.create_default_context(cadata=authority)
        tls = context.wrap_socket(
            socket.create_connection(("127.0.0.1", port)), server_hostname="127.0.0.1"
        )
        tls.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in tls.recv(65536)
        return socket.socket(fileno=tls.detach())

    def read_to_the_end(idle: socket.socket) -> None:
        # Sooner than the server would give up waiting for the client to agree to the end of TLS.
        idle.settimeout(1.5)
        with idle, contextlib.suppress(ConnectionResetError):
            while idle.recv(65536):
                pass

    idle = await asyncio.to_thread(connected)
    await cluster.server.stop()
    await asyncio.to_thread(read_to_the_end, idle)


async def test_nobody_sees_health_and_version_only(cluster: Any) -> None:
    for path in ("/healthz", "/livez", "/readyz", "/version", "/version/"):
        assert (await cluster.request("GET", path)).code == 200, path
    for path in (
        *("/", "/api", "/apis", "/api/v1", "/apis/apps/v1", "/openapi/v3", "/openapi/v2"),
        *("/metrics", "/openid/v1/jwks", "/.well-known/openid-configuration", "/healthz/ping"),
        *("/readyz/ping", "/logs", "/nothing", "/api/v1/namespaces/default"),
    ):
        answer = await cluster.request("GET", path)
        assert answer.code == 403, path
        assert 'User "system:anonymous" cannot' in answer.message
    answer = await cluster.request("POST", SELF, REVIEW)
    assert answer.code == 403


async def test_messages_of_what_is_forbidden(cluster: Any) -> None:
    await cluster.account("robot")
    token = await cluster.token("robot")
    user = 'User "system:serviceaccount:default:robot"'
    for method, path, said in (
        (
            *("GET", "/api/v1/namespaces/other/pods"),
            f'pods is forbidden: {user} cannot list resource "pods" in API group "" '
            'in the namespace "other"',
        ),
        (
            *("GET", "/api/v1/pods"),
            f'pods is forbidden: {user} cannot list resource "pods" in API group "" '
            "at the cluster scope",
        ),
        (
            *("GET", "/apis/apps/v1/namespaces/other/deployments/web"),
            f'deployments.apps "web" is forbidden: {user} cannot get resource "deployments" '
            'in API group "apps" in the namespace "other"',
        ),
        (
            *("GET", "/api/v1/namespaces/other/pods/p/log"),
            f'pods "p" is forbidden: {user} cannot get resource "pods/log" in API group "" '
            'in the namespace "other"',
        ),
        (
            *("POST", "/api/v1/namespaces/other/pods/p/portforward"),
            f'pods "p" is forbidden: {user} cannot create resource "pods/portforward" '
            'in API group "" in the namespace "other"',
        ),
        (
            *("DELETE", "/api/v1/namespaces/other/secrets"),
            f'secrets is forbidden: {user} cannot deletecollection resource "secrets" '
            'in API group "" in the namespace "other"',
        ),
        (
            *("GET", "/api/v1/namespaces/other/configmaps?watch=1"),
            f'configmaps is forbidden: {user} cannot watch resource "configmaps" in API group "" '
            'in the namespace "other"',
        ),
        (*("GET", "/metrics"), f'forbidden: {user} cannot get path "/metrics"'),
    ):
        answer = await cluster.request(method, path, token=token)
        assert (answer.code, answer.message) == (403, said)
        assert answer.body["reason"] == "Forbidden"
        assert answer.body["kind"] == "Status"


async def test_a_token_that_is_not_good_is_401_also_where_nobody_may_go(cluster: Any) -> None:
    for token in ("nonsense", "a.b.c"):
        answer = await cluster.request("GET", "/version", token=token)
        assert (answer.code, answer.body["reason"]) == (401, "Unauthorized")


async def test_rights_come_and_go_with_their_binding(cluster: Any) -> None:
    rule: Object = {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["configmaps"]}
    await cluster.account("robot")
    token = await cluster.token("robot")
    path = "/api/v1/namespaces/other/configmaps"
    assert (await cluster.request("GET", path, token=token)).code == 403
    await cluster.role("reader", rule, namespace="other")
    robot = {"kind": "ServiceAccount", "name": "robot", "namespace": "default"}
    await cluster.bind("b", "reader", robot, namespace="other")
    assert (await cluster.request("GET", path, token=token)).code == 200
    assert (await cluster.request("GET", "/api/v1/configmaps", token=token)).code == 403
    await cluster.client.delete(kinds.ROLE_BINDINGS, "b", "other")
    assert (await cluster.request("GET", path, token=token)).code == 403
    await cluster.bind("b", "reader", robot, namespace="other")
    assert (await cluster.request("GET", path, token=token)).code == 200
    await cluster.client.delete(kinds.ROLES, "reader", "other")
    assert (await cluster.request("GET", path, token=token)).code == 403


async def test_who_may_see_one_name_lists_and_watches_it(cluster: Any) -> None:
    await cluster.account("robot")
    token = await cluster.token("robot")
    for name in ("mine", "theirs"):
        body = {"metadata": {"name": name, "namespace": "default"}}
        await cluster.client.create(kinds.CONFIG_MAPS, body)
    rule = {
        "verbs": ["get", "list", "watch"],
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": ["mine"],
    }
    await cluster.role("one", rule)
    await cluster.bind(
        "b", "one", {"kind": "ServiceAccount", "name": "robot", "namespace": "default"}
    )
    base = "/api/v1/namespaces/default/configmaps"
    found = await cluster.request("GET", f"{base}?fieldSelector=metadata.name%3Dmine", token=token)
    assert [each["metadata"]["name"] for each in found.body["items"]] == ["mine"]
    for query in (
        *("", "?fieldSelector=metadata.name%3Dtheirs", "?fieldSelector=metadata.name!%3Dmine"),
        *("?fieldSelector=metadata.name%3Dmine,metadata.name%3Dtheirs", "?fieldSelector=x%5C"),
        "?fieldSelector=metadata.namespace%3Ddefault",
    ):
        assert (await cluster.request("GET", f"{base}{query}", token=token)).code == 403, query
    for path in (
        f"{base}?watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3Dmine",
        f"{base}/mine?watch=1&timeoutSeconds=1",
    ):
        seen = await cluster.request("GET", path, token=token)
        lines = seen.body if isinstance(seen.body, str) else json.dumps(seen.body)
        assert '"mine"' in lines
        assert '"theirs"' not in lines


async def test_to_read_pods_is_not_to_run_in_them(cluster: Any) -> None:
    await cluster.account("robot")
    token = await cluster.token("robot")
    rule: Object = {"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["*"]}
    await cluster.role("reader", rule)
    robot = {"kind": "ServiceAccount", "name": "robot", "namespace": "default"}
    await cluster.bind("b", "reader", robot)
    for subresource in ("exec?command=id", "attach", "portforward"):
        path = f"/api/v1/namespaces/default/pods/p/{subresource}"
        answer = await cluster.request("GET", path, token=token)
        assert answer.code == 403
        assert f'cannot create resource "pods/{subresource.partition("?")[0]}"' in answer.message
    missing = await cluster.request("GET", "/api/v1/namespaces/default/pods/p/log", token=token)
    assert missing.code == 404


async def test_documents_for_those_who_verify_tokens(cluster: Any) -> None:
    await cluster.account("robot")
    token = await cluster.token("robot")
    found = await cluster.request("GET", "/.well-known/openid-configuration", token=token)
    assert found.body["issuer"] == cluster.identity.signer.issuer
    assert found.body["jwks_uri"].endswith(f":{cluster.server.port}/openid/v1/jwks")
    keys = await cluster.request("GET", "/openid/v1/jwks", token=token)
    assert [key["kty"] for key in keys.body["keys"]] == ["EC"]
