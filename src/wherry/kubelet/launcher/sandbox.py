"""A container's own view of the file system, made in the child between fork and exec.

The view is the host's, with the container's mounts laid over it. A mount point that the host does not have is made in a
*skeleton*: the deepest existing folder on the way is covered by a small tmpfs that shows the same entries (bind-mounted
one by one) and has room for new ones. So nothing is ever created on the host, except inside a container's own writable
volumes, where Kubernetes makes nested mount points too.
"""

import contextlib
import os
import pathlib
import stat
from collections.abc import Sequence
from typing import NamedTuple

from wherry.kubelet.launcher import syscalls, types

MAX_ENTRIES = 4096
"""A folder with more is not worth rebuilding for a mount point."""

_MAX_LINKS = 40
_TMPFS_FLAGS = syscalls.MS_NOSUID | syscalls.MS_NODEV
_BIND = syscalls.MS_BIND | syscalls.MS_REC
_NAMESPACES = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWUTS


class SandboxError(Exception):
    """A path cannot be made to appear; the message names it and says why."""


class Place(NamedTuple):
    """Where a path leads."""

    existing: str
    """The deepest part that exists, free of symbolic links."""
    missing: tuple[str, ...]
    """The names below it that do not."""


def unshare(*, user_namespace: bool) -> None:
    """Leave the host's mount and UTS namespaces.

    Args:
        user_namespace: Do it as an ordinary user, who becomes the only user of a new user namespace under the same id.
    """
    uid, gid = os.geteuid(), os.getegid()
    if user_namespace:
        syscalls.unshare(_NAMESPACES | syscalls.CLONE_NEWUSER)
        pathlib.Path("/proc/self/setgroups").write_text("deny")
        pathlib.Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        pathlib.Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    else:
        syscalls.unshare(_NAMESPACES)
    # Later mounts of the host still arrive (an unplugged disk can go), but nothing of ours gets out.
    syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_SLAVE)


def locate(path: str) -> Place:
    """Follow a path as far as it exists, symbolic links included.

    Args:
        path: Absolute.

    Returns:
        The part that exists and the names that do not.

    Raises:
        SandboxError: It runs through a file, in circles, or past what may be seen.
    """
    todo = path.split("/")[::-1]
    at, links = "/", 0
    while todo:
        name = todo.pop()
        if name in {"", "."}:
            continue
        if name == "..":
            at = at.rpartition("/")[0] or "/"
            continue
        here = f"{at.rstrip('/')}/{name}"
        try:
            mode = os.lstat(here).st_mode
        except FileNotFoundError:
            return Place(at, _names([name, *reversed(todo)], path))
        except OSError as error:
            raise SandboxError(f"{path}: {here}: {error.strerror}") from error
        if stat.S_ISLNK(mode):
            links += 1
            if links > _MAX_LINKS:
                raise SandboxError(f"{path}: too many symbolic links")
            leads_to = str(pathlib.Path(here).readlink())
            at = "/" if leads_to.startswith("/") else at
            todo += leads_to.split("/")[::-1]
            continue
        if todo and not stat.S_ISDIR(mode):
            raise SandboxError(f"{path}: {here} is a file, so nothing can be below it")
        at = here
    return Place(at, ())


def _names(names: list[str], path: str) -> tuple[str, ...]:
    if ".." in names:
        raise SandboxError(f"{path}: leads through '..' of a folder that does not exist")
    return tuple(name for name in names if name not in {"", "."})


