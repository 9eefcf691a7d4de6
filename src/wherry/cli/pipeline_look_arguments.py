"""The options of those actions of `wherry pipelines` that look at what was: get, diff, lineage, cache."""

import argparse
import datetime
import re
from argparse import ArgumentParser
from typing import Any, Final

from wherry.cli import whole_numbers

_AGE: Final = re.compile(r"(\d{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LINEAGE_HELP: Final = "a URI of an artifact, a run, a task of a run, or an output of that"


def add(actions: Any, parents: list[ArgumentParser]) -> None:
    """Add the actions.

    Args:
        actions: Where actions are added.
        parents: Options that all of them have.
    """
    get = actions.add_parser(
        "get", parents=parents, help="a run: its tasks, and whose results were taken from the cache"
    )
    get.add_argument("name", metavar="RUN")
    diff = actions.add_parser(
        "diff", parents=parents, help="in what two runs differ; exit code 1 if they do"
    )
    diff.add_argument("first", metavar="RUN")
    diff.add_argument("second", metavar="RUN")
    lineage = actions.add_parser(
        "lineage", parents=parents, help="what something came from, and what became of it"
    )
    lineage.add_argument("of", metavar="URI|RUN[/TASK[/OUTPUT]]", help=_LINEAGE_HELP)
    for name, what in (("up", "back"), ("down", "on")):
        lineage.add_argument(
            f"--{name}",
            type=whole_numbers.whole(0, 50),
            default=3,
            metavar="N",
            help=f"how many tasks {what}",
        )
    lineage.add_argument("--limit", type=whole_numbers.whole(1, 10_000), default=1000, metavar="N")
    for each in (get, diff, lineage):
        _add_output(each)
    _add_cache(actions.add_parser("cache", help="results that may be taken again"), parents)


def _add_cache(cache: ArgumentParser, parents: list[ArgumentParser]) -> None:
    deeds = cache.add_subparsers(
        dest="deed", metavar="ACTION", parser_class=type(cache), required=True
    )
    listed = deeds.add_parser("list", parents=parents, help="which there are, newest first")
    listed.add_argument("--limit", type=whole_numbers.whole(1, 100_000), default=1000, metavar="N")
    _add_output(listed)
    clear = deeds.add_parser(
        "clear", parents=parents, help="have some not be taken again; artifacts and history stay"
    )
    clear.add_argument("--all", action="store_true", help="all of the namespace")
    for each in (listed, clear):
        each.add_argument("--pipeline", default="", metavar="NAME", help="of one pipeline")
        each.add_argument("--task", default="", metavar="NAME", help="of one task")
        each.add_argument("--run", default="", metavar="RUN", help="that one run made")
        each.add_argument(
            "--key", default="", help="of one cache key, or a fingerprint's first 8 digits or more"
        )
        each.add_argument(
            "--older-than", type=_age, metavar="AGE", help="older than, such as 90s, 12h or 30d"
        )


def _add_output(parser: ArgumentParser) -> None:
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text")


def _age(text: str) -> datetime.timedelta:
    found = _AGE.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r}: want a number with s, m, h or d, such as 30d")
    return datetime.timedelta(**{_UNITS[found[2]]: int(found[1])})
