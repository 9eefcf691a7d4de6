"""Workflows on a platform, with real pods: what their objects say at the end, and what others may do to them."""

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines.workflows import kinds, nodes, operations
from wherry.pipelines.workflows.controller import telling
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.pipelines_api import PipelinesApi
from wherry.testing.waiting import eventually

SECONDS = 120
FINAL = ("Succeeded", "Failed", "Error")
IMAGE = "python:3.11"


class Workflows:
    """Makes workflows in a namespace of its own."""

    def __init__(self, on: InProcessPlatform) -> None:
        self.platform, self.client = on, on.client
        body = {"metadata": {"generateName": "workflows-"}}
        self.namespace = metadata.name(on.call(on.client.create(core.NAMESPACES, body)))

    def make(self, *templates: Object, **spec: Any) -> str:
        """Make a workflow; return its name."""
        body = {
            "metadata": {"generateName": "wf-", "namespace": self.namespace},
            "spec": {"entrypoint": templates[0]["name"], "templates": [*templates], **spec},
        }
        return metadata.name(self.platform.call(self.client.create(kinds.WORKFLOWS, body)))

    def get(self, name: str) -> Object:
        """Return a workflow."""
        return self.platform.call(self.client.get(kinds.WORKFLOWS, name, self.namespace))

    def until(self, name: str, holds: Callable[[Object], object]) -> Object:
        """Return a workflow once something holds of it."""

        def look() -> Object:
            found = self.get(name)
            return found if holds(found) else {}

        return eventually(look, SECONDS, what=f"{name} as wanted")

    def ended(self, name: str) -> Object:
        """Return a workflow once it has ended."""
        return self.until(name, lambda found: phase(found) in FINAL)

    def change(self, name: str, change: Callable[[Object], Object]) -> None:
        """Do something to a workflow, as a client does that only knows the API."""

        def attempt() -> bool:
            try:
                self.platform.call(self.client.update(kinds.WORKFLOWS, change(self.get(name))))
            except errors.ConflictError:
                return False
            return True

        eventually(attempt, SECONDS, what="no conflict")

    def create(self, resource: Any, name: str, **fields: Any) -> Object:
        """Make another object."""
        body = {"metadata": {"name": name, "namespace": self.namespace}, **fields}
        return self.platform.call(self.client.create(resource, body))


@pytest.fixture
def workflows(shared_platform: InProcessPlatform) -> Workflows:
    """Workflows in a namespace of the test's own."""
    return Workflows(shared_platform)


def phase(workflow: Object) -> str:
    return str((workflow.get("status") or {}).get("phase") or "")


def named(workflow: Object) -> dict[str, Object]:
    """The nodes of a workflow by the names that people see."""
    return {each["displayName"]: each for each in nodes.stored(workflow).values()}


def shell(name: str, script: str, **more: Any) -> Object:
    return {"name": name, "container": {"image": IMAGE, "command": ["sh", "-ec", script]}, **more}


def steps(*groups: list[Object], name: str = "main", **more: Any) -> Object:
    return {"name": name, "steps": [*groups], **more}


def waits(name: str) -> Callable[[Object], bool]:
    """Tell whether a node of this name runs."""
    return lambda found: (named(found).get(name) or {}).get("phase") == "Running"


def messages(workflow: Object) -> Iterator[str]:
    for each in nodes.stored(workflow).values():
        yield str(each.get("message") or "")


