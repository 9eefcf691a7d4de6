"""Which containers may start warm, and what a warmed process needs to be alike. Pure."""

import pathlib
import re
from collections.abc import Mapping, Sequence

from wherry.kubelet.launcher import command, types

ANNOTATION = "wherry.dev/warm-start"
"""``"false"`` on a pod makes all its containers start cold."""
PRELOAD = "wherry.dev/preload"
"""On a pod: modules that its Python programs import anyway, with commas between them."""

OFFERED = frozenset({
    "argparse", "ast", "base64", "collections", "contextlib", "copy", "csv", "dataclasses", "datetime", "decimal",
    "enum", "functools", "hashlib", "importlib.util", "inspect", "itertools", "json", "logging", "math", "pathlib",
    "pickle", "re", "runpy", "shutil", "statistics", "string", "tempfile", "textwrap", "traceback", "types", "typing",
    "urllib.parse", "uuid", "warnings", "zipfile",
})  # fmt: skip
"""What a pod may ask for. Imports are done with the launcher's rights: nothing that a pod brings, or that acts."""

VERSIONS = frozenset({(3, 11), (3, 12), (3, 13)})
"""Of interpreters whose start is known in every detail that matters here."""

_NAME = re.compile(r"python(3(\.\d+)?)?")

_AT_START = (
    "LANG", "LC_", "LOCPATH", "TZ", "LD_", "MALLOC_", "GLIBC_", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "GOTO_",
    "BLIS_", "VECLIB_", "NUMEXPR_", "NPY_", "TBB_", "CUDA_", "HIP_", "TF_", "XLA_", "PYTORCH_", "ATEN_",
    "DNNL_", "ONEDNN_", "ARROW_", "OPENSSL_", "ASAN_", "SETUPTOOLS_", "COVERAGE_",
)  # fmt: skip
"""Variables that C code reads while a library is loaded, where nobody can watch it."""

_LATER = frozenset({"CUDA_VISIBLE_DEVICES", "TF_CONFIG", "PYTHONPATH", "PYTHONBREAKPOINT"})
"""Variables that count when the program runs; `PYTHONPATH` is the child's business."""

_PYTHON = frozenset({
    "PYTHONUNBUFFERED", "PYTHONHASHSEED", "PYTHONWARNINGS", "PYTHONDONTWRITEBYTECODE", "PYTHONIOENCODING", "PYTHONUTF8",
    "PYTHONOPTIMIZE", "PYTHONNOUSERSITE", "PYTHONFAULTHANDLER", "PYTHONSTARTUP", "PYTHONDEVMODE", "PYTHONCOERCECLOCALE",
    "PYTHONASYNCIODEBUG", "PYTHONSAFEPATH", "PYTHONUSERBASE", "PYTHONINTMAXSTRDIGITS", "PYTHONNODEBUGRANGES",
    "PYTHONMALLOC",
})  # fmt: skip
"""Variables of the interpreter that a warmed process can simply be started with."""

_COLD = frozenset({"LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "OPENBLAS_MAIN_FREE"})
"""They name files that only the pod may have, or change what a fork does."""


def supports(version: str) -> bool:
    """Whether an interpreter of this version can be warmed, as in ``3.11.7``."""
    return tuple(int(number) for number in version.split(".")[:2]) in VERSIONS


def asked(annotations: Mapping[str, str]) -> tuple[str, ...]:
    """Return the modules that a pod wants imported beforehand, of those that are offered, in one order for all."""
    named = {name.strip() for name in annotations.get(PRELOAD, "").split(",")}
    return tuple(sorted(named & OFFERED))


def choose(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    image: Mapping[str, str],
    programs: pathlib.Path,
    preload: Sequence[str],
) -> types.WarmStart | None:
    """Tell how a container could start warm.

    Args:
        argv: Its command line.
        environment: All its variables.
        image: Those that its image brings.
        programs: Folder of the image's programs.
        preload: Modules of its environment that are imported beforehand.

    Returns:
        What the launcher needs, or None if it has to start cold.
    """
    program = _program(argv[0], environment, programs)
    found = command.parse(argv[1:])
    if (
        program is None
        or found is None
        or not _known(environment)
        or _names_files(environment, image)
    ):
        return None
    alike = {
        name: value
        for name, value in environment.items()
        if name not in _LATER and (name in image or name in _PYTHON or name.startswith(_AT_START))
    }
    return types.WarmStart(
        program=program,
        flags=found.flags,
        kind=found.kind,
        target=found.target,
        arguments=found.arguments,
        environment=alike,
        preload=tuple(preload),
    )


def _program(name: str, environment: Mapping[str, str], programs: pathlib.Path) -> str | None:
    """Return the interpreter's full path if the image's own one would run."""
    first = environment.get("PATH", "").split(":")[0]
    folder, _, base = name.rpartition("/")
    if (folder or first) != str(programs) or not _NAME.fullmatch(base):
        return None
    return str(programs / base)


def _known(environment: Mapping[str, str]) -> bool:
    return not any(
        name in _COLD or (name.startswith("PYTHON") and name not in _PYTHON | _LATER)
        for name in environment
    )


def _names_files(environment: Mapping[str, str], image: Mapping[str, str]) -> bool:
    """Whether C code would load a file of the pod's choice: such files are the pod's, and the warmed process is not."""
    return any(
        "/" in (value if name != "TZ" else value.lstrip(":")[:1])
        for name, value in environment.items()
        if name.startswith(_AT_START) and name not in _LATER and image.get(name) != value
    )
