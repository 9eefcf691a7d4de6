"""Reading 10,000 objects: in pages, at once, and as the Table that kubectl asks for."""

import contextlib
import http.client
import json
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

from harness import control_plane, drive, objects
from harness.rows import Row, median

_PAGE = 500
_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
_BARE = "bare aiohttp server, same bytes"

_Fetch = Callable[[str], bytes]


def bench(*, quick: bool) -> list[Row]:
    """Measure from a client's side, on one connection: seconds until the last byte is there."""
    count, rounds = (1000, 1) if quick else (10_000, 5)
    with control_plane.fresh() as plane:
        target = drive.Target(plane.pid, plane.port, plane.directory / "pki")
        drive.throughput(target, [objects.create(one) for one in objects.names("held", count)])
        return list(_rows(target, count, rounds))


def _rows(target: drive.Target, count: int, rounds: int) -> Iterator[Row]:
    with _client(target) as fetch:
        first = f"{objects.PATH}?limit={_PAGE}"
        page, whole = fetch(first), fetch(objects.PATH)
    if len(json.loads(whole)["items"]) < count:
        raise RuntimeError(f"the list has fewer than the {count} objects that were created")
    with _client(target, _TABLE) as fetch:
        table = fetch(first)
    pages = count // _PAGE
    yield _row(f"list {count} in pages of {_PAGE}", target, _Read(page, pages), rounds)
    yield _row(f"list {count} at once", target, _Read(whole), rounds)
    yield _row(f"Table, first page of {_PAGE}", target, _Read(table, 1, _TABLE), rounds)


class _Read:
    """One way to read, with the answer that the peer repeats."""

    def __init__(self, answer: bytes, pages: int = 0, accept: str = "application/json") -> None:
        self.answer = answer
        self.accept = accept
        self._pages = pages

    def seconds(self, fetch: _Fetch, *, follow: bool) -> float:
        """Read everything; ``follow`` the tokens of pages, or ask as often as there are pages."""
        path = f"{objects.PATH}?limit={_PAGE}" if self._pages else objects.PATH
        asked = path
        elapsed = 0.0
        for _ in range(self._pages or 1):
            started = time.perf_counter()
            answer = fetch(asked)
            elapsed += time.perf_counter() - started
            if follow and self._pages:
                token = json.loads(answer)["metadata"].get("continue", "")
                asked = f"{path}&continue={quote(token)}"
        return elapsed


def _row(case: str, target: drive.Target, read: _Read, rounds: int) -> Row:
    ours, bare = [], []
    with (
        drive.bare_server(target.pki, 200, read.answer) as peer,
        _client(target, read.accept) as fetch,
        _client(peer) as fetch_bare,
    ):
        for _ in range(rounds):
            ours.append(read.seconds(fetch, follow=True) * 1000)
            bare.append(read.seconds(fetch_bare, follow=False) * 1000)
    return Row(case, median(ours), "ms", _BARE, median(bare))


@contextlib.contextmanager
def _client(target: drive.Target, accept: str = "application/json") -> Iterator[_Fetch]:
    context = control_plane.admin_context(target.pki)
    connection = http.client.HTTPSConnection("127.0.0.1", target.port, context=context, timeout=30)

    def fetch(path: str) -> bytes:
        connection.request("GET", path, headers={"Accept": accept})
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise RuntimeError(f"GET {path}: {response.status} {body[:300]!r}")
        return body

    with contextlib.closing(connection):
        connection.connect()
        yield fetch
