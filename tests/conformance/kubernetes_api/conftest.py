"""What a case is told with: kubectl, and a plain client over HTTPS, on a platform that cases share."""

import contextlib
import http.client
import itertools
import json
import queue
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import urllib3

from wherry.embedded.settings import Settings
from wherry.objects import kinds, requests
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.store import StoreSettings
from wherry.testing import builders
from wherry.testing.fixtures import platform, shared_platform
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.kubectl import Kubectl
from wherry.testing.waiting import eventually

__all__ = ["platform", "shared_platform"]

_NUMBERS = itertools.count(1)
_IDLE_SECONDS = 30
"""After which a connection is not used again: the server may be about to close it."""
_JSON = "application/json"


class Refused(Exception):  # noqa: N818 - it reads as what happened: `with refused(404):`
    """The server answered with an error."""

    def __init__(self, answer: "Answer") -> None:
        super().__init__(f"{answer.code} {answer.text}")
        self.answer = answer
        self.code = answer.code

    @property
    def status(self) -> Any:
        """The Status object."""
        return self.answer.json

    @property
    def reason(self) -> str:
        return str(self.status.get("reason", ""))

    @property
    def message(self) -> str:
        return str(self.status.get("message", ""))


class Answer:
    """What came back: code, headers, body."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self.code = response.status
        self.headers = response.headers
        self.body = response.data

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Watch:
    """A watch: its events come by themselves, and are taken one by one."""

    def __init__(self, connection: http.client.HTTPSConnection, path: str, accept: str) -> None:
        connection.request("GET", path, headers={"Accept": accept})
        self._socket = connection.sock
        response = connection.getresponse()
        if response.status != 200:
            raise AssertionError(f"watch: {response.status} {response.read().decode()}")
        self._events: queue.Queue[Any] = queue.Queue()
        self._response = response
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            for line in self._response:
                self._events.put(json.loads(line))
        self._events.put(None)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._response.close()

    def next(self, seconds: float = 90) -> Any:
        """Return the next event as ``{"type", "object"}``; None where the watch has ended."""
        try:
            return self._events.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"no event within {seconds} s") from None

    def until(self, wanted: Callable[[Any], bool], seconds: float = 90) -> Any:
        """Return the next event that fits, passing over others."""
        while (event := self.next(seconds)) is not None:
            if wanted(event):
                return event
        raise AssertionError("the watch ended")

    def until_type(self, type_: str, seconds: float = 90) -> Any:
        """Return the next event of a type such as ``MODIFIED``, passing over others."""
        return self.until(lambda event: event["type"] == type_, seconds)

    def is_quiet(self, seconds: float = 0.3) -> bool:
        """Whether nothing comes for a while."""
        try:
            return self._events.get(timeout=seconds) is None
        except queue.Empty:
            return True


class Api:
    """The API over HTTPS, call by call; whatever is refused raises `Refused`.

    Options are query parameters by their Kubernetes names.
    """

    def __init__(self, platform: InProcessPlatform, headers: dict[str, str] | None = None) -> None:
        self.platform = platform
        self.headers = headers or {}
        pki = platform.directory / "pki"
        self._tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        if "Authorization" not in self.headers and "X-Anonymous" not in self.headers:
            self._tls.load_cert_chain(str(pki / "admin.crt"), str(pki / "admin.key"))
        self._pool = urllib3.PoolManager(ssl_context=self._tls, retries=False)
        self._used = time.monotonic()

    def with_headers(self, **headers: str) -> "Api":
        """Return the same with further headers on each call; ``_`` stands for ``-``."""
        added = {name.replace("_", "-"): value for name, value in headers.items()}
        return Api(self.platform, {**self.headers, **added})

    def as_user(self, user: str, *groups: str) -> "Api":
        """Return the same for someone else, impersonated."""
        made = self.with_headers(Impersonate_User=user)
        if groups:
            made.headers["Impersonate-Group"] = ",".join(groups)
        return made

    def with_token(self, token: str) -> "Api":
        """Return the same for who bears a token."""
        return self.with_headers(Authorization=f"Bearer {token}")

    def anonymous(self) -> "Api":
        """Return the same for nobody."""
        return self.with_headers(X_Anonymous="true")

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        type_: str = _JSON,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> Answer:
        """Send anything; return the answer whatever it is. A body of bytes or text goes as it is."""
        query = urlencode(_query(options))
        sent = {**self.headers, **(headers or {})}
        if body is not None:
            sent.setdefault("Content-Type", type_)
        data = body if isinstance(body, bytes | str | None) else json.dumps(body)
        if time.monotonic() - self._used > _IDLE_SECONDS:
            self._pool.clear()
        self._used = time.monotonic()
        url = self.platform.url + path + ("&" if "?" in path else "?") * bool(query) + query
        return Answer(self._pool.request(method, url, body=data, headers=sent, timeout=120))

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Send something that must work; return its JSON."""
        answer = self.call(method, path, body, **options)
        if answer.code >= 400:
            raise Refused(answer)
        return answer.json

    def get(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        subresource: str | None = None,
        **options: Any,
    ) -> Any:
        return self.ask("GET", resource.path(namespace, name, subresource), **options)

    def find(self, resource: Resource, name: str, namespace: str | None = None) -> Any:
        """Return the object, or None where there is none."""
        try:
            return self.get(resource, name, namespace)
        except Refused as refused:
            if refused.code != 404:
                raise
            return None

    def list(self, resource: Resource, namespace: str | None = None, **options: Any) -> Any:
        """Return the list object."""
        return self.ask("GET", resource.path(namespace), **options)

    def items(self, resource: Resource, namespace: str | None = None, **options: Any) -> Any:
        """Return the items of a list."""
        return self.list(resource, namespace, **options)["items"]

    def names(self, resource: Resource, namespace: str | None = None, **options: Any) -> Any:
        return [one["metadata"]["name"] for one in self.items(resource, namespace, **options)]

    def create(
        self, resource: Resource, obj: Object, namespace: str | None = None, **options: Any
    ) -> Any:
        """Create an object; the namespace by default as in the object."""
        where = namespace or obj["metadata"].get("namespace")
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
        if where and resource.namespaced:
            body["metadata"] = {**obj["metadata"], "namespace": where}
        return self.ask("POST", resource.path(where), body, **options)

    def update(
        self, resource: Resource, obj: Object, subresource: str | None = None, **options: Any
    ) -> Any:
        at = obj["metadata"]
        path = resource.path(at.get("namespace"), at["name"], subresource)
        return self.ask("PUT", path, obj, **options)

    def change(
        self,
        resource: Resource,
        name: str,
        edit: Callable[[Any], None],
        namespace: str | None = None,
        subresource: str | None = None,
    ) -> Any:
        """Read, edit and update; again where somebody else wrote in between."""
        while True:
            obj = self.get(resource, name, namespace, subresource)
            edit(obj)
            try:
                return self.update(resource, obj, subresource)
            except Refused as refused:
                if refused.code != 409:
                    raise

    def annotate(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        subresource: str | None = None,
        **annotations: str,
    ) -> Any:
        """Add annotations by an update."""

        def edit(obj: Any) -> None:
            obj["metadata"].setdefault("annotations", {}).update(annotations)

        return self.change(resource, name, edit, namespace, subresource)

    def patch(
        self,
        resource: Resource,
        name: str,
        patch: Any,
        namespace: str | None = None,
        *,
        subresource: str | None = None,
        type_: str = requests.MERGE_PATCH,
        **options: Any,
    ) -> Any:
        path = resource.path(namespace, name, subresource)
        return self.ask("PATCH", path, patch, type_=type_, **options)

    def apply(
        self, resource: Resource, obj: Object, *, manager: str = "tester", **options: Any
    ) -> Any:
        """Apply an object on the server's side."""
        at = obj["metadata"]
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
        options = {"type_": requests.APPLY_PATCH, "fieldManager": manager, **options}
        return self.patch(resource, at["name"], body, at.get("namespace"), **options)

    def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        body: Any = None,
        **options: Any,
    ) -> Any:
        """Delete an object; ``body`` is the DeleteOptions."""
        return self.ask("DELETE", resource.path(namespace, name), body, **options)

    def delete_collection(
        self, resource: Resource, namespace: str | None = None, **options: Any
    ) -> Any:
        return self.ask("DELETE", resource.path(namespace), **options)

    @contextlib.contextmanager
    def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        accept: str = _JSON,
        **options: Any,
    ) -> Iterator[Watch]:
        """Watch; it has begun when this returns."""
        query = urlencode(_query({"watch": True, "timeoutSeconds": 600, **options}))
        address = urlsplit(self.platform.url)
        assert address.hostname
        connection = http.client.HTTPSConnection(
            address.hostname, address.port, context=self._tls, timeout=600
        )
        watch = Watch(connection, f"{resource.path(namespace)}?{query}", accept)
        try:
            yield watch
        finally:
            watch.close()
            connection.close()

    def wait_gone(
        self, resource: Resource, name: str, namespace: str | None = None, seconds: float = 90
    ) -> None:
        """Wait until an object is no longer there."""
        eventually(
            lambda: self.find(resource, name, namespace) is None, seconds, what=f"{name} is gone"
        )

    def close(self) -> None:
        self._pool.clear()


