"""Pipelines beside a cluster that is somebody else's: two replicas, a store, and a database that both use."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from wherry.cli import main
from wherry.objects import conditions, metadata
from wherry.objects import kinds as core
from wherry.objects.resources import Resource
from wherry.pipelines import commands, kinds, product
from wherry.pipelines.api import rpc
from wherry.testing import environments, foreign
from wherry.testing.databases import postgresql, postgresql_server
from wherry.testing.foreign import Foreign, Replica
from wherry.testing.waiting import eventually

__all__ = ["postgresql", "postgresql_server"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "src"
ENVIRONMENTS = Resource("wherry.dev", "v1", "environments", "Environment", namespaced=False)
MESSAGES = rpc.classes()
AGENT = "wherry:test"
OUT = "{{$.outputs.parameters['out'].output_file}}"
TAKEN = {"pods", "pods/log", "persistentvolumeclaims", "configmaps"}
COUNTS = """
from kfp.dsl import *

def count(data: Input[Dataset], found: Output[Dataset]) -> int:
    with open(data.path + "/file") as file:
        number = len(file.read())
    found.metadata["letters"] = number
    return number
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Foreign]:
    """A cluster that has an image with Wherry and the packages for S3."""
    with foreign.cluster(tmp_path_factory.mktemp("cluster")) as made:
        spec = {
            "images": [AGENT],
            "requirements": ["fsspec", "pyyaml", "s3fs"],
            "env": {"PYTHONPATH": str(SOURCES)},
        }
        client = made.platform.client
        body = {"metadata": {"name": "agent"}, "spec": spec}
        made.platform.call(client.create(ENVIRONMENTS, body))

        def built() -> bool:
            found = made.platform.call(client.get(ENVIRONMENTS, "agent"))
            return conditions.is_true(found, "Ready")

        eventually(built, 300, what="the agent's image")
        yield made


@pytest.fixture(scope="module")
def database(postgresql) -> str:
    """A database that all replicas reach."""
    return str(postgresql)


@pytest.fixture(scope="module")
def replicas(cluster, database) -> Iterator[list[Replica]]:
    """Two replicas, of which one leads."""
    options = {
        "WHERRY_PIPELINES_AGENT_IMAGE": AGENT,
        "WHERRY_METADATA_DATABASE": database,
        "WHERRY_PIPELINES_API_ADDRESS": "127.0.0.1:0",
        "WHERRY_PIPELINES_GRPC_ADDRESS": "127.0.0.1:0",
    }
    with cluster.replicas("pipelines", options) as made:
        yield made


@pytest.fixture
def runs(cluster, replicas, database, runs_on):
    """Runs on the cluster, in a namespace of the test's own."""
    return runs_on(cluster.platform, database)


def counting(spec):
    """Have a step of Python count the letters that another one wrote."""
    spec.step("count", "", outputs={"Output": "NUMBER_INTEGER"}, reads=["data"], makes=["found"])
    container = spec.executors["exec-count"]["container"]
    container["command"] = commands.written([], [], COUNTS)
    container["args"] = ["--executor_input", "{{$}}", "--function_to_execute", "count"]
    spec.task("count", cache=True, artifacts={"data": ("make", "data")})
    spec.output("letters", "count", "Output", "NUMBER_INTEGER")
    return spec


def claim(runs):
    """Make a claim, and return the root of runs that keep their artifacts in it."""
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Mi"}}}
    body = {"metadata": {"name": "shared", "namespace": runs.namespace}, "spec": spec}
    runs.platform.call(runs.client.create(core.PERSISTENT_VOLUME_CLAIMS, body))
    return {"runtimeConfig": {"pipelineRoot": "pvc://shared/root"}}


def config_maps(runs):
    """Return the ConfigMaps of runs."""
    listed = runs.client.list(core.CONFIG_MAPS, runs.namespace, labels=kinds.RUN_LABEL)
    return runs.platform.call(listed).items


def with_claim(spec, size="1Mi"):
    """Have a task make a claim, and one delete it."""
    given = {"access_modes": "LIST", "size": "STRING", "pvc_name": "STRING"}
    for deed, inputs, outputs in (("create", given, {"name": "STRING"}), ("delete", given, None)):
        spec.component(deed, inputs, outputs)["executorLabel"] = f"exec-{deed}"
        spec.executors[f"exec-{deed}"] = {"container": {"image": f"argostub/{deed}pvc"}}
    settings = {"access_modes": ["ReadWriteOnce"], "size": size, "pvc_name": "data"}
    spec.task("create", parameters=settings)
    spec.task("delete", needs=["create"], parameters=settings)
    return spec


