"""The warmed process: imports, then keeps one child ready that waits for the launcher's next order.

Forking a large process takes longer than all that follows, so it is done ahead. Every child is forked twice, so that it
becomes the launcher's own (which adopts orphans below it) and is waited for, killed and recorded as any other.
"""

import codecs
import contextlib
import encodings
import json
import os
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any, NoReturn

from wherry.kubelet.launcher import ahead, orders, spawn, syscalls, types
from wherry.kubelet.warm import imports, likeness, program, reads, renewal

_RETRY_SECONDS = 0.1
_OVER = b"e"


def serve(fresh: dict[str, Any], known: set[str], order: str) -> program.Program:
    """Warm up and serve; returns in the children only.

    Args:
        fresh: The names of ``__main__`` as the interpreter has made them.
        known: The modules that every interpreter starts with.
        order: JSON, as ``orders.Bare`` makes it.

    Returns:
        What a child has to call.
    """
    wanted = json.loads(order)
    control = socket.socket(fileno=wanted["control"])
    # After an uncaught exception the interpreter takes ``__file__`` out of the names it has begun with, and counts on
    # ``sys.modules`` for their being there still; a program has others.
    syscalls.keep(vars(sys.modules["__main__"]))
    _leave_no_trace(known)
    try:
        _check_frames()
        noted = imports.preload(wanted["preload"])
    except imports.UnfitError as error:
        _end(control, {"unfit": [error.module, error.reason]})
    except imports.UnsupportedError as error:
        _end(control, {"unsupported": str(error)})
    warmed = _Warmed(control, program.Base(fresh), noted, wanted["begin_in"])
    control.send(json.dumps({"ready": True}).encode())
    while True:
        found = warmed.breed()
        if found is not None:
            return found


def _end(control: socket.socket, message: Mapping[str, object]) -> NoReturn:
    control.send(json.dumps(message).encode())
    os._exit(0)


def _leave_no_trace(known: set[str]) -> None:
    """Take away what only we have imported: the program shall find the modules of a fresh interpreter.

    Our functions keep theirs; the program's imports make others.
    """
    del sys.path[0]
    if not sys.flags.safe_path:
        del sys.path[0]  # the folder of the compiled file
    for name in sys.modules.keys() - known:
        del sys.modules[name]
        package, _, last = name.rpartition(".")
        if package in known:
            vars(sys.modules[package]).pop(last, None)
    # The table of codecs that have been looked up is emptied by this, and by nothing else.
    codecs.unregister(encodings.search_function)
    codecs.register(encodings.search_function)
    vars(encodings)["_cache"].clear()
    for path in sys.path_importer_cache.keys() - set(sys.path):
        del sys.path_importer_cache[path]


def _check_frames() -> None:
    """See to it that programs will find no frame below theirs, whatever the interpreter's version."""
    at = sys._getframe()  # noqa: SLF001 — the interpreter's own way
    while at.f_back is not None:
        at = at.f_back
    if at.f_code.co_name == "<module>":
        raise imports.UnsupportedError(
            "this interpreter shows the frame that a program is called from"
        )
    if getattr(sys.modules.get("site"), "ENABLE_USER_SITE", None):
        raise imports.UnsupportedError("it looks into a user's home folder for packages")


class _Warmed:
    def __init__(
        self, control: socket.socket, base: program.Base, noted: reads.Reads, directory: str
    ) -> None:
        self._control = control
        self._directory = directory
        self._base = base
        self._noted = noted
        self._room = renewal.title_room()

    def breed(self) -> program.Program | None:
        """Keep one child that waits for an order; None in this process when it has one, the program in the child."""
        taken, tell = os.pipe()
        try:
            pid = os.fork()
        except OSError:  # orders wait meanwhile; the launcher starts cold what waits too long
            time.sleep(_RETRY_SECONDS)
            pid = -1
        if pid == 0:
            os.close(taken)
            return self._child(tell)
        os.close(tell)
        if pid > 0:
            os.waitpid(pid, 0)
            if os.read(taken, 1) == _OVER:
                os._exit(0)
        os.close(taken)
        return None

    def _child(self, tell: int) -> program.Program:
        between = os.getpid()
        if os.fork() != 0:
            os._exit(0)
        while os.getppid() == between:
            os.sched_yield()
        begun = ahead.Ahead.begun(self._directory)
        if begun is not None:
            begun.wait(self._control)
        data, descriptors = syscalls.receive(self._control, orders.MAX_BYTES, orders.DESCRIPTORS)
        if len(descriptors) != orders.DESCRIPTORS:  # the launcher has gone, or wants no more
            with contextlib.suppress(BrokenPipeError):  # who would hear of it is gone as well
                os.write(tell, _OVER)
            os._exit(0)
        self._control.close()
        *standard, last = descriptors
        status = socket.socket(fileno=last)
        try:
            plan = orders.decode(data)
            status.sendall(f"pid {os.getpid()}\n".encode())
        except Exception:  # noqa: BLE001 — whatever it is: the launcher hears of no pid and starts cold
            os._exit(1)
        stdin, stdout, stderr = standard
        spawn.prepare(plan, status, (stdin, stdout, stderr), plan.launcher, begun=begun)
        for descriptor in (*standard, tell):  # the end of the last one has the next child made
            os.close(descriptor)
        return self._program(plan.spec, plan.like, status)

    def _program(
        self, spec: types.ProcessSpec, like: int | None, status: socket.socket
    ) -> program.Program:
        """Become the program, or execute it if that would not be the same."""
        try:
            self._check(spec)
            found = self._renew(spec)
            if like is not None:
                likeness.take_after(like)
        except Exception as error:  # noqa: BLE001 — whatever it is, a cold start knows nothing of it
            reason = str(error).replace("\n", " ")[:500]
            status.sendall(f"cold {reason}\n".encode())
            _execute(spec, like, status)
        status.close()
        if found[1][0] is None:
            try:
                found = program.read_standard_input(found[1][1])
            except program.ColdError:
                _execute(spec, like, status)
        return found

    def _check(self, spec: types.ProcessSpec) -> None:
        if self._base.covered(spec.mounts):
            raise program.ColdError("a mount lies over the interpreter")
        if self._base.stale():
            raise program.ColdError("stale: packages have changed")
        name = self._noted.difference(spec.env)
        if name:
            raise program.ColdError(
                f"a module that is imported beforehand has read {name}, which is another here"
            )

    def _renew(self, spec: types.ProcessSpec) -> program.Program:
        assert spec.warm is not None
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)  # a change of user has undone it
        renewal.signals()
        renewal.environment(self._noted.changed(spec.env))
        renewal.streams()
        renewal.modules()
        renewal.title(self._room, spec.argv)
        return program.make(spec.warm, spec.argv, spec.env, self._base)


def _execute(spec: types.ProcessSpec, like: int | None, status: socket.socket) -> NoReturn:
    spawn.heed_signals()
    if like is not None:
        with contextlib.suppress(OSError, ValueError):  # its caller is gone, and it will be too
            likeness.take_after(like)
    spawn.execute(spec, status)
