"""Runs that are Argo Workflows: what version 1 of KFP has compiled. Pure.

Source: kubeflow/pipelines 2.17, ``backend/src/apiserver/template/argo_template.go`` and
``backend/src/common/util/workflow.go``.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from wherry.objects import metadata
from wherry.objects.copies import copied
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.pipelines import kinds
from wherry.pipelines.ir.documents import PipelineError
from wherry.pipelines.runs import Wish, shown

_ARGO: Final = f"{kinds.WORKFLOWS.group}/"
_BARE: Final = frozenset({"templates", "entrypoint"})
_OPTIONAL: Final = frozenset({"mlpipeline-ui-metadata", "mlpipeline-metrics"})
_GENERATED: Final = "workflow-"
_NAME_LENGTH: Final = 57
"""With the five characters that the API adds, a name may be the value of a label."""
_PHASES: Final = {
    "Succeeded": kinds.SUCCEEDED,
    "Failed": kinds.FAILED,
    "Error": kinds.FAILED,
    "Running": kinds.RUNNING,
}
_OWN: Final = f"{kinds.GROUP}/"
_PARAMETERS: Final = "spec.arguments.parameters"


def is_workflow(given: Mapping[str, Any]) -> bool:
    """Tell whether a compiled pipeline, or an object, is one of Argo."""
    return str(given.get("apiVersion") or "").startswith(_ARGO)


def whole(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a compiled pipeline; the spec of a workflow that stands alone, as in upstream's schedules, as one."""
    if "apiVersion" in given or not given.keys() >= _BARE:
        return given
    resource = kinds.WORKFLOWS
    return {"apiVersion": resource.api_version, "kind": resource.kind, "spec": dict(given)}


def is_run(workflow: Object) -> bool:
    """Tell whether a Workflow is a run of KFP: others are their owners' alone."""
    return kinds.RUN_NAME_ANNOTATION in metadata.annotations(workflow)


def check(package: Mapping[str, Any]) -> Iterator[Cause]:
    """Yield what is wrong with the outside of a package; what it runs is checked when a Workflow is made of it."""
    resource = kinds.WORKFLOWS
    for name, wanted in (("apiVersion", resource.api_version), ("kind", resource.kind)):
        if package.get(name) != wanted:
            yield Cause(name, f"{str(package.get(name))[:80]!r}: want {wanted!r}")
    for name, wanted_type in (("metadata", dict), ("spec", dict)):
        if not isinstance(package.get(name) or {}, wanted_type):
            yield Cause(name, "want an object")
    spec = package.get("spec")
    if not spec:
        yield Cause("spec", "is wanted: templates, and the entrypoint")
    elif isinstance(spec, dict):
        yield from _check_arguments(spec)


def _check_arguments(spec: Mapping[str, Any]) -> Iterator[Cause]:
    arguments = spec.get("arguments") or {}
    listed = (arguments.get("parameters") or []) if isinstance(arguments, dict) else None
    if not isinstance(listed, list):
        yield Cause(_PARAMETERS, "want a list")
        return
    for index, each in enumerate(listed):
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            yield Cause(f"{_PARAMETERS}[{index}].name", "want a text")


def parameters(package: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the parameters of a package or of a Workflow, with their values; None: it has none."""
    arguments = (package.get("spec") or {}).get("arguments") or {}
    listed = arguments.get("parameters") or ()
    # Where no webhook has looked at a Workflow, one may have no name.
    return {each["name"]: _value(each) for each in listed if "name" in each}


def _value(parameter: Mapping[str, Any]) -> str | None:
    value = parameter.get("value", parameter.get("default"))
    return None if value is None else shown(value)


def make(package: Mapping[str, Any], wish: Wish, *, namespace: str, name: str = "") -> Object:
    """Return the run of a package.

    Args:
        package: The Workflow that the compiler wrote.
        wish: What it is run with; of these parameters, display name and service account.
        namespace: Of the run.
        name: Of the object; empty: as the package says, with an end of its own.

    Raises:
        PipelineError: it has no such parameter.
    """
    head = package.get("metadata") or {}
    spec: Object = copied(dict(package["spec"]))
    _give(spec, wish.parameters, parameters(package))
    _forgive(spec)
    if wish.service_account:
        spec["serviceAccountName"] = wish.service_account
    generated = str(head.get("generateName") or f"{head.get('name') or ''}-").lstrip("-")
    called = {"name": name} if name else {"generateName": (generated or _GENERATED)[:_NAME_LENGTH]}
    notes = _others(head.get("annotations") or {})
    return {
        "apiVersion": kinds.WORKFLOWS.api_version,
        "kind": kinds.WORKFLOWS.kind,
        "metadata": {
            **called,
            "namespace": namespace,
            "labels": dict(head.get("labels") or {}),
            "annotations": {**notes, kinds.RUN_NAME_ANNOTATION: wish.display_name},
        },
        "spec": spec,
    }


def _give(spec: Object, given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Set parameters of a spec, in place."""
    unknown = sorted(given.keys() - known.keys())
    if unknown:
        told = ", ".join(known) or "none"
        raise PipelineError(
            Cause(f"parameters.{name}", f"the pipeline has no such one; it has {told[:1000]}")
            for name in unknown
        )
    for each in (spec.get("arguments") or {}).get("parameters") or ():
        if given.get(each["name"]) is not None:
            each.pop("valueFrom", None)
            each["value"] = shown(given[each["name"]])


def _forgive(spec: Object) -> None:
    """Have steps not fail that do not write what the compiler of old versions said of every step."""
    for template in spec.get("templates") or ():
        for each in ((template or {}).get("outputs") or {}).get("artifacts") or ():
            if each.get("name") in _OPTIONAL:
                each["optional"] = True


def state(workflow: Object) -> str:
    """Return the state of the run that a Workflow is, in the words of `kinds`."""
    phase = str((workflow.get("status") or {}).get("phase") or "")
    found = _PHASES.get(phase, kinds.PENDING)
    if workflow["spec"].get("shutdown"):
        if found not in kinds.FINAL_STATES:
            return kinds.CANCELING
        return kinds.CANCELED if found == kinds.FAILED else found
    if workflow["spec"].get("suspend") and found == kinds.RUNNING:
        return kinds.PAUSED
    return found


def manifest(workflow: Object) -> Object:
    """Return what a Workflow runs, as its compiler could have written it."""
    head = workflow["metadata"]
    notes = _others(metadata.annotations(workflow))
    kept = {"generateName": head.get("generateName"), "annotations": notes}
    return {
        "apiVersion": kinds.WORKFLOWS.api_version,
        "kind": kinds.WORKFLOWS.kind,
        "metadata": {key: each for key, each in kept.items() if each},
        "spec": workflow["spec"],
    }


def node_id(workflow: str, pod: str) -> str:
    """Return the id of the node of a pod; empty: there is no pod.

    Args:
        workflow: Name of the Workflow.
        pod: Name of the pod: that ends with the number that the id ends with.
    """
    return pod if pod in ("", workflow) else f"{workflow}-{pod.rpartition('-')[2]}"


def _others(notes: Mapping[str, str]) -> dict[str, str]:
    """Return annotations without those that say something of one run."""
    return {
        key: each
        for key, each in notes.items()
        if key != kinds.RUN_NAME_ANNOTATION and not key.startswith(_OWN)
    }
