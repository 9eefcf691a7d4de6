"""Which objects a list, watch or deletecollection means.

Labels and names are known without parsing an object; only a selector on other fields needs it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wherry.apiserver.call import Call
from wherry.apiserver.core import Core
from wherry.apiserver.resources import Served
from wherry.objects import errors, selectors
from wherry.store import Record

_NAME, _NAMESPACE = "metadata.name", "metadata.namespace"


@dataclass(frozen=True, slots=True)
class Selection:
    """A compiled pair of selectors.

    Attributes:
        core: For the fields of records.
        served: What is selected from.
        labels: Label selector, None where all labels do.
        fields: Field selector, None where all do.
        parses: Whether the field selector needs more than name and namespace.
    """

    core: Core
    served: Served
    labels: selectors.LabelSelector | None
    fields: selectors.FieldSelector | None
    parses: bool

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return self.labels is None and self.fields is None

    def matches(self, record: Record) -> bool:
        """Return whether a record is meant."""
        if self.labels is not None and not self.labels.matches(record.labels):
            return False
        return self.fields is None or self.fields.matches(self._fields(record))

    def foresee(self, records: Sequence[Record]) -> None:
        """Prepare for matching records, where that takes asking somebody about them.

        Raises:
            UnconvertedError: As `Served.convert`.
        """
        if self.parses:
            self.core.foresee_fields(self.served, records)

    def _fields(self, record: Record) -> Mapping[str, str]:
        known = {_NAME: record.key.name, _NAMESPACE: record.key.namespace}
        return {**self.core.fields(self.served, record), **known} if self.parses else known


def of(core: Core, served: Served, call: Call, *, with_name: bool = False) -> Selection:
    """Return what a call selects.

    Args:
        core: For the fields of records.
        served: What is selected from.
        call: Its options ``labelSelector`` and ``fieldSelector``.
        with_name: Whether the request's name selects too, as in a watch of one object.

    Raises:
        BadRequestError: A selector cannot be read, or names a field that cannot be selected by.
    """
    options = call.request.options
    try:
        labels = selectors.parse_labels(options.get("labelSelector", ""))
        text = options.get("fieldSelector", "")
        fields = selectors.parse_fields(text)
        if with_name and call.request.name:
            named = selectors.parse_fields(f"{_NAME}={call.request.name}")
            fields = selectors.FieldSelector((*fields.requirements, *named.requirements))
    except ValueError as error:
        raise errors.BadRequestError(f"unable to parse requirement: {error}") from error
    paths = {requirement.path for requirement in fields.requirements} - {_NAME, _NAMESPACE}
    if paths:
        _check_selectable(served, paths)
    return Selection(
        core,
        served,
        None if labels.empty else labels,
        None if fields.empty else fields,
        bool(paths),
    )


def _check_selectable(served: Served, paths: set[str]) -> None:
    # The fields of an object without content are those of every object of the kind.
    resource = served.resource
    bare = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {}}
    known = served.strategy.selectable_fields(bare)
    for path in sorted(paths - set(known)):
        raise errors.BadRequestError(
            f'"{path}" is not a known field selector: only '
            + ", ".join(f'"{name}"' for name in sorted({_NAME, _NAMESPACE, *known}))
        )