class Sandbox:
    """Lays mounts over the view of the calling process, which must have unshared its namespaces."""

    def __init__(self, directory: str) -> None:
        """Describe the sandbox; ``build`` does the work.

        Args:
            directory: The launcher's own folder, free of symbolic links. The container finds it empty and locked.
        """
        self._directory = directory
        self._skeleton: set[str] = set()
        self._volumes: dict[str, bool] = {}  # path → writable

    def build(self, mounts: Sequence[types.Mount], cwd: str, token: str) -> None:
        """Make everything appear.

        Args:
            mounts: In any order; parents are laid before what is inside them.
            cwd: A folder that must exist in the end.
            token: Name for the mount that hides the launcher; the container's processes are told by it later.

        Raises:
            SandboxError: Something cannot be made; the process is of no use then.
        """
        ordered = sorted(mounts, key=lambda mount: len(_names(mount.target.split("/"), "")))
        if any(self._lacks_root(path) for path in (cwd, *(mount.target for mount in ordered))):
            self._rebuild_root()
        # Sources first: they mean the host's paths, which targets may cover.
        sources = [self._open(mount) for mount in ordered]
        self._hide_launcher(token)
        for mount, source in zip(ordered, sources, strict=True):
            try:
                self._lay(mount, source)
            except OSError as error:
                raise SandboxError(_explain(mount, error)) from error
        self._ensure(cwd)

    @staticmethod
    def _lacks_root(path: str) -> bool:
        place = locate(path)
        return place.existing == "/" and bool(place.missing)

    def _rebuild_root(self) -> None:
        """Replace ``/``: a tmpfs mounted over it would not be seen by a process whose root lies below."""
        new = self._directory
        syscalls.mount("wherry", new, "tmpfs", _TMPFS_FLAGS, data="mode=755")
        # Else binding the folder that holds ``new`` would copy what is already in it.
        syscalls.mount("", new, "", syscalls.MS_UNBINDABLE)
        root = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._fill(root, new)
        os.close(root)
        os.chdir(new)
        syscalls.pivot_root(".", ".")
        syscalls.unmount(".", syscalls.MNT_DETACH)
        os.chdir("/")
        syscalls.mount("", "/", "", syscalls.MS_PRIVATE)  # bindable again
        self._skeleton.add("/")

    @staticmethod
    def _open(mount: types.Mount) -> int:
        if mount.kind == "tmpfs":
            return -1
        try:
            return os.open(mount.source, os.O_PATH | os.O_CLOEXEC)
        except OSError as error:
            raise SandboxError(
                f"mount {mount.target}: source {mount.source}: {error.strerror}"
            ) from error

    def _hide_launcher(self, token: str) -> None:
        options = "size=4k,mode=000"
        syscalls.mount(token, self._directory, "tmpfs", _TMPFS_FLAGS, data=options)

    def _lay(self, mount: types.Mount, source: int) -> None:
        directory = source < 0 or stat.S_ISDIR(os.fstat(source).st_mode)
        place = locate(mount.target)
        path = self._make(place, directory=directory) if place.missing else place.existing
        self._check(mount, path, directory=directory)
        if source < 0:
            size = f",size={mount.size_bytes}" if mount.size_bytes else ""
            syscalls.mount("wherry", path, "tmpfs", _TMPFS_FLAGS, data="mode=1777" + size)
        elif mount.kind == "overlay":
            # From within: a page of memory has to hold the names of all layers.
            os.fchdir(source)
            syscalls.mount("overlay", path, "overlay", syscalls.MS_NODEV, data=mount.options)
            os.close(source)
        else:
            syscalls.mount(f"/proc/self/fd/{source}", path, "", _BIND)
            os.close(source)
        if mount.read_only:
            syscalls.make_read_only(path)
        self._skeleton -= {made for made in self._skeleton if f"{made}/".startswith(f"{path}/")}
        self._volumes[path] = not mount.read_only

    @staticmethod
    def _check(mount: types.Mount, path: str, *, directory: bool) -> None:
        if path == "/":
            raise SandboxError(f"mount {mount.target}: the root itself cannot be mounted over")
        if pathlib.Path(path).is_dir() != directory:
            source, target = ("folder", "file") if directory else ("file", "folder")
            raise SandboxError(f"mount {mount.target}: a {source} cannot be laid over a {target}")

    def _ensure(self, directory: str) -> None:
        place = locate(directory)
        try:
            if place.missing:
                self._make(place, directory=True)
        except OSError as error:
            raise SandboxError(f"cwd {directory}: {error.strerror}") from error

    def _make(self, place: Place, *, directory: bool) -> str:
        """Create what is missing, on the host never."""
        if place.existing not in self._skeleton:
            if self._in_writable_volume(place.existing):
                with contextlib.suppress(OSError):
                    return self._create(place, directory=directory, note=False)
            self.cover(place.existing)
        return self._create(place, directory=directory, note=True)

    def _in_writable_volume(self, path: str) -> bool:
        inside = [at for at in self._volumes if f"{path}/".startswith(f"{at}/")]
        return bool(inside) and self._volumes[max(inside, key=len)]

    def _create(self, place: Place, *, directory: bool, note: bool) -> str:
        path = place.existing.rstrip("/")
        last = len(place.missing) - 1
        for number, name in enumerate(place.missing):
            path = f"{path}/{name}"
            if number < last or directory:
                pathlib.Path(path).mkdir(mode=0o755)
                if note:
                    self._skeleton.add(path)
            else:
                pathlib.Path(path).touch(mode=0o644, exist_ok=False)
        return path

    def cover(self, directory: str) -> None:
        """Lay a skeleton over a folder; ``build`` does so where it has to.

        Args:
            directory: Free of symbolic links.

        Raises:
            OSError: It cannot be covered; the process is of no use then.
            SandboxError: As above.
        """
        if f"{directory}/".startswith("/proc/"):
            raise SandboxError(f"{directory}: nothing can be added to the kernel's process list")
        below = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        facts = os.fstat(below)
        options = f"mode={stat.S_IMODE(facts.st_mode):o}"
        flags = _TMPFS_FLAGS
        if not os.fstatvfs(below).f_flag & os.ST_NODEV:
            flags &= ~syscalls.MS_NODEV
        syscalls.mount("wherry", directory, "tmpfs", flags, data=options)
        with contextlib.suppress(OSError):  # an id that the user namespace does not know
            os.chown(directory, facts.st_uid, facts.st_gid)
        self._fill(below, directory)
        os.close(below)
        self._skeleton.add(directory)

    @staticmethod
    def _fill(source: int, target: str) -> None:
        into = os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        mask = os.umask(0)
        with os.scandir(source) as entries:
            for count, entry in enumerate(entries):
                if count >= MAX_ENTRIES:
                    raise SandboxError(
                        f"{target}: more than {MAX_ENTRIES} entries, too many to add a mount point to"
                    )
                with contextlib.suppress(FileNotFoundError):  # gone since it was listed
                    _show(entry, source, into, target)
        os.umask(mask)
        os.close(into)


