"""What a Suggestion holds: which proposals are no trials yet, and how the algorithm is. Pure.

Proposals are written down before a trial is made of any, names and all: whoever makes trials may be
killed at any time, and the next one makes those that are missing, under the same names.
"""

import datetime
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from wherry.objects import metadata
from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.tuning import kinds, status, templates
from wherry.tuning.algorithm import Answer, Proposal
from wherry.tuning.status import Verdict
from wherry.tuning.stopping import Rule

KEPT: Final = 32
"""So many of the latest proposals stay in the status when they have become trials.

Each further proposal costs a write of all that is held: with a hundred that was a tenth of a trial.
"""

AHEAD: Final = 16
"""So many proposals more than trials may run are asked for, where it does not matter when that is done.

Each question costs two writes and an answer from another process: as much as a tenth of a short trial.
"""

_READY: Final = "DeploymentReady"
_INDEPENDENT: Final = frozenset({"random", "grid", "sobol"})
"""Algorithms whose proposals depend on their place in the order and on nothing that trials tell."""

_Part = Mapping[str, Any]
Made = Callable[[str], bool]


def made_for(experiment: Object, requests: int) -> Object:
    """Return the Suggestion of an Experiment.

    Args:
        experiment: With defaults filled in.
        requests: How many proposals are wanted.
    """
    spec = experiment["spec"]
    wanted: Object = {
        "algorithm": spec.get("algorithm") or {},
        "requests": requests,
        "resumePolicy": spec.get("resumePolicy"),
    }
    if spec.get("earlyStopping"):
        wanted["earlyStopping"] = spec["earlyStopping"]
    return {
        "apiVersion": kinds.API_VERSION,
        "kind": kinds.SUGGESTIONS.kind,
        "metadata": {
            "name": metadata.name(experiment),
            "namespace": metadata.namespace(experiment),
            "labels": {
                **metadata.labels(experiment),
                kinds.EXPERIMENT_LABEL: metadata.name(experiment),
            },
            "ownerReferences": [metadata.owner_reference(experiment)],
        },
        "spec": wanted,
    }


def count(suggestion: Object) -> int:
    """Return how many proposals stand."""
    return (suggestion.get("status") or {}).get("suggestionCount") or 0


def wanted(suggestion: Object) -> int:
    """Return how many more proposals are asked for."""
    return max(0, ((suggestion.get("spec") or {}).get("requests") or 0) - count(suggestion))


def ahead(spec: _Part) -> int:
    """Return how many proposals more than trials may run are asked for.

    Args:
        spec: Of the Experiment.
    """
    name = (spec.get("algorithm") or {}).get("algorithmName")
    # Rules to stop early are made with a proposal, from all trials until then.
    return AHEAD if name in _INDEPENDENT and not spec.get("earlyStopping") else 0


def unmade(suggestion: Object, is_made: Made) -> list[Object]:
    """Return the proposals of which there is no trial, in their order.

    Args:
        suggestion: With its status.
        is_made: Tells whether there is a trial of a name.
    """
    held = (suggestion.get("status") or {}).get("suggestions") or ()
    return [each for each in held if not is_made(str(each.get("name", "")))]


def begun(suggestion: Object, now: datetime.datetime) -> dict[str, Any]:
    """Return the status of a Suggestion that is worked on."""
    made: dict[str, Any] = copied(suggestion.get("status") or {})
    held = made.setdefault("conditions", [])
    made.setdefault("startTime", metadata.format_time(now))
    for type_, reason, message in (
        (kinds.CREATED, "SuggestionCreated", "Suggestion is created"),
        (_READY, _READY, "Deployment is ready"),
        (kinds.RUNNING, "SuggestionRunning", "Suggestion is running"),
    ):
        status.put(held, type_, reason=reason, message=message, now=now)
    return made


