"""Runs of pipelines by real pods: what goes in comes out, and what goes wrong is said."""

import contextlib
import re
import shutil
from pathlib import Path

import pytest
import yaml

from wherry.metadata.artifacts import uris
from wherry.objects import conditions, errors, metadata
from wherry.objects import kinds as core
from wherry.pipelines import kinds
from wherry.testing.waiting import eventually

TEXT = {"text": "STRING"}
OUT = "{{$.outputs.parameters['out'].output_file}}"
pytestmark = pytest.mark.timeout(300)


def chain(make, **inputs):
    """Return a pipeline of three steps that hand on a parameter and an artifact."""
    made = make(**inputs)
    made.step(
        "first",
        f"printf '%s!' \"{{{{$.inputs.parameters['text']}}}}\" > {OUT}",
        inputs=TEXT,
        outputs={"out": "STRING"},
    )
    made.step(
        "second",
        "printf '%s' \"{{$.inputs.parameters['text']}}\" > {{$.outputs.artifacts['data'].path}}",
        inputs=TEXT,
        makes=["data"],
    )
    made.step(
        "third",
        f"wc -c < {{{{$.inputs.artifacts['data'].path}}}} > {OUT}",
        outputs={"out": "NUMBER_INTEGER"},
        reads=["data"],
    )
    made.task("first", parameters={"text": {"greeting"} if inputs else "hello"})
    made.task("second", parameters={"text": ("first", "out")})
    made.task("third", artifacts={"data": ("second", "data")})
    made.output("size", "third", "out", "NUMBER_INTEGER")
    return made


def test_a_chain_hands_on_parameters_and_artifacts(runs, pipeline):
    run = runs.run(
        chain(pipeline, greeting="STRING").spec(runtimeConfig={"parameters": {"greeting": "ahoy"}})
    )
    assert run["status"]["state"] == kinds.SUCCEEDED
    assert run["status"]["outputs"] == {"size": 5}
    assert run["status"]["progress"] == "3/3"
    assert conditions.is_true(run, "Succeeded")
    rows = runs.rows(run)
    assert rows["root/first"].outputs.parameters == {"out": "ahoy!"}
    (made,) = rows["root/second"].outputs.artifacts["data"]
    assert made.uri.startswith("file:///")
    assert Path(uris.path(made.uri)).read_text() == "ahoy!"
    assert rows["root/third"].inputs.artifacts["data"][0].id == made.id
    assert rows["root"].state == kinds.SUCCEEDED


def test_a_step_is_one_pod_that_may_go_once_it_is_harvested(runs, pipeline):
    runs.run(chain(pipeline).spec())

    def let_go():
        assert not any(pod["metadata"].get("finalizers") for pod in runs.pods())
        return True

    assert len(runs.pods()) == 3
    assert eventually(let_go)
    notes = {metadata.annotations(pod)[kinds.PATH_ANNOTATION] for pod in runs.pods()}
    assert notes == {"root/first", "root/second", "root/third"}


