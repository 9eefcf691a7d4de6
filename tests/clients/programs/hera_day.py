"""What users of `hera` do: workflows built, checked, made, followed, ended, tried again, kept as templates."""

import json
import os
import sys
import time

import requests
from hera.workflows import (
    DAG,
    ClusterWorkflowTemplate,
    Container,
    CronWorkflow,
    Parameter,
    Step,
    Steps,
    Suspend,
    Workflow,
    WorkflowsService,
    WorkflowTemplate,
    script,
)
from hera.workflows import models as m

NAMESPACE = os.environ["NAMESPACE"]
FINAL = {"Succeeded", "Failed", "Error"}
SECONDS = 120


@script(image="python:3.11")
def double(number: int):
    print(int(number) * 2)  # noqa: T201 - its result


@script(image="python:3.11")
def fails():
    raise SystemExit(3)


def ended(service, name):
    """Return a workflow that has ended."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        found = service.get_workflow(name)
        if found.status and found.status.phase in FINAL:
            return found
        time.sleep(0.1)
    raise TimeoutError(name)


def state(service, name, wanted):
    """Wait for what a test of the workflow says."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        found = service.get_workflow(name)
        if wanted(found):
            return found
        time.sleep(0.1)
    raise TimeoutError(name)


def asked(path, query):
    """Return the answer to a call that hera has no words for."""
    answer = requests.get(
        f"{sys.argv[1]}/{path}",
        params=query,
        headers={"Authorization": f"Bearer {sys.argv[2]}"},
        timeout=SECONDS,
    )
    answer.raise_for_status()
    return answer


def logged(name):
    """Return what a workflow has said, as Argo's pages ask for it."""
    query = {"logOptions.container": "main", "logOptions.follow": "true"}
    lines = asked(f"api/v1/workflows/{NAMESPACE}/{name}/log", query).text.splitlines()
    return [json.loads(line)["result"]["content"] for line in lines]


def diamond(service):
    with (
        Workflow(
            generate_name="diamond-",
            entrypoint="main",
            namespace=NAMESPACE,
            workflows_service=service,
        ) as workflow,
        DAG(name="main"),
    ):
        first = double(name="first", arguments={"number": 1})
        left = double(name="left", arguments={"number": first.result})
        right = double(name="right", arguments={"number": first.result})
        last = double(name="last", arguments={"number": left.result})
        first >> [left, right] >> last
    assert workflow.lint().spec.entrypoint == "main"
    made = workflow.create(wait=True, poll_interval=3)
    found = service.get_workflow(made.metadata.name)
    results = {n.display_name: n.outputs.result for n in found.status.nodes.values() if n.outputs}
    return found.metadata.name, found.status.phase, results


def loops(service):
    with Workflow(
        generate_name="loops-", entrypoint="main", namespace=NAMESPACE, workflows_service=service
    ) as workflow:
        said = Container(
            name="say",
            image="python:3.11",
            command=["sh", "-c"],
            args=["echo {{inputs.parameters.word}}"],
            inputs=[Parameter(name="word")],
        )
        with Steps(name="main"):
            Step(
                name="all",
                template=said,
                arguments={"word": "{{item}}"},
                with_items=["a", "b", "c"],
            )
    made = workflow.create()
    found = ended(service, made.metadata.name)
    pods = [n for n in found.status.nodes.values() if n.type == "Pod"]
    return found.status.phase, sorted(n.display_name for n in pods)


def waiting(service):
    with Workflow(
        generate_name="waits-", entrypoint="main", namespace=NAMESPACE, workflows_service=service
    ) as workflow:
        wait = Suspend(name="wait")
        with Steps(name="main"):
            wait(name="gate")
            double(name="after", arguments={"number": 21})
    name = workflow.create().metadata.name

    def waits(found):
        nodes = (found.status and found.status.nodes) or {}
        return any(n.type == "Suspend" and n.phase == "Running" for n in nodes.values())

    state(service, name, waits)
    service.resume_workflow(name, m.WorkflowResumeRequest(name=name, namespace=NAMESPACE))
    return ended(service, name).status.phase


def again(service):
    with Workflow(
        generate_name="fails-", entrypoint="fails", namespace=NAMESPACE, workflows_service=service
    ) as workflow:
        fails()
    name = workflow.create().metadata.name
    first = ended(service, name)
    retried = service.retry_workflow(name, m.WorkflowRetryRequest(name=name, namespace=NAMESPACE))
    # It may have ended once more, but it is not at its first end any longer.
    assert retried.metadata.annotations["wherry.dev/workflow-retried"] == "1"
    second = ended(service, name)
    other = service.resubmit_workflow(
        name, m.WorkflowResubmitRequest(name=name, namespace=NAMESPACE)
    )
    third = ended(service, other.metadata.name)
    return [each.status.phase for each in (first, second, third)]