def test_outputs_go_from_step_to_step_and_into_the_status(workflows: Workflows) -> None:
    made = shell(
        "make",
        "echo said; printf 42 > /tmp/number",
        outputs={"parameters": [{"name": "n", "valueFrom": {"path": "/tmp/number"}}]},
    )
    taken = shell("take", "test '{{inputs.parameters.v}}' = '42 said {{workflow.name}}'")
    taken["inputs"] = {"parameters": [{"name": "v"}]}
    value = "{{steps.a.outputs.parameters.n}} {{steps.a.outputs.result}} {{workflow.name}}"
    given = {"parameters": [{"name": "v", "value": value}]}
    name = workflows.make(
        steps(
            [{"name": "a", "template": "make"}],
            [{"name": "b", "template": "take", "arguments": given}],
        ),
        made,
        taken,
    )
    workflow = workflows.ended(name)
    assert phase(workflow) == "Succeeded", [*messages(workflow)]
    status = workflow["status"]
    assert status["progress"] == "2/2"
    assert {"type": "Completed", "status": "True"} in status["conditions"]
    assert workflow["metadata"]["labels"][kinds.COMPLETED_LABEL] == "true"
    first = named(workflow)["a"]
    assert first["outputs"]["result"] == "said"
    assert first["outputs"]["parameters"][0]["value"] == "42"
    assert first["boundaryID"] == name
    assert first["children"] == [named(workflow)["[1]"]["id"]]
    assert named(workflow)[name]["outboundNodes"] == [named(workflow)["b"]["id"]]


def test_a_step_waits_until_somebody_says_what_it_gives(workflows: Workflows) -> None:
    approve = {
        "name": "approve",
        "suspend": {},
        "outputs": {"parameters": [{"name": "who", "valueFrom": {"supplied": {}}}]},
    }
    taken = shell("take", "test '{{inputs.parameters.who}}' = ann")
    taken["inputs"] = {"parameters": [{"name": "who"}]}
    value = {"name": "who", "value": "{{steps.approve.outputs.parameters.who}}"}
    name = workflows.make(
        steps(
            [{"name": "approve", "template": "approve"}],
            [{"name": "after", "template": "take", "arguments": {"parameters": [value]}}],
        ),
        approve,
        taken,
    )
    workflows.until(name, waits("approve"))
    workflows.change(
        name, lambda found: operations.set_(found, "displayName=approve", {"who": "ann"})
    )
    workflows.change(name, operations.resume)
    assert phase(workflows.ended(name)) == "Succeeded"


def test_a_workflow_that_is_held_begins_nothing(workflows: Workflows) -> None:
    name = workflows.make(
        steps([{"name": "a", "template": "say"}]), shell("say", "true"), suspend=True
    )
    workflows.until(name, lambda found: phase(found) == "Running")
    assert "a" not in named(workflows.get(name))
    workflows.change(name, operations.resume)
    assert phase(workflows.ended(name)) == "Succeeded"


@pytest.mark.parametrize("how", ["stop", "terminate"])
def test_a_workflow_that_is_ended(workflows: Workflows, how: str) -> None:
    long = shell("long", "sleep 600")
    name = workflows.make(
        steps([{"name": "a", "template": "long"}]), long, shell("bye", "true"), onExit="bye"
    )
    workflows.until(name, waits("a"))
    workflows.change(name, operations.stop if how == "stop" else operations.terminate)
    workflow = workflows.ended(name)
    assert phase(workflow) == "Failed"
    assert workflow["status"]["message"] == f"Stopped with strategy '{how.capitalize()}'"
    assert (f"{name}.onExit" in named(workflow)) == (how == "stop")


def test_a_workflow_that_failed_is_taken_up_again(workflows: Workflows) -> None:
    config = "switch"
    workflows.create(core.CONFIG_MAPS, config, data={"to": "false"})
    source = {"configMapKeyRef": {"name": config, "key": "to"}}
    env = [{"name": "TO", "valueFrom": source}]
    bad = shell("bad", "$TO")
    bad["container"]["env"] = env
    name = workflows.make(
        steps(
            [{"name": "a", "template": "say"}],
            [{"name": "b", "template": "bad"}],
            [{"name": "c", "template": "say"}],
        ),
        shell("say", "true"),
        bad,
    )
    failed = workflows.ended(name)
    assert phase(failed) == "Failed"
    patch = {"data": {"to": "true"}}
    workflows.platform.call(
        workflows.client.patch(core.CONFIG_MAPS, config, patch, workflows.namespace)
    )
    workflows.change(name, operations.retry)
    workflow = workflows.until(name, lambda found: phase(found) == "Succeeded")
    assert named(workflow)["a"] == {
        **named(failed)["a"],
        "children": named(workflow)["a"]["children"],
    }
    assert named(workflow)["c"]["phase"] == "Succeeded"
    again = operations.resubmit(workflow)
    made = workflows.platform.call(workflows.client.create(kinds.WORKFLOWS, again))
    assert phase(workflows.ended(metadata.name(made))) == "Succeeded"


