"""The resource template: an object is made, changed, read or deleted, waited for, and asked for values.

Source: argoproj/argo-workflows v4, ``workflow/executor/resource.go``; what it runs is kubectl, whose
words for flags are kept.
"""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from wherry.objects.selectors import LabelSelector, parse_labels
from wherry.pipelines.workflows.agent import asking, fetching
from wherry.pipelines.workflows.agent.cluster import CallError, Cluster, Kind
from wherry.pipelines.workflows.agent.failing import AgentError
from wherry.pipelines.workflows.agent.flags import Flags

_MANAGER: Final = "argo"
_MERGES: Final = {
    "strategic": "application/strategic-merge-patch+json",
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
}
_APPLY: Final = "application/apply-patch+yaml"
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
_TRIES: Final = 10
_NOT_FOUND: Final = 404

_Object = dict[str, Any]
_T = TypeVar("_T")


def run(told: Mapping[str, Any], _: Sequence[str]) -> Mapping[str, Any]:
    """Do what the template says; return its output parameters.

    Raises:
        AgentError: it cannot be done, or the condition of failure holds.
    """
    work = _Work(Cluster(), told)
    found = work.act()
    if told["action"] == "delete":
        return {"parameters": {}}
    success, failure = (_selector(told.get(name)) for name in ("success", "failure"))
    if success or failure:
        found = work.wait(found, success, failure)
    return {"parameters": asking.parameters(told["parameters"], found)}


def _selector(text: str | None) -> LabelSelector | None:
    try:
        return parse_labels(text) if text else None
    except ValueError as error:
        raise AgentError(f"condition {text!r}: {error}") from error


