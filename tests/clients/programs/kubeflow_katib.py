"""What users of `kubeflow-katib` do: functions tuned in all ways, experiments made, resumed, read, ended."""

import json
import os
import pathlib
import sys
import time
import zipfile

from kubeflow.katib import (
    KatibClient,
    V1beta1AlgorithmSpec,
    V1beta1Experiment,
    V1beta1ExperimentSpec,
    V1beta1FeasibleSpace,
    V1beta1ObjectiveSpec,
    V1beta1ParameterSpec,
    V1beta1TrialParameterSpec,
    V1beta1TrialTemplate,
    search,
)
from kubeflow.katib.types.types import TrainerResources
from kubernetes import client

NAMESPACE = os.environ["NAMESPACE"]
IMAGE = "python:3"
SECONDS = {"timeout": 120, "polling_interval": 1}


def objective(parameters):
    import os  # noqa: PLC0415 - only its source travels

    x, layers = float(parameters["x"]), int(parameters["layers"])
    for epoch in range(3):
        loss = (x - 0.5) ** 2 + layers + (parameters["kind"] != "b") + 2 - epoch
        print(f"loss={loss:.4f}")  # noqa: T201 - its metrics
        print(f"accuracy={1 / (1 + loss):.4f}")  # noqa: T201 - as above
    print(f"told {os.environ['COLOUR']} {parameters['note']}")  # noqa: T201 - read in its log


def with_package(parameters):
    import carried  # noqa: PLC0415 - installed in the trial

    print(f"loss={carried.LOSS + float(parameters['x'])}")  # noqa: T201 - its metric


def pushing(parameters):
    from kubeflow import katib  # noqa: PLC0415 - it is in the trial's image

    for epoch in range(3):
        katib.report_metrics({"loss": float(parameters["x"]) - epoch})


def distributed(parameters):
    import os  # noqa: PLC0415 - only its source travels

    print(f"loss={int(os.environ['WORLD_SIZE']) + float(parameters['x'])}")  # noqa: T201 - metric


def summed(parameters):
    import torch  # noqa: PLC0415 - only its source travels
    from torch import distributed as dist  # noqa: PLC0415 - as above

    dist.init_process_group("gloo")
    value = torch.tensor([float(parameters["x"])])
    dist.all_reduce(value)
    if dist.get_rank() == 0:
        print(f"loss={value.item():.4f}")  # noqa: T201 - its metric
    dist.destroy_process_group()


def values(assignments):
    return {each.name: each.value for each in assignments}


def tune_a_function(katib, address):
    katib.tune(
        name="function",
        objective=objective,
        base_image=IMAGE,
        parameters={
            "x": search.double(min=0, max=1),
            "layers": search.int(min=1, max=3),
            # Says its list in another field, which Katib refuses.
            "kind": search.categorical(["a", "b"]),
            "note": "as it is",
        },
        env_per_trial={"COLOUR": "green"},
        algorithm_name="tpe",
        algorithm_settings={"random_state": 5},
        objective_metric_name="loss",
        additional_metric_names=["accuracy"],
        objective_type="minimize",
        max_trial_count=4,
        parallel_trial_count=2,
        max_failed_trial_count=1,
        resources_per_trial={"cpu": "100m", "memory": "64Mi"},
        retain_trials=True,
        trial_active_deadline_seconds=300,
    )
    katib.wait_for_experiment_condition("function", **SECONDS)
    best = katib.get_optimal_hyperparameters("function")
    trials = katib.list_trials("function")
    details = katib.get_success_trial_details("function")
    logs = katib.get_trial_metrics(best.best_trial_name, db_manager_address=address)
    said = list(katib.get_job_logs("function", best.best_trial_name))
    followed = list(katib.get_job_logs("function", best.best_trial_name, follow=True))
    return {
        "conditions": [each.type for each in katib.get_experiment_conditions("function")],
        "created": katib.is_experiment_created("function"),
        "running": katib.is_experiment_running("function"),
        "succeeded": katib.is_experiment_succeeded("function"),
        "failed": katib.is_experiment_failed("function"),
        "best": [best.best_trial_name, values(best.parameter_assignments)],
        "observed": {each.name: each.min for each in best.observation.metrics},
        "trials": {each.metadata.name: values(each.spec.parameter_assignments) for each in trials},
        "details": sorted(each["name"] for each in details),
        "losses": [each.metric.value for each in logs if each.metric.name == "loss"],
        "log": said,
        "followed": followed,
        "suggestion": katib.get_suggestion("function").status.suggestion_count,
        "trial": katib.get_trial(best.best_trial_name).status.conditions[-1].type,
    }


