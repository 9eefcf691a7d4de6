"""What each policy of Trainer v2 makes of a TrainJob: names, variables, commands. Without an API."""

import copy

import pytest

from wherry.objects.requests import Object
from wherry.training.trainer import admission, build, checks, groups, policies, train_job
from wherry.training.trainer.kinds import STEP
from wherry.training.trainer.runtimes import all_runtimes

INDEX = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
SHIPPED = {each["metadata"]["name"]: each for each in all_runtimes()}


def draft(runtime, trainer=None, **spec):
    """Return the finished draft of a TrainJob called j."""
    if isinstance(runtime, str):
        runtime = SHIPPED[runtime]
    obj: Object = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": "j", "namespace": "ns", "uid": "u"},
        "spec": {"runtimeRef": {"name": runtime["metadata"]["name"]}, **spec},
    }
    if trainer is not None:
        obj["spec"]["trainer"] = trainer
    before = copy.deepcopy(runtime)
    made = build.begin(train_job.read(admission.default(obj)), runtime)
    policy = policies.of(made.policy)
    causes = checks.validate(policy, made)
    if causes:
        return {cause.field: cause.message for cause in causes}
    build.finish(policy, made)
    assert runtime == before
    return made


def runtime(policy=None, *, name="own", containers=(), **fields):
    node = {"name": "node", "image": "i", **fields}
    return {
        "metadata": {"name": name},
        "spec": {
            **({"mlPolicy": policy} if policy is not None else {}),
            "template": {
                "spec": {
                    "replicatedJobs": [
                        {
                            "name": "node",
                            "template": {
                                "metadata": {"labels": {STEP: "trainer"}},
                                "spec": {"template": {"spec": {"containers": [node, *containers]}}},
                            },
                        }
                    ]
                }
            },
        },
    }


def env(made):
    """Return the trainer's variables; those by field as their field."""
    return {
        one["name"]: one.get("value") or one["valueFrom"]["fieldRef"]["fieldPath"]
        for one in made.trainer().get("env") or ()
    }


