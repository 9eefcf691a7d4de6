"""`wherry get`: objects as the server's Tables, or as YAML, JSON or names."""

import json
import sys
from argparse import Namespace
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlencode

from wherry.cli import columns, failures, session, targets
from wherry.cli.session import Session
from wherry.cli.targets import Target
from wherry.objects import errors, metadata
from wherry.objects.requests import Object

_PAGE = 500


def run(options: Namespace) -> int:
    """Print what was asked for; fail if one of the named objects is not there."""
    targets.demand(options.objects)
    return session.run(options, _get)


async def _get(opened: Session, options: Namespace) -> int:
    wanted = await targets.parse(options.objects, opened.resources)
    named = any(target.names for target in wanted)
    if named and (options.selector or options.field_selector or options.all_namespaces):
        raise failures.UsageError(
            "names and selectors (-l, --field-selector, -A) exclude one another"
        )
    if options.watch and (len(wanted) > 1 or len(wanted[0].names) > 1):
        raise failures.UsageError("--watch takes one kind, and at most one name")
    asking = _Asking(opened, options)
    if options.output in {"yaml", "json", "name"}:
        return await _print_objects(asking, wanted)
    return await _print_tables(asking, wanted)


class _Asking:
    """Reads what a command asks for."""

    def __init__(self, opened: Session, options: Namespace) -> None:
        self.client = opened.client
        self.options = options
        self.output = options.output or "table"
        self.failed = False
        self._session = opened

    def namespace(self, target: Target) -> str | None:
        everywhere = self.options.all_namespaces or not target.resource.namespaced
        return None if everywhere else self._session.namespace

    def complain(self, error: errors.ApiError) -> None:
        print(f"wherry: {error}", file=sys.stderr)
        self.failed = True

    async def objects(self, target: Target) -> list[Object]:
        namespace = self.namespace(target)
        if not target.names:
            listed = await self.client.list(
                target.resource,
                namespace,
                labels=self.options.selector,
                fields=self.options.field_selector,
            )
            return listed.items
        found = []
        for name in target.names:
            try:
                found.append(await self.client.get(target.resource, name, namespace))
            except errors.NotFoundError as error:
                self.complain(error)
        return found

    async def tables(self, target: Target) -> AsyncIterator[Object]:
        namespace = self.namespace(target)
        for name in target.names:
            try:
                yield await self.row(target, namespace, name)
            except errors.NotFoundError as error:
                self.complain(error)
        if target.names:
            return
        asked = {
            "labelSelector": self.options.selector,
            "fieldSelector": self.options.field_selector,
            "limit": str(_PAGE),
        }
        while True:
            query = urlencode({key: value for key, value in asked.items() if value})
            path = f"{quote(target.resource.path(namespace))}?{query}"
            page = await self._session.read(path, accept=columns.ACCEPT)
            yield page
            asked["continue"] = (page.get("metadata") or {}).get("continue") or ""
            if not asked["continue"]:
                return

    async def row(self, target: Target, namespace: str | None, name: str) -> Object:
        """Return the Table of one object."""
        path = quote(target.resource.path(namespace, name))
        table: Object = await self._session.read(path, accept=columns.ACCEPT)
        return table

    @property
    def code(self) -> int:
        return failures.FAILURE if self.failed else failures.SUCCESS