def tune_with_package(katib):
    wheel = pathlib.Path("carried-1.0-py3-none-any.whl").resolve()
    with zipfile.ZipFile(wheel, "w") as made:
        made.writestr("carried.py", "LOSS = 7\n")
        made.writestr(
            "carried-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: carried\nVersion: 1.0\n"
        )
        made.writestr(
            "carried-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        made.writestr("carried-1.0.dist-info/RECORD", "")
    katib.tune(
        name="package",
        objective=with_package,
        base_image=IMAGE,
        parameters={"x": search.double(min=0, max=1, step=0.5)},
        algorithm_name="grid",
        objective_metric_name="loss",
        objective_type="minimize",
        objective_goal=7.0,
        max_trial_count=3,
        parallel_trial_count=1,
        packages_to_install=[str(wheel)],
    )
    katib.wait_for_experiment_condition("package", **SECONDS)
    best = katib.get_optimal_hyperparameters("package")
    end = katib.get_experiment_conditions("package")[-1]
    return [values(best.parameter_assignments), best.observation.metrics[0].latest, end.reason]


def tune_pushing(katib, image, address):
    katib.tune(
        name="pushing",
        objective=pushing,
        base_image=image,
        parameters={"x": search.double(min=5, max=6)},
        env_per_trial=[client.V1EnvVar(name="COLOUR", value="red")],
        objective_metric_name="loss",
        objective_type="minimize",
        max_trial_count=1,
        parallel_trial_count=1,
        metrics_collector_config={"kind": "Push"},
    )
    katib.wait_for_experiment_condition("pushing", **SECONDS)
    (trial,) = katib.list_trials("pushing")
    logs = katib.get_trial_metrics(trial.metadata.name, db_manager_address=address)
    x = float(values(trial.spec.parameter_assignments)["x"])
    return [round(float(each.metric.value) - x, 6) for each in logs]


def tune_with_torchrun(katib, image):
    katib.tune(
        name="torchrun",
        objective=summed,
        base_image=image,
        parameters={"x": search.double(min=1, max=2)},
        objective_metric_name="loss",
        objective_type="minimize",
        max_trial_count=1,
        parallel_trial_count=1,
        resources_per_trial=TrainerResources(
            num_workers=2, num_procs_per_worker=1, resources_per_worker={"cpu": "100m"}
        ),
    )
    katib.wait_for_experiment_condition("torchrun", timeout=400, polling_interval=1)
    (trial,) = katib.list_trials("torchrun")
    x = float(values(trial.spec.parameter_assignments)["x"])
    return [x, float(trial.status.observation.metrics[0].latest)]


def tune_training_job(katib):
    katib.tune(
        name="training",
        objective=distributed,
        base_image=IMAGE,
        parameters={"x": search.double(min=0, max=0.5)},
        objective_metric_name="loss",
        objective_type="minimize",
        max_trial_count=1,
        parallel_trial_count=1,
        resources_per_trial=TrainerResources(
            num_workers=1, num_procs_per_worker=1, resources_per_worker={"cpu": "100m"}
        ),
    )
    katib.wait_for_experiment_condition("training", **SECONDS)
    (trial,) = katib.list_trials("training")
    return [trial.spec.run_spec["kind"], trial.status.conditions[-1].type]


def experiment(**fields):
    container = {
        "name": "main",
        "image": IMAGE,
        "command": ["python", "-c", "print('loss=${trialParameters.rate}')"],
    }
    pod = {"spec": {"containers": [container], "restartPolicy": "Never"}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": pod}}
    return V1beta1Experiment(
        api_version="kubeflow.org/v1beta1",
        kind="Experiment",
        metadata=client.V1ObjectMeta(**fields),
        spec=V1beta1ExperimentSpec(
            max_trial_count=2,
            parallel_trial_count=2,
            max_failed_trial_count=1,
            resume_policy="LongRunning",
            objective=V1beta1ObjectiveSpec(type="minimize", objective_metric_name="loss"),
            algorithm=V1beta1AlgorithmSpec(algorithm_name="random"),
            parameters=[
                V1beta1ParameterSpec(
                    name="lr",
                    parameter_type="double",
                    feasible_space=V1beta1FeasibleSpace(min="0.1", max="0.2"),
                )
            ],
            trial_template=V1beta1TrialTemplate(
                primary_container_name="main",
                trial_parameters=[V1beta1TrialParameterSpec(name="rate", reference="lr")],
                trial_spec=job,
            ),
        ),
    )


def resume(katib):
    katib.create_experiment(experiment(name="made"), NAMESPACE)
    katib.wait_for_experiment_condition("made", **SECONDS)
    katib.edit_experiment_budget("made", max_trial_count=5, parallel_trial_count=3)
    # Until the controller has seen it, it is as it was.
    while katib.get_experiment("made").status.trials != 5:
        time.sleep(0.2)
    katib.wait_for_experiment_condition("made", **SECONDS)
    told = {
        "restarting": katib.is_experiment_restarting("made"),
        "trials": katib.get_experiment("made").status.trials_succeeded,
        "listed": sorted(each.metadata.name for each in katib.list_experiments()),
        "suggestions": len(katib.list_suggestions()),
    }
    katib.delete_experiment("made")
    try:
        katib.get_experiment("made")
    except RuntimeError as error:
        told["deleted"] = str(error)
    return told


def refused(katib):
    wrong = experiment(name="wrong")
    wrong.spec.objective.type = "best"
    try:
        katib.create_experiment(wrong)
    except RuntimeError as error:
        return str(error)
    return ""


def failing(katib):
    bad = experiment(generate_name="bad-")
    bad.spec.trial_template.trial_spec["spec"]["template"]["spec"]["containers"][0]["command"] = [
        "sh",
        "-c",
        "echo ${trialParameters.rate}; exit 3",
    ]
    bad.spec.trial_template.trial_spec["spec"]["backoffLimit"] = 0
    katib.create_experiment(bad)
    (name,) = (
        each.metadata.name
        for each in katib.list_experiments()
        if each.metadata.name.startswith("bad-")
    )
    try:
        katib.wait_for_experiment_condition(name, **SECONDS)
    except RuntimeError as error:
        return [str(error), katib.is_experiment_failed(name)]
    return []


def main(address, image, torch=""):
    katib = KatibClient(namespace=NAMESPACE)
    if torch:
        sys.stdout.write(json.dumps(tune_with_torchrun(katib, torch)) + "\n")
        return
    told = {
        "function": tune_a_function(katib, address),
        "package": tune_with_package(katib),
        "pushing": tune_pushing(katib, image, address),
        "training": tune_training_job(katib),
        "resumed": resume(katib),
        "refused": refused(katib),
        "failing": failing(katib),
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
