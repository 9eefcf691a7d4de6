"""What a workflow's templates decide, over the walk, without pods."""

import datetime

import pytest

from wherry.metadata.records import Values
from wherry.objects.requests import Object
from wherry.pipelines.controller.engine import ended
from wherry.pipelines.graph.model import State
from wherry.pipelines.workflows import items
from wherry.pipelines.workflows.messages import Shutdown
from wherry.testing.workflow_plays import NOW, Play, call, dag, gives, leaf, spec, steps, takes


def test_steps_get_what_those_before_them_gave() -> None:
    played = Play(
        spec(
            steps(
                [call("a"), call("b", when="{{workflow.parameters.x}} == 2")],
                [call("c", "take", arguments=gives(v="{{steps.a.outputs.result}}!"))],
                [
                    call(
                        "d", when="{{steps.c.status}} == Succeeded && {{steps.b.status}} == Skipped"
                    )
                ],
            ),
            leaf(),
            takes("take", "v"),
            arguments=gives(x="1"),
        ),
        says={"wf[0].a": "hello"},
    )
    phases = played.run()
    assert phases["wf[0].b"] == "Skipped"
    assert phases["wf[2].d"] == phases["wf"] == "Succeeded"
    assert played.inputs("wf[1].c") == {"v": "hello!"}


def test_the_next_group_begins_when_the_one_before_has_ended() -> None:
    played = Play(spec(steps([call("a"), call("b")], [call("c")]), leaf()))
    assert played.look() == ["root/MAIN/0/a", "root/MAIN/0/b"]
    played.end("root/MAIN/0/a")
    assert played.look() == []
    played.end("root/MAIN/0/b")
    assert played.look() == ["root/MAIN/1/c"]


def test_steps_fail_with_the_first_group_that_fails_unless_it_may() -> None:
    fates = {"wf[0].a": ["Failed"]}
    groups = [call("a")], [call("b")]
    phases = Play(spec(steps(*groups), leaf()), fates).run()
    assert phases == {"wf": "Failed", "wf[0]": "Failed", "wf[0].a": "Failed"}
    groups[0][0]["continueOn"] = {"failed": True}
    phases = Play(spec(steps(*groups), leaf()), fates).run()
    assert phases["wf"] == phases["wf[1].b"] == "Succeeded"


def test_loops_are_gone_over_by_items_parameters_and_numbers() -> None:
    played = Play(
        spec(
            steps(
                [call("a", "take", arguments=gives(v="{{item}}"), withItems=["x", 2])],
                [
                    call(
                        "b",
                        "take",
                        arguments=gives(v="{{item.k}}"),
                        withParam='[{"k": 1}, {"k": 2}]',
                    ),
                    call(
                        "c",
                        "take",
                        arguments=gives(v="{{item}}"),
                        withSequence={"count": "2", "format": "n%02d"},
                    ),
                ],
                [call("d", "take", arguments=gives(v="{{steps.a.outputs.result}}"))],
            ),
            takes("take", "v"),
        ),
        says={"wf[0].a(0:x)": "1", "wf[0].a(1:2)": "two"},
    )
    phases = played.run()
    assert {"wf[0].a(0:x)", "wf[0].a(1:2)", "wf[1].b(1:k:2)", "wf[1].c(1:n01)"} <= set(phases)
    assert played.inputs("wf[1].b(1:k:2)") == {"v": "2"}
    assert played.inputs("wf[2].d") == {"v": '[1,"two"]'}


def test_a_dag_goes_by_what_its_tasks_depend_on() -> None:
    played = Play(
        spec(
            dag(
                call("a"),
                call("b", depends="a.Failed"),
                call("c", depends="a.Succeeded"),
                call("d", depends="b.Succeeded && !c.Succeeded"),
                call("e", dependencies=["c"]),
            ),
            leaf(),
        ),
        {"wf.a": ["Failed"]},
    )
    phases = played.run()
    wanted = {"a": "Failed", "b": "Succeeded", "c": "Omitted", "d": "Succeeded", "e": "Omitted"}
    assert {name: phases[f"wf.{name}"] for name in wanted} == wanted
    # The branch of e ended with a, which failed.
    assert phases["wf"] == "Failed"


def test_only_what_the_targets_need_is_done() -> None:
    tasks = call("a"), call("b", depends="a"), call("c")
    assert set(Play(spec(dag(*tasks, target="b"), leaf())).run()) == {"wf", "wf.a", "wf.b"}


def test_a_step_is_tried_again_as_its_strategy_says() -> None:
    told = {"limit": "3", "backoff": {"duration": "10", "factor": 2}}
    fates = {"wf": ["Failed", "Failed", ""]}
    played = Play(spec(leaf("main", retryStrategy=told)), fates)
    phases = played.run()
    assert phases == {"wf": "Succeeded", "wf(0)": "Failed", "wf(1)": "Failed", "wf(2)": "Succeeded"}
    assert played.time >= NOW + datetime.timedelta(seconds=10 + 20)


