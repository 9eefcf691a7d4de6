"""`wherry pipelines`: start runs of compiled pipelines, look at them, follow and end them."""

import datetime
import secrets
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path

from wherry.cli import (
    columns,
    failures,
    following,
    pipeline_cache,
    pipeline_looks,
    pipeline_steps,
    session,
)
from wherry.cli.progress import Progress
from wherry.cli.session import Session
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines import describing, kinds, lint, run_pictures, runs, status
from wherry.pipelines.definition import Pipeline
from wherry.pipelines.ir import documents
from wherry.pipelines.ir.documents import Documents, PipelineError
from wherry.pipelines.sdk import files, running
from wherry.pipelines.sdk.errors import CompileError

_HEADINGS = ["NAME", "PIPELINE", "STATE", "PROGRESS", "AGE"]
_GOOD = "SUCCEEDED"


def run(options: Namespace) -> int:
    """Do what the second word says.

    Raises:
        CommandError: it cannot be done.
    """
    return _ACTIONS[options.action](options)


def _start(options: Namespace) -> int:
    read = _read(options.file)
    try:
        pipeline = Pipeline(read.spec, read.platform)
        parameters = {
            name: runs.parameter(pipeline, name, text) for name, text in _pairs(options.param)
        }
    except ValueError as error:
        raise failures.CommandError(f"{options.file}: {error}") from error
    wish = runs.Wish(
        parameters=parameters,
        root=options.root,
        cache=options.cache,
        cache_expiry=options.cache_expiry,
        display_name=options.display_name,
        service_account=options.service_account,
        timeout=options.timeout,
    )
    name = options.name or runs.name_of(pipeline.name, secrets.token_hex(8))

    async def work(opened: Session, options: Namespace) -> int:
        made = runs.manifest(read, wish, name=name, namespace=opened.namespace)
        made = await opened.client.create(kinds.PIPELINE_RUNS, made)
        print(f"run {name} started", file=sys.stderr)
        return failures.SUCCESS if options.detach else await _follow(opened, name)

    return session.run(options, work)


def _pairs(words: list[str]) -> list[tuple[str, str]]:
    made = []
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise failures.UsageError(f"--param {word!r}: want NAME=VALUE")
        made.append((name, value))
    return made


def _read(path: Path) -> Documents:
    try:
        return _documents(path)
    except CompileError as error:
        raise failures.CommandError(str(error)) from error
    except (PipelineError, UnicodeDecodeError) as error:
        raise failures.CommandError(f"{path}: {error}") from error


def _documents(path: Path) -> Documents:
    """Return a pipeline of a compiled file, or the one in a file of Python.

    Raises:
        CompileError: the Python is wrong.
        PipelineError: the compiled file is wrong.
        UnicodeDecodeError: it is no text.
    """
    if path.suffix == ".py":
        return files.load(path).documents()
    return documents.parse(path.read_text("utf-8"))


async def _follow(opened: Session, name: str) -> int:
    """Show how a run comes on, until it has ended; return the exit code."""
    last: Object = {}
    try:
        with Progress() as progress:
            async for last in _states(opened, name):
                progress.show(str(running.progress(last)))
    except KeyboardInterrupt:
        print(
            f"\nIt goes on. `wherry pipelines watch {name} -n {opened.namespace}` follows it "
            f"again; `wherry pipelines stop {name} -n {opened.namespace}` ends it.",
            file=sys.stderr,
        )
        return failures.INTERRUPTED
    code = _result(last)
    if status.is_finished(last):
        for line in await pipeline_looks.cached(opened, last):
            print(f"  {line}")
    return code


async def _states(opened: Session, name: str) -> AsyncIterator[Object]:
    """Yield a run at each change, the last time when it has ended.

    Raises:
        CommandError: it was deleted.
    """
    found = await opened.client.get(kinds.PIPELINE_RUNS, name, opened.namespace)
    async for each in following.states(
        opened, kinds.PIPELINE_RUNS, found, noun="run", has_ended=status.is_finished
    ):
        yield each


def _result(run_: Object) -> int:
    told = run_.get("status") or {}
    state = status.state(run_)
    print(f"run {metadata.name(run_)}: {state} ({told.get('progress', '0/0')} tasks)")
    message, said = str(told.get("message", "")), []
    for task in told.get("failedTasks") or ():
        said.append(str(task.get("message", "")))
        print(f"  {task['path']}: {said[-1]}")
    # Mostly it is what the first failed task has said, and stands above.
    if message and state != _GOOD and not any(each and each in message for each in said):
        print(f"  {message}")
    for name, value in (told.get("outputs") or {}).items():
        print(f"  {name}: {runs.shown(value)}")
    return failures.SUCCESS if state == _GOOD else failures.FAILURE


