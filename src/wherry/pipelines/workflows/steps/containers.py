"""The containers of a node's pod, as its template has them: main ones, sidecars, those that run first."""

from collections.abc import Mapping
from typing import Any, Final

from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.pipelines.steps.draft import MAIN, Draft, StepError
from wherry.pipelines.workflows import durations
from wherry.pipelines.workflows.artifacts.plan import COLLECTED, COLLECTED_PATH, Plan
from wherry.pipelines.workflows.steps import shell

SCRIPT_PATH: Final = "/argo/staging"
SCRIPT_NAME: Final = "script"
SCRIPT_ANNOTATION: Final = "wherry.dev/script"
"""Of pods: a script's source; it reaches the container as a file with what says so."""
_STAGING: Final = "argo-staging"
_LONGEST_SCRIPT: Final = 200 * 1024
"""Bytes. All annotations of an object may have 256 KiB."""
_EXECUTABLE: Final = 0o755
_NOT_OF_CONTAINERS: Final = ("source", "dependencies", "mirrorVolumeMounts", "autoName")
_MOST_TRIES: Final = 1000


def fill(draft: Draft, template: Mapping[str, Any], plan: Plan, *, here: bool) -> None:
    """Put the main containers of a container, script or containerSet template into a pod.

    Args:
        draft: The pod; changed in place.
        template: Of the node.
        plan: Of its files.
        here: Whether the pod runs on this machine.

    Raises:
        StepError: one lacks something.
    """
    if template.get("containerSet"):
        _set(draft, template["containerSet"], plan, here=here)
        return
    told = template.get("script") or template.get("container")
    if told is None:
        kinds = ", ".join(sorted({"plugin"} & {*template})) or "this kind"
        raise StepError(f"templates of {kinds} are not run here; there are container and script")
    draft.container.update({**_plain(told), "name": MAIN})
    if template.get("script"):
        _script(draft, template["script"])
    # That an image's own command is not known elsewhere is no reason not to run it.
    is_known = here or bool(draft.container.get("command"))
    log = plan.written_logs.get(MAIN, "") if is_known else ""
    if plan.copied or log:
        place = shell.Place()
        shell.wrap(draft, draft.container, place, here=here, copied=plan.copied, log=log)


def beside(draft: Draft, template: Mapping[str, Any]) -> None:
    """Add the containers that run first, then the sidecars, which end with the main ones.

    Raises:
        StepError: two have the same name.
    """
    for told in template.get("initContainers") or ():
        draft.init_container(_mirrored(draft, told))
    for told in template.get("sidecars") or ():
        draft.init_container({**_mirrored(draft, told), "restartPolicy": "Always"})


def _plain(told: Mapping[str, Any]) -> Object:
    made = {name: each for name, each in told.items() if name not in _NOT_OF_CONTAINERS}
    made.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
    return copied(made)


def _mirrored(draft: Draft, told: Mapping[str, Any]) -> Object:
    made = _plain(told)
    if told.get("mirrorVolumeMounts"):
        own = {each["mountPath"] for each in made.get("volumeMounts") or ()}
        main = draft.container.get("volumeMounts") or ()
        mirrored = [copied(each) for each in main if each["mountPath"] not in own]
        made["volumeMounts"] = [*(made.get("volumeMounts") or ()), *mirrored]
    return made


def _script(draft: Draft, told: Mapping[str, Any]) -> None:
    source = str(told.get("source") or "")
    if not source:
        return
    if len(source.encode()) > _LONGEST_SCRIPT:
        raise StepError(
            f"script.source has {len(source.encode())} bytes; at most {_LONGEST_SCRIPT} are handed "
            "to a pod: pass the rest as an artifact"
        )
    draft.annotations[SCRIPT_ANNOTATION] = source
    reference = {"fieldPath": f"metadata.annotations['{SCRIPT_ANNOTATION}']"}
    items = [{"path": SCRIPT_NAME, "fieldRef": reference}]
    volume = {"downwardAPI": {"items": items, "defaultMode": _EXECUTABLE}}
    draft.own_volume({"name": _STAGING, **volume}, {"name": _STAGING, "mountPath": SCRIPT_PATH})
    path = f"{SCRIPT_PATH}/{SCRIPT_NAME}"
    if draft.container.get("command"):
        draft.container["args"] = [*(draft.container.get("args") or ()), path]
    else:
        draft.container["command"] = [path]


def _set(draft: Draft, told: Mapping[str, Any], plan: Plan, *, here: bool) -> None:
    shared = told.get("volumeMounts") or ()
    tries, pause = _retries(told.get("retryStrategy") or {})
    nodes: list[Mapping[str, Any]] = told.get("containers") or []
    if not nodes:
        raise StepError("containerSet.containers: want at least one")
    made = []
    for node in nodes:
        # The draft's own container is the main one, else the last, as for kubectl's default.
        last = node is nodes[-1] and not any(each["name"] == MAIN for each in nodes)
        each = draft.container if node["name"] == MAIN or last else {}
        each.update(_plain(node))
        mounts = [*(each.get("volumeMounts") or ()), *copied([*shared])]
        each["volumeMounts"] = [*mounts, {"name": shell.STATE, "mountPath": shell.STATE_PATH}]
        place = shell.Place(
            own=node["name"],
            after=tuple(node.get("dependencies") or ()),
            beside=tuple(each["name"] for each in nodes if each is not node),
            tries=tries,
            pause=pause,
        )
        log = plan.written_logs.get(node["name"], "")
        if log and node["name"] != MAIN:
            each["volumeMounts"].append({"name": COLLECTED, "mountPath": COLLECTED_PATH})
        copied_paths = plan.copied if node["name"] == MAIN else ()
        shell.wrap(draft, each, place, here=here, copied=copied_paths, log=log)
        made.append(each)
    draft.spec["containers"] = made
    draft.spec.setdefault("volumes", []).append({"name": shell.STATE, "emptyDir": {}})


def _retries(told: Mapping[str, Any]) -> tuple[int, float]:
    if not told:
        return 1, 0.0
    try:
        retries = int(told.get("retries") or 0)
        pause = durations.seconds(str(told.get("duration") or "0s"))
    except ValueError as error:
        raise StepError(f"containerSet.retryStrategy: {error}") from error
    return min(1 + max(retries, 0), _MOST_TRIES), pause
