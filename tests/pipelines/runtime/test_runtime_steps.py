"""Components started as the engine starts them, by a Python that has nothing but the runtime."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from wherry.pipelines import runtime

_HEADER = "import kfp\nfrom kfp import dsl\nfrom kfp.dsl import *\nfrom typing import *\n\n"


@pytest.fixture
def start(python, tmp_path):
    def started(*words, **variables):
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(runtime.FOLDER), **variables}
        return subprocess.run(
            [str(python), *words],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return started


@pytest.fixture
def run(start, tmp_path):
    """Run a component's source; return the process and its output."""

    def ran(source, makes=None, variables=None, **parameters):
        output = tmp_path / "out" / "output_metadata.json"
        artifacts = {
            name: {
                "artifacts": [
                    {"name": name, "type": {"schemaTitle": title}, "uri": str(tmp_path / name)}
                ]
            }
            for name, title in (makes or {}).items()
        }
        told = {
            "inputs": {"parameterValues": parameters},
            "outputs": {"outputFile": str(output), "artifacts": artifacts},
        }
        words = ["-m", "wherry_step", "--component_source", _HEADER + source]
        words += ["--executor_input", json.dumps(told), "--function_to_execute", "f"]
        done = start(*words, **(variables or {}))
        return done, json.loads(output.read_text()) if output.exists() else None

    return ran


def test_a_step_logs_and_returns(run):
    source = "import logging\n\ndef f(n: int) -> int:\n    logging.info('n is %s', n)\n    return n + 1\n"
    done, output = run(source, n=2)
    assert output == {"parameterValues": {"Output": 3}}
    assert "INFO]: n is 2\n" in done.stdout


def test_a_failure_shows_the_line(run):
    done, output = run("def f():\n    raise KeyError('here')\n")
    assert (done.returncode, output) == (1, None)
    assert "ephemeral_component.py" in done.stderr
    assert "raise KeyError('here')" in done.stderr


