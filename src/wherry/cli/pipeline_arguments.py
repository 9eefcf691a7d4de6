"""The options of `wherry pipelines`."""

import argparse
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from wherry.cli import pipeline_look_arguments, whole_numbers

_FILE_HELP = "a compiled pipeline (YAML or JSON), or a file of Python with one"


def add(verbs: Any, parents: list[ArgumentParser]) -> None:
    """Add the verb.

    Args:
        verbs: Where verbs are added.
        parents: Options that all its actions have.
    """
    pipelines = verbs.add_parser("pipelines", help="run pipelines, and look at their runs")
    actions = pipelines.add_subparsers(
        dest="action", metavar="ACTION", parser_class=type(pipelines), required=True
    )
    _add_run(actions.add_parser("run", parents=parents, help="start a run and follow it"))
    lint = actions.add_parser("lint", help="say what is wrong with compiled pipelines")
    lint.add_argument("file", nargs="+", type=Path, metavar="FILE", help=_FILE_HELP)
    lint.set_defaults(verbose=False)
    compiled = actions.add_parser("compile", help="compile a pipeline in a file of Python")
    compiled.add_argument("file", type=Path, metavar="FILE.py")
    compiled.add_argument("--pipeline", default="", metavar="NAME", help="where there are several")
    compiled.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: to stdout")
    compiled.set_defaults(verbose=False)
    graph = actions.add_parser(
        "graph", parents=parents, help="a picture (SVG) of a pipeline or run"
    )
    graph.add_argument("of", metavar="FILE|RUN")
    graph.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: to stdout")
    listed = actions.add_parser("list", parents=parents, help="the runs there are, newest first")
    listed.add_argument("-A", "--all-namespaces", action="store_true")
    watch = actions.add_parser("watch", parents=parents, help="follow a run to its end")
    watch.add_argument("name", metavar="RUN")
    stop = actions.add_parser("stop", parents=parents, help="end a run before its time")
    stop.add_argument("name", metavar="RUN")
    logs = actions.add_parser("logs", parents=parents, help="what the steps of a run wrote")
    logs.add_argument("name", metavar="RUN")
    logs.add_argument("task", nargs="?", default="", metavar="TASK", help="default: all")
    which = logs.add_mutually_exclusive_group()
    which.add_argument(
        "--attempt",
        type=whole_numbers.whole(0),
        metavar="N",
        help="of a task, from 0 (default: the latest)",
    )
    which.add_argument("-f", "--follow", action="store_true", help="go on until the run has ended")
    retry = actions.add_parser(
        "retry", parents=parents, help="take up a run that has ended, where it failed"
    )
    retry.add_argument("name", metavar="RUN")
    retry.add_argument(
        "--from",
        dest="from_task",
        action="append",
        default=[],
        metavar="TASK",
        help="do this one again too, with all that depends on it; may be repeated",
    )
    pipeline_look_arguments.add(actions, parents)


def _add_run(run: ArgumentParser) -> None:
    run.add_argument("file", type=Path, metavar="FILE", help=_FILE_HELP)
    run.add_argument(
        "-p",
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the pipeline; lists and objects as JSON; may be repeated",
    )
    run.add_argument("--name", default="", help="of the run")
    run.add_argument("--display-name", default="", help="what people call it")
    run.add_argument("--root", default="", metavar="URI", help="where artifacts go")
    run.add_argument(
        "--cache",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="take earlier results always, or never (default: as compiled)",
    )
    run.add_argument(
        "--cache-expiry",
        type=whole_numbers.whole(0),
        metavar="SECONDS",
        help="take no earlier result that is older",
    )
    run.add_argument("--service-account", default="", metavar="NAME", help="of its pods")
    run.add_argument(
        "--timeout", type=whole_numbers.whole(1), metavar="SECONDS", help="after which it fails"
    )
    run.add_argument("--detach", action="store_true", help="do not follow it")
