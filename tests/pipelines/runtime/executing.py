"""Runs components with whatever ``kfp`` is on the path: ``python executing.py FOLDER < cases``.

A case is a name, a source and an executor input. Prints for each what came out: the executor's output,
the files that are in its folder, and whether the component has failed.
"""

import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path

from kfp.dsl import executor  # type: ignore[import-not-found] # of the environment it runs in


def _loaded(folder, name, source):
    path = Path(folder, f"{name}.py")
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _ran(folder, case):
    home = Path(folder, "outputs")
    told = json.loads(json.dumps(case["input"]).replace("$HOME", str(home)))
    os.environ.pop("CLUSTER_SPEC", None)
    os.environ.update(case.get("variables", {}))
    try:
        function = _loaded(folder, case["name"], case["source"]).f
        executor.Executor(executor_input=told, function_to_execute=function).execute()
        failed = False
    except Exception:  # noqa: BLE001 - that it fails is what is compared
        failed = True
    files = {
        str(each.relative_to(home)): each.read_text().replace(str(home), "$HOME")
        for each in sorted(home.rglob("*"))
        if each.is_file()
    }
    output = files.pop("out/output.json", None)
    return {"failed": failed, "output": output and json.loads(output), "files": files}


if __name__ == "__main__":
    results = {}
    for one in json.load(sys.stdin):
        with tempfile.TemporaryDirectory() as home:
            results[one["name"]] = _ran(home, one)
    sys.stdout.write(json.dumps(results))
