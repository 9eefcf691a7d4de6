"""Python that a shell of the container calls by name does the same, forked or executed."""

import asyncio
import dataclasses
import os
import pathlib
import signal
from typing import Any

import pytest

from wherry.kubelet.launcher import shim_script, types

_TELL = """\
import os, resource, signal, sys, fractions
print(sys.argv, sys.orig_argv, sys.executable, sys.path[:3], sys.flags, __name__, vars().get("__file__"))
print({name: value for name, value in os.environ.items() if name != "WARM"}, os.getcwd(), sys.stdin.isatty())
print(resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_CORE), os.nice(0))
print(signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGHUP), signal.getsignal(signal.SIGTERM))
print(os.umask(0), os.getuid(), os.getgid(), os.getgroups())
"""

_STARTS = """
import os, sys, fractions
print(os.environ.get("X"), sys.argv)
"""

_SCRIPTS = {
    "script": "python tell.py --lr 0.1 'a b'",
    "module": "python3 -m package.tell x",
    "command": "python -c 'import fractions; print(fractions.Fraction(1, 3))' a",
    "heredoc": "python - a b <<'EOF'\nimport sys, fractions\nprint(sys.argv, sys.stdin.read())\nEOF",
    "heredoc-only": "python <<EOF\nprint($((1 + 2)), __name__)\nEOF",
    "pipe": "echo 'print(6 * 7)' | python - | tr 4 x",
    "stdin": "printf 'a\\nb\\n' | python -c 'print(input(), input())'",
    "stdin-shared": "printf 'a\\nb\\n' > in; { python -c 'import os; print(os.read(0, 2))'; cat; } < in",
    "substitution": "x=$(python -c 'print(5)'); echo $x $?",
    "exit-code": "python -c 'raise SystemExit(7)'; echo $?",
    "traceback": "python tell.py; python -c '1 / 0'; echo $?",
    "killed": "{ python -c 'import os; os.kill(os.getpid(), 9)'; } 2>/dev/null; echo $?",
    "terminated": "python -c 'import os; os.kill(os.getpid(), 15)'; echo $?",
    "abort": "ulimit -c 0; { python -c 'import os; os.abort()'; } 2>/dev/null; echo $?",
    "background": "python -c 'print(1)' & wait $!; echo $?; python -c 'raise SystemExit(3)' & wait $!; echo $?",
    "ignores": "trap '' HUP INT; python tell.py",
    "nohup": "nohup python tell.py 2>/dev/null",
    "in-background": "python tell.py & wait",
    "limits": "umask 077; ulimit -n 200; ulimit -c 0; nice -n 5 python tell.py; touch made; stat -c %a made",
    "variables": "export X='a=b\n c'; unset HOME; python tell.py; X=2 python starts.py",
    "folder": "mkdir -p deep; cd deep; python ../tell.py",
    "exec": "exec python -c 'import fractions; raise SystemExit(9)'",
    "exec-arguments": "cat > p.py <<EOF\nimport sys; print(sys.argv)\nEOF\nexec \"$0\" p.py \"$@\"",
    "timeout": "timeout 1 python -c 'import time; time.sleep(30)'; echo $?",
    "kill-term": (
        "python -u -c 'import signal, sys, time\n"
        "signal.signal(15, lambda *_: sys.exit(4)); open(\"up\", \"w\"); time.sleep(30)' &\n"
        "while ! [ -e up ]; do sleep 0.05; done; kill -TERM $!; wait $!; echo $?; rm up"
    ),
    "kill-int": (
        "bash -c 'set -m; python -c \"import time; open(\\\"up\\\", \\\"w\\\"); time.sleep(30)\" 2>/dev/null &\n"
        "while ! [ -e up ]; do sleep 0.05; done; kill -INT $!; wait $!; echo $?; rm up'"
    ),
    "extra-descriptor": "python -c 'import os; os.write(3, b\"three\")' 3> three",
    "closed": "python -c 'import sys; print(sys.stdin)' <&-",
    "nested": "python -c 'import subprocess; print(subprocess.run([\"python\", \"-c\", \"print(2)\"]).returncode)'",
    "xargs": "echo 1 2 3 | xargs -n 1 python -c 'import sys; print(sys.argv)'",
    "large": "python -c 'print(\"x\" * 300000)' | wc -c",
    "long": "python -c 'import sys; print(len(sys.argv[1]))' $(head -c 100000 /dev/zero | tr '\\0' x)",
    "no-such-file": "python nowhere.py; echo $?",
    "syntax": "python -c 'x ='; echo $?",
    "options": "python -OO -W error -X dev -c 'import sys; print(sys.flags)'; python -V; python -VV | wc -l",
}  # fmt: skip

