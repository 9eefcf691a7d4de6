"""What the cases of sig-apps share: a namespace with workloads in it, and what is asked of each kind."""

import builtins
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from wherry.objects import conditions, kinds
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.testing import builders
from wherry.testing.waiting import eventually

_ATTEMPTS = 100


class Seen:
    """What a watch has told so far."""

    def __init__(self, watch: Any) -> None:
        self._watch = watch
        self.events: list[tuple[str, Object]] = []

    def until(
        self, type_: str, wanted: Callable[[Object], bool] = lambda _: True, seconds: float = 90
    ) -> Object:
        """Return the object of the next event that fits, passing over others."""

        def fits(event: Any) -> bool:
            self.events.append((event["type"], event["object"]))
            return event["type"] == type_ and wanted(event["object"])

        found: Object = self._watch.until(fits, seconds)["object"]
        return found


class Space:
    """The API over HTTPS, seen from the case's namespace.

    Attributes:
        api: The API itself.
        name: The namespace.
    """

    def __init__(self, api: Any, name: str) -> None:
        self.api = api
        self.name = name

    @property
    def node(self) -> str:
        """The one node's name."""
        [name] = self.api.names(kinds.NODES)
        return str(name)

    def create(self, resource: Resource, obj: Object) -> Any:
        return self.api.create(resource, obj, self.name)

    def get(self, resource: Resource, name: str, subresource: str | None = None) -> Any:
        return self.api.get(resource, name, self._at(resource), subresource)

    def find(self, resource: Resource, name: str) -> Any:
        """Return the object, or None where there is none."""
        return self.api.find(resource, name, self._at(resource))

    def list(self, resource: Resource, labels: str = "") -> Any:
        return self.api.items(resource, self.name, labelSelector=labels)

    def everywhere(self, resource: Resource, labels: str = "") -> Any:
        """Return what a list of all namespaces has of this one."""
        found = self.api.items(resource, labelSelector=labels)
        return [one for one in found if one["metadata"]["namespace"] == self.name]

    def names(self, resource: Resource, labels: str = "") -> builtins.list[str]:
        return [one["metadata"]["name"] for one in self.list(resource, labels)]

    def patch(self, resource: Resource, name: str, patch: Any, **options: Any) -> Any:
        return self.api.patch(resource, name, patch, self._at(resource), **options)

    def set_image(self, resource: Resource, name: str, image: str) -> None:
        """Give the template's one container another image."""

        def change(obj: Any) -> None:
            obj["spec"]["template"]["spec"]["containers"][0]["image"] = image

        self.edit(resource, name, change)

    def edit(
        self,
        resource: Resource,
        name: str,
        change: Callable[[Any], None],
        subresource: str | None = None,
    ) -> Any:
        """Read, change and update, again where somebody else was quicker."""
        for _ in range(_ATTEMPTS):
            obj = self.get(resource, name, subresource)
            change(obj)
            path = resource.path(self._at(resource), name, subresource)
            answer = self.api.call("PUT", path, obj)
            if answer.code != 409:
                assert answer.code == 200, answer.text
                return answer.json
        raise AssertionError(f"{name}: always somebody else was quicker")

    def delete(self, resource: Resource, name: str, **options: Any) -> None:
        self.api.delete(resource, name, self._at(resource), **options)

    def delete_collection(self, resource: Resource, labels: str) -> None:
        self.api.delete_collection(resource, self.name, labelSelector=labels)

    def until(self, check: Callable[[], Any], *, what: str, seconds: float = 90) -> Any:
        return eventually(check, seconds, what=what)

    def ready_pods(self, labels: str, count: int, seconds: float = 90) -> builtins.list[str]:
        """Wait for exactly so many pods, all ready; return their names."""

        def ready() -> "list[str]":
            pods = self.list(kinds.PODS, labels)
            up = [one for one in pods if conditions.is_true(one, "Ready")]
            names = [one["metadata"]["name"] for one in up]
            return names if len(pods) == len(up) == count else []

        found: list[str] = eventually(ready, seconds, what=f"{count} pods of {labels} are ready")
        return found

    @contextlib.contextmanager
    def watching(self, resource: Resource, labels: str = "") -> Iterator[Seen]:
        with self.api.watch(resource, self.name, labelSelector=labels) as watch:
            yield Seen(watch)

    def check_scale(self, resource: Resource, name: str) -> None:
        """See to it that replicas can be read and changed by the subresource; there is one now."""

        def counted() -> Any:
            found = self.get(resource, name, "scale")
            return found if found["status"]["replicas"] == 1 else None

        scale = self.until(counted, what="the replica is counted")
        assert (scale["kind"], scale["spec"]["replicas"]) == ("Scale", 1)
        scale["spec"]["replicas"] = 2
        path = resource.path(self.name, name, "scale")
        changed = self.api.ask("PUT", path, scale | {"metadata": _without_version(scale)})
        assert changed["spec"]["replicas"] == 2
        assert self.get(resource, name)["spec"]["replicas"] == 2
        patched = self.patch(resource, name, {"spec": {"replicas": 4}}, subresource="scale")
        assert patched["spec"]["replicas"] == 4
        assert self.get(resource, name)["spec"]["replicas"] == 4

    def check_status_endpoints(self, resource: Resource, name: str) -> None:
        """See to it that the status can be read, updated and patched by itself."""
        self.until(lambda: self.get(resource, name, "status")["status"], what="a status")
        told = {"status": "True", "reason": "E2E", "message": "Set from a test"}
        made = self.get(resource, name)
        since = made["metadata"]["resourceVersion"]
        options = {"fieldSelector": f"metadata.name={name}", "resourceVersion": since}
        with self.api.watch(resource, self.name, **options) as watch:
            seen = Seen(watch)

            def change(obj: Any) -> None:
                obj["status"].setdefault("conditions", []).append({"type": "Updated", **told})

            self.edit(resource, name, change, "status")
            seen.until("MODIFIED", lambda one: conditions.is_true(one, "Updated"))
            patch = {"status": {"conditions": [{"type": "Patched", **told}]}}
            self.patch(resource, name, patch, subresource="status")
            found = seen.until("MODIFIED", lambda one: conditions.is_true(one, "Patched"))
        assert found["spec"] == made["spec"]

    def _at(self, resource: Resource) -> str | None:
        return self.name if resource.namespaced else None


