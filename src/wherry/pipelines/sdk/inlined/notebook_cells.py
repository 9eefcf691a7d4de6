"""Runs the notebook that a component has brought along, and prints what its cells print."""

import importlib
import json
import os
import sys
from typing import Any

WHERRY_SHOWN = ("text/plain", "text/markdown")


def wherry_run_notebook(path: str, parameters: "dict[str, Any]") -> None:
    """Run a notebook in its folder, with a kernel of this Python; fails as its first cell that does.

    Args:
        path: Of the notebook.
        parameters: JSON values by name, set after the first cell with the tag ``parameters``, else before all.
    """
    nbclient = importlib.import_module("nbclient")
    nbformat = importlib.import_module("nbformat")
    notebook = nbformat.read(path, as_version=4)
    wherry_set_parameters(notebook, parameters, nbformat.v4.new_code_cell)
    client = nbclient.NotebookClient(notebook, kernel_name="python3", timeout=None)
    take = client.output

    def output(given: Any, message: Any, display: Any, cell: int) -> Any:
        made = take(given, message, display, cell)
        if made is not None:
            wherry_print(made)
        return made

    client.output = output
    client.execute(cwd=os.path.dirname(path))  # noqa: PTH120 - a string


def wherry_set_parameters(notebook: Any, parameters: "dict[str, Any]", new_cell: Any) -> None:
    """Add a cell that sets parameters, as papermill does."""
    if not parameters:
        return
    lines = []
    for name, value in parameters.items():
        # What comes back is made of literals alone.
        lines.append(f"{name} = {json.loads(json.dumps(value, allow_nan=False))!r}")
    tagged = [
        at
        for at, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", ())
    ]
    cell = new_cell(source="\n".join(lines), metadata={"tags": ["injected-parameters"]})
    notebook.cells.insert(tagged[0] + 1 if tagged else 0, cell)


def wherry_print(output: Any) -> None:
    """Print an output of a cell as a terminal can show it."""
    if output.output_type == "stream":
        stream = sys.stderr if output.name == "stderr" else sys.stdout
        text = output.text
    elif output.output_type == "error":
        stream, text = sys.stderr, "\n".join(output.traceback) + "\n"
    else:
        found = [output.data[kind] for kind in WHERRY_SHOWN if kind in output.data]
        stream, text = sys.stdout, "".join(f"{each}\n" for each in found[:1])
    stream.write(text)
    stream.flush()