class _Work:
    def __init__(self, cluster: Cluster, told: Mapping[str, Any]) -> None:
        self._cluster = cluster
        self._told = told
        self._flags = Flags(told["flags"])
        self._manifest = _manifest(told)
        self._namespace = self._flags.namespace or self._own("namespace") or told["namespace"]

    def act(self) -> _Object:
        """Do it, and return the object."""
        return _again(self._act)

    def _act(self) -> _Object:
        action = self._told["action"]
        if action == "delete":
            return self._delete()
        if action in ("create", "apply", "replace"):
            return self._write(action)
        kind, name = self._target()
        if action == "patch":
            return self._patch(kind, name)
        if action == "get":
            return self._call("GET", kind, name)
        raise AgentError(f"action {action!r}: want get, create, apply, delete, replace or patch")

    def wait(
        self, found: _Object, success: LabelSelector | None, failure: LabelSelector | None
    ) -> _Object:
        """Return an object once it is as it should be.

        Raises:
            AgentError: it is as it should not be, or gone.
        """
        kind = _again(lambda: self._cluster.kind(found["apiVersion"], found["kind"]))
        pause = _FIRST_PAUSE
        while True:
            if failure is not None and asking.any_of(failure, found):
                raise AgentError(f"failure condition {failure} holds")
            if success is None or success.matches(asking.Fields(found)):
                return found
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)
            found = self._look(kind, found)

    def _look(self, kind: Kind, found: _Object) -> _Object:
        inside, name = found["metadata"].get("namespace", ""), found["metadata"]["name"]
        try:
            answer: _Object = self._cluster.call("GET", kind.path(inside, name))
        except CallError as error:
            if error.passes:
                return found
            if error.status == _NOT_FOUND:
                raise AgentError(f"{found['kind']} {name} was deleted meanwhile") from error
            raise
        return answer

    def _write(self, action: str) -> _Object:
        manifest = self._manifest
        if not isinstance(manifest, dict) or not manifest.get("kind"):
            raise AgentError(f"action {action}: the manifest has no kind")
        kind = self._cluster.kind(str(manifest.get("apiVersion")), manifest["kind"])
        query = {"fieldManager": _MANAGER, "fieldValidation": self._flags.validation}
        if action == "create":
            return self._answer("POST", kind.path(self._namespace), manifest, query=query)
        name = self._own("name")
        if not name:
            raise AgentError(f"action {action}: metadata.name of the manifest is missing")
        path = kind.path(self._namespace, name)
        if action == "replace":
            return self._answer("PUT", path, manifest, query=query)
        query["force"] = "true"
        return self._answer("PATCH", path, manifest, content=_APPLY, query=query)

    def _patch(self, kind: Kind, name: str) -> _Object:
        strategy = self._told.get("mergeStrategy") or "strategic"
        if strategy not in _MERGES:
            raise AgentError(f"mergeStrategy {strategy!r}: want {', '.join(_MERGES)}")
        return self._answer(
            "PATCH",
            kind.path(self._namespace, name),
            self._manifest,
            content=_MERGES[strategy],
            query={"fieldManager": _MANAGER},
        )

    def _delete(self) -> _Object:
        if self._flags.selector:
            kind = self._cluster.named(self._flags.kind)
            found = self._cluster.call(
                "GET", kind.path(self._namespace), query={"labelSelector": self._flags.selector}
            )
            for each in found["items"]:
                self._gone(kind, each["metadata"]["name"])
            return {}
        kind, name = self._target()
        self._gone(kind, name)
        return {}

    def _gone(self, kind: Kind, name: str) -> None:
        """Delete an object, and wait until it is gone; that it is not there is no matter."""
        path = kind.path(self._namespace, name)
        try:
            answer = self._cluster.call("DELETE", path, {"propagationPolicy": "Background"})
            uid = (answer.get("metadata") or {}).get("uid") or answer.get("details", {}).get("uid")
            pause = _FIRST_PAUSE
            while self._flags.waits and uid:
                left = self._cluster.call("GET", path)
                if left["metadata"]["uid"] != uid:
                    return
                time.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE)
        except CallError as error:
            if error.status != _NOT_FOUND:
                raise

    def _target(self) -> tuple[Kind, str]:
        """Return the kind and name that the manifest says, else the flags."""
        manifest = self._manifest
        if isinstance(manifest, dict) and manifest.get("kind"):
            name = self._own("name")
            if name:
                return self._cluster.kind(str(manifest.get("apiVersion")), manifest["kind"]), name
        if self._flags.kind and self._flags.name:
            return self._cluster.named(self._flags.kind), self._flags.name
        raise AgentError("neither the manifest nor the flags say which object: want kind and name")

    def _call(self, method: str, kind: Kind, name: str) -> _Object:
        return self._answer(method, kind.path(self._namespace, name), None)

    def _answer(self, method: str, path: str, body: Any, **options: Any) -> _Object:
        found: _Object = self._cluster.call(method, path, body, **options)
        return found

    def _own(self, field: str) -> str:
        if not isinstance(self._manifest, dict):
            return ""
        return str((self._manifest.get("metadata") or {}).get(field) or "")


def _again(work: Callable[[], _T]) -> _T:
    """Do something, and do it again where the API server fails for now."""
    pause = _FIRST_PAUSE
    for _ in range(_TRIES - 1):
        try:
            return work()
        except CallError as error:
            if not error.passes:
                raise
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
    return work()


def _manifest(told: Mapping[str, Any]) -> Any:
    if "manifestFrom" not in told:
        return _owned(told.get("manifest"), told)
    import yaml  # noqa: PLC0415 - only here, and not in every image

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manifest"
        errand = {**told["manifestFrom"], "to": str(path), "name": "resource.manifestFrom"}
        fetching.run({"inputs": [errand]}, ())
        try:
            return _owned(yaml.safe_load(path.read_text(encoding="utf-8")), told)
        except (yaml.YAMLError, OSError, ValueError) as error:
            raise AgentError(f"resource.manifestFrom: {error}") from error


def _owned(manifest: Any, told: Mapping[str, Any]) -> Any:
    """Return a manifest whose object goes when its Workflow does, where that is asked for."""
    if not told.get("owner") or not isinstance(manifest, dict):
        return manifest
    held = manifest.get("metadata") or {}
    references = [*(held.get("ownerReferences") or ()), told["owner"]]
    return {**manifest, "metadata": {**held, "ownerReferences": references}}