_COLD = frozenset({"extra-descriptor", "closed", "long"})


class Shell:
    """Runs shell scripts in containers, with and without a shim that finds something warm."""

    def __init__(self, stage: Any) -> None:
        self.stage = stage
        self.count = 0

    def spec(
        self, argv: tuple[str, ...], *, preload: tuple[str, ...] = ("fractions",)
    ) -> types.ProcessSpec:
        stage = self.stage
        folder = stage.folder / "work"
        self.count += 1
        program = stage.program(name=f"shell-{self.count}", argv=argv)
        spec: types.ProcessSpec = stage.spec(program, warm=False, cwd=str(folder))
        shim = types.Shim(
            folder=str(stage.folder / "shim"),
            programs=str(stage.venv / "bin"),
            preload=preload,
            image={name: spec.env[name] for name in ("PATH", "VIRTUAL_ENV", "LANG")},
        )
        path = f"{shim.folder}:{spec.env['PATH']}"
        return dataclasses.replace(
            spec, env={**spec.env, "PATH": path}, shim=shim, hostname="pod", isolate=True
        )

    async def run(self, script: str, *, shell: str = "bash") -> Any:
        folder: pathlib.Path = self.stage.folder / "work"
        for name in ("made", "nohup.out", "in", "three", "p.py"):
            (folder / name).unlink(missing_ok=True)
        argv = (shell, "-c", script, "python", "a", "b c")
        return await self.stage.run(self.spec(argv))

    async def limit(self, *, warm: bool) -> None:
        limits = types.WarmLimits() if warm else types.WarmLimits(memory_bytes=0)
        await self.stage.launcher.limit_warm(limits)

    async def started(self) -> tuple[int, int]:
        states = await self.stage.launcher.list_warm()
        return sum(one.started for one in states), sum(one.went_cold for one in states)

    async def prime(self, script: str, shell: str = "bash") -> None:
        """Have all warmed processes there are to be for a script, by running it."""
        await self.run(script, shell=shell)
        async with asyncio.timeout(60):
            while not all(  # noqa: ASYNC110 — as below
                one.ready for one in await self.stage.launcher.list_warm()
            ):
                await asyncio.sleep(0.02)


@pytest.fixture
async def shell(stage: Any) -> Shell:
    if not stage.launcher.features.isolate:
        pytest.skip(stage.launcher.features.reasons["isolate"])
    folder = stage.folder / "work"
    (folder / "package").mkdir(parents=True)
    for name, text in {
        "tell.py": _TELL,
        "package/__init__.py": "",
        "package/tell.py": _TELL,
        "starts.py": _STARTS,
    }.items():
        (folder / name).write_text(text)
    return Shell(stage)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("interpreter", ["bash", "sh"])
async def test_scripts_do_the_same(shell: Shell, interpreter: str) -> None:
    await shell.limit(warm=False)
    cold = {name: await shell.run(text, shell=interpreter) for name, text in _SCRIPTS.items()}
    await shell.limit(warm=True)
    different: list[object] = []
    for name, text in _SCRIPTS.items():
        await shell.prime(text, interpreter)
        before = await shell.started()
        found = await shell.run(text, shell=interpreter)
        after = await shell.started()
        if _plain(found) != _plain(cold[name]):
            different.append((name, cold[name], found))
        if (after[0] == before[0]) != (name in _COLD):
            different.append((name, "warm starts", before, after))
    assert not different, "\n".join(str(one) for one in different)


def _plain(outcome: Any) -> Any:
    return dataclasses.replace(outcome, files={})


