"""The JobSet that is being made of a TrainJob and its runtime. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wherry.objects import quantities
from wherry.objects.requests import Object
from wherry.training.trainer import kinds, merging
from wherry.training.trainer.runtime import MLPolicy, RuntimeSpec
from wherry.training.trainer.train_job import TrainJob

INDEX = "metadata.annotations['batch.kubernetes.io/job-completion-index']"


@dataclass(frozen=True, slots=True)
class Draft:
    """What policies work on.

    Attributes:
        job: What is trained.
        runtime: How.
        template: The JobSet's `metadata` and `spec`: the draft's own, changed in place.
    """

    job: TrainJob
    runtime: RuntimeSpec
    template: Object

    @property
    def policy(self) -> MLPolicy:
        """How the nodes find one another."""
        return self.runtime.ml_policy or MLPolicy()

    @property
    def nodes(self) -> int:
        """How many pods train."""
        wanted = self.job.trainer.num_nodes
        if wanted is None:
            wanted = self.policy.num_nodes
        return 1 if wanted is None else wanted

    @property
    def subdomain(self) -> str:
        """Name of the Service by which the pods find one another."""
        return (self.template["spec"].get("network") or {}).get("subdomain") or self.job.name

    def replicated(self) -> Iterator[Object]:
        """Yield the replicated jobs."""
        yield from self.template["spec"].get("replicatedJobs") or ()

    def step(self, name: str) -> Object | None:
        """Return the replicated job that does a step, by its label; None where there is none."""
        return next((each for each in self.replicated() if step_of(each) == name), None)

    def called(self, name: str) -> Object | None:
        """Return the replicated job of a name."""
        return next((each for each in self.replicated() if each["name"] == name), None)

    def trainer(self) -> Object | None:
        """Return the container that trains; None where the runtime has none."""
        step = self.step(kinds.TRAINER)
        return container(step, kinds.NODE) if step is not None else None

    def training(self) -> Iterator[Object]:
        """Yield the containers that train: the trainer's, and those that an MPI launcher sends out."""
        step = self.step(kinds.TRAINER)
        mpi = self.policy.mpi
        sent = self.called(kinds.NODE) if mpi is not None and mpi.run_launcher_as_node else None
        for replicated in (step, sent if sent is not step else None):
            found = container(replicated, kinds.NODE) if replicated is not None else None
            if found is not None:
                yield found

    def first_host(self) -> str:
        """Return the name of the first node."""
        step = self.step(kinds.TRAINER)
        name = step["name"] if step is not None else kinds.NODE
        return f"{self.job.name}-{name}-0-0.{self.subdomain}"

    def gpus(self) -> int:
        """Return how many devices each node has, by its limits or requests."""
        resources = (self.trainer() or {}).get("resources") or {}
        for amounts in (resources.get("limits") or {}, resources.get("requests") or {}):
            for name, amount in amounts.items():
                if "gpu" in name.lower():
                    return int(quantities.parse(amount))
        return 0

    def cpus(self) -> int:
        """Return how many cores each node has, by its requests or limits; 0: nobody says."""
        resources = (self.trainer() or {}).get("resources") or {}
        for amounts in (resources.get("requests") or {}, resources.get("limits") or {}):
            if "cpu" in amounts:
                return -(-quantities.cpu_millis(amounts["cpu"]) // 1000)
        return 0


def step_of(replicated: Mapping[str, Any]) -> str:
    """Return the step that a replicated job does; empty where it bears no label."""
    labels = (replicated["template"].get("metadata") or {}).get("labels") or {}
    return str(labels.get(kinds.STEP) or "")


def pod_spec(replicated: Object) -> Object:
    """Return the spec of a replicated job's pods, to be changed in place."""
    job: Object = replicated["template"].setdefault("spec", {})
    found: Object = job.setdefault("template", {}).setdefault("spec", {})
    return found


def containers(replicated: Object) -> list[Object]:
    """Return the containers of a replicated job's pods, init containers first."""
    spec = pod_spec(replicated)
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def container(replicated: Object, name: str) -> Object | None:
    """Return a container of a replicated job's pods, to be changed in place."""
    return next((one for one in containers(replicated) if one.get("name") == name), None)


def give(one: Object, variables: Mapping[str, str]) -> None:
    """Give a container variables, over those that it has."""
    listed = [{"name": name, "value": value} for name, value in variables.items()]
    one["env"] = merging.keyed("env", one.get("env") or (), listed)


def give_index(one: Object, name: str) -> None:
    """Give a container its pod's completion index as a variable."""
    variable = {"name": name, "valueFrom": {"fieldRef": {"fieldPath": INDEX}}}
    one["env"] = merging.keyed("env", one.get("env") or (), [variable])


def open_port(one: Object) -> None:
    """Name the port by which nodes meet."""
    ports = one.setdefault("ports", [])
    if all(port.get("containerPort") != kinds.PORT for port in ports):
        ports.append({"containerPort": kinds.PORT, "protocol": "TCP"})
