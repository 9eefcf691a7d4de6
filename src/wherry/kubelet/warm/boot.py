"""How a warmed process begins: ``python -I -S …/warm/boot.py FOLDER ORDER``.

A program that is forked from it must find no stack frame below its own, and its end must be the interpreter's own. So
the first frame of the process is of a compiled file that is made here, whose code lacks the instruction that marks a
frame as begun: the interpreter leaves such frames out of tracebacks and of ``f_back``. When a child returns into that
frame it calls the user's program, and what follows (uncaught exceptions, exit codes, ``atexit``) is Python's.
"""

import importlib.util
import json
import marshal
import opcode
import os
import pathlib
import sys

ROOT = str(pathlib.Path(__file__).resolve().parents[3])

_TITLE_BYTES = 4096
"""Room for the program's command line, as ``ps`` shows it."""

_SOURCE = """\
import sys
_fresh = dict(vars(sys.modules["__main__"]))
del _fresh["sys"]
_known = set(sys.modules)
sys.path.insert(0, sys.argv[1])
from wherry.kubelet.warm import server
_program = [*server.serve(_fresh, _known, sys.argv[2])]
del server
_program.pop(0)(*_program.pop())
"""
# The names here outlive the program: they must not hold what is its own.


def compiled() -> bytes:
    """Return the file that the interpreter in use shall run."""
    code = compile(_SOURCE, "<warm start>", "exec")
    steps = bytearray(code.co_code)
    # Two bytes each; the first of them is never the argument of another.
    begin = steps[::2].index(opcode.opmap["RESUME"]) * 2
    steps[begin : begin + 2] = bytes((opcode.opmap["NOP"], 0))
    code = code.replace(co_code=bytes(steps))
    return importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(code)


def main(folder: str, order: str) -> None:
    """Become the warmed process.

    Args:
        folder: Where the compiled file is kept.
        order: JSON for ``server.serve``; ``flags`` are the interpreter's options.
    """
    path = pathlib.Path(folder, f"warm-{sys.implementation.cache_tag}.pyc")
    content = compiled()
    if not path.exists() or path.read_bytes() != content:
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(content)
        fresh.replace(path)
    flags = json.loads(order)["flags"]
    argv = [sys.executable, *flags, str(path), ROOT, order, " " * _TITLE_BYTES]
    os.execv(sys.executable, argv)  # noqa: S606 — no shell is what this wants


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
