"""Whose process is it, and which kubeconfig is written where."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from wherry.cli import processes
from wherry.cli.home import Home

Run = Callable[..., Any]


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process that is not Wherry's."""
    process = subprocess.Popen(["sleep", "60"])
    yield process.pid
    process.kill()
    process.wait()


def leave(home: Home, pid: int, started: float) -> None:
    home.directory.mkdir(parents=True, exist_ok=True)
    said = {"pid": pid, "url": "https://127.0.0.1:1", "version": "0", "started": started}
    home.state_file.write_text(json.dumps(said))


def test_nothing_runs_in_an_empty_folder(tmp_path: Path) -> None:
    assert Home(tmp_path).running() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', '{"pid": 1}'])
def test_a_damaged_state_file_is_not_believed(tmp_path: Path, text: str) -> None:
    (tmp_path / "wherry.json").write_text(text)
    assert Home(tmp_path).running() is None


def test_a_number_that_another_process_has_now_is_not_believed(
    tmp_path: Path, stranger: int
) -> None:
    leave(Home(tmp_path), stranger, time.time())
    assert Home(tmp_path).running() is None


def test_a_process_that_began_later_is_another_one(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)", "wherry"]
    with subprocess.Popen(command) as process:
        leave(Home(tmp_path), process.pid, time.time() - 3600)
        before = Home(tmp_path).running()
        leave(Home(tmp_path), process.pid, time.time())
        after = Home(tmp_path).running()
        process.kill()
    assert before is None
    assert after is not None
    assert after.pid == process.pid
    assert not processes.alive(process.pid)


def test_status_and_down_where_nothing_runs(typed: Run) -> None:
    assert typed("status").code == 3
    assert json.loads(typed("status", "-o", "json").out)["running"] is False
    outcome = typed("down")
    assert (outcome.code, outcome.out[:19]) == (0, "Nothing was running")


@pytest.fixture
def own(home: Path, cluster: Any) -> Path:
    """Wherry's own kubeconfig, as a platform leaves it."""
    path = home / "wherry" / "kubeconfig"
    path.parent.mkdir()
    path.write_bytes(cluster.kubeconfig.read_bytes())
    return path


def test_kubeconfig_prints_and_touches_nothing(typed: Run, own: Path, home: Path) -> None:
    config = yaml.safe_load(typed("kubeconfig").out)
    assert config["current-context"] == "wherry"
    assert not (home / ".kube").exists()


def test_kubeconfig_to_a_file(typed: Run, own: Path, tmp_path: Path) -> None:
    assert typed("kubeconfig", "--path", str(tmp_path / "new" / "config")).code == 0
    path = tmp_path / "new" / "config"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("{contexts: [{name: work, context: {}}]}")
    outcome = typed("kubeconfig", "--path", str(path))
    assert outcome.code == 1
    assert "holds other contexts (work)" in outcome.err


def test_kubeconfig_merges_into_the_users_own(
    typed: Run, own: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = home / "mine"
    mine.write_text(
        "{current-context: work, preferences: {colors: true},"
        " clusters: [{name: work, cluster: {server: 'https://a'}}], users: [{name: me, user: {token: t}}],"
        " contexts: [{name: work, context: {cluster: work, user: me}}]}"
    )
    monkeypatch.setenv("KUBECONFIG", f"{own}:{mine}")
    assert typed("kubeconfig", "--merge").code == 0
    merged = yaml.safe_load(mine.read_text())
    assert [each["name"] for each in merged["contexts"]] == ["wherry", "work"]
    assert merged["current-context"] == "wherry"
    assert merged["preferences"] == {"colors": True}
    assert {"name": "me", "user": {"token": "t"}} in merged["users"]
    assert typed("kubeconfig", "--merge").code == 0
    assert yaml.safe_load(mine.read_text()) == merged
    assert typed("get", "ns", "--kubeconfig", str(mine), "-o", "name").code == 0


def test_kubeconfig_of_an_account(typed: Run, own: Path, cluster: Any, tmp_path: Path) -> None:
    cluster.make_namespace("team")
    path = tmp_path / "account"
    assert typed("kubeconfig", "--user", "team/default", "--path", str(path)).code == 0
    config = yaml.safe_load(path.read_text())
    assert list(config["users"][0]["user"]) == ["token"]
    outcome = typed("get", "nodes", "--kubeconfig", str(path))
    assert outcome.code == 1
    assert 'User "system:serviceaccount:team:default" cannot' in outcome.err
    assert typed("kubeconfig", "--user", "team").code == 2
    assert "not found" in typed("kubeconfig", "--user", "team/nobody").err


def test_no_kubeconfig_before_the_first_start(typed: Run) -> None:
    outcome = typed("kubeconfig")
    assert outcome.code == 1
    assert "wherry up" in outcome.err


def test_a_context_of_a_file(typed: Run, own: Path) -> None:
    outcome = typed("get", "ns", "--kubeconfig", str(own), "--context", "nope")
    assert outcome.code == 1
    assert "contexts has no 'nope'; it has test" in outcome.err


def test_another_cluster_than_wherry_is_named(
    typed: Run, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", os.fspath(own))
    outcome = typed("get", "ns")
    assert outcome.code == 0
    assert "no Wherry runs in" in outcome.err
