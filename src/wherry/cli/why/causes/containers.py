"""One container that does not run, or runs and is not ready. Pure."""

from typing import Any

from wherry.cli.why.causes import environments, exits
from wherry.cli.why.finding import Finding
from wherry.cli.why.look import Look
from wherry.kubelet.environments import kinds as environment_kinds
from wherry.objects import metadata
from wherry.objects.requests import Object

_IMAGE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
_LOG_LINES = 8


def look(look: Look, container: Object, status: Object, *, init: bool) -> Finding | None:
    """Return what holds a container of a pod back; None if nothing does.

    Args:
        look: At the pod.
        container: From its spec.
        status: From its status, empty before it has one.
        init: Whether it is an init container.
    """
    state = status.get("state") or {}
    sidecar = init and container.get("restartPolicy") == "Always"
    title = f"{'init ' if init else ''}container {container['name']}"
    if "waiting" in state:
        return _waiting(look, container, status, title)
    if ended := state.get("terminated"):
        if int(ended.get("exitCode", 0)) == 0 and (init or _may_end(look)):
            return None
        return _ended(look, container, status, title)
    if "running" in state:
        if init and not sidecar:
            return _init_running(look, title, str(container["name"]))
        return None if status.get("ready") else _unready(look, container, status, title)
    return None


def _may_end(look: Look) -> bool:
    return str(look.spec.get("restartPolicy", "Always")) != "Always"


def _init_running(look: Look, title: str, name: str) -> Finding:
    return Finding(
        title,
        "still runs; the containers after it start when it is done",
        "waiting",
        _log(look, name, previous=False),
    )


def _waiting(look: Look, container: Object, status: Object, title: str) -> Finding | None:
    waiting = status["state"]["waiting"]
    reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    if reason in _IMAGE:
        return _image(look, container, reason, message)
    if reason == "CrashLoopBackOff":
        return _ended(look, container, status, title)
    if reason == "ContainerCreating":
        return _creating(look, container, title)
    if reason == "PodInitializing":
        return None
    return Finding(
        title,
        f"cannot start: {reason}",
        evidence=(message,) if message else (),
        mend="mend what the message names; the kubelet tries again by itself",
    )


def _image(look: Look, container: Object, reason: str, message: str) -> Finding:
    image = str(container.get("image"))
    known = look.world.objects(environment_kinds.ENVIRONMENTS)
    covering = environments.covering(image, known)
    title = f"image {image}"
    if covering is not None:
        found = look.descend(environment_kinds.ENVIRONMENTS, covering)
        if found.holds_back:
            return Finding(title, f"cannot be had: {reason}", found.state, causes=(found,))
        return Finding(title, f"cannot be had: {reason}", evidence=(message,))
    if reason == "InvalidImageName":
        return Finding(
            title, "is no image name", evidence=(message,), mend="mend spec.containers[].image"
        )
    if "no Environment covers" not in message:
        mend = "is the name right, and may this cluster pull it?"
        return Finding(title, f"cannot be pulled: {reason}", evidence=(message,), mend=mend)
    listed = ", ".join(
        f"{metadata.name(each)} ({', '.join((each.get('spec') or {}).get('images') or [])})"
        for each in known
    )
    return Finding(
        title,
        "is covered by no Environment",
        evidence=(f"Environments there are: {listed or 'none'}",),
        mend=_new_environment(image),
    )


def _new_environment(image: str) -> str:
    last = image.split("@", maxsplit=1)[0].rsplit("/", 1)[-1].lower()
    name = "".join(each if each.isalnum() else "-" for each in last).strip("-") or "my-image"
    return "\n".join(
        (
            "correct the name, or say which packages the image holds; `wherry apply -f -` takes:",
            f"apiVersion: {environment_kinds.ENVIRONMENTS.api_version}",
            f"kind: {environment_kinds.ENVIRONMENTS.kind}",
            f"metadata: {{name: {name}}}",
            "spec:",
            f'  images: ["{image}"]',
            "  requirements: [PACKAGE, PACKAGE]",
        )
    )


def _creating(look: Look, container: Object, title: str) -> Finding:
    """Return what a container that is being made waits for: its environment, or volumes."""
    known = look.world.objects(environment_kinds.ENVIRONMENTS)
    covering = environments.covering(str(container.get("image")), known)
    if covering is not None:
        found = look.descend(environment_kinds.ENVIRONMENTS, covering)
        if found.holds_back:
            return Finding(title, "waits for its image", found.state, causes=(found,))
    mount = look.warning("FailedMount")
    if mount:
        return Finding(title, "waits for volumes", evidence=(mount,))
    return Finding(title, "is being made", "waiting")


def _ended(look: Look, container: Object, status: Object, title: str) -> Finding:
    state = status.get("state") or {}
    crashing = "waiting" in state
    ended: dict[str, Any] = (
        state.get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    )
    code, reason = int(ended.get("exitCode", 0)), str(ended.get("reason") or "")
    name, lasting = str(container["name"]), not _may_end(look)
    log = _log(look, name, previous=crashing and bool(ended)) or _log(look, name, previous=False)
    times = int(status.get("restartCount") or 0)
    again = f", {times} times so far" if times else ""
    how = f" ({reason})" if reason not in {"", "Error", "Completed"} else ""
    statement = f"ended with exit code {code}{how}{again}"
    if crashing:
        statement += "; it is started again after a pause (CrashLoopBackOff)"
    probe = look.warning("Unhealthy") if code in {137, 143} else ""
    message = str(ended.get("message") or "")
    # What it has left for others to read may be the end of its log.
    shown = "" if log and message.rstrip().endswith(log[-1].rstrip()) else message
    evidence = [each for each in (probe, shown) if each] + list(log)
    image = str(container.get("image"))
    mend = exits.mend(code, reason, [message, *log], image, lasting=lasting)
    return Finding(title, statement, evidence=tuple(evidence), mend=mend)


def _log(look: Look, container: str, *, previous: bool) -> tuple[str, ...]:
    lines = look.world.log(look.obj, container, previous=previous)
    return tuple(line for line in lines if line.strip())[-_LOG_LINES:]


def _unready(look: Look, container: Object, status: Object, title: str) -> Finding:
    started = status.get("started") is not False
    kind = "readinessProbe" if started else "startupProbe"
    probe = container.get(kind) or {}
    said = look.warning("Unhealthy")
    statement = f"runs, but its {kind} has not succeeded ({_asked(probe)})"
    if not said:
        delay = probe.get("initialDelaySeconds")
        note = f"the first one is made after {delay} s" if delay else "it has not failed either"
        return Finding(title, statement, "waiting", (note,))
    evidence = (said, *_log(look, str(container["name"]), previous=False)[-3:])
    mend = (
        f"does the program listen where {kind} asks? If it only needs longer to start, give it a "
        "startupProbe or more initialDelaySeconds"
    )
    return Finding(title, statement, evidence=evidence, mend=mend)


def _asked(probe: Object) -> str:
    if http := probe.get("httpGet"):
        return f"GET {http.get('path', '/')} on port {http.get('port')}"
    if tcp := probe.get("tcpSocket"):
        return f"connecting to port {tcp.get('port')}"
    if command := probe.get("exec"):
        return f"running {' '.join(map(str, command.get('command') or []))}"[:100]
    if call := probe.get("grpc"):
        return f"gRPC health check on port {call.get('port')}"
    return "none is set"
