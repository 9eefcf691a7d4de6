"""What users of `kubeflow`'s OptimizerClient do: a function of the trainer tuned, followed, read, deleted."""

import json
import os
import sys

from kubeflow.common.types import KubernetesBackendConfig
from kubeflow.optimizer import GridSearch, Objective, OptimizerClient, Search, TrialConfig
from kubeflow.trainer import CustomTrainer, TrainerClient, TrainJobTemplate


def train(rate, kind, epochs):
    for epoch in range(int(epochs)):
        loss = float(rate) + (kind != "b") + 2 - epoch
        print(f"loss={loss:.4f}")  # noqa: T201 - its metric
        print(f"size={epoch}")  # noqa: T201 - as above


def main(runtime):
    namespace = os.environ["NAMESPACE"]
    backend = KubernetesBackendConfig(namespace=namespace)
    optimizer, trainer = OptimizerClient(backend), TrainerClient(backend)
    template = TrainJobTemplate(
        trainer=CustomTrainer(func=train, func_args={"epochs": "3"}, num_nodes=1),
        runtime=trainer.get_runtime(runtime),
    )
    name = optimizer.optimize(
        template,
        search_space={"rate": Search.loguniform(0.1, 0.2), "kind": Search.choice(["a", "b"])},
        trial_config=TrialConfig(num_trials=3, parallel_trials=2, max_failed_trials=1),
        objectives=[Objective(metric="loss", direction="minimize"), Objective(metric="size")],
    )
    seen = []
    done = optimizer.wait_for_job_status(
        name, timeout=150, polling_interval=1, callbacks=[lambda job: seen.append(job.status)]
    )
    best = optimizer.get_best_results(name)
    told = {
        "status": done.status,
        "seen": sorted({*seen}),
        "trials": {each.name: each.parameters for each in done.trials},
        "jobs": [each.trainjob.status for each in done.trials],
        "best": best.parameters,
        "metrics": {each.name: [each.min, each.max, each.latest] for each in best.metrics},
        "log": [line for part in optimizer.get_job_logs(name) for line in part.splitlines()],
        "events": sorted({event.reason for event in optimizer.get_job_events(name)}),
        "listed": [each.name for each in optimizer.list_jobs()] == [name],
    }
    optimizer.delete_job(name)
    told["left"] = [each.name for each in optimizer.list_jobs()]
    told["grid"] = grid(optimizer, template)
    sys.stdout.write(json.dumps(told) + "\n")


def grid(optimizer, template):
    name = optimizer.optimize(
        template,
        search_space={"rate": Search.choice([1, 2]), "kind": Search.choice(["b"])},
        trial_config=TrialConfig(num_trials=2, parallel_trials=2),
        algorithm=GridSearch(),
    )
    optimizer.wait_for_job_status(name, timeout=150, polling_interval=1)
    return optimizer.get_best_results(name).parameters


if __name__ == "__main__":
    main(*sys.argv[1:])
