"""What pipelines make of a run on a cluster: its pods, and what is said where the cluster lacks something.

The pods are played; in `test_pipelines_beside` they run.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from wherry.builtin.settings import BuiltinSettings
from wherry.cluster import registration
from wherry.controller.surroundings import Surroundings
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.pipelines import commands, kinds, product, status
from wherry.pipelines.staging import agent
from wherry.testing import played
from wherry.testing.played import PLAY, World
from wherry.testing.played_logs import SAYS

IMAGE = "registry.example/wherry:1"
FUNCTION = ["--executor_input", "{{$}}", "--function_to_execute", "f"]
ROOT = {"runtimeConfig": {"pipelineRoot": "s3://bucket/root"}}


@pytest.fixture
async def world(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A cluster with pipelines; a parameter gives other options of theirs."""
    options = getattr(request, "param", {"pipelines-agent-image": IMAGE})
    settings = BuiltinSettings(
        volumes_directory=tmp_path, certificate_authority="", cpu_overcommit=1.0
    )
    around = Surroundings(home=tmp_path, options=options)
    async with played.world((product.COMPONENT,), settings=settings, surroundings=around) as made:
        yield made


def python(spec, name, packages=(), **parts):
    """Add a component of Python."""
    spec.step(name, "", **parts)
    container = spec.executors[f"exec-{name}"]["container"]
    container["command"] = commands.written([*packages], [], "def f():\n    pass\n")
    container["args"] = FUNCTION


def play(spec, name, **told: Any):
    """Have the pods of a step end well at once, and the agent tell this of what it wrote."""
    given = {"metadata": None, "parameters": {}, "files": [], **told}
    says = f"{agent.MARK}{json.dumps(given)}"
    notes = {PLAY: "succeed", SAYS: says}
    spec.settings[name] = {"podMetadata": {"annotations": notes}}


async def run_of(world, spec, **fields):
    """Return a run of a pipeline once it has ended."""
    await world.create(
        kinds.PIPELINE_RUNS, {"metadata": {"name": "run"}, "spec": spec.spec(**fields)}
    )
    return await ended(world)


async def ended(world):
    """Return the run once it has ended."""

    async def has():
        found = await world.get(kinds.PIPELINE_RUNS, "run")
        return found if status.is_finished(found) else None

    return await world.until(has, "the end of the run")


async def pod_of(world, task):
    """Return the pod of a task."""
    (found,) = (await world.client.list(core.PODS, labels=f"{kinds.TASK_LABEL}={task}")).items
    return found


def mounts_of(pod):
    """Return the name of the ConfigMap that a pod mounts, all of it."""
    (volume,) = [each["configMap"] for each in pod["spec"]["volumes"] if "configMap" in each]
    return volume["name"]


async def test_a_step_has_the_agent_beside_it_and_the_runtime_from_a_config_map(world, pipeline):
    made = pipeline()
    made.step("make", "true", makes=["data"])
    play(made, "make", files=["data"])
    python(made, "read", outputs={"Output": "STRING"}, reads=["data"])
    play(made, "read", parameters={"Output": "told"})
    made.task("make")
    made.task("read", artifacts={"data": ("make", "data")})
    made.output("out", "read", "Output")
    run = await run_of(world, made, **ROOT)
    assert run["status"]["outputs"] == {"out": "told"}, run["status"]
    spec = (await pod_of(world, "read"))["spec"]
    assert not [each for each in spec["volumes"] if "hostPath" in each]
    beside = {each["name"]: each for each in spec["initContainers"]}
    assert {name: each["image"] for name, each in beside.items()} == {
        "wherry-fetch": IMAGE,
        "wherry-deliver": IMAGE,
    }
    assert beside["wherry-deliver"]["restartPolicy"] == "Always"
    (main,) = spec["containers"]
    assert main["command"][:3] == ["python3", "-m", commands.PROGRAM]
    carried = await world.get(core.CONFIG_MAPS, mounts_of(await pod_of(world, "read")))
    owner = metadata.controller_of(carried)
    assert owner is not None
    assert owner["uid"] == metadata.uid(run)
    assert sum(map(len, carried["data"].values())) < 200_000


async def test_packages_are_installed_by_the_command_itself(world, pipeline):
    """Nobody makes environments on somebody else's nodes."""
    made = pipeline()
    python(made, "packed", packages=["tabulate"])
    play(made, "packed")
    made.task("packed")
    run = await run_of(world, made, **ROOT)
    assert run["status"]["state"] == kinds.SUCCEEDED, run["status"]
    pod = await pod_of(world, "packed")
    (main,) = pod["spec"]["containers"]
    written = commands.written(["tabulate"], [], "def f():\n    pass\n")
    assert main["command"] == written
    assert main["args"][-2:] == ["--function_to_execute", "f"]
    assert not [each for each in pod["spec"]["volumes"] if "configMap" in each]
    assert not (await world.client.list(core.CONFIG_MAPS, labels=kinds.RUN_LABEL)).items


