"""What a training pod runs: unpack the code, call it, tell result or error by lines of its log.

This file travels into pods that know nothing of Wherry: standard library only, Python 3.9 or later,
and no import from the rest of the package. Why lines of the log: they need no rights in the cluster,
are there on every cluster, and stay as long as the pod does.

A line is `MARK` and a JSON object with one of these keys, and ``at``, Unix seconds; where one pod tells
what several ranks do, as with MPI, ``rank`` as well:

- ``report``: the values that the code gave to `report`;
- ``result``: ``{"id", "part", "parts", "form", "data"}``, the value of the function in pieces:
  Base64 of JSON or of a pickle, as ``form`` says;
- ``error``: ``{"type", "message", "traceback"}``, of what the code raised.
"""

import atexit
import base64
import contextlib
import json
import math
import os
import pickle
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import types
import zipfile
from importlib import import_module, metadata, util
from pathlib import Path
from typing import Any

MARK = "@wherry "
MOST_RESULT_BYTES = 1024 * 1024
_MOST_ERROR_CHARACTERS = 60000
_PART = 3000
"""Characters of a piece: whole lines below 4096 bytes are never torn apart by other processes."""
_LOCK = threading.Lock()
_STATUS_SECONDS = 5.0
"""How long writing a TrainJob's status rests in between."""
_ANSWER_SECONDS = 20.0
"""How long writing it may take, and how long the end of the program waits for the last time."""
_MOST_METRICS, _LONGEST_METRIC = 256, 64
_MOST_SECONDS = 2**31 - 1
"""Longer is not taken for a number there."""
_RANKS = ("RANK", "LOCAL_RANK", "JOB_COMPLETION_INDEX")


def report(**values: Any) -> None:
    """Tell how the training is going; the values are shown, and kept in the log.

    With ``step`` and ``steps`` (or ``epoch`` and ``epochs``), whoever follows sees how far it is.
    Within a TrainJob, what the first rank tells is also written into the job's status.

    Args:
        **values: Numbers, texts and truth values by name, such as ``step=3, loss=0.25``; scalars of
            numpy and of frameworks are taken too.

    Raises:
        TypeError: a value is none of these.
    """
    plain = {name: _plain(name, value) for name, value in values.items()}
    _say("report", plain)
    if _STATUS.is_wanted():
        _STATUS.tell(plain)