def test_torch_without_a_trainer_in_the_job_is_told_of_its_peers():
    made = draft("torch-distributed")
    assert env(made) == {
        "PET_NNODES": "1",
        "PET_NPROC_PER_NODE": "1",
        "PET_NODE_RANK": INDEX,
        "PET_MASTER_ADDR": "j-node-0-0.j",
        "PET_MASTER_PORT": "29500",
    }
    assert made.trainer()["ports"] == [{"containerPort": 29500, "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("trainer", "processes"),
    [
        ({"numProcPerNode": 3}, "3"),
        ({"numProcPerNode": "gpu"}, "gpu"),
        ({"resourcesPerNode": {"requests": {"cpu": "3500m"}, "limits": {"cpu": "8"}}}, "4"),
        ({"resourcesPerNode": {"limits": {"cpu": "8"}}}, "8"),
        ({"resourcesPerNode": {"limits": {"nvidia.com/gpu": 4, "cpu": 8}}}, "auto"),
    ],
)
def test_torch_counts_processes(trainer, processes):
    assert env(draft("torch-distributed", trainer))["PET_NPROC_PER_NODE"] == processes


def test_what_the_job_says_goes_over_what_the_runtime_says():
    given = {"image": "mine", "command": ["a"], "args": ["b"], "numNodes": 3}
    own = runtime(
        {"numNodes": 2, "torch": {}},
        env=[{"name": "A", "value": "1"}, {"name": "B", "value": "1"}],
        resources={"limits": {"cpu": "1", "memory": "1Gi"}},
    )
    made = draft(
        own,
        {
            **given,
            "env": [{"name": "B", "value": "2"}],
            "resourcesPerNode": {"limits": {"cpu": "2"}},
        },
    )
    trainer = made.trainer()
    assert [trainer[field] for field in ("image", "command", "args")] == ["mine", ["a"], ["b"]]
    assert env(made)["A"] == "1"
    assert env(made)["B"] == "2"
    assert trainer["resources"] == {"limits": {"cpu": "2", "memory": "1Gi"}}
    job = made.step("trainer")["template"]["spec"]
    assert (job["parallelism"], job["completions"]) == (3, 3)
    assert draft(own).step("trainer")["template"]["spec"]["parallelism"] == 2


def test_further_containers_are_told_where_the_runtime_asks():
    target = {"jobName": "node", "containerNames": ["side"]}
    policy = {"torch": {"envInjection": {"targets": [target]}}}
    made = draft(runtime(policy, containers=[{"name": "side", "image": "i"}]))
    side = made.step("trainer")["template"]["spec"]["template"]["spec"]["containers"][1]
    assert len(side["env"]) == 5
    found = draft(runtime(policy))
    assert 'names container "side"' in found["spec.runtimeRef.name"]


def test_jax():
    assert env(draft("jax-distributed", {"numNodes": 2})) == {
        "JAX_NUM_PROCESSES": "2",
        "JAX_PROCESS_ID": INDEX,
        "JAX_COORDINATOR_ADDRESS": "j-node-0-0.j:29500",
    }


def test_xgboost():
    trainer = {"numNodes": 2, "resourcesPerNode": {"limits": {"nvidia.com/gpu": 2}}}
    assert env(draft("xgboost-distributed", trainer)) == {
        "DMLC_TRACKER_URI": "j-node-0-0.j",
        "DMLC_TRACKER_PORT": "29500",
        "DMLC_TASK_ID": INDEX,
        "DMLC_NUM_WORKER": "4",
    }


def test_a_plain_runtime_has_nodes_and_no_variables():
    made = draft(runtime(), {"numNodes": 2})
    assert env(made) == {}
    assert made.step("trainer")["template"]["spec"]["parallelism"] == 2


def test_what_cannot_run_is_refused():
    assert "not supported" in draft(runtime({"flux": {}}))["spec.runtimeRef.name"]


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("torch-distributed", "PET_NNODES"),
        ("xgboost-distributed", "DMLC_TASK_ID"),
        ("mlx-distributed", "OMPI_MCA_plm_rsh_args"),
    ],
)
def test_reserved_variables_are_refused(name, variable):
    found = draft(name, {"env": [{"name": "A"}, {"name": variable, "value": "2"}]})
    assert variable in found["spec.trainer.env[1].name"]


LORA = "model.lora_attn_modules=[q_proj]"
QUANTIZED = "model.quantize_base=True"


@pytest.mark.parametrize(
    ("trainer", "recipe", "config"),
    [
        ({"numProcPerNode": 1}, "full_finetune_single_device", "_full_single_device"),
        ({"numProcPerNode": 2}, "full_finetune_distributed", "_full"),
        ({"numProcPerNode": 2, "args": [LORA]}, "lora_finetune_distributed", "_lora"),
        (
            {"numProcPerNode": 1, "args": [LORA]},
            "lora_finetune_single_device",
            "_lora_single_device",
        ),
        (
            {"numProcPerNode": 1, "args": [LORA, QUANTIZED]},
            "lora_finetune_single_device",
            "_qlora_single_device",
        ),
    ],
)
def test_torchtune_is_told_what_to_run(trainer, recipe, config):
    made = draft("torchtune-llama3.2-1b", {"command": ["tune", "run"], **trainer})
    meeting = ["--rdzv_endpoint=j-node-0-0.j:29500"] if trainer["numProcPerNode"] == 2 else []
    assert made.trainer()["command"] == [
        "tune",
        "run",
        *meeting,
        recipe,
        "--config",
        f"llama3_2/1B{config}",
        "output_dir=/workspace/output",
        "tokenizer.path=/workspace/model/original/tokenizer.model",
        "checkpointer.checkpoint_dir=/workspace/model",
    ]
    assert "PET_MASTER_ADDR" not in env(made)


