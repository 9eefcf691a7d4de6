"""Pods of nodes with more in them: sets of containers, sidecars, volumes, patches, settings."""

import json

import pytest

from wherry.kubelet.environments import kinds as environments
from wherry.objects import kinds as core
from wherry.pipelines.controller.roots import Root, Roots
from wherry.pipelines.staging.staged import Agent
from wherry.pipelines.steps import ending
from wherry.pipelines.steps.draft import StepError
from wherry.pipelines.workflows.artifacts.repository import Repository
from wherry.pipelines.workflows.steps.working import Steps
from wherry.testing.waiting import eventually

pytestmark = pytest.mark.timeout(300)
IMAGE = "python:3.11"


def _container(name, script, **fields):
    return {"name": name, "image": IMAGE, "command": ["sh", "-ec"], "args": [script], **fields}


def _set(*containers, **fields):
    workspace = {"name": "workspace", "emptyDir": {}}
    mount = {"name": "workspace", "mountPath": "/workspace"}
    group = {"containers": [*containers], "volumeMounts": [mount], **fields}
    return {"containerSet": group, "volumes": [workspace]}


def test_containers_of_a_set_begin_after_those_they_depend_on(nodes):
    template = _set(
        _container("main", "cat /workspace/b > /tmp/all; echo done", dependencies=["b"]),
        _container(
            "b", "cat /workspace/a > /workspace/b; echo b >> /workspace/b", dependencies=["a"]
        ),
        _container("a", "sleep 0.3; echo a > /workspace/a"),
    )
    outputs = {
        "parameters": [{"name": "all", "valueFrom": {"path": "/tmp/all"}}],
        "artifacts": [{"name": "b", "path": "/workspace/b"}],
    }
    ended = nodes.run({**template, "outputs": outputs}, wants_result=True)
    assert ended.succeeded, ended.why
    assert ended.outputs.result == "done"
    assert ended.outputs.parameters == {"all": "a\nb"}
    assert set(ended.outputs.artifacts) == {"b"}
    assert [each["name"] for each in ended.pod["status"]["containerStatuses"]] == ["main", "b", "a"]


def test_a_script_without_a_source_is_a_container(nodes):
    ended = nodes.run(
        {"script": {"image": IMAGE, "command": ["echo"], "args": ["[]"]}}, wants_result=True
    )
    assert ended.succeeded
    assert ended.outputs.result == "[]"


def test_what_any_container_of_a_set_leaves_in_a_shared_volume_is_collected(nodes):
    template = _set(
        _container("main", "true"),
        _container("slow", "sleep 0.5; echo late > /workspace/out"),
        _container("last", "sleep 0.3", dependencies=["main"]),
    )
    outputs = {"parameters": [{"name": "out", "valueFrom": {"path": "/workspace/out"}}]}
    ended = nodes.run({**template, "outputs": outputs})
    assert ended.succeeded, ended.why
    assert ended.outputs.parameters == {"out": "late"}


def test_a_set_whose_container_fails_begins_no_other_that_depends_on_it(nodes):
    order = nodes.order(
        _set(
            _container("a", "exit 3"),
            _container("main", "echo never", dependencies=["a"]),
            _container("c", "true"),
        )
    )
    nodes.start(order)
    pod = nodes.ended(order)
    codes = {
        each["name"]: each["state"]["terminated"]["exitCode"]
        for each in pod["status"]["containerStatuses"]
    }
    assert codes == {"a": 3, "main": 64, "c": 0}


def test_a_container_of_a_set_is_tried_again(nodes):
    script = "echo x >> /workspace/tries; test $(wc -l < /workspace/tries) -ge 3"
    ended = nodes.run(_set(_container("main", script), retryStrategy={"retries": "3"}))
    assert ended.succeeded, ended.why


def test_sidecars_end_with_the_step_and_init_containers_run_before_it(nodes):
    serve = "echo up > /shared/up; exec sleep 600"
    template = {
        "container": _container(
            "main",
            "until [ -e /shared/up ]; do sleep 0.05; done; cat /shared/first",
            volumeMounts=[{"name": "shared", "mountPath": "/shared"}],
        ),
        "initContainers": [
            _container("first", "echo first > /shared/first", mirrorVolumeMounts=True)
        ],
        "sidecars": [_container("server", serve, mirrorVolumeMounts=True)],
    }
    ended = nodes.run(
        template, spec={"volumes": [{"name": "shared", "emptyDir": {}}]}, wants_result=True
    )
    assert ended.succeeded, ended.why
    assert ended.outputs.result == "first"


