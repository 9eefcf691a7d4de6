"""Katib's own unit tests of its suggestion services, early stopping and collectors, against Wherry's.

They are read from the checkout that WHERRY_KATIB names and run unmodified; `oracle/katib_services.py` says
what is put in the place of Katib's services.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
CHECKOUT = os.environ.get("WHERRY_KATIB", "")
TESTS = "test/unit/v1beta1"
FOLDERS = ("suggestion", "earlystopping", "metricscollector")
GROUP = "katib"
UV = str(Path(sys.executable).with_name("uv"))

pytestmark = pytest.mark.timeout(900)


def _rows() -> list[dict[str, str]]:
    text = (HERE / "names" / f"{GROUP}.json").read_text(encoding="utf-8")
    return [row for row in json.loads(text) if row["name"].startswith(f"{TESTS}/")]


def _cases() -> Iterator[Any]:
    for row in _rows():
        if row.get("notApplicable"):
            continue
        mark = pytest.mark.conformance("tuning", group=GROUP, name=row["name"])
        missing = pytest.mark.skipif(not CHECKOUT, reason="WHERRY_KATIB names no checkout")
        yield pytest.param(row["name"], marks=[mark, missing], id=row["name"])


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what is wrong with each test of Katib's; nothing wrong is an empty text."""
    folder = tmp_path_factory.mktemp("katib")
    packages = folder / "packages"
    wanted = ("grpcio-testing==1.85.0", "tensorboardX==2.6.5")
    install = [UV, "pip", "install", "--quiet", "--no-deps", "--target", str(packages)]
    subprocess.run([*install, *wanted], check=True, timeout=300)
    written = folder / "outcomes"
    written.touch()
    for name in FOLDERS:
        shutil.copytree(Path(CHECKOUT, TESTS, name), folder / TESTS / name)
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(HERE / "oracle"), str(packages), CHECKOUT)),
            "KATIB_OUTCOMES": str(written),
        }
        if name == "metricscollector":
            _write_events(folder / TESTS / name, environment)
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "katib_services",
            "-p",
            "no:cacheprovider",
        ]
        options = ["--rootdir", str(folder), "-c", os.devnull, str(folder / TESTS / name)]
        done = subprocess.run(
            [*command, *options],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode in {0, 1}, done.stdout + done.stderr
    rows = map(json.loads, written.read_text(encoding="utf-8").splitlines())
    return {row["name"]: row["wrong"] for row in rows}


def _write_events(folder: Path, environment: dict[str, str]) -> None:
    """Write the event files that Katib has its example image write before these tests."""
    program = HERE / "programs" / "tf_mnist_with_summaries.py"
    logs = folder / "testdata" / "tfevent-metricscollector" / "logs"
    command = [sys.executable, str(program), "--epochs=5", "--batch-size=200", f"--log-path={logs}"]
    packages = environment["PYTHONPATH"].split(os.pathsep)[1]
    install = [UV, "pip", "install", "--quiet", "--target", packages, "scikit-learn"]
    subprocess.run(install, check=True, timeout=300)
    subprocess.run(command, check=True, timeout=120, env=environment)


@pytest.mark.parametrize("name", list(_cases()))
def test_it_passes(outcomes, name):
    assert name in outcomes, "it did not run"
    assert outcomes[name] == ""


@pytest.mark.skipif(not CHECKOUT, reason="WHERRY_KATIB names no checkout")
def test_no_test_is_left_out(outcomes):
    assert outcomes.keys() - {row["name"] for row in _rows()} == set()
