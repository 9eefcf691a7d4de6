"""A kubectl of a test's own: set to one platform and one namespace, whatever the person's own says."""

import dataclasses
import itertools
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wherry.objects.requests import Object
from wherry.testing.waiting import eventually


@dataclasses.dataclass(frozen=True)
class Output:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What it printed, by lines."""
        return self.out.splitlines()

    @property
    def table(self) -> list[dict[str, str]]:
        """The rows of a table, by the headings of its columns."""
        return parse_table(self.out)

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


def parse_table(text: str) -> list[dict[str, str]]:
    """Read a table of kubectl: columns start where their headings do."""
    head, *rows = text.splitlines()
    starts = [
        at for at, char in enumerate(head) if char != " " and (at == 0 or head[at - 2 : at] == "  ")
    ]
    spans = list(itertools.pairwise([*starts, 10_000]))
    names = [head[a:b].strip() for a, b in spans]
    return [
        dict(zip(names, (row[a:b].strip() for a, b in spans), strict=True)) for row in rows if row
    ]


class Kubectl:
    """One kubectl, with a home and a namespace of its own.

    Attributes:
        binary: Which program.
        namespace: Where it looks by default.
        home: Its home and working directory; its cache is below.
        command: What each call begins with.
        environment: All that it is given of the environment.
    """

    def __init__(self, binary: str, kubeconfig: Path, home: Path, namespace: str) -> None:
        """Set one up.

        Args:
            binary: Path of the program.
            kubeconfig: Which server, and who.
            home: A folder that is there.
            namespace: Where it looks by default.
        """
        self.binary = binary
        self.namespace = namespace
        self.home = home
        cache = home / "cache"
        self.command = [binary, f"--cache-dir={cache}", f"--namespace={namespace}"]
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "KUBECONFIG": str(kubeconfig),
            "KUBECTL_KUBERC": "false",
        }

    def run(
        self,
        *arguments: str,
        text: str = "",
        environment: Mapping[str, str] | None = None,
        seconds: float = 120,
    ) -> Output:
        """Run a command, whatever comes of it.

        Args:
            *arguments: Of kubectl.
            text: What it reads from its standard input.
            environment: Laid over its environment.
            seconds: How long it may take.

        Raises:
            subprocess.TimeoutExpired: it took longer.
        """
        done = subprocess.run(  # noqa: S603 - what the test asked for, and no shell
            [*self.command, *arguments],
            input=text,
            env={**self.environment, **(environment or {})},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        # Two years apart is wider than kubectl likes; it says so on each call.
        err = "\n".join(
            line for line in done.stderr.splitlines() if "version difference" not in line
        )
        return Output(done.returncode, done.stdout, err)

    def __call__(self, *arguments: str, **options: Any) -> Output:
        """Run a command that must work.

        Raises:
            AssertionError: it did not; with what it said.
        """
        done = self.run(*arguments, **options)
        assert done.code == 0, f"kubectl {' '.join(arguments)}: {done.err}{done.out}"
        return done

    def fails(self, *arguments: str, **options: Any) -> str:
        """Run a command that must not work; return its complaint.

        Raises:
            AssertionError: it worked; with what it said.
        """
        done = self.run(*arguments, **options)
        assert done.code != 0, f"kubectl {' '.join(arguments)} worked: {done.out}"
        return done.err

    def follow(self, *arguments: str) -> "Following":
        """Start a command that goes on, as a watch."""
        return Following(
            subprocess.Popen(  # noqa: S603 - what the test asked for, and no shell
                [*self.command, *arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        )

    def apply(self, *objects: Object) -> Output:
        """Apply objects, as JSON."""
        return self("apply", "-f", "-", text=as_list(*objects))

    def get(self, *arguments: str) -> Any:
        """Get as JSON."""
        return self("get", *arguments, "-o", "json").json


class Following:
    """A command that runs on while the test does; its output is read as it comes.

    Attributes:
        text: What it has printed so far, as far as it was read.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        """Take a process whose output is a pipe."""
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._process = process
        self._pipe = process.stdout
        self.text = ""

    def __enter__(self) -> "Following":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._pipe.close()

    def sees(self, words: str) -> None:
        """Wait until the output has these words.

        Raises:
            AssertionError: not within 90 seconds.
        """
        eventually(lambda: words in self.read(), 90, what=f"{words!r} in the output")

    def ends(self, seconds: float = 90) -> int:
        """Wait until the command ends by itself; return its exit code.

        Raises:
            AssertionError: not within ``seconds``.
        """
        eventually(lambda: self.read() is not None and self._process.poll() is not None, seconds)
        self.read()
        return self._process.returncode

    def read(self) -> str:
        """Return all that it has printed so far."""
        while chunk := self._pipe.read(65536):
            self.text += chunk.decode()
        return self.text


def as_list(*objects: Object) -> str:
    """Write objects as one document."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
