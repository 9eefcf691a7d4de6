import asyncio
from pathlib import Path

import pytest

from wherry.apiserver.pod_streams import LogOptions
from wherry.controller.cache import Cache
from wherry.kubelet import follower, layout, log_files, logs
from wherry.kubelet.settings import KubeletSettings
from wherry.objects import errors, kinds
from wherry.objects.requests import Object
from wherry.testing.waiting import eventually

POD: Object = {
    "metadata": {"name": "p", "namespace": "team", "uid": "u-1", "resourceVersion": "1"},
    "spec": {"containers": [{"name": "main"}, {"name": "other"}]},
    "status": {"containerStatuses": [{"name": "main", "state": {"running": {}}}]},
}


def line(second: int, text: str, *, tag: str = "F", stream: str = "stdout") -> bytes:
    return f"2026-01-01T00:00:{second:02d}.000000000Z {stream} {tag} {text}\n".encode()


class Logs:
    def __init__(self, tmp_path: Path) -> None:
        settings = KubeletSettings(data=tmp_path)
        self.cache = Cache(kinds.PODS)
        self.cache.put(("team", "p"), POD)
        self.running = False
        self._pods = logs.PodLogs(settings, self.cache, lambda *_: self.running)
        self.layout = layout.PodLayout(settings, POD)

    def write(self, content: bytes, *, attempt: int = 0, suffix: str = "") -> Path:
        path = self.layout.log("main", attempt)
        path.parent.mkdir(parents=True, exist_ok=True)
        path = path.with_name(path.name + suffix)
        path.write_bytes(content)
        return path

    async def read(self, **options: object) -> str:
        wanted = LogOptions(**options)  # type: ignore[arg-type]  # each test names its own
        return b"".join([p async for p in self._pods.logs("team", "p", "main", wanted)]).decode()


@pytest.fixture
def found(tmp_path: Path) -> Logs:
    return Logs(tmp_path)


async def test_rotated_files_are_one_log(found: Logs) -> None:
    found.write(line(1, "one"), suffix=".2")
    found.write(line(2, "two"), suffix=".1")
    found.write(line(3, "three"))
    assert await found.read() == "one\ntwo\nthree\n"
    assert await found.read(tail_lines=2) == "two\nthree\n"
    assert await found.read(tail_lines=0) == ""
    assert await found.read(tail_lines=9) == "one\ntwo\nthree\n"
    assert await found.read(limit_bytes=5) == "one\nt"


async def test_pieces_are_one_line(found: Logs) -> None:
    found.write(line(1, "a", tag="P") + line(1, "b") + line(2, "c"))
    assert await found.read() == "ab\nc\n"
    assert await found.read(tail_lines=2) == "ab\nc\n"
    stamped = await found.read(timestamps=True)
    assert stamped == "2026-01-01T00:00:01.000000000Z ab\n2026-01-01T00:00:02.000000000Z c\n"


async def test_since_and_streams(found: Logs) -> None:
    found.write(line(1, "old") + line(5, "new") + line(6, "bad", stream="stderr"))
    assert await found.read(since_time="2026-01-01T00:00:05Z") == "new\nbad\n"
    assert await found.read(since_time="2026-01-01T01:00:05+01:00") == "new\nbad\n"
    assert await found.read(since_seconds=10) == ""
    assert await found.read(stream="Stderr") == "bad\n"
    with pytest.raises(errors.BadRequestError, match="sinceTime"):
        await found.read(since_time="yesterday")


async def test_a_torn_line_is_left_out(found: Logs) -> None:
    found.write(b"garbage\n" + line(1, "good") + b"2026-01-01T00")
    assert await found.read() == "good\n"


async def test_attempts(found: Logs) -> None:
    found.write(line(1, "first"))
    found.write(line(2, "second"), attempt=1)
    assert await found.read() == "second\n"
    assert await found.read(previous=True) == "first\n"
    found.layout.log("main", 0).unlink()
    with pytest.raises(errors.BadRequestError, match='previous terminated container "main"'):
        await found.read(previous=True)


async def test_refusals(found: Logs, tmp_path: Path) -> None:
    with pytest.raises(errors.BadRequestError, match="waiting to start: ContainerCreating"):
        await found.read()
    pods = logs.PodLogs(KubeletSettings(data=tmp_path), found.cache, lambda *_: False)
    for name, container, error in (
        ("gone", "main", errors.NotFoundError),
        ("p", "../../etc", errors.BadRequestError),
        ("p", "absent", errors.BadRequestError),
    ):
        with pytest.raises(error):
            async for _ in pods.logs("team", name, container, LogOptions()):
                pass


async def test_following_ends_with_the_container_not_with_the_next_look(found: Logs) -> None:
    path, running = found.write(line(1, "begin")), True

    async def pause(_: float) -> None:
        nonlocal running
        with path.open("ab") as log:
            log.write(line(2, "end"))
        running = False

    snapshot = log_files.Snapshot(path)
    followed = follower.follow(path, snapshot, running=lambda: running, pause=pause)
    assert [record.text async for record in followed] == [b"end\n"]


async def test_following_goes_through_rotation_to_the_end(found: Logs) -> None:
    found.running = True
    current = found.write(line(1, "one"))
    said = bytearray()

    async def follow() -> None:
        async for piece in found._pods.logs("team", "p", "main", LogOptions(follow=True)):
            said.extend(piece)

    async def seen(text: bytes) -> None:
        await asyncio.to_thread(eventually, lambda: said.endswith(text))

    task = asyncio.create_task(follow())
    await seen(b"one\n")
    append(current, line(2, "two"))
    for number in (3, 4, 5):
        rotate(current)
        current.write_bytes(line(number, str(number)))
        await seen(b"%d\n" % number)
    found.running = False
    await task
    assert said == b"one\ntwo\n3\n4\n5\n"


def append(path: Path, content: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(content)


def rotate(path: Path) -> None:
    for number in (3, 2, 1):
        older = path.with_name(f"{path.name}.{number}")
        newer = path.with_name(f"{path.name}.{number - 1}") if number > 1 else path
        if newer.exists():
            newer.replace(older)


def test_the_tail_of_a_large_file_is_read_from_its_end(tmp_path: Path) -> None:
    log = tmp_path / "0.log"
    log.write_bytes(b"".join(line(1, f"{number} " + "x" * 200) for number in range(50_000)))
    snapshot = log_files.Snapshot(log)
    tail = snapshot.tail(3)
    assert [record.text.split()[0] for record in tail] == [b"49997", b"49998", b"49999"]
    assert snapshot.current is not None
    assert snapshot.current.tell() > 11_000_000
    assert [len(snapshot.tail(count)) for count in (1, 1000)] == [1, 1000]
    snapshot.close()
