"""Which environment an image gets, and how it is built."""

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from wherry.kubelet.environments import (
    builder,
    choosing,
    definition,
    failures,
    interpreters,
    kinds,
    recipe,
)
from wherry.objects import schemas
from wherry.objects.requests import Object

OWN = interpreters.own()
THREE_TWELVE = interpreters.Interpreter(Path("/opt/py/bin/python3.12"), (3, 12, 1))


def environment(name: str, *images: str, **spec: Any) -> Object:
    return {
        "apiVersion": "wherry.dev/v1",
        "kind": "Environment",
        "metadata": {"name": name},
        "spec": {"images": list(images), **spec},
    }


def test_the_narrowest_environment_wins() -> None:
    found = [
        environment("all", "*"),
        environment("python", "python:*"),
        environment("slim", "python:3.*-slim"),
        environment("team", "docker.io/team/model:v1"),
    ]
    for image, name in (
        ("python:3.11-slim", "slim"),
        ("docker.io/library/python:3.11", "python"),
        ("team/model:v1", "team"),
        ("team/model:v2", "all"),
    ):
        assert choosing.choose(image, found, among=[OWN]).name == name


def test_the_tag_of_a_python_image_chooses_the_interpreter() -> None:
    found = [kinds.default_environment()]
    chosen = choosing.choose("python:3.12-slim", found, among=[OWN, THREE_TWELVE])
    assert chosen.recipe.interpreter == THREE_TWELVE
    assert chosen.warning == ""
    other = choosing.choose("python:3.99", found, among=[OWN, THREE_TWELVE])
    assert other.recipe.interpreter == OWN
    assert "3.99 is not installed here" in other.warning
    fixed = [environment("e", "python:*", python="3.12")]
    assert choosing.choose("python:3.11", fixed, among=[OWN, THREE_TWELVE]).recipe.interpreter == (
        THREE_TWELVE
    )


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(choosing.UnknownImageError, match="kubectl apply"):
        choosing.choose("team/model:v1", [kinds.default_environment()])
    with pytest.raises(interpreters.InterpreterMissingError, match=r"3\.99 is not installed"):
        choosing.choose("x", [environment("e", "x", python="3.99")])
    for spec in (
        {"requirements": ["--index-url=x"]},
        {"files": {"relative": "x"}},
        {"files": {"/a/../etc/passwd": "x"}},
    ):
        with pytest.raises(recipe.RecipeError):
            choosing.choose("x", [environment("e", "x", **spec)])


def test_a_hash_names_the_content() -> None:
    one = recipe.Recipe(OWN, ("a", "b"), ())
    assert one.hash == recipe.Recipe(OWN, ("b", "a"), ()).hash
    others = [
        recipe.Recipe(OWN, ("a",), ()),
        recipe.Recipe(OWN, ("a", "b"), (("/f", "x"),)),
        recipe.Recipe(THREE_TWELVE, ("a", "b"), ()),
    ]
    assert len({one.hash, *(other.hash for other in others)}) == 4


def test_interpreters_are_real_and_found_without_starting_them() -> None:
    found = interpreters.installed()
    assert found[0] == OWN
    assert all(os.access(one.path, os.X_OK) for one in found)
    assert len({one.path for one in found}) == len(found)
    assert interpreters.find(OWN.text) == OWN


def test_the_definition_is_valid_and_its_schema_takes_the_default() -> None:
    crd = definition.crd()
    assert crd["metadata"]["name"] == "environments.wherry.dev"
    version = crd["spec"]["versions"][0]
    schema = schemas.Schema.compile(version["schema"]["openAPIV3Schema"])
    assert schema.check(kinds.default_environment()) == []
    assert schema.check({"spec": {"images": []}})
    assert schema.check({"spec": {"images": ["x"], "python": "three"}})
    assert [c["name"] for c in version["additionalPrinterColumns"]] == [
        "Ready",
        "Python",
        "Images",
        "Age",
    ]
    properties = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    assert all(item["description"] for item in properties.values())


def make(folder: Path) -> builder.Builder:
    return builder.Builder(folder, concurrency=2, timeout_seconds=100)


