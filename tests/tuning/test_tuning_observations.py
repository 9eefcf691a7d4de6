"""The database of reported values: SQLite here, PostgreSQL where a server and a driver are there."""

import asyncio
import os
import pwd
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from wherry.testing.waiting import eventually
from wherry.tuning.observations import record
from wherry.tuning.observations.database import Database, DatabaseError
from wherry.tuning.observations.record import Owner, Record
from wherry.tuning.observations.store import Observations, ObservationsError
from wherry.tuning.observations.summary import Tally

_SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


@pytest.fixture
def postgresql(tmp_path_factory) -> Iterator[str]:
    """Give the URL of a server of the test's own, on a socket in a folder."""
    pytest.importorskip("psycopg")
    if not _SERVERS:
        pytest.skip("no PostgreSQL server is installed")
    tools = _SERVERS[-1].parent
    folder = tmp_path_factory.mktemp("postgresql", numbered=True)
    # The server does not run as root, and sockets have short names.
    user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if user else []
    place = Path("/tmp", f"wherry-pg-{os.getpid()}")
    place.mkdir(mode=0o700)
    if user:
        os.chown(place, user.pw_uid, user.pw_gid)
    data = place / "data"
    subprocess.run(
        [*as_user, tools / "initdb", "-D", data, "-A", "trust"],
        check=True,
        cwd="/",
        stdout=subprocess.DEVNULL,
    )
    arguments = ["-D", data, "-k", place, "-c", "listen_addresses=", "-c", "fsync=off"]
    with (folder / "log").open("wb") as log:
        command = [*as_user, str(tools / "postgres"), *map(str, arguments)]
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
    try:
        eventually((place / ".s.PGSQL.5432").exists, 30)
        who = "postgres" if user else pwd.getpwuid(os.getuid()).pw_name
        yield f"postgresql+psycopg://{who}@/postgres?host={place}"
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(place)


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request, tmp_path):
    if request.param == "sqlite":
        return tmp_path / "observations.db"
    return request.getfixturevalue("postgresql")


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
