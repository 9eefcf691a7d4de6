"""Whole Workflows that pass artifacts on: the guide's example, a repository of their own, what is removed with them."""

import json
import re
from pathlib import Path

import pytest
import yaml

from wherry.metadata.artifacts import uris

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guide" / "workflows.md"


def test_the_guides_example_passes_a_table_on(workflows):
    blocks = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    wanted = next(yaml.safe_load(each) for each in blocks if "generateName: passing-" in each)
    found = workflows.ended(wanted)
    assert found["status"]["phase"] == "Succeeded", found["status"].get("message")
    nodes = {each["displayName"]: each for each in found["status"]["nodes"].values()}
    assert nodes["make"]["outputs"]["parameters"][0]["value"] == "1"
    assert [each["name"] for each in nodes["make"]["outputs"]["artifacts"]] == ["table"]


def test_artifacts_go_with_their_workflow_where_it_says_so(workflows, nodes):
    said = [{"name": "stays", "path": "/tmp/a", "artifactGC": {"strategy": "Never"}}]
    said.append({"name": "goes", "path": "/tmp/b"})
    script = {"image": "python:3.11", "command": ["sh"], "source": "echo a | tee /tmp/a > /tmp/b"}
    template = {"name": "main", "script": script, "outputs": {"artifacts": said}}
    spec = {
        "entrypoint": "main",
        "artifactGC": {"strategy": "OnWorkflowDeletion"},
        "templates": [template],
    }
    ended = workflows.ended({"metadata": {"name": "kept"}, "spec": spec})
    assert ended["status"]["phase"] == "Succeeded", ended["status"].get("message")
    root = Path(uris.path(nodes.repository().root.uri))
    left = {name: next(root.rglob(f"wherry-tmp/{name}")) for name in ("a", "b")}
    workflows.delete("kept")
    assert left["a"].exists()
    assert not left["b"].exists()


def test_rights_are_those_of_the_workflows_account(workflows):
    manifest = json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}})
    template = {"name": "main", "resource": {"action": "create", "manifest": manifest}}
    spec = {"entrypoint": "main", "templates": [template]}
    ended = workflows.ended({"metadata": {"name": "forbidden"}, "spec": spec})
    assert ended["status"]["phase"] == "Failed"
    assert "cannot create resource" in str(ended["status"]["nodes"])
