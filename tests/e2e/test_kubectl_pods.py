"""Stock kubectl with what runs: logs, wait, rollouts, pods that end, crash and are watched."""

from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.waiting import eventually

COUNT = "i=0; while [ $i -lt 5 ]; do echo line $i; i=$((i+1)); done"


def test_logs(kubectl, world):
    world.create(kinds.PODS, builders.pod("p", script=COUNT))
    world.wait_for_phase("p", "Succeeded")
    lines = [f"line {number}" for number in range(5)]
    assert kubectl("logs", "p").lines == lines
    assert kubectl("logs", "pod/p", "--tail=2").lines == lines[-2:]
    assert kubectl("logs", "p", "--limit-bytes=4").out == "line"
    stamped = kubectl("logs", "p", "--timestamps").lines
    assert [line.split(" ", 1)[1] for line in stamped] == lines
    assert kubectl("logs", "p", "--since=1h").lines == lines
    last = stamped[-1].split(" ", 1)[0]
    assert lines[-1] in kubectl("logs", "p", f"--since-time={last}").lines
    assert kubectl("logs", "p", "--since-time=2999-01-01T00:00:00Z").out == ""
    assert kubectl("logs", "p", "--prefix").lines[0] == "[pod/p/main] line 0"


def test_logs_of_containers(kubectl, world):
    world.create(
        kinds.PODS,
        builders.pod(
            "p",
            initContainers=[builders.container("first", script="echo from init")],
            containers=[
                builders.container("a", script="echo from a"),
                builders.container("b", script="echo from b; echo complaint >&2"),
            ],
        ),
    )
    world.wait_for_phase("p", "Succeeded")
    assert kubectl("logs", "p", "-c", "first").out == "from init\n"
    assert kubectl("logs", "p", "-c", "a").out == "from a\n"
    assert sorted(kubectl("logs", "p", "-c", "b").lines) == ["complaint", "from b"]
    defaulted = kubectl("logs", "p")
    assert defaulted.out == "from a\n"
    assert "Defaulted container" in defaulted.err
    everything = kubectl("logs", "p", "--all-containers").out
    assert all(words in everything for words in ("from init", "from a", "from b"))
    assert "container c is not valid for pod p" in kubectl.fails("logs", "p", "-c", "c")
    assert 'pods "q" not found' in kubectl.fails("logs", "q")


def test_logs_follow(kubectl, world, tmp_path):
    gate = tmp_path / "gate"
    script = f"echo one; until [ -e {gate} ]; do sleep 0.05; done; echo two"
    world.create(kinds.PODS, builders.pod("p", script=script))
    world.wait_for_phase("p", "Running")
    with (
        kubectl.follow("logs", "-f", "p") as logs,
        kubectl.follow("logs", "-f", "p", "--tail=0") as new,
    ):
        logs.sees("one")
        gate.touch()
        logs.sees("two")
        assert logs.ends() == 0
        assert new.ends() == 0
        assert new.text in {"two\n", ""}


def test_logs_of_the_previous_attempt(kubectl, world, tmp_path):
    mark = tmp_path / "mark"
    script = f"if [ -e {mark} ]; then echo second; exec sleep 1000000; fi; touch {mark}; echo first; exit 1"
    world.create(kinds.PODS, builders.pod("p", script=script, restart="Always"))
    eventually(lambda: kubectl.run("logs", "p").out == "second\n")
    assert kubectl("logs", "p", "-p").out == "first\n"
    [row] = kubectl("get", "pod", "p").table
    assert row["RESTARTS"].startswith("1")
    world.create(kinds.PODS, builders.pod("q"))
    world.wait_for_phase("q", "Running")
    assert "previous terminated container" in kubectl.fails("logs", "q", "-p")


def test_logs_of_workloads(kubectl, world):
    world.create(kinds.JOBS, builders.job("j", script="echo from the job"))
    world.create(
        kinds.DEPLOYMENTS,
        builders.deployment("d", replicas=2, script="echo I am $HOSTNAME; exec sleep 1000000"),
    )
    world.wait_for_condition(kinds.JOBS, "j", "Complete")
    world.wait_for_condition(kinds.DEPLOYMENTS, "d", "Available")
    assert kubectl("logs", "job/j").out == "from the job\n"
    assert kubectl("logs", "deploy/d").out.startswith("I am d-")
    lines = kubectl("logs", "-l", "app=d", "--prefix").lines
    assert sorted(line.split("I am ")[1] for line in lines) == sorted(
        world.names(kinds.PODS, "app=d")
    )


