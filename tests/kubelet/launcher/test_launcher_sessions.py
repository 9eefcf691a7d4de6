import asyncio
import os
import time
from typing import Any

import pytest

from wherry.kubelet.launcher import types


async def collect(session: Any) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    async with asyncio.timeout(60):
        async for number, data in session.output():
            found[number] = found.get(number, b"") + data
    return found


async def until(session: Any, text: bytes) -> bytes:
    """Read until `text` has come; the session's output may be read once only, so this keeps its iterator."""
    seen = b""
    async with asyncio.timeout(60):
        async for _, data in session.output():
            seen += data
            if text in seen:
                break
    return seen


async def run(box: Any, spec: Any, *argv: str, stdin: bool = False, terminal: bool = False) -> Any:
    return await box.launcher.interact(spec.id, argv, stdin=stdin, terminal=terminal)


async def test_streams_and_exit_code(box: Any) -> None:
    spec = box.spec("sleep", "1000", env={"A": "b"})
    await box.start(spec)
    session = await run(box, spec, "sh", "-c", "echo $A; echo bad >&2; exit 3")
    assert await collect(session) == {1: b"b\n", 2: b"bad\n"}
    assert await session.wait() == (3, None)
    await session.close()


async def test_input_arrives_whole_and_ends(box: Any) -> None:
    spec = box.spec("sleep", "1000")
    await box.start(spec)
    session = await run(box, spec, "cat", stdin=True)
    data = os.urandom(3_000_000)

    async def feed() -> None:
        await session.write(data)
        session.end_input()

    feeding = asyncio.create_task(feed())
    assert (await collect(session))[1] == data
    await feeding
    assert await session.wait() == (0, None)
    await session.close()


async def test_what_cannot_start_says_why(box: Any) -> None:
    spec = box.spec("cat", stdin=True)
    await box.start(spec)
    session = await run(box, spec, "no-such-program")
    assert await collect(session) == {}
    code, why = await session.wait()
    assert (code, "not found" in why) == (127, True)
    await session.close()
    await box.launcher.write_stdin(spec.id, b"", close=True)
    await box.end_of(spec.id)
    late = await run(box, spec, "true")
    with pytest.raises(types.LauncherError, match="has finished"):
        await late.wait()
    await late.close()


async def test_a_terminal(box: Any) -> None:
    spec = box.spec("sleep", "1000")
    await box.start(spec)
    session = await run(box, spec, "sh", stdin=True, terminal=True)
    session.resize(123, 45)
    await session.write(b"stty size; tty; echo err >&2; exit 4\n")
    text = (await collect(session))[1]
    assert b"45 123\r\n/dev/pts/" in text
    assert b"err\r\n" in text
    assert await session.wait() == (4, None)
    await session.close()


@pytest.mark.parametrize("terminal", [False, True])
async def test_a_command_ends_with_its_session(box: Any, tmp_path: Any, terminal: bool) -> None:
    spec = box.spec("sleep", "1000")
    await box.start(spec)
    file = tmp_path / "pid"
    session = await run(
        box, spec, "sh", "-c", f"echo $$ > {file}; echo up; sleep 1000", terminal=terminal
    )
    await until(session, b"up")
    pid = int(file.read_text())
    await session.close()
    deadline = time.monotonic() + 60
    while os.path.exists(f"/proc/{pid}"):  # noqa: PTH110, ASYNC240 (of the kernel, at once)
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_what_is_left_behind_does_not_hold_the_session(box: Any) -> None:
    spec = box.spec("sleep", "1000")
    await box.start(spec)
    session = await run(box, spec, "sh", "-c", "sleep 1000 & echo done")
    assert await collect(session) == {1: b"done\n"}
    await session.close()


async def test_attach_watches_from_the_beginning_and_feeds_the_input(box: Any) -> None:
    spec = box.spec("sh", "-c", "echo hello; cat; echo bye >&2", stdin=True)
    await box.start(spec)
    await asyncio.to_thread(_wait_for, spec.log_path, "hello")
    session = await box.launcher.attach(spec.id, stdin=True, once=True)
    await session.write(b"a line\n")
    session.end_input()
    assert await collect(session) == {1: b"hello\na line\n", 2: b"bye\n"}
    await session.close()
    assert (await box.end_of(spec.id)).exit_code == 0
    assert box.output(spec.id) == "hello\na line\nbye\n"


async def test_the_input_outlives_a_session_unless_it_is_for_one_only(box: Any) -> None:
    spec = box.spec("cat", stdin=True)
    await box.start(spec)
    for text in (b"one\n", b"two\n"):
        session = await box.launcher.attach(spec.id, stdin=True, once=text == b"two\n")
        await session.write(text)
        assert text in await until(session, text)
        await session.close()
    assert (await box.end_of(spec.id)).exit_code == 0


async def test_a_session_ends_with_its_input_where_the_containers_goes_on(box: Any) -> None:
    spec = box.spec("cat", stdin=True)
    await box.start(spec)
    session = await box.launcher.attach(spec.id, stdin=True, once=False)
    await session.write(b"one\n")
    assert b"one\n" in await until(session, b"one\n")
    session.end_input()
    await collect(session)
    await session.close()
    last = await box.launcher.attach(spec.id, stdin=True, once=True)
    last.end_input()
    await last.close()
    assert (await box.end_of(spec.id)).exit_code == 0


async def test_attach_to_a_terminal(box: Any) -> None:
    spec = box.spec("sh", "-c", "stty size; read x; stty size; echo got $x", stdin=True, tty=True)
    await box.start(spec)
    session = await box.launcher.attach(spec.id, stdin=True, once=False)
    session.resize(80, 24)
    await session.write(b"word\n")
    text = (await collect(session))[1]
    assert b"24 80\r\ngot word\r\n" in text
    await session.close()
    assert (await box.end_of(spec.id)).exit_code == 0
    assert "got word\n" in box.output(spec.id)


async def test_a_slow_watcher_loses_nothing_and_memory_stays_bounded(box: Any) -> None:
    code = "import sys\nfor n in range(40): sys.stdout.write(str(n % 10) * 262144)\n"
    spec = box.python(f"input()\n{code}", stdin=True)
    await box.start(spec)
    session = await box.launcher.attach(spec.id, stdin=True, once=False)
    await session.write(b"go\n")
    total = 0
    async with asyncio.timeout(100):
        async for _, data in session.output():
            total += len(data)
            if total < 2_000_000:
                await asyncio.sleep(0.005)
    assert total == 40 * 262144
    await session.close()


async def test_many_at_once(box: Any) -> None:
    spec = box.spec("sleep", "1000")
    await box.start(spec)

    async def one(number: int) -> bytes:
        session = await run(box, spec, "echo", str(number))
        found = await collect(session)
        await session.close()
        return found[1]

    assert await asyncio.gather(*map(one, range(60))) == [f"{n}\n".encode() for n in range(60)]


def _wait_for(path: str, text: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with open(path) as file:  # noqa: PTH123
                if text in file.read():
                    return
        except FileNotFoundError:
            pass
        time.sleep(0.01)
    raise AssertionError(text)