_KFP = (
    'if ! [ -x "$(command -v pip)" ]; then echo none; fi; program_path=$(mktemp -d); printf "%s" "$0" > '
    '"$program_path/job.py"; exec python3 -m package.tell "$program_path" "$@"'
)


async def test_a_step_of_a_pipeline_starts_warm(shell: Shell) -> None:
    """Its main process is a shell that turns into Python: status and signals are the program's."""
    await shell.prime("python3 -c pass")
    found = await shell.run(_KFP)
    assert (found.exit_code, await shell.started()) == (0, (1, 0)), found
    assert "'b c'" in found.stdout
    spec = shell.spec(
        ("sh", "-c", 'exec python3 -c \'import time; open("up", "w"); time.sleep(60)\'')
    )
    state = await shell.stage.launcher.start(spec)
    await _until((shell.stage.folder / "work/up").exists)
    await shell.stage.launcher.signal(spec.id, signal.SIGTERM)
    ended = await shell.stage._end(spec.id)
    assert (ended.exit_code, ended.signal, ended.pid) == (143, 15, state.pid)
    assert not (shell.stage.folder / "shim").exists()


@pytest.mark.parametrize("end", ["shim", "container"])
async def test_a_program_ends_with_its_shim_and_its_container(shell: Shell, end: str) -> None:
    await shell.prime("python -c pass")
    code = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(60)"
    spec = shell.spec(("sh", "-c", f'python -c "{code}" & echo $! > shim.pid; wait'))
    await shell.stage.launcher.start(spec)
    folder: pathlib.Path = shell.stage.folder / "work"
    for name in ("pid", "shim.pid"):
        await _until(lambda file=folder / name: file.exists() and file.read_text().strip())
    pid, shim = int((folder / "pid").read_text()), int((folder / "shim.pid").read_text())
    assert pid != shim
    if end == "shim":
        os.kill(shim, signal.SIGKILL)
    else:
        await shell.stage.launcher.signal(spec.id, signal.SIGKILL)
    await shell.stage._end(spec.id)
    await _until(lambda: not pathlib.Path(f"/proc/{pid}").exists())


async def test_nobody_else_can_use_a_containers_socket(shell: Shell) -> None:
    await shell.prime("python -c pass")
    await shell.stage.launcher.start(shell.spec(("sleep", "1000")))
    before = await shell.started()
    shim = shell.stage.folder / "shim" / "python"
    for inside in (False, True):
        argv = (str(shim), "-c", "import os; print(os.getpid())")
        if inside:  # of another container
            program = shell.stage.program(name="other", argv=argv)
            spec = shell.stage.spec(program, warm=False, cwd=str(shell.stage.folder / "work"))
            assert (await shell.stage.run(spec)).exit_code == 0
        else:
            process = await asyncio.create_subprocess_exec(*argv, stdin=-3, stdout=-1)
            output, _ = await process.communicate()
            assert int(output) == process.pid
    assert await shell.started() == before


async def test_nonsense_at_the_socket_is_refused(shell: Shell) -> None:
    await shell.prime("python -c pass")
    before = await shell.started()
    folder = shell.stage.folder / "shim"
    packets = [
        b"x",
        b"\0" * 50,
        shim_script.PREFIX + b"\0/\0" + b"9" * 3 + b"\0python",
        b"\xff" * 60000,
    ]
    code = (
        "import socket\n"
        f"for data in {packets!r}:\n"
        "    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        f"    peer.connect({str(folder / shim_script.SOCKET)!r})\n"
        "    socket.send_fds(peer, [data], [0, 1, 2])\n"
        "    print(peer.recv(99))\n"
    )
    (shell.stage.folder / "work/nonsense.py").write_text(code)
    python = shell.stage.venv / "bin" / "python"
    found = await shell.run(f"{python} nonsense.py; python -c 'print(1)'")
    assert found.stdout == "b'cold'\n" * 4 + "1\n", found
    assert await shell.started() == (before[0] + 1, before[1])


async def _until(holds: Any) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 — nothing but the state of the world tells
            await asyncio.sleep(0.02)
