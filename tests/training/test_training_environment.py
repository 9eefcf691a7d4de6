"""What each framework tells its processes of one another, field by field with upstream's tables."""

import json

import pytest

from wherry.training import admission, build
from wherry.training.frameworks.jax import JAX
from wherry.training.frameworks.mxnet import MXNet
from wherry.training.frameworks.paddle import Paddle
from wherry.training.frameworks.tensorflow import CLUSTER_DOMAIN, TensorFlow
from wherry.training.frameworks.torch import Torch
from wherry.training.frameworks.xgboost import XGBoost


def job(framework, replicas, **spec):
    """Return the job of a framework with so many replicas by type."""
    template = {"spec": {"containers": [{"name": framework.container, "image": "i"}]}}
    obj = {
        "apiVersion": "kubeflow.org/v1",
        "kind": framework.resource.kind,
        "metadata": {"name": "j", "namespace": "ns", "uid": "u"},
        "spec": {
            framework.replicas_field: {
                type_: {"replicas": count, "template": template}
                for type_, count in replicas.items()
            },
            **spec,
        },
    }
    return framework.read(admission.default(framework, obj))


def env(framework, replicas, **spec):
    """Return the variables of every pod, by pod name."""
    pods = [build.pod(framework, each) for each in job(framework, replicas, **spec).all()]
    return {
        pod["metadata"]["name"]: {
            one["name"]: one.get("value", one.get("valueFrom"))
            for one in pod["spec"]["containers"][0].get("env", [])
        }
        for pod in pods
    }


def test_pytorch_with_a_master():
    found = env(Torch(), {"Master": 1, "Worker": 2}, nprocPerNode="2")
    common = {
        "PYTHONUNBUFFERED": "1",
        "PET_NPROC_PER_NODE": "2",
        "PET_NNODES": "3",
        "MASTER_ADDR": "j-master-0",
        "MASTER_PORT": "23456",
        "PET_MASTER_ADDR": "j-master-0",
        "PET_MASTER_PORT": "23456",
        "WORLD_SIZE": "6",
    }
    assert found == {
        "j-master-0": {**common, "RANK": "0", "PET_NODE_RANK": "0"},
        "j-worker-0": {**common, "RANK": "1", "PET_NODE_RANK": "1"},
        "j-worker-1": {**common, "RANK": "2", "PET_NODE_RANK": "2"},
    }


def test_pytorch_elastic():
    policy = {"minReplicas": 1, "maxRestarts": 3, "rdzvConf": [{"key": "a", "value": "b"}]}
    found = env(Torch(), {"Worker": 2}, elasticPolicy=policy)
    assert found["j-worker-1"] == {
        "PYTHONUNBUFFERED": "1",
        "PET_NPROC_PER_NODE": "auto",
        "PET_NNODES": "1:2",
        "PET_RDZV_ENDPOINT": "j-worker-0:23456",
        "PET_RDZV_BACKEND": "c10d",
        "PET_RDZV_ID": "j",
        "PET_RDZV_CONF": "a=b",
        "PET_MAX_RESTARTS": "3",
    }


def test_pytorch_without_master_and_rendezvous():
    told = {"PYTHONUNBUFFERED": "1", "PET_NPROC_PER_NODE": "auto", "PET_NNODES": "2"}
    assert env(Torch(), {"Worker": 2}) == {"j-worker-0": told, "j-worker-1": told}


@pytest.mark.parametrize(("processes", "size"), [("auto", "2"), ("gpu", "2"), ("4", "8")])
def test_pytorch_counts_ranks_where_their_number_is_known(processes, size):
    found = env(Torch(), {"Master": 1, "Worker": 1}, nprocPerNode=processes)
    assert found["j-worker-0"]["WORLD_SIZE"] == size
    assert found["j-worker-0"]["PET_NPROC_PER_NODE"] == processes


def test_pytorch_meets_where_the_job_says():
    policy = {
        "minReplicas": 1,
        "maxReplicas": 3,
        "rdzvBackend": "etcd-v2",
        "rdzvHost": "meet",
        "rdzvPort": 7,
        "rdzvId": "own",
        "rdzvConf": [{"key": "a", "value": "b"}, {"key": "c", "value": "d"}],
        "standalone": True,
        "nProcPerNode": 2,
    }
    assert env(Torch(), {"Worker": 2}, elasticPolicy=policy)["j-worker-0"] == {
        "PYTHONUNBUFFERED": "1",
        "PET_NPROC_PER_NODE": "2",
        "PET_NNODES": "1:3",
        "PET_RDZV_ENDPOINT": "meet:7",
        "PET_RDZV_BACKEND": "etcd-v2",
        "PET_RDZV_ID": "own",
        "PET_RDZV_CONF": "a=b,c=d",
        "PET_STANDALONE": "",
    }


