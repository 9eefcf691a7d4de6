"""Results of earlier runs: when they are taken, why they are not, and how they are no longer."""

import datetime
import json

import pytest

from wherry import pipelines as sdk
from wherry.testing.pipelines_api import PipelinesApi

OUT = "{{$.outputs.parameters['out'].output_file}}"
WORD = "{{$.inputs.parameters['word']}}"
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def step(pipeline):
    """What makes a pipeline of one step that may be had from the cache."""

    def make(word="a", *, key="", image="python:3.11", more=":", name="test-pipeline", **task):
        made = pipeline(name)
        made.step(
            "say",
            f"{more}; echo {WORD} > {OUT}",
            inputs={"word": "STRING"},
            outputs={"out": "STRING"},
            image=image,
        )
        options = {"enableCache": True, **({"cacheKey": key} if key else {})}
        made.task("say", parameters={"word": word}, **{"cachingOptions": options, **task})
        return made.spec()

    return make


@pytest.fixture
def kept(runs):
    """What tells which step of a run was taken from which run (None: from none)."""

    def of(name):
        rows = runs.rows(runs.get(name))
        row = rows["root/say"]
        names = {runs.get(each)["metadata"]["uid"]: each for each in ran}
        sources = {
            task.id: names[task.run] for each in ran for task in runs.rows(runs.get(each)).values()
        }
        return sources.get(row.cached_from)

    ran = []

    def run(name, spec):
        runs.run(spec, name)
        ran.append(name)
        return of(name)

    return run


def cache_of(wherry, run):
    """Return what `get` tells of the cache for the one step of a run."""
    code, told = wherry("get", run, "-o", "json")
    assert code == 0, told
    (found,) = [each for each in json.loads(told)["tasks"] if each["path"] == "root/say"]
    return found["cacheReason"]


def test_a_key_of_ones_own_stands_for_everything_else(kept, step, wherry):
    assert kept("one", step("a", key="k")) is None
    assert kept("two", step("b", key="k", more="true")) == "one"
    assert kept("three", step("a", key="other")) is None
    assert cache_of(wherry, "two") == "hit: run one"
    assert cache_of(wherry, "three") == "miss: compared with run two: key other was k"


def test_a_run_may_refuse_results_or_want_them_all(kept, step, wherry):
    off: dict[str, object] = {"cachingOptions": {}}
    assert kept("one", {**step(), "enableCache": True}) is None
    assert kept("two", {**step(), "enableCache": False}) is None
    assert kept("three", step(**off)) is None
    assert kept("four", {**step(**off), "enableCache": True}) == "one"
    assert [cache_of(wherry, each) for each in ("two", "three")] == ["off", "off"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"word": "b"}, "parameter word differs"),
        ({"image": "python:3"}, "the image differs"),
        ({"more": "true"}, "the command differs"),
    ],
)
def test_a_miss_says_what_is_other_than_in_the_run_before(kept, step, wherry, change, told):
    kept("one", step())
    assert cache_of(wherry, "one") == "miss: no earlier result has this fingerprint"
    assert kept("two", step(**change)) is None
    assert cache_of(wherry, "two") == f"miss: compared with run one: {told}"
    code, said = wherry("watch", "two")
    assert (code, f"say: miss: compared with run one: {told}" in said) == (0, True)


def test_results_that_are_too_old_are_not_taken(kept, step, wherry):
    kept("one", step())
    assert kept("two", {**step(), "cacheExpirySeconds": 0}) is None
    assert cache_of(wherry, "two") == "miss: the latest result is older than 0 s"
    assert kept("three", {**step(), "cacheExpirySeconds": 3600}) == "two"


