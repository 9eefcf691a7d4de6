"""What a trial runs: how it is made ready, which pods are its, and how one sees that it has ended. Pure.

Any kind will do. Where pods come from is found by the form of the object: whatever holds containers
is the template of a pod. When it has ended is said by GJSON expressions; kinds that are known have
some by default.

Source: kubeflow/katib 0.19, ``pkg/apis/controller/experiments/v1beta1/experiment_defaults.go``,
``pkg/controller.v1beta1/trial/util/job_util.go``, ``pkg/webhook/v1beta1/pod``.
"""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.tuning import kinds, pipeline_runs

TRIAL_NAME: Final = "KATIB_TRIAL_NAME"
"""Variable of the primary container."""

_WORK_GROUPS: Final = frozenset({"apps", "batch"})
_MESSAGE_LENGTH: Final = 1000
_USUAL: Final = re.compile(r'status\.conditions\.#\(type=="(\w+)"\)#\|#\(status=="True"\)#')
_MOST_WILDCARDS: Final = 2
"""In an expression: the time to find nothing is multiplied by a text's length with each more."""
_SYNTAX: Final = ("Unbalanced", "Invalid query", "Unknown modifier", "Queries")

_Part = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a kind.

    Attributes:
        success: GJSON expression that finds something when it has succeeded.
        failure: The same when it has failed.
        labels: Of the pod whose metrics count.
    """

    success: str
    failure: str
    labels: Mapping[str, str]


def _by_condition(success: str, labels: Mapping[str, str]) -> Known:
    def found(type_: str) -> str:
        return f'status.conditions.#(type=="{type_}")#|#(status=="True")#'

    return Known(found(success), found("Failed"), labels)


_JOB: Final = _by_condition("Complete", {})
_TRAIN_JOB: Final = _by_condition(
    "Complete",
    {
        "jobset.sigs.k8s.io/replicatedjob-name": "node",
        "batch.kubernetes.io/job-completion-index": "0",
    },
)
_TRAINING: Final = _by_condition("Succeeded", {"training.kubeflow.org/job-role": "master"})
_JOB_SET: Final = _by_condition("Completed", {})
_PHASE: Final = Known(
    'status.[@this].#(phase=="Succeeded")#', 'status.[@this].#(phase=="Failed")#', {}
)
_WORKFLOW: Final = Known(
    _PHASE.success,
    '[status.[@this].#(phase=="Failed"),status.[@this].#(phase=="Error")]',
    {},
)
_PIPELINE_RUN: Final = Known(
    _by_condition("Succeeded", {}).success,
    '[status.[@this].#(state=="FAILED"),status.[@this].#(state=="CANCELED")]',
    {},
)
_KNOWN: Final[Mapping[tuple[str, str], Known]] = {
    ("batch", "Job"): _JOB,
    ("trainer.kubeflow.org", "TrainJob"): _TRAIN_JOB,
    ("jobset.x-k8s.io", "JobSet"): _JOB_SET,
    ("", "Pod"): _PHASE,
    ("argoproj.io", "Workflow"): _WORKFLOW,
    (pipeline_runs.GROUP, pipeline_runs.KIND): _PIPELINE_RUN,
    **{
        ("kubeflow.org", kind): _TRAINING
        for kind in (
            "TFJob",
            "PyTorchJob",
            "XGBoostJob",
            "MPIJob",
            "MXJob",
            "PaddleJob",
            "JAXJob",
        )
    },
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How what a trial runs has ended.

    Attributes:
        succeeded: Whether well.
        reason: Its own reason; empty: it gives none.
        message: Its own message.
    """

    succeeded: bool
    reason: str
    message: str


def known(api_version: str, kind: str) -> Known | None:
    """Return what is known of a kind; None of one that is not known."""
    group, _, _ = api_version.rpartition("/")
    return _KNOWN.get((group, kind))


def unfit(resource: Resource) -> str:
    """Return why no trial may run a kind; empty: it may.

    Trials are made with the rights of the controllers, whoever asks for them: what gives rights, or
    concerns others, is not for them.
    """
    if not resource.namespaced:
        return f"{resource.kind} is in no namespace"
    builtin = core.by_kind(resource.api_version, resource.kind) is not None
    if builtin and resource.group not in _WORK_GROUPS and resource != core.PODS:
        told = f"{resource.api_version} {resource.kind}"
        return f"{told} is no work: want a kind of batch/v1 or apps/v1, a Pod, or a custom kind"
    return ""


