"""What Docker and Podman are told of a container: the options of `create`. Pure.

Variables go into a file as far as its form can hold them; the others are taken from the environment of
the command, by their names.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping

from wherry.kubelet.launcher.types import Mount
from wherry.kubelet.oci.bundle import Box, quota

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_MAX_LINE_BYTES = 60_000
"""Docker reads the file line by line, none longer than 64 KiB."""


def of(box: Box, *, kind: str, image: str, variables: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the options, the image, and the program's arguments.

    Args:
        box: The container.
        kind: `docker` or `podman`.
        image: Its image's id.
        variables: File of the variables that `lines` returned.
        names: Of the other variables.
    """
    program, *arguments = box.args
    return (
        *("--pull", "never", "--network", "host", "--log-driver", "none", "--no-healthcheck"),
        *("--hostname", box.hostname, "--workdir", box.cwd, "--env-file", variables),
        *(part for name in names for part in ("--env", name)),
        *_account(box),
        *_powers(box),
        *_limits(box),
        *_gpus(box, kind),
        *(part for mount in box.mounts for part in ("--mount", _mount(mount))),
        *("--entrypoint", program, image),
        *arguments,
    )


def lines(env: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return the content of a file of variables, and those that such a file cannot hold."""
    plain = {name: value for name, value in env.items() if _fits(name, value)}
    text = "".join(f"{name}={value}\n" for name, value in plain.items())
    return text, {name: value for name, value in env.items() if name not in plain}


def _fits(name: str, value: str) -> bool:
    short = len(name) + len(value.encode()) < _MAX_LINE_BYTES
    return bool(_NAME.fullmatch(name)) and short and not set(value) & {"\n", "\r"}


def _account(box: Box) -> Iterator[str]:
    account = box.account
    yield from ("--user", f"{account.uid}:{account.gid}")
    for group in account.groups:
        yield from ("--group-add", str(group))


def _powers(box: Box) -> Iterator[str]:
    if box.privileged:
        yield "--privileged"
    else:
        yield from ("--cap-drop", "ALL")
        for name in box.capabilities:
            yield from ("--cap-add", name.removeprefix("CAP_"))
    if box.no_new_privileges:
        yield from ("--security-opt", "no-new-privileges")
    if box.read_only:
        yield "--read-only"
    if box.terminal:
        yield "--tty"
    for kind in sorted(box.host_namespaces):
        yield from (f"--{kind}", "host")


def _limits(box: Box) -> Iterator[str]:
    if box.memory_bytes is not None:
        yield from ("--memory", str(box.memory_bytes), "--memory-swap", str(box.memory_bytes))
    if box.cpu_millis is not None:
        amount, period = quota(box.cpu_millis)
        yield from ("--cpu-period", str(period), "--cpu-quota", str(amount))
    if box.pids is not None:
        yield from ("--pids-limit", str(box.pids))


def _gpus(box: Box, kind: str) -> Iterator[str]:
    if box.gpu_hook and kind == "docker":
        # The driver's files come along. Podman calls the hook by itself.
        yield from ("--gpus", f'"device={",".join(box.gpus)}"')
        return
    for device in box.devices:
        yield from ("--device", device.path)


def _mount(mount: Mount) -> str:
    if mount.kind == "tmpfs":
        fields = ["type=tmpfs", f"target={mount.target}", "tmpfs-mode=1777"]
        fields += [f"tmpfs-size={mount.size_bytes}"] if mount.size_bytes else []
    else:
        fields = ["type=bind", f"source={mount.source}", f"target={mount.target}"]
    fields += ["readonly"] if mount.read_only else []
    # Commas and quotes in paths are as in any table of comma-separated values.
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()
