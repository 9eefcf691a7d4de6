"""Argo's kinds as the API has them."""

import pytest

from wherry.pipelines.workflows import declared, kinds

DEFINITIONS = {kind.resource.kind: kind.definition()["spec"] for kind in declared.KINDS}


@pytest.mark.parametrize(
    ("kind", "plural", "short", "scope", "subresources"),
    [
        ("Workflow", "workflows", ["wf"], "Namespaced", {}),
        ("WorkflowTemplate", "workflowtemplates", ["wftmpl"], "Namespaced", {}),
        (
            "ClusterWorkflowTemplate",
            "clusterworkflowtemplates",
            ["clusterwftmpl", "cwft"],
            "Cluster",
            {},
        ),
        ("CronWorkflow", "cronworkflows", ["cwf", "cronwf"], "Namespaced", {}),
        ("WorkflowTaskResult", "workflowtaskresults", [], "Namespaced", {}),
        ("WorkflowTaskSet", "workflowtasksets", ["wfts"], "Namespaced", {"status": {}}),
        (
            "WorkflowArtifactGCTask",
            "workflowartifactgctasks",
            ["wfat"],
            "Namespaced",
            {"status": {}},
        ),
        ("WorkflowEventBinding", "workfloweventbindings", ["wfeb"], "Namespaced", {}),
    ],
)
def test_names_and_subresources_are_upstreams(kind, plural, short, scope, subresources):
    spec = DEFINITIONS[kind]
    assert spec["group"] == "argoproj.io"
    assert spec["scope"] == scope
    assert spec["names"]["plural"] == plural
    assert spec["names"].get("shortNames", []) == short
    (version,) = spec["versions"]
    assert version["name"] == "v1alpha1"
    assert version.get("subresources", {}) == subresources


def test_columns_of_workflows_are_upstreams():
    (version,) = DEFINITIONS["Workflow"]["versions"]
    columns = [(each["name"], each["jsonPath"]) for each in version["additionalPrinterColumns"]]
    assert columns == [
        ("Status", ".status.phase"),
        ("Age", ".status.startedAt"),
        ("Message", ".status.message"),
    ]
    assert kinds.WORKFLOWS.api_version == "argoproj.io/v1alpha1"
