"""What can be typed: every verb with its options. Light, because every command loads it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, TypeAlias

from wherry.cli import failures, pipeline_arguments, tuning_arguments, workflow_arguments

_DIRECTORY_HELP = "where Wherry keeps its state (default: $WHERRY_HOME, else ~/.wherry)"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line that says where to read on."""

    def error(self, message: str) -> NoReturn:
        """Print the error and exit with 2."""
        print(f"wherry: {message}; see `{self.prog} --help`", file=sys.stderr)
        sys.exit(failures.USAGE)


_Verbs: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001 - argparse has no other name for it


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command that was typed; its verb is in ``verb``.

    Raises:
        SystemExit: after help was printed, or an error of usage.
    """
    made = parser()
    own, foreign = _divided(list(sys.argv[1:] if words is None else words))
    options = made.parse_args(own)
    options.arguments = foreign
    if not options.verb:
        made.print_help()
        sys.exit(failures.SUCCESS)
    return options


def _divided(words: list[str]) -> tuple[list[str], list[str]]:
    """Return the words of `train run` or `tune run`, and those after ``--``: its program's."""
    if words[:2] not in (["train", "run"], ["tune", "run"]) or "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def parser() -> Parser:
    """Return the whole command line: every verb with its options."""
    made = Parser(
        prog="wherry",
        description="Machine learning on Kubernetes, with or without a cluster.",
        allow_abbrev=False,
    )
    made.add_argument(
        "--version", action="store_const", const="version", dest="verb", help="print the version"
    )
    verbs = made.add_subparsers(dest="verb", metavar="VERB", parser_class=Parser)
    place, target = _place(), _target()
    _add_platform_verbs(verbs, place)
    _add_object_verbs(verbs, [place, target])
    _add_questions(verbs, [place, target])
    _add_environments(verbs, [place, target])
    _add_training(verbs, [place, target])
    tuning_arguments.add(verbs, [place, target])
    pipeline_arguments.add(verbs, [place, target])
    workflow_arguments.add(verbs, [place, target])
    _add_cluster_verbs(verbs, [place, target])
    verbs.add_parser("version", help="print the version")
    made.set_defaults(verbose=False)
    return made


def _place() -> Parser:
    parent = Parser(add_help=False)
    parent.add_argument("--directory", type=Path, metavar="DIR", help=_DIRECTORY_HELP)
    parent.add_argument("--verbose", action="store_true", help="more detail; tracebacks of errors")
    return parent


def _target() -> Parser:
    parent = Parser(add_help=False)
    group = parent.add_argument_group("which cluster (default: the running Wherry)")
    group.add_argument("--kubeconfig", type=Path, metavar="FILE")
    group.add_argument("--context", default="", metavar="NAME", help="context of the kubeconfig")
    parent.add_argument("-n", "--namespace", default="", metavar="NS")
    return parent


def _add_platform_verbs(verbs: _Verbs, place: Parser) -> None:
    up = verbs.add_parser("up", parents=[place], help="start Wherry, in the background")
    up.add_argument("--foreground", action="store_true", help="stay, and log to this terminal")
    up.add_argument(
        "--port", type=_port, metavar="N", help="of the API (default: 6443, or a free one)"
    )
    up.add_argument(
        "--no-isolation",
        action="store_true",
        help="containers without mount namespaces; what other systems than Linux get anyway",
    )
    up.add_argument(
        "--no-warm-start",
        action="store_true",
        help="never fork a pod's Python from a process that has done its imports",
    )
    up.add_argument(
        "--cpu-overcommit",
        type=_factor,
        metavar="F",
        help="by how much the CPU that pods request may exceed the machine's",
    )
    up.add_argument(
        "--pod-pids-limit",
        type=_pids,
        metavar="N",
        help="processes and threads of a pod, where control groups can be written (default: any)",
    )
    up.add_argument(
        "--memory-rlimit",
        action="store_true",
        help="where they cannot: bound the data of each process by its container's memory limit",
    )
    _add_image_options(up)
    up.add_argument(
        "--components",
        type=_names,
        default=(),
        metavar="A,B|none",
        help="products that run in it (default: all); `wherry controllers` can run the others",
    )
    up.add_argument(
        "--audit-log", type=Path, metavar="FILE", help="write down who did what, as JSON lines"
    )
    up.add_argument(
        "--audit-policy", type=Path, metavar="FILE", help="what of it (an audit.k8s.io/v1 Policy)"
    )
    _add_other_platform_verbs(verbs, place)