def test_claims_and_artifacts_in_volumes_of_the_users(nodes):
    claim = {
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    }
    nodes.create(core.PERSISTENT_VOLUME_CLAIMS, "work", claim)
    made = nodes.shell(
        "echo given > /tmp/x", outputs={"artifacts": [{"name": "x", "path": "/tmp/x"}]}
    )
    mounts = [{"name": "work", "mountPath": "/work-dir"}]
    read = nodes.run(
        {
            "container": _container(
                "main", "cat /work-dir/x; echo left > /work-dir/y", volumeMounts=mounts
            ),
            "inputs": {"artifacts": [{"name": "x", "path": "/work-dir/x"}]},
            "outputs": {"parameters": [{"name": "y", "valueFrom": {"path": "/work-dir/y"}}]},
        },
        made.outputs.artifacts,
        claims={"work": "work"},
        wants_result=True,
    )
    assert read.succeeded, read.why
    assert read.outputs.result == "given"
    assert read.outputs.parameters == {"y": "left"}
    again = nodes.run(
        {
            "container": _container(
                "main", "cat /w/x /w/y", volumeMounts=[{"name": "work", "mountPath": "/w"}]
            )
        },
        claims={"work": "work"},
        wants_result=True,
    )
    assert again.outputs.result == "given\nleft"


def test_settings_of_the_template_go_before_those_of_the_workflow(nodes):
    spec = {
        "nodeSelector": {"a": "1"},
        "tolerations": [{"key": "x", "operator": "Exists"}],
        "hostAliases": [{"ip": "127.0.0.9", "hostnames": ["one"]}],
        "podMetadata": {"labels": {"l": "outer", "m": "outer"}},
        "podPriorityClassName": "high",
        "imagePullSecrets": [{"name": "s"}],
        "podSpecPatch": '{"terminationGracePeriodSeconds": 7}',
    }
    template = {
        "container": {"image": IMAGE, "command": ["true"], "resources": {"limits": {"cpu": "1"}}},
        "nodeSelector": {"b": "2"},
        "hostAliases": [{"ip": "127.0.0.8", "hostnames": ["two"]}],
        "metadata": {"labels": {"l": "inner"}, "annotations": {"n": "inner"}},
        "activeDeadlineSeconds": "60",
        "podSpecPatch": "containers:\n- name: main\n  resources: {limits: {memory: 64Mi}}\n",
    }
    pod = nodes.steps.pod(nodes.order(template, spec=spec, deadline=30))
    told = pod["spec"]
    assert told["nodeSelector"] == {"b": "2"}
    assert told["tolerations"] == [{"key": "x", "operator": "Exists"}]
    assert [each["ip"] for each in told["hostAliases"]] == ["127.0.0.9", "127.0.0.8"]
    assert told["priorityClassName"] == "high"
    assert told["activeDeadlineSeconds"] == 30
    assert told["terminationGracePeriodSeconds"] == 7
    assert told["containers"][0]["resources"] == {"limits": {"cpu": "1", "memory": "64Mi"}}
    assert {"l": "inner", "m": "outer"}.items() <= pod["metadata"]["labels"].items()
    assert pod["metadata"]["annotations"]["n"] == "inner"


def test_what_a_patch_adds_ends_with_the_main_container(nodes):
    sidecar = {"name": "added", "image": IMAGE, "command": ["sleep", "600"]}
    main = {"image": IMAGE, "command": ["true"]}
    patch = json.dumps({"containers": [sidecar, {"name": "main", "tty": True}]})
    told = nodes.steps.pod(nodes.order({"container": main, "podSpecPatch": patch}))["spec"]
    assert [(each["name"], each["tty"]) for each in told["containers"]] == [("main", True)]
    assert told["initContainers"][-1] == {**sidecar, "restartPolicy": "Always"}


