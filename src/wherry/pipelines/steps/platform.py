"""Kubernetes' settings of a step: what `kfp-kubernetes` writes, put into the pod.

An optional setting whose value is missing is left out, as if it had never been asked for.

Source: kubeflow/pipelines 2.17, ``kubernetes_platform/proto/kubernetes_executor_config.proto``,
``backend/src/v2/driver/k8s.go`` and, for what upstream's compiler sets,
``backend/src/v2/compiler/argocompiler/container.go``.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from wherry.objects.requests import Object
from wherry.pipelines.ir.messages import TaskParameter, Value, ValueOrParameter
from wherry.pipelines.ir.platforms import InitContainer, KubernetesConfig, PodMetadata, PvcMount
from wherry.pipelines.steps import scheduling
from wherry.pipelines.steps.draft import Draft, StepError, volume_name

Resolve = Callable[[TaskParameter], Any]
"""Returns a value in the scope of the graph that the task is in; None: there is none."""

_SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108 - where it is by convention
_HARDENED: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def apply(config: KubernetesConfig, draft: Draft, resolve: Resolve) -> None:
    """Put all settings into a pod.

    Args:
        config: Of one executor, as in the compiled file's second document.
        draft: The pod; changed in place.
        resolve: Gives values of parameters.

    Raises:
        StepError: a setting cannot be made; the message says which and why.
    """
    for each in (
        _claims,
        _secret_volumes,
        _secret_variables,
        _config_map_volumes,
        _config_map_variables,
        _field_variables,
        _pull_secrets,
        _ephemeral_volumes,
        _empty_dirs,
        _shared_memory,
        _metadata,
        _pod_fields,
        _security_context,
        scheduling.apply,
        _init_containers,
    ):
        each(config, draft, resolve)


def claim_names(config: KubernetesConfig, resolve: Resolve) -> list[str]:
    """Return the claims that a step mounts, sorted: they are part of its fingerprint."""
    return sorted({_claim_name(mount, resolve) for mount in config.pvc_mount})


def _claim_name(mount: PvcMount, resolve: Resolve) -> str:
    name = resolve(_claim_reference(mount))
    if not isinstance(name, str) or not name:
        raise StepError(f"pvcMount at {mount.mount_path}: the claim's name is {name!r}")
    return name


def _claim_reference(mount: PvcMount) -> TaskParameter:
    if mount.pvc_name_parameter is not None:
        return mount.pvc_name_parameter
    if mount.constant:
        return TaskParameter(runtime_value=ValueOrParameter(constant=Value(mount.constant)))
    return TaskParameter(
        task_output_parameter=mount.task_output_parameter,
        component_input_parameter=mount.component_input_parameter,
    )


def _claims(config: KubernetesConfig, draft: Draft, resolve: Resolve) -> None:
    for each in config.pvc_mount:
        claim = _claim_name(each, resolve)
        name = volume_name(claim)
        mount = {"name": name, "mountPath": _path(each.mount_path, "pvcMount")}
        if each.sub_path:
            mount["subPath"] = each.sub_path
        draft.volume({"name": name, "persistentVolumeClaim": {"claimName": claim}}, mount)


def _path(path: str, what: str) -> str:
    if not path:
        raise StepError(f"{what}: mountPath is missing")
    return path


def _name(what: str, older: str, newer: TaskParameter | None, resolve: Resolve) -> str:
    """Return the name of an object; empty where it is optional and missing: no setting then."""
    name = older if newer is None else resolve(newer)
    if newer is not None and name is None:
        return ""
    if not isinstance(name, str) or not name:
        raise StepError(f"{what}: the name is {name!r}; a text is wanted")
    return name


def _secret_volumes(config: KubernetesConfig, draft: Draft, resolve: Resolve) -> None:
    for each in config.secret_as_volume:
        what = "secretAsVolume"
        secret = _name(what, each.secret_name, each.secret_name_parameter, resolve)
        if not secret:
            continue
        name = volume_name(secret)
        source = {"secretName": secret, "optional": bool(each.optional)}
        mount = {"name": name, "mountPath": _path(each.mount_path, what)}
        draft.volume({"name": name, "secret": source}, mount)


def _config_map_volumes(config: KubernetesConfig, draft: Draft, resolve: Resolve) -> None:
    for each in config.config_map_as_volume:
        what = "configMapAsVolume"
        held = _name(what, each.config_map_name, each.config_map_name_parameter, resolve)
        if not held:
            continue
        name = volume_name(held)
        source = {"name": held, "optional": bool(each.optional)}
        mount = {"name": name, "mountPath": _path(each.mount_path, what)}
        draft.volume({"name": name, "configMap": source}, mount)


def _secret_variables(config: KubernetesConfig, draft: Draft, resolve: Resolve) -> None:
    for each in config.secret_as_env:
        secret = _name("secretAsEnv", each.secret_name, each.secret_name_parameter, resolve)
        pairs = [(pair.env_var, pair.secret_key) for pair in each.key_to_env] if secret else []
        draft.env(_variables(pairs, "secretKeyRef", _reference(secret, optional=each.optional)))


def _config_map_variables(config: KubernetesConfig, draft: Draft, resolve: Resolve) -> None:
    for each in config.config_map_as_env:
        parameter = each.config_map_name_parameter
        held = _name("configMapAsEnv", each.config_map_name, parameter, resolve)
        pairs = [(pair.env_var, pair.config_map_key) for pair in each.key_to_env] if held else []
        draft.env(_variables(pairs, "configMapKeyRef", _reference(held, optional=each.optional)))


def _variables(
    pairs: Iterable[tuple[str, str]], source: str, reference: Object
) -> Iterator[Object]:
    for variable, key in pairs:
        yield {"name": variable, "valueFrom": {source: {**reference, "key": key}}}


def _reference(name: str, *, optional: bool | None) -> Object:
    return {"name": name} if optional is None else {"name": name, "optional": optional}


def _field_variables(config: KubernetesConfig, draft: Draft, _: Resolve) -> None:
    draft.env(
        {"name": each.name, "valueFrom": {"fieldRef": {"fieldPath": each.field_path}}}
        for each in config.field_path_as_env
    )


def _pull_secrets(config: KubernetesConfig, draft: Draft, resolve: Resolve) -> None:
    names = [
        _name("imagePullSecret", each.secret_name, each.secret_name_parameter, resolve)
        for each in config.image_pull_secret
    ]
    if any(names):
        draft.spec["imagePullSecrets"] = [{"name": name} for name in names if name]


def _ephemeral_volumes(config: KubernetesConfig, draft: Draft, _: Resolve) -> None:
    for each in config.generic_ephemeral_volume:
        name = volume_name(each.volume_name)
        claim: Object = {
            "accessModes": [*each.access_modes],
            "resources": {"requests": {"storage": each.size}},
        }
        if not each.default_storage_class:
            claim["storageClassName"] = each.storage_class_name
        template = {"metadata": _object_metadata(each.metadata), "spec": claim}
        mount = {"name": name, "mountPath": _path(each.mount_path, "genericEphemeralVolume")}
        draft.own_volume({"name": name, "ephemeral": {"volumeClaimTemplate": template}}, mount)


def _object_metadata(wanted: PodMetadata | None) -> Object:
    if wanted is None:
        return {}
    return {"labels": dict(wanted.labels), "annotations": dict(wanted.annotations)}


def _empty_dirs(config: KubernetesConfig, draft: Draft, _: Resolve) -> None:
    for each in config.empty_dir_mounts:
        name = volume_name(each.volume_name)
        fields = {"medium": each.medium, "sizeLimit": each.size_limit}
        source = {field: value for field, value in fields.items() if value}
        mount = {"name": name, "mountPath": _path(each.mount_path, "emptyDirMounts")}
        draft.own_volume({"name": name, "emptyDir": source}, mount)


def _shared_memory(config: KubernetesConfig, draft: Draft, _: Resolve) -> None:
    wanted = config.enabled_shared_memory
    if wanted is None:
        return
    name = volume_name(wanted.volume_name or "shm")
    source = {"medium": "Memory"}
    if wanted.size:
        source["sizeLimit"] = wanted.size
    draft.own_volume(
        {"name": name, "emptyDir": source}, {"name": name, "mountPath": _SHARED_MEMORY}
    )


def _metadata(config: KubernetesConfig, draft: Draft, _: Resolve) -> None:
    if config.pod_metadata is not None:
        draft.labels.update(config.pod_metadata.labels)
        draft.annotations.update(config.pod_metadata.annotations)


def _pod_fields(config: KubernetesConfig, draft: Draft, _: Resolve) -> None:
    if config.image_pull_policy:
        draft.container["imagePullPolicy"] = config.image_pull_policy
    if config.active_deadline_seconds:
        draft.spec["activeDeadlineSeconds"] = config.active_deadline_seconds


def _security_context(config: KubernetesConfig, draft: Draft, _: Resolve) -> None:
    wanted = config.security_context
    if wanted is None:
        return
    if wanted.run_as_non_root and wanted.run_as_user == 0:
        raise StepError("securityContext: runAsUser 0 is root, and runAsNonRoot is true")
    fields = {
        "runAsUser": wanted.run_as_user,
        "runAsGroup": wanted.run_as_group,
        "runAsNonRoot": wanted.run_as_non_root,
    }
    context: Object = {name: value for name, value in fields.items() if value is not None}
    draft.container["securityContext"] = {**context, "capabilities": {"drop": ["ALL"]}}


def _init_containers(config: KubernetesConfig, draft: Draft, _: Resolve) -> None:
    for each in config.init_containers:
        draft.init_container(_init_container(each))


def _init_container(wanted: InitContainer) -> Object:
    name, image = wanted.name, wanted.image
    if not name or not image:
        raise StepError(f"initContainers: name {name!r}, image {image!r}: both are wanted")
    if wanted.restart_policy not in {None, "", "Always"}:
        policy = wanted.restart_policy
        raise StepError(f"initContainers: {name}: restartPolicy {policy!r}: only Always is there")
    resources = dataclasses.asdict(wanted.resources) if wanted.resources else {}
    fields = {
        "command": [*wanted.command],
        "args": [*wanted.args],
        "env": [{"name": each.name, "value": each.value} for each in wanted.env],
        "resources": {each: dict(of) for each, of in resources.items() if of},
        "restartPolicy": wanted.restart_policy,
        "volumeMounts": [
            {"name": volume_name(each.volume_name), "mountPath": _path(each.mount_path, name)}
            for each in wanted.volume_mounts
        ],
    }
    given = {field: value for field, value in fields.items() if value}
    return {"name": name, "image": image, "securityContext": dict(_HARDENED), **given}
