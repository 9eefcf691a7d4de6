"""Every list, page by page while others write: what stays is in it once."""

import dataclasses
import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.pipelines.api import object_lists
from wherry.pipelines.api.object_lists import Row
from wherry.pipelines.history.query import Key, Operation, Order, Predicate, Query

KEYS = {"name": Key("name"), "created_at": Key("created_at", is_time=True)}
ROWS = st.lists(st.tuples(st.sampled_from("abA"), st.integers(0, 3)), max_size=9)
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from("abA"), st.integers(0, 3)),
        st.tuples(st.just("delete"), st.integers(0, 12)),
    ),
    max_size=3,
)

pytestmark = pytest.mark.timeout(300)


def row(name, at):
    uid = str(uuid.uuid4())
    return Row({}, uid, {"name": name, "created_at": at})


@given(
    rows=ROWS,
    changes=st.lists(CHANGES, max_size=6),
    key=st.sampled_from([*KEYS]),
    descending=st.booleans(),
    limit=st.integers(1, 4),
    chosen=st.sampled_from(["a", "b", None]),
)
def test_objects_are_listed_once_while_others_write(rows, changes, key, descending, limit, chosen):
    there = {made.uid: made for made in (row(*each) for each in rows)}
    where = (Predicate("name", Operation.EQUALS, chosen),) if chosen else ()
    query = Query(namespaces=("n",), where=where, order=Order(key, descending), limit=limit)
    stays, may = set(there), set(there)
    found: list[Row] = []
    for number in range(1000):
        page = object_lists.page(there.values(), query, KEYS)
        assert len(page.items) <= limit
        found += page.items
        if page.after is None:
            break
        for what, *given_ in changes[number] if number < len(changes) else ():
            if what == "add":
                made = row(*given_)
                there[made.uid] = made
                may.add(made.uid)
            elif there:
                gone = sorted(there)[given_[0] % len(there)]
                del there[gone]
                stays.discard(gone)
        query = dataclasses.replace(query, after=page.after)
    uids = [each.uid for each in found]
    assert len(uids) == len(set(uids))
    fits = {each.uid for each in there.values() if chosen in (None, each.values["name"])}
    assert stays & fits <= set(uids) <= may
    values = [each.values[key] for each in found]
    assert values == sorted(values, reverse=descending)


class Lists:
    """Makes, deletes and lists things of one kind; see `LISTS`."""

    def __init__(self, api, namespace, spec):
        self.api = api
        self.spec = spec
        self.namespace = namespace
        self.experiment = api.post("/experiments", {"display_name": "e", "namespace": namespace})
        self.pipeline = api.post("/pipelines", {"name": "p", "namespace": namespace})

    def experiments(self, name):
        made = self.api.post("/experiments", {"display_name": name, "namespace": self.namespace})
        return made["experiment_id"], f"/experiments/{made['experiment_id']}"

    def pipelines(self, name):
        made = self.api.post("/pipelines", {"name": name, "namespace": self.namespace})
        return made["pipeline_id"], f"/pipelines/{made['pipeline_id']}"

    def versions(self, name):
        path = f"/pipelines/{self.pipeline['pipeline_id']}/versions"
        made = self.api.post(path, {"name": name, "pipeline_spec": self.spec})
        return made["pipeline_version_id"], f"{path}/{made['pipeline_version_id']}"

    def runs(self, name):
        made = self.api.post("/runs", self._body(name))
        return made["run_id"], f"/runs/{made['run_id']}"

    def recurring(self, name):
        body = {"mode": "DISABLE", "max_concurrency": "1", **self._body(name)}
        made = self.api.post("/recurringruns", body)
        return made["recurring_run_id"], f"/recurringruns/{made['recurring_run_id']}"

    def _body(self, name):
        experiment = self.experiment["experiment_id"]
        return {"display_name": name, "experiment_id": experiment, "pipeline_spec": self.spec}


LISTS = {
    "experiments": ("experiments", "/experiments", "experiments", "experiment_id"),
    "pipelines": ("pipelines", "/pipelines", "pipelines", "pipeline_id"),
    "versions": ("versions", "", "pipeline_versions", "pipeline_version_id"),
    "runs": ("runs", "/runs", "runs", "run_id"),
    "recurring runs": ("recurring", "/recurringruns", "recurringRuns", "recurring_run_id"),
    "v1 experiments": ("experiments", "/apis/v1beta1/experiments", "experiments", "id"),
    "v1 pipelines": ("pipelines", "/apis/v1beta1/pipelines", "pipelines", "id"),
    "v1 versions": ("versions", "/apis/v1beta1/pipeline_versions", "versions", "id"),
    "v1 runs": ("runs", "/apis/v1beta1/runs", "runs", "id"),
    "v1 jobs": ("recurring", "/apis/v1beta1/jobs", "jobs", "id"),
}
"""How things are made, where they are listed, and how the list and their ids are called in it."""


