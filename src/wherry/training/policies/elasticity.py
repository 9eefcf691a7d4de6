"""The autoscaler of a job whose number of workers follows the load. Pure.

Source: kubeflow/training-operator 1.9, ``pkg/controller.v1/pytorch/hpa.go``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.training.job import Job


def autoscaler(
    job: Job, *, least: int | None, most: int | None, metrics: Sequence[Mapping[str, Any]]
) -> Object | None:
    """Return the HorizontalPodAutoscaler of an elastic job; None where it names no metrics.

    Args:
        job: Whose workers are scaled, through its scale subresource.
        least: Workers that it needs at least; 1 by default.
        most: Workers that it can use at most; without it there is nothing to scale.
        metrics: As in ``autoscaling/v2``.
    """
    if not metrics or most is None:
        return None
    resource = core.HORIZONTAL_POD_AUTOSCALERS
    target = {"apiVersion": job.obj["apiVersion"], "kind": job.kind, "name": job.name}
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": job.name,
            "namespace": job.namespace,
            "ownerReferences": [metadata.owner_reference(job.obj)],
        },
        "spec": {
            "scaleTargetRef": target,
            "minReplicas": least or 1,
            "maxReplicas": most,
            "metrics": [dict(metric) for metric in metrics],
        },
    }
