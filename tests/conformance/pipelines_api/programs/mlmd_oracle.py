"""Does the same with ML Metadata's own store and with the service, and tells where they differ.

Ids differ, so what is done names things by their place among those that were made, and so do answers.
"""

import json
import random
import sys

import with_identity  # noqa: F401 - channels say who calls
from google.protobuf import json_format
from ml_metadata import errors
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as proto
from ml_metadata.proto import metadata_store_service_pb2 as service

KINDS = ("Artifact", "Execution", "Context")
TIMES = ("createTimeSinceEpoch", "lastUpdateTimeSinceEpoch", "millisecondsSinceEpoch")
STATES = {"Artifact": "state", "Execution": "last_known_state"}


class Store:
    """One of the two, and what was made in it, in order."""

    def __init__(self, config):
        self.store = metadata_store.MetadataStore(config)
        self.made = {kind: [] for kind in KINDS}
        self.types = {kind: [] for kind in KINDS}

    def call(self, method, **request):
        asked = getattr(service, f"{method}Request")(**request)
        answer = getattr(service, f"{method}Response")()
        try:
            self.store._call_method(method, asked, answer)
        except errors.StatusError as error:
            # What an update makes the same as another, the client's own store has no word for.
            taken = isinstance(error, errors.InternalError) and "UNIQUE" in str(error)
            return None, "AlreadyExistsError" if taken else type(error).__name__
        return answer, None

    def place(self, kind, number):
        return self.made[kind].index(number) if number in self.made[kind] else None

    def told(self, node):
        """Return a message with places in the place of ids, without times."""
        made = json_format.MessageToDict(node)
        self._clean(made)
        return made

    def _clean(self, value):
        if isinstance(value, list):
            for each in value:
                self._clean(each)
            value.sort(key=lambda each: json.dumps(each, sort_keys=True))
        elif isinstance(value, dict):
            for name in (*TIMES, "typeId", "id", "nextPageToken"):
                value.pop(name, None)
            # Unset and empty say the same.
            for name in [name for name, each in value.items() if each in ("", {}, [], "UNKNOWN")]:
                del value[name]
            for kind in KINDS:
                field = f"{kind.lower()}Id"
                if field in value:
                    value[field] = self.place(kind, int(value[field]))
                if f"{field}s" in value:
                    value[f"{field}s"] = [self.place(kind, int(n)) for n in value[f"{field}s"]]
            for each in value.values():
                self._clean(each)


