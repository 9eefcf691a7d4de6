"""Against a registry that answers over real sockets and does what real ones do, and worse."""

import asyncio
import base64
import gzip
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from wherry.kubelet.oci import pulling, references, transfers
from wherry.kubelet.oci.credentials import ANONYMOUS, Credentials
from wherry.kubelet.oci.manifests import Descriptor
from wherry.kubelet.oci.registry import Access, Registry, RegistryError
from wherry.kubelet.oci.store import ImageStore
from wherry.testing import images

ME = Credentials("me", "pw")
REFRESH = Credentials(identity_token="refresh")


@dataclass
class Server:
    """A registry with a token service beside it."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    challenge: str = ""
    breaks_after: int = 0
    asked: list[str] = field(default_factory=list)
    host: str = ""

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v2/", self.ping)
        app.router.add_get("/v2/{name:.+}/manifests/{wanted}", self.manifest)
        app.router.add_get("/v2/{name:.+}/blobs/{digest}", self.blob)
        app.router.add_get("/token", self.token)
        app.router.add_post("/token", self.token)
        return app

    async def ping(self, _: web.Request) -> web.Response:
        return web.Response()

    async def token(self, request: web.Request) -> web.Response:
        basic = "Basic " + base64.b64encode(b"me:pw").decode()
        form = await request.post()
        known = request.headers.get("Authorization") == basic
        if not known and form.get("refresh_token") != "refresh":
            return web.Response(status=401)
        scope = str(form.get("scope") or request.query["scope"])
        return web.json_response({"token": f"for {scope}"})

    def refused(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("Authorization", "")
        right = {"": True, "Bearer": given == "Bearer for repository:team/tool:pull"}
        right["Basic"] = given == ME.basic
        if right[self.challenge.partition(" ")[0]]:
            return None
        headers = {"WWW-Authenticate": self.challenge.replace("HOST", self.host)}
        return web.json_response(
            {"errors": [{"code": "UNAUTHORIZED", "message": "who are you"}]},
            status=401,
            headers=headers,
        )

    async def manifest(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if refusal := self.refused(request):
            return refusal
        found = self.manifests.get(request.match_info["wanted"])
        if found is None:
            return web.Response(status=404)
        return web.Response(body=found[0], content_type=found[1])

    async def blob(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.path} {request.headers.get('Range', '')}".strip())
        if refusal := self.refused(request):
            return refusal
        content = self.blobs[request.match_info["digest"]]
        start = request.http_range.start or 0
        answer = web.StreamResponse(status=206 if start else 200)
        answer.content_length = len(content) - start
        await answer.prepare(request)
        part = content[start : start + self.breaks_after] if self.breaks_after else content[start:]
        await answer.write(part)
        if len(part) < len(content) - start:
            assert request.transport is not None
            request.transport.close()
        return answer

    def add(self, *layers: bytes, tag: str = "v1") -> str:
        """Hold an image; returns its manifest's digest."""
        packed = [gzip.compress(one, mtime=0) for one in layers]
        configuration = {"rootfs": {"diff_ids": [images.digest(one) for one in layers]}}
        config = json.dumps(configuration).encode()
        self.blobs |= {images.digest(one): one for one in (*packed, config)}
        manifest = {
            "mediaType": images.MANIFEST,
            "config": images.descriptor(images.CONFIG, config),
            "layers": [images.descriptor(images.LAYER, one) for one in packed],
        }
        return self.hold(json.dumps(manifest).encode(), images.MANIFEST, tag)

    def hold(self, content: bytes, kind: str, tag: str) -> str:
        digest = images.digest(content)
        self.manifests |= {tag: (content, kind), digest: (content, kind)}
        return digest


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()
    runner = web.AppRunner(found.application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.host = "{}:{}".format(*runner.addresses[0][:2])
    yield found
    await runner.cleanup()


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    found = Registry()
    yield found
    await found.close()


@pytest.fixture
async def puller(registry: Registry, store: ImageStore) -> AsyncIterator[pulling.Puller]:
    found = pulling.Puller(registry, store, 1024 * 1024)
    yield found
    await found.close()


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    found = ImageStore(tmp_path / "images")
    found.open()
    return found


def reference(server: Server, rest: str = ":v1") -> references.Reference:
    return references.parse(f"{server.host}/team/tool{rest}")


def silent(_: str) -> None:
    """Nobody wants to know."""


BEARER = 'Bearer realm="http://HOST/token",service="test",scope="repository:team/tool:pull"'


@pytest.mark.parametrize(
    ("challenge", "who"),
    [("", ANONYMOUS), ("Basic realm=x", ME), (BEARER, ME), (BEARER, REFRESH)],
)
async def test_whatever_the_registry_asks_for(
    server: Server, puller: pulling.Puller, challenge: str, who: Credentials
) -> None:
    digest = server.add(images.files({"a": "text"}))
    server.challenge = challenge
    found = await puller.pull(reference(server), [who], silent)
    assert found.image_id == f"{server.host}/team/tool@{digest}"


@pytest.mark.parametrize("challenge", ["Basic realm=x", BEARER, "Negotiate"])
async def test_who_has_nothing_is_told(
    server: Server, puller: pulling.Puller, challenge: str
) -> None:
    server.challenge = challenge.replace("Negotiate", "Basic realm=x, Negotiate")
    with pytest.raises(pulling.PullError, match=r"pull access denied for .*imagePullSecrets"):
        await puller.pull(reference(server), [], silent)


async def test_one_after_the_other_is_tried(server: Server, puller: pulling.Puller) -> None:
    server.add(images.files({"a": "text"}))
    server.challenge = "Basic realm=x"
    wrong = Credentials("someone", "else")
    found = await puller.pull(reference(server), [wrong, ME], silent)
    assert await puller.pull(reference(server), [ME], silent) == found


async def test_an_index_of_machines(server: Server, puller: pulling.Puller) -> None:
    own = server.add(images.files({"a": "text"}), tag="own")
    entries = [
        {"digest": own, "size": 1, "platform": {"os": "linux", "architecture": architecture}}
        for architecture in ("sparc", images.architecture())
    ]
    index = json.dumps({"mediaType": images.INDEX, "manifests": entries}).encode()
    digest = server.hold(index, images.INDEX, "v1")
    found = await puller.pull(reference(server, f"@{digest}"), [], silent)
    assert found.image_id.endswith(f"@{digest}")


async def test_layers_are_fetched_once(
    server: Server, puller: pulling.Puller, store: ImageStore
) -> None:
    base, one, two = (images.files({name: name}) for name in ("base", "one", "two"))
    server.add(base, one, tag="one")
    server.add(base, two, two, tag="two")
    await asyncio.gather(
        *(puller.pull(reference(server, f":{tag}"), [], silent) for tag in ("one", "two", "one"))
    )
    blob = images.digest(gzip.compress(base, mtime=0))
    assert sum(asked.endswith(blob) for asked in server.asked) == 1
    assert (store.layer(images.digest(base)) / "base").read_text() == "base"
    assert not list(store.downloads.iterdir())
    server.asked.clear()
    await puller.pull(reference(server, ":one"), [], silent)
    assert len(server.asked) == 1  # the manifest, to see whether the tag has moved


async def test_what_breaks_off_goes_on(server: Server, registry: Registry, tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    blob = Descriptor("", images.digest(content), len(content))
    server.blobs[blob.digest] = content
    server.breaks_after = 100_000
    access = Access(reference(server), ANONYMOUS)
    await transfers.fetch(registry, access, blob, tmp_path / "blob")
    assert (tmp_path / "blob").read_bytes() == content
    assert [asked.partition(" ")[2] for asked in server.asked] == [
        "",
        "bytes=100000-",
        "bytes=200000-",
    ]


async def test_what_a_crash_left_goes_on(
    server: Server, registry: Registry, tmp_path: Path
) -> None:
    blob = Descriptor("", images.digest(b"0123456789"), 10)
    server.blobs[blob.digest] = b"0123456789"
    (tmp_path / "blob.part").write_bytes(b"0123")
    await transfers.fetch(registry, Access(reference(server), ANONYMOUS), blob, tmp_path / "blob")
    assert (tmp_path / "blob").read_bytes() == b"0123456789"
    assert server.asked[0].endswith("bytes=4-")


@pytest.mark.parametrize("content", [b"another blob!", b"much longer than it was said to be"])
async def test_a_wrong_blob_is_never_kept(
    server: Server, registry: Registry, tmp_path: Path, content: bytes
) -> None:
    blob = Descriptor("", images.digest(b"what it says!"), 13)
    server.blobs[blob.digest] = content
    with pytest.raises(RegistryError, match="came with another content"):
        await transfers.fetch(
            registry, Access(reference(server), ANONYMOUS), blob, tmp_path / "blob"
        )
    assert not os.listdir(tmp_path)  # noqa: PTH208 - in a coroutine the pathlib form is not allowed


async def test_a_layer_that_is_not_what_the_configuration_says(
    server: Server, puller: pulling.Puller, store: ImageStore
) -> None:
    server.add(images.files({"a": "text"}))
    config, kind = server.manifests["v1"]
    document = json.loads(config)
    other = json.dumps({"rootfs": {"diff_ids": [images.digest(b"other")]}}).encode()
    server.blobs[images.digest(other)] = other
    document["config"] = images.descriptor(images.CONFIG, other)
    server.hold(json.dumps(document).encode(), kind, "v1")
    with pytest.raises(pulling.PullError, match="the layer's content is"):
        await puller.pull(reference(server), [], silent)
    assert not list(store.layers.iterdir())


async def test_a_wrong_manifest(server: Server, puller: pulling.Puller) -> None:
    digest = images.digest(b"{}")
    server.manifests[digest] = (b"[]", images.MANIFEST)
    with pytest.raises(pulling.PullError, match="does not have the digest"):
        await puller.pull(reference(server, f"@{digest}"), [], silent)


async def test_a_layer_that_is_too_large(server: Server, puller: pulling.Puller) -> None:
    server.add(images.files({"a": "x" * 2 * 1024 * 1024}))
    with pytest.raises(pulling.PullError, match="more than 1048576 bytes"):
        await puller.pull(reference(server), [], silent)


async def test_what_is_not_there(server: Server, puller: pulling.Puller) -> None:
    with pytest.raises(pulling.PullError, match="team/tool:v9: not found"):
        await puller.pull(reference(server, ":v9"), [], silent)


async def test_nobody_answers(puller: pulling.Puller) -> None:
    with pytest.raises(pulling.PullError, match=r"registry 127\.0\.0\.1:1: "):
        await puller.pull(references.parse("127.0.0.1:1/x"), [], silent)


async def test_images_that_nobody_uses_go(
    server: Server, puller: pulling.Puller, store: ImageStore
) -> None:
    base, one, two = (images.files({name: name * 1000}) for name in ("base", "one", "two"))
    for tag, top in (("one", one), ("two", two)):
        server.add(base, top, tag=tag)
        await puller.pull(reference(server, f":{tag}"), [], silent)
    bounds = {"most_bytes": 8000, "unused_seconds": 3600.0}
    running = frozenset([images.digest(one)])
    assert store.collect(in_use=running, **bounds) == [reference(server, ":two").text]  # type: ignore[arg-type]  # both are floats' kin
    assert store.collect(in_use=(), **bounds) == []  # type: ignore[arg-type]  # as above
    store.empty()
    again = ImageStore(store.layers.parent)
    again.open()
    assert again.find(reference(server, ":one").text) is not None
    assert again.find(reference(server, ":two").text) is None
    assert again.collect(in_use=(), most_bytes=0, unused_seconds=0) == [
        reference(server, ":one").text
    ]
