"""What is done to a workflow from outside: held, resumed, ended, taken up again, made once more. Pure.

All of it is written into the workflow's object, as upstream's clients do that talk to the API alone; its controller
finds it there.

Source: argo-workflows after 4.1.2, ``workflow/util/util.go``.
"""

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from wherry.objects import errors, metadata, selectors
from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.pipelines import kinds as runs
from wherry.pipelines.workflows import kinds, nodes

RETRY_ANNOTATION: Final = "wherry.dev/workflow-retry"
"""Of workflows: JSON, how often it was taken up again (``number``), and which nodes are done again in any case."""
RETRIED_ANNOTATION: Final = "wherry.dev/workflow-retried"
"""Of workflows: how often that was done."""
RUN_ID_ANNOTATION: Final = runs.RUN_ID_ANNOTATION
"""Of a workflow that was made anew once its object was gone: the uid of the first."""
RESULTS_ANNOTATION: Final = "wherry.dev/workflow-results-of"
"""Of a workflow that is like another one: id of its run, whose steps that succeeded are not done again."""

_FINAL: Final = frozenset({"Succeeded", "Failed", "Error"})
_BAD: Final = frozenset({"Failed", "Error"})
_SETTABLE: Final = frozenset({"Succeeded", "Failed", "Error", "Skipped", "Running", "Pending"})
_MOST_CHOSEN: Final = 200
_NOT_CARRIED: Final = frozenset({
    kinds.CREATOR_LABEL, f"{kinds.CREATOR_LABEL}-email", f"{kinds.CREATOR_LABEL}-preferred-username",
    kinds.PHASE_LABEL, kinds.COMPLETED_LABEL, kinds.ARCHIVING_LABEL,
})  # fmt: skip
_OWN_NOTES: Final = frozenset({
    RETRY_ANNOTATION, RETRIED_ANNOTATION, RUN_ID_ANNOTATION, RESULTS_ANNOTATION,
})  # fmt: skip
_FIELDS: Final[Mapping[str, Callable[[Object], str]]] = {
    "displayName": lambda node: str(node.get("displayName") or ""),
    "id": lambda node: str(node.get("id") or ""),
    "name": lambda node: str(node.get("name") or ""),
    "phase": lambda node: str(node.get("phase") or ""),
    "templateName": lambda node: str(node.get("templateName") or ""),
    "templateRef.name": lambda node: str((node.get("templateRef") or {}).get("name") or ""),
    "templateRef.template": lambda node: str((node.get("templateRef") or {}).get("template") or ""),
}


def suspend(workflow: Object) -> Object:
    """Return a workflow of which nothing more begins.

    Raises:
        BadRequestError: it has ended.
    """
    if _phase(workflow) in _FINAL:
        raise errors.BadRequestError("cannot suspend a workflow that has completed")
    return _with_spec(workflow, suspend=True)


def resume(workflow: Object, node_field_selector: str = "") -> Object:
    """Return a workflow that goes on, or of which the chosen nodes do that wait.

    Raises:
        BadRequestError: none of its nodes is chosen.
    """
    if node_field_selector:
        return set_(workflow, node_field_selector, {}, "Succeeded")
    after = _with_spec(workflow, suspend=None)
    return _changed_nodes(after, _waiting(after), lambda node: _ended(node, "Succeeded", ""))


def stop(workflow: Object, node_field_selector: str = "", message: str = "") -> Object:
    """Return a workflow that ends, but for its exit handlers; or of which the chosen nodes fail that wait.

    Raises:
        BadRequestError: it has ended, or none of its nodes is chosen.
    """
    if node_field_selector:
        return set_(workflow, node_field_selector, {}, "Failed", message=message)
    return _shut_down(workflow, "Stop")


def terminate(workflow: Object) -> Object:
    """Return a workflow that ends at once.

    Raises:
        BadRequestError: it has ended.
    """
    return _shut_down(workflow, "Terminate")


def set_(
    workflow: Object,
    node_field_selector: str,
    outputs: Mapping[str, Any],
    phase: str = "",
    *,
    message: str = "",
) -> Object:
    """Return a workflow of which the chosen nodes that wait have an end, or what they are to give.

    Args:
        workflow: Of which.
        node_field_selector: Chooses nodes, as in ``displayName=approve``.
        outputs: Values of their output parameters, by name.
        phase: What becomes of them; empty: they go on waiting.
        message: What is said of them.

    Raises:
        BadRequestError: none of its nodes is chosen, or they give no such output.
    """
    if phase and phase not in _SETTABLE:
        wanted = ", ".join(sorted(_SETTABLE))
        raise errors.BadRequestError(f"phase {phase[:80]!r}: it may be {wanted}")
    chosen = _chosen(_waiting(workflow), node_field_selector)
    if not chosen:
        raise errors.BadRequestError(
            f"no node that waits fits nodeFieldSelector {node_field_selector[:200]!r}"
        )
    return _changed_nodes(workflow, chosen, lambda node: _set(node, outputs, phase, message))


