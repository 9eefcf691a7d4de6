"""`wherry pipelines`: start runs of compiled pipelines, look at them, follow and end them."""

import datetime
import secrets
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path

from wherry.cli import columns, failures, session
from wherry.cli.progress import Progress
from wherry.cli.session import Session
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines import describing, kinds, lint, runs, status
from wherry.pipelines.ir import documents
from wherry.pipelines.ir.documents import Documents, PipelineError
from wherry.pipelines.pipeline import Pipeline
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
        if path.suffix == ".py":
            return files.load(path).documents()
        return documents.parse(path.read_text())
    except CompileError as error:
        raise failures.CommandError(str(error)) from error
    except (PipelineError, UnicodeDecodeError) as error:
        raise failures.CommandError(f"{path}: {error}") from error


async def _follow(opened: Session, name: str) -> int:
    """Show how a run comes on, until it has ended; return the exit code."""
    last: Object = {}
    try:
        with Progress() as progress:
            async for last in _states(opened, name):
                told = last.get("status") or {}
                progress.show(f"{told.get('state', 'PENDING')} {told.get('progress', '')}".strip())
    except KeyboardInterrupt:
        print(
            f"\nIt goes on. `wherry pipelines watch {name} -n {opened.namespace}` follows it "
            f"again; `wherry pipelines stop {name} -n {opened.namespace}` ends it.",
            file=sys.stderr,
        )
        return failures.INTERRUPTED
    return _result(last)


async def _states(opened: Session, name: str) -> AsyncIterator[Object]:
    """Yield a run at each change, the last time when it has ended.

    Raises:
        CommandError: it was deleted.
    """
    run_ = await opened.client.get(kinds.PIPELINE_RUNS, name, opened.namespace)
    yield run_
    if status.is_finished(run_):
        return
    events = opened.client.watch(
        kinds.PIPELINE_RUNS,
        opened.namespace,
        fields=f"metadata.name={name}",
        resource_version=run_["metadata"]["resourceVersion"],
    )
    async for event in events:
        if event.type == "DELETED":
            raise failures.CommandError(f"run {name} was deleted")
        if event.type != "BOOKMARK":
            yield event.object
            if status.is_finished(event.object):
                return


def _result(run_: Object) -> int:
    told = run_.get("status") or {}
    state = status.state(run_)
    print(f"run {metadata.name(run_)}: {state} ({told.get('progress', '0/0')} tasks)")
    for task in told.get("failedTasks") or ():
        print(f"  {task['path']}: {task.get('message', '')}")
    if state != _GOOD and told.get("message"):
        print(f"  {told['message']}")
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
        return await _follow(opened, options.name) and failures.SUCCESS

    return session.run(options, work)


def _lint(options: Namespace) -> int:
    """Print what is wrong, and what is doubtful, line by line; only the former is a failure."""
    bad = 0
    for path in options.file:
        try:
            read = documents.parse(path.read_text())
            pipeline = Pipeline(read.spec, read.platform)
        except PipelineError as error:
            bad += 1
            _say(path, "error", ((cause.field, cause.message) for cause in error.causes))
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
        labels = f"{kinds.RUN_LABEL}={options.of}"
        run_ = await opened.client.get(kinds.PIPELINE_RUNS, options.of, opened.namespace)
        pods = (await opened.client.list(core.PODS, opened.namespace, labels=labels)).items
        pods = sorted(pods, key=lambda each: str(each["metadata"]["creationTimestamp"]))
        _put(options.output, running.picture(run_, pods))
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


def _logs(options: Namespace) -> int:
    async def work(opened: Session, options: Namespace) -> int:
        labels = f"{kinds.RUN_LABEL}={options.name}"
        pods = (await opened.client.list(core.PODS, opened.namespace, labels=labels)).items
        shown = 0
        for pod in sorted(pods, key=lambda each: str(each["metadata"]["creationTimestamp"])):
            path = metadata.annotations(pod).get(kinds.PATH_ANNOTATION, "")
            if options.task in {"", path, path.rpartition("/")[2]}:
                shown += 1
                await _print_log(opened, pod, path)
        if not shown:
            what = f"task {options.task} of run" if options.task else "run"
            raise failures.CommandError(f"{what} {options.name} has no pods")
        return failures.SUCCESS

    return session.run(options, work)


async def _print_log(opened: Session, pod: Object, path: str) -> None:
    print(f"==> {path} ({metadata.name(pod)}) <==", flush=True)
    try:
        chunks = opened.client.log(metadata.name(pod), opened.namespace, container="main")
        async for chunk in chunks:
            sys.stdout.buffer.write(chunk)
    except errors.ApiError as error:
        print(error.message)
    sys.stdout.flush()


_ACTIONS: Mapping[str, Callable[[Namespace], int]] = {
    "run": _start,
    "lint": _lint,
    "compile": _compile,
    "graph": _graph,
    "list": _list,
    "watch": _watch,
    "stop": _stop,
    "logs": _logs,
}
