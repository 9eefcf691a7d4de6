"""What image and pod together come to, and what an engine is told of it."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

from wherry.kubelet import boxes
from wherry.kubelet.launcher.types import Mount
from wherry.kubelet.oci import accounts, bundle, capabilities, daemon_options, engine, gpus
from wherry.kubelet.oci.image_config import ImageConfig
from wherry.kubelet.runtime import ContainerStart, Image
from wherry.kubelet.users import Identity, IdentityError

PASSWD = "root:x:0:0::/root:/bin/sh\nme:x:10:20::/home/me:/bin/sh\n"
GROUP = "root:x:0:\nours:x:20:\nmore:x:30:you,me\nnone:x:40:\n"


def box(
    container: dict[str, Any] | None = None, pod: dict[str, Any] | None = None, **image: Any
) -> bundle.Box:
    config = ImageConfig(**{"cmd": ("run",), "diff_ids": (), **image})
    name = Image("", "", "", {}, (), "", (), Path("/"))
    start = ContainerStart(
        id="uid_main_0",
        spec=container or {},
        image=name,
        environment={"B": "pod"},
        mounts=(Mount("/data", "/a/b", read_only=True), Mount("", "/a", kind="tmpfs")),
        hostname="h",
        address=None,
        home=Path("/home"),
        log=Path("/log"),
        identity=Identity(uid=(container or {}).get("uid")),
        pod={"spec": pod or {}},
    )
    return boxes.make(
        start, config, root="/fs", lookup=lambda file: PASSWD if file == "passwd" else GROUP
    )


@pytest.mark.parametrize(
    ("entrypoint", "cmd", "command", "args", "expected"),
    [
        ("e", "c", "", "", "ec"),
        ("e", "c", "", "a", "ea"),
        ("e", "c", "x", "", "x"),
        ("e", "c", "x", "a", "xa"),
        ("", "c", "", "a", "a"),
    ],
)
def test_what_runs(entrypoint: str, cmd: str, command: str, args: str, expected: str) -> None:
    spec = {"command": list(command), "args": list(args)}
    found = box(spec, entrypoint=tuple(entrypoint), cmd=tuple(cmd))
    assert found.args == tuple(expected)


@pytest.mark.parametrize(("env", "threads"), [((), "1"), (("OMP_NUM_THREADS=6",), "6")])
def test_a_limit_tells_how_many_threads_unless_the_image_does(
    env: tuple[str, ...], threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    spec = {"resources": {"limits": {"cpu": "1"}}}
    assert box(spec, env=env).env["OMP_NUM_THREADS"] == threads


def test_nothing_to_run() -> None:
    with pytest.raises(boxes.BoxError, match="no command specified"):
        box(cmd=())


def test_variables_of_both() -> None:
    found = box({"args": ["$(A)-$(B)"]}, env=("A=image", "B=image"), entrypoint=("e",))
    assert found.args == ("e", "image-pod")
    assert found.env["PATH"].startswith("/usr/local/sbin")


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", (0, 0, ())),
        ("me", (10, 20, (30,))),
        ("10", (10, 20, (30,))),
        ("me:none", (10, 40, ())),
        ("7", (7, 0, ())),
        ("7:8", (7, 8, ())),
    ],
)
def test_users(user: str, expected: tuple[int, int, tuple[int, ...]]) -> None:
    assert accounts.resolve(user, PASSWD, GROUP) == accounts.Account(*expected)


@pytest.mark.parametrize("user", ["nobody", "me:nobodies", "4294967295"])
def test_users_that_are_not_there(user: str) -> None:
    with pytest.raises(accounts.AccountError):
        accounts.resolve(user, PASSWD, GROUP)


def test_the_pods_user_goes_first_and_root_may_be_forbidden() -> None:
    assert box({"uid": 7}, user="me").account == accounts.Account(7, 0)
    with pytest.raises(IdentityError, match="runAsNonRoot"):
        box(pod={"securityContext": {"runAsNonRoot": True}})
    assert box(pod={"securityContext": {"runAsNonRoot": True}}, user="me").account.uid == 10


@pytest.mark.parametrize(
    ("change", "has", "has_not"),
    [
        ({}, "CHOWN", "SYS_ADMIN"),
        ({"capabilities": {"drop": ["ALL"]}}, "", "CHOWN"),
        ({"capabilities": {"drop": ["all"], "add": ["NET_ADMIN"]}}, "NET_ADMIN", "CHOWN"),
        ({"capabilities": {"add": ["CAP_SYS_ADMIN"], "drop": ["CHOWN"]}}, "SYS_ADMIN", "CHOWN"),
        ({"privileged": True}, "SYS_ADMIN", "SYS_TIME"),
    ],
)
def test_capabilities(change: dict[str, Any], has: str, has_not: str) -> None:
    found = capabilities.of(change, {"CHOWN", "NET_ADMIN", "SYS_ADMIN"})
    assert not has or f"CAP_{has}" in found
    assert f"CAP_{has_not}" not in found


def test_what_the_engine_is_told() -> None:
    limits = {"memory": "64Mi", "cpu": "250m"}
    security = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True}
    found = box({"resources": {"limits": limits}, "securityContext": security}, {"hostPID": True})
    config = bundle.config(found)
    targets = [mount["destination"] for mount in config["mounts"]]
    assert targets.index("/dev") < targets.index("/a") < targets.index("/a/b")
    assert config["mounts"][targets.index("/a/b")]["options"] == ["rbind", "rprivate", "ro"]
    assert config["process"]["noNewPrivileges"] is config["root"]["readonly"] is True
    assert "rlimits" not in config["process"]
    if os.geteuid() == 0:
        assert config["linux"]["resources"]["memory"] == {"limit": 64 * 1024 * 1024}
        assert config["linux"]["resources"]["cpu"] == {"quota": 25000, "period": 100000}
    kinds = {one["type"] for one in config["linux"]["namespaces"]}
    assert "pid" not in kinds
    assert "network" not in kinds
    assert {"ipc", "uts", "mount"} <= kinds


def test_gpus_are_devices_and_the_driver_comes_by_its_own_hook() -> None:
    limits = {"resources": {"limits": {"nvidia.com/gpu": 2}}}
    files = (gpus.Device("/dev/nvidia1", 195, 1), gpus.Device("/dev/nvidiactl", 195, 255))
    found = dataclasses.replace(
        box(limits), gpus=("1",), devices=files, gpu_hook="/usr/bin/nvidia-hook", owner=None
    )
    config = bundle.config(found)
    assert [one["path"] for one in config["linux"]["devices"]] == ["/dev/nvidia1", "/dev/nvidiactl"]
    allowed = config["linux"]["resources"]["devices"]
    assert allowed[0] == {"allow": False, "access": "rwm"}
    assert [one["minor"] for one in allowed[1:]] == [1, 255]
    assert config["hooks"]["prestart"][0]["args"] == ["nvidia-hook", "prestart"]
    for kind, expected in (("docker", "--gpus"), ("podman", "--device")):
        line = daemon_options.of(found, kind=kind, image="i", variables="v", names=())
        assert expected in line
        assert line[line.index(expected) + 1] in {'"device=1"', "/dev/nvidia1"}


def test_devices_are_those_that_the_machine_has(tmp_path: Path) -> None:
    (tmp_path / "nvidia0").write_text("no device")
    (tmp_path / "nvidia1").symlink_to("/dev/null")
    assert gpus.devices(("0", "1"), tmp_path) == (gpus.Device("/dev/nvidia1", 1, 3),)
    assert gpus.devices((), Path("/dev")) == ()


def test_processes_are_counted_and_may_be_seen_by_the_whole_pod() -> None:
    found = dataclasses.replace(box(pod={"shareProcessNamespace": True}), pids=20, owner=None)
    linux = bundle.config(found)["linux"]
    assert linux["resources"]["pids"] == {"limit": 20}
    assert "pid" not in {one["type"] for one in linux["namespaces"]}
    line = daemon_options.of(found, kind="docker", image="i", variables="v", names=())
    assert line[line.index("--pids-limit") + 1] == "20"
    assert line[line.index("--pid") + 1] == "host"


@pytest.mark.parametrize(
    ("text", "number"),
    [("SIGINT", 2), ("quit", 3), ("9", 9), ("", 15), ("nonsense", 15), ("99", 15)],
)
def test_stop_signals(text: str, number: int) -> None:
    assert boxes.stop_signal(text) == number


def test_what_an_engine_complains_of(tmp_path: Path) -> None:
    assert engine.complaint(tmp_path) == ""
    (tmp_path / "log.json").write_text(
        '{"level":"warning","msg":"a"}\nno json\n{"level":"error","msg":"b"}\n'
    )
    assert engine.complaint(tmp_path) == "b"
