"""Pods through the API become processes, and the API hears how they fare."""

import asyncio
import time
from typing import Any

import pytest

from wherry.apiserver import pod_streams
from wherry.kubelet.launcher.client import Launcher
from wherry.objects import errors, kinds
from wherry.objects.requests import Object

FOREVER = ("python", "-c", "import time; print('up'); time.sleep(600)")


def entry(pod: Object, index: int = 0) -> Object:
    return dict(pod["status"]["containerStatuses"][index])


def condition(pod: Object, kind: str) -> str:
    listed = pod["status"].get("conditions", [])
    return next((str(c["status"]) for c in listed if c["type"] == kind), "")


async def test_a_pod_runs_to_completion(node: Any) -> None:
    pod = await node.pod("python", "-c", "print('hello'); print('world')")
    done = await node.wait_phase(pod, "Succeeded")
    ended = entry(done)["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (0, "Completed")
    assert await node.log(pod) == "hello\nworld\n"
    assert await node.log(pod, tail_lines=1) == "world\n"
    assert await node.log(pod, limit_bytes=3) == "hel"
    events = await node.events(pod)
    assert {"Pulled", "Created", "Started"} <= set(events)
    assert done["status"]["podIP"].startswith("127.")
    assert condition(done, "Initialized") == "True"


async def test_a_failing_pod_fails(node: Any) -> None:
    pod = await node.pod("python", "-c", "raise SystemExit(3)")
    done = await node.wait_phase(pod, "Failed")
    assert entry(done)["state"]["terminated"]["exitCode"] == 3
    assert entry(done)["state"]["terminated"]["reason"] == "Error"


async def test_a_program_that_is_not_there(node: Any) -> None:
    pod = await node.pod("no-such-program")
    done = await node.wait_phase(pod, "Failed")
    ended = entry(done)["state"]["terminated"]
    assert ended["reason"] == "StartError"
    assert "no-such-program" in ended["message"]


async def test_init_containers_run_in_order_and_share_volumes(node: Any) -> None:
    mount = [{"name": "work", "mountPath": "/work"}]
    write = "open('/work/log', 'a').write('{}')"
    pod = await node.pod_of(
        [
            {
                "name": "main",
                "command": ["python", "-c", "print(open('/work/log').read())"],
                "volumeMounts": mount,
            }
        ],
        initContainers=[
            {
                "name": name,
                "image": "python",
                "command": ["python", "-c", write.format(name)],
                "volumeMounts": mount,
            }
            for name in ("one", "two")
        ],
        volumes=[{"name": "work", "emptyDir": {}}],
    )
    done = await node.wait_phase(pod, "Succeeded")
    assert await node.log(pod) == "onetwo\n"
    assert all(item["ready"] for item in done["status"]["initContainerStatuses"])


async def test_a_failing_init_container_fails_the_pod(node: Any) -> None:
    init = {"name": "i", "image": "python", "command": ["python", "-c", "raise SystemExit(1)"]}
    pod = await node.pod(*FOREVER, initContainers=[init])
    done = await node.wait_phase(pod, "Failed")
    assert "terminated" not in entry(done)["state"]


async def test_a_sidecar_runs_beside_and_ends_after_the_main_container(node: Any) -> None:
    sidecar = {
        "name": "side",
        "image": "python",
        "restartPolicy": "Always",
        "command": list(FOREVER),
    }
    pod = await node.pod("python", "-c", "print('main')", initContainers=[sidecar])
    done = await node.wait_phase(pod, "Succeeded")
    assert "terminated" in done["status"]["initContainerStatuses"][0]["state"]


async def test_restarts_back_off_and_keep_the_last_state(node: Any) -> None:
    pod = await node.pod(
        "python", "-c", "print('attempt'); raise SystemExit(1)", restartPolicy="OnFailure"
    )
    crashing = await node.wait(
        pod,
        lambda p: (
            entry(p)["restartCount"] >= 2
            and entry(p)["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff"
        ),
    )
    assert crashing["status"]["phase"] == "Running"
    assert entry(crashing)["lastState"]["terminated"]["exitCode"] == 1
    assert await node.log(pod, previous=True) == "attempt\n"
    assert "BackOff" in await node.events(pod)


async def test_unknown_image_says_how_to_add_one(node: Any) -> None:
    pod = await node.pod("true", container={"image": "example.org/team/model:v1"})
    waiting = await node.wait(
        pod,
        lambda p: entry(p)["state"]["waiting"]["reason"] in {"ErrImagePull", "ImagePullBackOff"},
    )
    assert "kubectl apply" in entry(waiting)["state"]["waiting"]["message"]
    await node.wait(pod, lambda p: entry(p)["state"]["waiting"]["reason"] == "ImagePullBackOff")
    with pytest.raises(errors.BadRequestError, match="waiting to start"):
        await node.log(pod)


async def test_a_missing_config_map_holds_the_container_until_it_comes(node: Any) -> None:
    variable = {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "c"}}}
    pod = await node.pod(
        "python", "-c", "import os; print(os.environ['C'])", container={"env": [variable]}
    )
    await node.wait(
        pod, lambda p: entry(p)["state"]["waiting"]["reason"] == "CreateContainerConfigError"
    )
    meta = {"name": "late", "namespace": "team"}
    await node.create(kinds.CONFIG_MAPS, {"metadata": meta, "data": {"c": "blue"}})
    await node.wait_phase(pod, "Succeeded")
    assert await node.log(pod) == "blue\n"


