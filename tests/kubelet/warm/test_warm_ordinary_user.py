"""Warm starts for an ordinary user, whose containers live in a user namespace."""

import json
import os
import pathlib
import subprocess
from typing import Any

import pytest

from wherry.kubelet.launcher import types

SOURCE = pathlib.Path(types.__file__).parents[3]
UID = 54322

_SCRIPT = r"""
import asyncio, dataclasses, json, pathlib, sys
from wherry.kubelet.launcher import types
from wherry.kubelet.launcher.client import Launcher
from wherry.kubelet.launcher import choice

TELL = "import os, socket; print(os.getuid(), socket.gethostname(), open('/wherry-warm/v/f').read())"

async def main(folder):
    launcher = await Launcher.connect(folder / "launcher", idle_seconds=60)
    programs = folder / "venv" / "bin"
    image = {"PATH": f"{programs}:/usr/bin:/bin"}
    argv = ("python", "-c", TELL)
    start = choice.choose(argv, environment=image, image=image, programs=programs, preload=("json",))
    (folder / "v").mkdir(); (folder / "v" / "f").write_text("mounted")
    mounts = (types.Mount(str(folder / "v"), "/wherry-warm/v"),)
    lines = []
    for number in range(4):
        spec = types.ProcessSpec(id=f"p{number}", argv=argv, env=image, cwd="/", log_path=str(folder / f"{number}.log"),
            mounts=mounts, hostname="pod", address=f"127.21.77.{number + 1}", warm=start)
        state = await launcher.start(spec)
        if state.error is None:
            state = await anext(launcher.exits())
        lines.append([state.error, state.exit_code, (folder / f"{number}.log").read_text().split(" ", 3)[3:]])
        while not (await launcher.list_warm())[0].ready:
            await asyncio.sleep(0.02)
    (warm,) = await launcher.list_warm()
    features = launcher.features
    await launcher.shutdown()
    print(json.dumps([lines, warm.started, warm.went_cold, warm.problem, features.isolate and features.interception]))

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests have shown it already")
def test_an_ordinary_users_containers_start_warm(
    stage_type: Any, open_folder: pathlib.Path
) -> None:
    python = "/usr/bin/python3"
    ask = [python, "-c", "import sys; sys.exit(sys.version_info[:2] not in {(3, 11), (3, 12)})"]
    if subprocess.run(ask, check=False).returncode:
        pytest.skip(f"{python} is missing or of a version that is not warmed")
    stage_type.make_venv(open_folder, python=python)
    for path in (open_folder, *open_folder.rglob("*")):
        os.chown(path, UID, UID, follow_symlinks=False)
    done = subprocess.run(
        [python, "-c", _SCRIPT, str(open_folder)],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1"},
        user=UID,
        group=UID,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    lines, started, went_cold, problem, full = json.loads(done.stdout)
    if not full:
        pytest.skip("this machine refuses namespaces to ordinary users")
    assert lines == [[None, 0, [f"{UID} pod mounted\n"]]] * 4
    assert (started, went_cold, problem) == (3, 0, "")
