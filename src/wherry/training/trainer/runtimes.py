"""The runtimes that there are from the start: upstream's names, frameworks and images. Pure.

An image is a name here as everywhere: an Environment says what it stands for on this machine.

Source: kubeflow/trainer 2.3 ``manifests/base/runtimes``.
"""

from typing import Any, Final

from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.training.trainer import initializers, kinds

_REGISTRY: Final = "ghcr.io/kubeflow/trainer"
_TORCH: Final = "pytorch/pytorch:2.13.0-cuda13.0-cudnn9-runtime"
_LLAMA_TOKENIZER: Final = ("tokenizer.path=/workspace/model/original/tokenizer.model",)
_QWEN_TOKENIZER: Final = (
    "tokenizer.path=/workspace/model/vocab.json",
    "tokenizer.merges_file=/workspace/model/merges.txt",
)


def all_runtimes() -> list[Object]:
    """Return the runtimes, new each time."""
    return [
        _plain("torch-distributed", "torch", {"torch": {}}, _TORCH),
        _plain("jax-distributed", "jax", {"jax": {}}, "nvcr.io/nvidia/jax:25.10-py3"),
        _plain("xgboost-distributed", "xgboost", {"xgboost": {}}, f"{_REGISTRY}/xgboost-runtime"),
        _mpi("deepspeed-distributed", "deepspeed", f"{_REGISTRY}/deepspeed-runtime"),
        _mpi("mlx-distributed", "mlx", f"{_REGISTRY}/mlx-runtime"),
        _tuned("torchtune-llama3.2-1b", "meta-llama/Llama-3.2-1B-Instruct", "llama3_2/1B"),
        _tuned("torchtune-llama3.2-3b", "meta-llama/Llama-3.2-3B-Instruct", "llama3_2/3B"),
        _tuned("torchtune-qwen2.5-1.5b", "Qwen/Qwen2.5-1.5B-Instruct", "qwen2_5/1.5B"),
    ]


def _runtime(name: str, framework: str, policy: Object, template: Object) -> Object:
    return {
        "apiVersion": kinds.CLUSTER_RUNTIMES.api_version,
        "kind": kinds.CLUSTER_RUNTIMES.kind,
        "metadata": {"name": name, "labels": {kinds.FRAMEWORK: framework}},
        "spec": {"mlPolicy": {"numNodes": 1, **policy}, "template": {"spec": template}},
    }


def _job(name: str, container: Object, step: str = "", **fields: Any) -> Object:
    template: Object = {"spec": {"template": {"spec": {"containers": [container]}}}}
    if step:
        template["metadata"] = {"labels": {kinds.STEP: step}}
    return {"name": name, "template": template, **fields}


def _plain(name: str, framework: str, policy: Object, image: str) -> Object:
    node = _job(kinds.NODE, {"name": kinds.NODE, "image": image}, kinds.TRAINER)
    return _runtime(name, framework, policy, {"replicatedJobs": [node]})


def _mpi(name: str, framework: str, image: str) -> Object:
    mounted = "/home/mpiuser/.ssh"
    policy = {
        "numProcPerNode": 1,
        "mpiImplementation": "OpenMPI",
        "sshAuthMountPath": mounted,
        "runLauncherAsNode": True,
    }
    container = {"name": kinds.NODE, "image": image, "securityContext": {"runAsUser": 1000}}
    daemon = {
        **container,
        "command": ["/usr/sbin/sshd"],
        "args": ["-De", "-f", "/home/mpiuser/.sshd_config"],
        "readinessProbe": {"tcpSocket": {"port": 2222}, "initialDelaySeconds": 5},
    }
    after = {"dependsOn": [{"name": kinds.NODE, "status": "Ready"}]}
    jobs = [
        _job(kinds.NODE, daemon),
        _job(kinds.LAUNCHER, container, kinds.TRAINER, **after),
    ]
    for job in jobs:
        job["template"]["spec"]["template"]["spec"]["securityContext"] = {"fsGroup": 1000}
    template = {
        "network": {"publishNotReadyAddresses": True},
        "successPolicy": {"operator": "All", "targetReplicatedJobs": [kinds.LAUNCHER]},
        "replicatedJobs": jobs,
    }
    return _runtime(name, framework, {"mpi": policy}, template)


def _tuned(name: str, model: str, config: str) -> Object:
    tokenizer = _QWEN_TOKENIZER if "qwen" in config else _LLAMA_TOKENIZER
    trainer = {
        "name": kinds.NODE,
        "image": f"{_REGISTRY}/torchtune-trainer",
        "command": [
            "tune",
            "run",
            f"--rdzv_endpoint=localhost:{kinds.PORT}",
            "full_finetune_distributed",
            "--config",
            f"{config}_full",
            "dataset=torchtune.datasets.instruct_dataset",
            "dataset.source=parquet",
            "dataset.data_dir=/workspace/dataset/data",
            "output_dir=/workspace/output",
            *tokenizer,
            "checkpointer.checkpoint_dir=/workspace/model",
        ],
        "resources": {"limits": {"nvidia.com/gpu": 2}},
        "volumeMounts": [dict(initializers.MOUNT)],
    }
    first = [
        _initializer(kinds.DATASET_INITIALIZER, "hf://tatsu-lab/alpaca"),
        _initializer(kinds.MODEL_INITIALIZER, f"hf://{model}"),
    ]
    after = {"dependsOn": [{"name": each["name"], "status": "Complete"} for each in first]}
    template = {
        "volumeClaimPolicies": [{"templates": [copied(initializers.CLAIM)]}],
        "replicatedJobs": [*first, _job(kinds.NODE, trainer, kinds.TRAINER, **after)],
    }
    return _runtime(name, "torchtune", {"torch": {}}, template)


def _initializer(name: str, uri: str) -> Object:
    container = {
        "name": name,
        "image": f"{_REGISTRY}/{name}",
        "env": [{"name": "STORAGE_URI", "value": uri}],
        "volumeMounts": [dict(initializers.MOUNT)],
    }
    return _job(name, container, name)
