"""From a pod's container and its image to what an OCI runtime is told. Pure but for `lookup`.

Source: the kubelet's and containerd's rules for which of image and pod decides what.
"""

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from wherry.kubelet import devices, expansion, processors, wrapping
from wherry.kubelet.launcher.types import Mount
from wherry.kubelet.oci import accounts, capabilities, gpus, groups
from wherry.kubelet.oci.accounts import Account
from wherry.kubelet.oci.bundle import Box
from wherry.kubelet.oci.image_config import ImageConfig
from wherry.kubelet.runtime import ContainerStart
from wherry.kubelet.users import IdentityError
from wherry.objects import quantities

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NAMES = "/etc/resolv.conf"
# Nothing holds a namespace of the pod's own while its containers come and go: its containers see one
# another as process pods do, which is with all others.
_HOST = {"pid": ("hostPID", "shareProcessNamespace"), "ipc": ("hostIPC",)}


class BoxError(Exception):
    """The container and its image do not go together; the message says why."""


def make(
    container: ContainerStart,
    image: ImageConfig,
    *,
    root: str,
    lookup: Callable[[str], str],
    pids: int | None = None,
) -> Box:
    """Return the container in the terms of the operating system.

    Args:
        container: As the pod has it.
        image: What its image says.
        root: Folder of its files.
        lookup: Returns the image's `passwd` or `group`.
        pids: Bound on its processes and threads.

    Raises:
        BoxError: there is nothing to run, or the image has no such user.
        IdentityError: the pod forbids the user as whom it would run.
    """
    spec, security = container.spec, _security(container)
    environment = {
        **processors.variables(container),
        **variables(image),
        "HOSTNAME": container.hostname,
        **container.environment,
    }
    limits = (spec.get("resources") or {}).get("limits") or {}
    privileged = bool(security.get("privileged"))
    of_pod = container.pod.get("spec") or {}
    given = _gpus(container)
    files = gpus.devices(given)
    host = {kind for kind, keys in _HOST.items() if any(of_pod.get(key) for key in keys)}
    return Box(
        args=_arguments(container, image, environment),
        env=environment,
        cwd=str(spec.get("workingDir") or image.working_directory or "/"),
        account=_account(container, image, lookup),
        terminal=bool(spec.get("tty")),
        rootfs=root,
        read_only=bool(security.get("readOnlyRootFilesystem")),
        hostname=container.hostname,
        mounts=_mounts(container),
        capabilities=capabilities.of(security, capabilities.own()),
        no_new_privileges=security.get("allowPrivilegeEscalation") is False,
        privileged=privileged,
        cgroup=groups.name(container.id),
        memory_bytes=quantities.bytes_(limits["memory"]) if "memory" in limits else None,
        cpu_millis=quantities.cpu_millis(limits["cpu"]) if "cpu" in limits else None,
        pids=pids,
        gpus=given,
        devices=files,
        gpu_hook=gpus.hook() if files else "",
        owner=None if os.geteuid() == 0 else (os.geteuid(), os.getegid()),
        host_namespaces=frozenset(host),
    )


def _gpus(container: ContainerStart) -> tuple[str, ...]:
    if not devices.wanted(container.spec):
        return ()
    given = container.environment.get(devices.VARIABLE, "").split(",")
    return tuple(number for number in given if number.isdecimal())


def variables(image: ImageConfig) -> dict[str, str]:
    """Return the variables that an image brings, `PATH` in any case."""
    pairs = (text.partition("=") for text in image.env)
    return {"PATH": _PATH, **{name: value for name, found, value in pairs if found and name}}


def stop_signal(text: str) -> int:
    """Return the number of the signal that an image wants to be stopped by."""
    name = text.upper()
    if name.isdecimal() and 0 < int(name) < signal.NSIG:
        return int(name)
    try:
        return signal.Signals[name if name.startswith("SIG") else f"SIG{name}"]
    except KeyError:
        return signal.SIGTERM


def _security(container: ContainerStart) -> Mapping[str, object]:
    of_pod = (container.pod.get("spec") or {}).get("securityContext") or {}
    return {**of_pod, **(container.spec.get("securityContext") or {})}


def _arguments(
    container: ContainerStart, image: ImageConfig, environment: Mapping[str, str]
) -> tuple[str, ...]:
    spec = container.spec
    command = [expansion.expand(str(part), environment) for part in spec.get("command") or []]
    rest = [expansion.expand(str(part), environment) for part in spec.get("args") or []]
    # A command of the pod's own makes the image's arguments meaningless.
    if not command:
        command, rest = list(image.entrypoint), rest or list(image.cmd)
    if not command and not rest:
        raise BoxError("no command specified: neither the container nor its image names one")
    return (*wrapping.words(container.pod, spec), *command, *rest)


def _account(
    container: ContainerStart, image: ImageConfig, lookup: Callable[[str], str]
) -> Account:
    wanted = container.identity
    user = image.user if wanted.uid is None else str(wanted.uid)
    try:
        found = accounts.resolve(user, lookup("passwd"), lookup("group"))
    except accounts.AccountError as error:
        raise BoxError(str(error)) from error
    if _security(container).get("runAsNonRoot") and found.uid == 0:
        raise IdentityError(
            "container has runAsNonRoot and image will run as root: set runAsUser to another user"
        )
    group = _security(container).get("runAsGroup")
    gid = found.gid if group is None or wanted.gid is None else wanted.gid
    groups = dict.fromkeys((*found.groups, *wanted.groups))
    return Account(found.uid, gid, tuple(groups))


def _mounts(container: ContainerStart) -> tuple[Mount, ...]:
    mounts = container.mounts
    if Path(_NAMES).exists() and not any(mount.target == _NAMES for mount in mounts):
        # The file itself: a link's way would count in the container.
        mounts = (*mounts, Mount(source=str(Path(_NAMES).resolve()), target=_NAMES))
    return mounts
