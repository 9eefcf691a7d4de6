"""What users of `kubeflow-training` do: jobs from objects and from functions, followed to the end."""

import json
import os
import pathlib
import sys

from kubeflow.training import (
    KubeflowOrgV1PyTorchJob,
    KubeflowOrgV1PyTorchJobSpec,
    KubeflowOrgV1ReplicaSpec,
    KubeflowOrgV1RunPolicy,
    TrainingClient,
)
from kubernetes import client

NAMESPACE = os.environ["NAMESPACE"]
IMAGE = "python:3"


def replica(script):
    container = client.V1Container(name="pytorch", image=IMAGE, command=["python", "-uc", script])
    spec = client.V1PodSpec(containers=[container])
    template = client.V1PodTemplateSpec(spec=spec)
    return KubeflowOrgV1ReplicaSpec(replicas=1, template=template, restart_policy="Never")


def job(name, script, **policy):
    return KubeflowOrgV1PyTorchJob(
        api_version="kubeflow.org/v1",
        kind="PyTorchJob",
        metadata=client.V1ObjectMeta(name=name, namespace=NAMESPACE),
        spec=KubeflowOrgV1PyTorchJobSpec(
            run_policy=KubeflowOrgV1RunPolicy(clean_pod_policy="None", **policy),
            pytorch_replica_specs={"Master": replica(script), "Worker": replica(script)},
        ),
    )


def train_func(parameters):
    import os  # noqa: PLC0415 - only its source travels
    import sys  # noqa: PLC0415 - as above

    sys.stdout.write(f"{os.environ['TF_CONFIG']} {parameters['rate']}\n")


def main():
    training = TrainingClient(namespace=NAMESPACE)
    told = {}
    script = "import os; print('rank', os.environ['RANK'], 'of', os.environ['WORLD_SIZE'])"
    training.create_job(job("plain", script))
    states = []
    training.wait_for_job_conditions(
        "plain",
        timeout=30,
        polling_interval=1,
        callback=lambda each: states.append(each.status.conditions[-1].type if each.status else ""),
    )
    told["states"] = states
    told["succeeded"] = training.is_job_succeeded("plain")
    told["kind"] = training.get_job("plain").kind
    told["pods"] = sorted(training.get_job_pod_names("plain"))
    told["masters"] = training.get_job_pod_names("plain", is_master=True)
    told["workers"] = [
        pod.metadata.name for pod in training.get_job_pods("plain", replica_type="worker")
    ]
    logs, _ = training.get_job_logs("plain", is_master=False)
    told["logs"] = logs
    followed, _ = training.get_job_logs("plain", follow=True)
    told["followed"] = followed

    training.create_job(
        name="from-function",
        job_kind="TFJob",
        train_func=train_func,
        parameters={"rate": 0.5},
        num_workers=2,
        base_image=IMAGE,
    )
    training.wait_for_job_conditions(
        "from-function", job_kind="TFJob", timeout=40, polling_interval=1
    )
    told["function"] = training.get_job_logs("from-function", job_kind="TFJob", is_master=False)[0]

    # Pods see this folder: the job goes on once it has been seen to run.
    seen = pathlib.Path("seen").resolve()
    slow = (
        "import os, time\n"
        f"while not os.path.exists({str(seen)!r}):\n    time.sleep(0.1)\n"
        "for n in range(4):\n    print('step', n)\n    time.sleep(0.5)"
    )
    training.create_job(job("followed", slow))
    training.wait_for_job_conditions(
        "followed", expected_conditions={"Running"}, timeout=30, polling_interval=1
    )
    told["created"] = training.is_job_created("followed")
    told["running"] = training.is_job_running("followed")
    seen.touch()
    told["live"], told["events"] = training.get_job_logs("followed", follow=True, verbose=True)
    training.delete_job("followed")

    training.create_job(job("bad", "raise SystemExit(3)"))
    try:
        training.wait_for_job_conditions("bad", timeout=30, polling_interval=1)
    except RuntimeError as error:
        told["raised"] = str(error)
    told["failed"] = training.is_job_failed("bad")
    told["conditions"] = [each.type for each in training.get_job_conditions("bad")]
    training.delete_job("bad")

    training.create_job(job("changed", "import time; time.sleep(1000)"))
    training.wait_for_job_conditions(
        "changed", expected_conditions={"Running"}, timeout=30, polling_interval=1
    )
    training.update_job({"spec": {"runPolicy": {"backoffLimit": 7}}}, "changed")
    told["updated"] = training.get_job("changed").spec.run_policy.backoff_limit
    told["jobs"] = sorted(each.metadata.name for each in training.list_jobs(job_kind="PyTorchJob"))
    training.delete_job("changed")
    try:
        training.get_job("changed")
    except RuntimeError as error:
        told["deleted"] = str(error)
    sys.stdout.write(json.dumps(told) + "\n")


main()