@pytest.mark.parametrize("framework", [Torch(), XGBoost(), Paddle(), MXNet()])
def test_every_container_is_told(framework):
    types = ("Scheduler", "Worker") if isinstance(framework, MXNet) else ("Master", "Worker")
    made = job(framework, dict.fromkeys(types, 1))
    made.replicas["Worker"].template["spec"]["containers"].append({"name": "side", "image": "i"})
    main, side = build.pod(framework, next(made.of("Worker")))["spec"]["containers"]
    assert main["env"] == side["env"]


def test_tensorflow_tells_all_of_all():
    found = env(TensorFlow(), {"Worker": 2, "PS": 1, "Evaluator": 1})
    assert json.loads(found["j-worker-1"]["TF_CONFIG"]) == {
        "cluster": {
            "ps": ["j-ps-0.ns.svc:2222"],
            "worker": ["j-worker-0.ns.svc:2222", "j-worker-1.ns.svc:2222"],
            "evaluator": ["j-evaluator-0.ns.svc:2222"],
        },
        "task": {"type": "worker", "index": 1},
        "environment": "cloud",
    }


def test_tensorflow_alone_is_told_nothing():
    assert env(TensorFlow(), {"Worker": 1}) == {"j-worker-0": {}}


def test_tensorflow_sparse_tells_each_of_itself_and_the_servers():
    found = env(TensorFlow(), {"Worker": 2, "PS": 1}, enableDynamicWorker=True)
    assert json.loads(found["j-worker-1"]["TF_CONFIG"]) == {
        "cluster": {"worker": {"1": "j-worker-1.ns.svc:2222"}, "ps": ["j-ps-0.ns.svc:2222"]},
        "task": {"type": "worker", "index": 1},
    }
    assert json.loads(found["j-ps-0"]["TF_CONFIG"])["cluster"] == {
        "worker": {},
        "ps": ["j-ps-0.ns.svc:2222"],
    }


def test_tensorflow_addresses_take_a_domain(monkeypatch):
    monkeypatch.setenv(CLUSTER_DOMAIN, "cluster.local")
    config = json.loads(env(TensorFlow(), {"Worker": 2})["j-worker-0"]["TF_CONFIG"])
    assert config["cluster"]["worker"][0] == "j-worker-0.ns.svc.cluster.local:2222"


def test_only_the_training_container_is_told_of_tensorflow():
    made = job(TensorFlow(), {"Worker": 2})
    template = made.replicas["Worker"].template
    template["spec"]["containers"].append({"name": "sidecar", "image": "i"})
    containers = build.pod(TensorFlow(), next(made.of("Worker")))["spec"]["containers"]
    assert ["env" in container for container in containers] == [True, False]


def test_xgboost():
    found = env(XGBoost(), {"Master": 1, "Worker": 2})
    common = {
        "MASTER_PORT": "9999",
        "MASTER_ADDR": "j-master-0",
        "WORLD_SIZE": "3",
        "PYTHONUNBUFFERED": "1",
        "WORKER_PORT": "9999",
        "WORKER_ADDRS": "j-worker-0,j-worker-1",
    }
    assert found["j-master-0"] == {**common, "RANK": "0"}
    assert found["j-worker-1"] == {**common, "RANK": "2"}


def test_xgboost_alone_is_told_of_no_workers():
    assert env(XGBoost(), {"Master": 1}) == {
        "j-master-0": {
            "MASTER_PORT": "9999",
            "MASTER_ADDR": "j-master-0",
            "WORLD_SIZE": "1",
            "RANK": "0",
            "PYTHONUNBUFFERED": "1",
        }
    }


def test_jax():
    assert env(JAX(), {"Worker": 2})["j-worker-1"] == {
        "PYTHONUNBUFFERED": "1",
        "COORDINATOR_PORT": "6666",
        "COORDINATOR_ADDRESS": "j-worker-0",
        "NUM_PROCESSES": "2",
        "PROCESS_ID": "1",
    }


