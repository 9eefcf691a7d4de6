"""What is in a build: locks, constraints, indexes, layers; and how builds end and go away."""

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from wherry.kubelet.environments import builder, collection, interpreters, kinds, recipe
from wherry.kubelet.settings import BuildSettings
from wherry.objects.requests import Object

OWN = interpreters.own()


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("UV_FIND_LINKS", "UV_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))


@pytest.fixture
def links(tmp_path: Path, tiny_wheel: Any) -> Path:
    folder = tmp_path / "links"
    for version in ("1.0", "2.0"):
        tiny_wheel(folder, "alpha", version)
        tiny_wheel(folder, "beta", version)
    tiny_wheel(folder, "gamma", "1.0", requires="alpha")
    return folder


def spec(links: Path, **fields: Any) -> Object:
    return {"spec": {"images": ["x"], "findLinks": [str(links)], **fields}}


def made(obj: Object) -> recipe.Recipe:
    return recipe.make(kinds.spec_of(obj), OWN)


def versions(built: builder.Built, *names: str) -> list[str]:
    code = "import sys; print([__import__(name).VERSION for name in sys.argv[1:]])"
    text = subprocess.check_output([str(built.bin / "python"), "-c", code, *names], text=True)
    return [part.strip("' ") for part in text.strip().strip("[]").split(",")]


@pytest.fixture
def builds(tmp_path: Path) -> builder.Builder:
    return make(tmp_path / "builds")


def make(folder: Path) -> builder.Builder:
    folder.mkdir(exist_ok=True)
    return builder.Builder(folder, concurrency=2, timeout_seconds=100)


def quiet(_: str) -> None:
    """Take a line of progress."""


async def test_requirements_come_within_constraints(builds: builder.Builder, links: Path) -> None:
    wanted = made(spec(links, requirements=["gamma"], constraints=["alpha<2"]))
    built = await builds.build(wanted, quiet)
    assert versions(built, "alpha") == ["1.0"]
    site = next((built.venv / "lib").glob("python*")) / "site-packages"
    assert list((site / "__pycache__").glob("alpha.*.pyc")), "byte-compiled"
    assert (built.bin / "python").resolve() == OWN.path


async def test_a_lock_of_hashes_is_kept_to(builds: builder.Builder, links: Path) -> None:
    digest = hashlib.sha256((links / "alpha-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    locked = made(spec(links, lock=f"alpha==1.0 --hash=sha256:{digest}\n"))
    assert versions(await builds.build(locked, quiet), "alpha") == ["1.0"]
    wrong = made(spec(links, lock=f"alpha==1.0 --hash=sha256:{'0' * 64}\n"))
    with pytest.raises(builder.BuildError, match=r"(?i)hash"):
        await builds.build(wrong, quiet)


async def test_a_pylock_is_installed(builds: builder.Builder, links: Path) -> None:
    path = links / "beta-2.0-py3-none-any.whl"
    lock = f"""
lock-version = "1.0"
created-by = "test"
[[packages]]
name = "beta"
version = "2.0"
wheels = [{{ url = "{path.as_uri()}", hashes = {{ sha256 = "{hashlib.sha256(path.read_bytes()).hexdigest()}" }} }}]
"""
    assert versions(await builds.build(made(spec(links, lock=lock)), quiet), "beta") == ["2.0"]


async def test_a_layer_adds_and_leaves_its_base_alone(builds: builder.Builder, links: Path) -> None:
    files = {"/etc/x": "hi", "/bin/say": "#!/bin/sh\necho hi\n"}
    base = made(spec(links, requirements=["alpha==1.0"], files=files))
    layer = await builds.build(base.layered(("beta==1.0",)), quiet)
    assert versions(layer, "alpha", "beta") == ["1.0", "1.0"]
    assert layer.file("/etc/x").read_text() == "hi"
    assert os.access(layer.file("/bin/say"), os.X_OK)
    assert not os.access(layer.file("/etc/x"), os.X_OK)
    under = builds.built(base)
    assert under is not None
    newer = await builds.build(base.layered(("alpha==2.0",)), quiet)
    assert versions(newer, "alpha") == ["2.0"]
    assert versions(under, "alpha") == ["1.0"]
    with pytest.raises(subprocess.CalledProcessError):
        versions(under, "beta")
    with pytest.raises(builder.BuildError, match="nosuch") as caught:
        await builds.build(base.layered(("nosuch",)), quiet)
    assert caught.value.unsatisfiable
    assert not caught.value.of_base
    told = json.loads((layer.root / "environment.json").read_text())
    assert told["base"] == base.hash
    assert told["requirements"] == ["beta==1.0"]
    assert told["sizeBytes"] > 0


async def test_what_is_built_needs_neither_network_nor_sources(
    builds: builder.Builder, links: Path, tmp_path: Path
) -> None:
    wanted = made(spec(links, requirements=["alpha"]))
    await builds.build(wanted, quiet)
    for name in ("links", "uv-cache"):
        (tmp_path / name).rename(tmp_path / f"{name}-away")
    again = await make(builds.folder).build(wanted, quiet)
    assert versions(again, "alpha") == ["2.0"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lock": "alpha==1"}, "with hashes"),
        ({"lock": "a --hash=sha256:0", "requirements": ["b"]}, "leave out"),
        ({"indexUrl": "ftp://u:secret@x/simple"}, r"spec\.indexUrl: 'ftp://\*\*\*@x"),
        ({"extraIndexUrls": ["https://a https://b"]}, r"spec\.extraIndexUrls"),
        ({"findLinks": ["relative/folder"]}, "or a folder"),
        ({"constraints": ["-r other.txt"]}, r"spec\.constraints"),
    ],
)
def test_what_a_spec_may_not_say(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(recipe.RecipeError, match=message) as caught:
        made({"spec": {"images": ["x"], **fields}})
    assert "secret" not in str(caught.value)


async def test_addresses_are_shown_without_their_secrets(
    builds: builder.Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_OFFLINE")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    lines: list[str] = []
    url = "http://me:topsecret@127.0.0.1:9/simple"
    wanted = made({"spec": {"images": ["x"], "indexUrl": url, "requirements": ["alpha"]}})
    with pytest.raises(builder.BuildError) as caught:
        await builds.build(wanted, lines.append)
    assert "topsecret" not in str(caught.value)
    assert "topsecret" not in "".join(lines)
    assert "127.0.0.1:9" in str(caught.value)


_SLOW = "import time; print('compiling', flush=True); time.sleep(600)"


def slow_source(folder: Path) -> Path:
    """Make a package whose build does not end."""
    project = folder / "slow"
    project.mkdir()
    (project / "backend.py").write_text(f"def build_wheel(*_, **__):\n    {_SLOW}\n")
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "slow"\nversion = "1"\n'
    )
    return project


def running(marker: str) -> list[int]:
    """Return the processes that have a text in their command line or folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and int(entry.name) != os.getpid():
                line = (entry / "cmdline").read_bytes().decode(errors="replace")
                if marker in line or marker in str((entry / "cwd").readlink()):
                    found.append(int(entry.name))
    return found


async def until(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        await asyncio.sleep(0.05)


async def test_a_build_ends_with_the_last_who_waits(
    builds: builder.Builder, tmp_path: Path
) -> None:
    wanted = recipe.Recipe(OWN, (f"slow @ {slow_source(tmp_path).as_uri()}",), ())
    waiters = [asyncio.create_task(builds.build(wanted, quiet)) for _ in range(2)]
    await until(lambda: running(str(tmp_path / "slow")))
    waiters[0].cancel()
    await asyncio.sleep(0)
    assert builds.under_way() == {wanted.hash}
    waiters[1].cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
    await until(lambda: not running(str(tmp_path)))
    await until(lambda: not builds.under_way())
    assert not list(builds.folder.iterdir())


_BUILDING = """
import asyncio, sys
from pathlib import Path
from wherry.kubelet.environments import builder, interpreters, recipe
made = builder.Builder(Path(sys.argv[1]), concurrency=1, timeout_seconds=100)
wanted = recipe.Recipe(interpreters.own(), (sys.argv[2],), ())
asyncio.run(made.build(wanted, lambda line: None))
"""


async def test_uv_does_not_outlive_a_kill(tmp_path: Path) -> None:
    (tmp_path / "builds").mkdir()
    line = f"slow @ {slow_source(tmp_path).as_uri()}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _BUILDING, str(tmp_path / "builds"), line
    )
    uv = str(tmp_path / "builds" / ".building-")
    # Not only `slow`: a child that has not executed uv yet has the command line of its parent.
    await until(lambda: len(running(uv)) > 1 and len(running(str(tmp_path / "slow"))) > 1)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await until(lambda: not running(uv))
    await until(lambda: not running(str(tmp_path)))


def old(folder: Path, name: str, *, size: int, unused_seconds: float) -> str:
    content = hashlib.sha256(name.encode()).hexdigest()[:16]
    root = folder / content
    (root / "venv").mkdir(parents=True)
    (root / "environment.json").write_text(json.dumps({"sizeBytes": size}))
    (root / "used").touch()
    at = time.time() - unused_seconds
    os.utime(root / "used", (at, at))
    return content


def test_what_nobody_uses_goes_by_age_and_size(tmp_path: Path) -> None:
    settings = BuildSettings(most_bytes=100, unused_seconds=10 * 86400)
    aged = old(tmp_path, "aged", size=1, unused_seconds=11 * 86400)
    kept = old(tmp_path, "kept", size=60, unused_seconds=12 * 86400)
    longer = old(tmp_path, "longer", size=30, unused_seconds=9 * 86400)
    later = old(tmp_path, "later", size=30, unused_seconds=8 * 86400)
    fresh = old(tmp_path, "fresh", size=500, unused_seconds=60)
    (tmp_path / ".building-x-1").mkdir()
    assert collection.collect(tmp_path, {kept}, settings) == [aged, longer, later]
    assert {one.root.name for one in collection.found(tmp_path)} == {kept, fresh}
    assert (tmp_path / ".building-x-1").exists()
    settings = BuildSettings(most_bytes=10**6, unused_seconds=10 * 86400)
    assert collection.collect(tmp_path, set(), settings) == [kept]


def test_what_environments_describe_and_pods_run_is_needed() -> None:
    environment = {"metadata": {"name": "e"}, "spec": {"images": ["x"], "requirements": ["a"]}}
    broken = {"metadata": {"name": "b"}, "spec": {"images": ["y"], "python": "3.99"}}
    image = "wherry.dev/catalogue/python@0123456789abcdef"
    pod = {
        "status": {"containerStatuses": [{"imageID": image}, {"imageID": "docker.io/x@sha256:1"}]}
    }
    found = collection.needed([environment, broken], [pod, {}])
    assert found - {""} == {made(environment).hash, "0123456789abcdef"}


async def test_the_build_of_a_deleted_environment_ends(node: Any, tmp_path: Path) -> None:
    line = f"slow @ {slow_source(tmp_path).as_uri()}"
    body = {
        "apiVersion": kinds.ENVIRONMENTS.api_version,
        "kind": "Environment",
        "metadata": {"name": "slow"},
        "spec": {"images": ["slow:*"], "requirements": [line]},
    }
    await node.client.create(kinds.ENVIRONMENTS, body)
    await until(lambda: running(str(tmp_path / "slow")))
    await node.client.delete(kinds.ENVIRONMENTS, "slow")
    await until(lambda: not running(str(tmp_path / "slow")))


async def test_a_build_that_is_asked_for_is_answered(node: Any) -> None:
    note = {"metadata": {"annotations": {kinds.BUILD_ANNOTATION: "now"}}}
    await node.client.patch(kinds.ENVIRONMENTS, "python", note)
    async with asyncio.timeout(60):
        while True:
            found = await node.client.get(kinds.ENVIRONMENTS, "python")
            if (found.get("status") or {}).get("answers") == "now":
                break
            await asyncio.sleep(0.05)
    assert found["status"]["path"].endswith(found["status"]["hash"])


async def test_a_failure_stays_until_something_is_asked_anew(node: Any) -> None:
    body = {
        "apiVersion": kinds.ENVIRONMENTS.api_version,
        "kind": "Environment",
        "metadata": {"name": "broken"},
        "spec": {"images": ["broken:*"], "requirements": ["nosuch"]},
    }
    await node.client.create(kinds.ENVIRONMENTS, body)
    first = await failed(node, "broken", "")
    await asyncio.sleep(1)
    again = await node.client.get(kinds.ENVIRONMENTS, "broken")
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    note = {"metadata": {"annotations": {kinds.BUILD_ANNOTATION: "again"}}}
    await node.client.patch(kinds.ENVIRONMENTS, "broken", note)
    await failed(node, "broken", "again")


async def failed(node: Any, name: str, answers: str) -> Object:
    async with asyncio.timeout(60):
        while True:
            found: Object = await node.client.get(kinds.ENVIRONMENTS, name)
            status = found.get("status") or {}
            reasons = {each.get("reason") for each in status.get("conditions") or []}
            if reasons == {"BuildFailed"} and status.get("answers", "") == answers:
                return found
            await asyncio.sleep(0.05)
