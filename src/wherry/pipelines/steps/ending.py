"""How a step's pod stands: whether it has ended, how, and what it waits for. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.objects import conditions, metadata
from wherry.objects.requests import Object
from wherry.pipelines.steps.draft import DELIVER, MAIN

_LONGEST: Final = 1000
_LONGEST_SAID: Final = 800
"""With the pod's name and the exit code it still fits where messages are shown."""
_NAMED: Final = 200
_FRAME: Final = re.compile(r'^  File "[^"\n]*", line \d+.*\n(?:    .*\n)*', re.MULTILINE)
"""One call in a traceback, whose beginning may be cut off: its place, its line, what is underlined."""
_STARTING: Final = frozenset({"", "ContainerCreating", "PodInitializing"})

_Part = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a pod has ended.

    Attributes:
        succeeded: Whether all went well.
        message: Why not.
    """

    succeeded: bool
    message: str = ""


def of(pod: Object) -> Ending | None:
    """Return how a pod has ended; None: it has not."""
    phase = (pod.get("status") or {}).get("phase")
    if phase == "Succeeded":
        undelivered = _undelivered(pod)
        return Ending(succeeded=not undelivered, message=undelivered)
    if phase == "Failed":
        return Ending(succeeded=False, message=_why(pod))
    return None


def waits_for(pod: Object) -> str:
    """Return what a pod waits for that may never come; empty: nothing of the kind."""
    scheduled = conditions.get(pod, "PodScheduled")
    if scheduled is not None and scheduled.get("status") == "False":
        return f"unschedulable: {scheduled.get('message', '')}"[:_LONGEST]
    for status in _statuses(pod):
        waiting: _Part = (status.get("state") or {}).get("waiting") or {}
        reason = str(waiting.get("reason") or "")
        if reason not in _STARTING:
            return f"{reason}: {waiting.get('message', '')}"[:_LONGEST]
    return ""


def _undelivered(pod: Object) -> str:
    """Return why outputs were not brought away; empty: they were. The pod itself does not mind."""
    for status in (pod.get("status") or {}).get("initContainerStatuses") or ():
        ended: _Part = (status.get("state") or {}).get("terminated") or {}
        if status.get("name") == DELIVER and ended.get("exitCode"):
            said = str(ended.get("message") or ended.get("reason") or "").strip()[-_LONGEST:]
            return f"outputs could not be stored: {said}"
    return ""


def _why(pod: Object) -> str:
    status: _Part = pod.get("status") or {}
    told = [f"pod {metadata.name(pod)} failed"]
    if status.get("reason"):
        told.append(f"({status['reason']}: {str(status.get('message') or '')[:_LONGEST]})")
    for container in _statuses(pod):
        ended: _Part = (container.get("state") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            where = "" if container.get("name") == MAIN else f"in container {container['name']} "
            said = _gist(str(ended.get("message") or ""))
            # Clients of upstream's look for the code in these brackets.
            told.append(f"{where}(exit code {ended['exitCode']})" + (f": {said}" if said else ""))
            break
    return " ".join(told)


def _gist(said: str) -> str:
    """Return the end of what a container said; of a traceback the error, the rest is in the log."""
    frames = [*_FRAME.finditer(said)]
    words = (said[frames[-1].end() :] if frames else said).strip()
    if len(words) <= _LONGEST_SAID:
        return words
    # An error begins with its name, and what others have answered ends with why.
    return (
        f"{words[:_NAMED]} … {words[-(_LONGEST_SAID - _NAMED) :]}"
        if frames
        else words[-_LONGEST_SAID:]
    )


def _statuses(pod: Object) -> Iterator[_Part]:
    status: _Part = pod.get("status") or {}
    mains = status.get("containerStatuses") or ()
    # The component's own container has the most to say.
    yield from sorted(mains, key=lambda each: each.get("name") != MAIN)
    yield from status.get("initContainerStatuses") or ()