async def _print_objects(asking: _Asking, wanted: list[Target]) -> int:
    found: list[tuple[Target, Object]] = []
    for target in wanted:
        found += [(target, obj) for obj in await asking.objects(target)]
    single = len(wanted) == 1 and len(wanted[0].names) == 1
    if asking.output == "name":
        for target, obj in found:
            print(targets.called(target.resource, metadata.name(obj)))
    elif found or not single:
        objects = [_tidy(obj) for _, obj in found]
        whole = {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": objects}
        print(_text(objects[0] if single else whole, asking.output))
    if asking.options.watch:
        async for _, obj in _changes(asking, wanted[0]):
            if asking.output == "name":
                print(targets.called(wanted[0].resource, metadata.name(obj)), flush=True)
            else:
                print(_text(_tidy(obj), asking.output, separate=True), flush=True)
    return asking.code


def _tidy(obj: Object) -> Object:
    fields = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": fields}


def _text(value: Any, output: str, *, separate: bool = False) -> str:
    if output == "json":
        return json.dumps(value, indent=2, ensure_ascii=False)
    import yaml  # noqa: PLC0415 - tables do without it

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(value, Dumper=dumper, sort_keys=True, allow_unicode=True)
    return ("---\n" if separate else "") + text.rstrip("\n")


class _Printer:
    """Prints rows below headings that are printed once."""

    def __init__(self, asking: _Asking, target: Target, *, prefixed: bool) -> None:
        self._wide = asking.output == "wide"
        self._everywhere = asking.options.all_namespaces and target.resource.namespaced
        self._target = target
        self._prefixed = prefixed
        self._widths: list[int] = []
        self._headed = False

    def rows(self, table: Object) -> list[list[str]]:
        """Return the rows of a Table, after the headings if these are the first."""
        headings, rows = columns.shown(table, wide=self._wide)
        for row, raw in zip(rows, table.get("rows") or [], strict=True):
            if self._prefixed:
                row[0] = targets.called(self._target.resource, row[0])
            if self._everywhere:
                row.insert(0, metadata.namespace(raw.get("object") or {}))
        if self._headed or not rows:
            return rows
        self._headed = True
        return [["NAMESPACE", *headings] if self._everywhere else headings, *rows]

    def print(self, rows: list[list[str]]) -> None:
        for line in columns.lines(rows, self._widths):
            print(line, flush=True)


async def _print_tables(asking: _Asking, wanted: list[Target]) -> int:
    printed = False
    merged = _merged(wanted)
    for target in merged:
        printer = _Printer(asking, target, prefixed=len(merged) > 1)
        rows: list[list[str]] = []
        since = ""
        async for table in asking.tables(target):
            rows += printer.rows(table)
            since = str((table.get("metadata") or {}).get("resourceVersion") or "")
        if rows:
            print("\n" if printed else "", end="")
            printer.print(rows)
            printed = True
        if asking.options.watch:
            await _watch_table(asking, target, printer, "" if target.names else since)
    if not printed and not asking.failed:
        print(_nothing(asking, merged[0]), file=sys.stderr)
    return asking.code


def _merged(wanted: list[Target]) -> list[Target]:
    """Put the names of one kind together, so that they are one table."""
    names: dict[Any, tuple[str, ...]] = {}
    for target in wanted:
        names[target.resource] = names.get(target.resource, ()) + target.names
    return [Target(resource, together) for resource, together in names.items()]


def _nothing(asking: _Asking, target: Target) -> str:
    namespace = asking.namespace(target)
    return f"No resources found in {namespace} namespace." if namespace else "No resources found."


async def _watch_table(asking: _Asking, target: Target, printer: _Printer, since: str) -> None:
    last: dict[str, list[list[str]]] = {}
    async for gone, obj in _changes(asking, target, since):
        place = "/".join(metadata.namespaced_name(obj))
        if gone:
            printer.print(last.pop(place, []))
            continue
        try:
            namespace = metadata.namespace(obj) or None
            last[place] = printer.rows(await asking.row(target, namespace, metadata.name(obj)))
        except errors.NotFoundError:
            continue  # its deletion is the next event
        printer.print(last[place])


async def _changes(
    asking: _Asking, target: Target, since: str = ""
) -> AsyncIterator[tuple[bool, Object]]:
    """Yield what changes, for ever: whether the object is gone, and the object."""
    fields = asking.options.field_selector
    if target.names:
        fields = f"metadata.name={target.names[0]}"
    version = since
    while True:
        if not version:
            place = asking.namespace(target)
            version = (await asking.client.list(target.resource, place)).resource_version
        try:
            while True:
                watch = asking.client.watch(
                    target.resource,
                    asking.namespace(target),
                    labels=asking.options.selector,
                    fields=fields,
                    resource_version=version,
                )
                async for event in watch:
                    version = str(event.object["metadata"].get("resourceVersion", version))
                    if event.type != "BOOKMARK":
                        yield event.type == "DELETED", event.object
        except errors.GoneError:
            version = ""
