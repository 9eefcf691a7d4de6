"""Artifacts that are had from servers by HTTP and put there, by whoever says who they are."""

import asyncio
import base64
import dataclasses
import datetime
import gzip
import ipaddress
import ssl
import threading
import urllib.parse
import urllib.request
from typing import Any

import pytest
import yaml
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from wherry.metadata.artifacts.storage import MissingError, StorageError
from wherry.objects import kinds as core
from wherry.pipelines.controller.roots import Root
from wherry.pipelines.steps.draft import DELIVER, FETCH, StepError
from wherry.pipelines.workflows.agent import web as asking
from wherry.pipelines.workflows.agent.failing import AgentError
from wherry.pipelines.workflows.agent.redirecting import Redirections
from wherry.pipelines.workflows.artifacts import errands, targets
from wherry.pipelines.workflows.artifacts.order import Order
from wherry.pipelines.workflows.artifacts.plan import Output, Plan
from wherry.pipelines.workflows.artifacts.repository import Repository
from wherry.testing.waiting import eventually

CLIENT, SECRET, TOKEN = "steps:one", "se%cret", "given-for-the-secret"
SECONDS = 180


def _made(name, issuer=None, *, addresses=()):
    """Return a certificate and its key; signed by itself, if nobody else is there to."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    above, signing = (issuer[0].subject, issuer[1]) if issuer else (subject, key)
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(above)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=not issuer, path_length=None), critical=True)
    )
    if addresses:
        builder = builder.add_extension(x509.SubjectAlternativeName(addresses), critical=False)
    return builder.sign(signing, hashes.SHA256()), key


def _pem(part):
    if isinstance(part, x509.Certificate):
        return part.public_bytes(serialization.Encoding.PEM).decode()
    form = serialization.PrivateFormat.PKCS8
    return part.private_bytes(
        serialization.Encoding.PEM, form, serialization.NoEncryption()
    ).decode()


@dataclasses.dataclass(frozen=True)
class Seen:
    """A request."""

    method: str
    path: str
    headers: dict[str, str]
    client: str
    body: bytes


class Site:
    """Keeps files for those who say who they are: /basic, /token and /cert each in its own way.

    Attributes:
        port: Of it.
        files: What it keeps, by paths.
        seen: All requests that it has been sent.
        in_form: It gives tokens only to those who say in the form who they are.
        failures: How many requests it still answers with 503.
    """

    def __init__(self, folder):
        self.files, self.seen = {}, []
        self.in_form, self.failures, self.port = False, 0, 0
        self.authority = _made("authority")
        addresses = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        self.trusted = folder / "authority.pem"
        self.trusted.write_text(_pem(self.authority[0]))
        server = folder / "server.pem"
        server.write_text(
            "".join(_pem(part) for part in _made("server", self.authority, addresses=addresses))
        )
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.trusted)
        self.context.load_cert_chain(server)
        self.context.verify_mode = ssl.CERT_OPTIONAL

    def url(self, path, host="127.0.0.1"):
        """Return the URL of a file."""
        return f"https://{host}:{self.port}{path}"

    def pair(self, name):
        """Return a certificate of a client, and its key, as texts."""
        return tuple(_pem(part) for part in _made(name, self.authority))

    async def answer(self, request):
        """Answer a request."""
        peer = request.transport.get_extra_info("peercert") or {}
        client = dict(each[0] for each in peer.get("subject", ())).get("commonName", "")
        body = await request.read()
        self.seen.append(Seen(request.method, request.path, dict(request.headers), client, body))
        if self.failures:
            self.failures -= 1
            return web.Response(status=503)
        if request.path == "/give":
            return self._given(request, body)
        if request.path.startswith("/away/"):
            code, place = int(request.query["code"]), request.query["to"]
            return web.Response(status=code, headers={"Location": place})
        if not self._lets_in(request, client):
            return web.Response(status=403)
        if request.method == "PUT":
            self.files[request.path] = body
            return web.Response(status=201)
        kept = self.files.get(request.path)
        return web.Response(status=404 if kept is None else 200, body=kept)

    def _lets_in(self, request, client):
        way = request.path.split("/")[1]
        told = request.headers.get("Authorization")
        wanted = {"basic": "Basic bWU6c2VjcmV0", "token": f"Bearer {TOKEN}"}
        return client == "steps" if way == "cert" else told == wanted.get(way)

    def _given(self, request, body):
        form = dict(urllib.parse.parse_qsl(body.decode()))
        who: tuple[str | None, ...]
        if self.in_form:
            who = form.get("client_id"), form.get("client_secret")
        else:
            coded = request.headers.get("Authorization", "").removeprefix("Basic ")
            who = tuple(
                urllib.parse.unquote_plus(part)
                for part in base64.b64decode(coded).decode().split(":")
            )
        if who != (CLIENT, SECRET):
            told = {"error": "invalid_client", "error_description": "nobody of that name"}
            return web.json_response(told, status=401)
        if (form["grant_type"], form["scope"]) != ("client_credentials", "read write"):
            return web.json_response({"error": "invalid_scope"}, status=400)
        assert form["audience"] == "files"
        return web.json_response({"access_token": TOKEN, "token_type": "bearer"})


@pytest.fixture
def site(tmp_path):
    """A server of HTTPS, which pods and this process reach."""
    made, loop = Site(tmp_path), asyncio.new_event_loop()
    app = web.Application(client_max_size=64 * 1024**2)
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app)

    async def begin():
        await runner.setup()
        where = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=made.context)
        await where.start()
        made.port = runner.addresses[0][1]

    loop.run_until_complete(begin())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield made
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def trusted(site, monkeypatch):
    """Have this process trust the server; return what agents are told of each way to say who asks."""
    certificate, key = site.pair("steps")
    values = {
        "USER": "me",
        "PASSWORD": "secret",
        "CERT": certificate,
        "KEY": key,
        "ID": CLIENT,
        "SECRET": SECRET,
        "URL": site.url("/give"),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SSL_CERT_FILE", str(site.trusted))
    form = [["grant_type", "client_credentials"], ["scope", "read write"], ["audience", "files"]]
    asked = {"clientIDSecret": "ID", "clientSecretSecret": "SECRET", "tokenURLSecret": "URL"}
    return {
        "basic": {"usernameSecret": "USER", "passwordSecret": "PASSWORD"},
        "token": {"oauth2": {**asked, "form": form}},
        "cert": {"clientCert": {"clientCertSecret": "CERT", "clientKeySecret": "KEY"}},
    }


def _told(way):
    return {"headers": [["X-Key", "told"]], **way}


@pytest.mark.parametrize("way", ["basic", "token", "cert"])
def test_a_file_goes_there_and_back(site, trusted, tmp_path, way):
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(b"some bytes" * 100_000)
    url, told = site.url(f"/{way}/file"), _told(trusted[way])
    asking.put(url, told, source)
    asking.get(url, told, back)
    assert back.read_bytes() == source.read_bytes() == site.files[f"/{way}/file"]
    put = next(each for each in site.seen if each.method == "PUT")
    assert (put.headers["X-Key"], put.headers["Content-Length"]) == ("told", "1000000")
    # As upstream's: a URL that is signed without a type would not hold for one with it.
    assert "Content-Type" not in put.headers
    with pytest.raises(AgentError, match=r"HTTP 403 Forbidden"):
        asking.put(url, _told({}), source)
    with pytest.raises(MissingError, match=r"there is nothing"):
        asking.get(site.url(f"/{way}/none"), told, back)


def test_a_token_is_given_to_who_says_in_the_form_who_asks(site, trusted, tmp_path):
    site.in_form = True
    (tmp_path / "source").touch()
    asking.put(site.url("/token/empty"), _told(trusted["token"]), tmp_path / "source")
    assert site.files["/token/empty"] == b""
    assert [each.path for each in site.seen] == ["/give", "/give", "/token/empty"]


def test_why_there_is_no_token_is_told_without_the_secret(site, trusted, monkeypatch, tmp_path):
    url, told = site.url("/token/x"), _told(trusted["token"])
    monkeypatch.setenv("SECRET", "a-wrong-one")
    with pytest.raises(AgentError, match=r"HTTP 401 Unauthorized: invalid_client: nobody") as seen:
        asking.get(url, told, tmp_path / "x")
    assert "a-wrong-one" not in str(seen.value)
    monkeypatch.setenv("URL", "file:///etc/passwd")
    with pytest.raises(AgentError, match=r"tokenURLSecret: want http:// or https://$"):
        asking.get(url, told, tmp_path / "x")


REDIRECTED = [("PUT", 307), ("PUT", 308), ("GET", 302), ("GET", 307)]


def _asked(method, url, told, path):
    if method == "PUT":
        asking.put(url, told, path)
    else:
        asking.get(url, told, path)


@pytest.mark.parametrize(("method", "code"), REDIRECTED)
@pytest.mark.parametrize("way", ["basic", "token", "cert"])
def test_another_host_is_not_told_who_asks(site, trusted, tmp_path, way, method, code):
    path, told = tmp_path / "file", _told(trusted[way])
    path.write_text("text")
    site.files[f"/{way}/same"] = b"text"

    def away(host):
        target = urllib.parse.quote(site.url(f"/{way}/same", host))
        return site.url(f"/away/x?code={code}&to={target}")

    _asked(method, away("127.0.0.1"), told, path)
    with pytest.raises(AgentError, match=r"HTTP 403"):
        _asked(method, away("localhost"), told, path)
    same, other = [each for each in site.seen if each.path == f"/{way}/same"]
    assert same.client or same.headers["Authorization"]
    assert (other.client, other.headers.get("Authorization")) == ("", None)
    for each in (same, other):
        assert (each.method, each.headers["X-Key"]) == (method, "told")
        assert each.body == (b"text" if method == "PUT" else b"")


def test_what_was_secured_is_not_told_in_the_open():
    first = urllib.request.Request("https://one/x", headers={"Authorization": "x", "X-Key": "y"})
    answer: tuple[Any, ...] = (None, 302, "Found", {}, "http://one/x")
    found = Redirections().redirect_request(first, *answer)
    assert found is not None
    assert found.headers == {"X-key": "y"}


def test_a_file_is_not_lost_where_a_server_redirects_to_reading(site, trusted, tmp_path):
    (tmp_path / "source").write_text("text")
    for code in (301, 302, 303):
        url = site.url(f"/away/x?code={code}&to={site.url('/basic/x')}")
        with pytest.raises(AgentError, match=f"HTTP {code}"):
            asking.put(url, _told(trusted["basic"]), tmp_path / "source")
    assert {each.path for each in site.seen} == {"/away/x"}


def test_what_may_pass_is_told_from_what_will_not(site, trusted, monkeypatch, tmp_path):
    (tmp_path / "source").write_text("text")
    for way in ("basic", "token"):
        site.failures = 1
        with pytest.raises(StorageError, match=r"HTTP 503"):
            asking.put(site.url(f"/{way}/x"), _told(trusted[way]), tmp_path / "source")
    monkeypatch.setenv("KEY", site.pair("another")[1])
    with pytest.raises(AgentError, match=r"clientCert: want a certificate and its key in PEM"):
        asking.get(site.url("/cert/x"), _told(trusted["cert"]), tmp_path / "x")


# What agents are told.


def _reference(key, name="door"):
    return {"name": name, "key": key}


AUTH = {
    "basic": {
        "basicAuth": {
            "usernameSecret": _reference("user"),
            "passwordSecret": _reference("password"),
        }
    },
    "token": {
        "oauth2": {
            "clientIDSecret": _reference("id"),
            "clientSecretSecret": _reference("secret"),
            "tokenURLSecret": _reference("url"),
            "scopes": ["read", "write"],
            "endpointParams": [{"key": "audience", "value": "files"}],
        }
    },
    "cert": {
        "clientCert": {
            "clientCertSecret": _reference("cert"),
            "clientKeySecret": _reference("key"),
        }
    },
}


def _source(auth, **more):
    return errands.source(
        {"http": {"url": "https://h/x", "auth": auth, **more}}, "it", errands.Secrets()
    )


def test_ways_that_say_nothing_are_none():
    # As upstream's own clients write them.
    found = _source({"basicAuth": {}, "oauth2": {}, "clientCert": {}})
    assert found == {"uri": "https://h/x", "http": {"headers": []}}


@pytest.mark.parametrize(
    ("auth", "why"),
    [
        (
            {"oauth2": {"clientIDSecret": _reference("id"), "scopes": ["x"]}},
            r"it\.http\.auth\.oauth2\.clientSecretSecret is \{\}; want name and key of a Secret",
        ),
        (
            {"clientCert": {"clientCertSecret": _reference("c"), "clientKeySecret": {"name": "x"}}},
            r"clientCert\.clientKeySecret is \{'name': 'x'\}; want name and key",
        ),
        (
            {"digest": {"a": "b"}},
            r"auth\.digest is not known; there are basicAuth, oauth2, clientCert",
        ),
        (
            {"oauth2": {**AUTH["token"]["oauth2"], "endpointParams": [{"key": "scope"}]}},
            r"endpointParams: scope is said by scopes",
        ),
    ],
)
def test_who_asks_is_said_in_full(auth, why):
    with pytest.raises(StepError, match=why):
        _source(auth)


def _targets(said, **template):
    order = Order(
        workflow={}, spec={}, template=template, name="n", id="n", pod="p", pipeline="w",
        path="root/1", attempt=0, key="k",
        repository=Repository(root=Root("file:///artifacts"), store={"s3": {"bucket": "b"}}),
    )  # fmt: skip
    output = Output(said={"name": "out", **said}, path="/tmp/x", place="wherry-tmp/x")
    plan = Plan(inputs=(), parameters=(), artifacts=(output,), copied=(), folders=())
    return targets.make(order, plan)[0]


def test_outputs_go_to_urls_of_their_own_or_below_that_of_their_template():
    own = {"url": "https://h/a/b?sig=1", "headers": [{"name": "X", "value": "y"}]}
    below = {"archiveLocation": {"http": {"url": "https://h/base/?sig=1"}}}
    for said in (below, {"archiveLocation": {"s3": {"bucket": "c", "key": "d"}}}):
        made = _targets({"http": own}, **said)
        assert (made.uri, made.location, made.archive) == (own["url"], {"http": own}, "tar")
    assert _targets({}, **below).uri == "https://h/base/out.tgz?sig=1"
    zipped = _targets({"archive": {"zip": {}}}, **below)
    assert (zipped.uri, zipped.archive) == ("https://h/base/out.zip?sig=1", "zip")
    assert _targets({"s3": {"key": "x"}}, **below).uri == "s3://b/x"
    for url in ("file:///etc/x", "s3://b/x", ""):
        with pytest.raises(StepError, match=r"http\.url .* want http:// or https://"):
            _targets({"http": {"url": url}})
    with pytest.raises(StepError, match=r"raw: outputs go to s3, gcs, http"):
        _targets({"raw": {"data": "x"}})


# Whole workflows.


def _location(site, way, name="file"):
    headers = [{"name": "X-Key", "value": "told"}]
    return {"http": {"url": site.url(f"/{way}/{name}"), "headers": headers, "auth": AUTH[way]}}


def _patch(site, container):
    """Have one of our containers trust the server, as pods trust authorities of their cluster."""
    env = [{"name": "SSL_CERT_FILE", "value": str(site.trusted)}]
    return yaml.safe_dump({"initContainers": [{"name": container, "env": env}]})


def _script(source, **fields):
    return {"script": {"image": "python:3.11", "command": ["sh", "-e"], "source": source}, **fields}


@pytest.fixture
def door(nodes, site):
    """What the server knows its clients by, in a Secret."""
    certificate, key = site.pair("steps")
    values = {"user": "me", "password": "secret", "cert": certificate, "key": key}
    values |= {"id": CLIENT, "secret": SECRET, "url": site.url("/give")}
    nodes.create(core.SECRETS, "door", {"stringData": values})


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("door")
def test_steps_pass_artifacts_on_through_servers(workflows, nodes, site):
    packed: dict[str, Any] = {"basic": {}, "token": {"zip": {}}, "cert": {"none": {}}}
    left = [
        {"name": way, "path": f"/tmp/{way}", **_location(site, way), "archive": archive}
        for way, archive in packed.items()
    ]
    del left[0]["archive"]
    left[0]["artifactGC"] = {"strategy": "OnWorkflowCompletion"}
    make = _script(
        "mkdir /tmp/token; echo 1 > /tmp/basic; echo 2 > /tmp/token/deep; echo 3 > /tmp/cert",
        outputs={"artifacts": left},
        podSpecPatch=_patch(site, DELIVER),
    )
    passed = [
        {"name": way, "from": f"{{{{steps.make.outputs.artifacts.{way}}}}}"} for way in packed
    ]
    taken = [{"name": way, "path": f"/in/{way}"} for way in packed]
    again = {"name": "again", "path": "/in/again", **_location(site, "cert")}
    take = _script(
        "cat /in/basic /in/token/deep /in/cert /in/again > /tmp/all",
        inputs={"artifacts": [*taken, again]},
        outputs={"parameters": [{"name": "all", "valueFrom": {"path": "/tmp/all"}}]},
        podSpecPatch=_patch(site, FETCH),
    )
    steps = [
        [{"name": "make", "template": "make"}],
        [{"name": "take", "template": "take", "arguments": {"artifacts": passed}}],
    ]
    templates = [{"name": "main", "steps": steps}]
    templates += [{"name": "make", **make}, {"name": "take", **take}]
    spec = {"entrypoint": "main", "templates": templates}
    site.failures = 1
    ended = workflows.ended({"metadata": {"name": "web"}, "spec": spec})
    assert ended["status"]["phase"] == "Succeeded", ended["status"]
    made = {each["displayName"]: each for each in ended["status"]["nodes"].values()}
    assert made["take"]["outputs"]["parameters"][0]["value"] == "1\n2\n3\n3"
    told = {each["name"]: each["http"] for each in made["make"]["outputs"]["artifacts"]}
    assert told == {way: _location(site, way)["http"] for way in packed}
    assert b"basic" in gzip.decompress(site.files["/basic/file"])
    assert site.files["/token/file"].startswith(b"PK")
    assert site.files["/cert/file"] == b"3\n"
    assert not site.failures

    # As with upstream it stays, and that is told.
    def events():
        listed = nodes.platform.call(nodes.client.list(core.EVENTS, nodes.namespace)).items
        return [each["message"] for each in listed if each["reason"] == "ArtifactGCFailed"]

    url = site.url("/basic/file")
    message = f"HTTP knows no way to delete artifacts: basic at {url}"
    eventually(lambda: message in events(), SECONDS, what="the event")
    workflows.delete("web")
    assert "/basic/file" in site.files


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("door")
def test_what_a_server_refuses_is_told(nodes, site):
    location = _location(site, "token")
    location["http"]["auth"] = {"basicAuth": AUTH["basic"]["basicAuth"]}
    folder = {
        "name": "made",
        "path": "/tmp/made",
        **_location(site, "cert"),
        "archive": {"none": {}},
    }
    refused = {"name": "made", "path": "/tmp/made", **location}
    for said, script, why in (
        (refused, "echo 1 > /tmp/made", f"{site.url('/token/file')}: HTTP 403 Forbidden"),
        (folder, "mkdir /tmp/made", "made is a folder, and HTTP takes files: archive has to say"),
    ):
        template = {
            "container": {"image": "python:3.11", "command": ["sh", "-c", script]},
            "outputs": {"artifacts": [said]},
            "podSpecPatch": _patch(site, DELIVER),
        }
        order = nodes.order(template)
        nodes.start(order)
        assert why in nodes.why(order)
    assert not site.files
