"""`/metrics` is what Prometheus reads, `/readyz` and `/livez` what probes and people do."""

import re
from collections import defaultdict

from wherry.testing.waiting import eventually

_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\\\|\\"|\\n)*"'
_SAMPLE = re.compile(
    rf"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{{((?:{_LABEL})(?:,{_LABEL})*)\}})? (-?[0-9.e+]+|NaN|[+-]Inf)"
)
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}


def check_form(text: str) -> dict[str, dict[str, float]]:
    """Check the rules of the text format 0.0.4; return the samples by name and labels."""
    assert text.endswith("\n")
    samples: dict[str, dict[str, float]] = defaultdict(dict)
    kinds: dict[str, str] = {}
    family = ""
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, family, kind = line.split(" ")
            assert family not in kinds, f"{family} comes twice"
            assert kind in {"counter", "gauge", "histogram", "summary", "untyped"}
            kinds[family] = kind
            continue
        if line.startswith("# HELP "):
            assert line.split(" ")[2] not in kinds, f"HELP after its TYPE: {line}"
            continue
        match = _SAMPLE.fullmatch(line)
        assert match, line
        name, labels, value = match[1], match[2] or "", float(match[3])
        belongs = {family + suffix for suffix in _SUFFIXES.get(kinds[family], ("",))}
        assert name in belongs, f"{name} stands among the samples of {family}"
        assert labels not in samples[name], f"{line} comes twice"
        samples[name][labels] = value
    for name, kind in kinds.items():
        assert kind != "counter" or name.endswith("_total")
        if kind == "histogram":
            _check_histogram(name, samples)
    return samples


def _check_histogram(name: str, samples: dict[str, dict[str, float]]) -> None:
    rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for labels, value in samples[f"{name}_bucket"].items():
        rest, _, bound = labels.rpartition('le="')
        rows[rest.rstrip(",")].append((float(bound.rstrip('"')), value))
    for labels, buckets in rows.items():
        bounds, counts = zip(*buckets, strict=True)
        assert list(bounds) == sorted(bounds)
        assert list(counts) == sorted(counts)
        assert bounds[-1] == float("inf")
        assert counts[-1] == samples[f"{name}_count"][labels]
        assert labels in samples[f"{name}_sum"]


def test_metrics_have_the_form_and_the_names(wire):
    wire.send("GET", "/api/v1/namespaces/default/pods/none")
    wire.send("GET", "/api/v1/namespaces/default/pods/a%22b%5Cc%0Ad")
    answer = wire.send("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    samples = check_form(answer.text)
    wanted = {
        "apiserver_request_total",
        "apiserver_request_duration_seconds_bucket",
        "apiserver_current_inflight_requests",
        "apiserver_longrunning_requests",
        "apiserver_flowcontrol_dispatched_requests_total",
        "apiserver_flowcontrol_current_inqueue_requests",
        "apiserver_flowcontrol_current_executing_requests",
        "apiserver_flowcontrol_nominal_limit_seats",
        "workqueue_depth",
        "workqueue_adds_total",
        "workqueue_retries_total",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_open_fds",
        "process_max_fds",
    }
    assert wanted <= samples.keys()
    assert samples["workqueue_adds_total"]['name="deployment"'] >= 0
    assert samples["apiserver_current_inflight_requests"]['request_kind="readOnly"'] >= 1
    assert sum(samples["apiserver_flowcontrol_dispatched_requests_total"].values()) > 0


def test_readiness_names_its_checks(wire):
    answer = wire.send("GET", "/readyz?verbose")
    assert answer.code == 200
    lines = answer.text.splitlines()
    assert {"[+]ping ok", "[+]informer-sync ok", "[+]shutdown ok"} <= set(lines)
    assert lines[-1] == "readyz check passed"
    assert wire.send("GET", "/readyz/informer-sync").text == "ok"
    assert wire.send("GET", "/readyz/nothing").code == 404
    assert wire.send("GET", "/livez").text == "ok"
    assert wire.send("GET", "/livez?verbose").text == "[+]ping ok\nlivez check passed\n"


def test_flow_schemas_are_there_and_answers_name_them(kubectl, wire):
    schemas = {row["NAME"]: row for row in kubectl("get", "flowschemas").table}
    assert {"exempt", "probes", "global-default", "catch-all", "service-accounts"} <= schemas.keys()
    assert schemas["exempt"]["PRIORITYLEVEL"] == "exempt"
    levels = kubectl("get", "prioritylevelconfigurations").table
    assert len(levels) == 8
    answer = wire.send("GET", "/api/v1/namespaces/default/configmaps")
    uids = {
        obj["metadata"]["uid"]: obj["metadata"]["name"]
        for obj in kubectl.get("flowschemas,prioritylevelconfigurations")["items"]
    }
    assert uids[answer.headers["X-Kubernetes-PF-FlowSchema-UID"]] == "exempt"
    assert uids[answer.headers["X-Kubernetes-PF-PriorityLevel-UID"]] == "exempt"


def test_a_schema_takes_effect_without_a_restart(kubectl, wire, namespace):
    name = f"mine-{namespace}"
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": [namespace]}
    subject = {"kind": "User", "user": {"name": "bob"}}
    spec = {"priorityLevelConfiguration": {"name": "system"}, "matchingPrecedence": 777,
            "rules": [{"subjects": [subject], "resourceRules": [everything]}]}  # fmt: skip
    api = "flowcontrol.apiserver.k8s.io/v1"
    made = {"apiVersion": api, "kind": "FlowSchema", "metadata": {"name": name}, "spec": spec}
    kubectl.apply(made)
    uid = kubectl.get("flowschema", name)["metadata"]["uid"]
    path = f"/api/v1/namespaces/{namespace}/pods"

    def schema_of(user: str) -> str:
        answer = wire.send("GET", path, Impersonate_User=user)
        return str(answer.headers["X-Kubernetes-PF-FlowSchema-UID"])

    eventually(lambda: schema_of("bob") == uid)
    assert schema_of("alice") != uid
    kubectl("delete", "flowschema", name)
    eventually(lambda: schema_of("bob") != uid)
