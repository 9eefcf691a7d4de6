"""As whom a container runs.

Only root can choose. And only where that user can reach the interpreter: a Wherry that root has
installed in its own home cannot run anything as somebody else, so there the container runs as root,
and says so.
"""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wherry.kubelet import specs
from wherry.objects.requests import Object


@dataclass(frozen=True, slots=True)
class Identity:
    """User, group and further groups; None leaves them as the launcher's."""

    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] = ()


class IdentityError(Exception):
    """The pod forbids the user as whom the container would run."""


OWN = Identity()


def asked(pod: Object, container: Object) -> Identity:
    """Return what the security contexts ask for.

    Raises:
        IdentityError: `runAsNonRoot` together with user 0.
    """
    of_pod = pod["spec"].get("securityContext") or {}
    of_container = container.get("securityContext") or {}
    merged = {**of_pod, **of_container}
    uid, gid = merged.get("runAsUser"), merged.get("runAsGroup")
    if merged.get("runAsNonRoot") and uid == 0:
        raise IdentityError(
            "container's runAsUser breaks non-root policy: runAsNonRoot is true and runAsUser is 0"
        )
    groups = [int(group) for group in of_pod.get("supplementalGroups") or []]
    if of_pod.get("fsGroup") is not None:
        groups.append(int(of_pod["fsGroup"]))
    if uid is None and gid is None:
        return Identity(groups=tuple(groups))
    user = None if uid is None else int(uid)
    group = int(gid) if gid is not None else (0 if user is not None else None)
    return Identity(user, group, tuple(groups))


def of_files(pod: Object) -> Identity:
    """Return whose the files of a pod are that nobody else shall read; of no one where we may not choose.

    The user is that of all containers, where they have one in common; the group is `fsGroup`. Source:
    the kubelet's `FsUserFrom`.
    """
    if os.geteuid() != 0:
        return OWN
    context = pod["spec"].get("securityContext") or {}
    found = {
        {**context, **(each.get("securityContext") or {})}.get("runAsUser")
        for each in specs.every_container(pod)
    }
    uid = next(iter(found)) if len(found) == 1 else None
    return Identity(uid, context.get("fsGroup"))


def possible(wanted: Identity, needs: Iterable[Path]) -> tuple[Identity, str]:
    """Return as whom the container can run, and a warning where that is not what was asked.

    Args:
        wanted: From `asked`.
        needs: Files that the user must reach.
    """
    if os.geteuid() != 0:
        return OWN, ""
    if wanted.uid in {None, 0}:
        return wanted, ""
    for path in needs:
        closed = _closed_folder(path)
        if closed is not None:
            return OWN, (
                f"runAsUser {wanted.uid} is not applied: {closed} is closed to other users, and the "
                "container needs it"
            )
    return wanted, ""


def _closed_folder(path: Path) -> Path | None:
    for folder in path.resolve().parents:
        try:
            if not folder.stat().st_mode & stat.S_IXOTH:
                return folder
        except OSError:
            return folder
    return None
