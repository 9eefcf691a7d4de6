"""Argo's end-to-end tests, told again: their manifests out of a checkout, and what they do and look at.

The manifest of a test is read where upstream's test has it: from the file that it names, or out of the text of the
Go file. It is submitted as it stands, but for what reading it into Go's types does to it.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.pipelines.workflows import kinds as argo_kinds
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.pipelines_api import ARGO_PROXY, PipelinesApi
from wherry.testing.waiting import eventually

CHECKOUT: Final = os.environ.get("WHERRY_ARGO", "")
NAMESPACE: Final = "argo"
SECONDS: Final = 150.0
KINDS: Final[Mapping[str, Resource]] = {
    "Workflow": argo_kinds.WORKFLOWS,
    "WorkflowTemplate": argo_kinds.WORKFLOW_TEMPLATES,
    "ClusterWorkflowTemplate": argo_kinds.CLUSTER_WORKFLOW_TEMPLATES,
    "CronWorkflow": argo_kinds.CRON_WORKFLOWS,
    "WorkflowEventBinding": argo_kinds.EVENT_BINDINGS,
}
_TEST_LABEL: Final = "workflows.argoproj.io/test"
_BODY: Final = r"^func \(s \*\w+\) {}\(\) {{\n(.*?)^}}"
_GIVEN: Final = re.compile(
    rf"""\b({"|".join(KINDS)})\(\s*(?:fmt\.Sprintf\()?(?:`@([^`]*)`|"@([^"]+)"|`([^`]*)`|(\w+)\))""",
)
_TEXTS: Final = ("args", "command")
_TEXT_MAPS: Final = ("labels", "annotations", "matchLabels")

Check = Callable[["Seen"], object]


class _Loader(yaml.SafeLoader):
    """Reads YAML as upstream's reader does: moments stay text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class Manifest(NamedTuple):
    """What a test is given.

    Attributes:
        kind: Of it.
        body: As it stands there.
    """

    kind: str
    body: Object


class Upstream:
    """The end-to-end tests in a checkout of argo-workflows."""

    def __init__(self, checkout: Path) -> None:
        """Take the checkout.

        Args:
            checkout: The top of it.
        """
        self.folder = checkout / "test" / "e2e"

    def names(self, group: str) -> list[str]:
        """Return the tests of a Go file.

        Args:
            group: Its name without ``_test.go``.
        """
        return re.findall(r"^func \(s \*\w+\) (Test\w+)\(\)", self._source(group), re.MULTILINE)

    def manifests(self, group: str, test: str, *fills: str) -> list[Manifest]:
        """Return what a test is given, in its order.

        Args:
            group: Name of the Go file, without ``_test.go``.
            test: The method's.
            fills: What its text is formatted with.
        """
        source = self._source(group)
        body = re.search(_BODY.format(test), source, re.MULTILINE | re.DOTALL)
        assert body is not None, f"{group}_test.go has no {test}"
        rest = iter(fills)
        return [
            Manifest(found[1], read(_filled(self._text(source, found), rest)))
            for found in _GIVEN.finditer(body[1])
        ]

    def _text(self, source: str, found: re.Match[str]) -> str:
        if path := found[2] or found[3]:
            return (self.folder / path).read_text(encoding="utf-8")
        if not found[5]:
            return found[4]
        constant = re.search(rf"^const {found[5]} = `([^`]*)`", source, re.MULTILINE)
        assert constant is not None, f"there is no text {found[5]}"
        return constant[1]

    def _source(self, group: str) -> str:
        return (self.folder / f"{group}_test.go").read_text(encoding="utf-8")


def _filled(text: str, fills: Iterator[str]) -> str:
    def fill(found: re.Match[str]) -> str:
        value = next(fills, None)
        if value is None:
            return found[0]
        return f'"{value}"' if found[1] == "q" else value

    return re.sub(r"%([sq])", fill, text)


def read(text: str) -> Object:
    """Return an object as upstream's tests read it: what Go's type has as text becomes text.

    Args:
        text: YAML.
    """
    body: Object = _typed(yaml.load(text, _Loader))  # noqa: S506 - it is a SafeLoader
    return body


def _typed(value: Any, key: str = "") -> Any:
    if isinstance(value, list):
        inner = [_typed(each) for each in value]
        return [_text(each) for each in inner] if key in _TEXTS else inner
    if not isinstance(value, dict):
        return value
    # Go's reader of JSON takes field names in any case; one test relies on it.
    found = {name: _typed(each, name) for name, each in value.items()}
    if key == "valueFrom" and "Parameter" in found:
        found["parameter"] = found.pop("Parameter")
    return {name: _text(each) for name, each in found.items()} if key in _TEXT_MAPS else found


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


class Seen:
    """A workflow as it was seen once."""

    def __init__(self, body: Object) -> None:
        """Take the object."""
        self.body = body

    @property
    def name(self) -> str:
        """Its name."""
        return metadata.name(self.body)

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""
        return self.body["metadata"].get("labels") or {}

    @property
    def status(self) -> Object:
        """Its status, empty before there is one."""
        return self.body.get("status") or {}

    @property
    def phase(self) -> str:
        """Its phase, empty before there is one."""
        return str(self.status.get("phase") or "")

    @property
    def message(self) -> str:
        """Its message."""
        return str(self.status.get("message") or "")

    @property
    def completed(self) -> bool:
        """Whether it has the label of those that are done."""
        return self.labels.get(argo_kinds.COMPLETED_LABEL) == "true"

    @property
    def nodes(self) -> list[Object]:
        """All nodes."""
        return [*(self.status.get("nodes") or {}).values()]

    def find(self, shown: str) -> Object | None:
        """Return the node with a display name, None if there is none."""
        return next((each for each in self.nodes if each["displayName"] == shown), None)

    def node(self, shown: str) -> Object:
        """Return the node with a display name."""
        found = self.find(shown)
        assert found is not None, f"no node {shown}: {[each['displayName'] for each in self.nodes]}"
        return found

    def named(self, name: str) -> Object:
        """Return the node with a name, or whose name contains it if none has just this one."""
        found = [each for each in self.nodes if each["name"] == name]
        found += [each for each in self.nodes if name in each["name"]]
        assert found, f"no node {name}: {[each['name'] for each in self.nodes]}"
        return found[0]

    def phases(self, *shown: str) -> list[str]:
        """Return the phases of nodes by their display names."""
        return [self.node(each)["phase"] for each in shown]

    def pod_node(self, phase: str = "Succeeded") -> Object:
        """Return a node that is a pod."""
        found = [each for each in self.nodes if each["type"] == "Pod" and each["phase"] == phase]
        assert found, f"no pod {phase}: {self.told}"
        return found[0]

    @property
    def told(self) -> str:
        """What it says of itself, and of nodes that did not end well."""
        bad = [
            f"{each['displayName']}: {each['phase']}: {each.get('message', '')}"
            for each in self.nodes
            if each["phase"] not in ("Succeeded", "Skipped", "Omitted")
        ]
        return f"{self.name}: {self.phase}: {self.message}; {'; '.join(bad)}"


class Run:
    """A workflow that was submitted."""

    def __init__(self, argo: "Argo", name: str) -> None:
        """Take where it is, and its name."""
        self._argo = argo
        self.name = name

    def seen(self) -> Seen:
        """Return it as it is now."""
        return Seen(self._argo.get(argo_kinds.WORKFLOWS, self.name))

    def until(self, check: Check, seconds: float = SECONDS) -> Seen:
        """Wait until a check holds; fail at once if the workflow is done and it does not.

        Args:
            check: Looks at what is seen.
            seconds: How long at most.
        """

        def look() -> Seen | None:
            found = self.seen()
            return found if check(found) or found.completed else None

        found = eventually(look, seconds, what=f"{self.name} as wanted")
        assert found is not None
        assert check(found), found.told
        return found

    def ends(self, phase: str = "", seconds: float = SECONDS) -> Seen:
        """Wait until it is done.

        Args:
            phase: As what it has to be; empty: anything.
            seconds: How long at most.
        """
        found = self.until(lambda seen: seen.completed, seconds)
        assert not phase or found.phase == phase, found.told
        return found

    def becomes(self, phase: str) -> Seen:
        """Wait for a phase."""
        return self.until(lambda seen: seen.phase == phase)

    def has_pod(self) -> Seen:
        """Wait until a node that is a pod runs."""
        return self.until(
            lambda seen: any(
                each["type"] == "Pod" and each["phase"] == "Running" for each in seen.nodes
            )
        )

    def patch(self, change: Object) -> None:
        """Merge something into it."""
        client = self._argo.client
        self._argo.call(client.patch(argo_kinds.WORKFLOWS, self.name, change, NAMESPACE))

    def shut_down(self, strategy: str) -> None:
        """Stop or terminate it, as upstream's client does."""
        self.patch({"spec": {"shutdown": strategy}})

    def pods(self) -> list[Object]:
        """Return its pods."""
        found = self._argo.list(kinds.PODS)
        label = argo_kinds.WORKFLOW_LABEL
        return [
            each for each in found if (each["metadata"].get("labels") or {}).get(label) == self.name
        ]

    def pod(self, node: Object) -> Object:
        """Return the pod of a node."""
        found = [
            each
            for each in self.pods()
            if each["metadata"]["annotations"].get(argo_kinds.NODE_ID_ANNOTATION) == node["id"]
        ]
        assert found, f"{node['name']} has no pod"
        return found[0]

    def some_pod(self, check: Callable[[Object], object]) -> Object:
        """Wait until a pod of it is as a check wants."""
        return eventually(lambda: next(filter(check, self.pods()), {}), SECONDS)

    def logs(self, container: str, pod: str = "") -> str:
        """Return what a container has written.

        Args:
            container: Its name.
            pod: Whose; empty: the pod that is called like the workflow.
        """
        return self._argo.call(self._lines(pod or self.name, container))

    async def _lines(self, pod: str, container: str) -> str:
        lines = self._argo.client.log_lines(pod, NAMESPACE, container=container)
        return "\n".join([line async for line in lines])


class Argo:
    """What a test of upstream's works with.

    Attributes:
        platform: Where it works.
        client: Of the platform, with all rights.
        given: What upstream's test is given.
    """

    def __init__(self, platform: InProcessPlatform, group: str, test: str) -> None:
        """Take the platform, and which test it is.

        Args:
            platform: Where it works.
            group: Name of the Go file, without ``_test.go``.
            test: The method's.
        """
        self.platform = platform
        self.call = platform.call
        self.client = platform.client
        self._where = (group, test)
        self.given = Upstream(Path(CHECKOUT)).manifests(group, test)

    def filled(self, *fills: str) -> None:
        """Read again what upstream's test is given, where it is a text that is formatted.

        Args:
            fills: What it is formatted with.
        """
        self.given = Upstream(Path(CHECKOUT)).manifests(*self._where, *fills)

    def get(self, resource: Resource, name: str) -> Object:
        """Return an object of the namespace."""
        return self.call(self.client.get(resource, name, _place(resource)))

    def exists(self, resource: Resource, name: str) -> bool:
        """Return whether there is an object of the namespace."""
        try:
            self.get(resource, name)
        except errors.NotFoundError:
            return False
        return True

    def list(self, resource: Resource) -> list[Object]:
        """Return the objects of the namespace."""
        return [*self.call(self.client.list(resource, _place(resource))).items]

    def create(self, resource: Resource, body: Object) -> Object:
        """Make an object in the namespace, with upstream's label of tests."""
        head = {**body.get("metadata", {})}
        if resource.namespaced:
            head["namespace"] = NAMESPACE
        head["labels"] = {_TEST_LABEL: "true", **(head.get("labels") or {})}
        return self.call(self.client.create(resource, {**body, "metadata": head}))

    def delete(self, resource: Resource, name: str) -> None:
        """Delete an object of the namespace."""
        self.call(self.client.delete(resource, name, _place(resource)))

    def config_map(self, name: str, **data: str) -> None:
        """Make a ConfigMap."""
        self.create(kinds.CONFIG_MAPS, {"metadata": {"name": name}, "data": data})

    def quota(self, name: str, hard: Mapping[str, str]) -> None:
        """Bound what the namespace may have."""
        body = {"metadata": {"name": name}, "spec": {"hard": {**hard}}}
        self.create(kinds.RESOURCE_QUOTAS, body)

    def database_limit(self, key: str, limit: int) -> None:
        """Set a limit that is kept in the database, as Argo's clients do.

        Args:
            key: Its name.
            limit: How many may hold it.
        """
        api = PipelinesApi(self.platform.connection, proxy=ARGO_PROXY)
        told = {"type": "DATABASE", "key": key, "limit": limit}
        where = f"/api/v1/sync/{NAMESPACE}"

        def is_set() -> bool:
            if api.call("POST", where, told).status == 200:
                return True
            return api.call("PUT", f"{where}/{key}", told).status == 200

        eventually(is_set, SECONDS, what=f"limit {key}")

    def templates(self) -> None:
        """Make the templates that the test is given."""
        for manifest in self.given:
            if manifest.kind.endswith("WorkflowTemplate"):
                self.create(KINDS[manifest.kind], manifest.body)

    def submit(self, number: int = 0) -> Run:
        """Submit a workflow that the test is given.

        Args:
            number: Which, from 0.
        """
        found = [each.body for each in self.given if each.kind == "Workflow"]
        return self.submit_body(found[number])

    def submit_body(self, body: Object) -> Run:
        """Submit a workflow."""
        return Run(self, metadata.name(self.create(argo_kinds.WORKFLOWS, body)))

    def submit_template(self, name: str, *, cluster: bool = False) -> Run:
        """Submit what a template holds, as upstream's client does.

        Args:
            name: Of the template.
            cluster: It is one of the cluster.
        """
        where = {"name": name, "clusterScope": True} if cluster else {"name": name}
        head = {"generateName": f"{name}-"}
        return self.submit_body({"metadata": head, "spec": {"workflowTemplateRef": where}})

    def clear(self) -> None:
        """Delete what the test has made, as upstream's does after each."""
        for resource in (
            argo_kinds.CRON_WORKFLOWS,
            argo_kinds.WORKFLOWS,
            argo_kinds.WORKFLOW_TEMPLATES,
            argo_kinds.CLUSTER_WORKFLOW_TEMPLATES,
            argo_kinds.EVENT_BINDINGS,
            kinds.RESOURCE_QUOTAS,
            kinds.CONFIG_MAPS,
        ):
            for each in self.list(resource):
                if (each["metadata"].get("labels") or {}).get(_TEST_LABEL):
                    self.delete(resource, metadata.name(each))
        eventually(lambda: not self.list(argo_kinds.WORKFLOWS), SECONDS, what="nothing left")


def _place(resource: Resource) -> str | None:
    return NAMESPACE if resource.namespaced else None
