"""From a node that is to run to its pod."""

from collections.abc import Mapping
from pathlib import Path

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines import kinds as pipeline_kinds
from wherry.pipelines import naming, workflow_runs
from wherry.pipelines.steps.draft import Draft
from wherry.pipelines.workflows import kinds
from wherry.pipelines.workflows.artifacts import in_pod
from wherry.pipelines.workflows.artifacts import layout as layouts
from wherry.pipelines.workflows.artifacts.in_pod import Hire
from wherry.pipelines.workflows.artifacts.order import Order
from wherry.pipelines.workflows.steps import agents, containers, patching, reporting, settings


def make(order: Order, agent: Hire, folder: Path | None) -> Object:
    """Return the pod of a node.

    Args:
        order: What is to run.
        agent: Gives what brings artifacts where the step cannot reach them.
        folder: Of this machine, with the artifacts of the namespace; None: pods run elsewhere.

    Raises:
        StepError: it cannot be made; the message names the field and what is wanted.
    """
    draft = Draft({})
    if agents.runs(order):
        agents.fill(draft, order, agent, folder)
    else:
        _fill(draft, order, agent, folder)
    settings.apply(draft, order)
    patches = (order.spec.get("podSpecPatch") or "", order.template.get("podSpecPatch") or "")
    draft.spec = patching.patched(draft.spec, patches)
    draft.check_arguments()
    return _finished(draft, order)


def _fill(draft: Draft, order: Order, agent: Hire, folder: Path | None) -> None:
    layout = layouts.make(order)
    containers.fill(draft, order.template, layout.plan, here=folder is not None)
    in_pod.volumes(draft, layout)
    in_pod.bring(draft, layout, agent, folder)
    in_pod.carry_away(draft, layout, agent)
    containers.beside(draft, order.template)
    for container in draft.spec["containers"]:
        told = {
            "ARGO_CONTAINER_NAME": container["name"],
            "ARGO_NODE_ID": order.id,
            "ARGO_WORKFLOW_NAME": metadata.name(order.workflow),
        }
        _tell(container, told)
    if reporting.wanted(order):
        reporting.add(draft, agent)


def _tell(container: Object, told: Mapping[str, str]) -> None:
    """Add variables to a container that has none of the same name."""
    names = {each["name"] for each in container.get("env") or ()}
    added = [{"name": name, "value": value} for name, value in told.items() if name not in names]
    container["env"] = [*(container.get("env") or ()), *added]


def _finished(draft: Draft, order: Order) -> Object:
    workflow = order.workflow
    labels = {
        **draft.labels,
        kinds.WORKFLOW_LABEL: naming.label(metadata.name(workflow)),
        kinds.COMPLETED_LABEL: "false",
    }
    if workflow_runs.is_run(workflow):
        labels[pipeline_kinds.UPSTREAM_RUN_LABEL] = naming.label(naming.run_id(workflow))
    if order.on_exit:
        labels[kinds.ON_EXIT_LABEL] = "true"
    return {
        "apiVersion": core.PODS.api_version,
        "kind": core.PODS.kind,
        "metadata": {
            "name": order.pod,
            "namespace": metadata.namespace(workflow),
            "labels": labels,
            "annotations": {
                **draft.annotations,
                kinds.NODE_NAME_ANNOTATION: order.name,
                kinds.NODE_ID_ANNOTATION: order.id,
                pipeline_kinds.PATH_ANNOTATION: order.path,
                pipeline_kinds.ATTEMPT_ANNOTATION: str(order.attempt),
            },
            "finalizers": [kinds.POD_FINALIZER],
            "ownerReferences": [metadata.owner_reference(workflow)],
        },
        "spec": draft.spec,
    }
