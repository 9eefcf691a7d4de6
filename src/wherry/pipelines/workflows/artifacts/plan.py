"""Which files of a node's main container are its inputs and outputs, and in which volume each of them is. Pure.

Paths in ``/tmp`` and ``/mnt``, which images leave empty, are in volumes at these. An input elsewhere is
mounted at its path. What a command leaves elsewhere is copied into a volume when it has ended, by the
shell that runs it: a volume in place of the folder would hide what the image has there.
"""

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from wherry.metadata.records import Artifact
from wherry.pipelines.steps.draft import MAIN, StepError
from wherry.pipelines.workflows.artifacts import locations
from wherry.pipelines.workflows.artifacts.locations import Location
from wherry.pipelines.workflows.artifacts.order import Order

TMP: Final = "wherry-tmp"
FOLDERS: Final = {TMP: "/tmp", "wherry-mnt": "/mnt"}  # noqa: S108 - a pod's own
"""Volumes that stand in for folders which are empty in images."""
INPUTS: Final = "wherry-inputs"
"""The volume whose entries are mounted at the paths of inputs."""
COLLECTED: Final = "wherry-outputs"
"""The volume that the shell copies outputs into."""
COLLECTED_PATH: Final = "/wherry/outputs"
LOGS: Final = "wherry-logs"
"""The folder that the control plane puts what containers say into; no container sees it."""
_LONGEST_PATH: Final = 4000
_CONTAINERS: Final = ("container", "script", "containerSet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """An artifact that is to be at a path.

    Attributes:
        said: As the template has it: name, mode, optional, archive, subPath.
        where: Which, for people.
        path: In the main container.
        place: Volume and name in it; empty: it is in a volume of the user's.
        location: Where it comes from.
        made: The artifact of a step that it is; None: it is none.
    """

    said: Mapping[str, Any]
    where: str
    path: str
    place: str
    location: Location
    made: Artifact | None = None

    @property
    def on_node(self) -> str:
        """The folder of the node that it is in; empty: it is somewhere else."""
        uri = self.made.uri if self.made else str(self.location.get("uri") or "")
        return uri.removeprefix("file://") if uri.startswith("file://") else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A file or folder that the main container leaves.

    Attributes:
        said: The parameter or artifact, as the template has it.
        path: In the main container.
        place: Volume and name in it.
        file: What it is called where it is kept; empty: as the artifact, with its archive's ending.
    """

    said: Mapping[str, Any]
    path: str
    place: str
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is where.

    Attributes:
        inputs: Artifacts that are brought.
        parameters: Files of output parameters.
        artifacts: Output artifacts.
        copied: Paths that the shell copies, in the order of their names in the volume.
        folders: Which of `FOLDERS` are needed.
        logs: What containers say that is an artifact, by their names; these are no `artifacts`.
    """

    inputs: tuple[Input, ...]
    parameters: tuple[Output, ...]
    artifacts: tuple[Output, ...]
    copied: tuple[str, ...]
    folders: tuple[str, ...]
    logs: Mapping[str, Output] = field(default_factory=dict)

    @property
    def written_logs(self) -> dict[str, str]:
        """The paths of the logs that containers write themselves, by the containers' names."""
        return {
            name: f"{COLLECTED_PATH}/{each.file}"
            for name, each in self.logs.items()
            if each.place.startswith(f"{COLLECTED}/")
        }

    @property
    def mounted(self) -> tuple[Input, ...]:
        """The inputs that are mounted at their paths."""
        return tuple(each for each in self.inputs if each.place.startswith(f"{INPUTS}/"))

    @property
    def volumes(self) -> tuple[str, ...]:
        """The volumes that are needed."""
        collected = bool(self.copied or self.written_logs)
        needed = {INPUTS: bool(self.mounted), COLLECTED: collected}
        return (*self.folders, *(name for name, wanted in needed.items() if wanted))


def make(order: Order) -> Plan:
    """Return the plan of a node's pod.

    Raises:
        StepError: an artifact has no place to come from, or a path cannot be one.
    """
    template = order.template
    if not any(template.get(each) for each in _CONTAINERS):
        return Plan(inputs=(), parameters=(), artifacts=(), copied=(), folders=())
    spots = _Spots(_user_mounts(template))
    inputs = tuple(_inputs(order, spots))
    outputs = template.get("outputs") or {}
    parameters = [
        (each, str(each["valueFrom"]["path"]), f"outputs.parameters.{each['name']}")
        for each in outputs.get("parameters") or ()
        if (each.get("valueFrom") or {}).get("path")
    ]
    artifacts = [
        (each, str(each["path"]), f"outputs.artifacts.{each['name']}")
        for each in outputs.get("artifacts") or ()
        if each.get("path")
    ]
    return Plan(
        inputs=inputs,
        parameters=tuple(spots.output(*each) for each in parameters),
        artifacts=tuple(spots.output(*each) for each in artifacts),
        copied=tuple(spots.copied),
        folders=tuple(name for name in FOLDERS if name in spots.folders),
        logs=_logs(order, {str(each["name"]) for each, _, _ in artifacts}),
    )


def _logs(order: Order, taken: set[str]) -> dict[str, Output]:
    """Return where what the main containers say is left, where that is an artifact."""
    template = order.template
    own: Mapping[str, Any] = template.get("archiveLocation") or {}
    wanted = order.repository.archive_logs
    if not wanted:
        said = own.get("archiveLogs")
        wanted = bool(order.spec.get("archiveLogs") if said is None else said)
    if not wanted:
        return {}
    # Only the pod itself brings something to a store; what is said is there, too, for the node.
    stored = bool(order.repository.store or locations.kind(own, "archiveLocation"))
    away = stored or not order.repository.root.direct
    group: Sequence[Mapping[str, Any]] = (template.get("containerSet") or {}).get(
        "containers"
    ) or ()
    names = [str(each["name"]) for each in group] or [MAIN]
    return {
        name: Output(
            said={"name": f"{name}-logs", "optional": True, "archive": {"none": {}}},
            path=f"{COLLECTED_PATH}/{name}.log",
            place=f"{COLLECTED}/{name}.log" if away else f"{LOGS}/{name}.log",
            file=f"{name}.log",
        )
        for name in names
        if f"{name}-logs" not in taken
    }


def _has_source(order: Order, said: Mapping[str, Any], where: str) -> bool:
    """Return whether there is something for an input.

    Raises:
        StepError: it is of a kind that is not done.
    """
    made = order.inputs.artifacts.get(said["name"])
    return bool(made) or bool(said.get("uri")) or bool(locations.kind(said, where))


def _inputs(order: Order, spots: "_Spots") -> Iterable[Input]:
    for number, said in enumerate((order.template.get("inputs") or {}).get("artifacts") or ()):
        where = f"inputs.artifacts.{said['name']}"
        if not _has_source(order, said, where):
            if said.get("optional"):
                continue
            raise StepError(f"{where}: nothing is given for it, and it is not optional")
        if not said.get("path"):
            raise StepError(f"{where}.path is missing")
        made = order.inputs.artifacts.get(said["name"])
        path = cleaned(str(said["path"]), where)
        yield Input(
            said=said,
            where=where,
            path=path,
            place=spots.input(path, number),
            location=_location(order, said, made, where),
            made=made[0] if made else None,
        )


def _location(
    order: Order, said: Mapping[str, Any], made: Sequence[Artifact] | None, where: str
) -> Location:
    if not made:
        return locations.completed(said, order.repository, where)
    return locations.of(made[0])


def cleaned(path: str, where: str) -> str:
    """Return a path of a container in its shortest form.

    Raises:
        StepError: it is none, or nothing can be there.
    """
    if not path.startswith("/") or "\0" in path or "\n" in path or len(path) > _LONGEST_PATH:
        raise StepError(f"{where}: path {path[:200]!r}: want an absolute path of one line")
    clean = "/" + posixpath.normpath(path).lstrip("/")
    if ".." in path.split("/") or clean == "/":
        raise StepError(f"{where}: path {path!r}: want the path of a file or folder, without '..'")
    return clean


def below(path: str, folder: str) -> bool:
    """Return whether a path is a folder's or below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _user_mounts(template: Mapping[str, Any]) -> list[str]:
    containers = [template.get("container"), template.get("script")]
    group = template.get("containerSet") or {}
    containers += [group, *(group.get("containers") or ())]
    mounts = [each for part in containers if part for each in part.get("volumeMounts") or ()]
    # One without a path is told by the API, which refuses the pod.
    return sorted(
        {posixpath.normpath(str(each["mountPath"])) for each in mounts if each.get("mountPath")}
    )


class _Spots:
    """Where each path is, as they come: inputs before outputs."""

    def __init__(self, user_mounts: Sequence[str]) -> None:
        self.copied: list[str] = []
        self.folders: set[str] = set()
        self._user_mounts = user_mounts
        self._inputs: dict[str, str] = {}

    def input(self, path: str, number: int) -> str:
        if any(below(path, each) for each in self._user_mounts):
            return ""
        self._inputs[path] = self._in_folder(path) or f"{INPUTS}/{number}"
        return self._inputs[path]

    def output(self, said: Mapping[str, Any], path: str, where: str) -> Output:
        clean = cleaned(path, where)
        return Output(said=said, path=clean, place=self._place(clean))

    def _place(self, path: str) -> str:
        if not any(below(path, each) for each in self._user_mounts):
            for folder in sorted(self._inputs, key=len, reverse=True):
                if below(path, folder):
                    return self._inputs[folder] + path.removeprefix(folder)
            place = self._in_folder(path)
            if place:
                return place
        if path not in self.copied:
            self.copied.append(path)
        return f"{COLLECTED}/{self.copied.index(path)}"

    def _in_folder(self, path: str) -> str:
        for name, folder in FOLDERS.items():
            if below(path, folder) and folder not in self._user_mounts:
                self.folders.add(name)
                return name + path.removeprefix(folder)
        return ""
