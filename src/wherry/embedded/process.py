"""Runs one platform until it is told to stop: what `python -m wherry.embedded` does when it has been imported."""

import argparse
import asyncio
import contextlib
import ctypes
import gc
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from wherry.apiserver.certificates import CertificateError
from wherry.controller import surroundings
from wherry.embedded.platform import Platform, StartError
from wherry.embedded.settings import Settings, default_directory
from wherry.kubelet.launcher.types import LauncherError
from wherry.objects.errors import ApiError
from wherry.store import StoreError

_EXPECTED = (StartError, StoreError, CertificateError, ApiError, LauncherError, OSError)
"""Failures whose message says what to do; anything else is a bug, and shows its traceback."""
_COLLECTED_AFTER = 7_000
"""New containers until the youngest are looked through, ten times as many as by default: all that API and
controllers make lives or goes by itself, and a fifth of the CPU time of 300 pods went into looking."""

_ARENA_MAX = -8
"""Of ``mallopt``; see ``malloc.h``."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the platform; return the exit code."""
    _share_arena()
    options = parser().parse_args(arguments)
    level = logging.DEBUG if options.verbose else logging.INFO
    logging.basicConfig(
        level=level, format="%(asctime)s %(levelname).1s %(name)s: %(message)s", stream=sys.stderr
    )
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    report = _Report(options.ready_fd)
    settings = Settings(
        directory=options.directory.absolute(),
        host=options.host,
        port=options.port,
        isolate=options.isolation,
        warm_start=options.warm_start,
        cpu_overcommit=options.cpu_overcommit,
        pod_pids_limit=options.pod_pids_limit,
        memory_rlimit=options.memory_rlimit,
        node_name=options.node_name,
        insecure_registries=tuple(options.insecure_registry),
        image_runtime=options.image_runtime,
        image_engine=options.image_engine,
        components=options.components,
        options=surroundings.options_of(os.environ),
        audit_log=options.audit_log and options.audit_log.absolute(),
        audit_policy=options.audit_policy and options.audit_policy.absolute(),
    )
    try:
        return _run(settings, report)
    except _EXPECTED as error:
        report.failed(str(error))
        logging.getLogger("wherry.embedded").error("%s", error)
        return 1
    except BaseException as error:
        report.failed(f"{type(error).__name__}: {error}")
        raise


def main_and_exit(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the platform, then end the process at once with the exit code."""
    code = main(arguments)
    logging.shutdown()
    sys.stdout.flush()
    # Everything is stopped and on disk. Closing the event loop would wait for every peer that has
    # not answered the end of its TLS connection yet.
    os._exit(code)


def _run(settings: Settings, report: "_Report") -> int:
    try:
        import uvloop  # noqa: PLC0415 - not to be had everywhere

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:
        runner = asyncio.Runner()
    return runner.run(_serve(settings, report))


async def _serve(settings: Settings, report: "_Report") -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with Platform(settings) as platform:
        report.ready(platform.url)
        gc.freeze()
        gc.set_threshold(_COLLECTED_AFTER)
        gc.enable()
        _return_memory()
        ends = [asyncio.ensure_future(event.wait()) for event in (stopping, platform.failed)]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
        return 1 if platform.failed.is_set() else 0


def _share_arena() -> None:
    """Have all threads allocate from one place.

    Each has its own otherwise, which grows with the most that it ever does, and is not given back: some
    5 MiB by the time that a thousand pipelines have run.
    """
    with contextlib.suppress(AttributeError):  # glibc alone has it
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def _return_memory() -> None:
    """Give back what only the start needed, 2 MB, which the C library would keep."""
    with contextlib.suppress(AttributeError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)


class _Report:
    """Tells whoever started the process how that went, in one line of JSON on a pipe."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._started = time.monotonic()

    def ready(self, url: str) -> None:
        seconds = round(time.monotonic() - self._started, 3)
        self._write({"url": url, "pid": os.getpid(), "seconds": seconds})

    def failed(self, why: str) -> None:
        self._write({"error": why})

    def _write(self, said: dict[str, object]) -> None:
        if self._descriptor is None:
            return
        with contextlib.suppress(OSError):  # nobody listens any more
            os.write(self._descriptor, json.dumps(said).encode() + b"\n")
            os.close(self._descriptor)
        self._descriptor = None


def _components(text: str) -> tuple[str, ...]:
    return () if text == "none" else tuple(filter(None, text.split(",")))


def parser() -> argparse.ArgumentParser:
    """Return what the platform can be told; `wherry up` passes on what it was told itself."""
    made = argparse.ArgumentParser(prog="python -m wherry.embedded", description=__doc__)
    made.add_argument("--directory", type=Path, default=default_directory())
    made.add_argument("--host", default="127.0.0.1")
    made.add_argument("--port", type=int, default=None)
    made.add_argument("--node-name", default="")
    made.add_argument("--cpu-overcommit", type=float, default=16.0)
    made.add_argument("--pod-pids-limit", type=int, default=None)
    made.add_argument("--memory-rlimit", action="store_true")
    made.add_argument("--isolation", action=argparse.BooleanOptionalAction, default=True)
    made.add_argument("--warm-start", action=argparse.BooleanOptionalAction, default=True)
    made.add_argument("--insecure-registry", action="append", default=[])
    made.add_argument("--image-runtime", choices=["oci", "environment"], default="")
    made.add_argument("--image-engine", choices=["runc", "crun", "docker", "podman"], default="")
    made.add_argument("--components", type=_components, default=None)
    made.add_argument("--ready-fd", type=int, default=None)
    made.add_argument("--audit-log", type=Path, default=None)
    made.add_argument("--audit-policy", type=Path, default=None)
    made.add_argument("--verbose", action="store_true")
    return made
