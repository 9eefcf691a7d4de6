"""What launchers and workers of MPI are told, variable by variable: of the operators', and our own."""

import pytest

from wherry.training import build
from wherry.training.chainer import admission as chainer_admission
from wherry.training.chainer import build as chainer
from wherry.training.chainer import kinds as chainer_kinds
from wherry.training.frameworks.mpi import LAUNCHER, WORKER
from wherry.training.launched import build as launched
from wherry.training.launched import mpi_job

SHELL, HOSTS, HYDRA = "/etc/mpi/kubexec.sh", "/etc/mpi/hostfile", "/etc/mpi/hostfile.hydra"
NO_DEVICES = {"NVIDIA_VISIBLE_DEVICES": "", "NVIDIA_DRIVER_CAPABILITIES": ""}


def open_mpi(shell=SHELL, hosts=HOSTS, keep="true"):
    """Return what Open MPI is told, beside what the operators tell: for 5, and by no tree."""
    as_root = {
        f"{who}_ALLOW_RUN_AS_ROOT{sure}": "1"
        for who in ("OMPI", "PRTE")
        for sure in ("", "_CONFIRM")
    }
    return {
        "OMPI_MCA_plm_rsh_agent": shell,
        "OMPI_MCA_plm_rsh_no_tree_spawn": "1",
        "OMPI_MCA_orte_default_hostfile": hosts,
        "OMPI_MCA_orte_keep_fqdn_hostnames": keep,
        "OMPI_MCA_btl_tcp_if_exclude": "lo,docker0",
        "PRTE_MCA_plm_ssh_agent": shell,
        "PRTE_MCA_plm_ssh_no_tree_spawn": "1",
        "PRTE_MCA_prte_default_hostfile": hosts,
        "PRTE_MCA_prte_keep_fqdn_hostnames": "true",
        **as_root,
    }


MPICH = {"HYDRA_HOST_FILE": HYDRA, "HYDRA_LAUNCHER": "ssh", "HYDRA_LAUNCHER_EXEC": SHELL}
INTEL = {
    "I_MPI_HYDRA_HOST_FILE": HYDRA,
    "I_MPI_HYDRA_BOOTSTRAP": "rsh",
    "I_MPI_HYDRA_BOOTSTRAP_EXEC": SHELL,
}


def job(framework, version, launcher=None, **spec):
    """Return a job of one launcher and two workers."""
    containers = {
        LAUNCHER: {"name": "mpi", "image": "i", **(launcher or {})},
        WORKER: {"name": "mpi", "image": "i"},
    }
    replicas = {
        type_: {"replicas": count, "template": {"spec": {"containers": [containers[type_]]}}}
        for type_, count in ((LAUNCHER, 1), (WORKER, 2))
    }
    obj = {
        "apiVersion": f"kubeflow.org/{version}",
        "kind": "MPIJob",
        "metadata": {"name": "j", "namespace": "ns", "uid": "u"},
        "spec": {"mpiReplicaSpecs": replicas, **spec},
    }
    return framework.read(mpi_job.default(obj))


def told(pod):
    """Return the variables of a pod's only container."""
    (container,) = pod["spec"]["containers"]
    return {one["name"]: one.get("value") for one in container.get("env") or ()}


def v1(**fields):
    """Return the pods of a v1 job, by name."""
    made = job(mpi_job.V1, "v1", **fields)
    pods = [build.pod(mpi_job.V1, each) for each in made.all()]
    return {pod["metadata"]["name"]: pod for pod in pods}


def test_v1():
    pods = v1()
    own = {"WHERRY_MPI_CONTAINER": "mpi"}
    assert told(pods["j-launcher-0"]) == {**open_mpi(), **MPICH, **INTEL, **own, **NO_DEVICES}
    assert told(pods["j-worker-1"]) == {}
    for pod in pods.values():
        (container,) = pod["spec"]["containers"]
        assert container["volumeMounts"] == [{"name": "mpi-job-config", "mountPath": "/etc/mpi"}]


