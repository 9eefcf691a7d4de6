"""Algorithms and stoppers of others: what katib-config may say, and a real service that is run and asked."""

from pathlib import Path

import grpc
import pytest
import yaml

import wherry
from wherry.objects import conditions, errors, kinds, metadata
from wherry.objects.requests import Object
from wherry.testing import builders
from wherry.testing.waiting import eventually
from wherry.tuning import service_objects, services
from wherry.tuning.kinds import EXPERIMENTS, SUGGESTIONS, TRIALS

_SERVER = """
import concurrent.futures, os, pathlib, tempfile, grpc
from wherry.tuning.api import messages
place = "/opt/katib/data"
folder = pathlib.Path(place if os.path.ismount(place) else tempfile.mkdtemp())
with (folder / "starts").open("a") as log:
    log.write("started ")

def suggest(request, context):
    starts = len((folder / "starts").read_text().split())
    reply = messages.new("GetSuggestionsReply")
    for place in range(request.current_request_number):
        entry = reply.parameter_assignments.add()
        entry.assignments.add(name="x", value=str(10 * starts + len(request.trials) + place))
    return reply

def validate(request, context):
    for each in request.experiment.spec.algorithm.algorithm_settings:
        if each.name == "wrong":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no setting is called wrong")
    return messages.new("ValidateAlgorithmSettingsReply")

def rules(request, context):
    reply = messages.new("GetEarlyStoppingRulesReply")
    reply.early_stopping_rules.add(name="loss", value="100", comparison=3, start_step=2)
    return reply

def serve(name, port, **methods):
    made = {}
    for method, function in methods.items():
        made[method] = grpc.unary_unary_rpc_method_handler(
            function,
            request_deserializer=messages.MESSAGES[f"{method}Request"].FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
    health = grpc.unary_unary_rpc_method_handler(
        lambda request, context: messages.HEALTH["HealthCheckResponse"](status=1),
        request_deserializer=messages.HEALTH["HealthCheckRequest"].FromString,
        response_serializer=lambda message: message.SerializeToString(),
    )
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((
        grpc.method_handlers_generic_handler(f"api.v1.beta1.{name}", made),
        grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": health}),
    ))
    server.add_insecure_port(f"0.0.0.0:{port}")
    server.start()
    return server
"""
_SUGGESTS = """
serve("Suggestion", 6789, GetSuggestions=suggest, ValidateAlgorithmSettings=validate).wait_for_termination()
"""
_STOPS = """
serve("EarlyStopping", 6788, GetEarlyStoppingRules=rules).wait_for_termination()
"""


def _container(program):
    # Pods have the packages of this test rather than an environment that has to be built.
    paths = ":".join(str(Path(str(each.__file__)).parents[1]) for each in (grpc, wherry))
    env = [{"name": "PYTHONPATH", "value": paths}]
    made = builders.container("x", python=_SERVER + program, env=env)
    del made["name"]
    return made


def config(suggestions=(), stoppers=()):
    runtime = {"suggestions": [*suggestions], "earlyStoppings": [*stoppers]}
    return {"data": {"katib-config.yaml": yaml.safe_dump({"runtime": runtime})}}


def named(algorithm, stopper=""):
    spec = {"algorithm": {"algorithmName": algorithm}}
    return {**spec, "earlyStopping": {"algorithmName": stopper}} if stopper else spec


def test_names_of_ours_are_ours_whatever_image_is_given():
    tpe = {"algorithmName": "tpe", "image": "ghcr.io/kubeflow/katib/suggestion-hyperopt"}
    assert services.find(named("tpe", "medianstop"), config([tpe])) == services.Services()


def test_what_a_service_may_say():
    entry = {
        "algorithmName": "mine",
        "image": "mine:1",
        "serviceAccountName": "who",
        "volumeMountPath": "/data",
        "persistentVolumeClaimSpec": {"storageClassName": "fast"},
        "resources": {"requests": {"cpu": "1"}},
    }
    found = services.find(named("mine"), config([entry])).algorithm
    assert found is not None
    assert found.container == {"image": "mine:1", "resources": {"requests": {"cpu": "1"}}}
    assert (found.account, found.volume_path) == ("who", "/data")
    assert found.claim == {"storageClassName": "fast"}
    there = {"algorithmName": "mine", "endpoint": "host:1"}
    found_there = services.find(named("mine"), config([there]))
    assert found_there.run == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (None, '"mine": want one of .*tpe.* names no other'),
        (config([{"algorithmName": "other", "image": "x"}]), "names other"),
        (config([{"algorithmName": "mine"}]), "want image, or endpoint"),
        (config([{"algorithmName": "mine", "endpoint": "nowhere"}]), "want host:port"),
        ({"data": {"katib-config.yaml": "a: ["}}, "not YAML"),
    ],
)
def test_what_it_may_not_say(given, told):
    with pytest.raises(services.ConfigError, match=told):
        services.find(named("mine"), given)


