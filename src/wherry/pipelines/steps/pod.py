"""From a task that is to run to its pod: one container, and no driver beside it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wherry.client.functions.carrying import REQUIREMENTS
from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines import commands, kinds, naming, placeholders
from wherry.pipelines.definition import Pipeline
from wherry.pipelines.ir.executors import Container
from wherry.pipelines.steps import executor_input, platform, resources, runtime_volume
from wherry.pipelines.steps.draft import MAIN, Draft, StepError
from wherry.pipelines.steps.order import Order
from wherry.pipelines.steps.places import Places

WORKSPACE: Final = "kfp-workspace"
_POD_FACTS: Final = (
    ("KFP_POD_NAME", "metadata.name"),
    ("KFP_POD_UID", "metadata.uid"),
    ("NAMESPACE", "metadata.namespace"),
)


@dataclass(frozen=True, slots=True)
class Made:
    """A step's pod, and what its code is told.

    Attributes:
        pod: As it should be made.
        executor_input: What its code is told.
    """

    pod: Object
    executor_input: Object


def make(order: Order, places: Places, *, here: bool) -> Made:
    """Return the pod of a step.

    Args:
        order: What is to run.
        places: How its code reaches its artifacts.
        here: Whether pods run on this machine.

    Raises:
        StepError: its settings cannot be made.
        UnresolvedError: a placeholder asks for what there is not.
    """
    draft = Draft(
        {each.field: each.apply_to_task for each in order.component.task_config_passthroughs}
    )
    told = executor_input.make(order)
    context = executor_input.context(order, told)
    _fill(draft, order, context)
    told = executor_input.with_task_config(told, order, draft.task_config)
    context = executor_input.context(order, told)
    _run(draft, order, context, here=here)
    _mount_workspace(draft, order, told)
    places.prepare(draft, order, told)
    draft.check_arguments()
    return Made(finished(draft, order), told)


def _fill(draft: Draft, order: Order, context: placeholders.Context) -> None:
    """Put in what the component's author and the pipeline's have asked for."""
    container = order.container
    draft.env(
        {"name": each.name, "value": placeholders.resolve_text(each.value, context)}
        for each in container.env
    )
    asked = resources.make(container.resources, context)
    if asked:
        draft.resources(asked)
    platform.apply(order.step.settings, draft, order.resolve)


def _run(draft: Draft, order: Order, context: placeholders.Context, *, here: bool) -> None:
    wanted, container = order.container, draft.container
    container["image"] = placeholders.resolve_text(wanted.image, context)
    container["terminationMessagePolicy"] = "FallbackToLogsOnError"
    launch = _launch(wanted, here=here)
    if launch is None:
        container["command"] = placeholders.resolve(wanted.command, context)
        container["args"] = placeholders.resolve(wanted.args, context)
    else:
        container["command"] = _resolved(launch.command(), launch.source, context)
        runtime_volume.mount(draft, order.run, here=here)
        if launch.requirements:
            lines = [*_indexes(launch), *launch.requirements]
            draft.annotations[f"{REQUIREMENTS}.{MAIN}"] = "\n".join(lines)
    for name, field in _POD_FACTS:
        variable: Object = {"name": name, "valueFrom": {"fieldRef": {"fieldPath": field}}}
        if name not in {each["name"] for each in container.get("env") or ()}:
            container.setdefault("env", []).append(variable)


def any_launched(pipeline: Pipeline) -> bool:
    """Return whether a step of a pipeline is started by Wherry's runtime, where nobody makes environments."""
    labelled = [name for name, each in pipeline.components.items() if each.executor_label]
    containers = [pipeline.step(name).executor.container for name in labelled]
    return any(each is not None and _launch(each, here=False) is not None for each in containers)


def _launch(container: Container, *, here: bool) -> commands.Launch | None:
    """Return how Wherry's runtime starts a container's command; None: it runs as it stands.

    Elsewhere nobody makes environments: a command that wants packages installs them itself.
    """
    found = commands.recognise(container.command, container.args)
    return found if found is not None and (here or not found.requirements) else None


def _resolved(command: Sequence[str], source: str, context: placeholders.Context) -> list[str]:
    # The source of the function is code, whatever stands in its strings.
    return [
        part
        for text in command
        for part in ([text] if text == source else placeholders.resolve([text], context))
    ]


def _indexes(launch: commands.Launch) -> list[str]:
    """Return the lines that name package indexes; what is built here trusts no host unseen."""
    options = launch.index_options
    pairs = zip(options[::2], options[1::2], strict=True)
    return [f"{option} {url}" for option, url in pairs if option != "--trusted-host"]


def _mount_workspace(draft: Draft, order: Order, told: Object) -> None:
    if needs_workspace(order, told):
        mount_workspace(draft, order)


def mount_workspace(draft: Draft, order: Order) -> None:
    """Mount the run's workspace.

    Raises:
        StepError: there is none, or something else is mounted there.
    """
    if not order.workspace:
        raise StepError(
            "the task uses the workspace, but the pipeline has none: give its "
            "PipelineConfig a workspace with a size"
        )
    for mount in draft.container.get("volumeMounts") or ():
        if mount["mountPath"].startswith(executor_input.WORKSPACE_PATH):
            raise StepError(f"mountPath {mount['mountPath']} is where the workspace is")
    claim = {"name": WORKSPACE, "persistentVolumeClaim": {"claimName": order.workspace}}
    draft.volume(claim, {"name": WORKSPACE, "mountPath": executor_input.WORKSPACE_PATH})


def needs_workspace(order: Order, told: Object) -> bool:
    """Return whether a step sees the run's workspace: it names it, or has an artifact in it."""
    texts = json.dumps(
        [told["inputs"]["parameterValues"], *order.container.command, *order.container.args]
    )
    if executor_input.WORKSPACE_PATH in texts or "{{$.workspace_path}}" in texts:
        return True
    return any(
        artifact.metadata.get("_kfp_workspace") is True
        for listed in order.inputs.artifacts.values()
        for artifact in listed
    )


def finished(draft: Draft, order: Order) -> Object:
    """Return a draft as the pod of a run's task."""
    run, name = order.run, order.path.rpartition("/")[2]
    account = run["spec"].get("serviceAccountName")
    if account:
        draft.spec["serviceAccountName"] = account
    return {
        "apiVersion": core.PODS.api_version,
        "kind": core.PODS.kind,
        "metadata": {
            "name": naming.pod(run, order.path, order.attempt),
            "namespace": metadata.namespace(run),
            "labels": {
                **draft.labels,
                kinds.RUN_LABEL: naming.label(metadata.name(run)),
                kinds.TASK_LABEL: naming.label(name),
                kinds.UPSTREAM_RUN_LABEL: naming.run_id(run),
                kinds.UPSTREAM_COMPONENT_LABEL: "true",
            },
            "annotations": {
                **draft.annotations,
                kinds.PATH_ANNOTATION: order.path,
                kinds.ATTEMPT_ANNOTATION: str(order.attempt),
            },
            "finalizers": [kinds.FINALIZER],
            "ownerReferences": [metadata.owner_reference(run)],
        },
        "spec": draft.spec,
    }