def _watch(options: Namespace) -> int:
    async def work(opened: Session, options: Namespace) -> int:
        return await _follow(opened, options.name)

    return session.run(options, work)


def _stop(options: Namespace) -> int:
    async def work(opened: Session, options: Namespace) -> int:
        patch = {"spec": {"terminate": True}}
        await opened.client.patch(kinds.PIPELINE_RUNS, options.name, patch, opened.namespace)
        code = await _follow(opened, options.name)
        # It was to end, however: only that nobody has waited for it is something else.
        return code if code == failures.INTERRUPTED else failures.SUCCESS

    return session.run(options, work)


def _lint(options: Namespace) -> int:
    """Print what is wrong, and what is doubtful, line by line; only the former is a failure."""
    bad = 0
    for path in options.file:
        try:
            read = _documents(path)
            pipeline = Pipeline(read.spec, read.platform)
        except PipelineError as error:
            bad += 1
            _say(path, "error", ((cause.field, cause.message) for cause in error.causes))
            continue
        except (CompileError, UnicodeDecodeError) as error:
            bad += 1
            _say(path, "error", [("", str(error).removeprefix(f"{path}: "))])
            continue
        found = [(each.field, each.message) for each in lint.findings(pipeline)]
        _say(path, "warning", found)
        if not found:
            print(f"{path}: ok")
    return failures.FAILURE if bad else failures.SUCCESS


def _say(path: Path, word: str, found: Iterable[tuple[str, str]]) -> None:
    for field, message in found:
        print(f"{path}: {word}: {field}: {message}" if field else f"{path}: {word}: {message}")


def _compile(options: Namespace) -> int:
    try:
        text = files.load(options.file, options.pipeline).text()
    except CompileError as error:
        raise failures.CommandError(str(error)) from error
    _put(options.output, text)
    return failures.SUCCESS


def _graph(options: Namespace) -> int:
    path = Path(options.of)
    if path.is_file():
        read = _read(path)
        try:
            pipeline = Pipeline(read.spec, read.platform)
        except PipelineError as error:
            raise failures.CommandError(f"{path}: {error}") from error
        _put(options.output, describing.picture(pipeline))
        return failures.SUCCESS

    async def work(opened: Session, options: Namespace) -> int:
        drawn = await run_pictures.draw(
            opened.client, opened.transport, options.of, opened.namespace
        )
        _put(options.output, drawn)
        return failures.SUCCESS

    return session.run(options, work)


def _put(path: Path | None, text: str) -> None:
    if path is None:
        print(text, end="")
    else:
        path.write_text(text, encoding="utf-8")


def _list(options: Namespace) -> int:
    async def work(opened: Session, options: Namespace) -> int:
        namespace = None if options.all_namespaces else opened.namespace
        listed = await opened.client.list(kinds.PIPELINE_RUNS, namespace)
        if not listed.items:
            print("there are no runs", file=sys.stderr)
            return failures.SUCCESS
        everywhere = options.all_namespaces
        print("\n".join(columns.newest_first(listed, _HEADINGS, _row, everywhere=everywhere)))
        return failures.SUCCESS

    return session.run(options, work)


def _row(run_: Object, now: datetime.datetime) -> list[str]:
    told = run_.get("status") or {}
    age = now - metadata.parse_time(run_["metadata"]["creationTimestamp"])
    return [
        metadata.name(run_),
        str(told.get("pipelineName", "")),
        status.state(run_) or kinds.PENDING,
        str(told.get("progress", "")),
        columns.span(age),
    ]


_ACTIONS: Mapping[str, Callable[[Namespace], int]] = {
    "run": _start,
    "lint": _lint,
    "compile": _compile,
    "graph": _graph,
    "list": _list,
    "watch": _watch,
    "stop": _stop,
    "logs": pipeline_steps.logs,
    "retry": pipeline_steps.retry,
    "get": pipeline_looks.get,
    "diff": pipeline_looks.diff,
    "lineage": pipeline_looks.lineage,
    "cache": pipeline_cache.cache,
}
