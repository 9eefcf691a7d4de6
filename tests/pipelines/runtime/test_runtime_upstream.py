"""What comes out of components is the same as with KFP's own executor, value by value and file by file."""

import importlib.util
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from wherry.pipelines import runtime
from wherry.testing import environments

_ROOT = Path(__file__).resolve().parents[3]
_HERE = Path(__file__).parent


def _cases():
    spec = importlib.util.spec_from_file_location("runtime_cases", _HERE / "cases.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CASES


_CASES = _cases()


@pytest.fixture(scope="module")
def theirs() -> dict[str, Any]:
    pins = _ROOT / "requirements" / "clients-pipelines.txt"
    folder = environments.environment(pins, _ROOT / "build" / "clients")
    return _ran(folder / "bin" / "python", {"_KFP_RUNTIME": "true"})


@pytest.fixture(scope="module")
def ours(python) -> dict[str, Any]:
    return _ran(python, {"PYTHONPATH": str(runtime.FOLDER), "WHERRY_KFP_RUNTIME": "true"})


def _ran(python: Path, variables: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [str(python), str(_HERE / "executing.py")],
        env={"PATH": os.environ["PATH"], **variables},
        input=json.dumps(_CASES),
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    results: dict[str, Any] = json.loads(done.stdout)
    return results


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", [each["name"] for each in _CASES])
def test_same_as_upstream(theirs, ours, name):
    assert json.dumps(ours[name], sort_keys=True) == json.dumps(theirs[name], sort_keys=True)
