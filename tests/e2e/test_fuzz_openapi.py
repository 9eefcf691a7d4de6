"""Requests made at random from what the server's own OpenAPI documents promise.

Half of what is sent is nearly right, the rest is wrong in one place or throughout. Whatever comes,
the server answers with something below 500, writes no traceback and does not grow.
"""

import asyncio
import json
import os
import random
import re
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import orjson
import pytest
from yarl import URL

from wherry.testing.running import RunningPlatform

_SECONDS = float(os.environ.get("WHERRY_FUZZ_SECONDS", "600"))
_SEED = int(os.environ.get("WHERRY_FUZZ_SEED", "0")) or random.randrange(1, 2**31)
_WORKERS = 4
_ENOUGH = 20
"""Findings after which nothing more is tried."""
_GROWTH_BYTES = 64 * 1024 * 1024
"""History and decoded schemas may still be filling after the warm-up; both are bounded."""
_NAMES = ("fuzz-a", "fuzz-b", "fuzz-c", "Fuzz_D", "fuzz.e", "-", "x" * 254, "fuzz:f", "%20", "ñ")
_NAMESPACES = ("fuzz", "fuzz", "fuzz", "default", "nowhere", "NO")
_TYPES = (
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
    "text/plain",
    "",
)
_ACCEPTS = (
    "application/json",
    "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,*/*",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/vnd.kubernetes.protobuf,application/json",
    "image/png",
    "",
)
# Their work is to make other requests fail, which upstream answers with 500, or to end the platform.
_LEFT_ALONE = (
    "webhookconfigurations",
    "admissionpolicies",
    "admissionpolicybindings",
    "apiservices",
)
_ODD_TEXT = (
    *("", "a", "fuzz-a", "0", "-1", "1e400", "10Gi", "NaN", "null", "é" * 40, "a b", "a/b", "\x00"),
    *(
        "x" * 70,
        "{{",
        "(",
        "*",
        "=",
        "in (",
        "!a",
        "2020-01-01T00:00:00Z",
        "\U0001f600",
        "%s",
        "..",
    ),
    "True",
)
_TIME = "2020-01-01T00:00:00Z"
_ODD_NUMBERS = (0, 1, -1, 2**31, -(2**31) - 1, 2**63, 10**30, 1.5, 1e308, 65536, 80)


class Values:
    """Makes values of a schema, with now and then one that is none."""

    def __init__(self, schemas: dict[str, Any], chance: random.Random) -> None:
        self._schemas = schemas
        self.chance = chance
        self.tame = False
        """Whether to keep to what is likely to be taken."""

    def of(self, schema: dict[str, Any], depth: int = 0) -> Any:
        chance = self.chance
        if chance.random() < 0.03 and not self.tame:
            return self.anything()
        schema = self._resolved(schema)
        if "enum" in schema and chance.random() < 0.9:
            return chance.choice(schema["enum"])
        kind = schema.get("type")
        if kind == "object" or "properties" in schema:
            return self._object(schema, depth)
        if kind == "array":
            count = chance.choice((0, 1, 1, 2)) if depth < 7 else 0
            return [self.of(schema.get("items") or {}, depth + 1) for _ in range(count)]
        return self._scalar(schema, kind)

    def _scalar(self, schema: dict[str, Any], kind: str | None) -> Any:
        chance = self.chance
        usual = chance.randrange(1, 100)
        if kind == "boolean":
            return chance.random() < 0.5
        if kind in {"integer", "number"}:
            return usual if self.tame else chance.choice((*_ODD_NUMBERS, usual, usual))
        if kind == "string" and (self.tame or chance.random() < 0.3):
            return _TIME if schema.get("format") == "date-time" else chance.choice(_NAMES[:2])
        if kind == "string":
            return chance.choice(_ODD_TEXT)
        return chance.choice((usual, "50%", "fuzz-a", {}, None))

    def anything(self) -> Any:
        chance = self.chance
        deep: Any = "deep"
        for _ in range(chance.choice((1, 5, 150, 260))):
            deep = [deep] if chance.random() < 0.5 else {"x": deep}
        return chance.choice(
            (None, True, [], {}, [None], {"": None}, "\ud800", deep, *_ODD_TEXT, *_ODD_NUMBERS)
        )

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        while True:
            if "$ref" in schema:
                schema = self._schemas.get(schema["$ref"].rpartition("/")[2], {})
            elif schema.get("allOf"):
                schema = schema["allOf"][0]
            else:
                return schema

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        chance, properties = self.chance, schema.get("properties") or {}
        share = 0.05 if self.tame else 0.5 if depth < 2 else 0.25
        required = schema.get("required") or ()
        made = {
            name: self.of(each, depth + 1)
            for name, each in properties.items()
            if (name in required and (self.tame or chance.random() < 0.95))
            or (name == "spec" and self.tame)
            or (depth < 8 and chance.random() < share)
        }
        if not properties and depth < 8:
            further = schema.get("additionalProperties") or {}
            keys = chance.sample(_NAMES[:3] if self.tame else _ODD_TEXT, chance.randrange(3))
            made = {key: self.of(further if further is not True else {}, depth + 1) for key in keys}
        if chance.random() < 0.02 and not self.tame:
            made[chance.choice(("unknown", "metadata", "$patch", "kind"))] = self.anything()
        return made