class Player:
    """Draws what is done next, the same for both."""

    def __init__(self, seed, stores):
        self.random = random.Random(seed)
        self.stores = stores
        self.differences = []
        self.done = 0

    def both(self, title, ask, *, keep=None):
        """Ask both; note a difference."""
        answers = []
        for store in self.stores:
            method, request = ask(store)
            answer, error = store.call(method, **request)
            if answer is not None and keep:
                keep(store, answer)
            answers.append({"error": error} if error else store.told(answer))
        self.done += 1
        if answers[0] != answers[1]:
            self.differences.append([title, *answers])

    def values(self, prefix=""):
        """Draw properties.

        The client's own store mixes up those that have a name in common with custom ones, so none has.
        """
        drawn = {}
        if self.random.random() < 0.6:
            drawn[f"{prefix}i"] = proto.Value(int_value=self.random.randrange(4))
        if self.random.random() < 0.4:
            drawn[f"{prefix}s"] = proto.Value(string_value=self.random.choice("abc"))
        if self.random.random() < 0.05:
            drawn[f"{prefix}z"] = proto.Value(int_value=1)
        return drawn

    def types(self):
        for kind in KINDS:
            for name in ("T", "U"):
                properties = {"i": proto.INT, "s": proto.STRING}
                given = getattr(proto, f"{kind}Type")(name=name, properties=properties)
                request = {f"{kind.lower()}_type": given}
                self.both(
                    f"type {name}",
                    lambda _, request=request, kind=kind: (f"Put{kind}Type", request),
                    keep=lambda store, answer, kind=kind: store.types[kind].append(answer.type_id),
                )

    def put(self):
        kind, type_ = self.random.choice(KINDS), self.random.randrange(2)
        known = len(self.stores[0].made[kind])
        at = self.random.randrange(known) if known and self.random.random() < 0.4 else None
        fields = {"properties": self.values(), "custom_properties": self.values("c")}
        if self.random.random() < 0.5 or kind == "Context":
            fields["name"] = f"n{self.random.randrange(40)}"
        if self.random.random() < 0.2:
            fields["external_id"] = f"x{self.random.randrange(30)}"
        if kind in STATES and self.random.random() < 0.5:
            fields[STATES[kind]] = self.random.randrange(1, 5)
        if kind == "Artifact":
            fields["uri"] = f"s3://{self.random.randrange(5)}"
        paths = self.random.choice([[], [], ["properties.i", "custom_properties"], ["external_id"]])

        def ask(store):
            one = {"type_id": store.types[kind][type_], **fields}
            if at is not None:
                one["id"] = store.made[kind][at]
            request = {f"{kind.lower()}s": [one]}
            if at is not None and paths and kind != "Context":
                request["update_mask"] = {"paths": paths}
            return f"Put{kind}s", request

        def keep(store, answer):
            number = getattr(answer, f"{kind.lower()}_ids")[0]
            if number not in store.made[kind]:
                store.made[kind].append(number)

        self.both(f"put {kind}", ask, keep=keep)

    def drawn(self, kind):
        known = len(self.stores[0].made[kind])
        return self.random.randrange(known) if known else None

    def event(self):
        artifact, execution = self.drawn("Artifact"), self.drawn("Execution")
        if artifact is None or execution is None:
            return
        type_ = self.random.randrange(1, 8)
        path = {"steps": [{"key": self.random.choice("kl")}, {"index": 0}]}
        self.both(
            "event",
            lambda store: (
                "PutEvents",
                {
                    "events": [
                        {
                            "artifact_id": store.made["Artifact"][artifact],
                            "execution_id": store.made["Execution"][execution],
                            "type": type_,
                            "path": path,
                        }
                    ]
                },
            ),
        )

    def group(self):
        kind = self.random.choice(("Artifact", "Execution"))
        member, context = self.drawn(kind), self.drawn("Context")
        if member is None or context is None:
            return
        field = {"Artifact": "attributions", "Execution": "associations"}[kind]
        self.both(
            "group",
            lambda store: (
                "PutAttributionsAndAssociations",
                {
                    field: [
                        {
                            f"{kind.lower()}_id": store.made[kind][member],
                            "context_id": store.made["Context"][context],
                        }
                    ]
                },
            ),
        )

    def parent(self):
        child, parent = self.drawn("Context"), self.drawn("Context")
        if child is None or child == parent:
            return
        self.both(
            "parent",
            lambda store: (
                "PutParentContexts",
                {
                    "parent_contexts": [
                        {
                            "child_id": store.made["Context"][child],
                            "parent_id": store.made["Context"][parent],
                        }
                    ]
                },
            ),
        )

    def read(self):
        kind = self.random.choice(KINDS)
        at = self.drawn(kind)
        one = kind.lower()
        if at is None:
            return
        by_id = {f"{one}_id": lambda store: store.made[kind][at]}
        many = {f"{one}_ids": lambda store: store.made[kind][at : at + 2]}
        options = {"options": lambda _: {"max_result_size": 100, "filter_query": self.query}}
        self.query = self.drawn_query(kind)
        calls = [
            (f"Get{kind}sByID", many),
            (f"Get{kind}sByType", {"type_name": lambda _: self.random_type}),
            (f"Get{kind}s", options),
            (
                f"Get{kind}ByTypeAndName",
                {"type_name": lambda _: "T", f"{one}_name": lambda _: self.name},
            ),
            (f"Get{kind}sByExternalIds", {"external_ids": lambda _: ["x1", "x2", "x3"]}),
        ]
        if kind == "Context":
            field = {"context_id": lambda store: store.made[kind][at]}
            calls += [
                (f"Get{each}ByContext", field)
                for each in ("Artifacts", "Executions", "ParentContexts", "ChildrenContexts")
            ]
        else:
            calls += [(f"GetContextsBy{kind}", by_id), (f"GetEventsBy{kind}IDs", many)]
        self.random_type = self.random.choice("TU")
        self.name = f"n{self.random.randrange(40)}"
        method, fields = self.random.choice(calls)
        self.both(
            f"{method} {self.query}",
            lambda store: (method, {name: value(store) for name, value in fields.items()}),
        )

    def drawn_query(self, kind):
        """Draw a filter.

        The client's own store leaves out whatever lacks a property, a context or an event that a query
        speaks of, even where OR has it ask for something else: those are joined by AND.
        """
        plain = ["name LIKE 'n1%'", "external_id IS NULL", "type = 'T'", "NOT name = 'n1'"]
        others = [
            "properties.i.int_value > 1",
            "custom_properties.cs.string_value = 'a'",
            "properties.i.int_value IN (0, 3)",
            "custom_properties.ci.int_value BETWEEN 1 AND 2",
        ]
        if kind == "Context":
            others += ["parent_contexts_a.name LIKE 'n2%'", "child_contexts_a.type = 'U'"]
        else:
            others += ["contexts_a.name LIKE 'n1%'", "events_0.type = OUTPUT"]
        if kind == "Artifact":
            plain += ["uri = 's3://1'", "state = LIVE"]
        word = self.random.choice(("AND", "OR"))
        chosen = self.random.sample(plain if word == "OR" else plain + others, 2)
        return (
            f" {word} ".join(chosen) if self.random.random() < 0.6 else self.random.choice(others)
        )

    def lineage(self):
        kind = self.random.choice(("Artifact", "Execution"))
        at = self.drawn(kind)
        if at is None:
            return
        hops, direction = self.random.randrange(5), self.random.randrange(4)
        parts = ["events", "attributions", "associations"]
        self.both(
            f"lineage {hops} {direction}",
            lambda store: (
                "GetLineageSubgraph",
                {
                    "lineage_subgraph_query_options": {
                        f"starting_{kind.lower()}s": {
                            "filter_query": f"id = {store.made[kind][at]}"
                        },
                        "max_num_hops": hops,
                        "direction": direction,
                    },
                    "read_mask": {"paths": parts},
                },
            ),
        )

    def play(self, steps):
        self.types()
        for _ in range(steps):
            self.random.choice(
                [
                    self.put,
                    self.put,
                    self.event,
                    self.group,
                    self.parent,
                    self.read,
                    self.read,
                    self.lineage,
                ]
            )()


def main():
    own = proto.ConnectionConfig()
    own.fake_database.SetInParent()
    host, port = sys.argv[1].split(":")
    ours = proto.MetadataStoreClientConfig(host=host, port=int(port))
    player = Player(int(sys.argv[2]), [Store(own), Store(ours)])
    player.play(int(sys.argv[3]))
    sys.stdout.write(json.dumps({"done": player.done, "differences": player.differences[:20]}))


main()