def test_wait(kubectl, world):
    kubectl.apply(builders.deployment("d", namespace=kubectl.namespace, replicas=2))
    kubectl("wait", "--for=condition=Available", "deployment/d", "--timeout=90s")
    assert (
        kubectl("wait", "--for=condition=Ready", "pod", "-l", "app=d", "--timeout=90s").out.count(
            "condition met"
        )
        == 2
    )
    kubectl("wait", "--for=jsonpath={.status.readyReplicas}=2", "deploy/d", "--timeout=90s")
    pod = world.names(kinds.PODS, "app=d")[0]
    with kubectl.follow("wait", "--for=delete", f"pod/{pod}", "--timeout=90s") as waiting:
        kubectl("delete", "pod", pod, "--wait=false")
        assert waiting.ends() == 0
    assert "timed out" in kubectl.fails("wait", "--for=condition=Never", "deploy/d", "--timeout=1s")
    with kubectl.follow("wait", "--for=create", "cm/late", "--timeout=90s") as waiting:
        kubectl("create", "cm", "late")
        assert waiting.ends() == 0


def test_rollout(kubectl, world):
    made = builders.deployment("d", namespace=kubectl.namespace, replicas=2)
    kubectl.apply(made)
    assert "successfully rolled out" in kubectl("rollout", "status", "deploy/d").out
    kubectl("annotate", "deploy", "d", "kubernetes.io/change-cause=first")

    def history() -> list[list[str]]:
        lines = kubectl("rollout", "history", "deploy/d").lines
        return [line.split() for line in lines[2:] if line]

    eventually(lambda: history() == [["1", "first"]])
    kubectl("set", "env", "deploy/d", "VERSION=2")
    kubectl("annotate", "deploy", "d", "kubernetes.io/change-cause=second", "--overwrite")
    kubectl("rollout", "status", "deploy/d", "--timeout=90s")
    eventually(lambda: history() == [["1", "first"], ["2", "second"]])
    assert "VERSION:" in kubectl("rollout", "history", "deploy/d", "--revision=2").out
    assert "rolled back" in kubectl("rollout", "undo", "deploy/d").out
    kubectl("rollout", "status", "deploy/d", "--timeout=90s")
    [main] = world.get(kinds.DEPLOYMENTS, "d")["spec"]["template"]["spec"]["containers"]
    assert not main.get("env")
    kubectl("rollout", "undo", "deploy/d", "--to-revision=2")
    kubectl("rollout", "status", "deploy/d", "--timeout=90s")
    assert len([rs for rs in world.all(kinds.REPLICA_SETS) if rs["spec"]["replicas"]]) == 1
    before = set(world.names(kinds.PODS))
    kubectl("rollout", "restart", "deploy/d")
    kubectl("rollout", "status", "deploy/d", "--timeout=90s")
    eventually(lambda: not before & set(world.names(kinds.PODS)))


def test_rollout_is_paused_and_resumed(kubectl, world):
    kubectl.apply(builders.deployment("d", namespace=kubectl.namespace))
    kubectl("rollout", "status", "deploy/d", "--timeout=90s")
    kubectl("rollout", "pause", "deploy/d")
    assert "already paused" in kubectl.fails("rollout", "pause", "deploy/d")
    kubectl("set", "env", "deploy/d", "A=b")
    eventually(
        lambda: (
            (d := world.get(kinds.DEPLOYMENTS, "d"))["status"]["observedGeneration"]
            == d["metadata"]["generation"]
        )
    )
    assert len(world.names(kinds.REPLICA_SETS)) == 1
    kubectl("rollout", "resume", "deploy/d")
    kubectl("rollout", "status", "deploy/d", "--timeout=90s")
    assert len(world.names(kinds.REPLICA_SETS)) == 2


def test_rollout_that_cannot_proceed(kubectl, world):
    kubectl.apply(builders.deployment("d", namespace=kubectl.namespace, minReadySeconds=0))
    kubectl("rollout", "status", "deploy/d", "--timeout=90s")
    kubectl("patch", "deploy", "d", "-p", '{"spec": {"progressDeadlineSeconds": 2}}')
    kubectl("set", "image", "deploy/d", "main=example.com/no/such:image")
    assert "exceeded its progress deadline" in kubectl.fails(
        "rollout", "status", "deploy/d", "--timeout=90s"
    )
    # The old replica goes on meanwhile.
    assert world.get(kinds.DEPLOYMENTS, "d")["status"]["availableReplicas"] == 1

    def waiting() -> set[str]:
        states = {row["STATUS"] for row in kubectl("get", "pods").table}
        return states & {"ErrImagePull", "ImagePullBackOff"}

    eventually(waiting)
    kubectl("rollout", "undo", "deploy/d")
    kubectl("rollout", "status", "deploy/d", "--timeout=90s")


