"""The database of reported values: SQLite, and PostgreSQL and MariaDB where server and driver are there."""

import asyncio
import sqlite3

import pytest

from wherry.embedded.settings import Settings
from wherry.metadata.errors import DatabaseError
from wherry.objects import metadata
from wherry.testing import builders
from wherry.testing.databases import mariadb, mariadb_server, postgresql, postgresql_server
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.waiting import eventually
from wherry.tuning.kinds import EXPERIMENTS, TRIALS
from wherry.tuning.observations import record
from wherry.tuning.observations.database import Database
from wherry.tuning.observations.record import Owner, Record
from wherry.tuning.observations.store import Observations, ObservationsError
from wherry.tuning.observations.summary import Tally

__all__ = ["mariadb", "mariadb_server", "postgresql", "postgresql_server"]

_SLOWLY = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(params=["sqlite", "postgresql", pytest.param("mariadb", marks=_SLOWLY)])
def where(request, tmp_path):
    if request.param == "sqlite":
        return tmp_path / "observations.db"
    return request.getfixturevalue(request.param)


_ONE = Owner("ns", "one", "uid-1")
_AGAIN = Owner("ns", "one", "uid-2")


def test_values_come_back_as_they_were_stored(where):
    database = Database(where)
    rows = [
        Record("loss", "0.5", 5, 1, "pod", "a"),
        Record("loss", "Genotype(normal=[(1, 2)])", 2**62, None, "pod", "b"),
    ]
    sent = Record("accuracy", "1", 7)
    database.add([(_ONE, each) for each in rows])
    database.add([(_AGAIN, Record("loss", "9", 1))])
    database.add([(Owner("", "one"), sent)])
    assert database.of(_ONE) == [*rows, sent]
    assert [each.value for each in database.of(Owner("", "one"))] == [
        "0.5",
        rows[1].value,
        "9",
        "1",
    ]
    named = database.named(["one", "two"], "loss")
    assert [(owner.uid, each.value) for owner, each in named][:1] == [("uid-1", "0.5")]
    database.delete(_ONE)
    assert [each.value for each in database.of(_AGAIN)] == ["9"]
    database.close()


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_a_search_keeps_its_values_in_a_server(request, server, tmp_path):
    url = request.getfixturevalue(server)
    options = {"tuning-database": url}
    platform = InProcessPlatform(Settings(directory=tmp_path / "p", port=0, options=options))
    platform.start()
    try:
        call, client = platform.call, platform.client
        script = "for epoch in range(3): print(f'loss={${trialParameters.x} + epoch}')"
        pod = {"containers": [builders.container("main", python=script)]}
        job = builders.job("x", template=pod, backoffLimit=0)
        del job["metadata"]
        space = {"min": "5", "max": "9"}
        spec = {
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "algorithm": {"algorithmName": "random"},
            "maxTrialCount": 1,
            "parallelTrialCount": 1,
            "parameters": [{"name": "x", "parameterType": "int", "feasibleSpace": space}],
            "trialTemplate": {
                "primaryContainerName": "main",
                "trialParameters": [{"name": "x", "reference": "x"}],
                "trialSpec": job,
            },
        }
        made = {"metadata": {"name": "kept", "namespace": "default"}, "spec": spec}
        call(client.create(EXPERIMENTS, made))

        def ended():
            found = call(client.get(EXPERIMENTS, "kept", "default"))
            return found.get("status", {}).get("completionTime")

        eventually(ended, 120)
        (trial,) = call(client.list(TRIALS, "default"))
        owner = Owner("default", metadata.name(trial), metadata.uid(trial))
        x = int(trial["spec"]["parameterAssignments"][0]["value"])
        database = Database(url)
        assert [int(each.value) for each in database.of(owner)] == [x, x + 1, x + 2]
        call(client.delete(EXPERIMENTS, "kept", "default"))
        eventually(lambda: not database.of(owner), 120)
        database.close()
    finally:
        platform.stop()


async def test_many_at_once_are_all_there(where):
    store = Observations(where)
    owners = [Owner("ns", f"t{number}", str(number)) for number in range(50)]
    values = [Record("loss", str(number), number) for number in range(20)]
    await asyncio.gather(*(store.add(owner, values) for owner in owners))
    assert await store.of(owners[7]) == values
    await store.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "the URL cannot be read"),
        ("oracle://host/x", "'oracle': there are sqlite, postgresql, mysql and mariadb"),
        ("sqlite:////nowhere/at/all.db", "unable to open database file"),
        ("postgresql+nobody://me:secret@host/x", "nobody"),
    ],
)
async def test_databases_that_cannot_be_used_are_named_without_passwords(url, message):
    with pytest.raises(ObservationsError, match=message) as failure:
        await Observations(url).of(_ONE)
    assert "secret" not in str(failure.value)


def test_a_table_that_went_away_is_told(tmp_path):
    database = Database(tmp_path / "d.db")
    with sqlite3.connect(tmp_path / "d.db") as other:
        other.execute("DROP TABLE observation_logs")
    other.close()
    with pytest.raises(DatabaseError, match=r"d\.db: no such table"):
        database.add([(_ONE, Record("loss", "1", 1))])
    database.close()


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:00.5z", 5 * 10**8),
        ("yesterday", None),
        ("2024-13-01T00:00:00Z", None),
        ("1970-01-01T00:00:00", None),
    ],
)
def test_times(text, nanoseconds):
    assert record.nanoseconds(text) == nanoseconds
    if nanoseconds is not None:
        assert record.nanoseconds(record.text(nanoseconds)) == nanoseconds


def test_sums():
    tally = Tally(["loss", "other"])
    tally.add(
        [
            Record("loss", "2", 10),
            Record("loss", "1e0", 30),
            Record("loss", "3", 20),
            Record("loss", "nan", 5),
            Record("ignored", "9", 1),
        ]
    )
    (found,) = tally.summaries
    assert found.as_object() == {"name": "loss", "min": "1e0", "max": "3", "latest": "1e0"}
    assert list(tally.curve) == [2, 1, 3]
    assert found.value("max") == "3"


def test_what_is_no_number_has_a_latest_value():
    tally = Tally(["genotype"])
    tally.add([Record("genotype", "Genotype(a)", 1), Record("genotype", "Genotype(b)", 1)])
    (found,) = tally.summaries
    assert (found.min, found.latest) == ("unavailable", "Genotype(b)")
    assert found.value("max") == "Genotype(b)"
