"""What the API does with a job before it stores it: fill in, check, remark. Pure.

Source: kubeflow/training-operator 1.9, ``pkg/apis/kubeflow.org/v1/*_defaults.go`` and
``pkg/webhooks``; its checks of immutable fields, which never fire there for some kinds, do here.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from wherry.objects import metadata, names
from wherry.objects.copies import copied
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.training.framework import Framework
from wherry.training.job import Job, replicas_of

_OLD = ("cleanPodPolicy", "ttlSecondsAfterFinished", "activeDeadlineSeconds", "backoffLimit")
_REQUIRED, _FORBIDDEN = "FieldValueRequired", "FieldValueForbidden"
_UNSUPPORTED = "FieldValueNotSupported"


def default(framework: Framework, obj: Object) -> Object:
    """Return a job with what its user left out. Idempotent.

    Args:
        framework: Of the job's kind.
        obj: As the user wrote it; not changed.
    """
    made = copied(obj)
    spec = made.setdefault("spec", {})
    policy = spec.get("runPolicy") or {}
    for field in _OLD:
        if field in spec:
            # Where both places say something, the right one counts. The old one stays as it was
            # written: whoever applies the file again would otherwise always find a difference.
            policy.setdefault(field, spec[field])
    policy.setdefault("cleanPodPolicy", "None")
    policy.setdefault("suspend", False)
    spec["runPolicy"] = policy
    spec[framework.replicas_field] = _replicas(framework, spec.get(framework.replicas_field) or {})
    framework.default(made)
    return made


def _replicas(framework: Framework, given: Mapping[str, Any]) -> dict[str, Any]:
    types = {type_.name.lower(): type_ for type_ in framework.types}
    made = {
        types[name.lower()].name if name.lower() in types else name: each
        for name, each in given.items()
    }
    for name, replica in made.items():
        replica.setdefault("replicas", 1)
        if not replica.get("restartPolicy"):
            own = types[name.lower()].restart_policy if name.lower() in types else ""
            replica["restartPolicy"] = own or framework.restart_policy
        for container in _containers(replica):
            if framework.container and container.get("name") == framework.container:
                _give_port(framework, container)
    return made


def _give_port(framework: Framework, container: Object) -> None:
    ports = container.setdefault("ports", [])
    if not any(port.get("name") == framework.port_name for port in ports):
        ports.append(
            {
                "name": framework.port_name,
                "containerPort": framework.port,
                "protocol": "TCP",
            }
        )


def _containers(replica: Mapping[str, Any]) -> list[Object]:
    template: Mapping[str, Any] = replica.get("template") or {}
    return list((template.get("spec") or {}).get("containers") or ())


def warnings(obj: Object) -> list[str]:
    """Return what the writer of a job should know."""
    spec = obj.get("spec") or {}
    return [
        f"spec.{field} is deprecated since Kubeflow 1.2: write spec.runPolicy.{field}"
        for field in _OLD
        if field in spec
    ]


def validate(framework: Framework, obj: Object, old: Object | None) -> list[Cause]:
    """Return what is wrong with a job.

    Args:
        framework: Of the job's kind.
        obj: With defaults filled in.
        old: As it was before; None: it is new.
    """
    causes = [*_name(framework, obj), *_types(framework, obj), *_policy(framework, obj)]
    if causes:
        return causes
    job = framework.read(obj)
    causes += [*_counts(framework, job), *_templates(framework, job), *framework.validate(job)]
    if old is not None:
        causes += _immutable(obj, old)
    return causes


def _name(framework: Framework, obj: Object) -> Iterator[Cause]:
    name = metadata.name(obj)
    field = "metadata.name"
    for problem in names.dns1035_label(name):
        yield Cause(field, f'"{name}": {problem}; pods and Services are named after the job')
    given: Mapping[str, Any] = (obj.get("spec") or {}).get(framework.replicas_field) or {}
    for type_, replica in given.items():
        last = f"{name}-{type_.lower()}-{max(0, int(replica.get('replicas') or 1) - 1)}"
        if len(last) > 63:
            yield Cause(field, f'"{name}": too long: "{last}" would have more than 63 characters')


def _types(framework: Framework, obj: Object) -> Iterator[Cause]:
    field = f"spec.{framework.replicas_field}"
    given: Mapping[str, Any] = (obj.get("spec") or {}).get(framework.replicas_field) or {}
    known = [type_.name for type_ in framework.types]
    if not given:
        yield Cause(field, f"must hold at least one of {', '.join(known)}", _REQUIRED)
    for name in given:
        if name not in known:
            yield Cause(f"{field}[{name}]", f"want one of {', '.join(known)}", _UNSUPPORTED)
    for type_ in framework.types:
        if type_.required and given and type_.name not in given:
            yield Cause(f"{field}[{type_.name}]", "must be there", _REQUIRED)


def _policy(framework: Framework, obj: Object) -> Iterator[Cause]:
    manager = obj["spec"]["runPolicy"].get("managedBy")
    if manager and manager not in framework.managers:
        accepted = ", ".join(framework.managers)
        yield Cause(
            "spec.runPolicy.managedBy", f'"{manager}": want one of {accepted}', _UNSUPPORTED
        )


def _counts(framework: Framework, job: Job) -> Iterator[Cause]:
    for type_ in framework.types:
        spec = job.replicas.get(type_.name)
        if spec is not None and spec.restart_policy not in framework.restart_policies:
            field = f"spec.{framework.replicas_field}[{type_.name}].restartPolicy"
            accepted = ", ".join(framework.restart_policies)
            yield Cause(field, f'"{spec.restart_policy}": want one of {accepted}', _UNSUPPORTED)
        if spec is None:
            continue
        field, count = f"spec.{framework.replicas_field}[{type_.name}].replicas", replicas_of(spec)
        if count < type_.at_least:
            yield Cause(field, f"{count}: want at least {type_.at_least}")
        if type_.at_most is not None and count > type_.at_most:
            yield Cause(field, f"{count}: want at most {type_.at_most}")


def _templates(framework: Framework, job: Job) -> Iterator[Cause]:
    for name, replica in job.replicas.items():
        field = f"spec.{framework.replicas_field}[{name}].template.spec.containers"
        containers = (replica.template.get("spec") or {}).get("containers") or []
        if not containers:
            yield Cause(field, "must hold at least one container", _REQUIRED)
            continue
        for index, container in enumerate(containers):
            if not container.get("image"):
                yield Cause(f"{field}[{index}].image", "must be given", _REQUIRED)
        held = [str(container.get("name")) for container in containers]
        if not framework.container or not framework.container_required:
            continue
        if framework.container not in held:
            yield Cause(
                field,
                f'one has to be called "{framework.container}": it is told how to find the '
                f"others; there {'is' if len(held) == 1 else 'are'} {', '.join(held)}",
                _REQUIRED,
            )


def _immutable(obj: Object, old: Object) -> Iterator[Cause]:
    before, after = (each["spec"].get("runPolicy") or {} for each in (old, obj))
    for path in (("managedBy",), ("schedulingPolicy", "queue")):
        values = [_at(policy, path) for policy in (before, after)]
        if values[0] != values[1]:
            field = ".".join(("spec.runPolicy", *path))
            message = f'"{values[1]}": cannot be changed; it is "{values[0]}"'
            yield Cause(field, message, _FORBIDDEN)


def _at(values: Mapping[str, Any], path: tuple[str, ...]) -> str:
    found: Any = values
    for key in path:
        found = (found or {}).get(key)
    return str(found or "")