def test_what_succeeded_is_taken_over_and_what_failed_is_done(workflows: Workflows) -> None:
    workflows.create(core.CONFIG_MAPS, "switch", data={"to": "false"})
    bad = shell("bad", "$TO", retryStrategy={"affinity": {"nodeAntiAffinity": {}}, "limit": 0})
    bad["container"]["env"] = [
        {"name": "TO", "valueFrom": {"configMapKeyRef": {"name": "switch", "key": "to"}}}
    ]
    say = shell("say", "cat /proc/sys/kernel/random/uuid")
    given = {"parameters": [{"name": "v", "value": "{{steps.a.outputs.result}}"}]}
    name = workflows.make(
        steps(
            [{"name": "a", "template": "say"}],
            [{"name": "b", "template": "bad"}],
            [{"name": "c", "template": "show", "arguments": given}],
        ),
        say,
        bad,
        shell("show", "echo {{inputs.parameters.v}}", inputs={"parameters": [{"name": "v"}]}),
    )
    failed = workflows.ended(name)
    patch = {"data": {"to": "true"}}
    client = workflows.client
    workflows.platform.call(client.patch(core.CONFIG_MAPS, "switch", patch, workflows.namespace))
    again = operations.resubmit(failed, memoized=True)
    made = workflows.ended(
        metadata.name(workflows.platform.call(client.create(kinds.WORKFLOWS, again)))
    )
    assert phase(made) == "Succeeded", [*messages(made)]
    assert named(made)["a"]["outputs"] == named(failed)["a"]["outputs"]
    assert named(made)["a"]["message"] == f"original pod: {named(failed)['a']['id']}"
    said = named(failed)["a"]["outputs"]["result"]
    assert named(made)["c"]["inputs"]["parameters"] == [{"name": "v", "value": said}]
    pods = workflows.platform.call(client.list(core.PODS, workflows.namespace)).items
    mine = [
        each for each in pods if metadata.labels(each)[kinds.WORKFLOW_LABEL] == metadata.name(made)
    ]
    assert len(mine) == 2

    def told() -> bool:
        pods = workflows.platform.call(client.list(core.PODS, workflows.namespace)).items
        return {metadata.labels(each)[kinds.COMPLETED_LABEL] for each in pods} == {"true"}

    eventually(told, SECONDS, what="pods that have ended")
    with pytest.raises(errors.BadRequestError, match="must be Failed or Error"):
        operations.resubmit(made, memoized=True)

    def ignored() -> str:
        events = workflows.platform.call(client.list(core.EVENTS, workflows.namespace)).items
        return "".join(
            each["message"]
            for each in events
            if each["reason"] == "FieldIgnored" and each["involvedObject"]["name"] == name
        )

    assert "spec.templates[2].retryStrategy.affinity" in eventually(ignored, SECONDS)


