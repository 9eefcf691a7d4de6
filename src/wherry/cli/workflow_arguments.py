"""The options of `wherry workflows`."""

from argparse import ArgumentParser
from typing import Any, Final

_OUTPUTS: Final = ("json", "yaml", "name")
_NAMES_HELP: Final = "names; @latest is the newest one"
_ACTIONS: Final = (
    ("watch", "follow one to its end, with the tree of its steps"),
    ("wait", "wait until they have ended"),
    ("suspend", "begin nothing more of them"),
    ("resume", "go on, also with steps that wait for somebody"),
    ("stop", "end them, but for their exit handlers"),
    ("terminate", "end them at once"),
    ("delete", "delete them with their pods; what was kept of them stays"),
)
_ONE: Final = frozenset({"watch"})
_CHOOSING: Final = frozenset({"resume", "stop"})
_SELECTOR_HELP: Final = "of nodes only that fit, such as displayName=approve"


def add(verbs: Any, parents: list[ArgumentParser]) -> None:
    """Add the verb.

    Args:
        verbs: Where verbs are added.
        parents: Options that all its actions have.
    """
    workflows = verbs.add_parser("workflows", help="submit Argo workflows, and look at them")
    actions = workflows.add_subparsers(
        dest="action", metavar="ACTION", parser_class=type(workflows), required=True
    )
    _add_submit(actions.add_parser("submit", parents=parents, help="start workflows"))
    _add_looks(actions, parents)
    for name, told in _ACTIONS:
        action = actions.add_parser(name, parents=parents, help=told)
        if name in _ONE:
            action.add_argument("name", metavar="NAME", help=_NAMES_HELP)
        else:
            nargs = "*" if name == "delete" else "+"
            action.add_argument("names", nargs=nargs, metavar="NAME", help=_NAMES_HELP)
        if name in _CHOOSING:
            action.add_argument(
                "--node-field-selector", default="", metavar="SEL", help=_SELECTOR_HELP
            )
        if name == "stop":
            action.add_argument("--message", default="", help="what is said of these nodes")
        if name == "delete":
            action.add_argument("--all", action="store_true", help="all of the namespace")
            action.add_argument("--completed", action="store_true", help="all that have ended")
    _add_again(actions, parents)
    lint = actions.add_parser("lint", help="say what is wrong with files; asks no cluster")
    lint.add_argument("files", nargs="+", metavar="FILE|DIR|-")
    lint.set_defaults(verbose=False)
    _add_kinds(actions, parents)


def _add_submit(submit: ArgumentParser) -> None:
    submit.add_argument("files", nargs="*", metavar="FILE|DIR|-")
    submit.add_argument(
        "--from",
        dest="source",
        default="",
        metavar="KIND/NAME",
        help="workflowtemplate/NAME, clusterworkflowtemplate/NAME or cronworkflow/NAME",
    )
    _add_parameters(submit)
    submit.add_argument("--entrypoint", default="", metavar="TEMPLATE")
    submit.add_argument("--name", default="", help="of the workflow")
    submit.add_argument("--generate-name", default="", metavar="PREFIX")
    submit.add_argument("--serviceaccount", default="", metavar="NAME", help="of its pods")
    submit.add_argument("-l", "--labels", default="", metavar="A=B,C=D")
    submit.add_argument("--priority", type=int, metavar="N")
    submit.add_argument("-o", "--output", choices=_OUTPUTS)
    _add_following(submit)


def _add_parameters(parser: ArgumentParser) -> None:
    parser.add_argument(
        "-p",
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an argument of the workflow; may be repeated",
    )


def _add_following(parser: ArgumentParser) -> None:
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--watch", action="store_true", help="follow it to its end")
    how.add_argument("--wait", action="store_true", help="wait for its end")
    how.add_argument("--log", action="store_true", help="print what its steps write")


def _add_looks(actions: Any, parents: list[ArgumentParser]) -> None:
    listed = actions.add_parser("list", parents=parents, help="those there are, newest first")
    listed.add_argument("-A", "--all-namespaces", action="store_true")
    listed.add_argument("-l", "--selector", default="", metavar="SEL", help="label selector")
    listed.add_argument("--status", default="", metavar="A,B", help="only of these phases")
    listed.add_argument("-o", "--output", choices=_OUTPUTS)
    get = actions.add_parser("get", parents=parents, help="how one stands: its head and its steps")
    get.add_argument("name", metavar="NAME", help=_NAMES_HELP)
    get.add_argument("-o", "--output", choices=_OUTPUTS)
    logs = actions.add_parser("logs", parents=parents, help="what the steps of one wrote")
    logs.add_argument("name", metavar="NAME", help=_NAMES_HELP)
    logs.add_argument("step", nargs="?", default="", metavar="STEP|POD", help="default: all")
    logs.add_argument("-c", "--container", default="main", metavar="NAME")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until it has ended")


def _add_again(actions: Any, parents: list[ArgumentParser]) -> None:
    retry = actions.add_parser("retry", parents=parents, help="do again what failed of one")
    again = actions.add_parser("resubmit", parents=parents, help="make another one like it")
    for parser in (retry, again):
        parser.add_argument("name", metavar="NAME", help=_NAMES_HELP)
        _add_parameters(parser)
        _add_following(parser)
    retry.add_argument("--restart-successful", action="store_true", help="chosen nodes too")
    retry.add_argument("--node-field-selector", default="", metavar="SEL", help=_SELECTOR_HELP)
    again.add_argument("-o", "--output", choices=_OUTPUTS)


def _add_kinds(actions: Any, parents: list[ArgumentParser]) -> None:
    for kind, told, deeds in (
        ("cron", "schedules of workflows", ("list", "suspend", "resume")),
        ("template", "templates of workflows", ("list",)),
    ):
        parser = actions.add_parser(kind, help=told)
        inner = parser.add_subparsers(
            dest="deed", metavar="ACTION", parser_class=type(parser), required=True
        )
        for deed in deeds:
            action = inner.add_parser(deed, parents=parents)
            if deed == "list":
                action.add_argument("-A", "--all-namespaces", action="store_true")
            else:
                action.add_argument("names", nargs="+", metavar="NAME")