def test_what_torchtune_cannot_do_is_refused():
    tune = {"command": ["tune", "run"]}
    found = draft("torchtune-llama3.2-1b", {**tune, "numNodes": 2, "args": ["output_dir=/x"]})
    assert set(found) == {"spec.trainer.numNodes", "spec.trainer.args[0]"}
    found = draft("torchtune-qwen2.5-1.5b", {**tune, "args": [QUANTIZED]})
    assert "QLoRA" in found["spec.trainer.args"]
    assert "want one of" in draft("torch-distributed", tune)["spec.runtimeRef.name"]


def test_initializers_are_told_what_to_fetch():
    wanted = {
        "dataset": {
            "storageUri": "hf://a/b",
            "env": [{"name": "X", "value": "1"}],
            "secretRef": {"name": "s"},
        }
    }
    made = draft("torchtune-llama3.2-1b", initializer=wanted)
    pod = made.step("dataset-initializer")["template"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["env"] == [
        {"name": "STORAGE_URI", "value": "hf://a/b"},
        {"name": "X", "value": "1"},
    ]
    assert container["envFrom"] == [{"secretRef": {"name": "s"}}]
    found = draft("torch-distributed", initializer=wanted)
    assert (
        'no replicated job for the step "dataset-initializer"' in found["spec.initializer.dataset"]
    )
    own = copy.deepcopy(SHIPPED["torchtune-llama3.2-1b"])
    jobs = own["spec"]["template"]["spec"]["replicatedJobs"]
    del jobs[0]["template"]["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    (container,) = containers_of(draft(own, initializer=wanted).step("dataset-initializer"))
    assert container["volumeMounts"] == [{"name": "initializer", "mountPath": "/workspace"}]
    pod = jobs[0]["template"]["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "initializer", "emptyDir": {}}]
    found = draft(own, initializer=wanted)["spec.initializer.dataset"]
    assert 'volume "initializer" that its container "dataset-initializer" does not mount' in found


def containers_of(replicated):
    return replicated["template"]["spec"]["template"]["spec"]["containers"]


def _patch(name="node", **pod):
    job = {"name": name, "template": {"spec": {"template": {"spec": pod}}}}
    template = {
        "metadata": {"labels": {"team": "a"}},
        "spec": {"replicatedJobs": [job]},
    }
    return [{"manager": "a.b/c", "trainingRuntimeSpec": {"template": template}}]


def test_patches_are_laid_over_the_runtime():
    pod = {
        "serviceAccountName": "me",
        "nodeSelector": {"a": "b"},
        "volumes": [{"name": "v", "emptyDir": {}}],
        "containers": [{"name": "node", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
    }
    made = draft("torch-distributed", runtimePatches=_patch(**pod))
    spec = made.step("trainer")["template"]["spec"]["template"]["spec"]
    assert (spec["serviceAccountName"], spec["nodeSelector"]) == ("me", {"a": "b"})
    assert spec["volumes"] == pod["volumes"]
    assert spec["containers"][0]["volumeMounts"] == [{"name": "v", "mountPath": "/v"}]
    assert spec["containers"][0]["image"].startswith("pytorch/")
    assert build.job_set(made)["metadata"]["labels"] == {"team": "a"}
    override = {"targetJobs": [{"name": "node"}], "spec": {"nodeSelector": {"c": "d"}}}
    made = draft("torch-distributed", podTemplateOverrides=[override])
    assert made.step("trainer")["template"]["spec"]["template"]["spec"]["nodeSelector"] == {
        "c": "d"
    }


@pytest.mark.parametrize(
    ("patch", "problem"),
    [
        (_patch("other"), "no such replicated job; it has node"),
        (_patch(containers=[{"name": "x"}]), "no such container; it has node"),
        (_patch(containers=[{"name": "node", "env": [{"name": "A"}]}]), "spec.trainer.env"),
    ],
)
def test_patches_that_fit_nothing_are_refused(patch, problem):
    found = draft("torch-distributed", runtimePatches=patch)
    assert problem in found["spec.runtimePatches[0]"]


@pytest.mark.parametrize("scheduler", ["coscheduling", "volcano"])
def test_pods_of_a_group_start_together(scheduler):
    own = runtime({"torch": {}}, resources={"requests": {"cpu": "500m"}, "limits": {"cpu": 1}})
    own["spec"]["podGroupPolicy"] = {scheduler: {}}
    own["spec"]["template"]["metadata"] = {"annotations": {groups.QUEUE: "q"}}
    made = draft(own, {"numNodes": 3})
    wanted = groups.wanted(made)
    assert wanted is not None
    _, group = wanted
    more = {"scheduleTimeoutSeconds": 60} if scheduler == "coscheduling" else {"queue": "q"}
    assert group["spec"] == {"minMember": 3, "minResources": {"cpu": "1500m"}, **more}
    marks = made.step("trainer")["template"]["spec"]["template"]["metadata"]
    assert groups.LABEL in (marks.get("labels") or {}) or groups.ANNOTATION in marks["annotations"]


MPI = {
    "OpenMPI": {
        "OMPI_MCA_orte_default_hostfile": "/etc/mpi/hostfile",
        "OMPI_MCA_orte_keep_fqdn_hostnames": "true",
        "OMPI_MCA_orte_set_default_slots": "2",
        "OMPI_MCA_plm_rsh_args": "-o ConnectionAttempts=10",
    },
    "MPICH": {
        "HYDRA_HOST_FILE": "/etc/mpi/hostfile.hydra",
        "HYDRA_LAUNCH_EXTRA_ARGS": "-o ConnectionAttempts=10",
    },
    "Intel": {
        "I_MPI_HYDRA_HOST_FILE": "/etc/mpi/hostfile.hydra",
        "I_MPI_HYDRA_BOOTSTRAP_EXEC_EXTRA_ARGS": "-o ConnectionAttempts=10",
        "I_MPI_PERHOST": "2",
    },
}
"""Of upstream, which knows the first; the others are mpi-operator's."""
OWN = {
    "OpenMPI": {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_btl_tcp_if_exclude": "lo,docker0",
        "OMPI_MCA_plm_rsh_agent": "/etc/mpi/kubexec.sh",
        "OMPI_MCA_plm_rsh_no_tree_spawn": "1",
        "PRTE_ALLOW_RUN_AS_ROOT": "1",
        "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "PRTE_MCA_plm_ssh_agent": "/etc/mpi/kubexec.sh",
        "PRTE_MCA_plm_ssh_no_tree_spawn": "1",
        "PRTE_MCA_prte_default_hostfile": "/etc/mpi/hostfile",
        "PRTE_MCA_prte_keep_fqdn_hostnames": "true",
    },
    "MPICH": {"HYDRA_LAUNCHER": "ssh", "HYDRA_LAUNCHER_EXEC": "/etc/mpi/kubexec.sh"},
    "Intel": {
        "I_MPI_HYDRA_BOOTSTRAP": "rsh",
        "I_MPI_HYDRA_BOOTSTRAP_EXEC": "/etc/mpi/kubexec.sh",
    },
}


@pytest.mark.parametrize("implementation", MPI)
def test_mpi(implementation):
    own = copy.deepcopy(SHIPPED["mlx-distributed"])
    own["spec"]["mlPolicy"]["mpi"]["mpiImplementation"] = implementation
    made = draft(own, {"numNodes": 2, "numProcPerNode": 2})
    found = {
        "WHERRY_MPI_SELECTOR": "wherry.dev/mpi-workers-of=j",
        "WHERRY_MPI_CONTAINER": "node",
    }
    assert env(made) == {**MPI[implementation], **OWN[implementation], **found}
    (waiting,) = containers_of(made.called("node"))
    assert "env" not in waiting
