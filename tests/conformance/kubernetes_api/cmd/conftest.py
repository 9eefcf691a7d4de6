"""Stock kubectl as upstream's `test/cmd` drives it: a kubeconfig, a namespace of its own, files.

The cases hold no script of upstream's: what each function there asserts is stated here again, with
manifests of our own. Their pods name a scheduler that nobody runs, since upstream has no nodes
there: they stay as they were written.
"""

import base64
import itertools
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from wherry.testing.in_process import InProcessPlatform
from wherry.testing.kubectl import Following, Kubectl, Output
from wherry.testing.waiting import eventually

_NUMBERS = itertools.count(1)
_CUTS = (1, 5, 30)
_NAMES = "{{range .items}}{{.metadata.name}}:{{end}}"


class Cmd:
    """One kubectl, with a home, a kubeconfig and a namespace of its own."""

    manifests = Path(__file__).parent / "manifests"

    def __init__(self, platform: InProcessPlatform, home: Path, cache: Path) -> None:
        self.platform = platform
        self.home = home
        self.namespace = "default"
        self.kubeconfig = home / "kubeconfig"
        self.kubeconfig.write_text(platform.kubeconfig.read_text())
        self.spaces: list[str] = []
        binary = str(Path(sys.executable).with_name("kubectl"))
        self.kubectl = Kubectl(binary, self.kubeconfig, home, self.namespace)
        # The namespace is said by the context alone: some cases look at what no flag has said.
        self.kubectl.command = [binary, f"--cache-dir={cache}"]

    def at(self, name: str) -> str:
        """Return the path of one of our manifests."""
        path = self.manifests / name
        assert path.exists(), path
        return str(path)

    def file(self, name: str, *objects: Any) -> str:
        """Write objects, or a text, to a file; return its path."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = objects[0] if isinstance(objects[0], str) else yaml.safe_dump_all(objects)
        path.write_text(text)
        return str(path)

    def change(self, manifest: str, old: str, new: str) -> str:
        """Copy a manifest with one text in place of another; return the copy's path."""
        text = Path(self.at(manifest)).read_text()
        assert old in text
        return self.file(f"{next(_NUMBERS)}-{Path(manifest).name}", text.replace(old, new))

    def editor(self, old: str, new: str) -> dict[str, str]:
        """Return an environment whose editor replaces one text by another."""
        path = self.file(
            f"editor-{next(_NUMBERS)}.sh", f'#!/bin/sh\nsed -i "s|{old}|{new}|g" "$@"\n'
        )
        Path(path).chmod(0o755)
        return {"EDITOR": path}

    def use(self, namespace: str) -> None:
        """Make a namespace the one that the context names."""
        config = yaml.safe_load(self.kubeconfig.read_text())
        for context in config["contexts"]:
            context["context"]["namespace"] = namespace
        self.kubeconfig.write_text(yaml.safe_dump(config))
        self.namespace = namespace

    def make_space(self, *labels: str) -> str:
        """Make a namespace; it goes when the test ends."""
        name = f"cmd-{next(_NUMBERS)}"
        self("create", "namespace", name)
        if labels:
            self("label", "namespace", name, *labels)
        self.spaces.append(name)
        return name

    def anew(self) -> None:
        """Go on in a fresh namespace."""
        self.use(self.make_space())

    def run(self, *arguments: str, **options: Any) -> Output:
        """Run a command, whatever comes of it."""
        return self.kubectl.run(*arguments, **options)

    def __call__(self, *arguments: str, **options: Any) -> str:
        """Run a command that must work; return what it printed on both streams."""
        done = self.run(*arguments, **options)
        assert done.code == 0, f"kubectl {shlex.join(arguments)}: {done.err}{done.out}"
        return done.out + done.err

    def cut(self, *arguments: str, words: Iterable[str]) -> Output:
        """Run a watch that ends by itself after a second; later, where a slow machine took longer.

        Args:
            *arguments: Of kubectl.
            words: Patterns of what it prints when it has come to watch.
        """
        said = ""
        for seconds in _CUTS:
            done = self.run(*arguments, f"--request-timeout={seconds}")
            said = done.out + done.err
            if done.code == 0 and all(re.search(word, said) for word in words):
                return done
        raise AssertionError(f"kubectl {shlex.join(arguments)}: {said}")

    def out(self, *arguments: str, **options: Any) -> str:
        """Run a command that must work; return its output without what it complains of."""
        done = self.run(*arguments, **options)
        assert done.code == 0, f"kubectl {shlex.join(arguments)}: {done.err}{done.out}"
        return done.out

    def fails(self, *arguments: str, **options: Any) -> str:
        """Run a command that must not work; return what it printed on both streams."""
        done = self.run(*arguments, **options)
        assert done.code != 0, f"kubectl {shlex.join(arguments)} worked: {done.out}"
        return done.out + done.err

    def dry(self, *arguments: str, **options: Any) -> None:
        """Run a command twice without effect: decided by kubectl, and by the server."""
        command, rest = list(arguments), []
        if "--" in command:
            cut = command.index("--")
            command, rest = command[:cut], command[cut:]
        self(*command, "--dry-run=client", *rest, **options)
        self(*command, "--dry-run=server", *rest, **options)

    def get(self, what: str) -> Any:
        """Get as JSON."""
        return json.loads(self.out("get", *shlex.split(what), "-o", "json"))

    def seen(self, what: str, template: str) -> str:
        """Get by a Go template."""
        return self.out("get", *shlex.split(what), "-o", f"go-template={template}")

    def shows(self, what: str, template: str, expected: str) -> None:
        """Assert what a Go template makes of objects."""
        assert self.seen(what, template) == expected

    def waits(self, check: Callable[[], object], what: str, seconds: float = 90) -> None:
        """Wait until something is so."""
        eventually(check, seconds, what=what)

    def becomes(self, what: str, template: str, expected: str, seconds: float = 90) -> None:
        """Wait until a Go template makes this of objects."""
        eventually(lambda: self._equal(self.seen(what, template), expected), seconds, what=what)

    @staticmethod
    def _equal(seen: str, expected: str) -> bool:
        assert seen == expected
        return True

    def lists(self, what: str, *names: str) -> None:
        """Assert which objects there are, in this order."""
        self.shows(what, _NAMES, "".join(f"{name}:" for name in names))

    def comes_to(self, what: str, *names: str) -> None:
        """Wait until there are these objects, in this order."""
        self.becomes(what, _NAMES, "".join(f"{name}:" for name in names))

    def has_not(self, what: str, name: str) -> None:
        """Assert that no object among others has a name."""
        assert name not in self.seen(what, _NAMES).split(":")

    def missing(self, *arguments: str) -> str:
        """Assert that an object is not found; return the complaint."""
        said = self.fails("get", *arguments)
        assert "not found" in said
        return said

    def managers(self, what: str) -> list[str]:
        """Return who manages fields of an object."""
        fields = self.get(f"{what} --show-managed-fields")["metadata"]["managedFields"]
        return [field["manager"] for field in fields]

    def describes(self, what: str, *words: str) -> None:
        """Assert that a description has words, and events unless they are not asked for."""
        said = self.out("describe", *shlex.split(what))
        for word in words:
            assert word in said, said

    def describes_events(self, what: str) -> None:
        """Assert that a description has events by default and on demand, and not against it."""
        for flag, expected in (
            ((), True),
            (("--show-events=true",), True),
            (
                ("--show-events=false",),
                False,
            ),
        ):
            said = self.out("describe", *shlex.split(what), *flag)
            assert bool(re.search("^Events:|No events", said, re.MULTILINE)) is expected, said

    def describes_in_chunks(self, kind: str, others: str = "", *flags: str) -> None:
        """Assert that a description lists in chunks, of what is described and what belongs to it."""
        for flag, size in (("--chunk-size=1",), 1), ((), 500):
            said = self("describe", kind, "--show-events=true", "-v=6", *flag, *flags)
            for one in [kind, *others.split(",")] if others else [kind]:
                assert re.search(rf"/{one}\?\S*limit={size}\b", said), said

    def follow(self, *arguments: str) -> Following:
        """Start a command that goes on, as a watch."""
        return self.kubectl.follow(*arguments)