def ending(service):
    told = []
    for way, request in (
        (service.stop_workflow, m.WorkflowStopRequest),
        (service.terminate_workflow, m.WorkflowTerminateRequest),
    ):
        with Workflow(
            generate_name="long-",
            entrypoint="long",
            namespace=NAMESPACE,
            workflows_service=service,
        ) as workflow:
            Container(name="long", image="python:3.11", command=["sleep", "600"])
        name = workflow.create().metadata.name
        state(service, name, lambda found: found.status and found.status.phase == "Running")
        way(name, request(name=name, namespace=NAMESPACE))
        told.append(ended(service, name).status.phase)
        service.delete_workflow(name)
    return told


def kept(service):
    with (
        WorkflowTemplate(
            name="doubles",
            entrypoint="main",
            arguments=[Parameter(name="number", value="4")],
            namespace=NAMESPACE,
            workflows_service=service,
        ) as template,
        Steps(name="main"),
    ):
        double(name="twice", arguments={"number": "{{workflow.parameters.number}}"})
    template.lint()
    template.create()
    submitted = service.submit_workflow(
        m.WorkflowSubmitRequest(
            namespace=NAMESPACE,
            resource_kind="WorkflowTemplate",
            resource_name="doubles",
            submit_options=m.SubmitOpts(parameters=["number=50"]),
        )
    )
    found = ended(service, submitted.metadata.name)
    said = logged(found.metadata.name)
    names = [each.metadata.name for each in service.list_workflow_templates().items]
    service.delete_workflow_template("doubles")
    return names, said, service.list_workflow_templates().items


def shared(service):
    with ClusterWorkflowTemplate(
        name=f"cluster-{NAMESPACE}", entrypoint="double", workflows_service=service
    ) as template:
        double()
    made = service.create_cluster_workflow_template(
        m.ClusterWorkflowTemplateCreateRequest(template=template.build())
    )
    found = service.get_cluster_workflow_template(made.metadata.name).metadata.name
    service.delete_cluster_workflow_template(found)
    return found


def scheduled(service):
    with (
        CronWorkflow(
            name="nightly",
            entrypoint="main",
            schedules=["0 3 * * *"],
            timezone="Europe/Berlin",
            namespace=NAMESPACE,
            workflows_service=service,
        ) as cron,
        Steps(name="main"),
    ):
        double(name="twice", arguments={"number": 3})
    cron.create()
    service.suspend_cron_workflow(
        "nightly", m.CronWorkflowSuspendRequest(name="nightly", namespace=NAMESPACE)
    )
    held = service.get_cron_workflow("nightly").spec.suspend
    service.resume_cron_workflow(
        "nightly", m.CronWorkflowResumeRequest(name="nightly", namespace=NAMESPACE)
    )
    free = service.get_cron_workflow("nightly").spec.suspend
    service.delete_cron_workflow("nightly")
    return [bool(held), bool(free)]


def limited(service):
    limit = {"cm_name": "limits", "key": "db", "namespace": NAMESPACE}
    service.create_sync_limit(m.CreateSyncLimitRequest(limit=2, **limit))
    service.update_sync_limit("db", m.UpdateSyncLimitRequest(limit=3, **limit))
    service.get_sync_limit("db", cm_name="limits")
    # hera throws away what it is told.
    found = asked(f"api/v1/sync/{NAMESPACE}/db", {"cmName": "limits"}).json()
    service.delete_sync_limit("db", cm_name="limits")
    return found["limit"]


def main():
    service = WorkflowsService(host=sys.argv[1], token=sys.argv[2], namespace=NAMESPACE)
    name, phase, results = diamond(service)
    pods = [n.id for n in service.get_workflow(name).status.nodes.values() if n.type == "Pod"]
    archived = service.list_archived_workflows(namespace=NAMESPACE).items or []
    told = {
        "diamond": [phase, results, len(pods)],
        "loops": loops(service),
        "waiting": waiting(service),
        "again": again(service),
        "ending": ending(service),
        "kept": kept(service),
        "shared": shared(service),
        "scheduled": scheduled(service),
        "limited": limited(service),
        "archived": [each.metadata.name for each in archived],
        "listed": name in [each.metadata.name for each in service.list_workflows().items],
        "user": service.get_user_info().subject,
        "version": service.get_version().version,
    }
    print(json.dumps(told))  # noqa: T201 - read by the test


main()