class _Status:
    """Writes what is reported into the status of the TrainJob that this pod is of, now and then.

    The training does not wait for it, and does not fail where nobody answers.
    """

    def __init__(self) -> None:
        self._latest: Any = None
        self._news = threading.Event()
        self._over = threading.Event()
        self._thread: Any = None
        self._began: Any = None
        self._complained = False

    @staticmethod
    def is_wanted() -> bool:
        """Return whether there is such a job, and this is its first rank."""
        rank = _mpi_rank()
        ranks = [os.environ.get(name, "0") for name in _RANKS] if rank is None else [str(rank)]
        return "KUBEFLOW_TRAINER_SERVER_URL" in os.environ and set(ranks) == {"0"}

    def tell(self, values: "dict[str, Any]") -> None:
        """Have the values written soon, unless later ones take their place."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
            atexit.register(self._end)
        told = {**self._progress(values), "metrics": _metrics(values)}
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with _LOCK:
            self._latest = {**told, "lastUpdatedTime": when}
        self._news.set()

    def _progress(self, values: "dict[str, Any]") -> "dict[str, int]":
        for counter, total in (("step", "steps"), ("epoch", "epochs")):
            done, end = values.get(counter), values.get(total)
            if isinstance(done, (int, float)) and isinstance(end, (int, float)) and end > 0:
                break
        else:
            return {}
        done, now = min(max(done, 0), end), time.monotonic()
        if self._began is None:
            self._began = done, now
        progress = {"progressPercentage": int(100 * done / end)}
        first, since = self._began
        if done > first:
            left = (now - since) / (done - first) * (end - done)
            progress["estimatedRemainingSeconds"] = round(min(left, _MOST_SECONDS))
        return progress

    def _run(self) -> None:
        over = False
        while not over:
            self._news.wait()
            self._news.clear()
            over = self._over.is_set()
            with _LOCK:
                latest, self._latest = self._latest, None
            if latest is not None:
                self._complain(_send(latest))
            self._over.wait(_STATUS_SECONDS)

    def _complain(self, problem: str) -> None:
        # Once: it is asked every few seconds.
        if problem and not self._complained:
            self._complained = True
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(f"the status of the TrainJob is not written: {problem}\n")

    def _end(self) -> None:
        self._over.set()
        self._news.set()
        self._thread.join(_ANSWER_SECONDS)


_STATUS = _Status()


def _metrics(values: "dict[str, Any]") -> "list[dict[str, str]]":
    told = {name[:_LONGEST_METRIC]: str(value)[:_LONGEST_METRIC] for name, value in values.items()}
    return [{"name": name, "value": told[name]} for name in told if told[name]][:_MOST_METRICS]


def _send(status: "dict[str, Any]") -> str:
    """Send it; return what went wrong."""
    # Only who is in a TrainJob pays for these.
    request: Any = import_module("urllib.request")
    ssl: Any = import_module("ssl")
    try:
        token = (
            Path(os.environ["KUBEFLOW_TRAINER_SERVER_TOKEN"]).read_text(encoding="utf-8").strip()
        )
        asked = request.Request(
            os.environ["KUBEFLOW_TRAINER_SERVER_URL"],
            data=json.dumps({"trainerStatus": status}).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        trusted = ssl.create_default_context(cafile=os.environ["KUBEFLOW_TRAINER_SERVER_CA_CERT"])
        opener = request.build_opener(
            request.ProxyHandler({}), request.HTTPSHandler(context=trusted)
        )
        opener.open(asked, timeout=_ANSWER_SECONDS).close()
    except (OSError, KeyError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _plain(name: str, value: Any) -> Any:
    item = getattr(value, "item", None)
    if callable(item) and not isinstance(value, (int, float, str)):
        value = item()
    if not isinstance(value, (bool, int, float, str, type(None))):
        raise TypeError(f"report: {name} is a {type(value).__name__}; want a number or a text")
    # JSON has no words for these, and a loss of nan is just what one wants to see.
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _say(key: str, content: Any) -> None:
    told = {key: content, "at": round(time.time(), 3)}
    rank = _mpi_rank()
    line = MARK + json.dumps(told if rank is None else {**told, "rank": rank}) + "\n"
    with _LOCK:
        sys.stdout.flush()
        left = line.encode()
        while left:
            left = left[os.write(1, left) :]


def _tell_error(error: BaseException) -> None:
    # The frames of this file say nothing to whoever wrote the code.
    inner = error.__traceback__
    while inner is not None and inner.tb_frame.f_code.co_filename in (__file__, runpy.__file__):
        inner = inner.tb_next
    text = "".join(traceback.format_exception(type(error), error, inner or error.__traceback__))
    sys.stderr.write(text)
    sys.stderr.flush()
    parts = {
        "type": type(error).__name__,
        "message": str(error)[:_PART],
        "traceback": text[-_MOST_ERROR_CHARACTERS:],
    }
    _say("error", parts)


def _tell_result(value: Any) -> None:
    form, data = _encoded(value)
    if len(data) > MOST_RESULT_BYTES:
        raise ValueError(
            f"the result has {len(data)} bytes and at most {MOST_RESULT_BYTES} travel back: write it "
            "to a volume or an object store, and return where it is"
        )
    text = base64.b64encode(data).decode()
    pieces = [text[at : at + _PART] for at in range(0, len(text), _PART)] or [""]
    name = os.urandom(6).hex()
    for number, piece in enumerate(pieces):
        place = {"id": name, "part": number, "parts": len(pieces), "form": form}
        _say("result", {**place, "data": piece})


def _encoded(value: Any) -> Any:
    try:
        text = json.dumps(value, allow_nan=False)
        if _same(json.loads(text), value):
            return "json", text.encode()
    except (TypeError, ValueError, RecursionError):
        pass
    try:
        # By value where it can be: the one who reads it has not imported this code.
        pickler: Any = import_module("cloudpickle")
    except ImportError:
        pickler = pickle
    return "pickle", pickler.dumps(value, protocol=4)


def _same(read: Any, value: Any) -> bool:
    """Return whether JSON keeps a value as it is: no tuples, no keys that are not texts."""
    if type(read) is not type(value):
        return False
    if isinstance(value, dict):
        return read.keys() == value.keys() and all(_same(read[key], value[key]) for key in value)
    if isinstance(value, list):
        return len(read) == len(value) and all(map(_same, read, value))
    return bool(read == value)


def _install(requirements: list[str]) -> None:
    """Install what the image lacks; one that was made for the requirements lacks nothing."""
    missing = [line for line in requirements if not _is_there(line)]
    if not missing:
        return
    folder = _own_folder("packages")
    sys.stderr.write(f"installing {', '.join(missing)}\n")
    sys.stderr.flush()
    command = [sys.executable, *_pip(), "install", "--quiet", "--no-input", "--target", folder]
    command += ["--disable-pip-version-check", "--", *missing]
    subprocess.run(command, check=True)  # noqa: S603 - what the job's own user asks for; no shell
    sys.path.insert(0, folder)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = folder + (os.pathsep + before if before else "")


def _own_folder(purpose: str) -> str:
    """Make a folder that is there for as long as this process is: pods may share the machine's."""
    folder = tempfile.mkdtemp(prefix=f"wherry-{purpose}-")
    # Not before the last traceback has been written, which reads the source.
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # not in children that were forked
        shutil.rmtree(folder, ignore_errors=True)