def test_a_budget_is_there_as_long_as_its_workflow_runs(workflows: Workflows) -> None:
    wait = {"name": "wait", "suspend": {}}
    name = workflows.make(wait, podDisruptionBudget={"minAvailable": "100%"})
    made = workflows.until(name, waits(name))

    def budgets() -> list[Object]:
        listed = workflows.client.list(core.POD_DISRUPTION_BUDGETS, workflows.namespace)
        return workflows.platform.call(listed).items

    [budget] = budgets()
    assert budget["spec"]["selector"]["matchLabels"] == {kinds.WORKFLOW_LABEL: name}
    assert budget["spec"]["minAvailable"] == "100%"
    reference = metadata.controller_of(budget)
    assert reference is not None
    assert reference["uid"] == metadata.uid(made)
    workflows.change(name, operations.resume)
    workflows.ended(name)
    eventually(lambda: not budgets(), SECONDS, what="the end of the budget")
    bad = workflows.ended(
        workflows.make(wait, podDisruptionBudget={"minAvailable": 1, "maxUnavailable": 1})
    )
    assert phase(bad) == "Error"
    assert "spec.podDisruptionBudget: " in bad["status"]["message"]


def test_a_template_of_a_kind_that_is_not_run_ends_its_workflow(workflows: Workflows) -> None:
    ended = workflows.ended(workflows.make({"name": "main", "plugin": {"hello": {}}}))
    assert phase(ended) == "Error"
    assert "templates of plugin are not run here" in ended["status"]["message"]
    with pytest.raises(errors.InvalidError, match=r"spec\.templates\[0\]: says not what it does"):
        workflows.make({"name": "main"})


def test_metrics_of_workflows_and_templates_are_told(workflows: Workflows) -> None:
    about = f"n{workflows.namespace.replace('-', '_')}"
    label = [{"key": "status", "value": "{{status}}"}]

    def metric(name: str, **fields: Any) -> Object:
        return {"name": f"{about}_{name}", "help": 'Of "this".', "labels": label, **fields}

    runs = metric("runs", counter={"value": "1"}, when="{{status}} == Succeeded")
    never = metric("never", counter={"value": "1"}, when="{{status}} == Error")
    size = metric("size", histogram={"value": "{{outputs.parameters.n}}", "buckets": [10, 100]})
    given = metric("given", gauge={"value": "{{=asInt(inputs.parameters.i) * 2}}"})
    words = metric("words", gauge={"value": "{{inputs.parameters.word}}"})
    nowhere = metric("nowhere", gauge={"value": "{{outputs.parameters.nowhere}}"})
    lasts = metric("lasts", gauge={"realtime": True, "value": "{{workflow.duration}}"}, labels=[])
    number = shell(
        "number",
        "printf {{inputs.parameters.i}}0 > /tmp/n",
        inputs={"parameters": [{"name": "i"}, {"name": "word", "value": "no number"}]},
        outputs={"parameters": [{"name": "n", "valueFrom": {"path": "/tmp/n"}}]},
        metrics={"prometheus": [runs, nowhere, never, size, given, words]},
    )
    arguments = {"parameters": [{"name": "i", "value": "{{item}}"}]}
    every = {"name": "a", "template": "number", "withItems": [1, 20], "arguments": arguments}
    wait = {"name": "wait", "suspend": {}}
    ended = metric("ended", counter={"value": "2"})
    tree = steps([every], [{"name": "wait", "template": "wait"}])
    name = workflows.make(tree, number, wait, metrics={"prometheus": [lasts, ended]})
    workflows.until(name, waits("wait"))
    api = PipelinesApi(workflows.platform.connection, proxy="")

    def told() -> dict[str, float]:
        families = text_string_to_metric_families(api.read("/metrics").body.decode())
        start = f"argo_workflows_{about}_"
        return {
            ".".join([sample.name.removeprefix(start), *sample.labels.values()]): sample.value
            for family in families
            for sample in family.samples
            if sample.name.startswith(start)
        }

    def with_(name: str) -> dict[str, float]:
        found = told()
        return found if name in found else {}

    before = eventually(lambda: with_("lasts"), SECONDS)
    assert before.pop("lasts") > 0
    assert before.pop("given.Succeeded") in {2, 40}
    assert before == {
        "runs_total.Succeeded": 2,
        "size_bucket.Succeeded.10": 1,
        "size_bucket.Succeeded.100": 1,
        "size_bucket.Succeeded.+Inf": 2,
        "size_sum.Succeeded": 210,
        "size_count.Succeeded": 2,
    }
    workflows.change(name, operations.resume)
    workflows.ended(name)
    after = eventually(lambda: with_("ended_total.Succeeded"), SECONDS)
    assert after["ended_total.Succeeded"] == 2
    assert "lasts" not in after
    assert after["runs_total.Succeeded"] == 2
    api.close()

    def failed() -> str:
        listed = workflows.client.list(core.EVENTS, workflows.namespace)
        events = workflows.platform.call(listed).items
        return "".join(each["message"] for each in events if each["reason"] == "MetricsError")

    eventually(lambda: "'no number' is no number" in failed(), SECONDS)
    eventually(lambda: "outputs.parameters.nowhere" in failed(), SECONDS)


