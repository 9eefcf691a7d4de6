"""How code travels: what is found, what is sent, and what comes back. No cluster."""

import importlib
import json
import os
import subprocess
import sys
import threading
import zipfile
from io import BytesIO

import pytest

from wherry.client.functions import carrying, closure, in_pod, packages
from wherry.client.functions.errors import PackagingError
from wherry.training.sdk import frames, manifests, progress
from wherry.training.sdk import settings as setting
from wherry.training.sdk.errors import FailedError, TrainingError

FILES = {
    "team/__init__.py": "",
    "team/model.py": "import json\nfrom . import layers\nfrom team.data import load\n",
    "team/layers.py": "def later():\n    import single\n",
    "team/data/__init__.py": "def load():\n    from ..sizes import N\n",
    "team/sizes.py": "N = 3\n",
    "team/unused.py": "",
    "single.py": "import wherry\n",
    "job.py": "import sys\nfrom team import sizes\nprint(sys.argv[1:], sizes.N)\n",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [
        name for name in sys.modules if name.partition(".")[0] in {"team", "single", "code_"}
    ]:
        del sys.modules[name]


def run(package, folder, **env):
    """Run a package as a pod does; return what it printed."""
    folder.mkdir()
    for name, content in package.files.items():
        (folder / name).write_bytes(content)
    first = {"WHERRY_POD": "p", "WHERRY_FIRST_POD": "p"}
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-I", str(folder / "run.py")],
        env={**kept, **first, **env},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    lines = [frames.read("worker-0", line) for line in done.stdout.splitlines()]
    return done.returncode, lines, done.stderr


def write(folder, text):
    (folder / "code_.py").write_text(text)
    importlib.invalidate_caches()
    return importlib.import_module("code_")


def test_modules_are_followed_into_functions_and_packages(project):
    found = closure.files(["team.model"], [str(project)])
    assert sorted(found) == [
        "single.py",
        "team/__init__.py",
        "team/data/__init__.py",
        "team/layers.py",
        "team/model.py",
        "team/sizes.py",
    ]


def test_what_is_installed_stays_where_it_is():
    assert closure.files(["json", "aiohttp", "wherry.client", "nowhere"], sys.path) == {}


def test_source_that_is_not_python_is_named(project):
    (project / "bad.py").write_text("def (")
    with pytest.raises(PackagingError, match=r"bad\.py: invalid syntax"):
        closure.files(["bad"], [str(project)])


def test_the_same_code_has_the_same_digest(project):
    first = packages.package("job.py", ["a"])
    os.utime(project / "team" / "sizes.py", (0, 0))
    assert packages.package("job.py", ["a"]).digest() == first.digest()
    assert packages.package("job.py", ["b"]).digest() != first.digest()
    (project / "team" / "sizes.py").write_text("N = 4\n")
    assert packages.package("job.py", ["a"]).digest() != first.digest()


def test_a_script_has_its_modules_and_its_arguments(project, tmp_path):
    code, lines, _ = run(packages.package("job.py", ["a b", "$(c)", 3]), tmp_path / "pod")
    assert code == 0
    assert lines[0].text == "['a b', '$(c)', '3'] 3"
    assert frames.result(lines) is None


def test_nothing_stays_behind_where_pods_share_a_folder_for_temporary_files(project, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    text = """
import os, sys
def f(ending):
    if os.fork() == 0:
        sys.exit()  # ends as its parent does, which goes on with the code
    os.wait()
    import team.sizes
    return eval(ending)
"""
    module = write(project, text)
    for number, (ending, code) in enumerate((("team.sizes.N", 0), ("1 / 0", 1))):
        package = packages.package(module.f, [ending])
        found, _, said = run(package, tmp_path / f"pod{number}", TMPDIR=str(shared))
        assert found == code, said
        assert [*shared.iterdir()] == []


def test_a_module_runs_as_main(project, tmp_path):
    write(project, "print(__name__, __package__)")
    code, lines, _ = run(packages.package("code_"), tmp_path / "pod")
    assert (code, lines[0].text) == (0, "__main__ ")


def test_a_function_goes_by_its_name(project, tmp_path):
    module = write(project, "import team.sizes\ndef f(a, *, b):\n    return a + b + team.sizes.N")
    for number, target in enumerate((module.f, "code_:f")):
        package = packages.package(target, [1], {"b": 2})
        names = zipfile.ZipFile(BytesIO(package.files["code.zip"])).namelist()
        assert names == ["code_.py", "team/__init__.py", "team/sizes.py"]
        code, lines, _ = run(package, tmp_path / f"pod{number}")
        assert (code, frames.result(lines)) == (0, 6)


@pytest.mark.parametrize(
    "value",
    [None, 0, "ü\n", [1, {"a": [True]}], (1, 2), {1: 2}, float("inf"), b"x", 2**80, {"a": (1,)}],
)
def test_values_come_back_as_they_are(project, tmp_path, value):
    module = write(project, "def same(value):\n    return value")
    _, lines, _ = run(packages.package(module.same, [value]), tmp_path / "pod")
    found = frames.result(lines)
    assert (type(found), found) == (type(value), value)


def test_only_the_first_rank_tells_its_result(project, tmp_path):
    module = write(project, "def f():\n    return 1")
    package = packages.package(module.f)
    assert frames.result(run(package, tmp_path / "a", WHERRY_POD="q")[1]) is None
    assert frames.result(run(package, tmp_path / "b", LOCAL_RANK="1")[1]) is None


def test_an_error_comes_back_with_its_own_traceback(project, tmp_path):
    module = write(project, "def inner():\n    return {}['key']\ndef f():\n    inner()")
    code, lines, err = run(packages.package(module.f), tmp_path / "pod")
    assert code == 1
    (traceback,) = frames.tracebacks(lines).values()
    assert "in inner" in traceback
    assert "run.py" not in traceback
    assert traceback in err
    error = FailedError("j", "r", {"worker-1": traceback, "worker-0": "other"})
    assert "failed in worker-1" in str(error)
    assert "KeyError: 'key'" in str(error)
    assert "also raised in worker-0" in str(error)


@pytest.mark.parametrize(("code", "wanted"), [("0", 0), ("", 0), ("7", 7), ("'no'", 1)])
def test_exit_codes_are_kept(project, tmp_path, code, wanted):
    (project / "leave.py").write_text(f"import sys\nsys.exit({code})")
    found, lines, _ = run(packages.package("leave.py"), tmp_path / "pod")
    assert found == wanted
    assert bool(frames.tracebacks(lines)) == bool(wanted)


def test_a_result_that_is_too_large_fails_and_says_what_to_do(project, tmp_path):
    module = write(project, "def f():\n    return 'x' * 2_000_000")
    code, lines, _ = run(packages.package(module.f), tmp_path / "pod")
    assert code == 1
    assert "write it to a volume" in str(frames.tracebacks(lines))


def test_reports_need_no_wherry_in_the_pod(project, tmp_path):
    text = (
        "import wherry\ndef f():\n    print('half', end='')\n"
        "    wherry.report(step=1, loss=float('nan'), name='x', ok=True)\n"
        "    wherry.report(loss=[1])"
    )
    package = packages.package("code_:f") if write(project, text) else None
    code, lines, _ = run(package, tmp_path / "pod")
    assert code == 1
    assert "TypeError: report: loss is a list" in str(frames.tracebacks(lines))
    (values,) = filter(None, map(frames.metrics, lines))
    assert values["loss"] != values["loss"]
    assert {"step": 1, "name": "x", "ok": True, "rank": "worker-0"}.items() <= values.items()
    assert lines[0].text == "half"


def test_lambdas_and_closures_travel_by_value(tmp_path):
    factor = 7
    code, lines, _ = run(packages.package(lambda: factor * 6), tmp_path / "pod")
    assert (code, frames.result(lines)) == (0, 42), lines


def test_what_cannot_travel_is_named(project):
    lock = threading.Lock()
    with pytest.raises(PackagingError, match="cannot be sent"):
        packages.package(lambda: lock)
    with pytest.raises(PackagingError, match=r"most of them in call\.pickle.*volume"):
        packages.package("code_:f", [b"x" * 2_000_000]) if write(project, "def f(): ...") else None
    for target, told in (
        ("no.py", "no such script"),
        ("nowhere", "no module 'nowhere'"),
        ("team:a b", "MODULE:FUNCTION"),
    ):
        with pytest.raises(PackagingError, match=told):
            packages.package(target)
    with pytest.raises(PackagingError, match="no `kwargs`"):
        packages.package("job.py", (), {"a": 1})


@pytest.mark.parametrize(
    "raw",
    [
        "plain",
        in_pod.MARK,
        in_pod.MARK + "{",
        in_pod.MARK + "[1]",
        in_pod.MARK + '{"report": {}}',
        in_pod.MARK + '{"at": "x"}',
    ],
)
def test_lines_that_only_look_marked_are_the_codes_own(raw):
    assert frames.read("r", raw) == frames.Line("r", raw)


@pytest.mark.parametrize(
    "told",
    [
        {"id": "a", "part": 0, "parts": 1, "form": "json", "data": "?"},
        {"id": "a", "part": 1, "parts": 1, "form": "json", "data": ""},
        {"id": "a", "part": 0, "parts": 1, "form": "pickle", "data": "AAAA"},
    ],
)
def test_a_damaged_result_is_told(told):
    line = frames.read("r", in_pod.MARK + json.dumps({"result": told, "at": 1.0}))
    with pytest.raises(ValueError, match=r"came back damaged|cannot be read here"):
        frames.result([line])


def test_of_two_attempts_the_last_whole_result_counts():
    def line(name, part, value):
        data = {"id": name, "part": part, "parts": 2, "form": "json", "data": value}
        return frames.Line("r", None, {"result": data, "at": 1.0})

    assert frames.result([line("a", 0, "MQ=="), line("b", 0, "Mg"), line("b", 1, "==")]) == 2
    assert frames.result([line("a", 0, "MQ==")]) is None


def test_the_job_and_its_code():
    package = packages.Package("My Func", {"call.json": b"{}"})
    secret = manifests.code(package, "ns")
    assert secret["metadata"]["name"] == f"wherry-code-{package.digest()[:24]}"
    name = manifests.name_of(package, "1")
    assert name.startswith("my-func-")
    assert manifests.name_of(packages.Package("<lambda>", {}), "1").startswith("lambda-")
    assert manifests.name_of(packages.Package("1st", {}), "1").startswith("train-1st-")
    made = manifests.job(
        name,
        "ns",
        "s",
        {
            "workers": 3,
            "packages": ["numpy>=2", "six"],
            "resources": {"cpu": 1},
            "env": {"A": "$(B)"},
            "volumes": {"claim": "/data"},
            "timeout": 2.4,
        },
    )
    replicas = made["spec"]["pytorchReplicaSpecs"]
    assert {type_: each["replicas"] for type_, each in replicas.items()} == {
        "Master": 1,
        "Worker": 2,
    }
    assert made["spec"]["runPolicy"]["activeDeadlineSeconds"] == 2
    template = replicas["Worker"]["template"]
    assert template["metadata"]["annotations"][carrying.REQUIREMENTS] == "numpy>=2\nsix"
    container = template["spec"]["containers"][0]
    assert container["command"] == ["python", "/wherry/run.py"]
    assert container["resources"]["limits"] == {"cpu": "1"}
    assert {"name": "WHERRY_FIRST_POD", "value": f"{name}-master-0"} in container["env"]
    assert [one["mountPath"] for one in container["volumeMounts"]] == ["/wherry", "/data"]


def test_settings_that_cannot_be_are_named():
    with pytest.raises(TypeError, match="no setting 'worker'; there are framework"):
        setting.check({"worker": 1})
    with pytest.raises(TrainingError, match="workers=0: want a number, at least 1"):
        setting.check({"workers": 0})
    with pytest.raises(TrainingError, match="framework 'torch': want one of"):
        manifests.job("n", "ns", "s", {"framework": "torch"})


def test_progress_is_of_the_rank_that_spoke_last():
    def report(rank, at, **values):
        return {"rank": rank, "at": at, **values}

    found = progress.of(
        [
            report("a", 0.0, step=0, steps=10),
            report("b", 1.0, step=9),
            report("a", 2.0, step=4, steps=10, loss=0.5),
        ]
    )
    assert (found.fraction, found.rate, found.seconds_left) == (0.4, 2.0, 3.0)
    assert str(found) == " 40% |########............| 4/10 2/s 00:03 left loss=0.5"
    assert str(progress.of([])) == ""
    assert progress.of([report("a", 1.0, acc=1)]).fraction is None


def test_what_users_import_is_there_and_loaded_late():
    code = (
        "import sys, wherry; assert 'aiohttp' not in sys.modules; wherry.report; print(dir(wherry))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'train'" in done.stdout
