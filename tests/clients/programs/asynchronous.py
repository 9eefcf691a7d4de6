"""The two official-style asynchronous clients, which share an interface; the first argument says which."""

import asyncio
import functools
import importlib
import json
import os
import sys

import aiohttp

PACKAGE = sys.argv[1]
NAMESPACE = os.environ["NAMESPACE"]
client, config, watch, stream, dynamic, utils = (
    importlib.import_module(f"{PACKAGE}.{part}")
    for part in ("client", "config", "watch", "stream", "dynamic", "utils")
)
POD = {
    "metadata": {"name": "p", "labels": {"app": "p"}},
    "spec": {
        "terminationGracePeriodSeconds": 1,
        "containers": [
            {
                "name": "main",
                "image": "python:3",
                "command": ["sh", "-c", "echo up; exec sleep 600"],
            }
        ],
    },
}
seen: dict[str, object] = {}


async def pods(core) -> None:
    made = await core.create_namespaced_pod(NAMESPACE, POD)
    version, phases = made.metadata.resource_version, []
    async with watch.Watch() as watching:
        async for event in watching.stream(
            core.list_namespaced_pod,
            NAMESPACE,
            field_selector="metadata.name=p",
            resource_version=version,
            timeout_seconds=30,
        ):
            phases.append(event["object"].status.phase)
            if phases[-1] == "Running":
                break
    seen["phases"] = phases[-1]
    lines = []
    async with watch.Watch() as watching:
        async for line in watching.stream(core.read_namespaced_pod_log, name="p",
                                          namespace=NAMESPACE):  # fmt: skip
            lines.append(line.strip())
            break
    seen["log"] = lines


async def entered() -> None:
    options = {"stdin": False, "stdout": True, "stderr": True, "tty": False}
    async with stream.WsApiClient() as wsapi:
        core = client.CoreV1Api(wsapi)
        call = core.connect_get_namespaced_pod_exec
        # The one has a call of its own for what the other has an argument for.
        raw = getattr(core, f"{call.__name__}_without_preload_content", None)
        raw = raw or functools.partial(call, _preload_content=False)
        command = ["sh", "-c", "echo out; echo err >&2"]
        said = await call("p", NAMESPACE, command=command, **options)
        seen["exec"] = sorted(said.split())
        failing = await raw("p", NAMESPACE, command=["sh", "-c", "exit 7"], **options)
        async with failing as socket:
            async for message in socket:
                if message.type == aiohttp.WSMsgType.BINARY and message.data[0] == 3:
                    seen["code"] = wsapi.parse_error_data(message.data[1:])
        echoing = await raw("p", NAMESPACE, command=["cat"], **options | {"stdin": True})
        async with echoing as socket:
            await socket.send_bytes(b"\x00word\n")
            async for message in socket:
                if message.data[:1] == b"\x01" and message.data[1:]:
                    seen["echo"] = message.data[1:].decode()
                    break


async def dynamically(api) -> None:
    async with dynamic.DynamicClient(api) as discovered:
        boats = await discovered.resources.get(api_version="example.org/v1", kind="Boat")
        body = {"apiVersion": "example.org/v1", "kind": "Boat", "metadata": {"name": "b"}}
        body["spec"] = {"oars": 2}
        await boats.create(body=body, namespace=NAMESPACE)
        body["spec"] = {"oars": 4}
        await boats.server_side_apply(body=body, namespace=NAMESPACE, field_manager="me",
                                      force_conflicts=True)  # fmt: skip
        found = await boats.get(name="b", namespace=NAMESPACE)
        seen["oars"] = found.spec.oars
        await boats.status.patch(body={"status": {"afloat": True}}, name="b", namespace=NAMESPACE,
                                 content_type="application/merge-patch+json")  # fmt: skip
        found = await boats.get(name="b", namespace=NAMESPACE)
        seen["afloat"] = found.status.afloat
        async for event in boats.watch(namespace=NAMESPACE, timeout=80):
            seen["watched"] = [event["type"], event["object"].metadata.name]
            break
        await boats.delete(name="b", namespace=NAMESPACE)


async def objects(api, core) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}}
    body["metadata"] = {"name": "c", "namespace": NAMESPACE}
    await utils.create_from_dict(api, body)
    await core.patch_namespaced_config_map("c", NAMESPACE, {"data": {"b": "2"}})
    seen["map"] = (await core.read_namespaced_config_map("c", NAMESPACE)).data
    try:
        await core.read_namespaced_config_map("gone", NAMESPACE)
    except client.ApiException as error:
        seen["gone"] = [error.status, json.loads(error.body)["reason"]]
    review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
    authorization = client.AuthorizationV1Api(api)
    reviewed = await authorization.create_self_subject_access_review(review)
    seen["allowed"] = reviewed.status.allowed


async def main() -> None:
    await config.load_kube_config()
    async with client.ApiClient() as api:
        core = client.CoreV1Api(api)
        await pods(core)
        await entered()
        await objects(api, core)
        await dynamically(api)
        await core.delete_namespaced_pod("p", NAMESPACE)


asyncio.run(main())
sys.stdout.write(json.dumps(seen))