def test_only_one_holds_a_mutex(workflows: Workflows) -> None:
    locked = shell("locked", "sleep 0.3", synchronization={"mutexes": [{"name": "one"}]})
    tree = steps([{"name": "a", "template": "locked", "withSequence": {"count": "2"}}])
    names = [workflows.make(tree, locked) for _ in range(2)]
    ended = [workflows.ended(name) for name in names]
    assert {phase(each) for each in ended} == {"Succeeded"}
    pods = [
        metadata.annotations(pod) and pod["status"]["containerStatuses"][0]["state"]["terminated"]
        for pod in workflows.platform.call(
            workflows.client.list(core.PODS, workflows.namespace)
        ).items
    ]
    spans = sorted((each["startedAt"], each["finishedAt"]) for each in pods)
    assert len(spans) == 4
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))
    assert all("synchronization" not in each["status"] for each in ended)


def test_who_waits_for_a_lock_is_woken(
    workflows: Workflows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "LOCK_SECONDS", 3600)
    mutex = {"mutexes": [{"name": "one"}]}
    nodes_own = shell("locked", "true", synchronization=mutex)
    tree = steps([{"name": "a", "template": "locked", "withSequence": {"count": "2"}}])
    whole = shell("whole", "true")
    names = [workflows.make(tree, nodes_own) for _ in range(2)]
    names += [workflows.make(whole, synchronization=mutex) for _ in range(2)]
    assert {phase(workflows.ended(name)) for name in names} == {"Succeeded"}


def test_nobody_gives_back_the_lock_of_another(workflows: Workflows) -> None:
    one = {"mutexes": [{"name": "mine"}]}
    wait = {"name": "wait", "suspend": {}}
    first = workflows.make(wait, synchronization=one)
    uid = metadata.uid(workflows.until(first, waits(first)))
    head = {
        "name": "thief",
        "namespace": workflows.namespace,
        "annotations": {operations.RUN_ID_ANNOTATION: uid},
    }
    spec = {"entrypoint": "wait", "templates": [wait]}
    workflows.create(kinds.WORKFLOWS, "thief", metadata=head, spec=spec)
    assert "is no workflow of this name" in workflows.ended("thief")["status"]["message"]
    workflows.platform.call(workflows.client.delete(kinds.WORKFLOWS, "thief", workflows.namespace))

    def left() -> list[Object]:
        listed = workflows.client.list(kinds.WORKFLOWS, workflows.namespace)
        return workflows.platform.call(listed).items

    eventually(lambda: len(left()) == 1, SECONDS, what="the thief gone")
    second = workflows.make(shell("main", "true"), synchronization=one)
    workflows.until(second, lambda found: phase(found) == "Pending")
    workflows.change(first, operations.resume)
    assert phase(workflows.ended(second)) == "Succeeded"