def test_get_pods(kubectl, world):
    kubectl.apply(
        builders.pod("runs", namespace=kubectl.namespace),
        builders.pod("ends", namespace=kubectl.namespace, script="true"),
        builders.pod("fails", namespace=kubectl.namespace, script="exit 7"),
        builders.pod("crashes", namespace=kubectl.namespace, script="exit 1", restart="Always"),
        builders.pod(
            "hungry",
            namespace=kubectl.namespace,
            containers=[builders.container(resources={"requests": {"memory": "1000Ti"}})],
        ),
        builders.pod(
            "strange",
            namespace=kubectl.namespace,
            containers=[builders.container(image="example.com/no/such:image")],
        ),
    )

    def statuses() -> bool:
        seen = {row["NAME"]: row["STATUS"] for row in kubectl("get", "pods").table}
        assert seen.pop("strange") in {"ErrImagePull", "ImagePullBackOff"}
        assert seen == {
            "runs": "Running",
            "ends": "Completed",
            "fails": "Error",
            "crashes": "CrashLoopBackOff",
            "hungry": "Pending",
        }
        return True

    eventually(statuses)
    rows = kubectl("get", "pods", "--field-selector=status.phase=Running").table
    assert {"runs"} <= {row["NAME"] for row in rows} <= {"runs", "crashes"}
    rows = kubectl("get", "pods", "-o", "wide", "--field-selector=metadata.name=runs").table
    assert rows[0]["IP"].startswith("127.")
    assert rows[0]["NODE"] in kubectl("get", "nodes", "-o", "name").out
    assert "Insufficient memory" in kubectl("describe", "pod", "hungry").out
    assert "Environment" in kubectl("describe", "pod", "strange").out
    listed = kubectl("get", "pods", "--sort-by=.metadata.creationTimestamp", "-o", "name").lines
    assert len(listed) == 6
    kubectl("delete", "pods", "--all")
    assert world.names(kinds.PODS) == []


def test_a_stateful_set_and_a_daemon_set(kubectl, world):
    template = builders.deployment("s")["spec"]
    base = {"selector": template["selector"], "template": template["template"]}
    head = {"metadata": {"name": "s", "namespace": kubectl.namespace}}
    claims = [{"metadata": {"name": "data"}, "spec": builders.claim("data")["spec"]}]
    stateful = {"replicas": 2, "serviceName": "s", "volumeClaimTemplates": claims}
    kubectl.apply(
        {"apiVersion": "apps/v1", "kind": "StatefulSet", **head, "spec": base | stateful},
        builders.service("s", namespace=kubectl.namespace, clusterIP="None"),
    )
    kubectl("rollout", "status", "statefulset/s", "--timeout=90s")
    assert world.names(kinds.PODS) == ["s-0", "s-1"]
    assert world.names(kinds.PERSISTENT_VOLUME_CLAIMS) == ["data-s-0", "data-s-1"]
    kubectl("scale", "sts", "s", "--replicas=1")
    eventually(lambda: world.names(kinds.PODS) == ["s-0"])
    kubectl("delete", "sts", "s")
    eventually(lambda: world.names(kinds.PODS) == [])
    kubectl.apply({"apiVersion": "apps/v1", "kind": "DaemonSet", **head, "spec": base})
    kubectl("rollout", "status", "daemonset/s", "--timeout=90s")
    assert len(world.names(kinds.PODS)) == 1


def test_a_graceful_deletion_waits_for_the_pod(kubectl, world, tmp_path):
    gate = tmp_path / "gate"
    end = f"until [ -e {gate} ]; do sleep 0.05; done; echo saved; exit 0"
    script = f"trap '{end}' TERM; echo up; while :; do sleep 0.05; done"
    world.create(kinds.PODS, builders.pod("p", script=script, terminationGracePeriodSeconds=100))
    world.wait_for_phase("p", "Running")
    with kubectl.follow("logs", "-f", "p") as logs:
        logs.sees("up")
        kubectl("delete", "pod", "p", "--wait=false")
        assert "deletionTimestamp" in world.get(kinds.PODS, "p")["metadata"]
        gate.touch()
        logs.sees("saved")
    eventually(lambda: world.find(kinds.PODS, "p") is None)
