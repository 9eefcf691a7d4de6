"""From settings, space and package to the objects of a search. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from wherry.client.functions import carrying
from wherry.objects.metadata import NamespacedName
from wherry.objects.requests import Object
from wherry.tuning import kinds
from wherry.tuning.sdk import settings as setting
from wherry.tuning.sdk import space
from wherry.tuning.sdk.settings import Settings
from wherry.tuning.sdk.space import Dimension

CONTAINER: Final = "training-container"
LABEL: Final = "wherry.dev/tuning"
"""Label of the Experiments and Secrets that `tune` makes."""
READERS: Final = "wherry.dev/parameter-readers"
"""Annotation of the Experiments that `tune` makes: how the texts of parameters become values."""
_MAX_TRIALS: Final = 20
_PARALLEL: Final = 2


def experiment(
    place: NamespacedName,
    template: Object,
    dimensions: Mapping[str, Dimension],
    settings: Settings,
) -> Object:
    """Return the Experiment.

    Args:
        place: Its name, and where.
        template: What each trial runs, from `job`.
        dimensions: What is searched.
        settings: Checked.
    """
    kind, metric = setting.objective(settings.get("objective", "objective"))
    objective: Object = {"type": kind, "objectiveMetricName": metric}
    if "goal" in settings:
        objective["goal"] = settings["goal"]
    if settings.get("metrics"):
        objective["additionalMetricNames"] = list(settings["metrics"])
    spec: Object = {
        "parameters": space.parameters(dimensions),
        "objective": objective,
        "algorithm": _chosen(settings.get("algorithm", "tpe"), settings.get("algorithm_settings")),
        "maxTrialCount": settings.get("max_trials", _MAX_TRIALS),
        "parallelTrialCount": min(
            settings.get("parallel", _PARALLEL), settings.get("max_trials", _MAX_TRIALS)
        ),
        "resumePolicy": kinds.LONG_RUNNING,
        "trialTemplate": {
            "primaryContainerName": CONTAINER,
            "retain": settings.get("retain", False),
            "trialParameters": [
                {"name": _placeholder(number), "reference": each}
                for number, each in enumerate(dimensions)
            ],
            "trialSpec": template,
        },
    }
    if "max_failed" in settings:
        spec["maxFailedTrialCount"] = settings["max_failed"]
    if settings.get("early_stopping"):
        given = settings.get("early_stopping_settings")
        spec["earlyStopping"] = _chosen(settings["early_stopping"], given)
    return {
        "apiVersion": kinds.API_VERSION,
        "kind": kinds.EXPERIMENTS.kind,
        "metadata": {
            "name": place.name,
            "namespace": place.namespace,
            "labels": {LABEL: "search"},
            "annotations": {READERS: _readers(dimensions)},
        },
        "spec": spec,
    }


def job(
    secret: str, dimensions: Mapping[str, Dimension], settings: Settings, *, options: bool
) -> Object:
    """Return what each trial runs.

    Args:
        secret: Name of the Secret with the code.
        dimensions: What is searched.
        settings: Checked.
        options: Whether parameters are options of a command line, rather than for a function.
    """
    words = [
        f"{_option(name) if options else name}=${{trialParameters.{_placeholder(number)}}}"
        for number, name in enumerate(dimensions)
    ]
    env = {"PYTHONUNBUFFERED": "1", **settings.get("env", {})}
    container: Object = {
        "name": CONTAINER,
        "image": settings.get("image") or carrying.default_image(),
        "command": [*carrying.PROGRAM, *words],
        "env": [{"name": each, "value": str(value)} for each, value in env.items()],
    }
    if settings.get("resources"):
        container["resources"] = carrying.resources(settings["resources"])
    template = carrying.template(
        container,
        secret,
        packages=settings.get("packages", ()),
        volumes=settings.get("volumes", {}),
    )
    template["spec"]["restartPolicy"] = "Never"
    spec: Object = {"backoffLimit": 0, "template": template}
    if "timeout" in settings:
        spec["activeDeadlineSeconds"] = max(1, round(settings["timeout"]))
    return {"apiVersion": "batch/v1", "kind": "Job", "spec": spec}


def _placeholder(number: int) -> str:
    # Names of parameters may have characters that placeholders cannot.
    return f"p{number}"


def _option(name: str) -> str:
    return name if name.startswith("-") else f"--{name}"


def _chosen(name: str, settings: Mapping[str, Any] | None) -> Object:
    made: Object = {"algorithmName": name}
    if settings:
        made["algorithmSettings"] = [
            {"name": key, "value": str(value)} for key, value in settings.items()
        ]
    return made


def _readers(dimensions: Mapping[str, Dimension]) -> str:
    return ",".join(f"{name}={each.reader}" for name, each in dimensions.items())
