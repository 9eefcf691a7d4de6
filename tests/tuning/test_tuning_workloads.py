"""Trials of every kind: training jobs, kinds that nobody here knows, templates in ConfigMaps."""

from typing import Any

import pytest

from wherry.objects import conditions, errors, kinds, metadata
from wherry.objects.resources import Resource
from wherry.testing.played import PLAY, condition
from wherry.testing.played_logs import SAYS
from wherry.tuning.kinds import EXPERIMENT_LABEL, EXPERIMENTS, TRIALS

SAID = "loss=${trialParameters.x}"


def experiment(template: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "e", "labels": {"team": "a"}},
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "algorithm": {"algorithmName": "random"},
            "parallelTrialCount": 2,
            "maxTrialCount": 2,
            "parameters": [
                {"name": "x", "parameterType": "double", "feasibleSpace": {"min": 1, "max": 2}}
            ],
            "trialTemplate": {
                "primaryContainerName": "main",
                "trialParameters": [{"name": "x", "reference": "x"}],
                **template,
            },
            **spec,
        },
    }


def pod(name: str = "main", play: str = "succeed", says: str = SAID) -> dict[str, Any]:
    return {
        "metadata": {"annotations": {PLAY: play, SAYS: says}},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": name, "image": "python:3.11"}],
            "terminationGracePeriodSeconds": 1,
        },
    }


def job(**play: Any) -> dict[str, Any]:
    return {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": pod(**play)}}


async def trials(world: Any) -> Any:
    return await world.list(TRIALS, f"{EXPERIMENT_LABEL}=e")


async def test_training_jobs_count_by_their_leader(training_world):
    world = training_world
    worker = pod("pytorch", play="run", says="loss=-1")
    run = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "spec": {
            "pytorchReplicaSpecs": {
                "Master": {"template": pod("pytorch", play="run")},
                "Worker": {"template": worker},
            }
        },
    }
    template = {"primaryContainerName": "pytorch", "trialSpec": run}
    await world.create(EXPERIMENTS, experiment(template))
    await world.until_status(EXPERIMENTS, "e", trialsRunning=2)
    for trial in await trials(world):
        await world.kubelet.finish(f"{metadata.name(trial)}-master-0")
    found = await world.until_condition(EXPERIMENTS, "e", "Succeeded")
    assert found["status"]["trialsSucceeded"] == 2
    (metric,) = found["status"]["currentOptimalTrial"]["observation"]["metrics"]
    assert float(metric["latest"]) >= 1, "what workers print does not count"


async def test_train_jobs_are_found_by_their_set(training_world):
    world = training_world
    runtime = {
        "metadata": {"name": "plain"},
        "spec": {
            "mlPolicy": {"numNodes": 1},
            "template": {
                "spec": {
                    "replicatedJobs": [
                        {
                            "name": "node",
                            "template": {
                                "metadata": {
                                    "labels": {
                                        "trainer.kubeflow.org/trainjob-ancestor-step": "trainer"
                                    }
                                },
                                "spec": {"template": pod("node", says="loss=1.5")},
                            },
                        }
                    ]
                }
            },
        },
    }
    runtimes = Resource("trainer.kubeflow.org", "v1alpha1", "trainingruntimes", "TrainingRuntime")
    await world.create(runtimes, runtime)
    run = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "spec": {
            "runtimeRef": {"name": "plain", "kind": "TrainingRuntime"},
            "trainer": {"env": [{"name": "X", "value": "${trialParameters.x}"}]},
        },
    }
    await world.create(EXPERIMENTS, experiment({"primaryContainerName": "node", "trialSpec": run}))
    found = await world.until_condition(EXPERIMENTS, "e", "Succeeded")
    assert found["status"]["trialsSucceeded"] == 2
    env = world.kubelet.started[0]["spec"]["containers"][0]["env"]
    told = {each["name"]: each.get("value") for each in env}
    assert told["KATIB_TRIAL_NAME"] in {metadata.name(one) for one in await trials(world)}