def test_a_failure_is_told_and_what_follows_is_not_run(runs, pipeline):
    made = pipeline()
    made.step("bad", "echo the reason >&2; exit 3")
    made.step("good", "true")
    made.task("bad")
    made.task("after", "good", needs=["bad"])
    made.task(
        "exit",
        "good",
        needs=["after"],
        triggerPolicy={"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
    )
    run = runs.run(made.spec())
    told = run["status"]
    assert told["state"] == kinds.FAILED
    assert [task["path"] for task in told["failedTasks"]] == ["root/bad"]
    assert "(exit code 3): the reason" in told["failedTasks"][0]["message"]
    rows = runs.rows(run)
    assert rows["root/after"].state == "SKIPPED"
    assert rows["root/exit"].state == "SUCCEEDED"


def test_a_step_is_tried_again(runs, pipeline, tmp_path):
    made = pipeline()
    made.step("flaky", f"echo x >> {tmp_path}/tries; [ $(wc -l < {tmp_path}/tries) -ge 3 ]")
    made.task("flaky", retryPolicy={"maxRetryCount": 3, "backoffDuration": "0.1s"})
    run = runs.run(made.spec())
    assert run["status"]["state"] == kinds.SUCCEEDED
    assert runs.rows(run)["root/flaky"].attempt == 2
    assert len(runs.pods()) == 3


def test_a_step_that_writes_no_output_fails(runs, pipeline):
    made = pipeline()
    made.step("silent", "true", outputs={"out": "STRING"})
    made.task("silent")
    run = runs.run(made.spec())
    assert "output parameter out was not written" in run["status"]["message"]


def test_a_step_that_writes_something_else_fails(runs, pipeline):
    made = pipeline()
    made.step("wrong", f"echo many > {OUT}", outputs={"out": "NUMBER_INTEGER"})
    made.task("wrong")
    run = runs.run(made.spec())
    assert "output parameter out: must be a whole number" in run["status"]["message"]


def test_a_step_that_gives_more_than_is_kept_fails(runs, pipeline):
    made = pipeline()
    # Each is two characters of JSON.
    script = f"head -c 9000000 /dev/zero | tr '\\000' '\"' > {OUT}"
    made.step("large", script, outputs={"out": "STRING"})
    made.task("large")
    run = runs.run(made.spec())
    assert "its values cannot be kept" in run["status"]["message"]
    assert "at most 16000000 are kept" in run["status"]["message"]


def test_files_of_others_are_not_read_through_links(runs, pipeline, tmp_path):
    (tmp_path / "out").write_text("secret")
    made = pipeline()
    script = f"rmdir $(dirname {OUT}); ln -s {tmp_path} $(dirname {OUT})"
    made.step("curious", script, outputs={"out": "STRING"})
    made.task("curious")
    run = runs.run(made.spec())
    assert run["status"]["state"] == kinds.FAILED
    assert "Not a directory: '.outputs'" in run["status"]["message"]
    assert runs.rows(run)["root/curious"].outputs.parameters == {}


def test_a_result_is_taken_from_an_earlier_run(runs, pipeline, tmp_path):
    def made():
        spec = pipeline()
        script = f"echo x >> {tmp_path}/runs; echo data > {{{{$.outputs.artifacts['data'].path}}}}"
        spec.step("make", script, makes=["data"])
        spec.task("make", cache=True)
        return spec.spec()

    def times():
        return len((tmp_path / "runs").read_text().split())

    first = runs.rows(runs.run(made(), "one"))["root/make"]
    assert first.cache_reason == "no earlier result has this fingerprint"
    second = runs.rows(runs.run(made(), "two"))["root/make"]
    assert times() == 1
    assert second.cached_from == first.id
    assert second.outputs.artifacts["data"][0].id == first.outputs.artifacts["data"][0].id
    assert not runs.pods("two")
    assert runs.get("two")["status"]["tasks"] == {"total": 1, "cached": 1}
    runs.run({**made(), "enableCache": False}, "three")
    assert times() == 2
    expired = runs.rows(runs.run({**made(), "cacheExpirySeconds": 0}, "four"))["root/make"]
    assert expired.cache_reason == "the latest result is older than 0 s"
    assert times() == 3
    shutil.rmtree(Path(uris.path(first.outputs.artifacts["data"][0].uri)).parents[3])
    gone = runs.rows(runs.run(made(), "five"))["root/make"]
    assert gone.cached_from == 0
    assert "are gone" in gone.cache_reason


def test_a_loop_runs_its_turns_and_gathers_them(runs, pipeline):
    made = pipeline()
    made.step(
        "double",
        f"echo $((2 * {{{{$.inputs.parameters['n']}}}})) > {OUT}",
        inputs={"n": "NUMBER_INTEGER"},
        outputs={"out": "NUMBER_INTEGER"},
    )
    made.step(
        "sum",
        f"echo '{{{{$.inputs.parameters['all']}}}}' > {OUT}",
        inputs={"all": "LIST"},
        outputs={"out": "LIST"},
    )
    inner: dict[str, object] = {}
    loop = made.component("loop", {"item": "NUMBER_INTEGER"}, {"out": "LIST"})
    made.task("double", inside=inner, parameters={"n": {"item"}})
    source = {"producerSubtask": "double", "outputParameterKey": "out"}
    loop["dag"] = {
        "tasks": inner,
        "outputs": {"parameters": {"out": {"valueFromParameter": source}}},
    }
    made.task(
        "loop",
        parameterIterator={"items": {"raw": "[1, 2, 3, 4]"}, "itemInput": "item"},
        iteratorPolicy={"parallelismLimit": 2},
    )
    made.task("sum", parameters={"all": ("loop", "out")})
    made.output("all", "sum", "out", "LIST")
    run = runs.run(made.spec())
    assert run["status"]["outputs"] == {"all": [2, 4, 6, 8]}
    assert runs.rows(run)["root/loop"].properties["turns"] == 4
    assert runs.rows(run)["root/loop[2]/double"].state == "SUCCEEDED"


def test_a_run_is_ended_from_outside(runs, pipeline):
    made = pipeline()
    made.step("long", "sleep 600")
    made.task("long")
    made.task("later", "long", needs=["long"])
    runs.start(made.spec())
    eventually(lambda: runs.get().get("status", {}).get("runningTasks"))
    runs.patch({"terminate": True})
    run = runs.ended()
    assert run["status"]["state"] == kinds.CANCELED
    states = {path: row.state for path, row in runs.rows(run).items()}
    assert states == dict.fromkeys(("root", "root/long", "root/later"), "CANCELED")
    with pytest.raises(errors.InvalidError, match="make another one"):
        runs.patch({"terminate": False})


def test_a_run_is_ended_while_a_step_finds_no_node(runs, pipeline):
    made = pipeline()
    made.step("huge", "true", resources={"resourceCpuRequest": "100000"})
    made.task("huge")
    runs.start(made.spec())
    eventually(lambda: "unschedulable" in runs.get().get("status", {}).get("message", ""))
    runs.patch({"terminate": True})
    assert runs.ended()["status"]["state"] == kinds.CANCELED


def test_a_run_goes_on_once_its_database_can_be_used(own_runs, pipeline):
    database = own_runs.platform.directory / "products" / "metadata" / "metadata.db"
    database.mkdir()
    own_runs.start(chain(pipeline).spec())

    def told():
        events = own_runs.platform.call(own_runs.client.list(core.EVENTS, own_runs.namespace))
        return [each["message"] for each in events.items if each["reason"] == "TriedAgain"]

    (message,) = eventually(told, 120)
    assert "unable to open database file" in message
    database.rmdir()
    assert own_runs.ended()["status"]["state"] == kinds.SUCCEEDED


def test_a_run_that_takes_too_long_fails(runs, pipeline):
    made = pipeline()
    made.step("long", "sleep 600")
    made.task("long")
    run = runs.run(made.spec(timeoutSeconds=2))
    assert run["status"]["state"] == kinds.FAILED
    failed = conditions.get(run, "Failed")
    assert failed is not None
    assert failed["reason"] == "DeadlineExceeded"


def test_a_suspended_run_begins_nothing(runs, pipeline):
    runs.start(chain(pipeline).spec(suspend=True))
    eventually(lambda: runs.get().get("status", {}).get("state") == kinds.PAUSED)
    assert not runs.pods()
    runs.patch({"suspend": False})
    assert runs.ended()["status"]["state"] == kinds.SUCCEEDED


def test_a_run_that_is_deleted_takes_its_pods_along(runs, pipeline):
    made = pipeline()
    made.step("long", "sleep 600")
    made.task("long")
    started = runs.start(made.spec())
    eventually(runs.pods)
    runs.platform.call(runs.client.delete(kinds.PIPELINE_RUNS, "run", runs.namespace))
    eventually(lambda: not runs.pods(), 120)
    eventually(lambda: runs.rows(started)["root/long"].state == "CANCELED")


def test_a_pod_that_somebody_deletes_is_a_failed_attempt(runs, pipeline, tmp_path):
    made = pipeline()
    made.step(
        "once", f"echo x >> {tmp_path}/tries; [ $(wc -l < {tmp_path}/tries) = 2 ] || sleep 600"
    )
    made.task("once", retryPolicy={"maxRetryCount": 1})
    runs.start(made.spec())
    eventually((tmp_path / "tries").exists, 120)
    (pod,) = runs.pods()
    runs.platform.call(runs.client.delete(core.PODS, metadata.name(pod), runs.namespace))
    run = runs.ended()
    assert run["status"]["state"] == kinds.SUCCEEDED
    assert runs.rows(run)["root/once"].attempt == 1


def test_pods_do_not_outlive_a_run_whose_finalizer_was_taken_away(runs, pipeline):
    made = pipeline()
    made.step("long", "sleep 600")
    made.task("long")
    runs.start(made.spec())
    eventually(runs.pods)
    patch = {"metadata": {"finalizers": None}}
    client, call = runs.client, runs.platform.call
    call(client.delete(kinds.PIPELINE_RUNS, "run", runs.namespace))
    with contextlib.suppress(errors.NotFoundError):
        call(client.patch(kinds.PIPELINE_RUNS, "run", patch, runs.namespace))
    assert eventually(lambda: not runs.pods(), 120)


def test_after_a_failure_nothing_begins_where_that_is_wanted(runs, pipeline):
    def made(policy):
        spec = pipeline()
        spec.step("bad", "exit 1")
        spec.step("good", "sleep 2")
        spec.task("bad")
        spec.task("slow", "good")
        spec.task("after", "good", needs=["slow"])
        return spec.spec(failurePolicy=policy)

    states = {}
    for name, policy in (("slow", kinds.FAIL_SLOW), ("fast", kinds.FAIL_FAST)):
        run = runs.run(made(policy), name)
        assert run["status"]["state"] == kinds.FAILED
        states[name] = {path: row.state for path, row in runs.rows(run).items()}
    assert states["slow"]["root/slow"] == states["fast"]["root/slow"] == "SUCCEEDED"
    assert states["slow"]["root/after"] == "SUCCEEDED"
    assert states["fast"]["root/after"] != "SUCCEEDED"


def test_pods_go_before_their_run_where_that_is_wanted(runs, pipeline):
    runs.run(chain(pipeline).spec(podTTLSecondsAfterFinished=0))
    assert eventually(lambda: not runs.pods(), 120)
    assert runs.get()["status"]["state"] == kinds.SUCCEEDED


def test_a_run_goes_when_its_time_has_come(runs, pipeline):
    runs.start(chain(pipeline).spec(ttlSecondsAfterFinished=0))

    def gone():
        try:
            runs.get()
        except errors.NotFoundError:
            return not runs.pods()
        return False

    assert eventually(gone, 120)


def test_what_is_wrong_with_a_pipeline_is_said_at_once(runs, pipeline):
    made = chain(pipeline, greeting="STRING")
    made.tasks["third"]["componentRef"]["name"] = "comp-none"
    with pytest.raises(errors.InvalidError, match=r"spec\.pipelineSpec\.root\.dag\.tasks"):
        runs.start(made.spec(runtimeConfig={"parameters": {"greeting": "x"}}))
    with pytest.raises(errors.InvalidError, match=r"spec\.runtimeConfig\.parameters"):
        runs.start(chain(pipeline, greeting="STRING").spec())
    with pytest.raises(errors.InvalidError, match="at most 1048576 can be kept"):
        runs.start(
            chain(pipeline, greeting="STRING").spec(
                runtimeConfig={"parameters": {"greeting": "x" * kinds.MAX_SPEC_BYTES}}
            )
        )


def test_a_run_cannot_be_changed(runs, pipeline):
    runs.start(chain(pipeline).spec(suspend=True))
    with pytest.raises(errors.InvalidError, match=r"only .*suspend.* can"):
        runs.patch({"enableCache": False})


def test_claims_are_made_mounted_and_deleted(runs, pipeline):
    made = pipeline()
    made.component(
        "create",
        {"access_modes": "LIST", "size": "STRING", "pvc_name_suffix": "STRING"},
        {"name": "STRING"},
    )["executorLabel"] = "exec-create"
    made.executors["exec-create"] = {"container": {"image": "argostub/createpvc"}}
    made.component("delete", {"pvc_name": "STRING"})["executorLabel"] = "exec-delete"
    made.executors["exec-delete"] = {"container": {"image": "argostub/deletepvc"}}
    made.step("write", "echo kept > /data/file")
    made.step("read", f"cat /data/file > {OUT}", outputs={"out": "STRING"})
    claim = {"taskOutputParameter": {"producerTask": "create", "outputParameterKey": "name"}}
    for each in ("write", "read"):
        made.settings[each] = {"pvcMount": [{"mountPath": "/data", "pvcNameParameter": claim}]}
    made.task(
        "create",
        parameters={"access_modes": ["ReadWriteOnce"], "size": "1Mi", "pvc_name_suffix": "-x"},
    )
    made.task("write", needs=["create"])
    made.task("read", needs=["write"])
    made.task("delete", needs=["read"], parameters={"pvc_name": ("create", "name")})
    made.output("kept", "read", "out")
    run = runs.run(made.spec())
    assert run["status"]["outputs"] == {"kept": "kept\n"}, run["status"]
    assert runs.rows(run)["root/create"].outputs.parameters["name"].endswith("-x")

    def none():
        listed = runs.client.list(core.PERSISTENT_VOLUME_CLAIMS, runs.namespace)
        return not runs.platform.call(listed).items

    assert eventually(none)


def test_a_workspace_that_cannot_be_made_fails_the_run(runs, pipeline):
    made = chain(pipeline)
    made.config["workspace"] = {"size": "much"}
    run = runs.run(made.spec())
    assert run["status"]["state"] == kinds.FAILED
    assert "workspace: " in run["status"]["message"]
    assert "much" in run["status"]["message"]


def test_a_workspace_is_shared_by_the_steps_of_a_run(runs, pipeline):
    made = pipeline()
    made.config = {"workspace": {"size": "1Mi"}}
    made.step("write", "echo $1 > $1/file", args=["sh", "{{$.workspace_path}}"])
    made.step("read", f"cat {{{{$.workspace_path}}}}/file > {OUT}", outputs={"out": "STRING"})
    made.task("write")
    made.task("read", needs=["write"])
    made.output("kept", "read", "out")
    run = runs.run(made.spec())
    assert run["status"].get("outputs") == {"kept": "/kfp-workspace\n"}, run["status"]


def test_settings_really_take_effect(runs, pipeline):
    secret = {"metadata": {"name": "s", "namespace": runs.namespace}, "stringData": {"k": "v"}}
    runs.platform.call(runs.client.create(core.SECRETS, secret))
    made = pipeline()
    made.step(
        "look",
        f'echo "$SECRET $OWN $MEM" $(cat /secret/k) > {OUT}',
        outputs={"out": "STRING"},
        env=[{"name": "OWN", "value": "mine"}],
        resources={"resourceCpuLimit": "100m", "resourceMemoryLimit": "64Mi"},
    )
    made.settings["look"] = {
        "secretAsEnv": [{"secretName": "s", "keyToEnv": [{"secretKey": "k", "envVar": "SECRET"}]}],
        "secretAsVolume": [{"secretName": "s", "mountPath": "/secret"}],
        "podMetadata": {"labels": {"team": "boats"}},
        "fieldPathAsEnv": [{"name": "MEM", "fieldPath": "metadata.labels['team']"}],
        "activeDeadlineSeconds": "300",
    }
    made.task("look")
    made.output("seen", "look", "out")
    run = runs.run(made.spec())
    assert run["status"].get("outputs") == {"seen": "v mine boats v\n"}, run["status"]
    (pod,) = runs.pods()
    assert pod["spec"]["activeDeadlineSeconds"] == 300
    limits = next(each for each in pod["spec"]["containers"] if each["name"] == "main")["resources"]
    assert limits["limits"] == {"cpu": "100m", "memory": "64Mi"}


def test_an_importer_makes_known_what_is_there(runs, pipeline, tmp_path):
    (tmp_path / "data").write_text("found")
    made = pipeline()
    made.component("bring", {"uri": "STRING"}, makes=["artifact"])["executorLabel"] = "exec-bring"
    made.executors["exec-bring"] = {
        "importer": {
            "artifactUri": {"runtimeParameter": "uri"},
            "typeSchema": {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"},
            "metadata": {"from": "{{$.inputs.parameters['uri']}}"},
        }
    }
    made.step(
        "read",
        f"echo {{{{$.inputs.artifacts['data'].uri}}}} > {OUT}",
        reads=["data"],
        outputs={"out": "STRING"},
    )
    place = f"{tmp_path}/data"
    made.task("bring", parameters={"uri": place})
    made.task("read", artifacts={"data": ("bring", "artifact")})
    made.output("uri", "read", "out")
    first = runs.run(made.spec(), "one")
    assert first["status"].get("outputs") == {"uri": f"{place}\n"}, first["status"]
    again = runs.run(made.spec(), "two")
    one, two = (
        runs.rows(run)["root/bring"].outputs.artifacts["artifact"][0] for run in (first, again)
    )
    assert one.id == two.id
    assert one.metadata == {"from": place}
    made.executors["exec-bring"]["importer"]["reimport"] = True
    row = runs.rows(runs.run(made.spec(), "three"))["root/bring"]
    (three,) = row.outputs.artifacts["artifact"]
    assert three.id not in {0, one.id}
    assert (three.uri, three.metadata) == (one.uri, one.metadata)


PAGE = Path(__file__).parents[2] / "docs" / "guide" / "pipelines.md"


def test_the_guides_manifest_runs_as_it_stands(runs):
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    run = runs.run(yaml.safe_load(text)["spec"])
    assert run["status"]["state"] == kinds.SUCCEEDED
    (pod,) = runs.pods()

    async def log():
        chunks = runs.client.log(metadata.name(pod), runs.namespace, container="main")
        return b"".join([chunk async for chunk in chunks])

    assert runs.platform.call(log()) == b"hello Ada\n"
