"""What the API does with a ChainerJob before it stores it: fill in, check, remark. Pure.

That a container without a name is called chainer stands in the kind's definition (`component`).

Source: kubeflow/chainer-operator, ``pkg/apis/chainer/v1alpha1/defaults.go``; it checks nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from wherry.objects import names, quantities
from wherry.objects.copies import copied
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.training.chainer import kinds

_GPU: Final = "nvidia.com/gpu"
_NEVER, _ON_FAILURE = "Never", "OnFailure"
_LONGEST: Final = 63


def default(obj: Object) -> Object:
    """Return a job with what its user left out. Idempotent; the argument stays as it is."""
    made = copied(obj)
    spec = made.setdefault("spec", {})
    master = spec.setdefault("master", {})
    template = master.setdefault("template", {}).setdefault("spec", {})
    if not template.get("restartPolicy"):
        template["restartPolicy"] = _NEVER
    sets = spec.get("workerSets") or {}
    if sets:
        spec["backend"] = spec.get("backend") or kinds.MPI
        _count_slots(master)
    for each in sets.values():
        each.setdefault("replicas", 1)
        _count_slots(each)
    return made


def _containers(part: Mapping[str, Any]) -> list[Object]:
    return list(((part.get("template") or {}).get("spec") or {}).get("containers") or ())


def _count_slots(part: Object) -> None:
    config = part.get("mpiConfig") or {}
    if config.get("slots") is None:
        own = (one for one in _containers(part) if one.get("name") == kinds.CONTAINER)
        limits = ((next(own, {}).get("resources") or {}).get("limits")) or {}
        config["slots"] = max(1, int(quantities.parse(limits.get(_GPU, 1))))
    part["mpiConfig"] = config


def warnings(obj: Object) -> list[str]:
    """Return what the writer of a job should know."""
    sets = (obj.get("spec") or {}).get("workerSets") or {}
    return [
        f"spec.workerSets[{name}].template.spec.restartPolicy: workers are a StatefulSet, whose pods "
        "are always restarted"
        for name, each in sets.items()
        if ((each.get("template") or {}).get("spec") or {}).get("restartPolicy", "Always")
        != "Always"
    ]


def validate(obj: Object, old: Object | None) -> list[Cause]:
    """Return what is wrong with a job.

    Args:
        obj: With defaults filled in.
        old: As it was before; what runs already is changed as far as its parts can be.
    """
    del old
    job = kinds.read(obj)
    causes = [*_name(job), *_template("spec.master", job.spec.master.template)]
    policy = (job.spec.master.template.get("spec") or {}).get("restartPolicy")
    if policy not in {_NEVER, _ON_FAILURE}:
        message = f'"{policy}": want one of {_NEVER}, {_ON_FAILURE}'
        field = "spec.master.template.spec.restartPolicy"
        causes.append(Cause(field, message, "FieldValueNotSupported"))
    for name, each in job.spec.worker_sets.items():
        causes += _template(f"spec.workerSets[{name}]", each.template)
    return causes


def _name(job: kinds.ChainerJob) -> Iterator[Cause]:
    for problem in names.dns1035_label(job.name):
        message = f'"{job.name}": {problem}; pods and Services are named after the job'
        yield Cause("metadata.name", message)
    for name in job.spec.worker_sets:
        for problem in names.dns_label(name):
            yield Cause(f"spec.workerSets[{name}]", f'"{name}": {problem}')
        last = (job.workers(name) or [job.set_name(name)])[-1]
        if len(last) > _LONGEST:
            message = f'too long: "{last}" would have more than {_LONGEST} characters'
            yield Cause(f"spec.workerSets[{name}]", message)


def _template(field: str, template: Mapping[str, Any]) -> Iterator[Cause]:
    held = [str(one.get("name")) for one in (template.get("spec") or {}).get("containers") or ()]
    if kinds.CONTAINER not in held:
        there = f"there {'is' if len(held) == 1 else 'are'} {', '.join(held) or 'none'}"
        message = (
            f'one has to be called "{kinds.CONTAINER}", in which MPI starts processes; {there}'
        )
        yield Cause(f"{field}.template.spec.containers", message, "FieldValueRequired")