async def test_variables_reach_the_process(node: Any) -> None:
    code = "import os; e = os.environ; print(e['POD'], e['KUBERNETES_SERVICE_HOST'], e['GREETING'])"
    env = [
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "GREETING", "value": "hi $(POD)"},
    ]
    pod = await node.pod("python", "-c", code, name="named", container={"env": env})
    await node.wait_phase(pod, "Succeeded")
    assert await node.log(pod) == "named 127.0.0.1 hi named\n"


async def test_config_map_volumes_follow_their_object(node: Any) -> None:
    meta = {"name": "live", "namespace": "team"}
    await node.create(kinds.CONFIG_MAPS, {"metadata": meta, "data": {"key": "old"}})
    code = (
        "import time, sys\n"
        "seen = ''\n"
        "while seen != 'new':\n"
        "    now = open('/etc/live/key').read()\n"
        "    if now != seen: print(now, flush=True)\n"
        "    seen = now\n"
        "    time.sleep(0.02)\n"
    )
    pod = await node.pod(
        "python",
        "-c",
        code,
        container={"volumeMounts": [{"name": "live", "mountPath": "/etc/live"}]},
        volumes=[{"name": "live", "configMap": {"name": "live"}}],
    )
    await node.wait_phase(pod, "Running")
    deadline = time.monotonic() + 60
    while "old" not in await node.log(pod):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    await node.client.patch(kinds.CONFIG_MAPS, "live", {"data": {"key": "new"}}, "team")
    await node.wait_phase(pod, "Succeeded")
    assert await node.log(pod) == "old\nnew\n"


async def test_secrets_and_tokens_are_mounted(node: Any) -> None:
    meta = {"name": "login", "namespace": "team"}
    await node.create(kinds.SECRETS, {"metadata": meta, "stringData": {"pw": "hush"}})
    code = (
        "base = '/var/run/secrets/kubernetes.io/serviceaccount/'\n"
        "token = open(base + 'token').read()\n"
        "print(open('/login/pw').read(), token.count('.'), open(base + 'namespace').read())\n"
        "print(open(base + 'ca.crt').read())\n"
    )
    pod = await node.pod(
        "python",
        "-c",
        code,
        automountServiceAccountToken=True,
        container={"volumeMounts": [{"name": "s", "mountPath": "/login"}]},
        volumes=[{"name": "s", "secret": {"secretName": "login"}}],
    )
    await node.wait_phase(pod, "Succeeded")
    assert await node.log(pod) == "hush 2 team\nCERTIFICATE\n"


async def test_a_claim_waits_until_it_is_bound(node: Any, tmp_path: Any) -> None:
    pod = await node.pod(
        "python",
        "-c",
        "open('/data/out', 'w').write('kept')",
        container={"volumeMounts": [{"name": "d", "mountPath": "/data"}]},
        volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "disk"}}],
    )
    deadline = time.monotonic() + 60
    while "not found" not in (await node.events(pod)).get("FailedMount", ""):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    capacity = {"storage": "1Gi"}
    path = tmp_path / "disk"
    await node.create(
        kinds.PERSISTENT_VOLUMES,
        {
            "metadata": {"name": "pv"},
            "spec": {
                "capacity": capacity,
                "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": str(path), "type": "DirectoryOrCreate"},
            },
        },
    )
    claim = await node.create(
        kinds.PERSISTENT_VOLUME_CLAIMS,
        {
            "metadata": {"name": "disk", "namespace": "team"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": capacity},
                "volumeName": "pv",
            },
        },
    )
    claim["status"] = {"phase": "Bound"}
    await node.client.update(kinds.PERSISTENT_VOLUME_CLAIMS, claim, subresource="status")
    await node.wait_phase(pod, "Succeeded")
    assert (path / "out").read_text() == "kept"


