"""The papers tell the truth: links resolve, commands exist, versions agree, no machine shows through."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

# They read every file of the tree.
pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).resolve().parent.parent
# Made by tools or by `make`, and not part of the repository.
MADE = {"build", "dist", "node_modules", "__pycache__"}
PAPERS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/**/*.md")]
)
# Written in pieces, so that this file does not find itself.
FOREIGN = [
    r"(?<![\w.)}])/work/(?:main|shared|" + r"\.)",
    "/opt/" + "pypi",
    r"(?:pypi\.org|pythonhosted\.org|/root/|/home/[a-z]+/)" + r"(?:simple|packages|pypi|\.(?!ssh))",
    r"(?m)^\s*(?:--(?:extra-)?index-" + r"url|--trusted-host|--find-links)\b",
]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _files() -> Iterator[Path]:
    for top in ROOT.iterdir():
        if top.name in MADE or (top.name.startswith(".") and top.name != ".ci"):
            continue
        for path in [top] if top.is_file() else top.rglob("*"):
            if path.is_file() and not MADE & set(path.parts) and path.suffix != ".pyc":
                yield path


def _prose(paper: Path) -> str:
    return re.sub(r"^```.*?^```", "", paper.read_text(), flags=re.MULTILINE | re.DOTALL)


def _anchors(paper: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _prose(paper), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def _commands(paper: Path) -> Iterator[str]:
    """Yield the command lines of the blocks that are marked as commands."""
    for language, block in BLOCK.findall(paper.read_text()):
        if language in {"bash", "sh", "console", "shell"}:
            for line in block.replace("\\\n", " ").splitlines():
                yield line.strip().removeprefix("$ ")


def _package(requirement: str) -> str:
    return re.split(r"[<>=;\[ ]", requirement)[0].lower()


def test_nothing_tells_of_one_machine_or_one_package_index():
    found = []
    for path in _files():
        text = path.read_text(encoding="utf-8")
        found += [(path.relative_to(ROOT), one) for one in FOREIGN if re.search(one, text)]
    assert found == []


def test_every_dependency_is_locked_by_its_content():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    own, groups = project["project"]["dependencies"], project["dependency-groups"]
    wanted = {**groups, "run": own, "dev": own + groups["dev"]}
    assert {path.stem for path in (ROOT / "requirements").glob("*.txt")} == wanted.keys()
    for name, requirements in wanted.items():
        lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
        pins = [line for line in lines if re.match(r"[a-z0-9]", line)]
        assert [pin for pin in pins if not re.match(r"[\w.-]+==\S+.* \\$", pin)] == []
        assert sum("--hash=sha256:" in line for line in lines) >= len(pins)
        names = {pin.split("==")[0] for pin in pins}
        assert {_package(one) for one in requirements} - names == set()


def test_every_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text()
    told = set(re.findall(r"^\| ([a-z0-9-]+) \|", page, re.MULTILINE)) - {"package"}
    assert told == {_package(one) for one in project["dependencies"]}


def test_the_changelog_tells_of_this_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.search(
        rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_resolve(paper: Path):
    broken = []
    for link in LINK.findall(_prose(paper)):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        path = (paper.parent / target).resolve() if target else paper
        if not path.exists() or (anchor and anchor not in _anchors(path)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_name_what_exists(paper: Path):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    broken = []
    for command in _commands(paper):
        made = re.match(r"make ((?:[\w=./\" -]|…)+)", command)
        words = [word for word in (made[1].split() if made else []) if "=" not in word]
        broken += [command for word in words if word not in targets and not word.startswith("-")]
        files = re.findall(
            r"(?<![\w/.])((?:examples|docs|benchmarks|scripts|tests|src)/[\w./-]+)", command
        )
        broken += [command for file in files if not (ROOT / file).exists()]
    assert broken == []


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_in_papers_is_python(paper: Path):
    for language, block in BLOCK.findall(paper.read_text()):
        if language == "python":
            ast.parse(block)


def test_every_decision_is_listed():
    folder = ROOT / "docs" / "decisions"
    pages = sorted(path.name for path in folder.glob("[0-9]*.md"))
    listed = LINK.findall((folder / "README.md").read_text())
    assert sorted(name for name in listed if re.match(r"\d{4}-", name)) == pages
    assert [name[:4] for name in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
