"""What Kubernetes does for a task: secrets, config maps, claims, nodes. The names are those of ``kfp.kubernetes``.

Names of objects, and what ends in ``_json``, may be outputs of tasks, or inputs of the pipeline. In process these
settings do nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Self, TypedDict, Unpack

from wherry.objects.requests import Object
from wherry.pipelines.sdk import setting_names
from wherry.pipelines.sdk.channels import Channel
from wherry.pipelines.sdk.errors import CompileError

_OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")
_PULL_POLICIES: Final = ("Always", "IfNotPresent", "Never")
_MOST_WEIGHT: Final = 100
_RESERVED: Final = "kfp-launcher"


class InitContainer(TypedDict, total=False):
    """What an init container may have besides its name and image."""

    command: Sequence[str]
    args: Sequence[str]
    env: Mapping[str, str]
    volume_mounts: Mapping[str, str]
    """Places in the container by the names of the pod's volumes."""
    restart_policy: Literal["Always"]
    """Keeps it beside the task, instead of before it."""
    resource_requests: Mapping[str, str]
    resource_limits: Mapping[str, str]


class EphemeralVolume(TypedDict, total=False):
    """What the claim of an ephemeral volume may have besides."""

    storage_class_name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


class KubernetesSettings:
    """The settings of a task, as the second document of a compiled file has them."""

    def __init__(self) -> None:
        self.platform: dict[str, Any] = {}

    # Secrets and config maps.

    def use_secret_as_env(
        self, secret_name: Any, secret_key_to_env: Mapping[str, str], *, optional: bool = False
    ) -> Self:
        """Set variables of the environment from keys of a Secret."""
        keys = [{"secretKey": key, "envVar": env} for key, env in secret_key_to_env.items()]
        return self._add(
            "secretAsEnv", secretNameParameter=secret_name, keyToEnv=keys, optional=optional
        )

    def use_secret_as_volume(
        self, secret_name: Any, mount_path: str, *, optional: bool = False
    ) -> Self:
        """Lay the keys of a Secret into a folder."""
        return self._add(
            "secretAsVolume",
            secretNameParameter=secret_name,
            mountPath=mount_path,
            optional=optional,
        )

    def use_config_map_as_env(
        self,
        config_map_name: Any,
        config_map_key_to_env: Mapping[str, str],
        *,
        optional: bool = False,
    ) -> Self:
        """Set variables of the environment from keys of a ConfigMap."""
        keys = [{"configMapKey": key, "envVar": env} for key, env in config_map_key_to_env.items()]
        return self._add(
            "configMapAsEnv",
            configMapNameParameter=config_map_name,
            keyToEnv=keys,
            optional=optional,
        )

    def use_config_map_as_volume(
        self, config_map_name: Any, mount_path: str, *, optional: bool = False
    ) -> Self:
        """Lay the keys of a ConfigMap into a folder."""
        return self._add(
            "configMapAsVolume",
            configMapNameParameter=config_map_name,
            mountPath=mount_path,
            optional=optional,
        )

    def set_image_pull_secrets(self, secret_names: Sequence[Any]) -> Self:
        """Name the Secrets with which its image is pulled."""
        for name in secret_names:
            self._add("imagePullSecret", secretNameParameter=name)
        return self

    # Volumes.

    def mount_pvc(self, pvc_name: Any, mount_path: str, sub_path: str = "") -> Self:
        """Mount a claim."""
        return self._add(
            "pvcMount", pvcNameParameter=pvc_name, mountPath=mount_path, subPath=sub_path
        )

    def empty_dir_mount(
        self, volume_name: str, mount_path: str, medium: str = "", *, size_limit: str = ""
    ) -> Self:
        """Mount an empty folder that lives as long as the task's pod."""
        return self._add(
            "emptyDirMounts",
            volumeName=volume_name,
            mountPath=mount_path,
            medium=medium,
            sizeLimit=size_limit,
        )

    def add_ephemeral_volume(
        self,
        volume_name: str,
        mount_path: str,
        access_modes: Sequence[str],
        size: str,
        **claim: Unpack[EphemeralVolume],
    ) -> Self:
        """Mount a claim that is made for the task's pod, and goes with it.

        Raises:
            CompileError: A setting of the claim is not known.
        """
        setting_names.check("add_ephemeral_volume", claim, EphemeralVolume)
        names = ("labels", "annotations")
        found = {name: dict(claim[name]) for name in names if claim.get(name)}  # type: ignore[literal-required]  # two of its keys
        storage_class = claim.get("storage_class_name")
        return self._add(
            "genericEphemeralVolume",
            volumeName=volume_name,
            mountPath=mount_path,
            accessModes=[*access_modes],
            size=size,
            defaultStorageClass=storage_class is None,
            storageClassName=storage_class or "",
            **({"metadata": found} if found else {}),
        )

    # Where it runs.

    def add_node_selector(self, label_key: str, label_value: str) -> Self:
        """Run it on nodes with a label only."""
        return self._entry("nodeSelector", "labels", label_key, label_value)

    def add_node_selector_json(self, node_selector_json: Any) -> Self:
        """Run it on nodes with labels only that are given as an object."""
        self.platform.setdefault("nodeSelector", {})["nodeSelectorJson"] = node_selector_json
        return self

    def add_toleration(
        self,
        key: str = "",
        operator: str = "",
        value: str = "",
        effect: str = "",
        *,
        toleration_seconds: int | None = None,
    ) -> Self:
        """Let its pod run where a taint keeps others away."""
        seconds = {} if toleration_seconds is None else {"tolerationSeconds": toleration_seconds}
        return self._add(
            "tolerations", key=key, operator=operator, value=value, effect=effect, **seconds
        )

    def add_toleration_json(self, toleration_json: Any) -> Self:
        """Let its pod run where taints keep others away: an object, or a list of them, as Kubernetes spells them."""
        if isinstance(toleration_json, Channel):
            return self._add("tolerations", tolerationJson=toleration_json)
        given = [toleration_json] if isinstance(toleration_json, Mapping) else toleration_json
        for each in given:
            seconds = each.get("tolerationSeconds", each.get("toleration_seconds"))
            words = [each.get(name) or "" for name in ("key", "operator", "value", "effect")]
            self.add_toleration(*words, toleration_seconds=seconds)
        return self

    def add_node_affinity(
        self,
        match_expressions: Sequence[Mapping[str, Any]] = (),
        match_fields: Sequence[Mapping[str, Any]] = (),
        weight: int | None = None,
    ) -> Self:
        """Run it on nodes that fit; with a weight from 1 to 100: rather than on others.

        Raises:
            CompileError: A condition has no key, or no operator that there is, or the weight is none.
        """
        if weight is not None and not 1 <= weight <= _MOST_WEIGHT:
            raise CompileError(f"weight must be from 1 to {_MOST_WEIGHT}, not {weight}")
        expressions = [_requirement(each) for each in match_expressions]
        fields = [_requirement(each) for each in match_fields]
        return self._add(
            "nodeAffinity",
            **({"matchExpressions": expressions} if expressions else {}),
            **({"matchFields": fields} if fields else {}),
            **({} if weight is None else {"weight": weight}),
        )

    def add_node_affinity_json(self, node_affinity_json: Any) -> Self:
        """Run it on nodes that fit a node affinity, as Kubernetes spells it; instead of one given before."""
        terms = self.platform.setdefault("nodeAffinity", [])
        terms[:] = [each for each in terms if "nodeAffinityJson" not in each]
        terms.append({"nodeAffinityJson": node_affinity_json})
        return self

    # Its pod.

    def add_pod_label(self, label_key: str, label_value: str) -> Self:
        """Give its pod a label."""
        return self._entry("podMetadata", "labels", label_key, label_value)

    def add_pod_annotation(self, annotation_key: str, annotation_value: str) -> Self:
        """Give its pod an annotation."""
        return self._entry("podMetadata", "annotations", annotation_key, annotation_value)

    def use_field_path_as_env(self, env_name: str, field_path: str) -> Self:
        """Set a variable of the environment from a field of its pod, such as ``metadata.name``."""
        return self._add("fieldPathAsEnv", name=env_name, fieldPath=field_path)

    def set_image_pull_policy(self, policy: str) -> Self:
        """Say when its image is pulled: Always, IfNotPresent or Never.

        Raises:
            CompileError: It is none of these.
        """
        if policy not in _PULL_POLICIES:
            words = ", ".join(_PULL_POLICIES)
            raise CompileError(f"image pull policy must be one of {words}, not {policy!r}")
        self.platform["imagePullPolicy"] = policy
        return self

    def set_timeout(self, seconds: int) -> Self:
        """Let it fail after so many seconds.

        Raises:
            CompileError: They are below zero.
        """
        if seconds < 0:
            raise CompileError(f"timeout must be 0 seconds or more, not {seconds}")
        self.platform["activeDeadlineSeconds"] = seconds
        return self

    def set_security_context(
        self,
        run_as_user: int | None = None,
        run_as_group: int | None = None,
        *,
        run_as_non_root: bool | None = None,
    ) -> Self:
        """Say as whom it runs.

        Raises:
            CompileError: Nothing is said, or a number is below zero.
        """
        given = {
            "runAsUser": run_as_user,
            "runAsGroup": run_as_group,
            "runAsNonRoot": run_as_non_root,
        }
        found = {name: value for name, value in given.items() if value is not None}
        if not found or any(value < 0 for value in found.values()):
            raise CompileError(f"security context must have numbers from 0 on, not {found}")
        self.platform.setdefault("securityContext", {}).update(found)
        return self

    def add_init_container(self, name: str, image: str, **settings: Unpack[InitContainer]) -> Self:
        """Run another container in its pod before it, or beside it with ``restart_policy="Always"``.

        Raises:
            CompileError: The name is taken, or there is no image, or a setting is not known.
        """
        setting_names.check("add_init_container", settings, InitContainer)
        taken = {each["name"] for each in self.platform.get("initContainers", ())} | {_RESERVED}
        if not name or name in taken or not image:
            raise CompileError(
                f"init container {name!r} of image {image!r}: want a name other than "
                f"{', '.join(sorted(taken))}, and an image"
            )
        self.platform.setdefault("initContainers", []).append(
            {"name": name, "image": image, **_init_container(settings)}
        )
        return self

    def _add(self, field: str, **values: Any) -> Self:
        kept = {
            name: value
            for name, value in values.items()
            # Outputs to come have no truth yet.
            if not isinstance(value, bool | str) or value
        }
        self.platform.setdefault(field, []).append(kept)
        return self

    def _entry(self, field: str, kind: str, key: str, value: str) -> Self:
        self.platform.setdefault(field, {}).setdefault(kind, {})[key] = value
        return self


def _init_container(settings: InitContainer) -> Object:
    env, mounts = settings.get("env", {}), settings.get("volume_mounts", {})
    resources = {
        "requests": dict(settings.get("resource_requests", {})),
        "limits": dict(settings.get("resource_limits", {})),
    }
    made: Object = {
        "command": [*settings.get("command", ())],
        "args": [*settings.get("args", ())],
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "volumeMounts": [{"volumeName": name, "mountPath": path} for name, path in mounts.items()],
        "restartPolicy": settings.get("restart_policy", ""),
        "resources": {name: each for name, each in resources.items() if each},
    }
    return {name: value for name, value in made.items() if value}


def _requirement(given: Mapping[str, Any]) -> Object:
    """Return a condition on labels or fields of nodes.

    Raises:
        CompileError: It is none.
    """
    key, operator = given.get("key"), given.get("operator")
    if not key or operator not in _OPERATORS:
        words = ", ".join(_OPERATORS)
        raise CompileError(f"node affinity {dict(given)}: want a key, and an operator of {words}")
    values = [*given.get("values", ())]
    return {"key": key, "operator": operator, **({"values": values} if values else {})}