def supplied(text: str) -> dict[str, Any]:
    """Return outputs out of the JSON in which clients send them.

    Raises:
        BadRequestError: it is no map.
    """
    try:
        found = json.loads(text) if text else {}
    except ValueError as error:
        raise errors.BadRequestError(f"outputParameters is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise errors.BadRequestError("outputParameters is no map of names to values")
    return found


def retry(
    workflow: Object,
    restart_successful: bool = False,  # noqa: FBT001, FBT002 - as upstream's call has it
    node_field_selector: str = "",
    parameters: Sequence[str] = (),
) -> Object:
    """Return a workflow that has ended and goes on: what failed is done again.

    Args:
        workflow: Of which.
        restart_successful: Whether chosen nodes are done again though they have succeeded.
        node_field_selector: Chooses these.
        parameters: Of the workflow that have others values from now on, ``name=value``.

    Raises:
        BadRequestError: it has not ended, or there is nothing to do again.
    """
    phase = _phase(workflow)
    if phase not in _FINAL:
        raise errors.BadRequestError(
            f"cannot retry a workflow in phase {phase or 'Pending'}: it has not ended"
        )
    if phase == "Succeeded" and not (restart_successful and node_field_selector):
        raise errors.BadRequestError(
            "to retry a workflow that has succeeded, set restartSuccessful and nodeFieldSelector"
        )
    chosen: list[str] = []
    if restart_successful and node_field_selector:
        chosen = [*_chosen(nodes.stored(workflow), node_field_selector)]
        if not chosen or len(chosen) > _MOST_CHOSEN:
            raise errors.BadRequestError(
                f"{len(chosen)} nodes fit nodeFieldSelector; 1 to {_MOST_CHOSEN} may be done again"
            )
    after = _with_spec(workflow, shutdown=None, suspend=None)
    after["spec"] = _with_parameters(after["spec"], parameters)
    notes = {**metadata.annotations(after)}
    done = notes.get(RETRIED_ANNOTATION, "0")
    number = int(done) + 1 if done.isdecimal() else 1
    notes[RETRY_ANNOTATION] = json.dumps({"number": number, "nodes": chosen})
    after["metadata"]["annotations"] = notes
    return after


def anew(workflow: Object) -> Object:
    """Return an object for a workflow whose own is gone, and that goes on where that one has ended."""
    head = workflow["metadata"]
    run_id = metadata.annotations(workflow).get(RUN_ID_ANNOTATION) or str(head.get("uid") or "")
    return {
        "apiVersion": kinds.WORKFLOWS.api_version,
        "kind": kinds.WORKFLOWS.kind,
        "metadata": {
            "name": metadata.name(workflow),
            "namespace": metadata.namespace(workflow),
            "labels": metadata.labels(workflow),
            "annotations": {**metadata.annotations(workflow), RUN_ID_ANNOTATION: run_id},
        },
        "spec": copied(workflow["spec"]),
        "status": copied(workflow.get("status") or {}),
    }


def resubmit(
    workflow: Object,
    memoized: bool = False,  # noqa: FBT001, FBT002 - as upstream's call has it
    parameters: Sequence[str] = (),
) -> Object:
    """Return a new workflow that is like another one.

    Args:
        workflow: The other one.
        memoized: Whether what succeeded there is not done again.
        parameters: Those that have other values, ``name=value``.

    Raises:
        BadRequestError: results are to be taken over of a workflow that has not failed.
    """
    if memoized and _phase(workflow) not in _BAD:
        raise errors.BadRequestError(
            "memoized: the workflow must be Failed or Error, and is "
            f"{_phase(workflow) or 'Pending'}"
        )
    head = workflow["metadata"]
    labels = {
        key: value for key, value in metadata.labels(workflow).items() if key not in _NOT_CARRIED
    }
    notes = {
        key: value for key, value in metadata.annotations(workflow).items() if key not in _OWN_NOTES
    }
    if memoized:
        notes[RESULTS_ANNOTATION] = run_id(workflow)
    made = _with_spec(workflow, shutdown=None, suspend=None)
    return {
        "apiVersion": kinds.WORKFLOWS.api_version,
        "kind": kinds.WORKFLOWS.kind,
        "metadata": {
            "generateName": head.get("generateName") or f"{metadata.name(workflow)}-",
            "namespace": metadata.namespace(workflow),
            "labels": {**labels, kinds.RESUBMITTED_LABEL: metadata.name(workflow)[:63]},
            "annotations": notes,
            "ownerReferences": copied(head.get("ownerReferences") or []),
        },
        "spec": _with_parameters(made["spec"], parameters),
    }


def run_id(workflow: Object) -> str:
    """Return the id of the run that a workflow says it is: its own, or that of one that has ended."""
    return metadata.annotations(workflow).get(RUN_ID_ANNOTATION) or metadata.uid(workflow)


def retry_wish(workflow: Object) -> tuple[int, list[str]] | None:
    """Return the number of the retry that a workflow is told of, and the ids of nodes that are done again in any case.

    None: it is told of none that was not begun.
    """
    notes = metadata.annotations(workflow)
    try:
        wish = json.loads(notes.get(RETRY_ANNOTATION) or "{}")
    except ValueError:
        return None
    number = wish.get("number") if isinstance(wish, dict) else None
    done = notes.get(RETRIED_ANNOTATION) or "0"
    if not isinstance(number, int) or not done.isdecimal() or number <= int(done):
        return None
    chosen = wish.get("nodes") or []
    return number, [str(each) for each in chosen] if isinstance(chosen, list) else []


def _phase(workflow: Object) -> str:
    return str((workflow.get("status") or {}).get("phase") or "")


def _shut_down(workflow: Object, how: str) -> Object:
    if _phase(workflow) in _FINAL:
        raise errors.BadRequestError("cannot shut down a workflow that has completed")
    return _with_spec(workflow, shutdown=how)


def _with_spec(workflow: Object, **fields: Any) -> Object:
    after: Object = copied(workflow)
    for key, value in fields.items():
        if value is None:
            after["spec"].pop(key, None)
        else:
            after["spec"][key] = value
    return after


def _with_parameters(spec: Object, parameters: Sequence[str]) -> Object:
    if not parameters:
        return spec
    arguments: Object = copied(spec.get("arguments") or {})
    given = {str(each.get("name")): each for each in arguments.get("parameters") or ()}
    for text in parameters:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise errors.BadRequestError(f"parameter {text[:80]!r}: write name=value")
        given[name] = {
            **{key: each for key, each in given.get(name, {}).items() if key != "valueFrom"},
            "name": name,
            "value": value,
        }
    return {**spec, "arguments": {**arguments, "parameters": [*given.values()]}}


def _waiting(workflow: Object) -> dict[str, Object]:
    """Return the nodes that wait for somebody."""
    return {
        key: node
        for key, node in nodes.stored(workflow).items()
        if node.get("type") == "Suspend" and node.get("phase") == "Running"
    }


def _chosen(found: Mapping[str, Object], selector: str) -> dict[str, Object]:
    try:
        wanted = selectors.parse_fields(selector)
    except ValueError as error:
        raise errors.BadRequestError(f"nodeFieldSelector: {error}") from error
    return {key: node for key, node in found.items() if wanted.matches(_fields(node))}


def _fields(node: Object) -> dict[str, str]:
    made = {name: read(node) for name, read in _FIELDS.items()}
    for parameter in (node.get("inputs") or {}).get("parameters") or ():
        name = parameter.get("name")
        made[f"inputs.parameters.{name}.value"] = str(parameter.get("value") or "")
    return made


def _changed_nodes(
    workflow: Object, chosen: Mapping[str, Object], change: Callable[[Object], Object]
) -> Object:
    if not chosen:
        return workflow
    every = nodes.stored(workflow)
    every |= {key: change(copied(node)) for key, node in chosen.items()}
    status = {
        key: value
        for key, value in (workflow.get("status") or {}).items()
        if key not in {"nodes", "compressedNodes"}
    }
    return {**workflow, "status": {**status, **nodes.packed(every)}}


def _ended(node: Object, phase: str, message: str) -> Object:
    now = metadata.format_time(datetime.datetime.now(datetime.UTC))
    made = {**node, "phase": phase, "finishedAt": now}
    return {**made, "message": message} if message else made


def _set(node: Object, outputs: Mapping[str, Any], phase: str, message: str) -> Object:
    made = _ended(node, phase, message) if phase in _FINAL | {"Skipped"} else node
    if message:
        made = {**made, "message": message}
    parameters = (made.get("outputs") or {}).get("parameters") or []
    told = {each.get("name"): each for each in parameters}
    for name, value in outputs.items():
        if name not in told:
            raise errors.BadRequestError(
                f"node {node.get('displayName')} gives no output parameter {name[:80]!r}"
            )
        told[name] = {"name": name, "value": value if isinstance(value, str) else json.dumps(value)}
    if outputs:
        made = {**made, "outputs": {**made["outputs"], "parameters": [*told.values()]}}
    return made