def _query(options: dict[str, Any]) -> dict[str, str]:
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in options.items()
        if value is not None
    }


@contextlib.contextmanager
def _refused(code: int, reason: str = "", saying: str = "") -> Iterator[None]:
    """State that the server refuses, with this code, reason and part of the message."""
    with pytest.raises(Refused) as caught:
        yield
    refused = caught.value
    assert (refused.code, reason or refused.reason) == (code, refused.reason), refused
    assert saying in refused.message, refused


@pytest.fixture(scope="session")
def refused() -> Any:
    """Give ``refused(code, reason="", saying="")``, a context in which the server must refuse."""
    return _refused


@pytest.fixture(scope="session")
def api(shared_platform: InProcessPlatform) -> Iterator[Api]:
    """Give the API of the shared platform over HTTPS, as administrator."""
    made = Api(shared_platform)
    yield made
    made.close()


@pytest.fixture
def own_api(platform: InProcessPlatform) -> Iterator[Api]:
    """Give the API of a platform of the test's own, for what other cases would feel."""
    made = Api(platform)
    yield made
    made.close()


@pytest.fixture
def forgetful_api(tmp_path: Path) -> Iterator[Api]:
    """Give the API of a platform that keeps no more than fifty changes."""
    store = StoreSettings(history_changes=50)
    started = InProcessPlatform(Settings(directory=tmp_path / "platform", port=0, store=store))
    started.start()
    try:
        yield Api(started)
    finally:
        started.stop()