def _show(entry: "os.DirEntry[str]", source: int, into: int, target: str) -> None:
    """Have an entry of one open folder in another, whose path is ``target``."""
    # There may be hundreds, and paths through /proc take longer than all else that is done with them.
    name = entry.name
    if entry.is_symlink():
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=into)
        return
    facts = entry.stat(follow_symlinks=False)
    if stat.S_ISDIR(facts.st_mode):
        os.mkdir(name, mode=0o755, dir_fd=into)
    elif _is_device(facts) and _make_device(name, into, facts):
        return
    else:
        os.mknod(name, dir_fd=into)
    syscalls.mount(f"/proc/self/fd/{source}/{name}", f"{target}/{name}", "", _BIND)


def _is_device(facts: os.stat_result) -> bool:
    return stat.S_ISCHR(facts.st_mode) or stat.S_ISBLK(facts.st_mode)


def _make_device(name: str, into: int, facts: os.stat_result) -> bool:
    """Make another node of the same device, which is quicker than a mount; False where that cannot be."""
    try:
        os.mknod(name, mode=facts.st_mode, device=facts.st_rdev, dir_fd=into)
    except PermissionError:  # in a user namespace, or forbidden by a control group
        return False
    if facts.st_uid or facts.st_gid:
        os.chown(name, facts.st_uid, facts.st_gid, dir_fd=into)
    return True


def _explain(mount: types.Mount, error: OSError) -> str:
    place = f" (at {error.filename})" if error.filename not in {None, mount.target} else ""
    return f"mount {mount.target}: {error.strerror}{place}"
