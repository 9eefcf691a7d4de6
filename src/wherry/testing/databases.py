"""PostgreSQL and MariaDB as pytest fixtures, servers of the tests' own; import those you use, and their servers.

Debian's packages, got by apt-get where they are missing and that is possible; else the test is skipped
and says why. Each test module has a database of its own.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from wherry.testing.registries import installed
from wherry.testing.waiting import eventually

_START_SECONDS = 120
_STOP_SECONDS = 60
_NAME = "made"


@dataclass(frozen=True, slots=True)
class Server:
    """A database server that listens on a socket in a folder.

    Attributes:
        create: Makes an empty database, in the place of an earlier one.
        url: Of that database, as SQLAlchemy takes it.
    """

    create: Callable[[], None]
    url: str


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    """Give a server of PostgreSQL."""
    with serving_postgresql() as server:
        yield server


@contextmanager
def serving_postgresql() -> Iterator[Server]:
    """Have a server of PostgreSQL run."""
    psycopg: Any = pytest.importorskip("psycopg")
    tools = Path(installed("initdb")).parent
    # The server does not run as root.
    user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if user else []
    with _folder("pg", user) as folder:
        data, who = folder / "data", "postgres" if user else pwd.getpwuid(os.getuid()).pw_name
        _run(folder, *as_user, str(tools / "initdb"), "-D", str(data), "-A", "trust")
        options = ("-k", str(folder), "-c", "listen_addresses=", "-c", "fsync=off")

        def execute(*statements: str) -> None:
            with psycopg.connect(
                host=str(folder), user=who, dbname="postgres", autocommit=True
            ) as connection:
                for statement in statements:
                    connection.execute(statement.encode())

        def answers() -> bool:
            try:
                execute("SELECT 1")
            except psycopg.OperationalError:
                return False  # it listens before it has started up
            return True

        def create() -> None:
            execute(f"DROP DATABASE IF EXISTS {_NAME} WITH (FORCE)", f"CREATE DATABASE {_NAME}")

        with _serving(
            folder, answers, *as_user, str(tools / "postgres"), "-D", str(data), *options
        ):
            yield Server(create, f"postgresql+psycopg://{who}@/{_NAME}?host={folder}")


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[Server]:
    """Give a server of MariaDB."""
    pymysql: Any = pytest.importorskip("pymysql")

    install, daemon = installed("mariadb-install-db"), installed("mariadbd")
    installed("my_print_defaults")  # which the first calls
    with _folder("maria", None) as folder:
        socket, user = folder / "socket", pwd.getpwuid(os.getuid()).pw_name
        own = ("--no-defaults", f"--datadir={folder / 'data'}", f"--user={user}")
        _run(folder, install, *own, "--auth-root-authentication-method=normal", "--skip-test-db")

        def create() -> None:
            with (
                pymysql.connect(unix_socket=str(socket), user="root") as connection,
                connection.cursor() as cursor,
            ):
                cursor.execute(f"DROP DATABASE IF EXISTS {_NAME}")
                cursor.execute(f"CREATE DATABASE {_NAME} CHARACTER SET utf8mb4")

        with _serving(
            folder, socket.exists, daemon, *own, f"--socket={socket}", "--skip-networking"
        ):
            yield Server(create, f"mysql+pymysql://root@localhost/{_NAME}?unix_socket={socket}")


@pytest.fixture(scope="module")
def postgresql(postgresql_server: Server) -> str:
    """Give the URL of an empty database of PostgreSQL."""
    postgresql_server.create()
    return postgresql_server.url


@pytest.fixture(scope="module")
def mariadb(mariadb_server: Server) -> str:
    """Give the URL of an empty database of MariaDB."""
    mariadb_server.create()
    return mariadb_server.url


@contextmanager
def _folder(name: str, owner: pwd.struct_passwd | None) -> Iterator[Path]:
    # Sockets have short names; and each file that imports the fixtures has a server of its own.
    folder = Path(tempfile.mkdtemp(prefix=f"wherry-{name}-", dir="/tmp"))
    if owner is not None:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _run(folder: Path, *command: str) -> None:
    with (folder / "log").open("ab") as log:
        subprocess.run(  # noqa: S603 - a program of the package just found
            command, check=True, cwd="/", stdout=log, stderr=log, timeout=_START_SECONDS
        )


@contextmanager
def _serving(folder: Path, answers: Callable[[], bool], *command: str) -> Iterator[None]:
    with (folder / "log").open("ab") as log:
        server = subprocess.Popen(command, cwd="/", stdout=log, stderr=log)  # noqa: S603 - as above

    def up() -> bool:
        assert server.poll() is None, (folder / "log").read_text()
        return answers()

    try:
        eventually(up, _START_SECONDS)
        yield
    finally:
        server.terminate()
        server.wait(_STOP_SECONDS)
