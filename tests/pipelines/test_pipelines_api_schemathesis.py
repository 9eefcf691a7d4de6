"""Schemathesis, which makes requests of the published description, against the service itself."""

import re
import subprocess
from pathlib import Path

import pytest

from wherry.objects import kinds as core
from wherry.testing import environments
from wherry.testing.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
)
EXAMPLES = 15
"""Of each method, in the phase that makes them at random."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def token(shared_platform):
    """The token of an account that may do everything: what is refused is refused for its form."""
    account = {"metadata": {"name": "schemathesis", "namespace": "default"}}
    binding = {
        "metadata": {"name": "schemathesis"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "schemathesis", "namespace": "default"}],
    }
    call, client = shared_platform.call, shared_platform.client
    call(client.create(core.SERVICE_ACCOUNTS, account))
    call(client.create(core.CLUSTER_ROLE_BINDINGS, binding))
    asked = {**account, "spec": {"audiences": ["pipelines.kubeflow.org"]}}
    made = call(client.create(core.SERVICE_ACCOUNTS, asked, subresource="token"))
    return made["status"]["token"]


def test_answers_are_as_the_description_says(shared_platform, api, token, tmp_path):
    del api  # It is there once the service answers.
    environment = environments.environment(
        ROOT / "requirements" / "clients-schemathesis.txt", ROOT / "build" / "clients"
    )

    def service():
        found = shared_platform.call(shared_platform.client.list(core.SERVICES, "kubeflow"))
        return next((each for each in found if each["metadata"]["name"] == "ml-pipeline"), None)

    url = f"http://{eventually(service, 60)['spec']['clusterIP']}:8888"
    done = subprocess.run(
        [
            *(environment / "bin" / "schemathesis", "run", f"{url}/openapi.json"),
            *("--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing"),
            *("--max-examples", str(EXAMPLES), "--continue-on-failure", "--suppress-health-check"),
            *("all", "--header", f"Authorization: Bearer {token}", "--request-timeout", "60"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=850,
        check=False,
    )
    assert done.returncode == 0, re.sub(r"Bearer \S+", "Bearer …", done.stdout[-20_000:])
