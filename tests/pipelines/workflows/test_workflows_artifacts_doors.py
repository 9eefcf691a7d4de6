"""Workflows whose artifacts are in stores with a door: a Google account's key, or S3's session token, lets in."""

import base64
import contextlib
import datetime
import http.client
import http.server
import ipaddress
import json
import ssl
import threading
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.testing import environments, object_stores
from wherry.testing.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ROOT = Path(__file__).resolve().parents[3]
TOKEN = "given-for-the-key"
_HOPS = {"Host", "Connection", "Transfer-Encoding", "Content-Length", "Expect"}
_SIGNED = "AWS4-HMAC-SHA256 Credential=some/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
_TOLD = ("", "-aws-kms-key-id")


class _Door(http.server.ThreadingHTTPServer):
    """Lets nobody to a store who does not bring what opens it."""

    daemon_threads = True
    header, value = "", ""

    def __init__(self, store):
        super().__init__(("127.0.0.1", 0), _Visitor)
        self.store = store
        self.url = f"http://127.0.0.1:{self.server_port}"

    def check(self, assertion):
        """Raise if what is said for a token is not signed."""
        raise InvalidSignature

    @contextlib.contextmanager
    def kept(self):
        """Have it open, in front of its store, as long as this goes on."""
        self.store.start()
        thread = threading.Thread(target=self.serve_forever)
        thread.start()
        yield self
        self.shutdown()
        thread.join()
        self.server_close()
        self.store.kill()


class _Google(_Door):
    """Gives a token to whoever signs with an account's key."""

    header, value = "Authorization", f"Bearer {TOKEN}"

    def __init__(self, store):
        super().__init__(store)
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def account(self):
        """Return the JSON of an account, as Google gives it."""
        return json.dumps(
            {
                "type": "service_account",
                "project_id": "p",
                "private_key_id": "1",
                "private_key": _pem(self.key),
                "client_email": "steps@p.iam.gserviceaccount.com",
                "client_id": "1",
                "token_uri": f"{self.url}/token",
            }
        )

    def check(self, assertion):
        """Raise if an assertion is not signed with the account's key."""
        signed, _, signature = assertion.rpartition(".")
        raw = base64.urlsafe_b64decode(signature + "==")
        self.key.public_key().verify(raw, signed.encode(), padding.PKCS1v15(), hashes.SHA256())


class _Amazon(_Door):
    """Speaks TLS with a certificate that only who has it trusts, and asks for a session token."""

    header, value = "X-Amz-Security-Token", TOKEN

    def __init__(self, store, folder):
        super().__init__(store)
        self.url = self.url.replace("http://", "https://")
        self.certificate, key = _certificate()
        (folder / "door.pem").write_text(key + self.certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "door.pem")
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    def handle_error(self, request, client_address):
        """Say nothing of clients that do not trust the certificate."""


def _pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _certificate():
    """Return a certificate of this machine that it has signed itself, and its key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "door")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), _pem(key)


class _Visitor(http.server.BaseHTTPRequestHandler):
    # Before this version nobody is told to go on who asks for that.
    protocol_version = "HTTP/1.1"

    @property
    def _door(self):
        assert isinstance(self.server, _Door)
        return self.server

    def _serve(self):
        body = self._body()
        if self.path == "/token":
            self._give_token(body)
        elif self.headers[self._door.header] != self._door.value:
            self._answer(401, b'{"error": {"code": 401, "message": "no token"}}', {})
        else:
            self._pass_on(body)

    def __getattr__(self, name):
        if not name.startswith("do_"):
            raise AttributeError(name)
        return self._serve

    def _body(self):
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"] or 0))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _give_token(self, body):
        try:
            self._door.check(urllib.parse.parse_qs(body.decode())["assertion"][0])
        except InvalidSignature:
            self._answer(400, b'{"error": "invalid_grant"}', {})
            return
        told = {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}
        self._answer(200, json.dumps(told).encode(), {"Content-Type": "application/json"})

    def _pass_on(self, body):
        headers = {name: value for name, value in self.headers.items() if name not in _HOPS}
        store = http.client.HTTPConnection("127.0.0.1", self._door.store.port, timeout=60)
        with contextlib.closing(store):
            store.request(self.command, self.path, body or None, headers)
            reply = store.getresponse()
            self._answer(reply.status, reply.read(), reply.headers)

    def _answer(self, code, content, headers):
        self.send_response(code)
        for name, value in headers.items():
            if name not in _HOPS:
                self.send_header(name, value)
        length = headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(content)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def servers():
    """The folder of an environment with servers of stores."""
    return environments.environment(
        ROOT / "requirements" / "stores.txt", ROOT / "build" / "clients"
    )


@pytest.fixture
def google(servers):
    """Google's storage behind a door."""
    with _Google(object_stores.gcs(servers)).kept() as door:
        yield door


@pytest.fixture
def amazon(servers, tmp_path):
    """S3 behind a door."""
    with _Amazon(object_stores.moto(servers), tmp_path).kept() as door:
        yield door


def _repository(nodes, store):
    made = {"namespace": nodes.namespace, "name": "artifact-repositories"}
    made["annotations"] = {"workflows.argoproj.io/default-artifact-repository": "it"}
    data = {"metadata": made, "data": {"it": json.dumps(store)}}
    nodes.platform.call(nodes.client.create(core.CONFIG_MAPS, data))


