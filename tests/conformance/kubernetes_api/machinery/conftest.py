"""A definition of the case's own, served before it is used, and a webhook that can be asked."""

import base64
import contextlib
import copy
import datetime
import http.server
import ipaddress
import json
import ssl
import threading
import time
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from wherry.objects import kinds
from wherry.objects.resources import Resource
from wherry.testing import builders
from wherry.testing.waiting import eventually

SLOW_SECONDS = 1.5
HANG_SECONDS = 60.0
"""Longer than anything waits for a webhook."""
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _version(name: str, schema: Any, **fields: Any) -> Any:
    return {
        "name": name,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": copy.deepcopy(schema)},
        **fields,
    }


@pytest.fixture(scope="session")
def version() -> Any:
    """Give ``version(name, schema, **fields)``, one version of a definition."""
    return _version


def _definition(unique: str, versions: Any, scope: str = "Namespaced", **spec: Any) -> Any:
    word = unique.replace("-", "")
    kind = f"E2e{word}"
    group = spec.pop("group", f"{word}.example.com")
    plural = f"e2e{word}s"
    names = {"plural": plural, "singular": plural[:-1], "kind": kind, "listKind": f"{kind}List"}
    return {
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": scope, "names": names, "versions": versions, **spec},
    }


@pytest.fixture
def definition(unique: str) -> Any:
    """Give ``definition(versions, scope="Namespaced", suffix="", **spec)``: it is not created."""

    def make(versions: Any, scope: str = "Namespaced", suffix: str = "", **spec: Any) -> Any:
        return _definition(unique + suffix, versions, scope, **spec)

    return make


@pytest.fixture
def serve(api: Any, cleanup: Any) -> Any:
    """Give ``serve(definition)``: create it and return the resource of each version, served."""

    def create(made: Any) -> Any:
        api.create(kinds.CUSTOM_RESOURCE_DEFINITIONS, made)
        name = made["metadata"]["name"]
        cleanup.callback(_remove, api, name)

        def established() -> bool:
            found = api.get(kinds.CUSTOM_RESOURCE_DEFINITIONS, name)
            conditions = found.get("status", {}).get("conditions", [])
            return {"Established": "True"}.items() <= {
                one["type"]: one["status"] for one in conditions
            }.items()

        eventually(established)
        return [_resource(made, one["name"]) for one in made["spec"]["versions"]]

    return create


def _resource(made: Any, version: str) -> Resource:
    spec = made["spec"]
    return Resource(
        spec["group"],
        version,
        spec["names"]["plural"],
        spec["names"]["kind"],
        namespaced=spec["scope"] == "Namespaced",
    )


def _remove(api: Any, name: str) -> None:
    if api.find(kinds.CUSTOM_RESOURCE_DEFINITIONS, name):
        api.delete(kinds.CUSTOM_RESOURCE_DEFINITIONS, name)


@pytest.fixture
def serve_schema(definition: Any, serve: Any) -> Any:
    """Give ``serve_schema(schema, **spec)``: one version of it, served; return its resource."""

    def make(schema: Any = ANYTHING, scope: str = "Namespaced", **fields: Any) -> Any:
        (resource,) = serve(definition([_version("v1", schema, **fields)], scope))
        return resource

    return make


def _deny(request):
    text = json.dumps(request.get("object") or {})
    bad = request["operation"] == "CONNECT" or "webhook-disallow" in text
    return {"allowed": not bad, "status": {"message": "the webhook does not allow it"}}


def _always_deny(request):
    return {"allowed": False, "status": {"message": "this webhook denies all requests"}}


def _slow(request):
    time.sleep(SLOW_SECONDS)
    return {"allowed": True}


def _hang(request):
    # A moment that is long is not enough: a machine may be slow to see that one has passed.
    time.sleep(HANG_SECONDS)
    return {"allowed": True}


def _patched(*operations):
    patch = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"allowed": True, "patch": patch, "patchType": "JSONPatch"}


def _add_data(stage, wants):
    def answer(request):
        data = (request.get("object") or {}).get("data") or {}
        if wants not in data:
            return {"allowed": True}
        return _patched({"op": "add", "path": f"/data/mutation-{stage}", "value": "yes"})

    return answer


def _add_container(request):
    added = [{"name": "added", "image": builders.IMAGE, "command": ["true"]}]
    return _patched({"op": "add", "path": "/spec/initContainers", "value": added})


def _add_label(request):
    return _patched({"op": "add", "path": "/metadata/labels", "value": {"mutated": "yes"}})


ANSWERS = {
    "/deny": _deny,
    "/always-deny": _always_deny,
    "/slow": _slow,
    "/hang": _hang,
    "/first": _add_data("stage-1", "mutation-start"),
    "/second": _add_data("stage-2", "mutation-stage-1"),
    "/container": _add_container,
    "/label": _add_label,
}


def _converted(obj, wanted):
    made = {**obj, "apiVersion": wanted}
    if wanted.endswith("/v2") and "hostPort" in made:
        made["host"], _, made["port"] = made.pop("hostPort").partition(":")
    elif wanted.endswith("/v1") and "host" in made:
        made["hostPort"] = f"{made.pop('host')}:{made.pop('port', '')}"
    return made


def _convert(request):
    wanted = request["desiredAPIVersion"]
    objects = [_converted(obj, wanted) for obj in request["objects"]]
    return {"convertedObjects": objects, "result": {"status": "Success"}}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = self.path.partition("?")[0]
        answer = _convert if path == "/convert" else ANSWERS[path]
        review["response"] = {**answer(review["request"]), "uid": review["request"]["uid"]}
        body = json.dumps(review).encode()
        with contextlib.suppress(OSError):  # who asked may have given up
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


def _certificate():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "webhook")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private


class QuietServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Say nothing of who hangs up."""


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Give the clientConfig for a path."""
    certificate, key = _certificate()
    pem = tmp_path_factory.mktemp("webhook") / "server.pem"
    pem.write_bytes(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    listening = QuietServer(("127.0.0.1", 0), Handler)
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    bundle = base64.b64encode(certificate).decode()
    port = listening.server_address[1]
    yield lambda path: {"url": f"https://127.0.0.1:{port}{path}", "caBundle": bundle}
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture
def conversion(server):
    """Give what converts between `hostPort` (v1) and `host` and `port` (v2)."""
    webhook = {"clientConfig": server("/convert"), "conversionReviewVersions": ["v1"]}
    return {"strategy": "Webhook", "webhook": webhook}