def test_objects_are_called_and_labelled_as_katibs():
    suggestion: Object = {
        "metadata": {"name": "e", "namespace": "ns", "uid": "u", "labels": {"a": "b"}},
        "apiVersion": SUGGESTIONS.api_version,
        "kind": SUGGESTIONS.kind,
        "spec": {**named("mine", "soon"), "resumePolicy": "FromVolume"},
    }
    given = config(
        [{"algorithmName": "mine", "image": "i"}], [{"algorithmName": "soon", "image": "s"}]
    )
    made = service_objects.deployment(suggestion, services.find(suggestion["spec"], given))
    assert made["metadata"]["name"] == "e-mine"
    labels = {
        "katib.kubeflow.org/deployment": "e-mine",
        "katib.kubeflow.org/experiment": "e",
        "katib.kubeflow.org/suggestion": "e",
    }
    assert made["spec"]["selector"]["matchLabels"] == labels
    pod = made["spec"]["template"]["spec"]
    assert [each["name"] for each in pod["containers"]] == ["suggestion", "early-stopping"]
    assert pod["volumes"][0]["persistentVolumeClaim"] == {"claimName": "e-mine"}
    assert pod["containers"][0]["volumeMounts"][0]["mountPath"] == "/opt/katib/data"
    ports = [each["ports"][0]["containerPort"] for each in pod["containers"]]
    assert ports == [6789, 6788]


def test_what_runs_elsewhere_is_not_run():
    spec = named("mine", "soon")
    suggestion = {
        "metadata": {"name": "e", "namespace": "ns", "uid": "u"},
        "apiVersion": SUGGESTIONS.api_version,
        "kind": SUGGESTIONS.kind,
        "spec": spec,
    }
    there = {"algorithmName": "mine", "endpoint": "host:1"}
    given = config([there], [{"algorithmName": "soon", "image": "s"}])
    made = service_objects.deployment(suggestion, services.find(spec, given))
    (container,) = made["spec"]["template"]["spec"]["containers"]
    assert container["name"] == "early-stopping"
    assert container["readinessProbe"]["tcpSocket"] == {"port": 6788}


def test_a_volume_may_be_described_for_the_claim():
    spec = {**named("mine"), "resumePolicy": "FromVolume"}
    suggestion = {
        "metadata": {"name": "e", "namespace": "ns", "uid": "u"},
        "apiVersion": SUGGESTIONS.api_version,
        "kind": SUGGESTIONS.kind,
        "spec": spec,
    }
    described = {"hostPath": {"path": "/data"}, "capacity": {"storage": "1Gi"}}
    entry = {
        "algorithmName": "mine",
        "image": "i",
        "persistentVolumeSpec": described,
        "persistentVolumeLabels": {"type": "local"},
    }
    found = services.find(spec, config([entry])).algorithm
    assert found is not None
    volume = service_objects.volume(suggestion, found)
    assert volume["metadata"] == {"name": "e-mine-ns", "labels": {"type": "local"}}
    assert volume["spec"] == described
    claim = service_objects.claim(suggestion, found.claim)
    assert claim["spec"]["resources"] == {"requests": {"storage": "1Gi"}}


@pytest.fixture(scope="module")
def others(shared_platform):
    """The platform with services of others in its configuration."""
    entries = [{"algorithmName": "mine", **_container(_SUGGESTS)}]
    stoppers = [{"algorithmName": "soon", **_container(_STOPS)}]
    change = config(entries, stoppers)
    client = shared_platform.client
    call = client.patch(kinds.CONFIG_MAPS, "katib-config", change, "kubeflow")
    shared_platform.call(call)
    yield shared_platform
    call = client.patch(kinds.CONFIG_MAPS, "katib-config", config(), "kubeflow")
    shared_platform.call(call)


def experiment(name, **spec):
    lines = "; ".join(
        f"print('loss={value}', flush=True)" for value in ("${trialParameters.x}",) * 3
    )
    job = builders.job(
        "x",
        template={"containers": [builders.container("main", python=lines)]},
        backoffLimit=0,
    )
    del job["metadata"]
    return {
        "apiVersion": EXPERIMENTS.api_version,
        "kind": EXPERIMENTS.kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "algorithm": {"algorithmName": "mine"},
            "maxTrialCount": 2,
            "parallelTrialCount": 1,
            "parameters": [
                {
                    "name": "x",
                    "parameterType": "double",
                    "feasibleSpace": {"min": "0", "max": "1000"},
                }
            ],
            "trialTemplate": {
                "primaryContainerName": "main",
                "trialParameters": [{"name": "x", "reference": "x"}],
                "trialSpec": job,
            },
            **spec,
        },
    }


def ended(platform, name, trials=2):
    def seen():
        found = platform.call(platform.client.get(EXPERIMENTS, name, "default"))
        done = found.get("status", {}).get("completionTime")
        return found if done and found["status"].get("trials", 0) >= trials else None

    return eventually(seen, 120)