@pytest.fixture
def unique() -> str:
    """Give a name that no other case has, for what lives outside namespaces."""
    return f"case-{next(_NUMBERS)}"


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """Give a namespace of the case's own, with its ServiceAccount `default`."""
    name = f"conformance-{next(_NUMBERS)}"
    api.create(kinds.NAMESPACES, builders.namespace(name))
    eventually(lambda: api.find(kinds.SERVICE_ACCOUNTS, "default", name))
    yield name
    # Not waited for: it goes while the next case runs.
    if api.find(kinds.NAMESPACES, name):
        api.delete(kinds.NAMESPACES, name)


@pytest.fixture
def new_namespace(api: Api) -> Iterator[Any]:
    """Give ``new_namespace(**labels)``, which makes further ones."""
    made: list[str] = []

    def make(**labels: str) -> str:
        name = f"further-{next(_NUMBERS)}"
        obj = builders.namespace(name)
        obj["metadata"]["labels"] = labels
        api.create(kinds.NAMESPACES, obj)
        eventually(lambda: api.find(kinds.SERVICE_ACCOUNTS, "default", name))
        made.append(name)
        return name

    yield make
    for name in made:
        if api.find(kinds.NAMESPACES, name):
            api.delete(kinds.NAMESPACES, name)


@pytest.fixture(scope="session")
def kubectl_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a home whose cache of discovery is shared, as a person's is."""
    return tmp_path_factory.mktemp("kubectl")


@pytest.fixture
def kubectl(shared_platform: InProcessPlatform, namespace: str, kubectl_home: Path) -> Kubectl:
    """Give kubectl, set to the case's namespace on the shared platform."""
    binary = str(Path(sys.executable).with_name("kubectl"))
    return Kubectl(binary, shared_platform.kubeconfig, kubectl_home, namespace)


