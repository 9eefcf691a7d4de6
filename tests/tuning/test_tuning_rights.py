"""Experiments have made for their makers only what these may make themselves."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import jsonpatch
import pytest
from aiohttp.test_utils import TestClient, TestServer

from wherry.apiserver.identity import User
from wherry.client.client import Client
from wherry.cluster import webhooks
from wherry.controller import installing
from wherry.controller.manager import Manager
from wherry.embedded import in_memory
from wherry.objects import conditions, errors, kinds, metadata
from wherry.objects.declared import makers
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.tuning import component as tuning
from wherry.tuning import defaults
from wherry.tuning.kinds import EXPERIMENTS, TRIALS
from wherry.tuning.rights import MAKER

BAKES = Resource("bakery.example", "v1", "bakes", "Bake")
COOK = User("cook", groups=("kitchen", "system:authenticated"))
BAKER = User("baker", groups=("bakers", "system:authenticated"))
REFUSED = 'User "cook" cannot create resource "bakes" in API group "bakery.example" in the namespace "default"'


def definition() -> Object:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "bakes", "singular": "bake", "kind": "Bake", "listKind": "BakeList"}
    return {
        "metadata": {"name": BAKES.key},
        "spec": {
            "group": BAKES.group,
            "scope": "Namespaced",
            "names": names,
            "versions": [version],
        },
    }


def bake(kind: str = "Bake") -> Object:
    return {
        "apiVersion": "bakery.example/v1",
        "kind": kind,
        "spec": {"heat": "${trialParameters.x}"},
    }


def job() -> Object:
    container = {"name": "main", "image": "x", "args": ["${trialParameters.x}"]}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": template}}


def experiment(run: Object | None = None, *, name: str = "e", **template: Any) -> Object:
    space = {"min": 0, "max": 1}
    return {
        "apiVersion": EXPERIMENTS.api_version,
        "kind": EXPERIMENTS.kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "algorithm": {"algorithmName": "random"},
            "maxTrialCount": 1,
            "parallelTrialCount": 1,
            "parameters": [{"name": "x", "parameterType": "double", "feasibleSpace": space}],
            "trialTemplate": {
                "primaryContainerName": "main",
                "trialParameters": [{"name": "x", "reference": "x"}],
                "successCondition": 'status.[@this].#(phase=="Baked")#',
                "failureCondition": 'status.[@this].#(phase=="Burnt")#',
                **({"trialSpec": run} if run else {}),
                **template,
            },
        },
    }


class Kitchen:
    """An API with roles: both may tune, only the baker may bake."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.admin = self.of(in_memory.ADMIN)

    def of(self, user: User) -> Client:
        return Client(self._server.transport(user))

    async def open(self) -> None:
        await self.admin.create(kinds.NAMESPACES, {"metadata": {"name": "default"}})
        declared = [kind.definition() for kind in tuning.COMPONENT.kinds]
        await installing.define(self.admin, [*declared, definition()])
        await self._grant("tuner", ["kubeflow.org"], ["*"], ["kitchen", "bakers"])
        await self._grant("maps", [""], ["configmaps"], ["kitchen", "bakers"])
        await self._grant("oven", ["bakery.example"], ["bakes"], ["bakers"])

    async def _grant(
        self, name: str, groups: list[str], resources: list[str], to: list[str]
    ) -> None:
        meta = {"name": name, "namespace": "default"}
        rules = [{"apiGroups": groups, "resources": resources, "verbs": ["*"]}]
        await self.admin.create(kinds.ROLES, {"metadata": meta, "rules": rules})
        group = "rbac.authorization.k8s.io"
        subjects = [{"apiGroup": group, "kind": "Group", "name": each} for each in to]
        role = {"apiGroup": group, "kind": "Role", "name": name}
        binding = {"metadata": meta, "roleRef": role, "subjects": subjects}
        await self.admin.create(kinds.ROLE_BINDINGS, binding)


@pytest.fixture
async def kitchen(tmp_path) -> AsyncIterator[Kitchen]:
    async with in_memory.served(tmp_path, (tuning.COMPONENT,)) as (server, _):
        made = Kitchen(server)
        await made.open()
        yield made


async def test_who_may_not_make_a_kind_has_no_trial_make_it(kitchen):
    with pytest.raises(errors.ForbiddenError) as caught:
        await kitchen.of(COOK).create(EXPERIMENTS, experiment(bake()))
    assert REFUSED in str(caught.value)
    assert "spec.trialTemplate makes a Bake of bakery.example/v1" in str(caught.value)
    await kitchen.of(BAKER).create(EXPERIMENTS, experiment(bake()))
    await kitchen.of(COOK).create(EXPERIMENTS, experiment(job(), name="j"))


async def test_nor_of_a_kind_that_nobody_serves_yet(kitchen):
    for user in (COOK, BAKER):
        with pytest.raises(errors.ForbiddenError, match=r'cannot create resource "\*"'):
            await kitchen.of(user).create(EXPERIMENTS, experiment(bake("Cake")))
    await kitchen.admin.create(EXPERIMENTS, experiment(bake("Cake")))