def _is_there(requirement: str) -> bool:
    name = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement)
    try:
        version = metadata.version(name.group() if name else requirement)
    except metadata.PackageNotFoundError:
        return False
    try:
        known: Any = import_module("pip._vendor.packaging.requirements")
    except ImportError:
        return True  # whoever made an image without pip has seen to it
    wanted = known.Requirement(requirement)
    return bool(wanted.specifier.contains(version, prereleases=True))


def _pip() -> list[str]:
    if util.find_spec("pip") is not None:
        return ["-m", "pip"]
    # Environments are made without pip; Python brings one along for making others with.
    bundled = Path(import_module("ensurepip").__file__ or "").parent / "_bundled"
    wheels = sorted(bundled.glob("pip-*.whl"))
    if not wheels:
        raise RuntimeError("packages are missing and there is no pip: choose an image that has one")
    return [str(wheels[-1] / "pip")]


def _offer_report() -> None:
    """Let the code import `wherry` also where it is not installed."""
    if util.find_spec("wherry") is None:
        module = types.ModuleType("wherry", "Wherry within a job: see `report`.")
        module.report = report  # type: ignore[attr-defined] # a module made here has what it is given
        sys.modules["wherry"] = module


def _parameters(types: dict[str, str], words: list[str]) -> dict[str, Any]:
    """Return the parameters that a command line gives a function: ``name=value`` each.

    One without a value is not there this time: it depends on another.
    """
    readers: dict[str, Any] = {"float": float, "int": int, "json": json.loads, "text": str}
    pairs = (word.split("=", 1) for word in words)
    return {name: readers[types[name]](value) for name, value in pairs if value}


def _tell_metrics(objective: str, value: Any) -> None:
    """Report what a function has returned: the value of the objective, or several by name."""
    if value is None:
        return  # it has reported all there is to be known
    values = value if isinstance(value, dict) else {objective: value}
    report(**{str(name): each for name, each in values.items()})


def _call(folder: Path, call: dict[str, Any], words: list[str]) -> Any:
    """Run what was asked for, and return what it returns; scripts and modules return nothing."""
    if call["kind"] in ("script", "module"):
        run = runpy.run_path if call["kind"] == "script" else runpy.run_module
        name = str(Path(sys.path[0]) / call["name"]) if call["kind"] == "script" else call["name"]
        sys.argv = [name, *call["arguments"], *words]
        if call["kind"] == "script":
            run(name, run_name="__main__")
        else:
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        return None
    function, arguments, named = pickle.loads((folder / "call.pickle").read_bytes())  # noqa: S301 - our own sender's
    if call["kind"] == "named":
        module, _, path = call["name"].partition(":")
        function = import_module(module)
        for part in path.split("."):
            function = getattr(function, part)
    return function(*arguments, **named, **_parameters(call.get("parameters", {}), words))


def _mpi_rank() -> int | None:
    """Return the rank that MPI's launcher has given to this process; None without one."""
    ranks = (os.environ.get(name, "") for name in ("OMPI_COMM_WORLD_RANK", "PMI_RANK"))
    return next((int(each) for each in ranks if each.isdecimal()), None)


def _is_first() -> bool:
    """Return whether this process is the one whose result counts."""
    rank = _mpi_rank()
    if rank is not None:
        return rank == 0
    own = os.environ.get("WHERRY_POD") == os.environ.get("WHERRY_FIRST_POD")
    return own and os.environ.get("LOCAL_RANK", "0") == "0"


def _failed(code: int) -> int:
    """Return an exit code; end all ranks where they talk by MPI: they would wait for this one for ever."""
    mpi: Any = sys.modules.get("mpi4py.MPI")
    if mpi is not None and mpi.Is_initialized() and not mpi.Is_finalized():
        mpi.COMM_WORLD.Abort(code)
    return code


def main(folder: Path, *words: str) -> int:
    """Run the job that is described in a folder; return the exit code.

    Args:
        folder: Where it is.
        *words: Further words for its command line; for a function, its parameters.
    """
    call = json.loads((folder / "call.json").read_text(encoding="utf-8"))
    try:
        _install(call["requirements"])
        code = _own_folder("code")
        with zipfile.ZipFile(folder / "code.zip") as archive:
            archive.extractall(code)
        sys.path[0] = code
        _offer_report()
        value = _call(folder, call, list(words))
        if call.get("objective"):
            _tell_metrics(call["objective"], value)
        elif _is_first():
            _tell_result(value)
    except SystemExit as end:
        if end.code in (None, 0):
            return 0
        _tell_error(end)
        return _failed(end.code if isinstance(end.code, int) else 1)
    except BaseException as error:  # noqa: BLE001 - whatever it is, its user is told
        _tell_error(error)
        return _failed(1)
    return 0


if __name__ == "__main__":
    # Not to stand in tracebacks of pickles as `__main__`, which is the user's.
    sys.exit(main(Path(__file__).parent, *sys.argv[1:]))
