"""The options of `wherry tune`."""

from argparse import ArgumentParser
from typing import Any, Final

from wherry.cli import whole_numbers

_REPEATED: Final = (
    ("--param", "NAME=SPACE", "what is searched: lr=1e-4..0.1:log, layers=1..4, opt=sgd,adam"),
    ("--metric", "NAME", "another metric that is kept"),
    ("--setting", "NAME=VALUE", "a setting of the algorithm, such as random_state=1"),
    ("--early-stopping-setting", "NAME=VALUE", "a setting of early stopping"),
    ("--package", "PACKAGE", "what pip should install, such as 'numpy>=2'"),
    ("--env", "NAME=VALUE", "an environment variable"),
    ("--resource", "NAME=AMOUNT", "what each trial needs, such as memory=2Gi"),
    ("--volume", "CLAIM=PATH", "a PersistentVolumeClaim that each trial sees"),
)
_ACTIONS: Final = (
    ("watch", "follow one to its end, with the best value so far"),
    ("best", "the parameters of its best trial"),
    ("trials", "all its trials, as a table"),
    ("plot", "draw it into a file; needs Matplotlib"),
    ("stop", "end it; what it has found stays"),
    ("resume", "have it go on, with more trials"),
    ("delete", "delete one with its trials"),
)
_PLOTS: Final = ("history", "parallel", "importance", "slices", "pareto")


def add(verbs: Any, parents: list[ArgumentParser]) -> None:
    """Add the verb.

    Args:
        verbs: Where verbs are added.
        parents: Options that all its actions have.
    """
    tune = verbs.add_parser("tune", help="search the best parameters of code")
    actions = tune.add_subparsers(
        dest="action", metavar="ACTION", parser_class=type(tune), required=True
    )
    _add_run(actions.add_parser("run", parents=parents, help="start a search and follow it"))
    listed = actions.add_parser("list", parents=parents, help="those there are, newest first")
    listed.add_argument("-A", "--all-namespaces", action="store_true")
    for name, told in _ACTIONS:
        action = actions.add_parser(name, parents=parents, help=told)
        action.add_argument("name", metavar="NAME")
        if name in {"best", "trials"}:
            action.add_argument("-o", "--output", choices=["table", "json"], default="table")
        if name == "plot":
            action.add_argument("--kind", choices=_PLOTS, default="history")
            action.add_argument("--to", required=True, metavar="FILE", help=".png, .svg, .pdf …")
        if name == "resume":
            action.add_argument(
                "--max-trials", type=whole_numbers.whole(1), required=True, metavar="N"
            )
            action.add_argument("--parallel", type=whole_numbers.whole(1), metavar="N")


def _add_run(run: ArgumentParser) -> None:
    run.epilog = "What stands after -- is given to the code."
    run.add_argument("target", metavar="SCRIPT.py | MODULE | MODULE:FUNCTION")
    run.add_argument(
        "--objective",
        default="maximize objective",
        metavar="'TYPE METRIC'",
        help="such as 'minimize loss'",
    )
    run.add_argument("--goal", type=float, metavar="VALUE", help="at which the search ends")
    run.add_argument("--algorithm", default="tpe", metavar="NAME", help="default: tpe")
    run.add_argument(
        "--max-trials", type=whole_numbers.whole(1), default=20, metavar="N", help="default: 20"
    )
    run.add_argument(
        "--parallel", type=whole_numbers.whole(1), default=2, metavar="N", help="default: 2"
    )
    run.add_argument("--max-failed", type=int, metavar="N", help="at how many it fails")
    run.add_argument("--early-stopping", default="", metavar="NAME", help="medianstop or asha")
    for option, metavar, told in _REPEATED:
        each = f"{told}; may be repeated"
        run.add_argument(option, action="append", default=[], metavar=metavar, help=each)
    run.add_argument("--image", default="", help="default: python of this version")
    run.add_argument("--name", default="", help="of the Experiment")
    run.add_argument("--timeout", type=float, metavar="SECONDS", help="of each trial")
    run.add_argument("--detach", action="store_true", help="do not follow it")
