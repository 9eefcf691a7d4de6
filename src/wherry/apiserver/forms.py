"""The forms in which an answer can leave: JSON as it is stored, a Table, or metadata alone.

JSON costs nothing: stored bytes are joined. The other forms need the object parsed; what a watch
sends in them is made once and shared by all watchers of the same form.
"""

import datetime
import functools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from wherry.apiserver import table as tables
from wherry.apiserver.answers import Event, Many, One
from wherry.apiserver.resources import Served
from wherry.objects import errors

JSON_TYPE: Final = "application/json"
_ACCEPTED: Final = (
    "application/json, application/vnd.kubernetes.protobuf (answered in JSON), and as=Table or "
    "as=PartialObjectMetadata of g=meta.k8s.io"
)
_META_GROUP: Final = "meta.k8s.io"
_LINE = b'{"type":"%s","object":%s}\n'
_REMEMBERED_LINES = 512


@dataclass(frozen=True, slots=True)
class Form:
    """One acceptable form.

    Attributes:
        kind: ``""`` for plain JSON, ``Table``, ``PartialObjectMetadata`` (of lists: ``…List``).
        version: Of `meta.k8s.io`.
    """

    kind: str = ""
    version: str = ""


PLAIN: Final = Form()


@functools.lru_cache(maxsize=512)
def negotiate(accept: str) -> tuple[Form, ...]:
    """Return the forms that an ``Accept`` header takes, in its order.

    Raises:
        NotAcceptableError: None of them can be produced.
    """
    forms = [form for part in accept.split(",") if (form := _form(part)) is not None]
    if not forms:
        raise errors.NotAcceptableError(f"only the following media types are accepted: {_ACCEPTED}")
    return tuple(forms)


def _form(part: str) -> Form | None:
    media_type, *parameters = (piece.strip() for piece in part.split(";"))
    given = dict(parameter.partition("=")[::2] for parameter in parameters)
    if media_type in {"", "*/*", "application/*"}:
        return PLAIN
    if media_type not in {JSON_TYPE, "application/vnd.kubernetes.protobuf"}:
        return None
    kind, version = given.get("as", ""), given.get("v", "")
    if not kind:
        return PLAIN
    if given.get("g") != _META_GROUP or version not in {"v1", "v1beta1"}:
        return None
    if kind not in {"Table", "PartialObjectMetadata", "PartialObjectMetadataList"}:
        return None
    return Form(kind, version)


def choose(accepted: tuple[Form, ...], *, served: bool, as_table: bool = True) -> Form:
    """Return the first form that an answer can take.

    Args:
        accepted: As `negotiate` gave them.
        served: Whether the answer is objects of a served resource; `Status`, `Scale` and reviews
            have one form only.
        as_table: Whether it can be a Table; a list that comes as a watch cannot.

    Raises:
        NotAcceptableError: None of them fits.
    """
    for form in accepted:
        if (served or not form.kind) and (as_table or form.kind != "Table"):
            return form
    raise errors.NotAcceptableError("only the following media types are accepted: application/json")


class Renderer:
    """Turns answers into bytes."""

    def __init__(self, printer: tables.Printer, clock: Callable[[], datetime.datetime]) -> None:
        self._printer = printer
        self._clock = clock
        self._lines: OrderedDict[tuple[object, ...], bytes] = OrderedDict()

    def one(self, answer: One, form: Form, include: tables.IncludeObject = "Metadata") -> bytes:
        """Return an object's bytes."""
        if not form.kind or answer.served is None:
            return answer.raw
        if form.kind == "Table":
            obj = orjson.loads(answer.raw)
            meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            return self._table(answer.served, [answer.raw], meta, form, include=include)
        return _partial(answer.raw, form)

    def many(self, answer: Many, form: Form, include: tables.IncludeObject = "Metadata") -> bytes:
        """Return a list's bytes."""
        served, metadata = answer.served, answer.list_meta()
        if form.kind == "Table":
            return self._table(served, answer.items, metadata, form, include=include)
        if form.kind:
            items = [_partial(raw, form) for raw in answer.items]
            return _list(
                "PartialObjectMetadataList", f"{_META_GROUP}/{form.version}", metadata, items
            )
        return _list(served.list_kind, served.resource.api_version, metadata, answer.items)

    def line(
        self, served: Served, event: Event, form: Form, include: tables.IncludeObject = "Metadata"
    ) -> bytes:
        """Return one line of a watch."""
        if not form.kind or event.type == "ERROR":
            return _LINE % (event.type.encode(), event.raw)
        resource = served.resource
        place = (event.revision, event.type, resource.key, resource.version, form, include)
        line = self._lines.get(place)
        if line is None or event.type == "BOOKMARK":
            line = _LINE % (event.type.encode(), self._event(served, event, form, include))
            self._lines[place] = line
            if len(self._lines) > _REMEMBERED_LINES:
                self._lines.popitem(last=False)
        return line

    def _event(
        self, served: Served, event: Event, form: Form, include: tables.IncludeObject
    ) -> bytes:
        if form.kind != "Table":
            return _partial(event.raw, form)
        obj = orjson.loads(event.raw)
        meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        if event.type == "BOOKMARK":
            if annotations := obj["metadata"].get("annotations"):
                meta["annotations"] = annotations
            columns = self._printer.columns(served.resource, served.columns)
            rows = [(obj, [""] * len(columns))]
            form_of_rows = tables.TableForm(form.version, include)
            return orjson.dumps(tables.table(columns, rows, meta, form_of_rows))
        return self._table(served, [event.raw], meta, form, include=include)

    def _table(
        self,
        served: Served,
        items: Sequence[bytes],
        metadata: dict[str, Any],
        form: Form,
        *,
        include: tables.IncludeObject,
    ) -> bytes:
        now, resource, columns = self._clock(), served.resource, served.columns
        rows = []
        for raw in items:
            obj = orjson.loads(raw)
            rows.append((obj, self._printer.cells(resource, obj, now, columns)))
        definitions = self._printer.columns(resource, columns)
        table = tables.table(definitions, rows, metadata, tables.TableForm(form.version, include))
        return orjson.dumps(table)


def _partial(raw: bytes, form: Form) -> bytes:
    obj = tables.partial(orjson.loads(raw))
    obj["apiVersion"] = f"{_META_GROUP}/{form.version}"
    return orjson.dumps(obj)


def _list(kind: str, api_version: str, metadata: dict[str, Any], items: Sequence[bytes]) -> bytes:
    head = b'{"kind":"%s","apiVersion":"%s","metadata":%s,"items":['
    start = head % (kind.encode(), api_version.encode(), orjson.dumps(metadata))
    if not items:
        return start + b"]}\n"
    # One join: a long list is copied once.
    first, last = start + items[0], b"]}\n"
    if len(items) == 1:
        return first + last
    return b",".join((first, *items[1:-1], items[-1] + last))
