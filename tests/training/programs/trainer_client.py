"""A user's program with Kubeflow's SDK: train a function on two nodes, follow it, clean up."""
# ruff: noqa: T201, PLC0415 - as users write it: functions that bring their imports, and print

import json
import sys

from kubeflow.common.types import KubernetesBackendConfig
from kubeflow.trainer import CustomTrainer, TrainerClient, options
from kubernetes import client as client_api


def plain(lr):
    import os

    rank, count = os.environ["JAX_PROCESS_ID"], os.environ["JAX_NUM_PROCESSES"]
    print(f"rank {rank} of {count}: lr {lr}", flush=True)


def torch(lr):
    import torch
    from torch import distributed

    distributed.init_process_group("gloo")
    rank, count = distributed.get_rank(), distributed.get_world_size()
    value = torch.tensor([float(rank + 1)])
    distributed.all_reduce(value)
    print(f"rank {rank} of {count}: sum {value.item()}", flush=True)
    distributed.destroy_process_group()


def chosen():
    """Return every option that a job on Kubernetes may be given, save a command of its own."""
    mount = {"name": "scratch", "mountPath": "/scratch"}
    pod = options.PodTemplatePatch(
        metadata={"labels": {"team": "ml"}},
        spec=options.PodSpecPatch(
            volumes=[{"name": "scratch", "emptyDir": {}}],
            containers=[options.ContainerPatch(name="node", volume_mounts=[mount])],
        ),
    )
    job = options.JobTemplatePatch(spec=options.JobSpecPatch(template=pod))
    jobs = [options.ReplicatedJobPatch(name="node", template=job)]
    template = options.JobSetTemplatePatch(spec=options.JobSetSpecPatch(replicated_jobs=jobs))
    return [
        options.Name("chosen"),
        options.Labels({"team": "ml"}),
        options.Annotations({"note": "none"}),
        options.ActiveDeadlineSeconds(500),
        options.RuntimePatch(options.TrainingRuntimeSpecPatch(template=template)),
    ]


def main(namespace, name, function):
    client = TrainerClient(KubernetesBackendConfig(namespace=namespace))
    seen = {"runtimes": [each.name for each in client.list_runtimes()]}
    trainer = CustomTrainer(
        func={"plain": plain, "torch": torch}[function], func_args={"lr": 0.5}, num_nodes=2
    )
    job = client.train(runtime=client.get_runtime(name), trainer=trainer, options=chosen())
    seen["name"] = job
    seen["created"] = bool(client.get_job(job).creation_timestamp)
    client.wait_for_job_status(job, status={"Running", "Complete"}, timeout=300)
    pods = client_api.CoreV1Api().list_namespaced_pod(namespace).items
    mounts = [{each.mount_path for each in pod.spec.containers[0].volume_mounts} for pod in pods]
    teams = [pod.metadata.labels.get("team") for pod in pods]
    seen["pods"] = [[team, "/scratch" in paths] for team, paths in zip(teams, mounts, strict=True)]
    lines = [line for part in client.get_job_logs(job, follow=True) for line in part.splitlines()]
    seen["log"] = [line for line in lines if line.startswith("rank")]
    done = client.wait_for_job_status(job, timeout=60)
    seen["status"] = done.status
    seen["steps"] = sorted(step.name for step in done.steps)
    seen["events"] = [event.reason for event in client.get_job_events(job)]
    client.delete_job(job)
    seen["left"] = [each.name for each in client.list_jobs()]
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
