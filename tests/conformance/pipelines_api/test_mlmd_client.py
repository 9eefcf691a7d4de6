"""The client of ML Metadata, unchanged: its own tests, against the metadata service."""

import json
import os
import re
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.testing import environments
from wherry.testing.fixtures import shared_platform
from wherry.testing.waiting import eventually

__all__ = ["shared_platform"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PROGRAMS = HERE / "programs"
AUDIENCE = "pipelines.kubeflow.org"
RBAC = "rbac.authorization.k8s.io"
GROUP = "ml-metadata"
TESTS = "lib/python*/site-packages/ml_metadata/metadata_store/metadata_store_test.py"


GUIDE = ROOT / "docs" / "guide" / "metadata-service.md"
PREPARED = """
import with_identity
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as proto
store = MetadataStore(proto.MetadataStoreClientConfig(host="{address}", port=8080))
task = proto.Execution(
    type_id=store.put_execution_type(proto.ExecutionType(name="system.ContainerExecution")),
    last_known_state=3,
    custom_properties={{"display_name": proto.Value(string_value="step")}},
)
type_id = store.put_context_type(proto.ContextType(name="system.PipelineRun"))
store.put_execution(task, [], [proto.Context(type_id=type_id, name="a-run")])
"""


def _cases():
    rows = json.loads((HERE / "names" / f"{GROUP}.json").read_text())
    return [
        pytest.param(
            row["name"],
            marks=pytest.mark.conformance("pipelines-api", group=GROUP, name=row["name"]),
        )
        for row in rows
        if not row.get("notApplicable")
    ]


def _account(platform):
    """Return a new namespace, and the token of an account that may edit in it."""
    call, client = platform.call, platform.client
    made = call(client.create(core.NAMESPACES, {"metadata": {"generateName": "mlmd-"}}))
    namespace = metadata.name(made)
    account = {"metadata": {"name": "robot", "namespace": namespace}}
    call(client.create(core.SERVICE_ACCOUNTS, account))
    binding = {
        "metadata": {"name": "robot", "namespace": namespace},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": namespace}],
    }
    call(client.create(core.ROLE_BINDINGS, binding))
    asked = {**account, "spec": {"audiences": [AUDIENCE]}}
    told = call(client.create(core.SERVICE_ACCOUNTS, asked, subresource="token"))
    return namespace, told["status"]["token"]


def _address(platform):
    def found():
        services = platform.call(platform.client.list(core.SERVICES, "kubeflow"))
        return next((e for e in services if metadata.name(e) == "metadata-grpc-service"), None)

    return eventually(found, 60)["spec"]["clusterIP"]


class Clients:
    """Runs programs with the client, each as an account of a namespace of its own."""

    def __init__(self, platform, folder):
        self.platform = platform
        self.folder = folder
        pins = ROOT / "requirements" / "clients-mlmd.txt"
        self.environment = environments.environment(pins, ROOT / "build" / "clients")

    def run(self, *arguments):
        """Return what a program has written; whether it ended well is in it."""
        namespace, token = _account(self.platform)
        return subprocess.run(
            [self.environment / "bin" / "python", "-W", "ignore", *arguments],
            cwd=self.folder,
            env={
                "PATH": f"{self.environment / 'bin'}:{os.environ['PATH']}",
                "HOME": str(self.folder),
                "PYTHONPATH": str(PROGRAMS),
                "NAMESPACE": namespace,
                "TOKEN": token,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )


@pytest.fixture(scope="session")
def clients(shared_platform, tmp_path_factory):
    return Clients(shared_platform, tmp_path_factory.mktemp("mlmd"))


@pytest.fixture(scope="session")
def outcomes(clients):
    """Return what is wrong with each of the client's own tests, by name; nothing is an empty text."""
    report, settings = clients.folder / "report.xml", clients.folder / "pytest.ini"
    settings.write_text("[pytest]\n")
    (tests,) = clients.environment.glob(TESTS)
    done = clients.run(
        *("-m", "pytest", tests, "-p", "with_identity", "-c", settings, "-p", "no:cacheprovider"),
        *("--use_grpc_backend", "--grpc_host", _address(clients.platform), "--grpc_port", "8080"),
        *("-q", f"--junitxml={report}"),
    )
    assert report.exists(), done.stdout[-2000:] + done.stderr[-4000:]
    return {case.get("name"): "\n".join(_texts(case)) for case in ET.parse(report).iter("testcase")}


def _texts(case):
    for tag in ("failure", "error", "skipped"):
        for found in case.iter(tag):
            yield f"{tag}: {found.get('message', '')} {found.text or ''}"


@pytest.mark.parametrize("name", _cases())
def test_a_case_of_the_client(outcomes, name):
    assert outcomes[name] == ""


def test_every_case_is_listed(outcomes):
    rows = json.loads((HERE / "names" / f"{GROUP}.json").read_text())
    assert set(outcomes) == {row["name"] for row in rows}


@pytest.mark.parametrize("seed", range(4))
def test_the_service_answers_as_the_clients_own_store(clients, seed):
    done = clients.run(
        PROGRAMS / "mlmd_oracle.py", f"{_address(clients.platform)}:8080", str(seed), "400"
    )
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["done"] > 300
    assert told["differences"] == [], json.dumps(told["differences"], indent=1)[:6000]


def test_the_example_of_the_guide(clients):
    (example,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert "metadata-grpc-service.kubeflow" in example
    address = _address(clients.platform)
    program = "\n".join(
        [
            "import os",
            "token, run_id = os.environ['TOKEN'], 'a-run'",
            PREPARED.format(address=address),
            example.replace("metadata-grpc-service.kubeflow", address).replace(
                '"team"', "os.environ['NAMESPACE']"
            ),
        ]
    )
    done = clients.run("-c", program)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout == "step 3\n"
