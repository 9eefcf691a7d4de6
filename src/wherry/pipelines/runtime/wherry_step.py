"""Starts a component whose source comes with the command: ``python3 -m wherry_step …``.

Does what the shell script does that KFP's SDK writes into a component's command: the source becomes
a file, so that tracebacks, `inspect` and child processes find it, and the executor is called.
"""

import atexit
import importlib
import os
import shutil
import sys
import tempfile

OPTION = "--component_source"
_NAME = "ephemeral_component.py"


def main(words: "list[str]") -> None:
    """Run the executor.

    Args:
        words: `OPTION`, the source, and the executor's own arguments.

    Raises:
        SystemExit: the arguments begin otherwise.
    """
    if len(words) < 2 or words[0] != OPTION:
        sys.exit(f"wherry_step: want {OPTION} SOURCE and the arguments of the executor")
    folder = tempfile.mkdtemp(prefix="component-")
    # Not before the last traceback has been written, which reads the source.
    atexit.register(_remove, folder, os.getpid())
    path = os.path.join(folder, _NAME)  # noqa: PTH118 - pathlib takes a third of the start's time
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 - likewise
        file.write(words[1])
    # Whatever the code starts in turn gets the same runtime.
    os.environ["_KFP_RUNTIME"] = os.environ["WHERRY_KFP_RUNTIME"] = "true"
    executor = importlib.import_module("kfp.dsl.executor_main")
    executor.executor_main(["--component_module_path", path, *words[2:]])


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # not in children that were forked
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
