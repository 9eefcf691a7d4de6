"""Artifacts as pages and as data, and upstream's visualizations of files."""

import asyncio
import html.parser
import json

import pytest

from wherry.metadata.records import Artifact
from wherry.metadata.store import Metadata
from wherry.objects import errors
from wherry.pipelines.api import visualizing
from wherry.pipelines.pages import tables

OWN = "/apis/wherry.dev/v1/artifacts"
NASTY = "<script>alert(1)</script>\"'&"
POINTS = [
    {"confidenceThreshold": "Infinity", "recall": 0.0, "falsePositiveRate": 0.0},
    {"confidenceThreshold": 0.5, "recall": 1.0, "falsePositiveRate": 0.25},
]
MATRIX = {
    "annotationSpecs": [{"displayName": NASTY}, {"displayName": "b"}],
    "rows": [{"row": [3, 1]}, {"row": [0, 4]}],
}


class Tags(html.parser.HTMLParser):
    """Collects what a page consists of."""

    def __init__(self, page):
        super().__init__()
        self.found, self.given, self.said = [], {}, ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)
        self.given |= {f"{tag}.{name}": value for name, value in attrs}

    def handle_data(self, data):
        self.said += data


def tags(page):
    """Return the parts of a page, in which nothing runs, and which asks for nothing."""
    found = Tags(page)
    assert not {"script", "link", "object", "embed", "form", "base"} & {*found.found}
    assert not [name for name in found.given if name.partition(".")[2].startswith("on")]
    assert not [name for name in found.given if name.endswith((".src", ".href", ".action"))]
    assert found.given["meta.content"].startswith("default-src 'none'")
    return found


def shown(kind, content=b"", **known):
    return visualizing.of_artifact(Artifact(id=7, type=kind, name=NASTY, metadata=known), content)


def test_metrics_are_a_table():
    made = shown("system.Metrics", accuracy=0.5, **{NASTY: NASTY})
    assert made["data"]["metrics"] == {"accuracy": 0.5, NASTY: NASTY}
    assert tags(made["html"]).said.count(NASTY) == 3


@pytest.mark.parametrize("wrapped", [True, False])
def test_classifications_have_a_curve_and_a_matrix(wrapped):
    points = {"list": POINTS} if wrapped else POINTS
    matrix = {"struct": MATRIX} if wrapped else MATRIX
    made = shown("system.ClassificationMetrics", confidenceMetrics=points, confusionMatrix=matrix)
    assert made["data"]["roc"][1] == {"fpr": 0.25, "tpr": 1.0, "threshold": 0.5}
    assert made["data"]["confusion_matrix"] == {"labels": [NASTY, "b"], "rows": [[3, 1], [0, 4]]}
    found = tags(made["html"])
    assert found.given["polyline.points"] == "0.0,400.0 100.0,0.0"
    part = {"slice": "s", "sliceClassificationMetrics": {"confidenceMetrics": POINTS}}
    sliced = shown("system.SlicedClassificationMetrics", evaluationSlices=[part, 3])
    assert [each["slice"] for each in sliced["data"]["slices"]] == ["s"]


@pytest.mark.parametrize("odd", [None, 3, "x", [], [[]], {"list": 3}, {"struct": []}])
def test_metrics_of_any_form_are_shown(odd):
    for kind in ("Metrics", "ClassificationMetrics", "SlicedClassificationMetrics"):
        known = dict.fromkeys(("confidenceMetrics", "confusionMatrix", "evaluationSlices"), odd)
        tags(shown(f"system.{kind}", **known)["html"])


def test_what_people_have_written_does_not_run():
    made = shown("system.HTML", b"<script>alert('1')</script><img src=x onerror=y>")
    found = tags(made["html"])
    assert found.given["iframe.sandbox"] == ""
    assert found.given["iframe.srcdoc"] == made["data"]["text"]
    assert tags(shown("system.Markdown", NASTY.encode())["html"]).said.endswith(NASTY)
    with pytest.raises(errors.BadRequestError, match=r"is a system\.Model; shown are"):
        shown("system.Model")