def test_a_v1_launcher_with_devices_computes_too():
    limits = {"resources": {"limits": {"nvidia.com/gpu": 1}}}
    made = job(mpi_job.V1, "v1", launcher=limits, slotsPerWorker=2)
    config = next(each for each in mpi_job.V1.companions(made) if each["kind"] == "ConfigMap")
    assert config["data"]["hostfile"].splitlines() == [
        "j-launcher-0 slots=2",
        "j-worker-0 slots=2",
        "j-worker-1 slots=2",
    ]
    assert told(v1(launcher=limits)["j-launcher-0"]).keys().isdisjoint(NO_DEVICES)


PATIENT = "-o ConnectionAttempts=10"


@pytest.mark.parametrize(
    ("implementation", "variables"),
    [
        (
            "OpenMPI",
            {
                **open_mpi(),
                "OMPI_MCA_plm_rsh_args": PATIENT,
                "OMPI_MCA_orte_set_default_slots": "3",
            },
        ),
        ("MPICH", {**MPICH, "HYDRA_LAUNCH_EXTRA_ARGS": PATIENT}),
        (
            "Intel",
            {**INTEL, "I_MPI_HYDRA_BOOTSTRAP_EXEC_EXTRA_ARGS": PATIENT, "I_MPI_PERHOST": "3"},
        ),
    ],
)
@pytest.mark.parametrize("works", [False, True])
def test_v2beta1(implementation, variables, works):
    fields = {"mpiImplementation": implementation, "runLauncherAsWorker": works}
    made = job(mpi_job.V2, "v2beta1", slotsPerWorker=3, **fields)
    own = {"K_MPI_JOB_ROLE": "launcher", "WHERRY_MPI_CONTAINER": "mpi"}
    devices = {} if works else NO_DEVICES
    template = launched.launcher(made)["spec"]["template"]
    assert told(template) == {**own, **variables, **devices}
    workers = [launched.worker(each) for each in made.of(WORKER)]
    assert [told(each) for each in workers] == [{"K_MPI_JOB_ROLE": "worker"}] * 2
    index = "training.kubeflow.org/replica-index"
    indexes = [each["metadata"]["labels"].get(index) for each in (template, *workers)]
    assert indexes == (["0", "1", "2"] if works else [None, "0", "1"])


def test_v2beta1_on_the_network_of_its_nodes():
    made = job(mpi_job.V2, "v2beta1")
    for replica in made.replicas.values():
        replica.template["spec"]["hostNetwork"] = True
    pods = [launched.launcher(made)["spec"]["template"], launched.worker(next(made.of(WORKER)))]
    assert [pod["spec"]["dnsPolicy"] for pod in pods] == ["ClusterFirstWithHostNet"] * 2


def test_chainer():
    template = {"spec": {"containers": [{"name": "chainer", "image": "i"}]}}
    obj = {
        "apiVersion": "kubeflow.org/v1alpha1",
        "kind": "ChainerJob",
        "metadata": {"name": "j", "namespace": "ns", "uid": "u"},
        "spec": {
            "backend": "mpi",
            "master": {"template": template},
            "workerSets": {"ws": {"replicas": 1, "template": template}},
        },
    }
    made = chainer_kinds.read(chainer_admission.default(obj))
    folder = "/kubeflow/chainer-operator"
    shell, hosts = f"{folder}/assets/kubexec.sh", f"{folder}/generated/hostfile"
    hydra = {
        **{key: shell if value == SHELL else value for key, value in (MPICH | INTEL).items()},
        "HYDRA_HOST_FILE": f"{hosts}.hydra",
        "I_MPI_HYDRA_HOST_FILE": f"{hosts}.hydra",
    }
    wanted = {**open_mpi(shell, hosts, "t"), **hydra, "WHERRY_MPI_CONTAINER": "chainer"}
    assert told(chainer.master(made)["spec"]["template"]) == wanted
    (worker,) = chainer.worker_sets(made, done=False)
    assert told(worker["spec"]["template"]) == wanted