@pytest.fixture
def cleanup() -> Iterator[contextlib.ExitStack]:
    """Give what undoes things at the case's end: ``cleanup.callback(function, *arguments)``."""
    with contextlib.ExitStack() as stack:
        yield stack


def _discovered(api: Api, resource: Resource) -> Any:
    """Return how discovery lists a resource, from the group down to it."""
    root = "/apis" if resource.group else "/api"
    if resource.group:
        groups = {group["name"]: group for group in api.ask("GET", "/apis")["groups"]}
        versions = [one["groupVersion"] for one in groups[resource.group]["versions"]]
        assert resource.api_version in versions
        alone = api.ask("GET", f"/apis/{resource.group}")
        assert resource.api_version in [one["groupVersion"] for one in alone["versions"]]
    found = api.ask("GET", f"{root}/{resource.api_version}")["resources"]
    listed = {one["name"]: one for one in found}
    assert {f"{resource.plural}/{name}" for name in resource.subresources} <= listed.keys()
    return listed[resource.plural]


@pytest.fixture(scope="session")
def discovered(api: Api) -> Any:
    """Give ``discovered(resource)``: its row of discovery, which must be there."""
    return lambda resource: _discovered(api, resource)


@pytest.fixture(scope="session")
def supports_operations(api: Api) -> Any:
    """Give ``supports_operations(resource, objects, namespace=None)``.

    It states that discovery lists the resource and that create, get, list, watch, patch, update,
    delete and deletecollection work on three objects, and likewise what its status supports.
    """

    def check(resource: Resource, objects: "list[Object]", namespace: str | None = None) -> None:
        row = _discovered(api, resource)
        assert set(row["verbs"]) >= {"create", "get", "list", "watch", "patch", "update", "delete"}
        mark = f"operations-{next(_NUMBERS)}"
        selector = {"labelSelector": f"case={mark}"}
        for obj in objects:
            obj["metadata"]["labels"] = {"case": mark}
            created = api.create(resource, obj, namespace)
            assert created["metadata"]["uid"]
        first = objects[0]["metadata"]["name"]
        names = sorted(obj["metadata"]["name"] for obj in objects)
        assert api.get(resource, first, namespace)["metadata"]["labels"] == {"case": mark}
        found = api.list(resource, namespace, **selector)
        assert sorted(one["metadata"]["name"] for one in found["items"]) == names
        assert sorted(api.names(resource, **selector)) == names
        start = found["metadata"]["resourceVersion"]
        with api.watch(resource, namespace, resourceVersion=start, **selector) as watch:
            _changes(api, resource, first, namespace)
            seen = watch.until(lambda event: "updated" in _annotations(event["object"]))
            assert seen["type"] == "MODIFIED"
            _status(api, resource, first, namespace)
            api.delete(resource, first, namespace)
            assert watch.until_type("DELETED")["object"]["metadata"]["name"] == first
        api.wait_gone(resource, first, namespace)
        api.delete_collection(resource, namespace, **selector)
        eventually(lambda: api.names(resource, namespace, **selector) == [])

    return check


def _annotations(obj: Object) -> Any:
    return obj["metadata"].get("annotations", {})


def _changes(api: Api, resource: Resource, name: str, namespace: str | None) -> None:
    change = {"metadata": {"annotations": {"patched": "true"}}}
    patched = api.patch(resource, name, change, namespace)
    assert _annotations(patched)["patched"] == "true"
    updated = api.annotate(resource, name, namespace, updated="true")
    assert _annotations(updated)["updated"] == "true"


def _status(api: Api, resource: Resource, name: str, namespace: str | None) -> None:
    if "status" not in resource.subresources:
        return
    change = {"metadata": {"annotations": {"patched-status": "true"}}, "status": {}}
    patched = api.patch(resource, name, change, namespace, subresource="status")
    assert _annotations(patched)["patched-status"] == "true"
    updated = api.annotate(resource, name, namespace, "status", updated_status="true")
    assert _annotations(updated)["updated_status"] == "true"
