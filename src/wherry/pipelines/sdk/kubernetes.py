"""What Kubernetes does for a task: secrets, config maps, claims, nodes. The names are those of ``kfp.kubernetes``.

Names of objects may be outputs of tasks, or inputs of the pipeline. In process these settings do nothing.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T", bound="KubernetesSettings")


class KubernetesSettings:
    """The settings of a task, as the second document of a compiled file has them."""

    def __init__(self) -> None:
        self.platform: dict[str, Any] = {}

    def use_secret_as_env(
        self: T, secret_name: Any, secret_key_to_env: Mapping[str, str], *, optional: bool = False
    ) -> T:
        """Set variables of the environment from keys of a Secret."""
        keys = [{"secretKey": key, "envVar": env} for key, env in secret_key_to_env.items()]
        return self._add(
            "secretAsEnv", secretNameParameter=secret_name, keyToEnv=keys, optional=optional
        )

    def use_secret_as_volume(
        self: T, secret_name: Any, mount_path: str, *, optional: bool = False
    ) -> T:
        """Lay the keys of a Secret into a folder."""
        return self._add(
            "secretAsVolume",
            secretNameParameter=secret_name,
            mountPath=mount_path,
            optional=optional,
        )

    def use_config_map_as_env(
        self: T,
        config_map_name: Any,
        config_map_key_to_env: Mapping[str, str],
        *,
        optional: bool = False,
    ) -> T:
        """Set variables of the environment from keys of a ConfigMap."""
        keys = [{"configMapKey": key, "envVar": env} for key, env in config_map_key_to_env.items()]
        return self._add(
            "configMapAsEnv",
            configMapNameParameter=config_map_name,
            keyToEnv=keys,
            optional=optional,
        )

    def use_config_map_as_volume(
        self: T, config_map_name: Any, mount_path: str, *, optional: bool = False
    ) -> T:
        """Lay the keys of a ConfigMap into a folder."""
        return self._add(
            "configMapAsVolume",
            configMapNameParameter=config_map_name,
            mountPath=mount_path,
            optional=optional,
        )

    def mount_pvc(self: T, pvc_name: Any, mount_path: str, *, sub_path: str = "") -> T:
        """Mount a claim."""
        return self._add(
            "pvcMount", pvcNameParameter=pvc_name, mountPath=mount_path, subPath=sub_path
        )

    def empty_dir_mount(
        self: T, volume_name: str, mount_path: str, *, medium: str = "", size_limit: str = ""
    ) -> T:
        """Mount an empty folder that lives as long as the task's pod."""
        return self._add(
            "emptyDirMounts",
            volumeName=volume_name,
            mountPath=mount_path,
            medium=medium,
            sizeLimit=size_limit,
        )

    def add_toleration(
        self: T, key: str = "", operator: str = "Equal", value: str = "", effect: str = ""
    ) -> T:
        """Let its pod run where a taint keeps others away."""
        return self._add("tolerations", key=key, operator=operator, value=value, effect=effect)

    def add_node_selector(self: T, label_key: str, label_value: str) -> T:
        """Run it on nodes with a label only."""
        labels = self.platform.setdefault("nodeSelector", {}).setdefault("labels", {})
        labels[label_key] = label_value
        return self

    def add_pod_label(self: T, label_key: str, label_value: str) -> T:
        """Give its pod a label."""
        return self._metadata("labels", label_key, label_value)

    def add_pod_annotation(self: T, annotation_key: str, annotation_value: str) -> T:
        """Give its pod an annotation."""
        return self._metadata("annotations", annotation_key, annotation_value)

    def set_image_pull_policy(self: T, policy: str) -> T:
        """Say when its image is pulled: Always, IfNotPresent or Never."""
        self.platform["imagePullPolicy"] = policy
        return self

    def set_timeout(self: T, seconds: int) -> T:
        """Let it fail after so many seconds."""
        self.platform["activeDeadlineSeconds"] = seconds
        return self

    def _add(self: T, field: str, **values: Any) -> T:
        kept = {
            name: value
            for name, value in values.items()
            # Outputs to come have no truth yet.
            if not isinstance(value, bool | str) or value
        }
        self.platform.setdefault(field, []).append(kept)
        return self

    def _metadata(self: T, kind: str, key: str, value: str) -> T:
        self.platform.setdefault("podMetadata", {}).setdefault(kind, {})[key] = value
        return self