async def test_a_build_works_is_shared_and_appears_at_once(tmp_path: Path) -> None:
    builds = make(tmp_path)
    lines: list[str] = []
    wanted = recipe.Recipe(OWN, (), (("/app/hello.txt", "hi"),))
    assert builds.built(wanted) is None
    one, two = await asyncio.gather(
        builds.build(wanted, lines.append), builds.build(wanted, lines.append)
    )
    assert one == two == builds.built(wanted)
    assert lines == [f"creating an environment with Python {OWN.text}"] * 2
    assert one.file("/app/hello.txt").read_text() == "hi"
    code = "import sys; print(sys.prefix)"
    output = await asyncio.to_thread(subprocess.check_output, [str(one.bin / "python"), "-c", code])
    assert output.decode().strip() == str(one.venv)
    assert [entry.name for entry in os.scandir(tmp_path)] == [wanted.hash]


async def test_a_build_that_was_cut_off_is_never_used(tmp_path: Path) -> None:
    wanted = recipe.Recipe(OWN, (), ())
    half = tmp_path / f".building-{wanted.hash}-1"
    (half / "venv").mkdir(parents=True)
    builds = make(tmp_path)
    assert builds.built(wanted) is None
    builds.clean()
    assert not list(os.scandir(tmp_path))


async def test_a_build_takes_away_what_a_killed_one_went_on_writing(tmp_path: Path) -> None:
    wanted = recipe.Recipe(OWN, (), ())
    builds = make(tmp_path)
    builds.clean()
    (tmp_path / f".building-{wanted.hash}-1" / "venv").mkdir(parents=True)
    await builds.build(wanted, lambda _: None)
    assert [entry.name for entry in os.scandir(tmp_path)] == [wanted.hash]


async def test_a_failure_says_what_uv_said(tmp_path: Path) -> None:
    wanted = recipe.Recipe(OWN, ("not a requirement!!",), ())
    with pytest.raises(builder.BuildError, match="hint: "):
        await make(tmp_path).build(wanted, lambda _: None)
    assert not list(os.scandir(tmp_path))


@pytest.mark.parametrize(
    ("output", "hint"),
    [
        ("Because nosuch was not found in the package registry", "spelling"),
        ("No solution found when resolving dependencies", "loosen"),
        ("error sending request: dns error", "network"),
        ("Failed to build `x`", "compiled"),
    ],
)
def test_hints(output: str, hint: str) -> None:
    assert hint in failures.explain(1, [output])


async def test_environments_through_the_api(node: Any) -> None:
    spec = {
        "files": {"/app/serve.py": "import os; print(os.environ['WHO'], os.getcwd())"},
        "env": {"WHO": "me"},
        "entrypoint": ["python", "/app/serve.py"],
        "workingDir": "/tmp",
    }
    await node.client.create(kinds.ENVIRONMENTS, environment("served", "team/served:*", **spec))
    pod = await node.pod_of([{"name": "main", "image": "team/served:v3"}])
    await node.wait_phase(pod, "Succeeded")
    assert await node.log(pod) == "me /tmp\n"
    async with asyncio.timeout(60):
        while True:
            found = await node.client.get(kinds.ENVIRONMENTS, "served")
            listed = (found.get("status") or {}).get("conditions") or []
            if any(c["type"] == "Ready" and c["status"] == "True" for c in listed):
                break
            await asyncio.sleep(0.05)
    assert found["status"]["python"] == OWN.text
    assert Path(found["status"]["path"]).name == found["status"]["hash"]


async def test_an_image_is_tried_again_once_its_environment_is_there(node: Any) -> None:
    pod = await node.pod("python", "-c", "print('late')", container={"image": "later:v1"})
    await node.wait(pod, lambda p: p["status"]["containerStatuses"][0]["state"].get("waiting"))
    await node.client.create(kinds.ENVIRONMENTS, environment("later", "later:*"))
    await node.wait_phase(pod, "Succeeded")
    assert (await node.get(pod))["status"]["containerStatuses"][0]["imageID"].startswith(
        "wherry.dev/environments/later@"
    )


def test_folders_that_may_not_be_listed_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not by permissions: root may list everything. A file in a folder's place fails alike.
    (tmp_path / "versions").write_text("")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'versions'}:{tmp_path / 'missing'}")
    assert interpreters.own() in interpreters.installed()
