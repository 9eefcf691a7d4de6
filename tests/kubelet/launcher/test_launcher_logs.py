import pathlib
import re
from typing import Any

from wherry.kubelet.launcher import logs

_RECORD = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (stdout|stderr) [FP] .*")


def test_timestamps_are_rfc3339_with_nanoseconds() -> None:
    assert logs.timestamp(0) == b"1970-01-01T00:00:00.000000000Z"
    assert logs.timestamp(1_700_000_000_000_000_001) == b"2023-11-14T22:13:20.000000001Z"


def _text(path: str) -> str:
    return pathlib.Path(path).read_text()


async def test_both_streams_are_told_apart(box: Any) -> None:
    spec = box.spec("sh", "-c", "echo out; echo err >&2; echo; printf tail")
    await box.run(spec)
    text = _text(spec.log_path)
    assert all(_RECORD.fullmatch(line) for line in text.splitlines())
    records = box.records(spec.id)
    assert [record for record in records if record[0] == "stderr"] == [("stderr", "F", "err")]
    out = [record[1:] for record in records if record[0] == "stdout"]
    assert out == [("F", "out"), ("F", ""), ("P", "tail")]


async def test_a_prompt_without_newline_shows_up(box: Any, eventually: Any) -> None:
    spec = box.spec("sh", "-c", "printf 'name? '; sleep 1000")
    await box.start(spec)
    await eventually(lambda: box.records(spec.id) == [("stdout", "P", "name? ")])


async def test_long_lines_come_in_pieces(box: Any) -> None:
    spec = box.python("print('x' * 40000); print('y')")
    await box.run(spec)
    pieces = [(tag, len(text)) for _, tag, text in box.records(spec.id)]
    assert sum(length for _, length in pieces) == 40001
    assert max(length for _, length in pieces) <= logs.MAX_PIECE_BYTES
    assert [tag for tag, _ in pieces][-2:] == ["F", "F"]
    assert {tag for tag, _ in pieces[:-2]} == {"P"}
    assert box.output(spec.id) == "x" * 40000 + "\ny\n"


async def test_rotation_keeps_so_many_files_and_loses_no_recent_line(box: Any) -> None:
    code = "for n in range(20000): print('line', n)"
    spec = box.python(code, log_max_bytes=200_000, log_max_files=3)
    await box.run(spec)
    path = pathlib.Path(spec.log_path)
    names = sorted(found.name for found in path.parent.iterdir())
    assert names == [path.name, f"{path.name}.1", f"{path.name}.2"]
    texts = [path.with_name(name).read_text() for name in (names[2], names[1], names[0])]
    numbers = [int(line.rsplit(" ", 1)[1]) for text in texts for line in text.splitlines()]
    assert numbers == list(range(numbers[0], 20000))
    # What is read at once goes to one file: at most a full pipe, of lines that grow to five times their length.
    assert all(len(text) < 200_000 + 5 * 64 * 1024 for text in texts)


async def test_output_that_nobody_can_store_does_not_stop_the_process(box: Any) -> None:
    spec = box.spec("sh", "-c", "echo x; exit 4", log_path="/dev/full")
    assert (await box.run(spec)).exit_code == 4


async def test_a_log_that_cannot_be_opened_is_named(box: Any) -> None:
    state = await box.launcher.start(box.spec("true", log_path="/etc/passwd/x.log"))
    assert "/etc/passwd" in state.error


def test_a_line_is_whole_again_after_a_full_disk(tmp_path: pathlib.Path) -> None:
    log = logs.LogFile(str(tmp_path / "log"), max_bytes=10**6, max_files=1)
    stream = logs.Stream("stdout", log)
    stream.feed(b"a" * logs.MAX_PIECE_BYTES + b"bc\nd")
    assert stream.pending
    stream.flush()
    log.close()
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line.split(" ", 3)[2:] for line in lines] == [
        ["P", "a" * logs.MAX_PIECE_BYTES],
        ["F", "bc"],
        ["P", "d"],
    ]


def test_one_file_only_is_emptied_at_its_bound(tmp_path: pathlib.Path) -> None:
    log = logs.LogFile(str(tmp_path / "log"), max_bytes=100, max_files=1)
    stream = logs.Stream("stdout", log)
    for number in range(100):
        stream.feed(b"%d\n" % number)
    log.close()
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
    assert (tmp_path / "log").stat().st_size < 200
