from pathlib import Path

import pytest

from wherry.cli import manifests
from wherry.cli.failures import CommandError
from wherry.objects import documents


def read(text: str) -> list[object]:
    return list(documents.read(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 80:80", "80:80"),
        ("a: 2024-01-01", "2024-01-01"),
        ("a: 2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("a: 0644", 0o644),
        ("a: 0o644", 0o644),
        ("a: 0x10", 16),
        ("a: 1e3", 1000.0),
        ("a: 1.5", 1.5),
        ("a: 1.5Gi", "1.5Gi"),
        ("a: yes", True),
        ("a: =", "="),
        ("a: ~", None),
        ("a: '1'", "1"),
        ("a: 1.2.3", "1.2.3"),
        ("a: -1", -1),
    ],
)
def test_scalars_are_read_as_kubernetes_reads_them(text: str, value: object) -> None:
    assert read(text) == [{"a": value}]


def test_keys_are_strings() -> None:
    assert read("1: a\ntrue: b") == [{"1": "a", "true": "b"}]


def test_anchors_and_merge_keys() -> None:
    assert read("a: &x {b: 1}\nc: {<<: *x, d: 2}") == [{"a": {"b": 1}, "c": {"b": 1, "d": 2}}]


def test_documents_are_separated_and_empty_ones_left_out() -> None:
    text = "---\na: 1\n--- # two\n# only a comment\n---\nb: |\n  ---\n  text\n---\n"
    assert read(text) == [{"a": 1}, {"b": "---\ntext\n"}]


def test_a_bad_document_does_not_hide_the_next() -> None:
    first, bad, last = read("a: 1\n---\nb: {\n---\nc: 3\n")
    assert (first, last) == ({"a": 1}, {"c": 3})
    assert isinstance(bad, documents.DocumentError)
    assert "line" in str(bad)


def test_duplicate_keys_are_refused_with_their_line() -> None:
    (found,) = read("a: 1\nb:\n  c: 1\n  c: 2\n")
    assert str(found) == "line 4: key 'c' is there twice"


def test_several_json_values() -> None:
    assert read('{"a": 1}\n{"b": 2}') == [{"a": 1}, {"b": 2}]
    assert read("{a: 1}") == [{"a": 1}]


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]",
        "k0: &k0 [1]\n" + "\n".join(f"k{n}: &k{n} [{f'*k{n - 1},' * 9}]" for n in range(1, 9)),
    ],
)
def test_aliases_may_not_explode(text: str) -> None:
    (found,) = read(text)
    assert isinstance(found, documents.DocumentError)


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.system ['true']", "a: !!python/name:os.system"]
)
def test_nothing_is_run(text: str) -> None:
    (found,) = read(text)
    assert isinstance(found, documents.DocumentError)


def test_folders_are_read_in_order(tmp_path: Path) -> None:
    for name in ("b.yml", "a.yaml", "c.json", "d.txt"):
        (tmp_path / name).write_text(
            f'{{"apiVersion": "v1", "kind": "X", "metadata": {{"name": "{name}"}}}}'
        )
    assert [each.obj["metadata"]["name"] for each in manifests.read([str(tmp_path)])] == [
        "a.yaml",
        "b.yml",
        "c.json",
    ]


def test_lists_are_taken_apart_and_faults_named(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "kind: List\nitems:\n- {apiVersion: v1, kind: A, metadata: {name: a}}\n- {kind: B}\n---\n7\n"
        "---\napiVersion: v1\nkind: C\nmetadata: {name: 3}\n"
    )
    found = [
        (each.place.removeprefix(str(path)), each.error) for each in manifests.read([str(path)])
    ]
    assert found[0] == (", document 1, item 1", "")
    assert found[1][0] == ", document 1, item 2"
    assert found[1][1].startswith("apiVersion is missing")
    assert "this is a int" in found[2][1]
    assert found[3] == (", document 3", "metadata.name is missing; it must be a string")


def test_missing_files_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        list(manifests.read([str(tmp_path / "nope.yaml")]))
    with pytest.raises(CommandError, match=r"no files that end in \.yaml"):
        list(manifests.read([str(tmp_path)]))
