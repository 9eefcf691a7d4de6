"""Jobs that really train: processes of the real frameworks that find one another as the job tells them."""

import os

import pytest

from wherry.training.frameworks.mxnet import MXNet
from wherry.training.frameworks.torch import Torch
from wherry.training.policies import restarts

pytestmark = pytest.mark.timeout(600)

PAIR = ("j-worker-0", "j-worker-1")

AT_HAND = os.environ.get("PIP_FIND_LINKS", "").split()
"""Folders of wheels: PyTorch as the index has it is several gigabytes, these may have a small one."""


def slow_unless_at_hand(test):
    return test if AT_HAND else pytest.mark.slow(test)


@slow_unless_at_hand
def test_pytorch_ranks_end_with_equal_weights(runs):
    image = runs.environment("ddp", "torch==2.13.0", "scikit-learn", findLinks=AT_HAND)
    pod = {"template": runs.pod(Torch(), image, "ddp")}
    runs.start(Torch(), {"Master": pod, "Worker": pod})
    runs.succeed(Torch())
    (first,), (second,) = runs.told("j-master-0"), runs.told("j-worker-0")
    assert [each["rank"] for each in (first, second)] == [0, 1]
    assert first["size"] == second["size"] == 2
    assert first["weights"] == second["weights"]
    assert first["last"] < first["first"] / 2


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["j-worker-0", "j-worker-1"])
@pytest.mark.parametrize("policy", ["OnFailure", "ExitCode"])
def test_elastic_pytorch_survives_kill_9(runs, tmp_path, policy, victim):
    image = runs.environment("elastic", "torch==2.13.0", "numpy")
    # The name of a pod is its host name: that tells the program whether it is to die.
    script = f'VICTIM=$([ "$HOSTNAME" = {victim} ]; echo $((1-$?))) "$@"'
    pod = runs.pod(
        Torch(),
        image,
        "elastic",
        *("sh", "-c", script, "sh", "torchrun"),
        volumeMounts=[{"name": "shared", "mountPath": "/shared"}],
    )
    pod["spec"]["volumes"].append({"name": "shared", "hostPath": {"path": str(tmp_path)}})
    # Who comes back is waited for: a machine that is busy takes long to import torch.
    conf = {"keep_alive_interval": "1", "keep_alive_max_attempt": "10", "last_call_timeout": "60"}
    bounds = {
        "minReplicas": 1,
        "maxReplicas": 2,
        "maxRestarts": 5,
        "rdzvConf": [{"key": key, "value": value} for key, value in conf.items()],
    }
    worker = {"replicas": 2, "restartPolicy": policy, "template": pod}
    runs.start(Torch(), {"Worker": worker}, elasticPolicy=bounds, nprocPerNode="1")
    job = runs.succeed(Torch(), 300)
    assert (tmp_path / "killed").exists()
    assert (tmp_path / "step").read_text() == "60"
    if policy == "OnFailure":
        assert runs.restarts(victim) >= 1
        return
    assert restarts.remembered(job)[victim].count >= 1
    # Where codes decide all meet anew, under another name: a torchrun may give up on a lost peer.
    assert {told["run"] for name in PAIR for told in runs.told(name) if "run" in told} == {"j-1"}


@pytest.mark.slow
def test_mxnet_tunes_through_its_tracker(runs):
    requirements = ("apache-tvm==0.27.0.post1", "cloudpickle", "numpy", "psutil", "tornado")
    image = runs.environment("tvm", *requirements)
    address = {"fieldRef": {"fieldPath": "status.podIP"}}
    pod = {
        "template": runs.pod(MXNet(), image, "tune", env=[{"name": "POD_IP", "valueFrom": address}])
    }
    types = ("TunerTracker", "TunerServer", "Tuner")
    policy = {"cleanPodPolicy": "Running"}
    runs.start(MXNet(), dict.fromkeys(types, pod), jobMode="MXTune", runPolicy=policy)
    runs.succeed(MXNet(), 300)
    (told,) = runs.told("j-tuner-0")
    assert told["best"] == 1


@pytest.mark.slow
def test_deepspeed_shares_out_its_state(runs):
    requirements = ("torch==2.13.0", "deepspeed==0.19.8", "scikit-learn", "setuptools")
    image = runs.environment("deepspeed", *requirements, findLinks=AT_HAND)
    # What it compiles for the CPU at its start is locked by whoever is first, killed or not.
    own = [{"name": "TORCH_EXTENSIONS_DIR", "value": "/tmp/extensions"}]
    template = runs.pod(Torch(), image, "zero", "torchrun", env=own)
    pod = {"restartPolicy": "Never", "template": template}
    runs.start(Torch(), {"Master": pod, "Worker": pod}, nprocPerNode="1")
    runs.succeed(Torch(), 500)
    (first,), (second,) = runs.told("j-master-0"), runs.told("j-worker-0")
    assert (first["rank"], second["rank"], first["size"]) == (0, 1, 2)
    assert first["weights"] == second["weights"]
    assert first["last"] < first["first"] / 2