def _add_image_options(up: Parser) -> None:
    up.add_argument(
        "--image-runtime",
        choices=["oci", "environment"],
        default="",
        help="what images mean (default: an Environment if one covers the name, else a real image)",
    )
    up.add_argument(
        "--image-engine",
        choices=["runc", "crun", "docker", "podman"],
        default="",
        help="what runs real images (default: the first of these that is there)",
    )
    up.add_argument(
        "--insecure-registry",
        action="append",
        default=[],
        metavar="HOST[:PORT]",
        help="an image registry that may speak plain HTTP; may be repeated",
    )


def _add_other_platform_verbs(verbs: _Verbs, place: Parser) -> None:
    down = verbs.add_parser("down", parents=[place], help="stop Wherry and its pods")
    down.add_argument("--keep-pods", action="store_true", help="the next `up` takes them back")
    status = verbs.add_parser("status", parents=[place], help="what runs and what is wrong")
    status.add_argument("-o", "--output", choices=["text", "json"], default="text")
    config = verbs.add_parser("kubeconfig", parents=[place], help="print or write a kubeconfig")
    where = config.add_mutually_exclusive_group()
    where.add_argument(
        "--merge", action="store_true", help="add the context `wherry` to your own and switch to it"
    )
    where.add_argument("--path", type=Path, metavar="FILE", help="write to this file")
    config.add_argument(
        "--user",
        default="",
        metavar="NS/NAME",
        help="for this ServiceAccount, with a token, rather than for the administrator",
    )


def _add_object_verbs(verbs: _Verbs, parents: list[Parser]) -> None:
    apply = verbs.add_parser("apply", parents=parents, help="create or change what files describe")
    apply.add_argument("-f", "--filename", action="append", required=True, metavar="FILE|DIR|-")
    get = verbs.add_parser("get", parents=parents, help="show objects")
    _add_objects(get)
    get.add_argument("-A", "--all-namespaces", action="store_true")
    get.add_argument("--field-selector", default="", metavar="SEL")
    get.add_argument("-o", "--output", choices=["table", "wide", "yaml", "json", "name"])
    get.add_argument("-w", "--watch", action="store_true", help="go on with what changes")
    delete = verbs.add_parser("delete", parents=parents, help="delete objects")
    _add_objects(delete)
    delete.add_argument("-f", "--filename", action="append", default=[], metavar="FILE|DIR|-")
    delete.add_argument(
        "--wait",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="until they are gone (default)",
    )
    delete.add_argument(
        "--timeout", type=_factor, default=0.0, metavar="SECONDS", help="of waiting; 0: no end"
    )
    delete.add_argument("--grace-period", type=int, metavar="SECONDS")
    delete.add_argument("--cascade", choices=["background", "foreground", "orphan"])
    delete.add_argument("--ignore-not-found", action="store_true")
    delete.add_argument("--all", action="store_true", help="all objects of the kind")


def _add_objects(parser: Parser) -> None:
    parser.add_argument("objects", nargs="*", metavar="KIND [NAME…] | KIND/NAME…")
    parser.add_argument("-l", "--selector", default="", metavar="SEL", help="label selector")


def _add_questions(verbs: _Verbs, parents: list[Parser]) -> None:
    logs = verbs.add_parser("logs", parents=parents, help="print what a container wrote")
    logs.add_argument("object", metavar="POD | KIND/NAME")
    logs.add_argument("-c", "--container", default="", metavar="NAME")
    logs.add_argument("-f", "--follow", action="store_true")
    logs.add_argument("-p", "--previous", action="store_true", help="of the run before this one")
    logs.add_argument("--tail", type=int, metavar="LINES")
    logs.add_argument("--timestamps", action="store_true")
    why = verbs.add_parser(
        "why", parents=parents, help="what holds an object back, down to the cause and the mend"
    )
    why.add_argument("objects", nargs="+", metavar="KIND/NAME | KIND NAME")
    why.add_argument("-o", "--output", choices=["text", "json"], default="text")


def _add_training(verbs: _Verbs, parents: list[Parser]) -> None:
    train = verbs.add_parser("train", help="start, follow and stop training jobs")
    actions = train.add_subparsers(
        dest="action", metavar="ACTION", parser_class=Parser, required=True
    )
    _add_training_run(actions.add_parser("run", parents=parents, help="start one and follow it"))
    listed = actions.add_parser("list", parents=parents, help="those there are, newest first")
    listed.add_argument("-A", "--all-namespaces", action="store_true")
    for name, told in (
        ("logs", "what all ranks have written"),
        ("watch", "follow one to its end: logs and progress"),
        ("stop", "end its pods, keep the job"),
        ("resume", "start a stopped one anew"),
        ("delete", "delete one with its pods and logs"),
    ):
        action = actions.add_parser(name, parents=parents, help=told)
        action.add_argument("name", metavar="NAME | KIND/NAME")
        if name == "logs":
            action.add_argument("-f", "--follow", action="store_true")


