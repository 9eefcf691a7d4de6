"""The kind `MPIJob` in both its versions: which of them a job is, its defaults and rules. Pure.

Both versions have the same schema, v1's fields beside v2beta1's, so that nothing is lost whichever a
client speaks. What a job means is decided by the version it was written in first: an annotation.

Source: kubeflow/mpi-operator 0.6, ``pkg/apis/kubeflow/v2beta1``.
"""

from collections.abc import Sequence
from typing import Final

from wherry.objects import metadata
from wherry.objects.copies import copied
from wherry.objects.declared.kind import Column, Kind, Version
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.training import admission, kinds
from wherry.training.framework import Framework, ReplicaType
from wherry.training.frameworks import mpi
from wherry.training.kinds import JobStatus
from wherry.training.mpi import parts

VERSION: Final = "v2beta1"
API_VERSION: Final = f"{kinds.GROUP}/{VERSION}"
MANAGERS: Final = ("kubeflow.org/mpi-operator", "kueue.x-k8s.io/multikueue")


class MPIOperatorJob(mpi.MPI):
    """`MPIJob`, v2beta1."""

    types = (
        ReplicaType(mpi.WORKER),
        ReplicaType(mpi.LAUNCHER, required=True, at_most=1, restart_policy=kinds.ON_FAILURE),
    )
    container = ""
    managers = MANAGERS
    restart_policies = (kinds.NEVER, kinds.ON_FAILURE)

    def runs(self, obj: Object) -> bool:
        """Return whether a job was written in this version."""
        return metadata.annotations(obj).get(mpi.WRITTEN_AS) == API_VERSION

    def default(self, obj: Object) -> None:
        """Fill in what mpi-operator fills in."""
        filled = {
            "slotsPerWorker": 1,
            "sshAuthMountPath": "/root/.ssh",
            "launcherCreationPolicy": mpi.AT_STARTUP,
            "mpiImplementation": parts.OPEN_MPI,
            "runLauncherAsWorker": False,
        }
        for field, value in filled.items():
            if obj["spec"].get(field) in (None, ""):
                obj["spec"][field] = value


V1: Final = mpi.MPI()
V2: Final = MPIOperatorJob()


def _framework(obj: Object) -> Framework:
    return V2 if V2.runs(obj) else V1


def default(obj: Object) -> Object:
    """Return a job with what its version fills in, and a note of which that is."""
    made = _noted(obj)
    return admission.default(_framework(made), made)


def validate(obj: Object, old: Object | None) -> list[Cause]:
    """Return what is wrong with a job by the rules of its version."""
    return admission.validate(_framework(obj), obj, old)


def warnings(obj: Object) -> Sequence[str]:
    """Return what the writer of a job should know."""
    return admission.warnings(obj)


def convert(obj: Object, api_version: str) -> Object:
    """Return a job in the other version, with a note of the one it was written in first."""
    made = _noted(obj) if "metadata" in obj else copied(obj)
    return {**made, "apiVersion": api_version}


def _noted(obj: Object) -> Object:
    made = copied(obj)
    if mpi.WRITTEN_AS not in metadata.annotations(made):
        annotations = {**metadata.annotations(made), mpi.WRITTEN_AS: mpi.written_as(obj)}
        made["metadata"] = {**made["metadata"], "annotations": annotations}
    return made


def _version(name: str) -> Version:
    columns: tuple[Column, ...] = kinds.columns()
    return Version(
        name=name, spec=mpi.MPIJobSpec, status=JobStatus, columns=columns, scale=V1.scale
    )


KIND: Final = Kind(
    resource=V1.resource,
    versions=(_version(kinds.VERSION), _version(VERSION)),
    default=default,
    validate=validate,
    warnings=warnings,
    convert=convert,
)