def test_the_source_is_gone_when_the_step_is_over(run, tmp_path):
    there = {"TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir()
    source = (
        "def f() -> bool:\n"
        "    import os\n"
        "    if not os.fork():\n        raise SystemExit\n"
        "    os.wait()\n"
        "    return os.path.exists(__file__)\n"
    )
    _, output = run(source, variables=there)
    assert output == {"parameterValues": {"Output": True}}
    done, _ = run("def f():\n    raise KeyError('here')\n", variables=there)
    assert "raise KeyError('here')" in done.stderr
    assert list((tmp_path / "tmp").iterdir()) == []


def test_processes_that_the_code_starts_have_the_runtime_too(run):
    done, output = run(
        "def g(x):\n    return x + 1\n\n"
        "def f() -> list:\n"
        "    import multiprocessing, subprocess, sys\n"
        "    with multiprocessing.get_context('fork').Pool(2) as pool:\n"
        "        found = pool.map(g, [1, 2])\n"
        "    code = 'import kfp.dsl; print(kfp.__version__)'\n"
        "    return found + [subprocess.check_output([sys.executable, '-c', code], text=True)]\n"
    )
    assert done.returncode == 0, done.stderr
    assert output["parameterValues"]["Output"] == [2, 3, "2.17.0\n"]


def test_metrics_of_slices(run):
    _, output = run(
        "def f(m: Output[SlicedClassificationMetrics]):\n"
        "    m.log_roc_reading('s', 0.5, 0.9, 0.1)\n"
        "    m.load_roc_readings('s', [[0.6, 0.8, 0.2]])\n"
        "    m.set_confusion_matrix_categories('t', ['a', 'b'])\n"
        "    m.log_confusion_matrix_row('t', 'a', [1, 2])\n"
        "    m.log_confusion_matrix_cell('t', 'b', 'a', 3)\n"
        "    m.load_confusion_matrix('u', ['x'], [[7]])\n",
        makes={"m": "system.SlicedClassificationMetrics"},
    )
    (told,) = output["artifacts"]["m"]["artifacts"]
    slices = told["metadata"]["evaluationSlices"]
    found = {each["slice"]: each["sliceClassificationMetrics"] for each in slices}
    assert [point["confidenceThreshold"] for point in found["s"]["confidenceMetrics"]] == [0.5, 0.6]
    assert found["s"]["confidenceMetrics"][1] == {
        "confidenceThreshold": 0.6,
        "recall": 0.8,
        "falsePositiveRate": 0.2,
    }
    assert found["t"]["confusionMatrix"] == {
        "annotationSpecs": [{"displayName": "a"}, {"displayName": "b"}],
        "rows": [{"row": [1, 2]}, {"row": [3, 0]}],
    }
    assert found["u"]["confusionMatrix"]["rows"] == [{"row": [7]}]


@pytest.mark.parametrize("direct", [True, False])
def test_what_was_written_elsewhere_is_brought_where_nothing_uploads_it(run, tmp_path, direct):
    source = (
        "def f(a: Output[Model], b: Output[Model]):\n"
        f"    a.set_path({str(tmp_path / 'mine')!r})\n    open(a.path, 'w').write('x')\n"
        f"    b.custom_path = {str(tmp_path / 'folder')!r}\n"
        "    import os\n    os.makedirs(b.path)\n    open(b.path + '/c', 'w').write('y')\n"
    )
    makes = {"a": "system.Model", "b": "system.Model"}
    variables = {"WHERRY_ARTIFACTS": "direct"} if direct else {}
    _, output = run(source, makes, variables)
    told = output["artifacts"]["a"]["artifacts"][0]
    assert (told["uri"], told["custom_path"]) == (str(tmp_path / "a"), str(tmp_path / "mine"))
    assert (tmp_path / "mine").read_text() == "x"
    assert (tmp_path / "a").exists() == direct
    assert (tmp_path / "b" / "c").exists() == direct


def test_what_is_not_here_is_told_with_the_way_out(run):
    done, _ = run("def f():\n    kfp.Client()\n")
    assert "put kfp into the component's packages_to_install" in done.stderr


def test_an_installed_kfp_is_used_where_a_component_is_started_its_way(start, run, tmp_path):
    package = tmp_path / "site" / "kfp"
    (package / "dsl").mkdir(parents=True)
    (package / "__init__.py").write_text("__version__ = '9'\nfrom kfp import dsl\n")
    (package / "dsl" / "__init__.py").write_text("THEIRS = True\n")
    both = {"PYTHONPATH": f"{runtime.FOLDER}{os.pathsep}{tmp_path / 'site'}"}
    code = "import kfp; print(kfp.__version__, kfp.dsl.THEIRS, kfp.__path__)"
    done = start("-c", code, **both)
    assert done.stdout == f"9 True ['{package}']\n"
    done, output = run("def f() -> str:\n    return kfp.__version__\n", variables=both)
    assert output == {"parameterValues": {"Output": "2.17.0"}}


def test_a_component_in_an_image_is_found_by_its_file(start, tmp_path):
    (tmp_path / "kfp_config.ini").write_text("[Components]\nMyF = deep/mine.py\n")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "beside.py").write_text("N = 4\n")
    (tmp_path / "deep" / "mine.py").write_text(
        "from kfp import dsl\nimport beside\n\n"
        "@dsl.component(base_image='x', target_image='y')\n"
        "def MyF(n: int = beside.N) -> int:\n    return n\n\n"
        "@dsl.pipeline\ndef p():\n    pass\n"
    )
    told = {"inputs": {}, "outputs": {"outputFile": str(tmp_path / "out.json")}}
    words = ["-m", "kfp.dsl.executor_main", "--executor_input", json.dumps(told)]
    done = start(*words, "--function_to_execute", "MyF")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out.json").read_text())["parameterValues"] == {"Output": 4}
    done = start(*words, "--function_to_execute", "other")
    assert "'other' is not among the components of kfp_config.ini" in done.stderr


def test_wrong_words_are_told(start):
    assert "want --component_source SOURCE" in start("-m", "wherry_step", "--x").stderr


def test_the_runtime_needs_nothing_and_any_python():
    files = [path for path in runtime.FOLDER.rglob("*.py") if path.parent != runtime.FOLDER]
    files.append(runtime.FOLDER / "wherry_step.py")
    assert len(files) > 8
    for path in files:
        tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
        imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
        names = {alias.name.split(".")[0] for node in imported for alias in node.names}
        sources = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        names |= {str(node.module).split(".")[0] for node in sources if not node.level}
        assert names - sys.stdlib_module_names == set(), path


def test_the_folder_offers_nothing_else():
    there = {path.name for path in Path(runtime.FOLDER).iterdir()} - {"__pycache__"}
    assert there == {"__init__.py", "kfp", "wherry_step.py"}