def primary_container(obj: Object) -> str:
    """Return the container whose metrics count where nobody says so: the first of the first pod."""
    for template in pod_templates(obj):
        for container in template["spec"]["containers"]:
            return str(container.get("name", ""))
    return ""


def pod_templates(obj: Any) -> Iterator[Object]:
    """Yield every part of an object that is a pod's template: ``spec`` with containers."""
    if isinstance(obj, list):
        for each in obj:
            yield from pod_templates(each)
    elif isinstance(obj, dict):
        spec = obj.get("spec")
        if isinstance(spec, dict) and isinstance(spec.get("containers"), list):
            yield obj
            return
        for each in obj.values():
            yield from pod_templates(each)


def has_container(template: _Part, name: str) -> bool:
    """Return whether a pod's template has a container of this name."""
    return any(each.get("name") == name for each in template["spec"]["containers"])


def made_ready(trial: Object, run: Object) -> Object:
    """Return what a trial runs, with labels, owner and what its pods have to know.

    Args:
        trial: The stored Trial.
        run: ``spec.runSpec``.
    """
    made = copied(run)
    fields = made.setdefault("metadata", {})
    fields |= {"name": metadata.name(trial), "namespace": metadata.namespace(trial)}
    label(trial, made)
    fields["ownerReferences"] = [metadata.owner_reference(trial)]
    for template in pod_templates(made):
        label(trial, template)
        tell(trial, template)
    if made.get("kind") == "TrainJob":
        _tell_trainer(made, metadata.name(trial))
    if pipeline_runs.is_run(made):
        pipeline_runs.type_parameters(made)
    return made


def label(trial: Object, obj: Object) -> None:
    """Give what a trial runs, or one of its pods, what it bears from its trial, in place."""
    # Labels that people give an experiment go along, so that they find all that belongs to it.
    inherited = {k: v for k, v in metadata.labels(trial).items() if k != kinds.INDEX_LABEL}
    fields = obj.setdefault("metadata", {})
    own = fields.get("labels") or {}
    fields["labels"] = {**own, **inherited, kinds.TRIAL_LABEL: metadata.name(trial)}
    if beside := metadata.annotations(trial).get(metadata.PARALLELISM):
        # Trials share the processors; who knows better has said so in the template.
        fields["annotations"] = {metadata.PARALLELISM: beside, **(fields.get("annotations") or {})}


def tell(trial: Object, pod: Object) -> None:
    """Tell the primary container of a pod, or of its template, whose it is, in place."""
    main = str(trial["spec"].get("primaryContainerName") or "")
    for container in pod["spec"]["containers"]:
        # So that a trial that fails can say what its program said last.
        container.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
        if container.get("name") == main:
            _tell(container, metadata.name(trial))


def _tell(container: Object, trial: str) -> None:
    variables = [each for each in container.get("env") or () if each.get("name") != TRIAL_NAME]
    container["env"] = [*variables, {"name": TRIAL_NAME, "value": trial}]


def _tell_trainer(job: Object, trial: str) -> None:
    """Tell a TrainJob, whose pods come from a runtime elsewhere."""
    spec = job.setdefault("spec", {})
    _tell(spec.setdefault("trainer", {}), trial)


def verdict(trial: Object, run: Object) -> Verdict | None:
    """Return how what a trial runs has ended; None while it runs. Failure is looked for first.

    Args:
        trial: With both conditions in its spec.
        run: The object as it is now.
    """
    spec = trial["spec"]
    for succeeded, field in ((False, "failureCondition"), (True, "successCondition")):
        hit = _hit(run, str(spec.get(field) or ""))
        if hit is not None:
            return Verdict(succeeded, str(hit.get("reason") or ""), _cut(hit.get("message")))
    return None


def _hit(run: Object, expression: str) -> _Part | None:
    """Return what an expression finds, as far as it is an object; None where it finds nothing."""
    usual = _USUAL.fullmatch(expression)
    if usual is not None:
        # What nearly all say, at each of many looks, is found without the library's parser.
        return _condition(run, usual[1])
    found = query(run, expression) if expression else None
    while isinstance(found, list) and found:
        found = found[0]
    if isinstance(found, dict):
        return found
    return {} if found else None