@pytest.fixture
def gcs(nodes, google):
    """Have the namespace's artifact repository be in Google's storage; return it."""
    told = {"gs": {"default": {"endpoint": google.url, "credentials": {"fromEnv": True}}}}
    nodes.create(core.CONFIG_MAPS, "kfp-launcher", {"data": {"providers": json.dumps(told)}})
    nodes.create(core.SECRETS, "account", {"stringData": {"key.json": google.account()}})
    secret = {"name": "account", "key": "key.json"}
    store = {"bucket": "bucket", "serviceAccountKeySecret": secret}
    _repository(nodes, {"gcs": {**store, "keyFormat": "argo/{{pod.name}}"}})
    return store


@pytest.fixture
def s3_store(nodes, amazon):
    """Have the namespace's artifact repository be in S3; return it."""
    keys = {"a": "some", "s": "some", "token": TOKEN, "ca.crt": amazon.certificate}
    nodes.create(core.SECRETS, "keys", {"stringData": keys})
    named = {"accessKey": "a", "secretKey": "s", "sessionToken": "token", "ca": "ca.crt"}
    store: Object = {f"{each}Secret": {"name": "keys", "key": key} for each, key in named.items()}
    store |= {"bucket": "bucket", "endpoint": amazon.url.removeprefix("https://")}
    store |= {"region": "us-east-1"}
    store["encryptionOptions"] = {"enableEncryption": True, "kmsKeyId": "the-key"}
    _repository(nodes, {"s3": {**store, "keyFormat": "argo/{{pod.name}}"}})
    return store


def _kept(door):
    """Return the names of what is in the store."""
    with urllib.request.urlopen(f"{door.store.url}/storage/v1/b/bucket/o", timeout=60) as reply:
        return {each["name"] for each in json.load(reply).get("items", ())}


def _script(source, **fields):
    return {"script": {"image": "python:3.11", "command": ["sh", "-e"], "source": source}, **fields}


def _workflow(kind, store):
    own = {**store, "key": "own/key.txt"}
    left = [
        {"name": "table", "path": "/tmp/table"},
        {"name": "brief", "path": "/tmp/table", "artifactGC": {"strategy": "OnWorkflowCompletion"}},
        {"name": "own", "path": "/tmp/own", kind: own, "archive": {"none": {}}},
    ]
    taken = [
        {"name": "table", "path": "/tmp/table"},
        {"name": "own", "path": "/brought/own", kind: own},
    ]
    given = [{"name": "table", "from": "{{steps.make.outputs.artifacts.table}}"}]
    read = {"name": "read", "template": "read", "arguments": {"artifacts": given}}
    make = _script("echo 1 > /tmp/table; echo 2 > /tmp/own", outputs={"artifacts": left})
    take = _script("cat /tmp/table /brought/own > /tmp/both", inputs={"artifacts": taken})
    both = {"name": "both", "valueFrom": {"path": "/tmp/both"}}
    steps = [[{"name": "make", "template": "make"}], [read]]
    templates = [{"name": "main", "steps": steps}, {"name": "make", **make}]
    templates.append({"name": "read", **take, "outputs": {"parameters": [both]}})
    gc = {"strategy": "OnWorkflowDeletion"}
    spec = {"entrypoint": "main", "artifactGC": gc, "templates": templates}
    return {"metadata": {"name": "behind"}, "spec": spec}


def _check(ended, kind):
    """Check that a workflow has read what it wrote; return the key of its table."""
    assert ended["status"]["phase"] == "Succeeded", ended["status"]
    nodes = {each["displayName"]: each for each in ended["status"]["nodes"].values()}
    assert nodes["read"]["outputs"]["parameters"][0]["value"] == "1\n2"
    made = {each["name"]: each for each in nodes["make"]["outputs"]["artifacts"]}
    assert made["own"][kind]["key"] == "own/key.txt"
    return made["table"][kind]["key"]


def test_google_is_written_to_and_read_with_the_key_of_an_account(workflows, google, gcs):
    key = _check(workflows.ended(_workflow("gcs", gcs)), "gcs")

    def told():
        return workflows.get("behind")["status"].get("artifactGCStatus", {})

    done = {"OnWorkflowCompletion": True}
    eventually(lambda: told().get("strategiesProcessed") == done, 180, what="the brief one's end")
    assert list(told()["podsRecouped"].values()) == [True]
    assert _kept(google) == {"own/key.txt", key}
    workflows.delete("behind")
    assert _kept(google) == set()


def test_s3_takes_a_session_token_a_certificate_and_encryption(workflows, amazon, s3_store):
    key = _check(workflows.ended(_workflow("s3", s3_store)), "s3")
    for name in (key, "own/key.txt"):
        asked = urllib.request.Request(f"{amazon.store.url}/bucket/{name}", method="HEAD")
        asked.add_header("Authorization", _SIGNED)
        with urllib.request.urlopen(asked, timeout=60) as reply:
            told = {each: reply.headers[f"x-amz-server-side-encryption{each}"] for each in _TOLD}
        assert told == {"": "aws:kms", "-aws-kms-key-id": "the-key"}
    workflows.delete("behind")
