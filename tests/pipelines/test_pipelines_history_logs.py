"""What steps say is kept beyond the life of their pods: each attempt, and not too much of it."""

import asyncio
import dataclasses

import pytest

from wherry.metadata.records import Execution
from wherry.metadata.store import Metadata
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.pipelines.history import logs as kept_logs
from wherry.pipelines.history import recording
from wherry.pipelines.history.listening import Listener
from wherry.pipelines.history.logs import Logs, Place
from wherry.pipelines.history.records import Run
from wherry.pipelines.history.store import History
from wherry.testing.waiting import eventually


async def pieces(*chunks):
    for chunk in chunks:
        yield chunk


@pytest.mark.parametrize("folder", ["logs", None])
async def test_a_log_is_kept_as_it_is(tmp_path, folder):
    history = History(tmp_path / "history.db")
    logs = Logs(history, folder and tmp_path / folder)
    place, other = Place("run", "root/a", 0), Place("run", "root/a", 1)
    said = b"one\n\xff\0two"
    await logs.keep(place, pieces(b"earlier"))
    await logs.keep(place, pieces(said[:3], said[3:]))
    await logs.keep(other, pieces(b""))
    await logs.keep(Place("../../x", "../y", 0), pieces(b"mine"))
    assert await logs.kept(place) == said
    assert await logs.kept(other) is None
    assert await logs.kept(Place("../../x", "../y", 0)) == b"mine"
    await logs.forget("nobody")
    await logs.forget("run")
    if folder:
        assert await logs.kept(place) is None
        assert {path.name for path in tmp_path.iterdir()} <= {"logs"}
    await history.close()


async def test_of_a_long_log_the_beginning_and_the_end_are_kept():
    chunk = bytes(range(256)) * 4096
    content = await kept_logs.bounded(pieces(b"begin", *[chunk] * 20, b"end"))
    assert len(content) < kept_logs.MOST_HEAD + kept_logs.MOST_TAIL + 100
    assert content.startswith(b"begin\0\1\2")
    assert content.endswith(b"\xfe\xffend")
    left_out = 20 * len(chunk) + 8 - kept_logs.MOST_HEAD - kept_logs.MOST_TAIL
    assert f"\n… {left_out} bytes are left out here …\n".encode() in content
    most = kept_logs.MOST_HEAD + kept_logs.MOST_TAIL
    assert len(await kept_logs.bounded(pieces(b"x" * most))) == most


@pytest.fixture
def said(runs):
    """Read what a step of a run says, as the service does."""

    def read(run, task, **asked):
        async def reading():
            products = runs.platform.directory / "products"
            where = products / "metadata" / "metadata.db"
            history, tasks = History(where), Metadata(where)
            listener = Listener(runs.client, tasks, Logs(history, products / "pipeline-logs"))
            try:
                chunks = listener.read(recording.seen(run), task, **asked)
                return b"".join([chunk async for chunk in chunks]).decode()
            finally:
                await history.close()
                await tasks.close()

        return runs.platform.call(reading())

    return read


def test_each_attempt_is_read_when_its_pod_is_gone(runs, pipeline, said, tmp_path):
    made = pipeline()
    made.step(
        "try", f"echo try $(ls {tmp_path} | wc -l); mktemp -p {tmp_path}; [ -e {tmp_path}/x ]"
    )
    made.step("quiet", "true")
    made.task("try", retryPolicy={"maxRetryCount": 1, "backoffDuration": "0s"})
    made.task("quiet")
    run = runs.run(made.spec(podTTLSecondsAfterFinished=0))
    eventually(lambda: not runs.pods(), 120, what="the pods' end")
    assert said(run, "try", attempt=0).startswith("try 0\n")
    assert said(run, "root/try").startswith("try 1\n")
    runs.platform.call(runs.client.delete_collection(core.PODS, runs.namespace))
    with pytest.raises(errors.NotFoundError, match="root/quiet, attempt 0: it has said nothing"):
        said(run, "quiet")
    with pytest.raises(errors.NotFoundError, match="attempt 7"):
        said(run, "try", attempt=7)
    with pytest.raises(errors.NotFoundError, match="has come to no task 'nothing'"):
        said(run, "nothing")


def test_a_step_whose_pod_is_only_being_made_has_not_begun(runs, tmp_path):
    runs.platform.call(_ask_too_early(runs, tmp_path / "all.db"))


async def _ask_too_early(runs, database):
    history, tasks = History(database), Metadata(database)
    logs = Logs(history, None)
    run = Run(run_id="uid", namespace=runs.namespace, name="run")
    (step,) = await tasks.save([Execution(run="uid", path="root/say", pod="not-yet", started=1)])

    async def said(**asked):
        chunks = Listener(runs.client, tasks, logs).read(run, "say", **asked)
        return b"".join([chunk async for chunk in chunks])

    for follow in (False, True):
        with pytest.raises(errors.BadRequestError, match="root/say, attempt 0: it has not begun"):
            await said(follow=follow)
    await logs.keep(Place("uid", "root/say", 0), pieces(b"words"))
    assert await said(follow=True) == b"words"
    await tasks.save([dataclasses.replace(step, attempt=1, ended=2)])
    with pytest.raises(errors.NotFoundError, match="root/say, attempt 1: it has said nothing"):
        await said()
    await history.close()
    await tasks.close()


def test_a_step_that_runs_is_listened_to(runs, pipeline, said, tmp_path):
    made = pipeline()
    made.step("talk", f"echo begin; until [ -e {tmp_path}/go ]; do sleep 0.1; done; echo end")
    made.task("talk")
    run = runs.start(made.spec())

    def heard():
        try:
            return said(run, "talk")
        except (errors.NotFoundError, errors.BadRequestError):
            return ""

    eventually(lambda: heard() == "begin\n", 120, what="the step's first words")
    (tmp_path / "go").touch()
    assert said(run, "talk", follow=True) == "begin\nend\n"
    runs.ended()
    assert said(run, "talk") == "begin\nend\n"
    assert asyncio.run(files_of(runs, run)) == "begin\nend\n"


async def files_of(runs, run):
    """Return what the platform's folder has of the step."""
    folder = runs.platform.directory / "products" / "pipeline-logs"
    content = await Logs(History("sqlite://"), folder).kept(
        Place(metadata.uid(run), "root/talk", 0)
    )
    return (content or b"").decode()