def test_tables():
    made = tags(tables.table(f'a,b\n1,"{NASTY[:9]}"\n'.encode(), {}))
    assert made.found.count("tr") == 2
    assert tags(tables.table(b"1,2\n3,4\n", {"headers": ["a", "b"]})).found.count("tr") == 3
    long = "\n".join(map(str, range(1500))).encode()
    assert "499 more rows" in tables.table(long, {})
    with pytest.raises(tables.TableError, match="headers: want a list"):
        tables.table(b"1\n", {"headers": "a"})
    with pytest.raises(tables.TableError, match="comma-separated"):
        tables.table(b"\xff\xfe\xfa", {})


def test_roc_curves():
    given = tables.roc_curve(b"0,0,2\n0.5,1,1\n1,1,0\n", {"is_generated": True})
    assert tags(given).given["polyline.points"] == "0.0,400.0 200.0,0.0 400.0,0.0"
    counted = b"target,true\ntrue,0.9\nno,0.8\ntrue,0.7\nno,0.1\n"
    assert tags(tables.roc_curve(counted, {})).given["polyline.points"] == (
        "0.0,400.0 0.0,200.0 200.0,200.0 200.0,0.0 400.0,0.0"
    )
    wrong: list[tuple[bytes, dict[str, object], str]] = [
        (counted, {"target_lambda": "lambda x: 1"}, "is code"),
        (counted, {"true_score_column": "s"}, "there is no column 's'"),
        (b"target,true\ntrue,x\n", {}, "row 2: want a number"),
        (b"target,true\ntrue,1\n", {}, "want rows of class 'true' and others"),
        (b"x,y,z\n", {"is_generated": True}, "row 1: want false positive rate"),
    ]
    for content, asked, told in wrong:
        with pytest.raises(tables.TableError, match=told):
            tables.roc_curve(content, asked)


def test_by_rest(api, runs, pipeline):
    path = "{{$.outputs.artifacts['data'].path}}"
    graph = pipeline()
    graph.step(
        "make", f"mkdir -p $(dirname {path}); printf 'a,b\\n1,2\\n' > {path}", makes=["data"]
    )
    graph.task("make")
    run = runs.run(graph.spec())
    (artifact,) = runs.rows(run)["root/make"].outputs.artifacts["data"]
    wanted = {"type": "TABLE", "source": artifact.uri, "arguments": "{}"}
    where = f"/apis/v2beta1/visualizations/{runs.namespace}"
    for path in (where, where.replace("v2beta1", "v1beta1")):
        made = api.post(path, wanted)
        assert made["type"] == "TABLE"
        assert tags(made["html"]).found.count("td") == 2
    for change, status, told in [
        ({"type": "CUSTOM"}, 400, "code, which would run in the service"),
        ({"type": "TFDV"}, 400, "takes TensorFlow"),
        ({"source": ""}, 400, "visualization.source: is wanted"),
        ({"source": "file:///etc/passwd"}, 404, "has no artifact with this URI"),
        ({"arguments": "[]"}, 400, "want an object, as JSON"),
    ]:
        answer = api.call("POST", where, {**wanted, **change})
        assert (answer.status, told in answer.body["message"]) == (status, True), answer
    assert api.call("POST", where, wanted, user="stranger").status == 403
    refused = api.call("GET", f"{OWN}/{artifact.id}/visualization")
    assert (refused.status, "is a system.Dataset" in json.dumps(refused.body)) == (400, True)
    known = {"confidenceMetrics": POINTS}
    kind = "system.ClassificationMetrics"
    number = asyncio.run(
        stored(runs, Artifact(namespace=runs.namespace, type=kind, metadata=known))
    )
    made = api.get(f"{OWN}/{number}/visualization")
    assert (made["data"]["type"], len(made["data"]["roc"])) == (kind, 2)
    tags(made["html"])


async def stored(runs, artifact):
    """Return the id of an artifact that is stored."""
    store = Metadata(runs.platform.directory / "products" / "metadata" / "metadata.db")
    try:
        return (await store.add_artifact(artifact)).id
    finally:
        await store.close()