def test_a_limit_that_is_deleted_while_its_lock_is_held_counts_as_it_was(
    workflows: Workflows,
) -> None:
    workflows.create(core.CONFIG_MAPS, "limits", data={"few": "1"})
    ref = {"name": "limits", "key": "few"}
    wanted = {"semaphores": [{"configMapKeyRef": ref}]}
    wait = {"name": "wait", "suspend": {}}
    holder = workflows.make(wait, synchronization=wanted)
    workflows.until(holder, waits(holder))
    waiting = workflows.make(shell("after", "true"), synchronization=wanted)
    workflows.until(waiting, lambda found: phase(found) == "Pending")
    workflows.platform.call(
        workflows.client.delete(core.CONFIG_MAPS, "limits", workflows.namespace)
    )
    workflows.change(holder, operations.resume)
    assert phase(workflows.ended(holder)) == "Succeeded"
    assert phase(workflows.ended(waiting)) == "Succeeded"
    late = workflows.ended(workflows.make(shell("late", "true"), synchronization=wanted))
    assert phase(late) == "Error"
    assert "limits has no number 'few'" in late["status"]["message"]


def test_a_result_that_was_kept_is_taken(workflows: Workflows) -> None:
    labels = {kinds.CONFIG_MAP_TYPE_LABEL: kinds.CONFIG_MAP_CACHE}
    body = {"metadata": {"name": "kept", "namespace": workflows.namespace, "labels": labels}}
    workflows.platform.call(workflows.client.create(core.CONFIG_MAPS, body))
    made = shell(
        "make",
        "cat /proc/sys/kernel/random/uuid > /tmp/id",
        memoize={"key": "a-key", "maxAge": "1h", "cache": {"configMap": {"name": "kept"}}},
        outputs={"parameters": [{"name": "id", "valueFrom": {"path": "/tmp/id"}}]},
    )
    first, second = (workflows.ended(workflows.make(made)) for _ in range(2))
    [one], [two] = (nodes.stored(each).values() for each in (first, second))
    assert one["outputs"]["parameters"] == two["outputs"]["parameters"]
    assert (one["memoizationStatus"]["hit"], two["memoizationStatus"]["hit"]) == (False, True)


def test_what_steps_gave_is_kept_before_the_next_ones_ask(workflows: Workflows) -> None:
    memoize = {"key": "a-key", "maxAge": "1h", "cache": {"configMap": {"name": "of-steps"}}}
    inner = steps([{"name": "a", "template": "say"}], name="inner", memoize=memoize)
    both = [[{"name": each, "template": "inner"}] for each in ("first", "second")]
    found = named(workflows.ended(workflows.make(steps(*both), inner, shell("say", "true"))))
    assert found["second"]["memoizationStatus"]["hit"]


def test_a_namespace_bounds_how_many_workflows_run(workflows: Workflows) -> None:
    change = {"metadata": {"labels": {kinds.PARALLELISM_LABEL: "1"}}}
    workflows.platform.call(workflows.client.patch(core.NAMESPACES, workflows.namespace, change))
    wait = {"name": "wait", "suspend": {}}
    first = workflows.make(wait)
    workflows.until(first, waits(first))
    last = workflows.make(shell("main", "true"))
    second = workflows.make(wait, priority=7)
    for name in (last, second):
        held = workflows.until(name, lambda found: phase(found) == "Pending")
        assert "too many workflows are already running" in held["status"]["message"]
    workflows.change(first, operations.resume)
    workflows.until(second, waits(second))
    assert phase(workflows.get(last)) == "Pending"
    workflows.change(second, operations.resume)
    assert phase(workflows.ended(last)) == "Succeeded"


def test_a_claim_that_is_refused_ends_the_workflow(workflows: Workflows) -> None:
    spec = {"accessModes": ["Sideways"], "resources": {"requests": {"storage": "1Gi"}}}
    claims = [{"metadata": {"name": "work"}, "spec": spec}]
    ended = workflows.ended(workflows.make(shell("main", "true"), volumeClaimTemplates=claims))
    assert phase(ended) == "Error"
    assert "pvc create error" in ended["status"]["message"]