def test_what_cannot_be_made_is_told(nodes):
    plain = {"image": IMAGE, "command": ["true"]}
    for template, why in (
        (
            {"container": {**plain, "volumeMounts": [{"name": "v", "mountPath": "/v"}]}},
            "no volume 'v'",
        ),
        ({"container": plain, "podSpecPatch": "[1]"}, r"want an object"),
        ({"script": {**plain, "source": "x" * 300_000}}, "script.source has 300000 bytes"),
        ({"container": {**plain, "args": ["x" * 200_000]}}, "pass large values as artifacts"),
        (
            {
                "container": plain,
                "inputs": {"artifacts": [{"name": "a", "path": "/a", "oss": {"key": "k"}}]},
            },
            r"inputs.artifacts.a.oss: this store is not supported",
        ),
        (
            {
                "container": plain,
                "inputs": {"artifacts": [{"name": "a", "path": "a", "raw": {"data": ""}}]},
            },
            "want an absolute path",
        ),
    ):
        order = nodes.order(template)
        with pytest.raises(StepError, match=why):
            nodes.steps.pod(order)


def test_a_step_that_is_ended_is_told_through_the_shell(nodes):
    script = "trap 'echo told > /far/x; exit 0' TERM; mkdir -p /far; : > /far/up; while :; do sleep 0.1; done"
    order = nodes.order(
        {
            "container": {**_container("main", script)},
            "outputs": {"artifacts": [{"name": "x", "path": "/far/x"}]},
        }
    )
    nodes.start(order)
    eventually(lambda: nodes.pod(order)["status"].get("phase") == "Running", 120)
    nodes.platform.call(nodes.client.delete(core.PODS, order.pod, nodes.namespace))
    pod = nodes.ended(order)
    assert ending.of(pod) is not None
    found = nodes.platform.call(nodes.steps.outputs(order, pod))
    assert found.exit_code in (0, 143)


def test_an_images_own_command_is_waited_for_and_its_outputs_are_collected(nodes):
    image, say = f"{nodes.namespace}:1", "/wherry-say"
    source = "import sys, pathlib\npathlib.Path('out.txt').write_text(' '.join(sys.argv[1:]))\n"
    spec = {"images": [image], "files": {say: source}, "entrypoint": ["python3", say]}
    body = {"metadata": {"name": nodes.namespace}, "spec": spec}
    nodes.platform.call(nodes.client.create(environments.ENVIRONMENTS, body))
    outputs = {"parameters": [{"name": "x", "valueFrom": {"path": "/out.txt"}}]}
    ended = nodes.run({"container": {"image": image, "args": ["a", "b"]}, "outputs": outputs})
    assert ended.succeeded, ended.why
    assert ended.outputs.parameters == {"x": "a b"}
    first = {"name": "first", "image": image, "args": ["1"]}
    main = {"name": "main", "image": image, "args": ["2"], "dependencies": ["first"]}
    both = nodes.run({"containerSet": {"containers": [first, main]}, "outputs": outputs})
    assert both.succeeded, both.why
    assert both.outputs.parameters == {"x": "2"}


def _elsewhere(nodes, image):
    """Return steps of pods that run on others' machines, and their repository."""
    roots = Roots(nodes.client, None, Agent(image))
    repository = Repository(root=Root("s3://bucket/root"), store={"s3": {"bucket": "b"}})
    return Steps(nodes.client, roots), repository


def test_where_others_run_pods_the_agent_is_an_image_and_only_where_it_is_needed(nodes):
    steps, repository = _elsewhere(nodes, "wherry:1")
    template = {"container": _container("main", "true"), "outputs": _FAR}
    spec = steps.pod(nodes.order(template, repository=repository))["spec"]
    assert [each["image"] for each in spec["initContainers"]] == ["wherry:1"]
    assert all("emptyDir" in each for each in spec["volumes"])
    bare, _ = _elsewhere(nodes, "")
    plain = {"container": {"image": IMAGE, "args": ["x"]}}
    assert "initContainers" not in bare.pod(nodes.order(plain, repository=repository))["spec"]
    with pytest.raises(StepError, match="pipelines-agent-image"):
        bare.pod(nodes.order(template, repository=repository))


def test_an_images_own_command_is_not_known_where_others_run_pods(nodes):
    steps, repository = _elsewhere(nodes, "wherry:1")
    template = {"container": {"image": IMAGE}, "outputs": _FAR}
    with pytest.raises(StepError, match="container main: set its command"):
        steps.pod(nodes.order(template, repository=repository))
    # What it says is wanted: that is no reason not to run it.
    order = nodes.order(
        {"container": {"image": IMAGE, "args": ["x"]}},
        repository=repository,
        spec={"archiveLogs": True},
    )
    [container] = steps.pod(order)["spec"]["containers"]
    assert container["args"] == ["x"]
    assert "command" not in container


_FAR = {"artifacts": [{"name": "x", "path": "/far/x"}]}
