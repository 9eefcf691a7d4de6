"""What a resource template asks of an object: conditions on its fields, and values for parameters."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from wherry.objects.selectors import LabelSelector
from wherry.pipelines.workflows.agent.failing import AgentError
from wherry.pipelines.workflows.agent.texts import text

_JQ_SECONDS: Final = 60
_LONGEST: Final = 1000


class Fields(Mapping[str, str]):
    """An object's fields by their paths (``status.conditions.0.type``), as texts."""

    def __init__(self, held: Any) -> None:
        """Take the object."""
        self._held = held

    def __getitem__(self, path: str) -> str:
        """Return a field as text.

        Raises:
            KeyError: there is none.
        """
        at = self._held
        for part in path.split("."):
            if isinstance(at, list) and part == "#":
                at = len(at)
            elif isinstance(at, list) and part.isdecimal() and int(part) < len(at):
                at = at[int(part)]
            elif isinstance(at, dict) and part in at:
                at = at[part]
            else:
                raise KeyError(path)
        return text(at)

    def __iter__(self) -> Iterator[str]:
        """Yield nothing: there are too many paths, and only some are asked for."""
        return iter(())

    def __len__(self) -> int:
        """Return 1, so that it is not taken for empty."""
        return 1


def any_of(selector: LabelSelector, held: Any) -> bool:
    """Return whether one of the requirements holds."""
    fields = Fields(held)
    return any(LabelSelector((each,)).matches(fields) for each in selector.requirements)


def parameters(wanted: Sequence[Mapping[str, Any]], held: Any) -> dict[str, str]:
    """Return the values of output parameters.

    Args:
        wanted: Name, and ``jsonPath`` or ``jqFilter``, perhaps ``default``, of each.
        held: The object.

    Raises:
        AgentError: one cannot be had, and has no default.
    """
    found = {}
    for each in wanted:
        try:
            if each.get("jsonPath"):
                found[each["name"]] = _followed(each["jsonPath"], held)
            elif each.get("jqFilter"):
                found[each["name"]] = _jq(each["jqFilter"], held)
        except AgentError as error:
            if each.get("default") is None:
                raise AgentError(f"outputs.parameters.{each['name']}: {error}") from error
            found[each["name"]] = text(each["default"])
    return found


def _followed(template: str, held: Any) -> str:
    from wherry.pipelines.workflows.agent import templates  # noqa: PLC0415 - has a package of its own

    return templates.rendered(template, held)


def _jq(source: str, held: Any) -> str:
    """Return what a filter of jq gives, one line for each value."""
    program = shutil.which("jq")
    if program is None:
        return _by_module(source, held)
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
            file.write(source)
            file.flush()
            done = subprocess.run(  # noqa: S603 - no shell; the filter is in a file
                [program, "-r", "-c", "-f", file.name],
                input=json.dumps(held).encode(),
                capture_output=True,
                timeout=_JQ_SECONDS,
                check=False,
            )
    except subprocess.TimeoutExpired as error:
        raise AgentError(f"jqFilter {source!r} takes more than {_JQ_SECONDS} s") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-_LONGEST:]
        raise AgentError(f"jqFilter {source!r}: {said}")
    return done.stdout.decode(errors="replace").strip()


def _by_module(source: str, held: Any) -> str:
    try:
        import jq  # type: ignore[import-not-found] # noqa: PLC0415 - of the agent's environment, not of Wherry's
    except ImportError as error:
        raise AgentError("jqFilter: neither jq nor its Python package is there") from error
    try:
        return "\n".join(text(each) for each in jq.compile(source).input_value(held)).strip()
    except ValueError as error:
        raise AgentError(f"jqFilter {source!r}: {error}") from error
