"""The example of a Job and a Deployment, from an empty folder to predictions; and all manifests."""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from wherry.objects import errors, kinds, metadata
from wherry.testing.kubectl import Kubectl

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
MANIFESTS = sorted(EXAMPLES.glob("**/*.yaml"))


@pytest.fixture
def home() -> Iterator[dict[str, str]]:
    """An environment whose Wherry is the test's own."""
    with tempfile.TemporaryDirectory(prefix="wherry-e2e-") as folder:
        environment = {**os.environ, "WHERRY_HOME": f"{folder}/wherry"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        try:
            yield environment
        finally:
            run([sys.executable, "-m", "wherry.cli", "down"], environment, 60)


def run(
    command: list[str], environment: dict[str, str], seconds: float
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        env=environment,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demonstration(home: dict[str, str]) -> None:
    demo = [sys.executable, str(EXAMPLES / "01-digits" / "demo.py")]
    done = run(demo, home, 700)
    assert done.returncode == 0, done.stdout + done.stderr
    accuracy = re.search(r"accuracy: (0\.\d+) \(\d+ of 450 held-out images\)", done.stdout)
    assert accuracy, done.stdout
    assert float(accuracy[1]) > 0.95
    assert len(re.findall(r"digits-\S+ answered \d+ images", done.stdout)) == 2
    # Again, with everything built: quick, and `--down` leaves nothing running.
    again = run([*demo, "--down"], home, 120)
    assert again.returncode == 0, again.stdout + again.stderr
    laps = [
        float(seconds) for seconds in re.findall(r"^\[ *([\d.]+) s\]", again.stdout, re.MULTILINE)
    ]
    assert laps[-1] < 15
    status = run([sys.executable, "-m", "wherry.cli", "get", "pods"], home, 30)
    assert status.returncode != 0


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_manifests_are_taken(kubectl, shared_platform, path):
    own = path.with_name("00-namespace.yaml")
    if own.exists():
        namespace = next(yaml.safe_load_all(own.read_text()))
        with contextlib.suppress(errors.AlreadyExistsError):
            shared_platform.call(shared_platform.client.create(kinds.NAMESPACES, namespace))
        name = metadata.name(namespace)
        kubectl = Kubectl(kubectl.binary, shared_platform.kubeconfig, kubectl.home, name)
    done = kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(path))
    assert all("server dry run" in line for line in done.lines)
    assert done.lines


def test_there_are_examples():
    assert MANIFESTS
