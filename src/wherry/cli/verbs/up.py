"""`wherry up`: start a platform, and say how to use it."""

import importlib
import os
import sys
import threading
from argparse import Namespace
from pathlib import Path

import wherry
from wherry.cli import failures, reaching, starting
from wherry.cli.home import Home, Running

_WITH_VALUE = (
    "port",
    "cpu_overcommit",
    "pod_pids_limit",
    "image_runtime",
    "image_engine",
    "audit_log",
    "audit_policy",
)
_SWITCHES = ("no_isolation", "no_warm_start", "memory_rlimit", "verbose")


def run(options: Namespace) -> int:
    """Start Wherry unless it runs already."""
    home = Home.of(options.directory)
    if options.foreground:
        return _foreground(home, options)
    with starting.alone(home):
        running = home.running()
        if running is not None:
            return _already(home, running)
        started = starting.start(home, platform_arguments(options))
    print(
        f"Wherry {wherry.__version__} is running at {started.url} "
        f"(pid {started.pid}, ready after {started.seconds:.1f} s)"
    )
    print(_next_steps(home))
    return failures.SUCCESS


def _already(home: Home, running: Running) -> int:
    if running.url and reaching.answers(running.url):
        print(f"Wherry is already running at {running.url} (pid {running.pid})")
        print(_next_steps(home))
        return failures.SUCCESS
    raise failures.CommandError(
        f"Wherry runs (pid {running.pid}) and does not answer; `wherry down --keep-pods` stops it. "
        f"Its log: {home.log}"
    )


def platform_arguments(options: Namespace) -> list[str]:
    """Return the arguments of `python -m wherry.embedded` that say what was asked of `wherry up`."""
    arguments = []
    for name in _WITH_VALUE:
        value = getattr(options, name)
        if value not in {None, ""}:
            # The platform has a working directory of its own.
            word = value.absolute() if isinstance(value, Path) else value
            arguments += [_option(name), str(word)]
    for name in _SWITCHES:
        if getattr(options, name):
            arguments.append(_option(name))
    for registry in options.insecure_registry:
        arguments += ["--insecure-registry", registry]
    if options.components:
        arguments += ["--components", ",".join(options.components)]
    return arguments


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _next_steps(home: Home) -> str:
    own = Home.of(None) == home
    place = "" if own else f" --directory {home.directory}"
    return f"""
  export KUBECONFIG={home.kubeconfig}   # for kubectl in this shell
  wherry kubeconfig --merge{place}      # or for good: adds the context `wherry`
  wherry status{place}                  # what runs; `wherry down{place}` stops it"""


def _foreground(home: Home, options: Namespace) -> int:
    running = home.running()
    if running is not None:
        raise failures.CommandError(f"Wherry is already running (pid {running.pid})")
    # By name: only this command needs the platform, and it is large.
    platform = importlib.import_module("wherry.embedded.__main__")
    reader, writer = os.pipe()
    threading.Thread(target=_tell_when_ready, args=(home, reader), daemon=True).start()
    arguments = ["--directory", str(home.directory), "--ready-fd", str(writer)]
    never: int = platform.main_and_exit(arguments + platform_arguments(options))
    return never


def _tell_when_ready(home: Home, reader: int) -> None:
    with os.fdopen(reader) as said:
        if '"url"' in said.readline():
            print(f"{_next_steps(home)}\n  Ctrl-C stops Wherry; its pods go on\n", file=sys.stderr)