def _add_training_run(run: Parser) -> None:
    run.epilog = "What stands after -- is given to the code."
    run.add_argument("target", metavar="SCRIPT.py | MODULE | MODULE:FUNCTION")
    run.add_argument("--framework", default="pytorch", metavar="NAME", help="default: pytorch")
    run.add_argument("--workers", type=int, default=2, metavar="N", help="ranks; default: 2")
    for option, metavar, told in (
        ("--package", "PACKAGE", "what pip should install, such as 'numpy>=2'"),
        ("--env", "NAME=VALUE", "an environment variable"),
        ("--resource", "NAME=AMOUNT", "what each rank needs, such as memory=2Gi"),
        ("--volume", "CLAIM=PATH", "a PersistentVolumeClaim that each rank sees"),
    ):
        each = f"{told}; may be repeated"
        run.add_argument(option, action="append", default=[], metavar=metavar, help=each)
    run.add_argument("--image", default="", help="default: python of this version")
    run.add_argument("--name", default="", help="of the job")
    run.add_argument("--restarts", type=int, default=3, metavar="N", help="of killed ranks")
    run.add_argument("--timeout", type=_factor, default=0.0, metavar="SECONDS", help="of the job")
    run.add_argument("--detach", action="store_true", help="do not follow it")


def _add_environments(verbs: _Verbs, parents: list[Parser]) -> None:
    env = verbs.add_parser("env", help="the Python environments that stand for images")
    actions = env.add_subparsers(dest="action", metavar="ACTION", required=True)
    listed = actions.add_parser("list", parents=parents, help="all there are, and the catalogue")
    listed.add_argument("-o", "--output", choices=["table", "json"], default="table")
    add = actions.add_parser("add", parents=parents, help="make one, or one of the catalogue's")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--image", action="append", default=[], metavar="PATTERN")
    add.add_argument("--requirement", action="append", default=[], metavar="PACKAGE")
    add.add_argument("--requirements-file", type=Path, metavar="FILE")
    add.add_argument(
        "--lock", type=Path, metavar="FILE", help="a pylock.toml, or requirements with hashes"
    )
    add.add_argument("--python", default="", metavar="VERSION", help="3.12, or >=3.10,<3.13")
    add.add_argument("--index-url", default="", metavar="URL")
    add.add_argument(
        "--preload", action="append", default=[], metavar="MODULE", help="imported beforehand"
    )
    build = actions.add_parser("build", parents=parents, help="build one now, and wait for it")
    build.add_argument("name", metavar="NAME|IMAGE")
    build.add_argument("--timeout", type=_factor, default=0.0, metavar="SECONDS", help="0: no end")
    remove = actions.add_parser("remove", parents=parents, help="remove environments")
    remove.add_argument("names", nargs="+", metavar="NAME")
    why = actions.add_parser("why", parents=parents, help="what stands for an image, and why")
    why.add_argument("image", metavar="IMAGE")


def _add_cluster_verbs(verbs: _Verbs, parents: list[Parser]) -> None:
    crds = verbs.add_parser("crds", help="print the definitions of Wherry's kinds, for kubectl")
    controllers = verbs.add_parser(
        "controllers", parents=parents, help="run the controllers against any Kubernetes"
    )
    for parser in (crds, controllers):
        parser.add_argument(
            "--components", type=_names, default=(), metavar="A,B", help="only these (default: all)"
        )
    controllers.add_argument(
        "--print-access",
        action="store_true",
        help="print the account and rights that they need on a cluster, and end",
    )
    _add_leader_election(controllers)
    webhooks = controllers.add_argument_group("webhooks: defaults, checks and conversion")
    webhooks.add_argument("--webhooks", action=argparse.BooleanOptionalAction, default=True)
    webhooks.add_argument("--webhook-listen", default="127.0.0.1:9443", metavar="HOST:PORT")
    webhooks.add_argument(
        "--webhook-url", default="", metavar="URL", help="how the API reaches them, if not there"
    )
    webhooks.add_argument(
        "--webhook-service", default="", metavar="NS/NAME", help="the Service that leads to them"
    )


def _add_leader_election(parser: Parser) -> None:
    group = parser.add_argument_group("leader election: of several replicas one works")
    group.add_argument("--leader-election", action=argparse.BooleanOptionalAction, default=True)
    group.add_argument("--lease-duration", type=_factor, default=15.0, metavar="SECONDS")
    group.add_argument("--renew-deadline", type=_factor, default=10.0, metavar="SECONDS")
    group.add_argument("--retry-period", type=_factor, default=2.0, metavar="SECONDS")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; want 1 to 65535")
    return int(text)


def _pids(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 4194304:
        raise argparse.ArgumentTypeError(f"{text!r}: want a number of processes, 1 to 4194304")
    return int(text)


def _factor(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r}: want a number, 0 or more")
    return number