def tried(platform, name):
    listed = platform.call(platform.client.list(TRIALS, "default"))
    made = [each for each in listed if metadata.name(each).startswith(f"{name}-")]
    made.sort(key=lambda each: int(metadata.labels(each)["wherry.dev/index"]))
    return [each["spec"]["parameterAssignments"][0]["value"] for each in made]


def there(platform, resource, name):
    try:
        return platform.call(platform.client.get(resource, name, "default"))
    except errors.NotFoundError:
        return None


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_service_is_run_asked_and_ended(others):
    call, client = others.call, others.client
    call(client.create(EXPERIMENTS, experiment("foreign")))
    found = ended(others, "foreign")
    assert conditions.is_true(found, "Succeeded"), found["status"]
    assert tried(others, "foreign") == ["10", "11"]
    eventually(lambda: there(others, kinds.DEPLOYMENTS, "foreign-mine") is None, 120)
    eventually(lambda: there(others, kinds.SERVICES, "foreign-mine") is None, 120)
    suggestion = call(client.get(SUGGESTIONS, "foreign", "default"))
    assert conditions.is_true(suggestion, "DeploymentReady")
    assert conditions.is_true(suggestion, "Succeeded")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_data_are_kept_for_a_search_that_goes_on(others):
    call, client = others.call, others.client
    call(client.create(EXPERIMENTS, experiment("kept", resumePolicy="FromVolume")))
    ended(others, "kept")
    eventually(lambda: there(others, kinds.DEPLOYMENTS, "kept-mine") is None, 120)
    assert there(others, kinds.PERSISTENT_VOLUME_CLAIMS, "kept-mine") is not None
    change = {"spec": {"maxTrialCount": 3}}
    call(client.patch(EXPERIMENTS, "kept", change, "default"))
    ended(others, "kept", trials=3)
    assert tried(others, "kept") == ["10", "11", "22"], "it has begun twice, with the same data"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_service_stays_for_a_search_that_runs_long(others):
    call, client = others.call, others.client
    call(client.create(EXPERIMENTS, experiment("long", resumePolicy="LongRunning")))
    ended(others, "long")
    deployment = there(others, kinds.DEPLOYMENTS, "long-mine")
    call(client.patch(EXPERIMENTS, "long", {"spec": {"maxTrialCount": 3}}, "default"))
    ended(others, "long", trials=3)
    assert tried(others, "long") == ["10", "11", "12"], "it has begun once"
    again = there(others, kinds.DEPLOYMENTS, "long-mine")
    assert metadata.uid(again) == metadata.uid(deployment)
    call(client.delete(EXPERIMENTS, "long", "default"))
    eventually(lambda: there(others, kinds.DEPLOYMENTS, "long-mine") is None, 120)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_stopper_gives_its_rules(others):
    spec = {
        "algorithm": {"algorithmName": "grid"},
        "parameters": [
            {
                "name": "x",
                "parameterType": "discrete",
                "feasibleSpace": {"list": ["1", "500"]},
            }
        ],
        "earlyStopping": {"algorithmName": "soon"},
        "objective": {"type": "minimize", "objectiveMetricName": "loss"},
    }
    made = experiment("stopped", **spec)
    template = made["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]
    # Long enough for any machine to see the lines before its end, where they are bad.
    stay = "; import time; time.sleep(600 if float('${trialParameters.x}') > 100 else 0)"
    template["containers"][0]["command"][-1] += stay
    others.call(others.client.create(EXPERIMENTS, made))
    found = ended(others, "stopped")
    assert found["status"]["trialsEarlyStopped"] == 1
    assert found["status"]["trialsSucceeded"] == 1


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_a_service_refuses_fails_the_search(others):
    settings = [{"name": "wrong", "value": "1"}]
    made = experiment("wrong", algorithm={"algorithmName": "mine", "algorithmSettings": settings})
    others.call(others.client.create(EXPERIMENTS, made))

    def failed():
        found = others.call(others.client.get(EXPERIMENTS, "wrong", "default"))
        return conditions.get(found, "Failed")

    assert "no setting is called wrong" in eventually(failed, 90)["message"]


async def test_a_service_that_cannot_be_written_down_fails_the_search(world):
    """What is no text where a text has to be is refused before anybody looks what it says."""
    wrong = {"algorithmName": "mine", "image": "i", "workingDir": ["no", "text"]}
    await world.client.patch(kinds.CONFIG_MAPS, "katib-config", config([wrong]), "kubeflow")
    await world.create(EXPERIMENTS, experiment("unwritten"))
    found = await world.until_condition(EXPERIMENTS, "unwritten", "Failed")
    told = (conditions.get(found, "Failed") or {})["message"]
    assert "ConfigMap katib-config" in told
    assert "workingDir" in told


def test_an_algorithm_that_nobody_has_is_refused(shared_platform):
    made = experiment("nobodys", algorithm={"algorithmName": "guess"})
    with pytest.raises(errors.InvalidError, match=r'"guess": want one of .*tpe'):
        shared_platform.call(shared_platform.client.create(EXPERIMENTS, made))
