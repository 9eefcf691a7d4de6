"""What `kfp-kubernetes` writes reaches the pod; what is optional and missing does not."""

from typing import Any

import pytest

from wherry.pipelines.ir.messages import ParameterSource, TaskParameter
from wherry.pipelines.ir.platforms import (
    ConfigMapAsEnv,
    ConfigMapKey,
    EmptyDirMount,
    EnabledSharedMemory,
    FieldPathAsEnv,
    GenericEphemeralVolume,
    ImagePullSecret,
    InitContainer,
    InitVolumeMount,
    KubernetesConfig,
    NodeAffinityTerm,
    NodeSelector,
    PodAffinityTerm,
    PodMetadata,
    PvcMount,
    SecretAsEnv,
    SecretAsVolume,
    SecretKey,
    SecurityContext,
    SelectorRequirement,
    Toleration,
)
from wherry.pipelines.steps import platform
from wherry.pipelines.steps.draft import Draft, StepError

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def _input(name: str) -> TaskParameter:
    return TaskParameter(component_input_parameter=name)


def _applied(
    config: KubernetesConfig, values: dict[str, Any] | None = None, **passthroughs: bool
) -> Draft:
    def resolve(source: TaskParameter) -> Any:
        if source.runtime_value is not None and source.runtime_value.constant is not None:
            return source.runtime_value.constant.json
        if source.task_output_parameter is not None:
            return (values or {})[source.task_output_parameter.producer_task]
        return (values or {}).get(source.component_input_parameter or "")

    draft = Draft(passthroughs)
    platform.apply(config, draft, resolve)
    return draft


def test_claims_are_mounted_whoever_names_them() -> None:
    draft = _applied(
        KubernetesConfig(
            pvc_mount=(
                PvcMount(constant="data", mount_path="/data", sub_path="train"),
                PvcMount(
                    task_output_parameter=ParameterSource("createpvc", "name"), mount_path="/made"
                ),
                PvcMount(pvc_name_parameter=_input("claim"), mount_path="/given"),
            )
        ),
        {"createpvc": "made-1", "claim": "given-1"},
    )
    assert draft.container["volumeMounts"] == [
        {"name": "data", "mountPath": "/data", "subPath": "train"},
        {"name": "made-1", "mountPath": "/made"},
        {"name": "given-1", "mountPath": "/given"},
    ]
    assert draft.spec["volumes"][1] == {
        "name": "made-1",
        "persistentVolumeClaim": {"claimName": "made-1"},
    }


def test_a_claim_without_a_name_is_refused() -> None:
    with pytest.raises(StepError, match="pvcMount at /data: the claim's name is None"):
        _applied(
            KubernetesConfig(
                pvc_mount=(PvcMount(component_input_parameter="no", mount_path="/data"),)
            )
        )


def test_a_name_that_no_volume_may_have_is_changed_everywhere() -> None:
    name = "a.very.long.name-" + "x" * 60
    draft = _applied(
        KubernetesConfig(
            pvc_mount=(PvcMount(constant=name, mount_path="/data"),),
            init_containers=(
                InitContainer("first", "busybox", volume_mounts=(InitVolumeMount(name, "/data"),)),
            ),
        )
    )
    volume = draft.spec["volumes"][0]
    assert volume["persistentVolumeClaim"]["claimName"] == name
    assert len(volume["name"]) <= 63
    assert "." not in volume["name"]
    assert draft.spec["initContainers"][0]["volumeMounts"][0]["name"] == volume["name"]


def test_secrets_and_config_maps() -> None:
    draft = _applied(
        KubernetesConfig(
            secret_as_env=(
                SecretAsEnv("s", (SecretKey("password", "PASSWORD"),), optional=True),
                SecretAsEnv(
                    key_to_env=(SecretKey("k", "GONE"),), secret_name_parameter=_input("none")
                ),
            ),
            config_map_as_env=(
                ConfigMapAsEnv(
                    key_to_env=(ConfigMapKey("level", "LEVEL"),),
                    config_map_name_parameter=_input("map"),
                ),
            ),
            secret_as_volume=(
                SecretAsVolume("s", "/secret"),
                SecretAsVolume(mount_path="/gone", secret_name_parameter=_input("none")),
            ),
            image_pull_secret=(ImagePullSecret("pull"), ImagePullSecret("", _input("none"))),
        ),
        {"map": "settings"},
    )
    secret = {"name": "s", "key": "password", "optional": True}
    assert draft.container["env"] == [
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": secret}},
        {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "level"}}},
    ]
    assert draft.container["volumeMounts"] == [{"name": "s", "mountPath": "/secret"}]
    assert draft.spec["imagePullSecrets"] == [{"name": "pull"}]


def test_settings_whose_values_are_missing_are_left_out() -> None:
    draft = _applied(
        KubernetesConfig(
            node_selector=NodeSelector(node_selector_json=_input("none")),
            tolerations=(Toleration(toleration_json=_input("none")),),
            node_affinity=(NodeAffinityTerm(node_affinity_json=_input("none")), NodeAffinityTerm()),
            secret_as_volume=(SecretAsVolume("", "/x", None, _input("none")),),
        )
    )
    assert draft.spec == {"restartPolicy": "Never", "containers": [{"name": "main"}]}


