"""Packages of KFP v1, compiled and run by the last release of its SDK, unchanged; and run as Workflows."""

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from wherry.embedded.settings import Settings
from wherry.objects import errors
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines.workflows import kinds
from wherry.testing import environments
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.waiting import eventually

ROOT = Path(__file__).parents[3]
PROGRAMS = ROOT / "tests" / "clients" / "programs"
NAMESPACE = "kfp-v1"
SECONDS = 300
FINAL = ("Succeeded", "Failed", "Error")
FAILS = ("ends",)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * SECONDS)]


def _named(name: str) -> pytest.MarkDecorator:
    return pytest.mark.conformance("argo", group="kfp-v1", name=name)


@pytest.fixture(scope="module")
def python() -> Path:
    pins = ROOT / "requirements" / "clients-pipelines-v1.txt"
    folder = environments.environment(pins, ROOT / "build" / "clients")
    return folder / "bin" / "python"


def _run(python: Path, home: Path, program: str, *arguments: str) -> Any:
    done = subprocess.run(
        [str(python), "-W", "ignore", str(PROGRAMS / program), *arguments],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def packages(python: Path, home: Path) -> dict[str, Path]:
    """Give the compiled packages by their names."""
    folder = home / "packages"
    folder.mkdir()
    _run(python, home, "kfp_v1_packages.py", str(folder))
    return {path.stem: path for path in folder.glob("*.yaml")}


@pytest.fixture(scope="module")
def platform() -> Iterator[InProcessPlatform]:
    """Give a platform with the namespace and the account that an installation of KFP has."""
    with tempfile.TemporaryDirectory(prefix="wherry-") as folder:
        # The images' names stand for environments and this machine's tools: nothing is fetched.
        settings = Settings(directory=Path(folder), port=0, image_runtime="environment")
        made = InProcessPlatform(settings)
        made.start()
        try:
            _prepare(made)
            yield made
        finally:
            made.stop()


def _prepare(platform: InProcessPlatform) -> None:
    call, client = platform.call, platform.client
    call(client.create(core.NAMESPACES, {"metadata": {"name": NAMESPACE}}))
    account = {"metadata": {"name": "pipeline-runner", "namespace": NAMESPACE}}
    call(client.create(core.SERVICE_ACCOUNTS, account))
    _bind(platform, "edit", "pipeline-runner")
    _bind(platform, "admin", "default")


def _bind(platform: InProcessPlatform, role: str, account: str) -> None:
    binding = {
        "metadata": {"name": role, "namespace": NAMESPACE},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
    }
    platform.call(platform.client.create(core.ROLE_BINDINGS, binding))


@pytest.fixture(scope="module")
def ended(
    platform: InProcessPlatform, python: Path, home: Path, packages: dict[str, Path]
) -> dict[str, Any]:
    """Give how runs of all packages ended that the SDK's client started, by name."""
    folder = str(next(iter(packages.values())).parent)
    arguments = (_address(platform), _token(platform), NAMESPACE, folder)
    return dict(_run(python, home, "kfp_v1_runs.py", *arguments))


def _address(platform: InProcessPlatform) -> str:
    def service() -> Object | None:
        with contextlib.suppress(errors.NotFoundError):
            return platform.call(platform.client.get(core.SERVICES, "ml-pipeline", "kubeflow"))
        return None

    found = eventually(service, 60)
    assert found is not None
    return f"http://{found['spec']['clusterIP']}:8888"


def _token(platform: InProcessPlatform) -> str:
    request = {"metadata": {"namespace": NAMESPACE}, "spec": {"expirationSeconds": 7200}}

    def told() -> str | None:
        made = platform.client.create(
            core.SERVICE_ACCOUNTS, request, subresource="token", name="default"
        )
        with contextlib.suppress(errors.NotFoundError):  # it is made a moment after its namespace
            return str(platform.call(made)["status"]["token"])
        return None

    return str(eventually(told, 60))


def _steps(told: Object) -> list[tuple[str, str, list[str]]]:
    """Return name, phase and outputs of the steps of a run."""
    found = [(name, phase, given) for name, kind, phase, given, _ in told["nodes"] if kind == "Pod"]
    return sorted(found)


def _check(told: Object, phase: str = "Succeeded") -> None:
    assert (told["status"], told["phase"]) == (phase, phase), told
    assert told["labelled"]


@_named("sums")
def test_outputs_go_from_step_to_step(ended: dict[str, Any]) -> None:
    told = ended["sums"]
    _check(told)
    assert told["parameters"] == {"first": "3", "second": "4"}
    assert told["name"].startswith("sums-")
    # The second one may be tried again, and is a step of its own each time.
    assert _steps(told) == [("add", "Succeeded", ["7.0"]), ("add-2(0)", "Succeeded", [])]
    assert told["artifacts"] == {"add-Output": "7.0", "add-2-Output": "17.0"}


@_named("files")
def test_files_go_from_step_to_step(ended: dict[str, Any]) -> None:
    _check(ended["files"])
    assert ended["files"]["artifacts"] == {
        "write-written": "xyxyxy",
        "read-Output": "xyxyxy",
    }


@_named("conditions")
def test_conditions(ended: dict[str, Any]) -> None:
    _check(ended["conditions"])
    phases = {name: phase for name, _, phase, _, _ in ended["conditions"]["nodes"]}
    assert (phases["condition-1"], phases["condition-2"]) == ("Succeeded", "Skipped")
    assert [name for name, _, _ in _steps(ended["conditions"])] == ["flip", "say"]


@_named("loops")
def test_loops(ended: dict[str, Any]) -> None:
    _check(ended["loops"])
    counted = [name for name, _, _ in _steps(ended["loops"])]
    assert counted == ["add", "add", "listed", "say", "say"]


@_named("ends")
def test_exit_handlers(ended: dict[str, Any]) -> None:
    _check(ended["ends"], "Failed")
    steps = {name: phase for name, phase, _ in _steps(ended["ends"])}
    assert steps.pop("breaks") == "Failed"
    assert [*steps.values()] == ["Succeeded"]


@_named("recursion")
def test_recursion(ended: dict[str, Any]) -> None:
    _check(ended["recursion"])
    outputs = sorted(given for _, _, given in _steps(ended["recursion"]))
    assert outputs == [["0.0"], ["1.0"], ["2.0"]]


@_named("volumes")
def test_volumes(ended: dict[str, Any]) -> None:
    _check(ended["volumes"])


@_named("resources")
def test_resources(ended: dict[str, Any]) -> None:
    _check(ended["resources"])
    outputs = {name: given for name, _, given in _steps(ended["resources"])}
    assert "green" in outputs["make"]


@_named("shown")
def test_metrics_and_pages(ended: dict[str, Any]) -> None:
    told = ended["shown"]
    _check(told)
    assert told["metrics"] == [["accuracy", 0.93, "PERCENTAGE"]]
    shown = json.loads(told["artifacts"]["mlpipeline-ui-metadata"])
    assert shown["outputs"][0]["source"] == "# Well"


def test_packages_are_workflows_as_they_are(
    platform: InProcessPlatform, packages: dict[str, Path]
) -> None:
    made = {}
    for name, path in packages.items():
        workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
        workflow["metadata"]["namespace"] = NAMESPACE
        created = platform.call(platform.client.create(kinds.WORKFLOWS, workflow))
        made[name] = created["metadata"]["name"]

    def phases() -> dict[str, str]:
        found = {
            name: platform.call(platform.client.get(kinds.WORKFLOWS, each, NAMESPACE))
            for name, each in made.items()
        }
        told = {name: str((each.get("status") or {}).get("phase")) for name, each in found.items()}
        return told if all(each in FINAL for each in told.values()) else {}

    wanted = {name: "Failed" if name in FAILS else "Succeeded" for name in made}
    assert eventually(phases, SECONDS) == wanted