def test_results_are_cleared_by_pipeline_task_run_key_and_age(runs, kept, step, wherry):
    kept("one", step())
    kept("two", step("b", key="k"))
    kept("three", step(name="other"))

    def left():
        code, told = wherry("cache", "list", "-o", "json")
        assert code == 0, told
        return sorted(each["runName"] for each in json.loads(told))

    assert left() == ["one", "three", "two"]
    for chosen in (["--pipeline", "no"], ["--task", "no"], ["--key", "K"], ["--older-than", "1h"]):
        assert wherry("cache", "clear", *chosen) == (
            0,
            "0 results will not be taken again; artifacts stay\n",
        )
    assert wherry("cache", "clear", "--key", "k")[1].startswith("1 result ")
    assert left() == ["one", "three"]
    assert kept("four", step("b", key="k")) is None
    assert cache_of(wherry, "four") == "miss: compared with run two: its result was cleared"
    wherry("cache", "clear", "--pipeline", "other", "--task", "say")
    assert left() == ["four", "one"]
    wherry("cache", "clear", "--run", "four")
    assert left() == ["one"]
    wherry("cache", "clear", "--older-than", "0s")
    assert left() == []
    assert wherry("cache", "list") == (0, "no results are kept\n")


def test_everything_is_cleared_only_where_that_is_said(kept, step, wherry):
    kept("one", step())
    code, told = wherry("cache", "clear")
    assert (code, "say which results" in told) == (2, True)
    code, told = wherry("cache", "clear", "--all", "--key", "k")
    assert (code, "--all stands alone" in told) == (2, True)
    assert wherry("cache", "clear", "--all") == (
        0,
        "1 result will not be taken again; artifacts stay\n",
    )
    assert kept("two", step()) is None
    assert kept("three", step()) == "two"
    assert wherry("cache", "clear", "--all")[0] == 0
    assert kept("four", step()) is None
    assert cache_of(wherry, "four") == "miss: compared with run three: its result was cleared"


def test_results_are_listed_and_cleared_from_python(runs, kept, step):
    which = {"connection": runs.platform.kubeconfig, "namespace": runs.namespace}
    kept("one", step())
    kept("two", step("b", key="k"))
    assert [(each.path, each.run) for each in sdk.cached_results(**which)] == [
        ("say", "two"),
        ("say", "one"),
    ]
    assert [each.run for each in sdk.cached_results(limit=1, **which)] == ["two"]
    with pytest.raises(sdk.RunError, match="everything=True"):
        sdk.clear_cache(**which)
    with pytest.raises(sdk.RunError, match="everything=True"):
        sdk.clear_cache(everything=True, key="k", **which)
    # A word that is misspelt must not leave more chosen than was meant.
    with pytest.raises(sdk.CompileError, match="clear_cache: old: no such setting; there is pipel"):
        sdk.clear_cache(task="say", old=datetime.timedelta(hours=1), **which)  # type: ignore[call-arg]  # which is the point
    (fingerprint,) = [
        row.fingerprint for row in runs.rows(runs.get("one")).values() if row.fingerprint
    ]
    assert sdk.clear_cache(key=fingerprint[:12], **which) == 1
    assert [each.run for each in sdk.cached_results(**which)] == ["two"]
    assert sdk.clear_cache(older_than=datetime.timedelta(hours=1), **which) == 0
    assert sdk.clear_cache(run=sdk.find_run("two", **which), **which) == 1
    assert kept("three", step()) is None


def test_who_may_not_see_runs_learns_nothing_of_their_results(runs, kept, step):
    kept("one", step())
    api = PipelinesApi(runs.platform.connection)
    own = "/apis/wherry.dev/v1"
    run = runs.get("one")["metadata"]["uid"]
    space = runs.namespace
    denied = api.call("GET", f"{own}/cache", namespace=space, user="eve")
    assert denied.status == 403
    denied = api.call("POST", f"{own}/cache:forget", {"namespace": space}, user="eve")
    assert denied.status == 403
    unknown = "00000000-0000-0000-0000-000000000000"
    for path in ("lineage", "cache/reasons"):
        hidden = api.call("GET", f"{own}/{path}", run_id=run, user="eve")
        missing = api.call("GET", f"{own}/{path}", run_id=unknown, user="eve")
        assert (hidden.status, missing.status) == (404, 404)
        assert hidden.body["message"].replace(run, "") == missing.body["message"].replace(
            unknown, ""
        )
