"""Upstream's cases by their names: which test proves which, and a report of how they came out.

A test bears ``@pytest.mark.conformance(suite, group=..., name=...)``, the name as upstream writes it
(without tags such as ``[Conformance]``, and without the group in brackets before it). The names of a
group are listed beside its tests, in ``<suite>/names/<group>.json``; those that cannot apply here
carry ``notApplicable`` with the reason. A name that has neither a test nor a reason has failed.

With ``--conformance-report DIR`` the run writes ``DIR/<suite>.json``; `scripts/render_conformance.py`
makes the page of it.
"""

import functools
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

HERE = Path(__file__).resolve().parent


class Case(NamedTuple):
    """One name of upstream's."""

    suite: str
    group: str
    name: str


_OUTCOMES: dict[Case, list[str]] = {}
"""What is wrong with each case that ran, test by test; nothing wrong is an empty text."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--conformance-report",
        metavar="DIR",
        type=Path,
        default=None,
        help="write DIR/<suite>.json: how each upstream case came out",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "conformance(suite, *, group, name): the upstream case that the test proves"
    )


def pytest_itemcollected(item: pytest.Item) -> None:
    # What is kept in `user_properties` travels from the workers of xdist to the one who reports.
    item.user_properties.extend(("conformance", list(case)) for case in _cases(item))


def pytest_runtest_setup(item: pytest.Item) -> None:
    for case in _cases(item):
        if case.name not in _names(case.suite).get(case.group, {}):
            pytest.fail(f"{case.suite}/names/{case.group}.json does not list {case.name!r}")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    values: list[Any] = [value for key, value in report.user_properties if key == "conformance"]
    cases = [Case(*value) for value in values]
    for case in cases:
        if (outcome := _outcome(report)) is not None:
            _OUTCOMES.setdefault(case, []).append(outcome)


def _outcome(report: pytest.TestReport) -> str | None:
    """Return what is wrong, an empty text if nothing is, None if this phase does not decide."""
    if hasattr(report, "wasxfail"):
        return str(report.wasxfail).removeprefix("reason: ") or "known to fail"
    if report.skipped:
        told = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        return f"not run: {told.removeprefix('Skipped: ')}"
    if report.failed:
        crash = getattr(report.longrepr, "reprcrash", None)
        said = crash.message if crash else str(report.longrepr)
        return f"the test failed: {said.splitlines()[0][:200]}" if said else "the test failed"
    return "" if report.when == "call" else None


def pytest_sessionfinish(session: pytest.Session) -> None:
    folder: Path | None = session.config.getoption("--conformance-report", default=None)
    if folder is None or hasattr(session.config, "workerinput"):
        return
    folder.mkdir(parents=True, exist_ok=True)
    for suite in sorted({case.suite for case in _OUTCOMES if _has_run(case.suite)}):
        text = json.dumps(_rows(suite), indent=1, ensure_ascii=False) + "\n"
        (folder / f"{suite}.json").write_text(text, encoding="utf-8")


def _has_run(suite: str) -> bool:
    """Return whether any case was run: one that lacks its upstream checkout keeps its old report."""
    outcomes = [each for case, found in _OUTCOMES.items() if case.suite == suite for each in found]
    return not all(outcome.startswith("not run: ") for outcome in outcomes)


def _rows(suite: str) -> list[dict[str, str]]:
    return [
        {"name": name, "group": group, **_result(Case(suite, group, name), reason)}
        for group, names in sorted(_names(suite).items())
        for name, reason in sorted(names.items())
    ]


def _result(case: Case, reason: str) -> dict[str, str]:
    outcomes = _OUTCOMES.get(case)
    if outcomes is None:
        return {"result": "n/a" if reason else "fail", "reason": reason or "not ported"}
    wrong = next(filter(None, outcomes), "")
    return {"result": "fail" if wrong else "pass", "reason": wrong}


def _cases(item: pytest.Item) -> list[Case]:
    found = []
    for mark in item.iter_markers("conformance"):
        (suite,) = mark.args
        found.append(Case(suite, **mark.kwargs))
    return found


@functools.cache
def _names(suite: str) -> dict[str, dict[str, str]]:
    """Return the names of each group, with the reason why they cannot apply, or nothing."""
    folder = HERE / suite.replace("-", "_") / "names"
    return {
        str(path.relative_to(folder).with_suffix("")): _group(path)
        for path in folder.rglob("*.json")
    }


def _group(path: Path) -> dict[str, str]:
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    names = {row["name"]: row.get("notApplicable", "") for row in rows}
    assert len(names) == len(rows), f"{path} lists a name twice"
    return names
