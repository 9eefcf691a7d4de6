"""Pictures: what is in them, and that nothing lies over anything else."""

import itertools
from collections.abc import Iterator
from xml.etree import ElementTree

import yaml
from hypothesis import given
from hypothesis import strategies as st

from wherry.pipelines import describing
from wherry.pipelines.definition import Pipeline
from wherry.pipelines.graph.model import Graph, Node, State
from wherry.pipelines.picture import drawing, layout
from wherry.pipelines.picture.layout import Drawing
from wherry.pipelines.picture.tallies import Seen, tally

SPEC = """
pipelineInfo: {name: hello, displayName: Hello <world>}
schemaVersion: 2.1.0
deploymentSpec:
  executors:
    exec-a: {container: {image: "python:3.11"}}
    exec-i: {importer: {artifactUri: {constant: "gs://b/x"}, typeSchema: {schemaTitle: system.Dataset}}}
components:
  comp-a: {executorLabel: exec-a}
  comp-i: {executorLabel: exec-i}
  comp-if: {dag: {tasks: {inner: {componentRef: {name: comp-a}}}}}
  comp-loop:
    inputDefinitions: {parameters: {item: {parameterType: STRING}}}
    dag: {tasks: {train: {componentRef: {name: comp-a}}}}
root:
  inputDefinitions: {parameters: {coin: {parameterType: STRING}}}
  dag:
    tasks:
      import: {componentRef: {name: comp-i}}
      condition-1:
        componentRef: {name: comp-if}
        inputs: {parameters: {pipelinechannel--coin: {componentInputParameter: coin}}}
        triggerPolicy: {condition: "inputs.parameter_values['pipelinechannel--coin'] == 'heads & tails'"}
      for-loop-2:
        componentRef: {name: comp-loop}
        dependentTasks: [import]
        parameterIterator: {items: {raw: '["a", "b", "c"]'}, itemInput: item}
      last: {componentRef: {name: comp-a}, dependentTasks: [for-loop-2, condition-1]}
"""


def pipeline() -> Pipeline:
    return Pipeline(yaml.safe_load(SPEC))


def texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_pipeline_is_drawn_with_what_each_task_does() -> None:
    found = texts(describing.picture(pipeline()))
    assert found[0] == "Hello <world>"
    for words in (
        "import gs://b/x",
        "if coin == 'heads & tails'",
        "for each of 3 items",
        "train",
        "python:3.11",
    ):
        assert words in found


def test_a_run_is_drawn_with_what_has_become_of_each_task() -> None:
    seen = [
        Seen("root", State.RUNNING),
        Seen("root/import", State.SUCCEEDED, cached=True),
        Seen("root/condition-1", State.SKIPPED, "its condition does not hold"),
        Seen("root/for-loop-2", State.RUNNING),
        Seen("root/for-loop-2[0]", State.SUCCEEDED),
        Seen("root/for-loop-2[0]/train", State.SUCCEEDED),
        Seen("root/for-loop-2[1]/train", State.FAILED, "exit code 1"),
        Seen("root/for-loop-2[2]/train", State.RUNNING),
    ]
    svg = describing.picture(pipeline(), title="run 7", seen=seen)
    found = texts(svg)
    assert found[0] == "run 7"
    assert "1/3 succeeded" in found
    assert "from cache" in found
    assert {"✓", "✗", "▶", "○"} <= set(found)
    assert "1 succeeded, 1 failed, 1 running\nexit code 1" in svg
    # What has not been come to is drawn as in the pipeline.
    assert 'class="box"' in svg


def test_turns_are_counted_where_their_loop_is() -> None:
    found = tally(
        [Seen("root/a[0]/b[1]/c", State.SUCCEEDED), Seen("root/a[1]/b[0]/c", State.SUCCEEDED)]
    )
    assert found["root/a/b/c"].words == "2/2 succeeded"


def test_many_beside_one_another_are_drawn_in_rows() -> None:
    nodes = {f"n{index}": Node(f"n{index}", "c") for index in range(300)}
    nodes["last"] = Node("last", "c", tuple(nodes))
    drawn = layout.lay_out(Graph("g", nodes), lambda graph, node: "")
    assert drawn.width < 2500
    assert drawn.boxes[-1].y == max(box.y for box in drawn.boxes)


@st.composite
def graphs(draw: st.DrawFn, depth: int = 3) -> Graph:
    names = [f"node-{index}" * draw(st.integers(1, 4)) for index in range(draw(st.integers(0, 6)))]
    nodes = {}
    for index, name in enumerate(names):
        needs = draw(st.lists(st.sampled_from(names[:index]), max_size=4)) if index else []
        inner = draw(graphs(depth=depth - 1)) if depth > 1 and draw(st.booleans()) else None
        nodes[name] = Node(name, "c", tuple(needs), graph=inner, loop=draw(st.booleans()))
    return Graph("g", nodes)


def _all(drawn: Drawing) -> Iterator[Drawing]:
    yield drawn
    for box in drawn.boxes:
        if box.inside is not None:
            assert box.inside.width <= box.width
            assert box.inside.height < box.height
            yield from _all(box.inside)


@given(graphs())
def test_nothing_lies_over_anything_else_and_lines_lead_down(graph: Graph) -> None:
    drawn = layout.lay_out(graph, lambda graph, node: node.name)
    for one in _all(drawn):
        for a, b in itertools.combinations(one.boxes, 2):
            beside = a.x + a.width <= b.x + 0.01 or b.x + b.width <= a.x + 0.01
            assert beside or a.y + a.height <= b.y or b.y + b.height <= a.y
        for box in one.boxes:
            assert box.x >= -0.01
            assert box.x + box.width <= one.width + 0.01
            assert box.y + box.height <= one.height + 0.01
        for line in one.lines:
            heights = [y for _, y in line.points]
            assert heights == sorted(heights)
    assert drawn == layout.lay_out(graph, lambda graph, node: node.name)
    ElementTree.fromstring(drawing.svg(graph, lambda graph, node: "<&>", title="a & b"))
