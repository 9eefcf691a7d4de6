"""What the API does with a TrainJob or a runtime before it stores it: fill in, check. Pure.

What needs the runtime of a TrainJob to be looked at is in `related`.

Source: kubeflow/trainer 2.3 ``pkg/webhooks`` and the rules in its definitions.
"""

from collections.abc import Iterator
from typing import Final

from wherry.objects import metadata, names
from wherry.objects.copies import copied
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.training.trainer import kinds

_FORBIDDEN, _UNSUPPORTED = "FieldValueForbidden", "FieldValueNotSupported"
_REQUIRED: Final = "FieldValueRequired"
_IMMUTABLE: Final = (
    "runtimeRef",
    "initializer",
    "trainer",
    "activeDeadlineSeconds",
    "managedBy",
    "labels",
    "annotations",
)
_WORDS: Final = ("auto", "cpu", "gpu")
_FRAMEWORKS: Final = ("torch", "mpi", "jax", "xgboost", "flux")
_SCHEDULERS: Final = ("coscheduling", "volcano")
_DEPRECATED: Final = ("podTemplateOverrides", "labels", "annotations")


def default(obj: Object) -> Object:
    """Return a TrainJob with what its user left out. Idempotent; the argument stays as it is."""
    made = copied(obj)
    spec = made.setdefault("spec", {})
    reference = spec.setdefault("runtimeRef", {})
    reference.setdefault("apiGroup", kinds.GROUP)
    reference.setdefault("kind", kinds.CLUSTER_RUNTIMES.kind)
    spec.setdefault("suspend", False)
    spec.setdefault("managedBy", kinds.CONTROLLER)
    return made


def warnings(obj: Object) -> list[str]:
    """Return what the writer of a TrainJob should know."""
    spec = obj.get("spec") or {}
    return [
        f"spec.{field} is deprecated since Trainer 2.2: write spec.runtimePatches"
        for field in _DEPRECATED
        if spec.get(field)
    ]


def validate(obj: Object, old: Object | None) -> list[Cause]:
    """Return what is wrong with a TrainJob.

    Args:
        obj: With defaults filled in.
        old: As it was before; None: it is new.
    """
    causes = [*_name(obj), *_runtime(obj), *_manager(obj), *_processes(obj), *_patches(obj)]
    return causes + ([*_changed(obj, default(old))] if old is not None else [])


def _name(obj: Object) -> Iterator[Cause]:
    name = metadata.name(obj)
    for problem in names.dns1035_label(name):
        yield Cause("metadata.name", f'"{name}": {problem}; a JobSet and a Service are called so')


def _runtime(obj: Object) -> Iterator[Cause]:
    reference = obj["spec"]["runtimeRef"]
    if reference["apiGroup"] != kinds.GROUP:
        message = f'"{reference["apiGroup"]}": want {kinds.GROUP}'
        yield Cause("spec.runtimeRef.apiGroup", message, _UNSUPPORTED)
    known = (kinds.CLUSTER_RUNTIMES.kind, kinds.RUNTIMES.kind)
    if reference["kind"] not in known:
        message = f'"{reference["kind"]}": want one of {", ".join(known)}'
        yield Cause("spec.runtimeRef.kind", message, _UNSUPPORTED)


def _manager(obj: Object) -> Iterator[Cause]:
    manager = obj["spec"]["managedBy"]
    if manager not in kinds.MANAGED_BY:
        accepted = ", ".join(kinds.MANAGED_BY)
        yield Cause("spec.managedBy", f'"{manager}": want one of {accepted}', _UNSUPPORTED)


def _processes(obj: Object) -> Iterator[Cause]:
    wanted = (obj["spec"].get("trainer") or {}).get("numProcPerNode")
    if wanted is None or wanted in _WORDS:
        return
    if not str(wanted).isdecimal() or int(wanted) < 1:
        message = f'"{wanted}": want a whole number above 0, or one of {", ".join(_WORDS)}'
        yield Cause("spec.trainer.numProcPerNode", message)


def _patches(obj: Object) -> Iterator[Cause]:
    for index, patch in enumerate(obj["spec"].get("runtimePatches") or ()):
        manager = str(patch.get("manager"))
        domain, slash, path = manager.partition("/")
        if not slash or not path or names.dns_subdomain(domain):
            message = f'"{manager}": want a domain and a path: example.com/name'
            yield Cause(f"spec.runtimePatches[{index}].manager", message)


def _changed(obj: Object, old: Object) -> Iterator[Cause]:
    before, after = old["spec"], obj["spec"]
    for field in _IMMUTABLE:
        if before.get(field) != after.get(field):
            yield Cause(f"spec.{field}", "cannot be changed; make another TrainJob", _FORBIDDEN)
    if before["suspend"] or after["suspend"]:
        # Both may be changed by one write that suspends, or resumes: queues do that.
        return
    for field in ("runtimePatches", "podTemplateOverrides"):
        if before.get(field) != after.get(field):
            message = "can be changed only while the TrainJob is suspended"
            yield Cause(f"spec.{field}", message, _FORBIDDEN)


def validate_runtime(obj: Object, old: Object | None) -> list[Cause]:
    """Return what is wrong with a training runtime.

    Args:
        obj: As it stands.
        old: As it was before; runtimes may be changed.
    """
    del old
    spec = obj.get("spec") or {}
    causes = [
        *_at_most_one(spec.get("mlPolicy") or {}, "spec.mlPolicy", _FRAMEWORKS),
        *_at_most_one(spec.get("podGroupPolicy") or {}, "spec.podGroupPolicy", _SCHEDULERS),
    ]
    listed = ((spec.get("template") or {}).get("spec") or {}).get("replicatedJobs") or ()
    for index, replicated in enumerate(listed):
        causes += _step(replicated, f"spec.template.spec.replicatedJobs[{index}]")
    return causes


def _at_most_one(policy: Object, field: str, known: tuple[str, ...]) -> Iterator[Cause]:
    given = [name for name in known if policy.get(name) is not None]
    if len(given) > 1:
        yield Cause(field, f"only one can be had: there are {', '.join(given)}")


def _step(replicated: Object, field: str) -> Iterator[Cause]:
    template = replicated.get("template") or {}
    step = ((template.get("metadata") or {}).get("labels") or {}).get(kinds.STEP)
    if step not in kinds.CONTAINERS:
        return
    if replicated.get("replicas", 1) != 1:
        message = f"{replicated['replicas']}: a step has one Job; its pods are what is many"
        yield Cause(f"{field}.replicas", message)
    pod = (((template.get("spec") or {}).get("template") or {}).get("spec")) or {}
    held = [str(one.get("name")) for one in pod.get("containers") or ()]
    if kinds.CONTAINERS[step] not in held:
        place = f"{field}.template.spec.template.spec.containers"
        message = f'one has to be called "{kinds.CONTAINERS[step]}"; there are {", ".join(held)}'
        yield Cause(place, message, _REQUIRED)
