"""Argo's end-to-end tests that submit one workflow, wait for its end and look at it."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from wherry.objects.requests import Object
from wherry.testing.argo_e2e import CHECKOUT, Argo, Check, Seen

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not CHECKOUT, reason="WHERRY_ARGO names no checkout"),
]


class Case(NamedTuple):
    """How a test of upstream's is told again.

    Attributes:
        name: Upstream's.
        phase: That the workflow ends with; empty: upstream does not say.
        checks: What holds then.
    """

    name: str
    phase: str
    checks: tuple[Check, ...] = ()


def _case(name: str, phase: str, *checks: Check) -> Case:
    return Case(name, phase, checks)


def _phases(**wanted: str) -> Check:
    """Return a check of nodes by their display names, with ``_`` for dashes."""
    return lambda seen: {key: seen.node(key.replace("_", "-"))["phase"] for key in wanted} == wanted


def _inputs(node: Object) -> list[str]:
    return [each["value"] for each in node["inputs"]["parameters"]]


def _outputs(node: Object) -> list[str]:
    return [each["value"] for each in node["outputs"]["parameters"]]


def _errs(shown: str, text: str) -> Check:
    return lambda seen: seen.node(shown)["phase"] == "Error" and text in seen.node(shown)["message"]


def _some_node_errs(text: str) -> Check:
    return lambda seen: any(
        each["phase"] == "Error" and text in each["message"] for each in seen.nodes
    )


def _reads(shown: str, value: str) -> Check:
    return lambda seen: _inputs(seen.node(shown)) == [value]


def _aggregates(name: str) -> Check:
    """Return a check that an attempt has gathered what its loop gave."""
    return lambda seen: (
        seen.node(name)["phase"] == "Succeeded" and _outputs(seen.node(name)) == ['["1","2","3"]']
    )


def _has_hit(seen: Seen) -> bool:
    return any((each.get("memoizationStatus") or {}).get("hit") for each in seen.nodes)


def _gone_well(name: str, phase: str = "Succeeded") -> Check:
    """Return a check of the node whose name contains a text."""
    return lambda seen: seen.named(name)["phase"] == phase


def _flag(node: Object, name: str) -> bool:
    return bool(node["nodeFlag"].get(name))


def _skipped_as_empty(seen: Seen) -> bool:
    node = seen.node("sleep")
    return (node["phase"], node["message"]) == ("Skipped", "Skipped, empty params")


_SKIPPED_DEFAULT = (_phases(producer="Skipped", consumer="Succeeded"),)
_FAIL_FAST = "template has failed or errored children and failFast enabled"

FUNCTIONAL = (
    _case("TestArchiveStrategies", "Succeeded"),
    _case(
        "TestWorkflowLevelErrorRetryPolicy",
        "",
        lambda seen: seen.named(seen.name)["type"] == "Retry",
    ),
    _case(
        "TestWorkflowMetadataLabelsFrom", "Succeeded", lambda seen: seen.labels["my-label"] == "bar"
    ),
    _case(
        "TestWhenExpressions",
        "Succeeded",
        *(
            lambda seen, name=name: seen.node(f"print-hello-{name}")["type"] != "Skipped"
            for name in ("govaluate", "expr", "expr-json")
        ),
    ),
    _case(
        "TestContinueOnFail",
        "Succeeded",
        lambda seen: len(seen.nodes) == 7,
        _phases(B="Failed"),
        lambda seen: len(seen.node("B")["children"]) == 1,
        lambda seen: len(seen.node("B")["outboundNodes"]) == 1,
    ),
    _case("TestContinueOnFailDag", "Succeeded", _phases(F="Failed", P="Succeeded")),
    _case(
        "TestArtifactRepositoryRef",
        "Succeeded",
        lambda seen: seen.status["artifactRepositoryRef"]["namespace"] == "argo",
        lambda seen: seen.status["artifactRepositoryRef"]["configMap"] == "artifact-repositories",
        lambda seen: seen.status["artifactRepositoryRef"]["key"] == "my-key",
        lambda seen: not seen.status["artifactRepositoryRef"].get("default"),
        lambda seen: _only_key(seen.node("generate")["outputs"]["artifacts"][0]),
        lambda seen: _only_key(seen.node("consume")["inputs"]["artifacts"][0]),
    ),
    _case("TestLoopEmptyParam", "Succeeded", lambda seen: len(seen.nodes) == 5, _skipped_as_empty),
    _case("TestDAGEmptyParam", "Succeeded", lambda seen: len(seen.nodes) == 3, _skipped_as_empty),
    _case(
        "TestDAGOmittedOutputRef",
        "Error",
        _phases(stage_a="Succeeded", stage_b="Omitted"),
        _errs("stage-c", "absent optional"),
    ),
    _case(
        "TestDAGSkippedOutputRef",
        "Error",
        _phases(stage_a="Succeeded", stage_b="Skipped"),
        _errs("stage-c", "absent optional"),
    ),
    _case(
        "TestDAGSkippedProducerOutputDefault",
        "Succeeded",
        *_SKIPPED_DEFAULT,
        _reads("consumer", "hello-from-producer"),
    ),
    _case(
        "TestDAGSkippedConsumerInputDefault",
        "Succeeded",
        *_SKIPPED_DEFAULT,
        _reads("consumer", "fallback-from-input"),
    ),
    _case("TestDAGSkippedVolumeRefProducerDefault", "Succeeded", *_SKIPPED_DEFAULT),
    _case(
        "TestDAGSkippedArtifactSubPathRef",
        "Error",
        _phases(param_producer="Skipped"),
        _errs("consumer", "absent optional"),
    ),
    _case(
        "TestDAGSkippedWithParamProducerDefault",
        "Succeeded",
        _phases(producer="Skipped"),
        *(_reads(f"consumer({place}:{item})", item) for place, item in enumerate("ab")),
        *(_gone_well(f"consumer({place}:{item})") for place, item in enumerate("ab")),
    ),
    _case(
        "TestStepsSkippedWithParamRef",
        "Failed",
        _phases(producer="Skipped"),
        _some_node_errs("absent optional"),
    ),
    _case(
        "TestStepsSkippedOutputRef",
        "Failed",
        _phases(job1="Succeeded", job2="Skipped"),
        _some_node_errs("absent optional"),
    ),
    _case(
        "TestStepsSkippedProducerOutputDefault",
        "Succeeded",
        *_SKIPPED_DEFAULT,
        _reads("consumer", "hello-from-producer"),
    ),
    _case(
        "TestStepsSkippedConsumerInputDefault",
        "Succeeded",
        *_SKIPPED_DEFAULT,
        _reads("consumer", "fallback-from-input"),
    ),
    _case(
        "TestStepsWhenExprFilter",
        "Succeeded",
        *(
            _gone_well(f"fst({item})")
            for item in (
                "0:name:first,type:",
                "1:name:second,type:always",
                "2:name:third,type:test",
                "3:name:fourth",
            )
        ),
    ),
    _case("TestDAGWhenExprSkip", "Succeeded", _phases(B="Skipped")),
    _case("TestParameterAggregation", "Succeeded", _gone_well("print(0:res:1)")),
    _case(
        "TestParameterAggregationFromOutputs",
        "Succeeded",
        *(
            lambda seen, item=item: seen.node(f"task3({item})")
            for item in ("0:key1:value1", "1:key2:value2", "2:key3:value3")
        ),
        *(
            lambda seen, item=item: seen.node(f"task3({item})")
            for item in ("0:key4:value4", "1:key5:value5")
        ),
    ),
    *(
        _case(
            f"TestParameterAggregation{test}WithRetry",
            "Succeeded",
            _aggregates(f"parameter-aggregation-{kind}-with-retry(0)"),
        )
        for test, kind in (("DAG", "dag"), ("Steps", "steps"))
    ),
    _case(
        "TestDAGDepends",
        "",
        _phases(
            should_execute_1="Succeeded", should_execute_2="Succeeded", should_not_execute="Omitted"
        ),
    ),
    _case("TestOptionalOutputArtifacts", "Succeeded"),
    _case("TestWorkflowTemplateRefWithExitHandler", "Succeeded", lambda seen: not seen.message),
    _case(
        "TestWorkflowTemplateRefWithExitHandlerError",
        "Failed",
        lambda seen: "invalid spec" in seen.message,
    ),
    _case(
        "TestWorkflowLifecycleHookWithWorkflowTemplate", "Succeeded", lambda seen: not seen.message
    ),
    _case(
        "TestWorkflowHookParameterTemplates",
        "Succeeded",
        _gone_well("workflow-hook-parameter.onExit"),
        lambda seen: _inputs(seen.node("workflow-hook-parameter.onExit"))[:2] == ["Succeeded"] * 2,
    ),
    _case(
        "TestParametrizableLimit",
        "Failed",
        lambda seen: "No more retries left" in seen.named(seen.name)["message"],
        lambda seen: len(seen.nodes) == 3,
    ),
    _case("TestTemplateLevelTimeout", "Failed"),
    _case("TestOutputArtifactS3BucketCreationEnabled", "Succeeded"),
    _case(
        "TestDataTransformation",
        "Succeeded",
        lambda seen: (
            seen.node("get-artifact-path")["outputs"]["result"] == '["foo/script.py","script.py"]'
        ),
        lambda seen: seen.node("process-artifact(0:foo/script.py)"),
        lambda seen: seen.node("process-artifact(1:script.py)"),
        lambda seen: all((seen.status.get("taskResultsCompletionStatus") or {}).values()),
    ),
    _case("TestScriptAsNonRoot", "Succeeded"),
    *(
        _case(f"Test{kind}LevelMemoize{more}", "Succeeded", _has_hit)
        for kind in ("Step", "DAG")
        for more in ("", "NoOutput")
    ),
    _case("TestContainerSetRetryFail", "Succeeded"),
    _case("TestContainerSetRetrySuccess", "Failed"),
    _case("TestTTY", "Succeeded"),
    _case("TestTemplateDefaultImage", "Succeeded"),
    _case(
        "TestEntrypointName",
        "",
        _phases(step="Succeeded"),
        lambda seen: _inputs(seen.node("step"))[0] == "bar",
    ),
    _case(
        "TestMissingStepsInUI",
        "Succeeded",
        lambda seen: len(seen.named("missing-steps[0].step1[0].execute-script")["children"]) == 1,
    ),
    _case("TestWithItemsWithHooks", "Succeeded"),
    _case(
        "TestWorkflowExitHandlerCrashEnsureNodeIsPresent",
        "Failed",
        lambda seen: [
            True
            for each in seen.nodes
            if each["displayName"].endswith(".onExit") and len(_inputs(each)) == 1
        ],
    ),
    _case(
        "TestWorkflowParallelismStepFailFast",
        "Failed",
        lambda seen: seen.message == _FAIL_FAST,
        lambda seen: seen.phases("[0]", "step1", "step2") == ["Failed", "Failed", "Succeeded"],
    ),
    _case(
        "TestWorkflowParallelismDAGFailFast",
        "Failed",
        lambda seen: seen.message == _FAIL_FAST,
        _phases(task1="Failed", task2="Succeeded"),
    ),
)


def _only_key(artifact: Object) -> bool:
    """Return whether an artifact has a key, and the bucket of its repository is not told again."""
    return bool(artifact["s3"]["key"]) and not artifact["s3"].get("bucket")


def _progress(wanted: str) -> Check:
    return lambda seen: seen.status["progress"] == wanted


def _retried(place: int) -> Check:
    name = f"test-workflow-level-hooks-with-retry({place})"
    return lambda seen: (
        seen.named(name)["phase"] == "Failed"
        and not _flag(seen.named(name), "hooked")
        and _flag(seen.named(name), "retried")
    )


def _hooked(name: str) -> Check:
    return lambda seen: (
        seen.named(name)["phase"] == "Succeeded"
        and _flag(seen.named(name), "hooked")
        and not _flag(seen.named(name), "retried")
    )


def _among_attempts(name: str) -> Check:
    """Return a check that a node hangs below the one that is tried again."""
    whole = f"retries-with-hooks-and-artifact{name}"
    return lambda seen: (
        seen.named(whole)["id"]
        in next(each for each in seen.nodes if each["type"] == "Retry")["children"]
    )


HOOKS = (
    _case(
        "TestWorkflowLevelHooksSuccessVersion",
        "Succeeded",
        _gone_well(".hooks.running"),
        _gone_well(".hooks.succeed"),
    ),
    _case(
        "TestWorkflowLevelHooksFailVersion",
        "Failed",
        _gone_well(".hooks.running"),
        _gone_well(".hooks.failed"),
    ),
    _case(
        "TestTemplateLevelHooksStepSuccessVersion",
        "Succeeded",
        _gone_well("step-1.hooks.succeed"),
        _gone_well("step-1.hooks.running"),
        _gone_well("step-2.hooks.succeed"),
    ),
    _case(
        "TestTemplateLevelHooksStepFailVersion",
        "Failed",
        _gone_well("step-1.hooks.failed"),
        _gone_well("step-1.hooks.running"),
    ),
    _case(
        "TestTemplateLevelHooksDagSuccessVersion",
        "Succeeded",
        _gone_well("step-1.hooks.succeed"),
        _gone_well("step-1.hooks.running"),
        _gone_well("step-2.hooks.succeed"),
        lambda seen: seen.named("step-2.hooks.running"),
    ),
    _case(
        "TestTemplateLevelHooksDagFailVersion",
        "Failed",
        _gone_well("step-1.hooks.failed"),
        _gone_well("step-1.hooks.running"),
    ),
    _case(
        "TestTemplateLevelHooksDagHasDependencyVersion",
        "Failed",
        _progress("1/2"),
        _gone_well("A.hooks.running"),
        _phases(B="Omitted"),
    ),
    _case(
        "TestWorkflowLevelHooksWaitForTriggeredHook",
        "Succeeded",
        _progress("2/2"),
        _gone_well(".hooks.running"),
    ),
    _case(
        "TestTemplateLevelHooksWaitForTriggeredHook",
        "Succeeded",
        _progress("2/2"),
        _gone_well("job.hooks.running"),
    ),
    _case(
        "TestTemplateLevelHooksWaitForTriggeredHookAndRespectSynchronization",
        "Succeeded",
        _progress("3/3"),
        _gone_well("job.hooks.running"),
        _gone_well("job.hooks.succeed"),
    ),
    _case(
        "TestWorkflowLevelHooksWithRetry",
        "Failed",
        _progress("2/4"),
        _hooked("test-workflow-level-hooks-with-retry.hooks.running"),
        _hooked("test-workflow-level-hooks-with-retry.hooks.failed"),
        lambda seen: seen.named(seen.name)["phase"] == "Failed",
        lambda seen: seen.named(seen.name)["type"] == "Retry",
        lambda seen: "nodeFlag" not in seen.named(seen.name),
        _retried(0),
        _retried(1),
    ),
    _case(
        "TestTemplateLevelHooksWithRetry",
        "Succeeded",
        lambda seen: (
            [each["phase"] for each in seen.nodes if each["type"] == "Retry"] == ["Succeeded"]
        ),
        _among_attempts("[0].build(0)"),
        lambda seen: not _flag(seen.named("retries-with-hooks-and-artifact[0].build(0)"), "hooked"),
        *(_among_attempts(f"[0].build.hooks.{name}") for name in ("started", "success")),
        *(_hooked(f"[0].build.hooks.{name}") for name in ("started", "success")),
        _gone_well("retries-with-hooks-and-artifact[1].print"),
    ),
    *(
        _case(
            f"Test{kind}WithWorkflowLevelDeadline",
            "Failed",
            lambda seen: _hooked(f"{seen.name}.onExit")(seen),
        )
        for kind in ("ExitHandler", "HttpExitHandler")
    ),
)
OTHERS = {
    "retry": (
        _case(
            "TestRetryLimit",
            "Failed",
            lambda seen: seen.message == "No more retries left",
            _progress("0/1"),
            lambda seen: seen.named("test-retry-limit")["type"] == "Retry",
            lambda seen: seen.named("test-retry-limit")["phase"] == "Failed",
            lambda seen: "nodeFlag" not in seen.named("test-retry-limit"),
            lambda seen: seen.named("test-retry-limit(0)")["phase"] == "Failed",
            lambda seen: _flag(seen.named("test-retry-limit(0)"), "retried"),
        ),
        _case("TestRetryBackoff", "Failed", lambda seen: len(seen.nodes) <= 10),
        _case(
            "TestRetryNodeAntiAffinity",
            "Failed",
            lambda seen: (
                seen.node(f"{seen.name}(0)")["hostNodeName"]
                != seen.node(f"{seen.name}(1)").get("hostNodeName")
            ),
        ),
    ),
    "suspend": (
        _case(
            "TestSuspendNodeTimeoutWithoutDefaultValue",
            "Failed",
            lambda seen: (
                seen.message
                in "raw output parameter 'message' has not been set and does not have a default value"
            ),
        ),
        _case(
            "TestSuspendNodeTimeoutWithDefaultValue",
            "Succeeded",
            _progress("2/2"),
            _phases(approve="Succeeded", release="Succeeded"),
            lambda seen: _outputs(seen.node("approve")) == ["default message"],
            _reads("release", "default message"),
        ),
    ),
    "daemon_pod": (
        _case(
            "TestWorkflowCompletesIfContainsDaemonPod", "", lambda seen: seen.status["finishedAt"]
        ),
        _case("TestMarkDaemonedPodSucceeded", "Succeeded", _phases(daemoned="Succeeded")),
        _case(
            "TestDaemonPodRetry",
            "Succeeded",
            lambda seen: seen.phases("daemoned(0)", "daemoned(1)") == ["Failed", "Succeeded"],
        ),
    ),
    "failed_main": (_case("TestFailedMain", "Failed"),),
    "invalid_command": (
        _case(
            "TestInvalidCommand", "Failed", lambda seen: "executable file not found" in seen.message
        ),
    ),
    "expr_lang": (
        _case(
            "TestShadowedExprFunctionsAsTaskNames",
            "Succeeded",
            _gone_well(".split"),
            _gone_well(".map"),
        ),
        _case(
            "TestItemInSprigExpr", "Succeeded", _reads("print-message-loop(0:example)", "EXAMPLE")
        ),
    ),
    "resource_template": (
        _case("TestResourceTemplateWithWorkflow", "Succeeded"),
        _case("TestResourceTemplateWithPod", "Succeeded"),
        _case("TestResourceTemplateWithArtifact", "Succeeded"),
        _case(
            "TestResourceTemplateWithOutputs",
            "Succeeded",
            lambda seen: _outputs(seen.named(seen.name)) == ["my-pod", "my-pod"],
            lambda seen: all((seen.status.get("taskResultsCompletionStatus") or {}).values()),
        ),
        _case("TestResourceTemplateAutomountServiceAccountTokenDisabled", "Succeeded"),
        _case("TestResourceTemplateFailed", "Failed"),
    ),
    "signals": (
        _case("TestSidecars", "Succeeded"),
        _case("TestInjectedSidecar", "Succeeded"),
        _case("TestSubProcess", ""),
        _case("TestSignaled", "Failed", lambda seen: "(exit code 143)" in seen.message),
        _case(
            "TestSignaledContainerSet",
            "Failed",
            lambda seen: "(exit code 137)" in seen.message,
            _phases(one="Failed", two="Failed"),
            lambda seen: "(exit code 137)" in seen.node("one")["message"],
            lambda seen: "(exit code 143)" in seen.node("two")["message"],
        ),
    ),
    "run_as_not_root": (
        _case("TestRunAsNonRootWorkflow", "Succeeded"),
        _case("TestRunAsNonRootWithOutputParams", "Succeeded"),
    ),
    "progress": (
        _case(
            "TestDefaultProgress",
            "Succeeded",
            _progress("1/1"),
            lambda seen: seen.named(seen.name)["progress"] == "1/1",
        ),
    ),
}


KNOWN = {
    "TestRetryNodeAntiAffinity": "retryStrategy.affinity is not looked at",
    "TestSignaledContainerSet": "a container that waits for one that fails ends by itself, with 64",
    "TestSuspendNodeTimeoutWithoutDefaultValue": "the workflow's message names the step that failed",
    "TestWorkflowExitHandlerCrashEnsureNodeIsPresent": (
        "an exit handler whose argument cannot be had has no inputs"
    ),
    "TestWorkflowTemplateRefWithExitHandlerError": (
        "a template that only refers to another one is refused when it is made"
    ),
}
"""What differs here, and in what."""


def _cases() -> Iterator[Any]:
    for group, cases in {"functional": FUNCTIONAL, "hooks": HOOKS, **OTHERS}.items():
        for case in cases:
            marks = [pytest.mark.conformance("argo-e2e", group=group, name=case.name)]
            if case.name in KNOWN:
                marks.append(pytest.mark.xfail(reason=KNOWN[case.name]))
            yield pytest.param(case, marks=marks, id=f"{group}-{case.name}")


@pytest.mark.parametrize("case", list(_cases()))
def test_it_ends_as_upstream_wants(argo: Argo, case: Case) -> None:
    # Patches name the container that upstream puts beside the main one; there is none here.
    argo.filled("main", "main")
    argo.templates()
    workflows = [each for each in argo.given if each.kind == "Workflow"]
    for number in range(len(workflows)):
        seen = argo.submit(number).ends(case.phase)
        for place, check in enumerate(case.checks):
            assert check(seen), f"check {place}: {seen.told}\n{json.dumps(seen.nodes, indent=1)}"
