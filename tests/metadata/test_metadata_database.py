"""Databases are brought to the newest schema, whoever has made them."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy
from sqlalchemy import Column, Integer, MetaData, String, Table

from wherry.metadata import database as database_module
from wherry.metadata import schema
from wherry.metadata.database import Database, Schema, shown
from wherry.metadata.errors import DatabaseError, DuplicateError

_OLD = MetaData()
_OLD_BOATS = Table("boats", _OLD, Column("id", Integer, primary_key=True))
_NEW = MetaData()
_NEW_BOATS = Table(
    "boats", _NEW, Column("id", Integer, primary_key=True), Column("oars", String(20))
)


def _add_oars(connection: sqlalchemy.Connection) -> None:
    connection.execute(sqlalchemy.text("ALTER TABLE boats ADD COLUMN oars VARCHAR(20)"))


def _fill_oars(connection: sqlalchemy.Connection) -> None:
    connection.execute(sqlalchemy.update(_NEW_BOATS).values(oars="two"))


def _boats(database: Database) -> list[tuple[object, ...]]:
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(sqlalchemy.select(_NEW_BOATS))]


def _add_twice(database: Database) -> None:
    with database.write() as connection:
        connection.execute(sqlalchemy.insert(_OLD_BOATS), {"id": 1})
        connection.execute(sqlalchemy.insert(_OLD_BOATS), {"id": 1})


@pytest.fixture
def name(where) -> str:
    # Servers are shared by tests; what other tests have made there goes first.
    database = Database(where, Schema("boats-clearing", MetaData()))
    with database.write() as connection:
        _OLD.drop_all(connection)
        connection.execute(sqlalchemy.text("DELETE FROM wherry_schemas WHERE name = 'boats'"))
    database.close()
    return "boats"


def test_older_tables_are_changed_and_keep_what_is_in_them(where, name):
    old = Database(where, Schema(name, _OLD))
    with old.write() as connection:
        connection.execute(sqlalchemy.insert(_OLD_BOATS), {"id": 1})
    old.close()
    schema = Schema(name, _NEW, (_add_oars, _fill_oars))
    for _ in range(2):
        new = Database(where, schema)
        assert _boats(new) == [(1, "two")]
        new.close()
    with pytest.raises(DatabaseError, match="of version 3 and this Wherry knows those up to 1"):
        Database(where, Schema(name, _OLD))


def test_tables_without_a_version_are_of_the_first(where, name):
    old = Database(where, Schema(name, _OLD))
    with old.write() as connection:
        connection.execute(sqlalchemy.insert(_OLD_BOATS), {"id": 1})
        connection.execute(sqlalchemy.text("DELETE FROM wherry_schemas WHERE name = 'boats'"))
    old.close()
    new = Database(where, Schema(name, _NEW, (_add_oars, _fill_oars)))
    assert _boats(new) == [(1, "two")]
    new.close()


def test_new_tables_are_not_changed(where, name):
    database = Database(where, Schema(name, _NEW, (_add_oars, _fill_oars)))
    assert _boats(database) == []
    database.close()


def test_replicas_that_start_at_once_change_tables_once(where, name):
    old = Database(where, Schema(name, _OLD))
    with old.write() as connection:
        connection.execute(sqlalchemy.insert(_OLD_BOATS), {"id": 1})
    old.close()
    wanted = Schema(name, _NEW, (_add_oars, _fill_oars))
    with ThreadPoolExecutor(4) as replicas:
        opened = [*replicas.map(lambda _: Database(where, wanted), range(4))]
    for each in opened:
        assert _boats(each) == [(1, "two")]
        each.close()


@pytest.mark.slow
def test_tables_that_another_process_changes_for_long_are_left_alone(mariadb, monkeypatch):
    lock = "SELECT GET_LOCK('wherry_schemas', 0)"
    for dialect in ("mysql", "mariadb"):
        monkeypatch.setitem(database_module._LOCKS, dialect, lock)
    first = Database(mariadb, Schema("boats-locked", _OLD))
    with first.read() as connection:
        assert connection.exec_driver_sql(lock).scalar() == 1
        with pytest.raises(DatabaseError, match="another process has been changing its tables"):
            Database(mariadb, Schema("boats-locked", _OLD))
    first.close()
    Database(mariadb, Schema("boats-locked", _OLD)).close()


def _indexes_by_time(database: Database) -> list[str]:
    with database.read() as connection:
        inspector = sqlalchemy.inspect(connection)
        return [
            str(each["name"])
            for table in (schema.ARTIFACTS, schema.EXECUTIONS)
            for each in inspector.get_indexes(table.name)
            if each["column_names"][:1] == ["created"]
        ]


def test_metadata_of_before_gets_its_indexes(where):
    old = Database(where, schema.SCHEMA)
    expected = ["metadata_artifacts_by_time", "metadata_executions_by_time"]
    assert _indexes_by_time(old) == expected
    with old.write() as connection:
        for table in (schema.ARTIFACTS, schema.EXECUTIONS):
            for index in table.indexes:
                if index.name in expected[:1]:
                    index.drop(connection)
        connection.execute(
            sqlalchemy.text("UPDATE wherry_schemas SET version = 2 WHERE name = 'metadata'")
        )
    assert _indexes_by_time(old) == expected[1:], "broken off in the middle"
    old.close()
    new = Database(where, schema.SCHEMA)
    assert _indexes_by_time(new) == expected
    new.close()


def test_what_fails_is_taken_back(where, name):
    database = Database(where, Schema(name, _OLD))
    with pytest.raises(DuplicateError):
        _add_twice(database)
    with database.read() as connection:
        assert connection.execute(sqlalchemy.select(_OLD_BOATS)).all() == []
    database.close()


@pytest.mark.parametrize("durable", [True, False])
def test_commits_wait_for_the_disk_when_they_should(tmp_path, durable):
    database = Database(tmp_path / "d.db", schema.SCHEMA)
    for wanted in (not durable, durable):
        with database.write(durable=wanted) as connection:
            pragma = connection.execute(sqlalchemy.text("PRAGMA synchronous")).scalar_one()
            assert pragma == (2 if wanted else 1)
    database.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "metadata database: the URL cannot be read"),
        ("oracle://host/x", "'oracle': there are sqlite, postgresql, mysql and mariadb"),
        ("sqlite:////nowhere/at/all.db", "unable to open database file"),
        ("postgresql+nobody://me:secret@host/x", "nobody"),
    ],
)
def test_databases_that_cannot_be_used_are_named_without_passwords(url, message):
    with pytest.raises(DatabaseError, match=message) as failure:
        Database(url, schema.SCHEMA)
    assert "secret" not in str(failure.value)


def test_urls_are_shown_without_passwords():
    assert shown("postgresql://me:secret@host/x") == "postgresql://me:***@host/x"
    assert shown("nonsense", "the database") == "the database"


def test_a_new_file_is_opened_by_many_at_once(tmp_path):
    schema = Schema("boats", _OLD)
    with ThreadPoolExecutor(8) as openers:
        for number in range(20):
            url = f"sqlite:///{tmp_path}/{number}.db"
            for each in [*openers.map(lambda _, url=url: Database(url, schema), range(8))]:
                each.close()