def test_paddle_collective():
    found = env(Paddle(), {"Worker": 2})
    common = {"PYTHONUNBUFFERED": "1", "PADDLE_JOB_ID": "j", "PADDLE_NNODES": "2"}
    assert found["j-worker-1"] == {**common, "PADDLE_MASTER": "j-worker-0:36543"}
    assert found["j-worker-0"] == {
        "POD_IP_DUMMY": {"fieldRef": {"fieldPath": "status.podIP"}},
        **common,
        "PADDLE_MASTER": "$(POD_IP_DUMMY):36543",
    }


def test_paddle_with_parameter_servers():
    found = env(Paddle(), {"Master": 1, "Worker": 1})
    common = {"PYTHONUNBUFFERED": "1", "PADDLE_JOB_ID": "j", "PADDLE_NNODES": "2"}
    assert found == {
        "j-master-0": {
            "POD_IP_DUMMY": {"fieldRef": {"fieldPath": "status.podIP"}},
            **common,
            "PADDLE_MASTER": "$(POD_IP_DUMMY):36543",
            "PADDLE_SERVER_NUM": "1",
        },
        "j-worker-0": {
            **common,
            "PADDLE_MASTER": "j-master-0:36543",
            "PADDLE_TRAINER_NUM": "1",
        },
    }


def test_paddle_elastic():
    policy = {"minReplicas": 1, "maxReplicas": 4, "maxRestarts": 3}
    found = env(Paddle(), {"Worker": 2}, elasticPolicy=policy)["j-worker-1"]
    assert (found["PADDLE_NNODES"], found["PADDLE_MAX_RESTARTS"]) == ("1:4", "3")


def test_mxnet_trains_with_a_parameter_server():
    found = env(MXNet(), {"Scheduler": 1, "Server": 1, "Worker": 2})
    worker = found["j-worker-1"]
    assert json.loads(worker.pop("MX_CONFIG")) == {
        "cluster": {
            "scheduler": [{"url": "j-scheduler-0", "port": 9091}],
            "server": [{"url": "j-server-0", "port": 9091}],
            "worker": [
                {"url": "j-worker-0", "port": 9091},
                {"url": "j-worker-1", "port": 9091},
            ],
        },
        "labels": {"scheduler": "", "server": "", "worker": ""},
        "task": {"type": "worker", "index": 1},
    }
    assert worker == {
        "DMLC_PS_ROOT_PORT": "9091",
        "DMLC_PS_ROOT_URI": "j-scheduler-0",
        "DMLC_NUM_SERVER": "1",
        "DMLC_NUM_WORKER": "2",
        "DMLC_ROLE": "worker",
        "DMLC_USE_KUBERNETES": "1",
        "DMLC_WORKER_ID": "1",
    }
    assert "DMLC_WORKER_ID" not in found["j-server-0"]


def test_mxnet_tunes():
    replicas = {"TunerTracker": 1, "TunerServer": 1, "Tuner": 1}
    found = env(MXNet(), replicas, jobMode="MXTune")["j-tuner-0"]
    assert list(found) == ["MX_CONFIG"]
    assert json.loads(found["MX_CONFIG"]) == {
        "cluster": {
            "tunertracker": [{"url": "j-tunertracker-0", "port": 9091}],
            "tunerserver": [{"url": "j-tunerserver-0", "port": 9091}],
            "tuner": [{"url": "j-tuner-0", "port": 9091}],
        },
        "labels": {"tunertracker": "", "tunerserver": "", "tuner": ""},
        "task": {"type": "tuner", "index": 0},
    }


@pytest.mark.parametrize("framework", [Torch(), XGBoost()])
def test_the_port_of_the_template_is_told_to_all(framework):
    made = job(framework, {"Master": 1, "Worker": 1})
    container = made.replicas["Master"].template["spec"]["containers"][0]
    container["ports"] = [{"name": framework.port_name, "containerPort": 4321}]
    worker = build.pod(framework, next(made.of("Worker")))
    told = {one["name"]: one["value"] for one in worker["spec"]["containers"][0]["env"]}
    assert told["MASTER_PORT"] == "4321"
    service = build.service(framework, next(made.of("Master")))
    assert service["spec"]["ports"][0]["port"] == 4321