async def test_last_words(node: Any) -> None:
    said = await node.pod("python", "-c", "open('/dev/termination-log', 'w').write('because')")
    shown = await node.pod(
        "python",
        "-c",
        "print('oh no'); raise SystemExit(1)",
        container={"terminationMessagePolicy": "FallbackToLogsOnError"},
    )
    found = await node.wait_phase(said, "Succeeded")
    assert entry(found)["state"]["terminated"]["message"] == "because"
    found = await node.wait_phase(shown, "Failed")
    assert entry(found)["state"]["terminated"]["message"] == "oh no\n"


async def test_deletion_is_graceful(node: Any) -> None:
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    print('bye', flush=True); time.sleep(0.3); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('up', flush=True)\n"
        "time.sleep(600)\n"
    )
    pod = await node.pod("python", "-c", code)
    await node.wait(pod, lambda p: entry(p)["ready"])
    up = asyncio.Event()
    follow = asyncio.create_task(_follow(node, pod, up))
    async with asyncio.timeout(60):
        await up.wait()
    await node.client.delete(kinds.PODS, pod["metadata"]["name"], "team")
    await node.wait_gone(pod)
    assert await follow == "up\nbye\n"
    folder = node.settings.pods / pod["metadata"]["uid"]
    deadline = time.monotonic() + 60
    while folder.exists():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def _follow(node: Any, pod: Object, up: asyncio.Event) -> str:
    said = b""
    name, follow = pod["metadata"]["name"], pod_streams.LogOptions(follow=True)
    async for piece in node.agent.logs.logs("team", name, "main", follow):
        said += piece
        up.set()
    return said.decode()


async def test_who_does_not_listen_is_killed(node: Any) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    pod = await node.pod("python", "-c", code, terminationGracePeriodSeconds=1)
    await node.wait(pod, lambda p: entry(p)["ready"])
    await node.client.delete(kinds.PODS, pod["metadata"]["name"], "team")
    await node.wait_gone(pod, 25)  # sooner than with the 30 seconds that others have


async def test_hooks(node: Any) -> None:
    hook = {"exec": {"command": ["python", "-c", "open('/shared/post', 'w').write('x')"]}}
    pre = {"exec": {"command": ["python", "-c", "open('/shared/pre', 'w').write('x')"]}}
    shared = {"name": "shared", "hostPath": {"path": str(node.settings.data / "shared")}}
    pod = await node.pod(
        *FOREVER,
        container={
            "lifecycle": {"postStart": hook, "preStop": pre},
            "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
        },
        volumes=[shared],
    )
    await node.wait(pod, lambda p: entry(p)["ready"])
    assert (node.settings.data / "shared" / "post").exists()
    await node.client.delete(kinds.PODS, pod["metadata"]["name"], "team")
    await node.wait_gone(pod)
    assert (node.settings.data / "shared" / "pre").exists()


async def test_probes(node: Any) -> None:
    code = (
        "import http.server, os, time\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200 if os.path.exists('/state/ok') else 500)\n"
        "        self.end_headers()\n"
        "http.server.HTTPServer(('0.0.0.0', 8080), H).serve_forever()\n"
    )
    patient = {"periodSeconds": 1, "timeoutSeconds": 30}
    probe = {"httpGet": {"path": "/", "port": "web"}, **patient}
    pod = await node.pod(
        "python",
        "-c",
        code,
        container={
            "ports": [{"name": "web", "containerPort": 8080}],
            "readinessProbe": {**probe, "failureThreshold": 1},
            "startupProbe": {"tcpSocket": {"port": 8080}, "failureThreshold": 60, **patient},
            "volumeMounts": [{"name": "state", "mountPath": "/state"}],
        },
        volumes=[{"name": "state", "hostPath": {"path": str(node.settings.data / "state")}}],
    )
    state = node.settings.data / "state"
    found = await node.wait(pod, lambda p: entry(p)["started"])
    assert not entry(found)["ready"]
    (state / "ok").touch()
    await node.wait(pod, lambda p: condition(p, "Ready") == "True")
    (state / "ok").unlink()
    await node.wait(pod, lambda p: condition(p, "Ready") == "False")
    assert "statuscode: 500" in (await node.events(pod))["Unhealthy"]


async def test_a_liveness_probe_restarts(node: Any) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    pod = await node.pod(
        *FOREVER,
        restartPolicy="Always",
        terminationGracePeriodSeconds=1,
        container={"livenessProbe": probe},
    )
    await node.wait(pod, lambda p: entry(p)["restartCount"] >= 1)
    events = await node.events(pod)
    assert "failed liveness probe, will be restarted" in events["Killing"]