@pytest.mark.parametrize(
    ("told", "tries"),
    [
        ({"limit": 2}, 1),
        ({"limit": 2, "retryPolicy": "OnError"}, 3),
        ({"limit": 2, "retryPolicy": "Always"}, 3),
        ({"limit": 5, "expression": "asInt(lastRetry.exitCode) == 1 && asInt(retries) < 1"}, 2),
        ({"backoff": {"duration": "60", "maxDuration": "30s"}, "retryPolicy": "Always"}, 1),
    ],
)
def test_whether_it_is_tried_again_is_decided_by_its_end(told: Object, tries: int) -> None:
    phases = Play(spec(leaf("main", retryStrategy=told)), {"wf": ["Error"]}).run()
    assert phases["wf"] == "Error"
    assert len(phases) == 1 + tries


def test_steps_as_a_whole_are_tried_again() -> None:
    inner = steps([call("x")], name="inner", retryStrategy={"limit": 1})
    played = Play(
        spec(steps([call("a", "inner")], [call("b")]), inner, leaf()),
        {"wf[0].a(0)[0].x": ["Failed"]},
    )
    phases = played.run()
    assert phases["wf[0].a(0)"] == phases["wf[0].a(0)[0].x"] == "Failed"
    assert phases["wf[0].a"] == phases["wf[0].a(1)[0].x"] == phases["wf[1].b"] == "Succeeded"


def test_exit_handlers_run_whatever_has_become_of_what_was_before() -> None:
    hooks = {"exit": {"template": "take", "arguments": gives(v="{{steps.a.status}}")}}
    played = Play(
        spec(
            steps([call("a", hooks=hooks)], [call("b")]),
            leaf(),
            takes("take", "v"),
            takes("bye", "v", "x"),
            hooks={"exit": {"template": "bye", "arguments": gives(v="{{workflow.status}}", x="y")}},
        ),
        {"wf[0].a": ["Failed"]},
    )
    phases = played.run()
    assert phases["wf[0].a.onExit"] == phases["wf.onExit"] == "Succeeded"
    assert phases["wf"] == "Failed"
    assert played.inputs("wf[0].a.onExit") == {"v": "Failed"}
    assert played.inputs("wf.onExit") == {"v": "Failed", "x": "y"}
    assert "wf[1].b" not in phases


def test_hooks_run_when_their_expressions_hold() -> None:
    hooks = {
        "running": {"template": "say", "expression": 'steps["a"].status == "Running"'},
        "bad": {"template": "say", "expression": 'steps["a"].status == "Failed"'},
    }
    played = Play(spec(steps([call("a", hooks=hooks)]), leaf()))
    assert played.look() == ["root/MAIN/0/a/MAIN", "root/MAIN/0/a/HOOK0"]
    phases = played.run()
    assert phases["wf[0].a.hooks.running"] == "Succeeded"
    assert "wf[0].a.hooks.bad" not in phases


def test_parameters_of_turns_are_gathered_as_texts_unless_all_are_lists_or_objects() -> None:
    def given(**parameters: str) -> Values:
        return Values({**parameters})

    found = items.gathered([given(a="1", b="[1]"), given(a="x", b='{"k": 2}')]).parameters
    assert (found["a"], found["b"]) == ('["1","x"]', '[[1],{"k":2}]')


def test_graphs_are_tried_again_as_the_workflow_says() -> None:
    said = spec(steps([call("a")]), leaf(), retryStrategy={"limit": 1})
    played = Play(said, fates={"wf(0)[0].a(0)": ["Failed"], "wf(0)[0].a": ["Failed"]})
    phases = played.run()
    assert phases["wf(0)"] == "Failed"
    assert phases["wf"] == "Succeeded"
    assert phases["wf(1)[0].a(0)"] == "Succeeded"


def test_the_end_of_attempts_is_told_of_what_was_tried_and_progress_counts_what_went_well() -> None:
    played = Play(spec(leaf(retryStrategy={"limit": 1})), fates={"wf": ["Failed"]})
    played.run()
    whole, *attempts = played.nodes()
    assert (whole["phase"], whole["message"], whole["progress"]) == (
        "Failed",
        "No more retries left",
        "0/2",
    )
    assert [each["message"] for each in attempts] == ["bad wf", "bad wf"]


def test_hooks_of_a_workflow_see_that_it_runs() -> None:
    hooks = {
        "running": {"template": "say", "expression": 'workflow.status == "Running"'},
        "good": {"template": "say", "expression": 'workflow.status == "Succeeded"'},
    }
    played = Play(spec(steps([call("a")]), leaf(), hooks=hooks))
    assert "root/HOOK0" in played.look()
    phases = played.run()
    assert phases["wf.hooks.running"] == phases["wf.hooks.good"] == "Succeeded"