@pytest.mark.parametrize("where", ["store", "claim"])
def test_artifacts_are_brought_and_results_found_again(runs, two_steps, s3, where):
    given = claim(runs) if where == "claim" else {}
    if where == "store":
        runs.keep_in(s3)
    spec = counting(two_steps).spec(**given)
    run = runs.run(spec)
    assert run["status"]["state"] == kinds.SUCCEEDED, run["status"]
    assert (run["status"]["outputs"]["kept"], run["status"]["outputs"]["letters"]) == ("kept\n", 5)
    (found,) = runs.rows(run)["root/count"].outputs.artifacts["found"]
    assert found.metadata == {"letters": 5}
    again = runs.run(spec, "again")
    assert again["status"]["outputs"] == run["status"]["outputs"]
    assert again["status"]["tasks"]["cached"] == 3, runs.rows(again)
    assert runs.pods("again") == []


def test_the_runtime_goes_with_its_run(runs, two_steps):
    run = runs.run(counting(two_steps).spec(**claim(runs)))
    (carried,) = config_maps(runs)
    owner = metadata.controller_of(carried)
    assert owner is not None
    assert owner["uid"] == metadata.uid(run)
    assert carried["immutable"]
    runs.platform.call(runs.client.delete(kinds.PIPELINE_RUNS, "run", runs.namespace))
    eventually(lambda: not config_maps(runs) and not runs.pods(), 120)


def test_no_runtime_is_carried_where_nothing_needs_one(runs, two_steps):
    runs.run(two_steps.spec(**claim(runs)))
    assert config_maps(runs) == []


def test_the_leader_is_killed_in_the_middle_of_a_run(cluster, replicas, runs, pipeline, tmp_path):
    """Each step is run once, whoever leads."""
    turns = 12
    made = pipeline()
    step = f"echo x >> {tmp_path}/{{{{$.inputs.parameters['n']}}}}-"
    given = {"inputs": {"n": "NUMBER_INTEGER"}, "outputs": {"out": "NUMBER_INTEGER"}}
    count = f"sleep 0.1; echo $(({{{{$.inputs.parameters['n']}}}} + 1)) > {OUT}"
    made.step("first", f"{step}first; {count}", **given)
    made.step("second", f"{step}second; {count}", **given)
    for n in range(turns):
        made.task(f"first-{n}", "first", parameters={"n": n * 10})
        made.task(f"second-{n}", "second", parameters={"n": (f"first-{n}", "out")})
    made.output("last", f"second-{turns - 1}", "out", "NUMBER_INTEGER")
    runs.start(made.spec(**claim(runs)))
    eventually(lambda: len([*tmp_path.iterdir()]) >= 3, 120, what="steps")
    before = cluster.leader()
    cluster.kill_leader(replicas)
    run = runs.ended()
    assert cluster.leader() != before
    assert run["status"]["state"] == kinds.SUCCEEDED, run["status"]
    assert run["status"]["outputs"] == {"last": (turns - 1) * 10 + 2}
    wanted = {f"{n * 10}-first" for n in range(turns)} | {
        f"{n * 10 + 1}-second" for n in range(turns)
    }
    noted = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert noted == dict.fromkeys(wanted, "x\n")
    assert {row.attempt for row in runs.rows(run).values()} == {0}


def test_the_service_is_called_itself_where_the_cluster_does_not_say_who_calls(
    cluster, runs, two_steps, monkeypatch, capsys
):
    """Through the API server it is refused; with a token at a forwarded port it answers, whoever leads."""
    runs.run(two_steps.spec(**claim(runs)))
    access = cluster.kubeconfig_of("editor", runs.namespace, "edit")

    def get(*words):
        capsys.readouterr()
        where = ["--kubeconfig", str(access), "-n", runs.namespace]
        code = main(["pipelines", *words, *where])
        told = capsys.readouterr()
        return code, told.out + told.err

    code, told = get("get", "run")
    assert (code, "WHERRY_PIPELINES_SERVICE" in told) == (1, True), told
    monkeypatch.setenv("WHERRY_PIPELINES_SERVICE", "http://pipelines.example")
    code, told = get("get", "run")
    assert (code, "it is sent your token" in told) == (1, True), told
    monkeypatch.setenv("WHERRY_PIPELINES_SERVICE", forwarded(cluster))
    code, told = get("get", "run")
    assert (code, "miss: no earlier result" in told) == (0, True), told
    code, told = get("lineage", "run/make/data")
    assert (code, "data: Dataset pvc://shared/root/" in told) == (0, True), told
    assert get("cache", "clear", "--all")[1].startswith("2 results")