async def test_a_pod_that_takes_too_long_fails(node: Any) -> None:
    pod = await node.pod(*FOREVER, activeDeadlineSeconds=1)
    done = await node.wait_phase(pod, "Failed")
    assert done["status"]["reason"] == "DeadlineExceeded"


async def test_two_pods_listen_on_the_same_port(node: Any) -> None:
    code = (
        "import http.server\n"
        "http.server.HTTPServer(('0.0.0.0', 8080), http.server.BaseHTTPRequestHandler).serve_forever()\n"
    )
    probe = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    pods = [
        await node.pod("python", "-c", code, container={"readinessProbe": probe}) for _ in range(2)
    ]
    addresses = set()
    for pod in pods:
        ready = await node.wait(pod, lambda p: condition(p, "Ready") == "True")
        addresses.add(ready["status"]["podIP"])
    assert len(addresses) == 2


async def test_services_are_found_by_name(node: Any) -> None:
    meta = {"name": "web", "namespace": "team"}
    made = await node.create(
        kinds.SERVICES,
        {"metadata": meta, "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}},
    )
    code = (
        "import socket, time\n"
        "while True:\n"
        "    try: print(socket.gethostbyname('web'), socket.gethostbyname('web.team.svc')); break\n"
        "    except OSError: time.sleep(0.02)\n"
    )
    pod = await node.pod("python", "-c", code)
    await node.wait_phase(pod, "Succeeded")
    address = made["spec"]["clusterIP"]
    assert await node.log(pod) == f"{address} {address}\n"


async def test_a_new_agent_adopts_what_runs(node: Any) -> None:
    code = (
        "import itertools, time\n"
        "for number in itertools.count():\n"
        "    print(number, flush=True); time.sleep(0.01)\n"
        "    import os\n"
        "    if os.path.exists('/state/end'): break\n"
        "raise SystemExit(7)\n"
    )
    state = node.settings.data / "state"
    options: dict[str, Any] = {
        "container": {"volumeMounts": [{"name": "state", "mountPath": "/state"}]},
        "volumes": [{"name": "state", "hostPath": {"path": str(state)}}],
    }
    pod = await node.pod("python", "-c", code, **options)
    over = "import os, time\nwhile not os.path.exists('/state/over'): time.sleep(0.01)\nraise SystemExit(5)"
    short = await node.pod("python", "-c", over, **options)
    before = await node.wait(pod, lambda p: entry(p)["state"].get("running"))
    await node.wait(short, lambda p: entry(p)["state"].get("running"))
    await node.stop()
    (state / "over").touch()
    await _ended(node, short)  # while nobody looks
    await node.start()
    done = await node.wait_phase(short, "Failed")
    assert entry(done)["state"]["terminated"]["exitCode"] == 5
    after = await node.get(pod)
    assert entry(after)["containerID"] == entry(before)["containerID"]
    assert after["status"]["podIP"] == before["status"]["podIP"]
    (state / "end").touch()
    done = await node.wait_phase(pod, "Failed")
    assert entry(done)["state"]["terminated"]["exitCode"] == 7
    assert entry(done)["restartCount"] == 0
    numbers = [int(line) for line in (await node.log(pod)).split()]
    assert numbers == list(range(len(numbers)))


async def _ended(node: Any, pod: Object) -> None:
    launcher = await Launcher.connect(node.settings.data / "launcher")
    mine = f"{pod['metadata']['uid']}_"
    running = True
    async with asyncio.timeout(60):
        while running:
            running = any(one.running for one in await launcher.list() if one.id.startswith(mine))
            await asyncio.sleep(0.02)
    await launcher.close()


async def test_processes_of_pods_that_are_gone_are_ended(node: Any) -> None:
    pod = await node.pod(*FOREVER)
    await node.wait(pod, lambda p: entry(p)["state"].get("running"))
    await node.stop()
    await node.client.delete(kinds.PODS, pod["metadata"]["name"], "team", grace_period_seconds=0)
    await node.start()
    folder = node.settings.pods / pod["metadata"]["uid"]
    deadline = time.monotonic() + 60
    while folder.exists() or await _known(node):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def _known(node: Any) -> list[Any]:
    return list(await node.agent._launcher.list())


async def test_the_node_says_what_it_has(node: Any) -> None:
    found = await node.client.get(kinds.NODES, "node-a")
    assert int(found["status"]["allocatable"]["cpu"]) >= 1
    assert found["status"]["allocatable"]["memory"].endswith("Ki")
    assert found["status"]["allocatable"]["pods"] == "500"
    ready = next(c for c in found["status"]["conditions"] if c["type"] == "Ready")
    assert ready["status"] == "True"
    lease = await node.client.get(kinds.LEASES, "node-a", "kube-node-lease")
    assert lease["spec"]["holderIdentity"] == "node-a"
