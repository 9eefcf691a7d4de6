"""Brings objects of tuning from ``v1alpha3`` into ``v1beta1`` and back. Pure.

Both versions have the same fields (`tuning.kinds`), so that nothing gets lost; what differs is which
of them is filled in. Defaults that v1alpha3 has of its own are filled in here, because afterwards
nobody knows any more in which version an object was written.

Source: kubeflow/katib 0.9, ``pkg/apis/controller/{experiments,suggestions,trials}/v1alpha3``.
"""

from typing import Any, Final

import yaml

from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.tuning import kinds, optimum, templates

TEMPLATES: Final = "trial-template"
"""ConfigMap with the template of experiments that bring none."""
DEFAULT_TEMPLATE: Final = "defaultTrialTemplate.yaml"


def convert(obj: Object, api_version: str) -> Object:
    """Return an object of tuning in another version.

    Args:
        obj: An Experiment, Suggestion or Trial; not changed.
        api_version: ``kubeflow.org/v1beta1`` or ``kubeflow.org/v1alpha3``.
    """
    made = {**copied(obj), "apiVersion": api_version}
    up = api_version == kinds.API_VERSION
    kind = obj.get("kind")
    if kind == kinds.EXPERIMENTS.kind:
        _experiment(made, up=up)
    elif kind == kinds.TRIALS.kind:
        _trial(made, up=up)
    elif kind == kinds.SUGGESTIONS.kind:
        _suggestion(made, up=up)
    return made


def _experiment(made: Object, *, up: bool) -> None:
    spec = made.get("spec")
    if up and isinstance(spec, dict):
        if not spec.get("resumePolicy"):
            spec["resumePolicy"] = kinds.LONG_RUNNING
        if not spec.get("trialTemplate"):
            spec["trialTemplate"] = {
                "retain": True,
                "goTemplate": {
                    "templateSpec": {
                        "configMapName": TEMPLATES,
                        "configMapNamespace": kinds.NAMESPACE,
                        "templatePath": DEFAULT_TEMPLATE,
                    }
                },
            }
    status = made.get("status") or {}
    objective = (spec or {}).get("objective") or {}
    for best in (status.get("currentOptimalTrial"), *(status.get("optimalTrials") or ())):
        _observation((best or {}).get("observation"), objective, up=up)


def _trial(made: Object, *, up: bool) -> None:
    spec = made.get("spec") or {}
    run = spec.get("runSpec")
    if up and isinstance(run, str):
        try:
            spec["runSpec"] = templates.parsed(run)
        except templates.TemplateError:
            return  # it stays what it is: the trial says that it cannot be run
    elif not up and isinstance(run, dict):
        spec["runSpec"] = yaml.safe_dump(run, sort_keys=False)
    observation = (made.get("status") or {}).get("observation")
    _observation(observation, spec.get("objective") or {}, up=up)


def _observation(observation: Any, objective: Object, *, up: bool) -> None:
    """Give each metric its one value, or take the value for the smallest, largest and latest."""
    for metric in (observation or {}).get("metrics") or ():
        if up:
            value = metric.pop("value", None)
            if value is not None:
                for field in ("min", "max", "latest"):
                    metric.setdefault(field, f"{value:g}")
            continue
        strategy = optimum.strategy(objective, str(metric.get("name", "")))
        told = optimum.number(str(metric.get(strategy) or metric.get("latest") or ""))
        if told is not None:
            metric["value"] = told


def _suggestion(made: Object, *, up: bool) -> None:
    spec = made.get("spec") or {}
    if up:
        name = spec.pop("algorithmName", None)
        if name:
            spec["algorithm"] = {**(spec.get("algorithm") or {}), "algorithmName": name}
    elif spec.get("algorithm"):
        spec["algorithmName"] = str(spec["algorithm"].get("algorithmName") or "")
