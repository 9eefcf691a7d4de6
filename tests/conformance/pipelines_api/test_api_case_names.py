"""Upstream's cases of its API, by their names, read out of the checkout that WHERRY_PIPELINES names.

Ginkgo's cases are blocks within blocks; those of testify are methods of suites. A case that asserts nothing is
told apart: its body is empty, or it is skipped at once, or a block around it is pending.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).parent
CHECKOUT = os.environ.get("WHERRY_PIPELINES", "")
EMPTY = "upstream's case asserts nothing: it is empty, pending or always skipped"
_FILES = "test_data/sdk_compiled_pipelines"
_HELLO = "hello_world.yaml"
_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"|`[^`]*`|'
    r"\b(?:P?Describe|P?Context|P?It)\(|[(){}\[\]]",
    re.DOTALL,
)
_BLOCK = re.compile(r"(P?)(Describe|Context|It)\(")
_TEXT = re.compile(r'\s*(?:fmt\.Sprintf\()?"((?:\\.|[^"\\])*)"([^\n]*)')
_SUITE_TEST = re.compile(r"^func \(s \*(\w+)\) (Test\w+)\(\) \{", re.MULTILINE)


class Case(NamedTuple):
    """One of them.

    Attributes:
        name: File, the texts of its blocks and its own, for files that are looped over with each file.
        asserts: Whether anything is asserted.
    """

    name: str
    asserts: bool


class _Open(NamedTuple):
    depth: int
    text: str
    pending: bool
    start: int


def cases(checkout: Path) -> Iterator[Case]:
    """Yield the cases of the API's tests, of its two versions."""
    for path in sorted((checkout / "backend/test/v2/api").glob("*_api_test.go")):
        for text, asserts in _ginkgo(path.read_text(encoding="utf-8")):
            for filled in _filled(text, checkout):
                yield Case(f"{path.name}: {filled}", asserts)
    for folder in ("v2/integration", "integration"):
        for path in sorted((checkout / "backend/test" / folder).glob("*_test.go")):
            for suite, name in _SUITE_TEST.findall(path.read_text(encoding="utf-8")):
                yield Case(f"{folder}/{path.name}: {suite}.{name}", asserts=True)


def _ginkgo(source: str) -> Iterator[tuple[str, bool]]:
    depth = 0
    blocks: list[_Open] = []
    for token in _TOKEN.finditer(source):
        found = token[0]
        if block := _BLOCK.fullmatch(found):
            text = _TEXT.match(source, token.end())
            assert text is not None, source[token.start() : token.start() + 200]
            blocks.append(_Open(depth, _named(text), bool(block[1]), text.end(1)))
        if found.endswith(("(", "{", "[")):
            depth += 1
        elif found in ")}]":
            depth -= 1
            if blocks and blocks[-1].depth == depth:
                ended = blocks.pop()
                if _is_case(source, ended):
                    texts = [each.text for each in (*blocks, ended)]
                    pending = any(each.pending for each in (*blocks, ended))
                    body = source[ended.start : token.start()]
                    yield " ".join(texts), not pending and _asserts(body)


def _named(text: re.Match[str]) -> str:
    """Return a text; what is put into it by `Sprintf` in braces in its place."""
    form = text[1].replace('\\"', '"')
    for value in re.findall(r"[\w.!]+", text[2].partition(")")[0]) if "%" in form else ():
        form = re.sub(r"%(?:s|t|d)", f"{{{value}}}", form, count=1)
    return form


def _is_case(source: str, block: _Open) -> bool:
    line = source.rfind("\n", 0, block.start) + 1
    return "It(" in source[line : block.start]


def _asserts(body: str) -> bool:
    within = body.partition("func() {")[2]
    plain = re.sub(r"//[^\n]*", "", within).strip().removesuffix("}").strip()
    return bool(plain) and not re.fullmatch(r'Skip\("[^"]*"\)', plain)


def _filled(text: str, checkout: Path) -> Iterator[str]:
    """Yield a name for each of the files that are looped over."""
    valid, invalid = checkout / _FILES / "valid", checkout / _FILES / "invalid"
    nested, flat = sorted(map(str, _pipelines(valid, "**/*"))), [*_pipelines(invalid, "*")]
    known: Mapping[str, list[str]] = {
        "{pipelineFilePath}": nested,
        "{!param.pipelineCacheDisabled}": ["true", "false"],
        "{helloWorldPipelineFileName}": [_HELLO],
        "{pipelineWithArgsFileName}": ["arguments_parameters.yaml"],
        "{fileName}": sorted(map(str, flat)),
        "{workflowFile}": ["each file"],
        "{pipelineFile}": ["env-var.yaml" if "proxy" in text else "of the first file"],
        "{pipelineURL}": ["a placeholder"],
    }
    names = [text]
    for mark, values in known.items():
        if mark in text:
            names = [name.replace(mark, value) for name in names for value in values]
    if "from file:" not in text:  # Of a folder that upstream no longer has.
        yield from names


def _pipelines(folder: Path, pattern: str) -> Iterator[Path]:
    for path in folder.glob(pattern):
        name = path.name
        other = any(part in name for part in (".py", ".md", ".ipynb", "Dockerfile"))
        if path.is_file() and not name.startswith(".") and not other:
            yield path.relative_to(folder)


@pytest.mark.skipif(not CHECKOUT, reason="WHERRY_PIPELINES names no checkout")
def test_no_case_is_left_out():
    rows = json.loads((HERE / "names" / "api-cases.json").read_text(encoding="utf-8"))
    named = {row["name"]: row.get("notApplicable", "") for row in rows}
    found = {case.name: case.asserts for case in cases(Path(CHECKOUT))}
    assert named.keys() == found.keys()
    assert {name for name, why in named.items() if why == EMPTY} == {
        name for name, asserts in found.items() if not asserts
    }