def signing_request(folder: Path, name: str) -> dict[str, Any]:
    """Write a key, and a request for a certificate of it; return the request as an object."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    asked = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, SHA256())
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / f"{name}.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    pem = asked.public_bytes(serialization.Encoding.PEM)
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {
            "request": base64.b64encode(pem).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client",
            "usages": ["client auth"],
        },
    }


@pytest.fixture
def request_file(cmd: Cmd) -> str:
    """Give a file with a CertificateSigningRequest of the name of the case's namespace."""
    return cmd.file("csr.yaml", signing_request(cmd.home, cmd.namespace))


@pytest.fixture
def admin_token(cmd: Cmd) -> Iterator[str]:
    """Give a token of a service account that may do everything."""
    binding = f"{cmd.namespace}-admin"
    cmd("create", "serviceaccount", "admin")
    account = f"--serviceaccount={cmd.namespace}:admin"
    cmd("create", "clusterrolebinding", binding, "--clusterrole=cluster-admin", account)
    yield cmd.out("create", "token", "admin").strip()
    cmd("delete", "clusterrolebinding", binding)


@pytest.fixture(scope="session")
def kubectl_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a cache of discovery that all cases share, as a person's commands do."""
    return tmp_path_factory.mktemp("kubectl-cache")


@pytest.fixture
def cmd(shared_platform: InProcessPlatform, tmp_path: Path, kubectl_cache: Path) -> Iterator[Cmd]:
    """Give kubectl in a fresh namespace."""
    made = Cmd(shared_platform, tmp_path, kubectl_cache)
    made.anew()
    yield made
    # Not waited for: they go while the next case runs.
    if made.spaces:
        made.run("delete", "namespace", "--wait=false", "--ignore-not-found", *made.spaces)
