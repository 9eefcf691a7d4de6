"""An uploaded file into a pipeline. Pure, and slow for large files: to be called in a thread."""

from collections.abc import Mapping
from typing import Final

from wherry.objects import errors
from wherry.objects.errors import Cause
from wherry.pipelines.definitions import admission, archives, packages
from wherry.pipelines.ir.documents import Documents, PipelineError

_FIRST: Final = "pipeline.yaml"
_MOST_SHOWN: Final = 5


def read(filename: str, data: bytes) -> Documents:
    """Read an uploaded file.

    Args:
        filename: As its sender calls it.
        data: YAML or JSON where the name ends so; else a zip, or a tar packed with gzip, that has it as
            ``pipeline.yaml`` or as its only file of that kind.

    Raises:
        BadRequestError: there is no pipeline in it, or one that is not right.
        RequestEntityTooLargeError: it is too large.
    """
    try:
        found = packages.read(_text(filename, data))
    except PipelineError as error:
        raise _wrong(error.causes) from error
    causes = [*admission.compiled({"pipelineSpec": found.spec, "platformSpec": found.platform}, "")]
    if causes:
        raise _wrong(causes)
    return found


def _text(filename: str, data: bytes) -> str:
    name, content = filename, data
    if not filename.lower().endswith(archives.SUFFIXES):
        files = archives.unpacked(data)
        if files is None:
            raise errors.BadRequestError(
                f"{filename[:100]!r} is no pipeline; want .yaml, .yml, .json, .zip or .tar.gz"
            )
        name = _chosen(files)
        content = files[name]
    if len(content) > archives.MOST_FILE:
        raise errors.RequestEntityTooLargeError(
            f"{name[:100]!r} has {len(content)} bytes; at most {archives.MOST_FILE}: put code into "
            "packages or images"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise errors.BadRequestError(
            f"{name[:100]!r} is no text in UTF-8: {error.reason}"
        ) from error


def _chosen(files: Mapping[str, bytes]) -> str:
    if _FIRST in files:
        return _FIRST
    if len(files) == 1:
        return next(iter(files))
    told = ", ".join(repr(name[:100]) for name in sorted(files)[:_MOST_SHOWN]) or "none"
    raise errors.BadRequestError(
        f"the archive must have {_FIRST}, or one file of YAML or JSON; it has {told}"
    )


def _wrong(causes: list[Cause]) -> errors.BadRequestError:
    told = "; ".join(
        f"{cause.field.lstrip('.')}: {cause.message}" if cause.field else cause.message
        for cause in causes
    )
    return errors.BadRequestError(f"the pipeline is not right: {told}")
