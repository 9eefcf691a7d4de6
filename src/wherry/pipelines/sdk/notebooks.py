"""Components that run a notebook: a function beside it says what it takes and gives."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Unpack

from wherry.pipelines.sdk import embedding, functions, inlined, interfaces, setting_names, source
from wherry.pipelines.sdk.components import Component
from wherry.pipelines.sdk.embedding import Embedded
from wherry.pipelines.sdk.errors import CompileError
from wherry.pipelines.sdk.functions import StepSettings
from wherry.pipelines.sdk.inlined import notebook_cells

_SUFFIX: Final = ".ipynb"
_LEAVINGS: Final = ".ipynb_checkpoints"
_PACKAGES: Final = ("nbclient>=0.10,<1", "ipykernel>=6,<8", "jupyter_client>=7,<9")
_NOW: Final[contextvars.ContextVar[Path]] = contextvars.ContextVar("notebook")


def notebook_component(
    *, notebook_path: Path | str, **settings: Unpack[StepSettings]
) -> Callable[[Callable[..., Any]], Component]:
    """Make a component of a notebook, and of a function that calls `run_notebook`. Decorator.

    The notebook comes along with all in its folder, if that is what is named. The function says what goes in and
    out, as in `component`; files that the notebook has written it finds where it told it to write them.

    Args:
        notebook_path: Of the notebook, or of a folder with one.
        **settings: See `StepSettings`; by default ``packages_to_install`` is what runs notebooks.

    Raises:
        CompileError: There is no notebook, or not one alone, or a setting is not known.
    """
    setting_names.check("notebook_component", settings, StepSettings)
    path = Path(notebook_path)
    name = _notebook(path)
    given = StepSettings(packages_to_install=_PACKAGES)
    given.update(settings)
    embedded = embedding.embed(path)

    @contextlib.contextmanager
    def around() -> Iterator[Mapping[str, Any]]:
        with embedded.unpacked() as names, _running(names, name):
            yield names

    def made(each: Callable[..., Any]) -> Component:
        interface = interfaces.of_function(each)
        text = source.module(each, before=_source(embedded, name))
        found = functions.make(each, interface, text, given)
        found.around = around
        return found

    return made


def run_notebook(**parameters: Any) -> None:
    """Run the notebook of the component whose function calls this.

    Args:
        **parameters: JSON values that its cells have by these names, instead of those of its first cell with the tag
            ``parameters``.

    Raises:
        CompileError: It is called elsewhere.
        Exception: A cell has failed; the message is its traceback.
    """
    try:
        path = _NOW.get()
    except LookupError as error:
        words = "run_notebook: only the function of a notebook_component has a notebook"
        raise CompileError(words) from error
    notebook_cells.wherry_run_notebook(str(path), parameters)


@contextlib.contextmanager
def _running(names: Mapping[str, Any], name: str) -> Iterator[None]:
    token = _NOW.set(Path(names["__KFP_EMBEDDED_ASSET_DIR"], name))
    try:
        yield
    finally:
        _NOW.reset(token)


def _source(embedded: Embedded, name: str) -> str:
    """Return what gives a component's module its notebook."""
    cells = inlined.text(notebook_cells)
    return f"""{embedded.source()}

{cells}

def run_notebook(**parameters):
    wherry_run_notebook(__KFP_EMBEDDED_ASSET_DIR + {"/" + name!r}, parameters)


dsl.run_notebook = run_notebook
"""


def _notebook(path: Path) -> str:
    """Return the notebook's place in what is embedded."""
    if path.is_dir():
        found = [
            each.relative_to(path)
            for each in path.rglob(f"*{_SUFFIX}")
            if _LEAVINGS not in each.parts
        ]
        if len(found) != 1:
            raise CompileError(f"{path}: want one notebook in it; there are {len(found)}")
        return found[0].as_posix()
    if path.suffix != _SUFFIX or not path.is_file():
        raise CompileError(
            f"notebook_path: {path} is no file that ends in {_SUFFIX}, and no folder"
        )
    return path.name
