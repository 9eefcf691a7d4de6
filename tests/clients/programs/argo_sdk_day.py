"""What users of `argo-workflows`, the generated SDK, do: a workflow made, followed, listed, ended, deleted."""

import json
import os
import sys
import time

import argo_workflows
from argo_workflows.api import (
    archived_workflow_service_api,
    info_service_api,
    workflow_service_api,
    workflow_template_service_api,
)
from argo_workflows.model.container import Container
from argo_workflows.model.io_argoproj_workflow_v1alpha1_template import (
    IoArgoprojWorkflowV1alpha1Template,
)
from argo_workflows.model.io_argoproj_workflow_v1alpha1_workflow import (
    IoArgoprojWorkflowV1alpha1Workflow,
)
from argo_workflows.model.io_argoproj_workflow_v1alpha1_workflow_create_request import (
    IoArgoprojWorkflowV1alpha1WorkflowCreateRequest,
)
from argo_workflows.model.io_argoproj_workflow_v1alpha1_workflow_resubmit_request import (
    IoArgoprojWorkflowV1alpha1WorkflowResubmitRequest,
)
from argo_workflows.model.io_argoproj_workflow_v1alpha1_workflow_spec import (
    IoArgoprojWorkflowV1alpha1WorkflowSpec,
)
from argo_workflows.model.object_meta import ObjectMeta

NAMESPACE = os.environ["NAMESPACE"]
SECONDS = 120


def ended(api, name):
    """Return a workflow that has ended."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        found = api.get_workflow(namespace=NAMESPACE, name=name, _check_return_type=False)
        if found.get("status", {}).get("phase") in {"Succeeded", "Failed", "Error"}:
            return found
        time.sleep(0.1)
    raise TimeoutError(name)


def main():
    configuration = argo_workflows.Configuration(host=sys.argv[1])
    client = argo_workflows.ApiClient(
        configuration, header_name="Authorization", header_value=f"Bearer {sys.argv[2]}"
    )
    api = workflow_service_api.WorkflowServiceApi(client)
    manifest = IoArgoprojWorkflowV1alpha1Workflow(
        metadata=ObjectMeta(generate_name="sdk-"),
        spec=IoArgoprojWorkflowV1alpha1WorkflowSpec(
            entrypoint="say",
            templates=[
                IoArgoprojWorkflowV1alpha1Template(
                    name="say",
                    container=Container(image="python:3.11", command=["echo"], args=["hello"]),
                )
            ],
        ),
    )
    made = api.create_workflow(
        namespace=NAMESPACE,
        body=IoArgoprojWorkflowV1alpha1WorkflowCreateRequest(workflow=manifest),
        _check_return_type=False,
    )
    name = made["metadata"]["name"]
    found = ended(api, name)
    other = api.resubmit_workflow(
        namespace=NAMESPACE,
        name=name,
        body=IoArgoprojWorkflowV1alpha1WorkflowResubmitRequest(name=name, namespace=NAMESPACE),
        _check_return_type=False,
    )
    second = ended(api, other["metadata"]["name"])
    listed = api.list_workflows(namespace=NAMESPACE, _check_return_type=False)["items"]
    archived = archived_workflow_service_api.ArchivedWorkflowServiceApi(client)
    kept = archived.list_archived_workflows(namespace=NAMESPACE, _check_return_type=False)["items"]
    templates = workflow_template_service_api.WorkflowTemplateServiceApi(client)
    told = {
        "phases": [found["status"]["phase"], second["status"]["phase"]],
        "listed": sorted(each["metadata"]["name"] for each in listed),
        "made": sorted([name, other["metadata"]["name"]]),
        "kept": sorted(each["metadata"]["name"] for each in kept),
        "templates": templates.list_workflow_templates(
            namespace=NAMESPACE, _check_return_type=False
        )["items"],
        "user": info_service_api.InfoServiceApi(client).get_user_info()["service_account_name"],
    }
    api.delete_workflow(namespace=NAMESPACE, name=name)
    print(json.dumps(told))  # noqa: T201 - read by the test


main()