def test_scheduling() -> None:
    expression = SelectorRequirement("disk", "In", ("ssd",))
    draft = _applied(
        KubernetesConfig(
            node_selector=NodeSelector({"old": "1"}, _input("labels")),
            tolerations=(
                Toleration("gpu", "Exists", toleration_seconds=0),
                Toleration(toleration_json=_input("more")),
            ),
            node_affinity=(
                NodeAffinityTerm((expression,)),
                NodeAffinityTerm((expression,), weight=5),
                NodeAffinityTerm(node_affinity_json=_input("affinity")),
            ),
            pod_affinity=(
                PodAffinityTerm(match_pod_labels={"app": "db"}, topology_key="zone"),
                PodAffinityTerm(
                    match_namespace_labels={"team": "a"}, topology_key="host", weight=3, anti=True
                ),
            ),
        ),
        {
            "labels": {"zone": "a"},
            "more": [{"key": "x"}, {}],
            "affinity": {_REQUIRED: {"nodeSelectorTerms": [{"matchFields": []}]}},
        },
    )
    chosen = [{"key": "disk", "operator": "In", "values": ["ssd"]}]
    assert draft.spec["nodeSelector"] == {"zone": "a"}
    assert draft.spec["tolerations"] == [
        {"key": "gpu", "operator": "Exists", "tolerationSeconds": 0},
        {"key": "x"},
    ]
    assert draft.spec["affinity"]["nodeAffinity"] == {
        _REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": chosen}, {"matchFields": []}]},
        _PREFERRED: [{"weight": 5, "preference": {"matchExpressions": chosen}}],
    }
    assert draft.spec["affinity"]["podAffinity"] == {
        _REQUIRED: [{"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "db"}}}]
    }
    assert draft.spec["affinity"]["podAntiAffinity"] == {
        _PREFERRED: [
            {
                "weight": 3,
                "podAffinityTerm": {
                    "topologyKey": "host",
                    "namespaceSelector": {"matchLabels": {"team": "a"}},
                },
            }
        ]
    }


def test_volumes_of_the_pod_alone() -> None:
    draft = _applied(
        KubernetesConfig(
            empty_dir_mounts=(EmptyDirMount("scratch", "/scratch", "Memory", "1Gi"),),
            enabled_shared_memory=EnabledSharedMemory(size="2Gi"),
            generic_ephemeral_volume=(
                GenericEphemeralVolume("work", "/work", ("ReadWriteOnce",), "5Gi", True),
            ),
        ),
        KUBERNETES_VOLUMES=False,
    )
    by_name = {volume["name"]: volume for volume in draft.spec["volumes"]}
    assert by_name["scratch"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "1Gi"}
    assert by_name["shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "2Gi"}
    claim = by_name["work"]["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert claim == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "5Gi"}},
    }
    assert draft.task_config == {}


def test_the_rest_of_a_pod() -> None:
    draft = _applied(
        KubernetesConfig(
            pod_metadata=PodMetadata({"team": "a"}, {"note": "b"}),
            image_pull_policy="Never",
            active_deadline_seconds=60,
            field_path_as_env=(FieldPathAsEnv("POD", "metadata.name"),),
            security_context=SecurityContext(1000, 0, True),
            init_containers=(
                InitContainer("side", "busybox", ("sleep",), restart_policy="Always"),
            ),
        )
    )
    assert (draft.labels, draft.annotations) == ({"team": "a"}, {"note": "b"})
    assert draft.container["imagePullPolicy"] == "Never"
    assert draft.spec["activeDeadlineSeconds"] == 60
    assert draft.container["securityContext"] == {
        "runAsUser": 1000,
        "runAsGroup": 0,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert draft.spec["initContainers"][0]["restartPolicy"] == "Always"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (KubernetesConfig(security_context=SecurityContext(0, None, True)), "runAsUser 0 is root"),
        (KubernetesConfig(init_containers=(InitContainer("main", "x"),)), "'main' is taken"),
        (KubernetesConfig(init_containers=(InitContainer("a"),)), "image ''"),
        (
            KubernetesConfig(init_containers=(InitContainer("a", "x", restart_policy="Never"),)),
            "only Always",
        ),
        (KubernetesConfig(secret_as_volume=(SecretAsVolume("s"),)), "mountPath is missing"),
        (KubernetesConfig(secret_as_volume=(SecretAsVolume(mount_path="/x"),)), "a text is wanted"),
        (
            KubernetesConfig(tolerations=(Toleration(toleration_json=_input("text")),)),
            "a toleration, or a list",
        ),
    ],
)
def test_what_cannot_be_is_refused(config: KubernetesConfig, message: str) -> None:
    with pytest.raises(StepError, match=message):
        _applied(config, {"text": "no"})


def test_the_code_is_handed_settings_with_or_without_its_pod() -> None:
    config = KubernetesConfig(
        secret_as_env=(SecretAsEnv("s", (SecretKey("k", "V"),)),),
        node_selector=NodeSelector({"zone": "a"}),
    )
    draft = _applied(config, ENV=False, KUBERNETES_NODE_SELECTOR=True)
    assert "env" not in draft.container
    assert draft.task_config["env"][0]["name"] == "V"
    assert draft.task_config["nodeSelector"] == draft.spec["nodeSelector"] == {"zone": "a"}


def test_arguments_are_as_long_as_linux_takes() -> None:
    draft = Draft({})
    draft.container |= {"command": ["sh", "-c"], "args": ["é" * 65535 + "x"]}
    draft.check_arguments()
    draft.container["args"] = ["é" * 65536]
    with pytest.raises(StepError, match="container main: an argument has 131072 bytes"):
        draft.check_arguments()
