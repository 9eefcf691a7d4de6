"""What who has an experiment run must be allowed: to make what its trials make, of others' kinds. Pure.

Trials are made with the controllers' rights. What makes no more than pods (Kubernetes' own work, and
the kinds of training and pipelines) is free to whoever may make experiments; of all else only those
who may make it themselves have it made.
"""

from collections.abc import Sequence
from typing import Final

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.declared.kind import Right, Seen
from wherry.objects.requests import Object
from wherry.tuning import defaults, related, templates, workloads

MAKER: Final = "wherry.dev/made-by"
"""Annotation of an Experiment: who has made it. It is written by whoever admits it."""

_OWN_GROUPS: Final = frozenset(
    {"kubeflow.org", "trainer.kubeflow.org", "jobset.x-k8s.io", "wherry.dev"}
)
_TEMPLATE: Final = "spec.trialTemplate"


def of_run(run: Object, namespace: str, field: str) -> Sequence[Right]:
    """Return what is needed to have an object made as a trial's work.

    Args:
        run: The object.
        namespace: Where.
        field: What says so.
    """
    api_version, kind = str(run.get("apiVersion", "")), str(run.get("kind", ""))
    group, _, _ = api_version.rpartition("/")
    own = group in _OWN_GROUPS and workloads.known(api_version, kind) is not None
    if own or not kind or core.by_kind(api_version, kind) is not None:
        return ()
    return (Right(field=field, api_version=api_version, kind=kind, namespace=namespace),)


def of_experiment(obj: Object, old: Object | None, seen: Seen) -> Sequence[Right]:
    """Return what the writer of an Experiment needs; its template cannot be changed later.

    Args:
        obj: In v1beta1.
        old: As it was before; None: it is new.
        seen: What `related` names.
    """
    if old is not None:
        return ()
    try:
        run = _made(defaults.default(obj), seen)
    except templates.TemplateError:
        return ()  # it is told elsewhere; what is made of it later is looked at then
    return of_run(run, metadata.namespace(obj), _TEMPLATE)


def _made(obj: Object, seen: Seen) -> Object:
    """Return the object that the template of an Experiment makes, values aside."""
    template = obj["spec"].get("trialTemplate") or {}
    text = related.text(obj, seen)
    if template.get("goTemplate"):
        return templates.render(obj, templates.example(obj), text)
    return template.get("trialSpec") or {} if text is None else templates.with_placeholders(text)


def of_trial(obj: Object, old: Object | None, seen: Seen) -> Sequence[Right]:
    """Return what the writer of a Trial needs.

    Args:
        obj: In v1beta1.
        old: As it was before; None: it is new.
        seen: Nothing.
    """
    del seen
    run, before = ((each or {}).get("spec") or {} for each in (obj, old))
    wanted = run.get("runSpec")
    if not isinstance(wanted, dict) or wanted == before.get("runSpec"):
        return ()
    return of_run(wanted, metadata.namespace(obj), "spec.runSpec")
