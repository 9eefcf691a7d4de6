"""After a launcher has died: make sure that its processes are dead too, then say so.

The kernel kills main processes with their launcher, but not what they had started. A process is only killed here if it
certainly is one of ours: same boot, same start time, or a mount that carries our own name for the container.
"""

import dataclasses
import itertools
import pathlib
import signal
import time

from wherry.kubelet.launcher import cgroup, links, processes, records, types

_REASON = "launcher died: the process was lost with it"
_PATIENCE_SECONDS = 5.0
_POLL_SECONDS = 0.01


def recover(kept: records.Records) -> list[types.ProcessState]:
    """Close the records that a dead launcher has left open.

    Args:
        kept: The folder of records; no other launcher may be using it.

    Returns:
        All states on record, every one finished. What had no process yet never ran, and is forgotten.
    """
    loaded = kept.load()
    boot = processes.boot_id()
    lost = [record for record in loaded if record.state.running]
    _end([record for record in lost if record.boot == boot])
    folders = [pathlib.Path(folder) for record in lost for folder in record.cgroups]
    _remove_groups(sorted(set(folders), key=lambda folder: len(folder.parts), reverse=True))
    for record in lost:
        links.remove(record.links)
        if record.state.pid is None:
            kept.remove(record.state.id)
            loaded.remove(record)
            continue
        record.state = _lost(record.state)
        kept.save(record)
    return [record.state for record in loaded]


def _lost(state: types.ProcessState) -> types.ProcessState:
    number = int(signal.SIGKILL)
    code = 128 + number
    now = time.time()
    return dataclasses.replace(state, finished_at=now, exit_code=code, signal=number, error=_REASON)


def _end(lost: list[records.Record]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while lost and time.monotonic() < deadline:
        left = _leftovers(lost)
        if not left:
            return
        for pid in left:
            processes.kill_group(pid)
            processes.kill(pid)
        time.sleep(_POLL_SECONDS)


def _leftovers(lost: list[records.Record]) -> list[int]:
    mains = {record.state.pid: record for record in lost if record.state.pid is not None}
    found = [pid for pid, record in mains.items() if _is_main(pid, record)]
    # A session keeps its number while anyone is in it, so another leader of that number means another session.
    sessions = {
        pid: record
        for pid, record in mains.items()
        if pid in found or not processes.start_ticks(pid)
    }
    tokens = {record.token for record in lost if record.token}
    own = processes.mount_namespace(0)
    for pid in processes.all_pids():
        if not processes.alive(pid):
            continue
        if processes.session(pid) in sessions:
            found.append(pid)
        elif processes.mount_namespace(pid) not in {"", own}:
            found += [pid for token in tokens if processes.has_mount(pid, token)]
    return found


def _is_main(pid: int, record: records.Record) -> bool:
    return processes.same(pid, ticks=record.ticks, started_at=record.state.started_at)


def _remove_groups(folders: list[pathlib.Path]) -> None:
    """Remove control groups, deepest first, and end who is still in them."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        left = list(itertools.chain.from_iterable(map(cgroup.members, folders)))
        folders = [folder for folder in folders if not _remove(folder)]
        if not folders or not left or time.monotonic() > deadline:
            return
        for pid in left:
            processes.kill(pid)
        time.sleep(_POLL_SECONDS)


def _remove(folder: pathlib.Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return not folder.exists()
    return True