CLIENT = """
import sys
import kfp, kfp_server_api

host, token, namespace, package = sys.argv[1:]
client = kfp.Client(host=host, existing_token=token, namespace=namespace)
group = client.create_experiment("by the SDK", namespace=namespace)
run = client.run_pipeline(group.experiment_id, "by the SDK", package, pipeline_root="pvc://shared/root")
print(client.wait_for_run_completion(run.run_id, 120).state)
try:
    client.list_experiments(namespace="default")
except kfp_server_api.ApiException as error:
    print(error.status)
"""


def test_the_sdk_and_grpc_reach_the_service_by_its_name(cluster, runs, two_steps, tmp_path):
    """As pods do, with a token that the cluster gives: by the Service, whoever leads."""
    package = tmp_path / "pipeline.yaml"
    package.write_text(yaml.safe_dump(two_steps.spec()["pipelineSpec"]))
    claim(runs)
    call, client = cluster.platform.call, runs.client
    cluster.kubeconfig_of("robot", runs.namespace, "edit")
    account = {"metadata": {"name": "robot", "namespace": runs.namespace}}
    asked = {**account, "spec": {"audiences": ["pipelines.kubeflow.org"]}}
    made = call(client.create(core.SERVICE_ACCOUNTS, asked, subresource="token"))
    token = made["status"]["token"]
    address = call(client.get(core.SERVICES, "ml-pipeline", "kubeflow"))["spec"]["clusterIP"]

    environment = environments.environment(
        ROOT / "requirements" / "clients-pipelines.txt", ROOT / "build" / "clients"
    )
    program = [str(environment / "bin" / "python"), "-W", "ignore", "-c", CLIENT]
    words = [f"http://{address}:8888", token, runs.namespace, str(package)]
    done = subprocess.run(
        [*program, *words],
        env={"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["SUCCEEDED", "403"]

    with grpc.insecure_channel(f"{address}:8887") as channel:
        listed: grpc.UnaryUnaryMultiCallable[Any, Any] = channel.unary_unary(
            f"/{rpc.PACKAGE}.ExperimentService/ListExperiments",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=MESSAGES["ListExperimentsResponse"].FromString,
        )
        request = MESSAGES["ListExperimentsRequest"](namespace=runs.namespace)
        told = (("authorization", f"Bearer {token}"),)
        found = listed(request, metadata=told, timeout=60, wait_for_ready=True)
    assert [each.display_name for each in found.experiments] == ["by the SDK"]


def forwarded(cluster):
    """Return the URL at which the leader's service is reached from here."""
    client = cluster.platform.client
    listed = client.list(core.ENDPOINT_SLICES, "kubeflow")
    (slice_,) = [
        each
        for each in cluster.platform.call(listed)
        if metadata.labels(each).get("kubernetes.io/service-name") == "ml-pipeline"
    ]
    (port,) = [each["port"] for each in slice_["ports"] if each["name"] == "http"]
    return f"http://{slice_['endpoints'][0]['addresses'][0]}:{port}"


def test_the_account_has_the_rights_it_needs_and_no_others(cluster, runs, two_steps):
    """Of what runs take; those of the kinds are the same for each product."""
    two_steps.config["workspace"] = {"size": "1Mi"}
    two_steps.step("share", "ls {{$.workspace_path}}")
    two_steps.task("share")
    counting(with_claim(two_steps))
    spec = two_steps.spec(podTTLSecondsAfterFinished=0, **claim(runs))
    run = runs.run(spec)
    assert run["status"]["state"] == kinds.SUCCEEDED, run["status"]
    eventually(lambda: not runs.pods(), 120)
    shipped = {
        (verb, resource)
        for rule in product.COMPONENT.rules
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if resource in TAKEN
    }
    asked = {(each["verb"], place(each["objectRef"])) for each in cluster.requests()}
    # A pod is looked at only where a killed leader has made it; ConfigMaps keep results of Workflows.
    assert shipped
    assert shipped - asked <= {("get", "pods"), ("patch", "configmaps")}
    refused = [each for each in cluster.requests() if each["responseStatus"].get("code") == 403]
    assert refused == []


def place(reference):
    """Return a resource and its part as rules name them."""
    return "/".join(filter(None, (reference.get("resource"), reference.get("subresource"))))
