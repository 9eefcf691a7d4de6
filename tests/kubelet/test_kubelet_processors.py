"""What containers are told of the processors that fall to them."""

import os
from pathlib import Path
from typing import Any

import pytest

from wherry.kubelet import processors, users
from wherry.kubelet.runtime import ContainerStart, Image
from wherry.kubelet.runtimes import process
from wherry.kubelet.settings import KubeletSettings

_SAY = "import os; print(os.environ.get('OMP_NUM_THREADS'))"


def _container(folder: Path, *, limit: str = "", parallelism: str = "", **more: Any) -> Any:
    limits = {"limits": {"cpu": limit}} if limit else {}
    annotations = {"wherry.dev/parallelism": parallelism} if parallelism else {}
    fields = {
        "id": "one",
        "spec": {"command": ["true"], "resources": limits},
        "image": Image("i", "i", "", {"PATH": "/bin"}, (), "", (), folder),
        "environment": {},
        "mounts": (),
        "hostname": "pod",
        "address": None,
        "home": folder,
        "log": folder / "log",
        "identity": users.OWN,
        "pod": {"metadata": {"annotations": annotations}},
    }
    return ContainerStart(**{**fields, **more})


@pytest.mark.parametrize(
    ("limit", "parallelism", "threads"),
    [
        ("", "", None),
        ("500m", "", "1"),
        ("0", "", "1"),
        ("2500m", "", "3"),
        ("8", "", None),  # all that there are
        ("64", "", None),
        ("", "1", None),
        ("", "2", "4"),
        ("", "3", "2"),
        ("", "100", "1"),
        ("3", "2", "3"),
        ("6", "2", "4"),
        ("1", "2", "1"),
        ("", "0", None),
        ("", "-2", None),
        ("", "many", None),
        ("", "9" * 5000, None),
    ],
)
def test_share(
    limit: str,
    parallelism: str,
    threads: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    container = _container(tmp_path, limit=limit, parallelism=parallelism)
    assert processors.variables(container).get("OMP_NUM_THREADS") == threads


def test_image_and_pod_go_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    image = Image("i", "i", "", {"PATH": "/bin", "OMP_NUM_THREADS": "5"}, (), "", (), tmp_path)
    settings = KubeletSettings(data=tmp_path)

    def threads(**fields: Any) -> str:
        container = _container(tmp_path, limit="1", **fields)
        return process.process_spec(container, settings).env["OMP_NUM_THREADS"]

    assert threads() == "1"
    assert threads(image=image) == "5"
    assert threads(image=image, environment={"OMP_NUM_THREADS": "7"}) == "7"


async def test_a_program_sees_its_share(node: Any) -> None:
    many = {"annotations": {"wherry.dev/parallelism": str(2 * (os.cpu_count() or 1))}}
    given = {"env": [{"name": "OMP_NUM_THREADS", "value": "9"}]}
    for metadata, container, said in (
        ({}, {}, "None"),
        (many, {}, "1" if (os.cpu_count() or 1) > 1 else "None"),
        (many, given, "9"),
    ):
        pod = await node.pod("python", "-c", _SAY, metadata=metadata, container=container)
        await node.wait_phase(pod, "Succeeded")
        assert (await node.log(pod)).strip() == said