def _without_version(obj: Any) -> Any:
    return {name: value for name, value in obj["metadata"].items() if name != "resourceVersion"}


class Make:
    """Objects with defaults; what a case is about is given."""

    pod = staticmethod(builders.pod)

    def workload(
        self,
        kind: str,
        name: str,
        *,
        labels: dict[str, str],
        script: str = "",
        image: str = builders.IMAGE,
        template: Any = None,
        **spec: Any,
    ) -> Any:
        """Build a kind of apps/v1 whose pods bear ``labels`` and run ``script``.

        Args:
            kind: Such as ``DaemonSet``.
            name: Its name.
            labels: Of its pods, and its selector.
            script: By default the pods wait to be told to end.
            image: Of the container `main`.
            template: Further fields of the pods' spec.
            **spec: Further fields of the spec, as ``replicas``.
        """
        container = builders.container(script=script, image=image)
        pods = {"terminationGracePeriodSeconds": 1, "containers": [container], **(template or {})}
        return {
            "apiVersion": "apps/v1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pods},
                **spec,
            },
        }

    def job(self, name: str, script: str = "true", **spec: Any) -> Any:
        """Build a Job; see `builders.job`."""
        made = builders.job(name, script=script, **spec)
        del made["metadata"]["namespace"]
        return made


@pytest.fixture
def space(api: Any, namespace: str) -> Space:
    """Give the API as seen from the case's namespace."""
    return Space(api, namespace)


@pytest.fixture
def make() -> Make:
    """Give builders of workloads."""
    return Make()
