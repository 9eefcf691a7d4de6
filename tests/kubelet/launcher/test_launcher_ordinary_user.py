import json
import os
import pathlib
import subprocess
import tempfile

import pytest

from wherry.kubelet.launcher import types

SOURCE = pathlib.Path(types.__file__).parents[3]
UID = 54321

SCRIPT = r"""
import asyncio, json, os, pathlib, signal, sys
from wherry.kubelet.launcher import types
from wherry.kubelet.launcher.client import Launcher

PYTHON = sys.executable
SERVE = '''
import socket, sys
s = socket.socket(); s.bind(("0.0.0.0", int(sys.argv[1]))); s.listen(); print(*s.getsockname(), flush=True)
while True:
    c, _ = s.accept(); c.send(b"hi"); c.close()
'''
CHECKS = '''
id -u; uname -n; cat /wherry-data/x/file /etc/wherry-cfg/file /var/run/wherry/token/file; echo
echo x > /wherry-ro/new || echo refused
echo y > /wherry-tmp/y && cat /wherry-tmp/y; echo z > /wherry-data/x/new
'''
ASK = "import socket,sys; print(socket.create_connection(('localhost', int(sys.argv[1]))).recv(9).decode())"
SEEN = "import socket; print(*(name for _, name in socket.if_nameindex()))"

async def main(folder):
    facts = {}
    launcher = await Launcher.connect(folder / "launcher", idle_seconds=60)
    features = launcher.features
    facts["features"] = [features.isolate, features.user_namespace, features.interception]
    facts["reasons"] = dict(features.reasons)
    volume = folder / "volume"; volume.mkdir(); (volume / "file").write_text("content")
    def spec(name, *argv, **more):
        path = str(folder / f"{name}.log")
        return types.ProcessSpec(id=name, argv=argv, env={"PATH": "/usr/bin:/bin"}, cwd="/", log_path=path, **more)
    def log(name):
        return [line.split(" ", 3)[3] for line in (folder / f"{name}.log").read_text().splitlines()]
    async def run(s):
        state = await launcher.start(s)
        if state.error: return state.error
        async for state in launcher.exits():
            return [state.exit_code, log(s.id)]
    targets = ("/wherry-data/x", "/etc/wherry-cfg", "/var/run/wherry/token")
    mounts = tuple(types.Mount(str(volume), at) for at in targets)
    mounts += (types.Mount(str(volume), "/wherry-ro", read_only=True),)
    mounts += (types.Mount("", "/wherry-tmp", kind="tmpfs", size_bytes=1 << 20),)
    facts["mounts"] = await run(spec("mounts", "sh", "-c", CHECKS, mounts=mounts, hostname="pod"))
    facts["host"] = [(volume / "new").exists(), os.path.exists("/wherry-data"), os.path.exists("/etc/wherry-cfg")]
    facts["other uid"] = await run(spec("uid", "true", uid=1))
    port = sys.argv[2]
    for n in (1, 2):
        await launcher.start(spec(f"s{n}", PYTHON, "-c", SERVE, port, address=f"127.21.{int(port) % 250}.{n}"))
        while not (folder / f"s{n}.log").exists() or not log(f"s{n}"): await asyncio.sleep(0.01)
        facts[f"server {n}"] = log(f"s{n}")
    done = await launcher.execute("s1", [PYTHON, "-c", ASK, port], timeout_seconds=60)
    facts["execute"] = [done.exit_code, done.output.decode()]
    done = await launcher.execute("s1", [PYTHON, "-c", SEEN], timeout_seconds=60)
    facts["seen"] = [done.exit_code, done.output.decode().split()]
    pid = (await launcher.list())[1].pid
    os.kill(launcher.pid, signal.SIGKILL)
    async for state in launcher.exits():
        facts["lost"] = state.error
        break
    await launcher.shutdown()
    print(json.dumps(facts))

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests have shown it already")
def test_an_ordinary_user_gets_nearly_all() -> None:
    # Not in tmp_path, which is for root's eyes only; and with an interpreter that others may use.
    python = "/usr/bin/python3"
    if subprocess.run(
        [python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=False
    ).returncode:
        pytest.skip(f"{python} is missing or older than 3.11")
    port = 20000 + os.getpid() % 10000
    with tempfile.TemporaryDirectory(prefix="wherry-test-") as folder:
        os.chown(folder, UID, UID)
        done = subprocess.run(
            [python, "-c", SCRIPT, folder, str(port)],
            env={
                "PATH": "/usr/bin:/bin",
                "PYTHONPATH": str(SOURCE),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            user=UID,
            group=UID,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    if facts["features"] != [True, True, True]:
        pytest.skip(f"this machine refuses: {facts['reasons']}")
    code, lines = facts["mounts"]
    assert code == 0
    kept = [line for line in lines if "Read-only" not in line]
    assert kept == [str(UID), "pod", "content" * 3, "refused", "y"]
    assert facts["host"] == [True, False, False]
    assert "ordinary user" in facts["other uid"]
    for number in (1, 2):
        assert facts[f"server {number}"] == [f"127.21.{port % 250}.{number} {port}"]
    assert facts["execute"] == [0, "hi\n"]
    assert facts["seen"] == [0, ["lo", "eth0"]]
    assert "launcher died" in facts["lost"]
