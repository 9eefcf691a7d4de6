"""What a Python component's command does, read from the shell layers that KFP's SDK writes, or from ours. Pure.

The layers install packages with pip, write the function's source to a file and start the executor.
Known forms need none of that: packages become an environment, and the executor is started directly.
A command in any other form is left as it is: nothing here guesses.

Source: ``sdk/python/kfp/dsl/component_factory.py`` of kubeflow/pipelines from 2.0.0 to 2.17.0, and
``sdk/python/kfp/compiler`` before it, whose components may still be loaded.
"""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

PROGRAM: Final = "wherry_step"
"""The module of Wherry's runtime that takes a source and runs the executor."""

KFP: Final = "kfp==2.17.0"
"""Upstream's SDK, which Wherry's components ask for where Wherry's runtime is not."""

_STARTER: Final = """\
import json, os, subprocess, sys, tempfile

wanted, source, *arguments = sys.argv[1:]
wanted = json.loads(wanted)
python = sys.executable
if wanted["venv"]:
    folder = tempfile.mkdtemp()
    subprocess.check_call([python, "-m", "venv", "--system-site-packages", folder])
    python = os.path.join(folder, "bin", "python")
pip = [python, "-m", "pip", "install", "--quiet", *wanted["options"]]
if wanted["packages"]:
    subprocess.check_call([*pip, *wanted["packages"]])
if wanted["kfp"]:
    subprocess.check_call([*pip, "--no-deps", wanted["kfp"]])
executor = [python, "-m", "kfp.dsl.executor_main"]
if source:
    path = os.path.join(tempfile.mkdtemp(), "component.py")
    with open(path, "w", encoding="utf-8") as file:
        file.write(source)
    os.environ["_KFP_RUNTIME"] = "true"
    executor += ["--component_module_path", path]
os.execv(python, [*executor, *arguments])
"""
"""The same as upstream's layers do, in the form that Wherry's own compiler writes."""

_ENSURE_PIP: Final = (
    'if ! [ -x "$(command -v pip)" ]; then python3 -m ensurepip || python3 -m ensurepip --user '
    "|| apt-get install python3-pip fi PIP_DISABLE_PIP_VERSION_CHECK=1 "
)
_REST: Final = ' && "$0" "$@"'
_VENV: Final = (
    'export PIP_DISABLE_PIP_VERSION_CHECK=1 tmp=$(mktemp -d) python3 -m venv "$tmp/venv" '
    '--system-site-packages . "$tmp/venv/bin/activate"'
)
_OLD_INSTALL: Final = re.compile(
    r"\(PIP_DISABLE_PIP_VERSION_CHECK=1 (?P<first>.+) \|\| "
    r"PIP_DISABLE_PIP_VERSION_CHECK=1 (?P=first) --user\)" + re.escape(_REST)
)
_PIP: Final = ["python3", "-m", "pip", "install", "--quiet", "--no-warn-script-location"]
_INDEX_OPTIONS: Final = ("--index-url", "--extra-index-url", "--trusted-host")
_WRITE_SOURCE: Final = (
    'program_path=$(mktemp -d) printf "%s" "$0" > "$program_path/ephemeral_component.py" '
)
_RUN_SOURCE: Final = '--component_module_path "$program_path/ephemeral_component.py" "$@"'
_EXECUTORS: Final = ("kfp.dsl.executor_main", "kfp.components.executor_main")
"""The second until kfp 2.0."""
_PINNED_KFP: Final = re.compile(r"kfp==[0-9][0-9a-z.]*")
_KFP: Final = re.compile(r"kfp\b|.*[/@]kubeflow/pipelines\b|.*\bsdk/python\b")
_NEEDS_SHELL: Final = frozenset("$`\\")
_TYPING_EXTENSIONS: Final = "typing-extensions>="


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A Python component.

    Attributes:
        requirements: What pip is told to install, as it stands there; not the kfp that the SDK adds.
        index_options: ``--index-url``, ``--extra-index-url``, ``--trusted-host``, each with its value.
        source: The module with the function; empty: it is in the image, or `program` is run.
        arguments: After the program or the executor, as given: ``--executor_input`` …
        own_kfp: The component brings a kfp of its own, among the requirements or in the image, and
            is started by that.
        program: What is started once the packages are there, where it is not Wherry's runtime.
    """

    requirements: tuple[str, ...] = ()
    index_options: tuple[str, ...] = ()
    source: str = ""
    arguments: tuple[str, ...] = ()
    own_kfp: bool = False
    program: tuple[str, ...] = ()

    def command(self, python: str = "python3") -> list[str]:
        """Return the command that does the same where the packages and Wherry's runtime are there.

        Everything that `recognise` was given is in it: ``args`` of the container stay empty.
        """
        started = self.program or (python, "-m", PROGRAM, "--component_source", self.source)
        return [*started, *self.arguments]


class _UnknownFormError(Exception):
    """The command is not one that the SDK writes."""


def written(
    packages: Sequence[str],
    options: Sequence[str],
    source: str,
    *,
    kfp: str = KFP,
    venv: bool = False,
) -> list[str]:
    """Return a component's command, which runs wherever there are Python and pip; `recognise` knows it.

    Args:
        packages: What pip should install.
        options: As in `Launch.index_options`.
        source: The module with the function; empty: the image has it.
        kfp: What pip should install to start it; empty, or among the packages: nothing more.
        venv: Whether that goes into a folder of its own, where the image's cannot be written to.
    """
    brings = any(_KFP.match(each) for each in packages)
    wanted = {
        "packages": [*packages],
        "options": [*options],
        "kfp": "" if brings else kfp,
        "venv": venv,
    }
    return ["python3", "-c", _STARTER, json.dumps(wanted), source]


def recognise(command: Sequence[str], args: Sequence[str]) -> Launch | None:
    """Return what a container's command does; None: it is not one of the known forms."""
    words = [*command, *args]
    return _ours(words) if words[:3] == ["python3", "-c", _STARTER] else _upstreams(words)