def test_containers_of_a_set_are_nodes(workflows: Workflows) -> None:
    def container(name: str, code: int, *after: str) -> Object:
        command = ["sh", "-c", f"exit {code}"]
        return {"name": name, "image": IMAGE, "command": command, "dependencies": [*after]}

    whole = {"containers": [container("one", 0), container("two", 3, "one")]}
    workflow = workflows.ended(workflows.make({"name": "main", "containerSet": whole}))
    found = named(workflow)
    one, two = found["one"], found["two"]
    assert found[metadata.name(workflow)]["children"] == [one["id"]]
    assert (one["type"], one["phase"], one["children"]) == ("Container", "Succeeded", [two["id"]])
    assert two["phase"] == "Failed"
    assert "(exit code 3)" in two["message"]
    assert workflow["status"]["progress"] == "1/3"


def test_what_takes_too_long_fails(workflows: Workflows) -> None:
    late = shell("late", "sleep 600", timeout="1s")
    name = workflows.make(steps([{"name": "a", "template": "late"}]), late)
    assert "Step exceeded its deadline" in messages(workflows.ended(name))
    name = workflows.make(shell("main", "sleep 600"), activeDeadlineSeconds=1)
    workflow = workflows.ended(name)
    assert (phase(workflow), workflow["status"]["message"]) == (
        "Failed",
        "Workflow exceeded its deadline",
    )


def test_a_daemon_goes_on_until_its_steps_have_ended(workflows: Workflows) -> None:
    daemon = shell("serve", "sleep 600", daemon=True)
    asks = shell("ask", "test -n '{{inputs.parameters.ip}}'")
    asks["inputs"] = {"parameters": [{"name": "ip"}]}
    given = {"parameters": [{"name": "ip", "value": "{{steps.serve.ip}}"}]}
    name = workflows.make(
        steps(
            [{"name": "serve", "template": "serve"}],
            [{"name": "ask", "template": "ask", "arguments": given}],
        ),
        daemon,
        asks,
    )
    workflow = workflows.ended(name)
    assert phase(workflow) == "Succeeded", [*messages(workflow)]
    pod = f"{name}-serve-{named(workflow)['serve']['id'].rpartition('-')[2]}"

    def gone() -> bool:
        pods = workflows.platform.call(workflows.client.list(core.PODS, workflows.namespace)).items
        return all(metadata.name(each) != pod for each in pods)

    eventually(gone, SECONDS, what="the daemon's end")


def test_pods_and_workflows_go_when_they_should(workflows: Workflows) -> None:
    name = workflows.make(
        shell("main", "true"),
        podGC={"strategy": "OnPodCompletion"},
        ttlStrategy={"secondsAfterCompletion": 1},
    )

    def gone() -> bool:
        try:
            workflows.get(name)
        except errors.NotFoundError:
            pods = workflows.platform.call(workflows.client.list(core.PODS, workflows.namespace))
            return not pods.items
        return False

    eventually(gone, SECONDS, what="nothing left")


def test_a_workflow_that_runs_what_is_shared(workflows: Workflows) -> None:
    say = shell("say", "test '{{inputs.parameters.m}}' = mine")
    say["inputs"] = {"parameters": [{"name": "m"}]}
    given = [{"name": "m", "value": "theirs"}]
    spec = {"entrypoint": "say", "templates": [say], "arguments": {"parameters": given}}
    workflows.create(kinds.WORKFLOW_TEMPLATES, "shared", spec=spec)
    body = {
        "metadata": {"generateName": "wf-", "namespace": workflows.namespace},
        "spec": {
            "workflowTemplateRef": {"name": "shared"},
            "arguments": {"parameters": [{"name": "m", "value": "mine"}]},
        },
    }
    made = workflows.platform.call(workflows.client.create(kinds.WORKFLOWS, body))
    workflow = workflows.ended(metadata.name(made))
    assert phase(workflow) == "Succeeded", json.dumps(workflow["status"])
    assert workflow["status"]["storedWorkflowTemplateSpec"]["entrypoint"] == "say"