async def test_nor_by_a_template_in_a_config_map(kitchen):
    text = "apiVersion: bakery.example/v1\nkind: Bake\nspec: {heat: '${trialParameters.x}'}"
    meta = {"name": "t", "namespace": "default"}
    await kitchen.of(COOK).create(kinds.CONFIG_MAPS, {"metadata": meta, "data": {"a": text}})
    place = {"configMapName": "t", "configMapNamespace": "default", "templatePath": "a"}
    with pytest.raises(errors.ForbiddenError, match="Bake"):
        await kitchen.of(COOK).create(EXPERIMENTS, experiment(configMap=place))
    await kitchen.of(BAKER).create(EXPERIMENTS, experiment(configMap=place))


async def test_nor_by_a_trial_made_by_hand(kitchen):
    spec = {"objective": {"type": "minimize", "objectiveMetricName": "loss"}, "runSpec": bake()}
    made = {"metadata": {"name": "t", "namespace": "default"}, "spec": spec}
    with pytest.raises(errors.ForbiddenError, match=r"spec\.runSpec makes a Bake"):
        await kitchen.of(COOK).create(TRIALS, made)
    harmless = {**made, "spec": {**spec, "runSpec": job()}}
    await kitchen.of(COOK).create(TRIALS, harmless)
    with pytest.raises(errors.ForbiddenError, match=r"spec\.runSpec makes a Bake"):
        await kitchen.of(COOK).patch(TRIALS, "t", {"spec": {"runSpec": bake()}}, "default")


async def test_nobody_says_who_has_made_an_experiment_but_the_api(kitchen):
    forged = experiment(job())
    forged["metadata"]["annotations"] = {MAKER: '{"username":"admin"}', "mine": "x"}
    made = await kitchen.of(COOK).create(EXPERIMENTS, forged)
    assert makers.read(made, MAKER)["username"] == "cook"
    for note in ('{"username":"admin"}', None):
        patch = {"metadata": {"annotations": {MAKER: note, "mine": "y"}}}
        changed = await kitchen.of(BAKER).patch(EXPERIMENTS, "e", patch, "default")
        assert makers.read(changed, MAKER)["groups"] == list(COOK.groups)
        assert metadata.annotations(changed)["mine"] == "y"


@contextlib.asynccontextmanager
async def controllers(client: Client) -> AsyncIterator[None]:
    manager = Manager(client, stop_seconds=1)
    for each in tuning.COMPONENT.controllers(manager):
        manager.add(each)
    running = asyncio.create_task(manager.run())
    try:
        await manager.ready.wait()
        yield
    finally:
        await manager.stop()
        await running


async def until_ended(client: Client) -> Object:
    async with asyncio.timeout(90):
        while True:
            found = await client.get(EXPERIMENTS, "e", "default")
            if conditions.is_true(found, "Failed"):
                return found
            await asyncio.sleep(0.02)


async def test_a_template_that_changes_later_gives_nobody_rights(kitchen):
    text = "apiVersion: batch/v1\nkind: Job\nspec: {x: '${trialParameters.x}'}"
    meta = {"name": "t", "namespace": "default"}
    cook = kitchen.of(COOK)
    await cook.create(kinds.CONFIG_MAPS, {"metadata": meta, "data": {"a": text}})
    place = {"configMapName": "t", "configMapNamespace": "default", "templatePath": "a"}
    await cook.create(EXPERIMENTS, experiment(configMap=place))
    changed = {"a": text.replace("batch/v1", "bakery.example/v1").replace("Job", "Bake")}
    await cook.patch(kinds.CONFIG_MAPS, "t", {"data": changed}, "default")
    async with controllers(kitchen.admin):
        ended = conditions.get(await until_ended(kitchen.admin), "Failed")
        assert ended is not None
        assert "spec.trialTemplate: it makes a Bake of bakery.example/v1" in ended["message"]
        assert REFUSED in ended["message"]
        assert (await kitchen.admin.list(TRIALS, "default")).items == []


async def test_webhooks_ask_the_cluster_and_write_down_who_asked(kitchen):
    told = {"username": "cook", "groups": list(COOK.groups)}
    app = webhooks.application([tuning.COMPONENT], kitchen.admin)
    async with TestClient(TestServer(app)) as http:

        async def ask(path: str, made: Object, who: Object, old: Object | None = None) -> Object:
            asked = {"uid": "1", "object": made, "oldObject": old, "userInfo": who}
            answer = await http.post(f"/{path}/{EXPERIMENTS.key}", json={"request": asked})
            response: Object = (await answer.json())["response"]
            return response

        refused = await ask("validate", defaulted(bake()), told)
        assert refused["status"]["code"] == 403
        assert REFUSED in refused["status"]["message"]
        baker = {"username": "baker", "groups": list(BAKER.groups)}
        assert (await ask("validate", defaulted(bake()), baker))["allowed"]
        assert (await ask("validate", defaulted(job()), told))["allowed"]
        forged = experiment(job())
        makers.write(forged, MAKER, baker)
        first = patched(forged, await ask("default", forged, told))
        assert makers.read(first, MAKER) == told
        again = patched(forged, await ask("default", forged, baker, first))
        assert makers.read(again, MAKER) == told


def defaulted(run: Object) -> Object:
    return defaults.default(experiment(run))


def patched(obj: Object, answer: Object) -> Object:
    made: Object = jsonpatch.apply_patch(obj, json.loads(base64.b64decode(answer["patch"])))
    return made