def waiting(suggestion: Object, why: str, now: datetime.datetime) -> dict[str, Any]:
    """Return the status of a Suggestion whose service cannot be asked yet."""
    made: dict[str, Any] = copied(suggestion.get("status") or {})
    held = made.setdefault("conditions", [])
    made.setdefault("startTime", metadata.format_time(now))
    message = "Suggestion is created"
    status.put(held, kinds.CREATED, reason="SuggestionCreated", message=message, now=now)
    status.put(held, _READY, status="False", reason="DeploymentNotReady", message=why, now=now)
    return status.stamped(suggestion, made, now)


def answered(
    experiment: Object,
    suggestion: Object,
    answer: Answer,
    *,
    rules: Sequence[Rule],
    is_made: Made,
    now: datetime.datetime,
) -> dict[str, Any]:
    """Return the status of a Suggestion whose algorithm has answered.

    Args:
        experiment: Whose it is.
        suggestion: As it was when the algorithm was asked.
        answer: What it says.
        rules: When the trials of these proposals are stopped early.
        is_made: Tells whether there is a trial of a name.
        now: Aware.
    """
    made = begun(suggestion, now)
    first = made.get("proposed") or 0
    new = [
        _written(experiment, proposal, first + place, rules)
        for place, proposal in enumerate(answer.proposals)
    ]
    made["suggestions"] = [*_kept(made.get("suggestions") or (), is_made), *new]
    made["suggestionCount"] = count(suggestion) + len(new)
    made["proposed"] = first + len(new)
    if answer.ended:
        made["ended"] = True
    if answer.state:
        made["algorithmSettings"] = [
            {"name": name, "value": value} for name, value in answer.state.items()
        ]
    return status.stamped(suggestion, made, now)


def _kept(held: Sequence[Object], is_made: Made) -> Iterable[Object]:
    last = len(held) - KEPT
    return [
        each
        for place, each in enumerate(held)
        if place >= last or not is_made(str(each.get("name", "")))
    ]


def _written(experiment: Object, proposal: Proposal, index: int, rules: Sequence[Rule]) -> Object:
    made: Object = {
        "name": proposal.name or templates.name(experiment, index),
        "index": index,
        "parameterAssignments": [
            {"name": name, "value": value} for name, value in proposal.assignments.items()
        ],
    }
    if rules:
        made["earlyStoppingRules"] = [
            {
                "name": rule.name,
                "value": rule.value,
                "comparison": rule.comparison,
                "startStep": rule.start_step,
            }
            for rule in rules
        ]
    if proposal.labels:
        made["labels"] = dict(proposal.labels)
    if proposal.resumes:
        made["resumes"] = proposal.resumes
    return made


def trimmed(suggestion: Object, names: Collection[str], now: datetime.datetime) -> dict[str, Any]:
    """Return the status of a Suggestion without proposals that are not wanted any more."""
    made: dict[str, Any] = copied(suggestion.get("status") or {})
    made["suggestions"] = [
        each for each in made.get("suggestions") or () if each.get("name") not in names
    ]
    made["suggestionCount"] = max(0, count(suggestion) - len(names))
    return status.stamped(suggestion, made, now)


def ended(suggestion: Object, end: Verdict, now: datetime.datetime) -> dict[str, Any]:
    """Return the status of a Suggestion that ends."""
    made = begun(suggestion, now)
    status.finish(made, end, now)
    return status.stamped(suggestion, made, now)


def resumed(suggestion: Object, now: datetime.datetime) -> dict[str, Any]:
    """Return the status of a Suggestion whose search goes on after its end."""
    made: dict[str, Any] = copied(suggestion.get("status") or {})
    made.pop("completionTime", None)
    made["conditions"] = [
        each
        for each in made.get("conditions") or ()
        if each["type"] not in {kinds.SUCCEEDED, kinds.FAILED}
    ]
    return status.stamped(suggestion, begun({"status": made}, now), now)


def state(suggestion: Object) -> dict[str, str]:
    """Return what the algorithm remembers."""
    held = (suggestion.get("status") or {}).get("algorithmSettings") or ()
    return {str(each.get("name", "")): str(each.get("value", "")) for each in held}