def asked(lists, made, path):
    """Return path and query of a list."""
    if not path:
        return f"/pipelines/{lists.pipeline['pipeline_id']}/versions", {}
    if not path.startswith("/apis"):
        return path, {"namespace": lists.namespace}
    kind, uid = ("NAMESPACE", lists.namespace)
    if made == "versions":
        kind, uid = ("PIPELINE", lists.pipeline["pipeline_id"])
    name = "resource_key" if made == "versions" else "resource_reference_key"
    return path, {f"{name}.type": kind, f"{name}.id": uid}


@pytest.mark.slow
@pytest.mark.parametrize("order", ["name", "created_at desc"])
@pytest.mark.parametrize(("made", "path", "field", "uid"), LISTS.values(), ids=LISTS)
def test_every_list_has_what_stays_once(api, lists, made, path, field, uid, order):
    make = getattr(lists, made)
    there = dict(make(f"m{number}") for number in range(6))
    seen_before = len(listed(api, lists, made, path, field, uid, order))
    stays, found, token = dict(there), [], None
    for number in range(20):
        where, query = asked(lists, made, path)
        page = api.get(where, page_size=2, page_token=token, sort_by=order, **query)
        found += [each[uid] for each in page.get(field, [])]
        token = page.get("next_page_token")
        if not token:
            break
        if number < 2:
            # One that was listed already, one that was not, and new ones on either side.
            for gone in (found[-1], next((one for one in there if one not in found), None)):
                if gone in there:
                    api.delete(there.pop(gone))
                    stays.pop(gone, None)
            for name in (f"a{number}", f"z{number}"):
                new, at = make(name)
                there[new] = at
    assert len(found) == len(set(found))
    assert stays.keys() <= set(found)
    assert seen_before >= 6
    for at in there.values():
        api.delete(at)


@pytest.mark.parametrize(("made", "path", "field", "uid"), LISTS.values(), ids=LISTS)
def test_a_token_of_another_namespace_shows_nothing_of_it(
    api, lists, stranger, made, path, field, uid
):
    for number in range(3):
        getattr(lists, made)(f"m{number}")
    where, query = asked(lists, made, path)
    token = api.get(where, page_size=1, sort_by="name", **query)["next_page_token"]
    refused = api.call("GET", where, page_token=token, user="stranger", **query)
    assert refused.status in (403, 404), refused
    assert "m0" not in json.dumps(refused.body)
    assert "total_size" not in refused.body
    there, own = asked(stranger, made, path)
    answer = api.call("GET", there, page_token=token, user="stranger", **own)
    assert answer.status == 200, answer
    mine = {each[uid] for each in api.get(there, page_size=200, **own).get(field, [])}
    assert {each[uid] for each in answer.body.get(field, [])} <= mine
    assert answer.body.get("total_size", 0) == len(mine)


def listed(api, lists, made, path, field, uid, order):
    where, query = asked(lists, made, path)
    return [each[uid] for each in api.get(where, sort_by=order, page_size=200, **query)[field]]


@pytest.fixture
def namespaces(shared_platform):
    """What makes namespaces."""

    def make():
        body = {"metadata": {"generateName": "paging-"}}
        made = shared_platform.call(shared_platform.client.create(core.NAMESPACES, body))
        return metadata.name(made)

    return make


@pytest.fixture
def spec(pipeline):
    made = pipeline()
    made.step("say", "true")
    made.task("say")
    return made.spec()["pipelineSpec"]


@pytest.fixture
def lists(api, namespaces, spec):
    return Lists(api, namespaces(), spec)


@pytest.fixture
def stranger(api, namespaces, spec, shared_platform):
    """Things of a user who has no rights but in a namespace of his own."""
    own = Lists(api, namespaces(), spec)
    binding = {
        "metadata": {"name": "stranger", "namespace": own.namespace},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "edit",
        },
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "stranger"}],
    }
    shared_platform.call(shared_platform.client.create(core.ROLE_BINDINGS, binding))
    return own