BAKES = Resource("bakery.example", "v1", "bakes", "Bake")
_DEFINITION = {
    "metadata": {"name": "bakes.bakery.example"},
    "spec": {
        "group": "bakery.example",
        "scope": "Namespaced",
        "names": {"plural": "bakes", "singular": "bake", "kind": "Bake", "listKind": "BakeList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}


async def test_any_kind_can_be_a_trial_by_its_conditions(world):
    run = {
        "apiVersion": "bakery.example/v1",
        "kind": "Bake",
        "spec": {"heat": "${trialParameters.x}"},
    }
    template = {
        "trialSpec": run,
        "successCondition": 'status.[@this].#(phase=="Baked")#',
        "failureCondition": 'status.[@this].#(phase=="Burnt")#',
        "retain": True,
    }
    spec = {"metricsCollectorSpec": {"collector": {"kind": "None"}}, "maxFailedTrialCount": 2}
    await world.create(EXPERIMENTS, experiment(template, **spec))

    async def unknown() -> bool:
        found = [conditions.get(one, "Running") for one in await trials(world)]
        return any(one and one["reason"] == "UnknownKind" for one in found)

    await world.until(unknown, "trials say that their kind is not served")
    await world.create(kinds.CUSTOM_RESOURCE_DEFINITIONS, _DEFINITION)
    names = [metadata.name(one) for one in await trials(world)]
    await world.until_names(BAKES, names)
    for name, phase in zip(names, ("Baked", "Burnt"), strict=True):
        made = await world.get(BAKES, name)
        assert metadata.labels(made)["team"] == "a"
        made["status"] = {"phase": phase, "reason": "Oven", "message": "it is done"}
        await world.client.update(BAKES, made, subresource="status")
    await world.until_status(EXPERIMENTS, "e", trialsSucceeded=1, trialsFailed=1)
    failed = condition(await world.get(TRIALS, names[1]), "Failed")
    assert failed["message"] == "Trial has failed. Job message: it is done. Job reason: Oven"


async def test_a_template_may_stand_in_a_config_map(world):
    text = f"""
apiVersion: batch/v1
kind: Job
spec:
  completions: ${{trialParameters.n}}
  template:
    metadata:
      annotations: {{{PLAY}: succeed, {SAYS}: "{SAID}"}}
    spec:
      restartPolicy: Never
      containers: [{{name: main, image: "python:3.11"}}]
"""
    await world.create(kinds.CONFIG_MAPS, {"metadata": {"name": "t"}, "data": {"job.yaml": text}})
    place = {"configMapName": "t", "configMapNamespace": "default", "templatePath": "job.yaml"}
    parameters = [{"name": "x", "reference": "x"}, {"name": "n", "reference": "n"}]
    made = experiment({"configMap": place, "trialParameters": parameters})
    made["spec"]["parameters"].append(
        {"name": "n", "parameterType": "int", "feasibleSpace": {"min": 1, "max": 1}}
    )
    await world.create(EXPERIMENTS, made)
    found = await world.until_condition(EXPERIMENTS, "e", "Succeeded")
    assert found["status"]["trialsSucceeded"] == 2


async def test_a_config_map_that_goes_away_before_the_first_trial_is_named(world):
    text = "apiVersion: batch/v1\nkind: Job\nspec: {x: '${trialParameters.x}'}"
    await world.create(kinds.CONFIG_MAPS, {"metadata": {"name": "t"}, "data": {"job.yaml": text}})
    await world.kill()
    place = {"configMapName": "t", "configMapNamespace": "default", "templatePath": "job.yaml"}
    await world.create(EXPERIMENTS, experiment({"configMap": place}))
    await world.delete(kinds.CONFIG_MAPS, "t")
    await world.start()
    found = await world.until_condition(EXPERIMENTS, "e", "Running")
    told = condition(found, "Running")
    assert told["reason"] == "TrialTemplateMissing"
    assert "there is no ConfigMap default/t" in told["message"]


async def test_what_the_api_refuses_fails_the_trial_with_its_words(world):
    run = job()
    run["spec"]["parallelism"] = -1
    await world.create(EXPERIMENTS, experiment({"trialSpec": run}, maxFailedTrialCount=1))
    await world.until_condition(EXPERIMENTS, "e", "Failed")
    (failed, *_) = [one for one in await trials(world) if conditions.is_true(one, "Failed")]
    assert "spec.parallelism" in condition(failed, "Failed")["message"]


@pytest.mark.parametrize("algorithm", ["medianstop", "asha"])
async def test_what_comes_to_nothing_is_stopped_while_it_runs(world, algorithm):
    settings = {
        "medianstop": [("min_trials_required", "1"), ("start_step", "2")],
        "asha": [("min_resource", "1"), ("eta", "2")],
    }[algorithm]
    stopping = {
        "algorithmName": algorithm,
        "algorithmSettings": [{"name": name, "value": value} for name, value in settings],
    }
    made = experiment(
        {"trialSpec": job(play="run", says="starting ${trialParameters.x}")},
        parallelTrialCount=1,
        earlyStopping=stopping,
        objective={"type": "maximize", "objectiveMetricName": "accuracy"},
    )
    await world.create(EXPERIMENTS, made)
    await world.until_status(EXPERIMENTS, "e", trialsRunning=1)
    good = metadata.name(world.kubelet.started[0])
    world.kubelet.logs.say(good, "accuracy=0.8\naccuracy=0.9\naccuracy=0.9\naccuracy=0.9")
    await world.kubelet.finish(good)
    await world.until_status(EXPERIMENTS, "e", trialsRunning=1, trialsSucceeded=1)
    bad = metadata.name(world.kubelet.started[1])
    world.kubelet.logs.say(bad, "accuracy=0.1\naccuracy=0.1\naccuracy=0.1")
    found = await world.until_condition(EXPERIMENTS, "e", "Succeeded")
    status = found["status"]
    assert (status["trialsSucceeded"], status["trialsEarlyStopped"]) == (1, 1)
    await world.until_names(kinds.PODS, [])
    (stopped,) = status["earlyStoppedTrialList"]
    trial = await world.get(TRIALS, stopped)
    assert trial["status"]["observation"]["metrics"][0]["max"] == "0.1"


@pytest.mark.parametrize("kind", ["ClusterRoleBinding", "RoleBinding"])
async def test_a_trial_gives_nobody_rights(world, kind):
    run = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "somebody"}],
    }
    spec = {"primaryContainerName": "main", "runSpec": run}
    made = await world.create(TRIALS, {"metadata": {"name": "t"}, "spec": spec})
    ended = await world.until_condition(TRIALS, "t", "Failed")
    assert kind in condition(ended, "Failed")["message"]
    wanted = experiment({"trialSpec": run})
    with pytest.raises(errors.InvalidError, match=f"trialSpec.kind.*{kind}"):
        await world.create(EXPERIMENTS, wanted)
    resource = kinds.by_kind(run["apiVersion"], kind)
    owners = [metadata.controller_of(each) or {} for each in await world.list(resource)]
    assert metadata.uid(made) not in {each.get("uid") for each in owners}
