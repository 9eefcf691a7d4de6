"""What a node's pod has left: its result, its exit code, parameters and artifacts.

Source: argoproj/argo-workflows v4, ``workflow/executor/executor.go`` (SaveParameters, SaveArtifacts,
CaptureScriptResult).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wherry.metadata.records import Artifact
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines.steps.draft import MAIN
from wherry.pipelines.steps.outputs import OutputError
from wherry.pipelines.workflows.artifacts import locations
from wherry.pipelines.workflows.artifacts.order import Order
from wherry.pipelines.workflows.artifacts.plan import Output, Plan
from wherry.pipelines.workflows.artifacts.targets import NONE, Target
from wherry.pipelines.workflows.reading import any_text

LONGEST_RESULT: Final = 256 * 1024
"""Bytes; of a longer one the end is kept."""
_TYPE: Final = "system.Artifact"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOutputs:
    """What a node gives.

    Attributes:
        parameters: Of its files, by name; texts.
        artifacts: By name.
        result: What it has said; None: nobody asked, or it has said nothing that can be had.
        exit_code: Of its main container; None: that never ended.
    """

    parameters: Mapping[str, str] = field(default_factory=dict)
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)
    result: str | None = None
    exit_code: int | None = None


def exit_code(pod: Object) -> int | None:
    """Return how the main container has ended: of a set the one called so, else the worst."""
    codes = {
        str(each.get("name")): int(ended.get("exitCode") or 0)
        for each in (pod.get("status") or {}).get("containerStatuses") or ()
        if (ended := (each.get("state") or {}).get("terminated"))
    }
    return codes.get(MAIN, max(codes.values(), default=None))


def result(said: bytes) -> str:
    """Return what a script has said, as others see it: without its last newline, and not too long."""
    return said.removesuffix(b"\n")[-LONGEST_RESULT:].decode(errors="replace")


def written_down(template: Mapping[str, Any]) -> dict[str, str]:
    """Return the output parameters whose values stand in the template, its variables filled in."""
    given = (template.get("outputs") or {}).get("parameters") or ()
    return {
        each["name"]: any_text(each["value"]) for each in given if each.get("value") is not None
    }


def parameters(
    made: Plan, written: Callable[[Output], str | None], *, failed: bool
) -> dict[str, str]:
    """Return the output parameters that come from files.

    Args:
        made: Where each is.
        written: Gives what a file holds; None: it is not there.
        failed: Whether the step has failed: what is missing is no more news then.

    Raises:
        OutputError: one was not written, and has no default.
    """
    found: dict[str, str] = {}
    for each in made.parameters:
        name, default = str(each.said["name"]), each.said["valueFrom"].get("default")
        content = written(each)
        if content is None and default is None:
            if failed:
                continue
            raise OutputError(
                f"outputs.parameters.{name}: {each.path} was not written, and there is no default"
            )
        text = content if content is not None else any_text(default)
        found[name] = text.removesuffix("\n")
    return found


def artifacts(
    order: Order, placed: tuple[Target, ...], there: Callable[[Target], bool], *, failed: bool
) -> dict[str, Artifact]:
    """Return the artifacts that there are.

    Args:
        order: The node.
        placed: Where each is.
        there: Says whether one was left.
        failed: As in `parameters`.

    Raises:
        OutputError: one is missing that is not optional.
    """
    found = {}
    for each in placed:
        if there(each):
            found[each.name] = _artifact(order, each)
        elif not (failed or each.output.said.get("optional")):
            raise OutputError(
                f"outputs.artifacts.{each.name}: {each.output.path} was not left, "
                "and it is not optional"
            )
    return found


def _artifact(order: Order, target: Target) -> Artifact:
    told: dict[str, Any] = {**target.location}
    if target.archive == NONE or target.output.said.get("archive"):
        told["archive"] = target.output.said.get("archive") or {"none": {}}
    if target.output.said.get("artifactGC"):
        told["artifactGC"] = target.output.said["artifactGC"]
    return Artifact(
        namespace=metadata.namespace(order.workflow),
        type=_TYPE,
        name=target.name,
        uri=target.uri,
        metadata={locations.FIELD: told},
    )
