"""Where trials keep their state, so that others go on from it. Pure.

A search whose algorithm has the setting ``suggestion_trial_dir`` has a volume on which each trial has
a folder of its own; its primary container sees that folder at the directory that the setting names.
A trial that goes on from another finds what that one left there. Volume, claim and folders are called
as Katib calls them; it is copied in the trial's pod, so that nobody else has to reach the volume.

Source: kubeflow/katib 0.19, ``pkg/webhook/v1beta1/pod/inject_webhook.go``.
"""

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wherry.objects import metadata
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.tuning import kinds, search, service_objects
from wherry.tuning.collectors.sidecar import IMAGE

SETTING: Final = "suggestion_trial_dir"
_DIRECTORY: Final = "wherry.dev/checkpoints"
_CLAIM: Final = "wherry.dev/checkpoints-claim"
_VOLUME: Final = "suggestion-volume"
_COPIER: Final = "checkpoint"
_ROOT: Final = "/run/checkpoints"
_COPY: Final = """\
[ -e "$2.made" ] && exit 0
mkdir -p "$2"
[ ! -d "$1" ] || cp -a "$1/." "$2/"
: >"$2.made"
"""
"""The pod may be begun again, and goes on from its own state then."""

_Part = Mapping[str, Any]


def directory(spec: _Part) -> str:
    """Return where an experiment's trials find their state; empty: they keep none.

    Args:
        spec: Of an Experiment or a Suggestion.
    """
    return search.settings(spec.get("algorithm") or {}).get(SETTING, "")


def check(spec: _Part) -> Sequence[Cause]:
    """Return what is wrong with the directory that an experiment names."""
    wanted = directory(spec)
    if not wanted or (wanted.startswith("/") and posixpath.normpath(wanted) != "/"):
        return []
    message = f'{SETTING}: Invalid value: "{wanted}": must be an absolute path below /'
    return [Cause("spec.algorithm.algorithmSettings", message)]


def annotations(experiment: Object) -> dict[str, str]:
    """Return what the trials of an experiment are told of it."""
    wanted = directory(experiment["spec"])
    return {_DIRECTORY: wanted, _CLAIM: service_objects.name(experiment)} if wanted else {}


def prepare(trial: Object, pod: Object) -> None:
    """Have the primary container of a pod, or of its template, see the trial's folder, in place."""
    told = metadata.annotations(trial)
    if not (_DIRECTORY in told and _CLAIM in told):
        return
    spec = pod["spec"]
    volumes = spec.setdefault("volumes", [])
    if any(each.get("name") == _VOLUME for each in volumes):
        return
    volumes.append({"name": _VOLUME, "persistentVolumeClaim": {"claimName": told[_CLAIM]}})
    main = trial["spec"].get("primaryContainerName")
    primary = next((each for each in spec["containers"] if each.get("name") == main), None)
    mount = {
        "name": _VOLUME,
        "mountPath": told[_DIRECTORY],
        "subPath": _folder(trial, metadata.name(trial)),
    }
    (primary or spec["containers"][0]).setdefault("volumeMounts", []).append(mount)
    if told.get(kinds.RESUMES):
        copier = _copier(trial, told[kinds.RESUMES])
        spec["initContainers"] = [copier, *(spec.get("initContainers") or ())]


def _copier(trial: Object, parent: str) -> Object:
    places = [f"{_ROOT}/{_folder(trial, each)}" for each in (parent, metadata.name(trial))]
    return {
        "name": _COPIER,
        "image": IMAGE,
        "command": ["sh", "-ec", _COPY, "sh", *places],
        "volumeMounts": [{"name": _VOLUME, "mountPath": _ROOT}],
    }


def _folder(trial: Object, name: str) -> str:
    return f"{metadata.labels(trial).get(kinds.EXPERIMENT_LABEL, 'none')}/{name}"