def _ours(words: Sequence[str]) -> Launch | None:
    try:
        wanted = json.loads(words[3])
        requirements, options = [*wanted["packages"]], tuple(wanted["options"])
        source, arguments, kfp = words[4], tuple(words[5:]), str(wanted["kfp"])
    except (IndexError, KeyError, TypeError, ValueError):
        return None
    pinned = _PINNED_KFP.fullmatch(kfp) is not None
    own = not (source and pinned)
    if kfp and not pinned:
        requirements.append(kfp)
    return Launch(
        requirements=tuple(requirements),
        index_options=options,
        source="" if own else source,
        arguments=arguments,
        own_kfp=own,
        program=tuple(written((), (), source, kfp="")) if own else (),
    )


def _upstreams(words: Sequence[str]) -> Launch | None:
    installing, rest = _split(words)
    executor, source, arguments = _second_layer(rest)
    if installing is None and not executor:
        return None
    try:
        requirements, options = _installed(installing or "", pinned_alone=executor == _EXECUTORS[1])
    except _UnknownFormError:
        return None
    own = any(_KFP.match(each) for each in requirements) or (bool(executor) and source is None)
    direct = source is not None and not own
    return Launch(
        requirements=tuple(requirements),
        index_options=tuple(options),
        source=(source or "") if direct else "",
        arguments=arguments if direct else (),
        own_kfp=own,
        # What the image or the requirements bring is started as the SDK meant it.
        program=() if direct else tuple(rest),
    )


def _split(words: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """Return what the first layer installs, as a script (None: there is no such layer), and the rest."""
    if tuple(words[:2]) != ("sh", "-c") or len(words) < 4:
        return None, words
    text = _one_line(words[2])
    if text.startswith(_ENSURE_PIP) and text.endswith(_REST):
        return text.removeprefix(_ENSURE_PIP).removesuffix(_REST), words[3:]
    old = _OLD_INSTALL.fullmatch(text)
    return (None, words) if old is None else (old["first"], words[3:])


def _second_layer(words: Sequence[str]) -> tuple[str, str | None, tuple[str, ...]]:
    """Return the executor's module (empty: it is not started), the source and the arguments."""
    if tuple(words[:2]) == ("python3", "-m") and words[2:3] and words[2] in _EXECUTORS:
        return words[2], None, tuple(words[3:])
    if tuple(words[:2]) == ("sh", "-ec") and len(words) > 3:
        return _started(words[2]), words[3], tuple(words[4:])
    return "", None, ()


def _started(script: str) -> str:
    """Return the executor that a script starts once it has written the source; empty: it does not."""
    text = _one_line(script)
    if not (text.startswith(_WRITE_SOURCE) and text.endswith(_RUN_SOURCE)):
        return ""
    between = text.removeprefix(_WRITE_SOURCE).removesuffix(_RUN_SOURCE).strip()
    started = between.removeprefix("_KFP_RUNTIME=true ")
    return next((each for each in _EXECUTORS if started == f"python3 -m {each}"), "")


def _one_line(script: str) -> str:
    """Return a script with each run of white space as one space; quoted ones hold none."""
    return " ".join(script.replace("\\\n", " ").split())


def _installed(script: str, *, pinned_alone: bool) -> tuple[list[str], list[str]]:
    """Return the requirements and index options of a script.

    Args:
        script: Commands of pip.
        pinned_alone: The SDK is of the time when it added its version as the last requirement.
    """
    requirements: list[str] = []
    options: list[str] = []
    text = script.replace(_VENV, "", 1)
    if _NEEDS_SHELL & set(text):
        raise _UnknownFormError
    for statement in _statements(text):
        if statement[: len(_PIP)] != _PIP:
            raise _UnknownFormError
        index, packages = _index_options(statement[len(_PIP) :])
        requirements += [
            each
            for each in _without_kfp(packages, pinned_alone=pinned_alone)
            if each not in requirements
        ]
        options = options or index
    if any(each.startswith("-") for each in requirements):
        raise _UnknownFormError
    return requirements, options


def _statements(text: str) -> list[list[str]]:
    """Return the words of the commands that ``&&`` joins."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    found: list[list[str]] = [[]]
    try:
        for word in lexer:
            if word == "&&":
                found.append([])
            elif set(word) <= set("();<>|&"):
                raise _UnknownFormError
            else:
                found[-1].append(word)
    except ValueError as error:  # a quotation without an end
        raise _UnknownFormError from error
    return [statement for statement in found if statement]


def _index_options(words: Sequence[str]) -> tuple[list[str], list[str]]:
    at = 0
    while at + 1 < len(words) and words[at] in _INDEX_OPTIONS:
        at += 2
    return list(words[:at]), list(words[at:])


def _without_kfp(packages: list[str], *, pinned_alone: bool) -> list[str]:
    """Leave out what the SDK adds: its own version, and what is to be installed with that."""
    kept = list(packages)
    for at, each in enumerate(packages):
        added = packages[at + 1 : at + 2] == ["--no-deps"]
        if _PINNED_KFP.fullmatch(each) and (added or (pinned_alone and at == len(packages) - 1)):
            rest = packages[at + 1 :]
            kept = packages[:at] + [one for one in rest if not one.startswith(_TYPING_EXTENSIONS)]
    return [each for each in kept if each != "--no-deps"]
