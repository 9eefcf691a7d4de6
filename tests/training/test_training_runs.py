"""Jobs that really train: processes of the real frameworks that find one another as the job tells them."""

import dataclasses
import json
import re
import subprocess
from pathlib import Path

import pytest

from wherry.objects import conditions, kinds
from wherry.objects.resources import Resource
from wherry.testing import builders
from wherry.testing.waiting import eventually
from wherry.training.frameworks.mpi import MPI
from wherry.training.frameworks.torch import Torch

PROGRAMS = Path(__file__).with_name("programs")
ENVIRONMENTS = Resource("wherry.dev", "v1", "environments", "Environment", namespaced=False)
V2 = dataclasses.replace(MPI.resource, version="v2beta1")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Runs:
    """Starts jobs in a namespace of their own."""

    def __init__(self, platform, namespace):
        self.platform, self.namespace = platform, namespace
        self.create(kinds.NAMESPACES, builders.namespace(namespace))

    def create(self, resource, obj):
        return self.platform.call(self.platform.client.create(resource, obj))

    def environment(self, name, *requirements):
        """Return an image that holds these packages."""
        spec = {"images": [f"{name}:*"], "requirements": list(requirements)}
        obj = {
            "apiVersion": "wherry.dev/v1",
            "kind": "Environment",
            "metadata": {"name": name},
            "spec": spec,
        }
        self.create(ENVIRONMENTS, obj)

        def ready():
            found = self.platform.call(self.platform.client.get(ENVIRONMENTS, name))
            failed = conditions.get(found, "Ready")
            assert conditions.is_true(found, "Ready"), failed
            return True

        eventually(ready, 500)
        return f"{name}:1"

    def pod(self, framework, image, program, *command, **container):
        """Return the template of a pod that runs a program of ours."""
        data = {f"{program}.py": (PROGRAMS / f"{program}.py").read_text()}
        config = builders.config_map(program, namespace=self.namespace)
        if not self.exists(kinds.CONFIG_MAPS, program):
            self.create(kinds.CONFIG_MAPS, {**config, "data": data})
        mounted = {"name": "program", "mountPath": "/program"}
        main = {
            "name": framework.container or "main",
            "image": image,
            "command": [*(command or ("python",)), f"/program/{program}.py"],
            **container,
        }
        main["volumeMounts"] = [mounted, *container.get("volumeMounts", ())]
        volume = {"name": "program", "configMap": {"name": program}}
        return {"spec": {"containers": [main], "volumes": [volume]}}

    def exists(self, resource, name):
        listed = self.platform.call(self.platform.client.list(resource, self.namespace)).items
        return name in {obj["metadata"]["name"] for obj in listed}

    def start(self, framework, replicas, resource=None, **spec):
        resource = resource or framework.resource
        self.create(
            resource,
            {
                "apiVersion": resource.api_version,
                "kind": resource.kind,
                "metadata": {"name": "j", "namespace": self.namespace},
                "spec": {framework.replicas_field: replicas, **spec},
            },
        )

    def succeed(self, framework, seconds=120):
        """Wait until the job has succeeded."""

        def ended():
            found = self.platform.call(
                self.platform.client.get(framework.resource, "j", self.namespace)
            )
            return found if found.get("status", {}).get("completionTime") else None

        obj = eventually(ended, seconds)
        failed = conditions.get(obj, "Failed")
        assert conditions.is_true(obj, "Succeeded"), failed and failed["message"]
        return obj

    def restarts(self, pod):
        """Return how often a pod's container was started again."""
        found = self.platform.call(self.platform.client.get(kinds.PODS, pod, self.namespace))
        return found["status"]["containerStatuses"][0]["restartCount"]

    def told(self, pod):
        """Return the JSON lines that a pod has written."""
        kubectl = ["kubectl", "--kubeconfig", str(self.platform.kubeconfig), "-n", self.namespace]
        done = subprocess.run(
            [*kubectl, "logs", pod], capture_output=True, text=True, timeout=60, check=True
        )
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.fixture
def runs(shared_platform, request):
    """Return what starts jobs; the namespace is called after the test."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name)
    return Runs(shared_platform, name.removeprefix("test-").strip("-"))


def test_pytorch_ranks_end_with_equal_weights(runs):
    image = runs.environment("ddp", "torch==2.13.0", "scikit-learn")
    pod = {"template": runs.pod(Torch(), image, "ddp")}
    runs.start(Torch(), {"Master": pod, "Worker": pod})
    runs.succeed(Torch())
    (first,), (second,) = runs.told("j-master-0"), runs.told("j-worker-0")
    assert [each["rank"] for each in (first, second)] == [0, 1]
    assert first["size"] == second["size"] == 2
    assert first["weights"] == second["weights"]
    assert first["last"] < first["first"] / 2


def test_elastic_pytorch_survives_kill_9(runs, tmp_path):
    image = runs.environment("elastic", "torch==2.13.0", "numpy")
    # The name of a pod is its host name: that tells the program whether it is to die.
    command = ("sh", "-c", 'VICTIM=$([ "$HOSTNAME" = j-worker-1 ]; echo $((1-$?))) "$@"')
    pod = runs.pod(
        Torch(),
        image,
        "elastic",
        *command,
        "sh",
        "torchrun",
        volumeMounts=[{"name": "shared", "mountPath": "/shared"}],
    )
    pod["spec"]["volumes"].append({"name": "shared", "hostPath": {"path": str(tmp_path)}})
    conf = {"keep_alive_interval": "1", "keep_alive_max_attempt": "3", "last_call_timeout": "1"}
    policy = {
        "minReplicas": 1,
        "maxReplicas": 2,
        "maxRestarts": 5,
        "rdzvConf": [{"key": key, "value": value} for key, value in conf.items()],
    }
    worker = {"replicas": 2, "restartPolicy": "OnFailure", "template": pod}
    runs.start(Torch(), {"Worker": worker}, elasticPolicy=policy, nprocPerNode="1")
    runs.succeed(Torch(), 300)
    assert (tmp_path / "killed").exists()
    assert (tmp_path / "step").read_text() == "60"
    assert runs.restarts("j-worker-1") >= 1


@pytest.mark.parametrize("version", ["v1", "v2beta1"])
def test_mpich_ranks_of_three_workers_add_up(runs, version):
    """Through our remote shell: no ssh, no keys, no daemon."""
    image = runs.environment(f"mpich-{version}", "mpi4py==4.1.2", "mpich")
    launcher = runs.pod(MPI(), image, "reduce", "mpirun", "-n", "3", "python")
    container = {"name": "mpi", "image": image}
    worker = {"spec": {"containers": [container]}}
    replicas = {"Launcher": {"template": launcher}, "Worker": {"replicas": 3, "template": worker}}
    for template in (launcher, worker):
        mounted = {"name": "program", "mountPath": "/program"}
        template["spec"]["containers"][0]["volumeMounts"] = [mounted]
        template["spec"]["volumes"] = [{"name": "program", "configMap": {"name": "reduce"}}]
    extra = {"mpiImplementation": "MPICH"} if version == "v2beta1" else {}
    resource = V2 if version == "v2beta1" else MPI.resource
    runs.start(MPI(), replicas, resource, **extra)
    runs.succeed(MPI())
    told = runs.told("j-launcher-0" if version == "v1" else "job/j-launcher")
    assert sorted(each["rank"] for each in told) == [0, 1, 2]
    assert {each["host"] for each in told} == {f"j-worker-{index}" for index in range(3)}
    assert {each["total"] for each in told} == {6}


def test_open_mpi_ranks_of_the_launcher_add_up(runs):
    image = runs.environment("openmpi", "mpi4py==4.1.2", "openmpi")
    flags = ("--allow-run-as-root", "-n", "2")
    launcher = runs.pod(MPI(), image, "reduce", "mpirun", *flags, "python")
    replicas = {"Launcher": {"template": launcher}}
    runs.start(MPI(), replicas, V2, slotsPerWorker=2, runLauncherAsWorker=True)
    runs.succeed(MPI())
    told = runs.told("job/j-launcher")
    assert {each["total"] for each in told} == {3}
    assert {each["host"] for each in told} == {"j-launcher"}
