"""KFP's own tests of its client and its CLI, run unmodified where the client's way in is Wherry.

They are read from the checkout that WHERRY_PIPELINES names, and run with the released SDK: a test of
what only later sources of it have does not apply.
"""

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from wherry.testing import environments

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
CHECKOUT = os.environ.get("WHERRY_PIPELINES", "")
SOURCES = Path(CHECKOUT, "sdk", "python", "kfp")
GROUP = "kfp-tests"
FOLDERS = ("client", "cli", "cli/utils")
WANTED = ("absl-py==2.5.1", "docker==7.2.0", "pytest==9.2.0")
NEEDED = ("iniconfig==2.3.1", "packaging==26.3", "pluggy==1.7.0", "pygments==2.21.0")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not CHECKOUT, reason="WHERRY_PIPELINES names no checkout"),
]


def rows():
    text = (HERE / "names" / f"{GROUP}.json").read_text(encoding="utf-8")
    return json.loads(text)


def cases():
    for row in rows():
        if not row.get("notApplicable"):
            mark = pytest.mark.conformance("pipelines-api", group=GROUP, name=row["name"])
            yield pytest.param(row["name"], marks=mark, id=row["name"])


@pytest.fixture(scope="module")
def outcomes(shared_platform, tmp_path_factory):
    """Return what is wrong with each of KFP's tests; nothing wrong is an empty text."""
    folder = tmp_path_factory.mktemp("kfp")
    environment = environments.environment(
        ROOT / "requirements" / "clients-pipelines.txt", ROOT / "build" / "clients"
    )
    python, packages = environment / "bin" / "python", folder / "packages"
    uv = Path(sys.executable).with_name("uv")
    install = [str(uv), "pip", "install", "--quiet", "--no-deps", "--python", str(python)]
    wanted = ["--target", str(packages), *WANTED, *NEEDED]
    subprocess.run([*install, *wanted], check=True, timeout=300)
    for name in FOLDERS:
        (folder / "tests" / name).mkdir(parents=True)
        for path in (SOURCES / name).glob("*_test.py"):
            shutil.copy(path, folder / "tests" / name)
    written = folder / "outcomes.xml"
    options = ["-p", "no:cacheprovider", "--import-mode=importlib", "-c", os.devnull]
    done = subprocess.run(
        [
            *(python, "-W", "ignore", "-m", "pytest", "-q", "--rootdir", folder / "tests"),
            *(*options, "-o", "junit_family=xunit1", f"--junitxml={written}", folder / "tests"),
        ],
        env={
            "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
            "HOME": str(folder),
            "PYTHONPATH": str(packages),
            "KUBECONFIG": str(shared_platform.kubeconfig),
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return dict(map(outcome, ET.parse(written).iter("testcase")))


def outcome(found):
    """Return the name of a test, and what is wrong with it."""
    told = found.attrib
    wrong = [*found.iter("failure"), *found.iter("error")]
    name = f"{told['file']}::{told['classname'].rpartition('.')[2]}::{told['name']}"
    return name, "\n".join(each.attrib.get("message", "") for each in wrong)


@pytest.mark.parametrize("name", [*cases()])
def test_it_passes(outcomes, name):
    assert name in outcomes, "it did not run"
    assert outcomes[name] == ""


def test_no_test_is_left_out(outcomes):
    assert outcomes.keys() == {row["name"] for row in rows()}