def _condition(run: Object, type_: str) -> _Part | None:
    held = (run.get("status") or {}).get("conditions") or ()
    for each in held:
        if each.get("type") == type_ and each.get("status") == "True":
            return dict(each)
    return None


def query(obj: Object, expression: str) -> Any:
    """Return what a GJSON expression finds; None where it finds nothing."""
    if expression.count("*") > _MOST_WILDCARDS:
        return None  # as below
    try:
        return _gjson().get(obj, expression, quiet=True)
    except (re.error, ValueError, IndexError):
        return None  # admission has told its user, unless it came in without


def syntax_problem(expression: str) -> str:
    """Return what is wrong with a GJSON expression; empty: nothing."""
    if _USUAL.fullmatch(expression):
        return ""
    if expression.count("*") > _MOST_WILDCARDS:
        return f"it may have {_MOST_WILDCARDS} wildcards (*), not more"
    gjson = _gjson()
    try:
        gjson.get({}, expression)
    except gjson.GJSONError as error:
        # That an empty object holds nothing is an error of the same class.
        told = str(error).partition("\n")[0]
        return told if told.startswith(_SYNTAX) else ""
    except (re.error, ValueError, IndexError) as error:
        return str(error)
    return ""


@functools.cache
def _gjson() -> Any:
    # Not needed by who tunes nothing: it would cost every start.
    import gjson  # noqa: PLC0415 - as said

    return gjson


def is_primary(trial: Object, pod: Object) -> bool:
    """Return whether a pod is the one of a trial's pods whose metrics count."""
    wanted: _Part = trial["spec"].get("primaryPodLabels") or {}
    labels = metadata.labels(pod)
    return all(labels.get(name) == value for name, value in wanted.items())


def primary_pods(trial: Object, pods: Iterable[Object]) -> list[Object]:
    """Return the pods of a trial whose metrics count, the latest first."""
    found = [pod for pod in pods if is_primary(trial, pod)]
    return sorted(found, key=_age, reverse=True)


def _age(pod: Object) -> tuple[str, str]:
    return (str(pod["metadata"].get("creationTimestamp", "")), metadata.name(pod))


def is_running(pods: Sequence[Object]) -> bool:
    """Return whether one of some pods runs, or has come to a good end."""
    return any((pod.get("status") or {}).get("phase") in {"Running", "Succeeded"} for pod in pods)


def is_over(pod: Object) -> bool:
    """Return whether a pod has come to its end."""
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def trouble(pods: Sequence[Object]) -> tuple[str, str] | None:
    """Return reason and message of what keeps a pod from running; None: nothing does."""
    for pod in pods:
        status: _Part = pod.get("status") or {}
        if status.get("phase") == "Failed":
            # What runs it may make another one; its user wants to know why at once.
            return "PodFailed", last_words((pod,))
        for each in status.get("conditions") or ():
            if each.get("type") == "PodScheduled" and each.get("reason") == "Unschedulable":
                return "Unschedulable", f"pod {metadata.name(pod)}: {_cut(each.get('message'))}"
        statuses = (*_all(status, "initContainerStatuses"), *_all(status, "containerStatuses"))
        for container in statuses:
            waiting: _Part = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") not in {None, "", "ContainerCreating", "PodInitializing"}:
                told = _cut(waiting.get("message"))
                return str(waiting["reason"]), f"pod {metadata.name(pod)}: {told}"
    return None


def _all(status: _Part, field: str) -> Sequence[_Part]:
    return status.get(field) or ()


def last_words(pods: Sequence[Object]) -> str:
    """Return what pods that have failed say of it: exit code, reason, last lines; cut."""
    for pod in pods:
        status: _Part = pod.get("status") or {}
        if status.get("phase") != "Failed":
            continue
        told = [f"pod {metadata.name(pod)} failed"]
        if status.get("reason"):
            told.append(f"({status['reason']}) {_cut(status.get('message'))}")
        for container in _all(status, "containerStatuses"):
            ended: _Part = (container.get("state") or {}).get("terminated") or {}
            if ended.get("exitCode"):
                said = str(ended.get("message") or "")[-_MESSAGE_LENGTH:].strip()
                told.append(f"with exit code {ended['exitCode']}" + (f": {said}" if said else ""))
                break
        return " ".join(told)
    return ""


def _cut(message: object) -> str:
    return str(message or "")[:_MESSAGE_LENGTH]