@dataclass(frozen=True)
class Operation:
    """A path of a document with what may be sent there."""

    method: str
    path: str
    schema: dict[str, Any]
    values: Values
    api_version: str
    kind: str


@dataclass
class Findings:
    """What has come back."""

    codes: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def operations(documents: dict[str, Any], chance: random.Random) -> Iterator[Operation]:
    """Yield what the documents describe."""
    for document in documents.values():
        values = Values(document["components"]["schemas"], chance)
        for path, item in document["paths"].items():
            if any(word in path for word in _LEFT_ALONE):
                continue
            for method in ("get", "put", "post", "patch", "delete"):
                if method not in item:
                    continue
                gvk = item[method]["x-kubernetes-group-version-kind"]
                name = next(
                    (key for key, each in document["components"]["schemas"].items()
                     if gvk in (each.get("x-kubernetes-group-version-kind") or ())), "",
                )  # fmt: skip
                version = f"{gvk['group']}/{gvk['version']}".lstrip("/")
                reference = {"$ref": f"#/components/schemas/{name}"}
                yield Operation(method, path, reference, values, version, gvk["kind"])


class Fuzzer:
    """Sends requests until its time is over."""

    def __init__(self, session: aiohttp.ClientSession, url: str, chosen: list[Operation]) -> None:
        self.session = session
        self.url = url
        self.found = Findings()
        self._operations = chosen
        self._chance = chosen[0].values.chance

    async def run(self, until: float) -> None:
        while time.monotonic() < until and len(self.found.wrong) < _ENOUGH:
            operation = self._chance.choice(self._operations)
            method = operation.method.upper()
            if self._chance.random() < 0.03:
                method = self._chance.choice(
                    ("GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "HEAD")
                )
            await self._send(method, self._path(operation), *self._content(operation))
            if method == "POST" and self._chance.random() < 0.1:
                # What the server keeps stays small, so that only leaks can let it grow.
                await self._send("DELETE", operation.path.replace("{namespace}", "fuzz"), b"", "")

    def _path(self, operation: Operation) -> str:
        chance = self._chance
        path = operation.path.replace("{namespace}", quote(chance.choice(_NAMESPACES), safe=""))
        name = chance.choice(_NAMES[:3] if chance.random() < 0.8 else _NAMES)
        path = path.replace("{name}", quote(name, safe="%"))
        options = {
            "limit": lambda: chance.choice(("0", "1", "-1", "x", "99999999999999999999")),
            "continue": lambda: chance.choice(("", "x", "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ", "é")),
            "resourceVersion": lambda: chance.choice(("0", "1", "x", "-1", "99999999999999999999", "")),
            "resourceVersionMatch": lambda: chance.choice(("Exact", "NotOlderThan", "x")),
            "labelSelector": lambda: chance.choice(_ODD_TEXT),
            "fieldSelector": lambda: chance.choice(("metadata.name=a", "x=y", "a", "=", "spec.nodeName!=")),
            "dryRun": lambda: chance.choice(("All", "x")),
            "fieldManager": lambda: chance.choice(_ODD_TEXT),
            "fieldValidation": lambda: chance.choice(("Strict", "Warn", "Ignore", "x")),
            "force": lambda: chance.choice(("true", "x")),
            "propagationPolicy": lambda: chance.choice(("Foreground", "Orphan", "x")),
            "gracePeriodSeconds": lambda: chance.choice(("0", "-1", "x", "9" * 30)),
            "includeObject": lambda: chance.choice(("None", "x")),
            "sendInitialEvents": lambda: chance.choice(("true", "x")),
            "allowWatchBookmarks": lambda: chance.choice(("true", "x")),
        }  # fmt: skip
        keys = chance.sample(sorted(options), chance.choice((0, 0, 1, 2, 4)))
        query = {key: options[key]() for key in keys}
        if operation.method == "get" and chance.random() < 0.1:
            query |= {"watch": "true", "timeoutSeconds": "1"}
            query["resourceVersion"] = chance.choice(("", "0", "1", "x"))
        return f"{path}?{urlencode(query)}" if query else path

    def _content(self, operation: Operation) -> tuple[bytes, str]:
        chance = self._chance
        if operation.method == "get":
            return b"", ""
        if operation.method == "delete" and chance.random() < 0.7:
            return b"", ""
        if chance.random() < 0.04:
            junk = (b"", b"{", b"k8s\x00" + chance.randbytes(40), chance.randbytes(200), b"[" * 5000,
                    b'{"a":1,"a":2}', b"a: &a [*a]", b"- - -", b"null", b"1")  # fmt: skip
            return chance.choice(junk), chance.choice(_TYPES)
        operation.values.tame = chance.random() < 0.4
        value = operation.values.of(operation.schema)
        if operation.method == "patch":
            return self._patch(operation, value)
        if isinstance(value, dict) and operation.method != "delete":
            self._name(operation, value)
        return _dumped(value), "application/json" if chance.random() < 0.95 else chance.choice(
            _TYPES
        )

    def _patch(self, operation: Operation, value: Any) -> tuple[bytes, str]:
        chance = self._chance
        kind = chance.choice(_TYPES[3:7])
        if kind.startswith("application/json-patch"):
            places = ("/metadata/labels", "/spec", "/metadata/name", "/spec/-", "", "/x/0/y", "/~2", "/status",
                      "/metadata/finalizers", "/metadata/managedFields", "/data", "/metadata")  # fmt: skip
            steps = ("add", "remove", "replace", "move", "copy", "test", "x")
            value = [
                {"op": chance.choice(steps), "path": chance.choice(places),
                 "from": chance.choice(places), "value": operation.values.anything()}
                for _ in range(chance.randrange(4))
            ]  # fmt: skip
        elif kind.startswith("application/apply") and isinstance(value, dict):
            self._name(operation, value)
        return _dumped(value), kind

    def _name(self, operation: Operation, value: dict[str, Any]) -> None:
        chance = self._chance
        if chance.random() < 0.95:
            value |= {"apiVersion": operation.api_version, "kind": operation.kind}
        if chance.random() < 0.95:
            kept = value.get("metadata")
            kept = kept if isinstance(kept, dict) and chance.random() < 0.3 else {}
            for part in ("namespace", "generateName", "finalizers", "uid", "resourceVersion"):
                kept.pop(part, None)
            value["metadata"] = {**kept, "name": chance.choice(_NAMES[:3])}

    async def _send(self, method: str, path: str, body: bytes, content_type: str) -> None:
        plain = self._chance.random() < 0.6
        accept = _ACCEPTS[0] if plain else self._chance.choice(_ACCEPTS)
        headers = {"Accept": accept, "Content-Type": content_type}
        shown = f"{method} {path} ({content_type})\n{body[:3000]!r}"
        try:
            async with self.session.request(
                method, URL(self.url + path, encoded=True), data=body or None, headers=headers
            ) as response:
                text = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.found.wrong.append(f"{shown}\nno answer: {error!r}")
            return
        self.found.codes[response.status] += 1
        refused = response.status >= 400 and method != "HEAD"
        if response.status >= 500 or (refused and not _is_status(text)):
            self.found.wrong.append(f"{shown}\n{response.status} {text[:1000]!r}")


def _dumped(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()


def _is_status(text: bytes) -> bool:
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return value.get("kind") == "Status" and bool(value.get("message") or value.get("reason"))


def resident_bytes(pid: int) -> int:
    """Return what a process holds in memory."""
    text = Path(f"/proc/{pid}/status").read_text()
    match = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert match
    return int(match[1]) * 1024


async def _documents(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async def load(path: str) -> Any:
        async with session.get(url + path) as response:
            return orjson.loads(await response.read())

    index = await load("/openapi/v3")
    return {name: await load(each["serverRelativeURL"]) for name, each in index["paths"].items()}


async def _fuzz(
    running: RunningPlatform, context: Callable[..., ssl.SSLContext], keys: tuple[Path, Path]
) -> tuple[Findings, int]:
    chance = random.Random(_SEED)
    connector = aiohttp.TCPConnector(ssl=context(keys))
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        documents = await _documents(session, running.url)
        chosen = list(operations(documents, chance))
        assert len(chosen) > 300
        body = {"metadata": {"name": "fuzz"}}
        async with session.post(f"{running.url}/api/v1/namespaces", json=body) as response:
            assert response.status == 201
        fuzzer = Fuzzer(session, running.url, chosen)
        started = time.monotonic()
        await asyncio.gather(*(fuzzer.run(started + _SECONDS / 3) for _ in range(_WORKERS)))
        before = resident_bytes(running.pid)
        await asyncio.gather(*(fuzzer.run(started + _SECONDS) for _ in range(_WORKERS)))
        async with session.get(f"{running.url}/readyz") as response:
            assert response.status == 200
        return fuzzer.found, resident_bytes(running.pid) - before


@pytest.mark.slow
@pytest.mark.timeout(_SECONDS + 120)
def test_no_request_that_the_documents_allow_breaks_the_server(running, wire_to):
    wire = wire_to(running)
    found, growth = asyncio.run(_fuzz(running, wire.context, wire.admin))
    log = running.log.read_text(errors="replace")
    traces = log[log.find("Traceback") - 400 :][:20_000] if "Traceback" in log else ""
    findings = "\n\n".join([f"WHERRY_FUZZ_SEED={_SEED}", *found.wrong, traces])
    assert not found.wrong, findings
    assert not traces, findings
    assert growth < _GROWTH_BYTES, f"{growth / 2**20:.0f} MiB more than after the warm-up"
    # Not all of it may be refused: then little of the server would have been seen.
    assert found.codes[201] > 0.01 * found.codes.total(), found.codes
