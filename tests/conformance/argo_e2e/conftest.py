"""One platform for all of Argo's end-to-end tests, set up as upstream's `test/e2e/manifests` set up a cluster."""

import http.server
import json
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from wherry.embedded.settings import Settings
from wherry.objects import kinds
from wherry.testing import argo_images, environments, object_stores
from wherry.testing.argo_e2e import NAMESPACE, Argo
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.object_stores import ObjectStore

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def artifact_store() -> Iterator[ObjectStore]:
    pins = ROOT / "requirements" / "stores.txt"
    made = object_stores.moto(environments.environment(pins, ROOT / "build" / "clients"))
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="session")
def web() -> Iterator[int]:
    """The port of a server that answers as upstream's `httpbin` does, as far as tests ask it."""

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.dumps({"url": self.path}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_GET  # noqa: N815 - names of the library

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def argo_platform(artifact_store: ObjectStore, web: int) -> Iterator[InProcessPlatform]:
    with tempfile.TemporaryDirectory(prefix="wherry-") as folder:
        # The images' names stand for environments and this machine's tools: nothing is fetched.
        settings = Settings(
            directory=Path(folder) / "platform", port=0, image_runtime="environment"
        )
        made = InProcessPlatform(settings)
        made.start()
        try:
            _prepare(made, Path(folder) / "tools", artifact_store)
            _serve(made, "httpbin", 9100, web)
            yield made
        finally:
            made.stop()


def _prepare(platform: InProcessPlatform, tools: Path, store: ObjectStore) -> None:
    argo_images.prepare(platform, tools, store, namespace=NAMESPACE)
    secret = argo_images.keys(NAMESPACE)
    secret["metadata"]["name"] = "my-minio-cred"
    platform.call(platform.client.create(kinds.SECRETS, secret))
    urllib.request.urlopen(urllib.request.Request(f"{store.url}/my-bucket", method="PUT")).close()
    _serve(platform, "minio", 9000, store.port)
    # Upstream's set-up lets these accounts make what their tests make.
    for name in ("default", "argo"):
        argo_images.let(platform, name, namespace=NAMESPACE)


def _serve(platform: InProcessPlatform, name: str, port: int, target: int) -> None:
    """Have pods find a server of the test's at the name and port that upstream's manifests say."""
    head = {"name": name, "namespace": NAMESPACE}
    service = {"metadata": head, "spec": {"ports": [{"port": port}]}}
    platform.call(platform.client.create(kinds.SERVICES, service))
    behind = {
        "metadata": {**head, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
        "ports": [{"port": target, "protocol": "TCP"}],
    }
    platform.call(platform.client.create(kinds.ENDPOINT_SLICES, behind))


@pytest.fixture
def argo(request: pytest.FixtureRequest, argo_platform: InProcessPlatform) -> Iterator[Argo]:
    """What upstream's test works with, of whose name the test's mark tells."""
    mark = request.node.get_closest_marker("conformance")
    made = Argo(argo_platform, mark.kwargs["group"], mark.kwargs["name"])
    yield made
    made.clear()