def test_what_calls_itself_ends_where_its_condition_says_or_at_a_depth() -> None:
    flip = call("again", "main", when="{{steps.flip.outputs.result}} == tails")
    played = Play(
        spec(steps([call("flip")], [flip]), leaf()),
        says={"wf[0].flip": "tails", "wf[1].again[0].flip": "heads"},
    )
    phases = played.run()
    assert phases["wf[1].again[1].again"] == "Skipped"
    assert phases["wf"] == "Succeeded"
    endless = Play(spec(steps([call("x", "main")])))
    assert endless.run()["wf"] == "Failed"
    assert any("recursion depth" in each.get("message", "") for each in endless.nodes())


def test_templates_of_others_are_looked_up_where_they_are_written() -> None:
    shared = {"lib": {"templates": [steps([call("x", "own")], name="job"), takes("own")]}}
    ref = {"name": "a", "templateRef": {"name": "lib", "template": "job"}}
    played = Play(spec(steps([ref])), shared=shared)
    assert played.run()["wf[0].a[0].x"] == "Succeeded"
    assert set(played.engine.language.templates.stored) == {
        "namespaced/lib/job",
        "namespaced/lib/own",
    }


def test_no_more_nodes_run_at_once_than_a_template_says() -> None:
    inner = steps([call("x")], name="inner")
    task = call("a", "inner", withSequence={"count": "5"})
    played = Play(spec(dag(task, parallelism=2), inner, leaf()))
    played.look()
    while played.engine.running:
        assert len(played.engine.running) <= 2
        played.end(next(reversed(played.engine.running)))
        played.engine = played.begun()
        played.look()
    assert played.phases()["wf"] == "Succeeded"
    assert len(played.started) == 5


def test_outputs_of_what_was_left_out_are_their_defaults() -> None:
    made = leaf("make", outputs={"parameters": [{"name": "p", "valueFrom": {"default": "d"}}]})
    played = Play(
        spec(
            dag(
                call("a", "make", when="false"),
                call(
                    "b",
                    "take",
                    depends="a.Skipped",
                    arguments=gives(v="{{tasks.a.outputs.parameters.p}}"),
                ),
            ),
            made,
            takes("take", "v"),
        )
    )
    played.run()
    assert played.inputs("wf.b") == {"v": "d"}


def test_a_value_that_is_not_there_is_an_error_of_the_node() -> None:
    played = Play(spec(steps([call("a", "take")]), takes("take", "v")))
    assert played.run()["wf[0].a"] == "Error"
    assert "inputs.parameters.v was not supplied" in str(played.nodes())


@pytest.mark.parametrize("how", [*Shutdown])
def test_a_workflow_that_is_ended_begins_only_exit_handlers_more(how: Shutdown) -> None:
    played = Play(spec(steps([call("a")], [call("b")]), leaf(), onExit="say"))
    played.look()
    played.engine.end("Stopped", how)
    played.engine.walk.ready(0)
    row = played.engine.running["root/MAIN/0/a"]
    played.take(ended(row, State.FAILED, NOW, error="Stopped"))
    phases = played.run()
    assert phases["wf"] == phases["wf[0].a"] == "Failed"
    assert "wf[1].b" not in phases
    assert ("wf.onExit" in phases) == (how is Shutdown.STOP)


def test_where_an_artifact_is_goes_from_template_to_template() -> None:
    inputs = {"artifacts": [{"name": "a", "path": "/a"}]}
    seed = {"artifacts": [{"name": "a", "raw": {"data": "x"}}]}
    handed_on = {"artifacts": [{"name": "a", "from": "{{inputs.artifacts.a}}"}]}
    played = Play(
        spec(
            steps([call("x", "inner", arguments=seed)]),
            steps([call("y", "read", arguments=handed_on)], name="inner", inputs=inputs),
            leaf("read", inputs=inputs),
        )
    )
    [path] = played.look()
    written = played.engine.language.filled(played.engine.spot(path), 0, "pod")
    assert written["inputs"]["artifacts"] == [{"name": "a", "path": "/a", "raw": {"data": "x"}}]


def test_what_was_decided_stays_so_after_a_restart() -> None:
    when = "{{=now().UnixNano() % 2}} == 0"
    tasks = [call(f"t{number}", when=when) for number in range(8)]
    played = Play(spec(dag(*tasks), leaf()))
    played.look()
    before = played.phases()
    for _ in range(3):
        played.engine = played.begun()
        assert played.look() == []
        assert played.phases() == before


def test_a_strategy_that_cannot_be_read_is_an_error_of_the_node() -> None:
    told = {"limit": 2, "retryPolicy": "Always", "expression": "lastRetry.exitCode + 1"}
    played = Play(spec(leaf("main", retryStrategy=told)), {"wf": ["Failed"]})
    assert played.run(restarts=True)["wf"] == "Error"
    assert "retryStrategy" in str(played.nodes())
