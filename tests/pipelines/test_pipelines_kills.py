"""The control plane is killed over and over while a pipeline runs: each task's effect is there once."""

import asyncio
import random
import time

import pytest

from wherry.metadata.store import Metadata
from wherry.objects import errors, metadata
from wherry.pipelines import kinds, status
from wherry.testing.waiting import eventually

KILLS = 50
TURNS = 66
"""With three steps each; with what goes before and after, 200 tasks."""
OUT = "{{$.outputs.parameters['out'].output_file}}"


def spec(pipeline, folder):
    """Return a pipeline whose steps note in a folder that they have begun, and hand on numbers."""
    made = pipeline(folder="STRING")
    note = f"echo x >> {folder}/{{{{$.inputs.parameters['name']}}}}-$KIND; sleep 0.05; "
    number = {"name": "STRING", "n": "NUMBER_INTEGER"}
    for kind in ("a", "b", "c"):
        made.step(
            kind,
            f"{note} echo $(({{{{$.inputs.parameters['n']}}}} + 1)) > {OUT}",
            inputs=number,
            outputs={"out": "NUMBER_INTEGER"},
            env=[{"name": "KIND", "value": kind}],
        )
    inner: dict[str, object] = {}
    loop = made.component("loop", {"item": "NUMBER_INTEGER"}, {"out": "LIST"})
    given = {"name": {"item"}, "n": {"item"}}
    made.task("a", inside=inner, parameters=given)
    made.task("b", inside=inner, parameters={**given, "n": ("a", "out")})
    made.task("c", inside=inner, parameters={**given, "n": ("b", "out")})
    source = {"producerSubtask": "c", "outputParameterKey": "out"}
    loop["dag"] = {
        "tasks": inner,
        "outputs": {"parameters": {"out": {"valueFromParameter": source}}},
    }
    made.step(
        "list", f"seq {TURNS} | paste -sd, | sed 's/.*/[&]/' > {OUT}", outputs={"out": "LIST"}
    )
    made.step(
        "all",
        f"echo '{{{{$.inputs.parameters['all']}}}}' > {OUT}",
        inputs={"all": "LIST"},
        outputs={"out": "LIST"},
    )
    made.task("list")
    made.task(
        "loop",
        parameters={"items": ("list", "out")},
        parameterIterator={"items": {"inputParameter": "items"}, "itemInput": "item"},
        iteratorPolicy={"parallelismLimit": 8},
    )
    loop["inputDefinitions"]["parameters"]["items"] = {"parameterType": "LIST"}
    made.task("all", parameters={"all": ("loop", "out")})
    made.output("all", "all", "out", "LIST")
    return made.spec(runtimeConfig={"parameters": {"folder": str(folder)}})


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_task_is_lost_and_none_runs_twice(running, pipeline, tmp_path):
    folder = tmp_path / "noted"
    folder.mkdir()
    body = {
        "metadata": {"name": "run", "namespace": "default"},
        "spec": spec(pipeline, folder),
    }
    made = running.ask(lambda client: client.create(kinds.PIPELINE_RUNS, body))
    chance = random.Random(7)
    for _ in range(KILLS):
        time.sleep(chance.uniform(0, 0.5))
        running.restart()
    run = eventually(lambda: ended(running), 900)
    assert run["status"]["state"] == kinds.SUCCEEDED, run["status"]
    assert run["status"]["outputs"] == {"all": [n + 3 for n in range(1, TURNS + 1)]}
    noted = {path.name: path.read_text() for path in folder.iterdir()}
    wanted = {f"{n}-{kind}" for n in range(1, TURNS + 1) for kind in "abc"}
    assert noted == dict.fromkeys(wanted, "x\n")
    rows = asyncio.run(kept(running, metadata.uid(made)))
    assert {row.state for row in rows} == {"SUCCEEDED"}
    assert {row.attempt for row in rows} == {0}


def ended(platform):
    """Return the run once it has ended; None before, and while nobody answers."""
    try:
        run = platform.ask(lambda client: client.get(kinds.PIPELINE_RUNS, "run", "default"))
    except (errors.ApiError, OSError):
        return None
    return run if status.is_finished(run) else None


async def kept(platform, uid):
    """Return what the database holds of a run."""
    store = Metadata(platform.directory / "products" / "metadata" / "metadata.db")
    try:
        return await store.of_run(uid)
    finally:
        await store.close()