async def test_a_newer_wherry_gives_the_steps_to_come_its_own_runtime(world, pipeline, monkeypatch):
    made = pipeline()
    for name in ("one", "two"):
        python(made, name)
        play(made, name)
    made.settings["one"]["podMetadata"]["annotations"][PLAY] = "run"
    made.task("one")
    made.task("two", needs=["one"])
    await world.create(
        kinds.PIPELINE_RUNS, {"metadata": {"name": "run"}, "spec": made.spec(**ROOT)}
    )

    async def begun():
        return (await world.client.list(core.PODS, labels=f"{kinds.TASK_LABEL}=one")).items

    (pod,) = await world.until(begun)
    await world.kill()
    monkeypatch.setattr("wherry.pipelines.steps.runtime_volume._digest", lambda: "newer")
    await world.start()
    await world.kubelet.finish(metadata.name(pod))
    run = await ended(world)
    assert run["status"]["state"] == kinds.SUCCEEDED, run["status"]
    carried = (await world.client.list(core.CONFIG_MAPS, labels=kinds.RUN_LABEL)).items
    mounted = [mounts_of(await pod_of(world, name)) for name in ("one", "two")]
    assert sorted(mounted) == sorted(map(metadata.name, carried))


async def test_what_a_lost_node_took_along_fails_the_step_once_its_pod_is_given_up(
    world, pipeline, monkeypatch
):
    """Until then the node may come back."""

    read = world.kubelet.logs.logs

    async def unreachable(namespace, pod, *told: object):
        notes = metadata.annotations(await world.get(core.PODS, pod, namespace))
        if notes[kinds.PATH_ANNOTATION] == "root/make":
            raise errors.InternalError("dial tcp 10.0.0.7:10250: no route to host")
        async for chunk in read(namespace, pod, *told):
            yield chunk

    monkeypatch.setattr(world.kubelet.logs, "logs", unreachable)
    made = pipeline()
    for name in ("make", "other"):
        made.step(name, "true")
        play(made, name)
        made.task(name)
    spec = made.spec(**ROOT)
    await world.create(kinds.PIPELINE_RUNS, {"metadata": {"name": "run"}, "spec": spec})

    async def told():
        found = await world.get(kinds.PIPELINE_RUNS, "run")
        return "no route to host" in (found.get("status") or {}).get("message", "")

    await world.until(told)
    assert not status.is_finished(await world.get(kinds.PIPELINE_RUNS, "run"))
    pod = await pod_of(world, "make")
    await world.client.delete(core.PODS, metadata.name(pod), "default", grace_period_seconds=0)
    run = await ended(world)
    assert run["status"]["state"] == kinds.FAILED
    assert "cannot be asked for: " in run["status"]["message"]
    assert "no route to host" in run["status"]["message"]
    assert run["status"]["tasks"]["succeeded"] == 1, "the other one had nothing to do with it"


def test_roles_of_people_are_the_administrators_to_make():
    """The account of the controllers has no rights that it could hand on."""
    granted = registration.access((product.COMPONENT,), "wherry-system")
    (own,) = [
        each for each in granted if metadata.name(each) == "wherry-controllers" and "rules" in each
    ]
    assert not [rule for rule in own["rules"] if "rbac.authorization.k8s.io" in rule["apiGroups"]]
    named = {(each["kind"], metadata.name(each)) for each in granted}
    assert named >= {(each["kind"], metadata.name(each)) for each in product.COMPONENT.roles()}
    roles = {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
    assert not [each for each in product.COMPONENT.objects() if each["kind"] in roles]


@pytest.mark.parametrize("world", [{}], indirect=True)
async def test_without_the_agents_image_a_step_cannot_be_made(world, pipeline):
    made = pipeline()
    made.step("make", "true")
    made.task("make")
    run = await run_of(world, made, **ROOT)
    assert run["status"]["state"] == kinds.FAILED
    assert "set the option pipelines-agent-image" in run["status"]["message"]


@pytest.mark.parametrize(
    ("root", "wanted"),
    [
        ("", "no pipeline root: set spec.runtimeConfig.pipelineRoot, or defaultPipelineRoot"),
        ("file:///data", "pipeline root file:///data: no folder that all nodes have"),
        ("nfs://server/x", "pipeline root: 'nfs://server/x' is no URI of an artifact"),
    ],
)
async def test_a_root_that_cannot_be_is_refused(world, pipeline, root, wanted):
    made = pipeline()
    made.step("make", "true")
    made.task("make")
    run = await run_of(world, made, runtimeConfig={"pipelineRoot": root})
    assert run["status"]["state"] == kinds.FAILED
    assert wanted in run["status"]["message"]
