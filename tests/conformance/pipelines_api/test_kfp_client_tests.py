"""KFP's own end-to-end tests of its client, run unmodified against the service.

They are read from the checkout that WHERRY_PIPELINES names, and run with the released SDK.
"""

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from wherry.objects import kinds as core
from wherry.testing import environments
from wherry.testing.waiting import eventually

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
CHECKOUT = os.environ.get("WHERRY_PIPELINES", "")
GROUP = "kfp-client-tests"
TESTS = "sdk/python/test"
PACKAGES = (
    "iniconfig==2.3.1",
    "packaging==26.3",
    "pluggy==1.7.0",
    "pygments==2.21.0",
    "pytest==9.2.0",
)
RBAC = "rbac.authorization.k8s.io"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not CHECKOUT, reason="WHERRY_PIPELINES names no checkout"),
]


def names():
    rows = json.loads((HERE / "names" / f"{GROUP}.json").read_text(encoding="utf-8"))
    return [row["name"] for row in rows]


def cases():
    for name in names():
        mark = pytest.mark.conformance("pipelines-api", group=GROUP, name=name)
        yield pytest.param(name, marks=mark, id=name)


@pytest.fixture(scope="module")
def access(shared_platform, api):
    """The service's address, and the token of an account that may edit where these tests do."""
    assert api.call("GET", "/healthz").status == 200
    call, client = shared_platform.call, shared_platform.client
    account = {"metadata": {"name": "kfp-tests", "namespace": "default"}}
    call(client.create(core.SERVICE_ACCOUNTS, account))
    for namespace in ("default", "kubeflow"):
        binding = {
            "metadata": {"name": "kfp-tests", "namespace": namespace},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "edit"},
            "subjects": [{"kind": "ServiceAccount", **account["metadata"]}],
        }
        call(client.create(core.ROLE_BINDINGS, binding))
    asked = {**account, "spec": {"audiences": ["pipelines.kubeflow.org"]}}
    made = call(client.create(core.SERVICE_ACCOUNTS, asked, subresource="token"))
    service = eventually(lambda: call(client.get(core.SERVICES, "ml-pipeline", "kubeflow")), 60)
    return f"http://{service['spec']['clusterIP']}:8888", made["status"]["token"]


@pytest.fixture(scope="module")
def outcomes(access, tmp_path_factory):
    """Return what is wrong with each of the tests; nothing wrong is an empty text."""
    folder = tmp_path_factory.mktemp("kfp-client")
    environment = environments.environment(
        ROOT / "requirements" / "clients-pipelines.txt", ROOT / "build" / "clients"
    )
    python, packages = environment / "bin" / "python", folder / "packages"
    install = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--no-deps"]
    wanted = ["--python", str(python), "--target", str(packages), *PACKAGES]
    subprocess.run([*install, *wanted], check=True, timeout=300)
    # Without the sources of the SDK, which lie beside them.
    shutil.copytree(Path(CHECKOUT, TESTS), folder / TESTS)
    for name in ("backend", "test_data"):
        (folder / name).symlink_to(Path(CHECKOUT, name).resolve())
    written = folder / "outcomes.xml"
    url, token = access
    done = subprocess.run(
        [
            *(python, "-W", "ignore", "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *(f"--junitxml={written}", folder / TESTS / "client"),
        ],
        env={
            "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
            "HOME": str(folder),
            "PYTHONPATH": os.pathsep.join((str(packages), str(folder))),
            "apiUrl": url,
            "authToken": token,
            "namespace": "kubeflow",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode in {0, 1}, done.stdout[-4000:] + done.stderr[-2000:]
    found: dict[str, str] = {}
    for each in ET.parse(written).iter("testcase"):
        # What goes wrong after a test is told as a case of its own.
        wrong = [*each.iter("failure"), *each.iter("error"), *each.iter("skipped")]
        said = "\n".join(one.attrib.get("message", "") + (one.text or "") for one in wrong)
        found[each.attrib["name"]] = found.get(each.attrib["name"], "") + said
    return found


@pytest.mark.parametrize("name", [*cases()])
def test_it_passes(outcomes, name):
    assert name in outcomes, "it did not run"
    assert outcomes[name] == ""


def test_no_test_is_left_out(outcomes):
    assert outcomes.keys() == set(names())
