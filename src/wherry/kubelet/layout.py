"""Where the agent keeps what, and the check that no name leaves its folder."""

import os
import re
import shutil
from pathlib import Path

from wherry.kubelet.settings import KubeletSettings
from wherry.objects import metadata
from wherry.objects.requests import Object

_PART = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")


def part(text: str) -> str:
    """Return ``text`` if it may name a file or folder.

    Raises:
        ValueError: it is empty, too long, or has characters that no Kubernetes name has.
    """
    if not _PART.fullmatch(text) or ".." in text:
        raise ValueError(
            f"{text!r} cannot be part of a path: want letters, digits, '-', '_' and '.', at most 253"
        )
    return text


def private(path: Path) -> Path:
    """Make a folder that only its owner can enter, and return it.

    Raises:
        PermissionError: it is there already and belongs to somebody else.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = path.lstat()
    if found.st_uid != os.getuid() or path.is_symlink():
        raise PermissionError(f"{path} belongs to another user; remove it or choose another folder")
    if found.st_mode & 0o077:
        path.chmod(0o700)
    return path


class PodLayout:
    """The folders of one pod."""

    def __init__(self, settings: KubeletSettings, pod: Object) -> None:
        uid = part(metadata.uid(pod))
        self.root = settings.pods / uid
        self.memory = settings.memory_pods / uid
        self.logs = settings.container_logs / logs_name(pod)

    @property
    def hosts(self) -> Path:
        """The pod's `/etc/hosts`."""
        return self.root / "hosts"

    @property
    def address(self) -> Path:
        """The file that remembers the pod's address until its status does."""
        return self.root / "address"

    def container(self, name: str) -> Path:
        """Folder of one container."""
        return self.root / "containers" / part(name)

    def home(self, container: str) -> Path:
        """Working and home folder of a container that names no other."""
        return self.container(container) / "home"

    def termination_message(self, container: str, attempt: int) -> Path:
        """The file behind `terminationMessagePath` of one attempt."""
        return self.container(container) / f"termination-{attempt}.log"

    def volume(self, source: str, name: str, *, in_memory: bool = False) -> Path:
        """Folder of one volume."""
        return (self.memory if in_memory else self.root) / "volumes" / part(source) / part(name)

    def log(self, container: str, attempt: int) -> Path:
        """The current log file of one attempt."""
        return self.logs / part(container) / f"{attempt}.log"

    def make(self) -> None:
        """Make the pod's folders. Idempotent."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o750)
        self.logs.mkdir(parents=True, exist_ok=True, mode=0o750)

    def remove_data(self) -> None:
        """Remove everything but the logs. Volumes that live elsewhere are only linked from here."""
        for folder in (self.memory, self.root):
            shutil.rmtree(folder, ignore_errors=True)

    def remove_all(self) -> None:
        """Remove everything."""
        self.remove_data()
        shutil.rmtree(self.logs, ignore_errors=True)


def logs_name(pod: Object) -> str:
    """Return the name of the folder with a pod's logs: ``<namespace>_<pod>_<uid>``."""
    where = metadata.namespaced_name(pod)
    return f"{part(where.namespace)}_{part(where.name)}_{part(metadata.uid(pod))}"
