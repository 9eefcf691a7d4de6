"""How the training itself tells how far it is: what its pods are given for that, and what they send. Pure.

Source: kubeflow/trainer 2.3 ``pkg/statusserver`` and the plug-in ``trainjobstatus`` (there behind the
feature gate ``TrainJobStatus``).
"""

import datetime
from collections.abc import Mapping
from typing import Any, Final

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.training.trainer import draft as drafts
from wherry.training.trainer import kinds, merging
from wherry.training.trainer.draft import Draft
from wherry.training.trainer.train_job import TrainJob

NAMESPACE: Final = "kubeflow-system"
SERVICE: Final = "kubeflow-trainer-controller-manager"
PORT: Final = 10443
HOST: Final = f"{SERVICE}.{NAMESPACE}.svc"

_VOLUME: Final = "kubeflow-trainer-token"
_FOLDER: Final = "/var/run/secrets/kubeflow/trainer"
_AUTHORITY: Final = "ca.crt"
_TOKEN: Final = "token"  # noqa: S105 - the name of a file
_TOKEN_SECONDS: Final = 3600
_FIELD: Final = "trainerStatus"
_NUMBERS: Final = ("progressPercentage", "estimatedRemainingSeconds")
_GREATEST: Final = 2**31 - 1


def path(namespace: str, name: str) -> str:
    """Return where the state of a TrainJob is sent to."""
    return f"/apis/{kinds.TRAIN_JOBS.api_version}/namespaces/{namespace}/trainjobs/{name}/status"


def audience(namespace: str, name: str) -> str:
    """Return for whom the token is meant with which it is sent: for this one job's address."""
    return path(namespace, name).removeprefix("/apis/")


def is_told(job_set: Object) -> bool:
    """Return whether the pods of a JobSet that is there were given what they need."""
    return any(
        volume.get("name") == _VOLUME
        for replicated in job_set["spec"].get("replicatedJobs") or ()
        for volume in drafts.pod_spec(replicated).get("volumes") or ()
    )


def tell(draft: Draft) -> None:
    """Give the pods that train address, authority and token, in place."""
    job = draft.job
    sent = draft.called(kinds.NODE) if draft.policy.mpi is not None else None
    for replicated in (draft.step(kinds.TRAINER), sent):
        if replicated is None:
            continue
        spec = drafts.pod_spec(replicated)
        spec["volumes"] = merging.keyed("volumes", spec.get("volumes") or (), [_volume(job)])
        for one in spec.get("containers") or ():
            drafts.give(one, _variables(job))
            mount = {"name": _VOLUME, "mountPath": _FOLDER, "readOnly": True}
            one["volumeMounts"] = merging.keyed(
                "volumeMounts", one.get("volumeMounts") or (), [mount]
            )


def _variables(job: TrainJob) -> dict[str, str]:
    return {
        "KUBEFLOW_TRAINER_SERVER_URL": f"https://{HOST}:{PORT}{path(job.namespace, job.name)}",
        "KUBEFLOW_TRAINER_SERVER_CA_CERT": f"{_FOLDER}/{_AUTHORITY}",
        "KUBEFLOW_TRAINER_SERVER_TOKEN": f"{_FOLDER}/{_TOKEN}",
    }


def _volume(job: TrainJob) -> Object:
    token = {
        "audience": audience(job.namespace, job.name),
        "expirationSeconds": _TOKEN_SECONDS,
        "path": _TOKEN,
    }
    items = [{"key": _AUTHORITY, "path": _AUTHORITY}]
    authority = {"name": _config_name(job), "items": items}
    sources = [{"serviceAccountToken": token}, {"configMap": authority}]
    return {"name": _VOLUME, "projected": {"sources": sources}}


def config_map(job: TrainJob, authority: bytes) -> Object:
    """Return the object that tells the pods of a job whom they may believe at the address.

    Args:
        job: Whose.
        authority: PEM of the certificate.
    """
    return {
        "apiVersion": core.CONFIG_MAPS.api_version,
        "kind": core.CONFIG_MAPS.kind,
        "metadata": {
            "name": _config_name(job),
            "namespace": job.namespace,
            "ownerReferences": [metadata.owner_reference(job.obj)],
        },
        "data": {_AUTHORITY: authority.decode()},
    }


def _config_name(job: TrainJob) -> str:
    return f"{job.name}-tls-config"


def read(sent: Any) -> dict[str, Any] | list[Cause]:
    """Return the part of a TrainJob's status that was sent, every field named; or what is wrong.

    What is not sent is None: it takes the place of what was sent before. Bounds are the schema's.

    Args:
        sent: What stood in the body of the request.
    """
    status = sent.get(_FIELD) if isinstance(sent, Mapping) else None
    if not isinstance(status, Mapping):
        return [Cause(_FIELD, "want an object")]
    causes = [
        Cause(f"{_FIELD}.{field}", f"{status[field]!r:.40}: want a whole number of 32 bits")
        for field in _NUMBERS
        if status.get(field) is not None and not _is_number(status[field])
    ]
    metrics = status.get("metrics")
    if metrics is not None and not _are_metrics(metrics):
        causes.append(
            Cause(f"{_FIELD}.metrics", "want a list of objects with name and value, texts")
        )
    when = _time(status.get("lastUpdatedTime"))
    if when is None:
        message = f"{status.get('lastUpdatedTime')!r}: want a time as in RFC 3339"
        causes.append(Cause(f"{_FIELD}.lastUpdatedTime", message))
    if causes or when is None:
        return causes
    numbers = {field: status.get(field) for field in _NUMBERS}
    told = [{"name": each["name"], "value": each["value"]} for each in metrics or ()]
    return {**numbers, "metrics": told or None, "lastUpdatedTime": metadata.format_time(when)}


def _is_number(value: Any) -> bool:
    return type(value) is int and abs(value) <= _GREATEST


def _are_metrics(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, Mapping)
        and isinstance(each.get("name"), str)
        and isinstance(each.get("value"), str)
        for each in value
    )


def _time(value: Any) -> datetime.datetime | None:
    try:
        return metadata.parse_time(value) if isinstance(value, str) else None
    except ValueError:
        return None
