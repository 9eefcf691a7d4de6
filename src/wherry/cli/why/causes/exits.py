"""What an exit code and the last lines of a log suggest. Pure."""

import re

_CODES = {
    126: "the command cannot be executed: is the file executable, and a program or script?",
    127: "the command was not found: check command and args, and that the image has the program",
    134: "the program aborted (SIGABRT); its output says why",
    137: "it was killed (SIGKILL): by memory shortage of the machine, or because it did not stop in "
    "its grace period",
    139: "the program crashed (segmentation fault)",
    143: "it was told to stop (SIGTERM): by a failing liveness probe, or a deletion",
}

_LOG_HINTS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), hint)
    for pattern, hint in (
        (
            r"No module named '?([\w.]+)'?",
            "add the package that holds {0} to spec.requirements of the Environment for image {image}",
        ),
        (r"(?i:address already in use)", "choose another port: something listens on it already"),
        (
            r"No such file or directory: '?([^'\n]+)'?",
            "is {0} in a volume that is mounted there? Check mountPath and the command's paths",
        ),
        (
            r"[Pp]ermission denied:? ?'?([^'\n]*)'?",
            "the program may not touch {0}: check securityContext and where it writes",
        ),
        (
            r"MemoryError|Cannot allocate memory",
            "it needs more memory: raise resources.limits.memory",
        ),
        (
            r"folder (\S+) does not exist on the host.* without a mount namespace",
            "make {0} on this machine, choose another mountPath, or start Wherry where containers get "
            "mount namespaces (Linux, without --no-isolation)",
        ),
        (r"No space left on device", "free some disk space, or raise the volume's size"),
        (
            r"Connection refused|Name or service not known|Temporary failure in name resolution",
            "what it connects to is not there: `wherry why service/NAME` of that service",
        ),
        (r"(?:error: )?unrecognized arguments: (.*)", "remove the arguments {0} from args"),
        (r"KeyError: '([A-Z][A-Z0-9_]+)'", "is the variable {0} missing in env?"),
        (
            r'User \\?"system:serviceaccount:([^"\\]+)\\?" cannot (\w+) resource \\?"([\w/-]+)\\?"',
            "allow it with a Role and a RoleBinding (service account {0}: {1} {2}), or name another "
            "serviceAccountName",
        ),
    )
)


def mend(code: int, reason: str, log: list[str], image: str, *, lasting: bool) -> str:
    """Return what may help after a container has ended.

    Args:
        code: Its exit code.
        reason: The kubelet's reason, e.g. ``OOMKilled``.
        log: The last lines it wrote.
        image: What it runs.
        lasting: Whether it is meant to run for ever.
    """
    if reason == "OOMKilled":
        return (
            "it used more memory than it may: raise resources.limits.memory, or make it need less"
        )
    if code == 0 and lasting:
        return (
            "its command ends by itself, and is started again because the pod is to run for ever: use "
            "a command that stays, or a Job"
        )
    text = "\n".join(log)
    for pattern, hint in _LOG_HINTS:
        match = pattern.search(text)
        if match is not None:
            return hint.format(*match.groups(), image=image)
    if reason == "StartError" and code not in _CODES:
        return (
            "it could not be started for the reason above: mend the volumeMounts, workingDir or "
            "securityContext that it names"
        )
    return _CODES.get(
        code, "the end of its log says why; mend the program, its command, args or env"
    )
