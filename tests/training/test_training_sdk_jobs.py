"""The SDK and the command line against a running platform, with pods that are real processes."""

import asyncio
import importlib
import itertools
import sys

import pytest

from wherry.cli import main
from wherry.objects import errors, kinds, metadata
from wherry.testing import builders
from wherry.testing.waiting import eventually
from wherry.training.sdk.errors import FailedError, TrainingError
from wherry.training.sdk.starting import attach, train

pytestmark = pytest.mark.timeout(600)

CODE = '''
import os, socket, time

import wherry


def everyone(value):
    """Return the sum of all ranks' values, by way of rank 0."""
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    place = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    if rank == 0:
        with socket.create_server(("", place[1])) as server:
            peers = [server.accept()[0] for _ in range(world - 1)]
            total = value + sum(int(peer.recv(99)) for peer in peers)
            for peer in peers:
                peer.sendall(str(total).encode())
        return total
    while True:
        try:
            with socket.create_connection(place) as peer:
                peer.sendall(str(value).encode())
                return int(peer.recv(99))
        except OSError:  # not there yet, nor its name
            time.sleep(0.02)


def fit(steps):
    total = everyone(int(os.environ["RANK"]) + 1)
    for step in range(1, steps + 1):
        print("step", step)
        wherry.report(step=step, steps=steps, loss=1 / step)
    return {"total": total, "by": (1, 2)}


def unhappy():
    everyone(0)
    if os.environ["RANK"] == "1":
        raise ValueError("rank one is unhappy")


def killed_once(folder):
    if not os.path.exists(folder):
        os.mkdir(folder)
        os.kill(os.getpid(), 9)
    return "second time"


def with_package():
    import tabulate

    return tabulate.__version__, tabulate.__file__


def sleep():
    print("asleep", flush=True)
    time.sleep(1000)
'''
_NUMBERS = itertools.count(1)


@pytest.fixture
def code(tmp_path, monkeypatch):
    (tmp_path / "sdk_code.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield importlib.import_module("sdk_code")
    del sys.modules["sdk_code"]


@pytest.fixture
def place(shared_platform):
    """Where a test's jobs go: arguments of `train`."""
    namespace = f"sdk-{next(_NUMBERS)}"
    client = shared_platform.client
    shared_platform.call(client.create(kinds.NAMESPACES, builders.namespace(namespace)))
    yield {"connection": shared_platform.kubeconfig, "namespace": namespace}
    shared_platform.call(client.delete(kinds.NAMESPACES, namespace))


def test_a_function_on_three_ranks(code, place, capsys):
    training = train(code.fit, args=[3], workers=3, **place)
    assert training.follow(timeout=240) == {"total": 6, "by": (1, 2)}
    printed = capsys.readouterr().out
    for rank in ("master-0", "worker-0", "worker-1"):
        assert f"[{rank}] step 3" in printed
    assert "100% |####################| 3/3" in printed
    assert training.status.phase == "Succeeded"
    assert training.progress.fraction == 1
    told = training.metrics()
    assert len(told) == 9
    assert {each["rank"] for each in told} == {"master-0", "worker-0", "worker-1"}
    again = attach(training.name, **place)
    assert again.kind == "PyTorchJob"
    assert again.result(timeout=240) == {"total": 6, "by": (1, 2)}
    assert len(list(again.logs(follow=False))) == 9


def test_the_traceback_of_a_rank_is_raised(code, place):
    training = train("sdk_code:unhappy", workers=2, **place)
    with pytest.raises(FailedError, match="failed in worker-0") as caught:
        training.result(timeout=240)
    assert "ValueError: rank one is unhappy" in str(caught.value)
    assert list(caught.value.tracebacks) == ["worker-0"]


def test_within_an_event_loop(code, place):
    async def notebook():
        return train(code.fit, args=[1], workers=1, **place).result(timeout=240)

    assert asyncio.run(notebook())["total"] == 1


@pytest.mark.slow
def test_packages_are_in_the_environment_of_all_ranks(code, place, shared_platform):
    training = train(code.with_package, workers=2, packages=["tabulate==0.9.0"], **place)
    version, file = training.result(timeout=240)
    assert version == "0.9.0"
    pods = shared_platform.call(shared_platform.client.list(kinds.PODS, place["namespace"]))
    assert len(pods) == 2
    for pod in pods:
        assert metadata.annotations(pod)["wherry.dev/requirements"] == "tabulate==0.9.0"
    # An environment that has it was made, once: nothing was installed within the pods.
    assert "/site-packages/" in file
    assert not [line for line in training.logs(follow=False) if "installing" in str(line)]
    again = train(code.with_package, workers=1, packages=["tabulate==0.9.0"], **place)
    assert again.result(timeout=240) == (version, file)


@pytest.mark.slow
def test_a_package_that_does_not_exist_is_told(code, place):
    missing = "wherry-no-such-package==1"
    training = train(code.with_package, workers=1, packages=[missing], **place)
    told = eventually(lambda: training.waits_for, 120)
    assert told.startswith("master-0 waits: ")
    eventually(lambda: missing in training.waits_for, 120)
    with pytest.raises(TimeoutError, match="wherry-no-such-package"):
        training.result(timeout=1)
    training.cancel()


def test_a_killed_rank_is_started_again(code, place, tmp_path):
    training = train(code.killed_once, args=[str(tmp_path / "mark")], workers=1, **place)
    assert training.result(timeout=240) == "second time"
    (tmp_path / "mark").rmdir()
    training = train(
        code.killed_once, args=[str(tmp_path / "mark")], workers=1, restarts=0, **place
    )
    with pytest.raises(FailedError, match="backoffLimit"):
        training.result(timeout=240)


def test_stopped_resumed_and_deleted_with_its_code(code, place, shared_platform):
    training = train(code.sleep, workers=1, **place)
    assert next(training.logs()) == "[master-0] asleep"
    eventually(lambda: training.status.phase == "Running")
    with pytest.raises(TimeoutError, match="still Running"):
        training.wait(0.1)
    training.stop()
    eventually(lambda: training.status.phase == "Suspended")
    training.resume()
    eventually(lambda: training.status.phase == "Running")

    def codes():
        listed = shared_platform.client.list(
            kinds.SECRETS, training.namespace, labels="wherry.dev/training=code"
        )
        return [metadata.name(secret) for secret in shared_platform.call(listed)]

    other = train(code.sleep, workers=1, **place)
    assert len(codes()) == 1
    training.cancel()
    training.cancel()
    with pytest.raises(TrainingError, match="has been deleted"):
        training.wait(90)
    assert len(codes()) == 1
    other.cancel()
    eventually(lambda: codes() == [])


def test_refusals_are_told(code, place):
    with pytest.raises(TrainingError, match="no training 'none'"):
        attach("none", **place)
    with pytest.raises(TrainingError, match="'boat' is no kind of training"):
        attach("boat/none", **place)
    with pytest.raises(errors.NotFoundError, match='namespaces "nowhere" not found'):
        train(code.sleep, **{**place, "namespace": "nowhere"})
    train(code.fit, args=[1], workers=1, name="twice", **place)
    with pytest.raises(errors.AlreadyExistsError):
        train(code.fit, args=[1], workers=1, name="twice", **place)


class Wherry:
    """`wherry train` against a platform."""

    def __init__(self, place, capsys):
        self._target = ["--kubeconfig", str(place["connection"]), "-n", place["namespace"]]
        self._capsys = capsys

    def __call__(self, *words):
        at = words.index("--") if "--" in words else len(words)
        code = main(["train", *words[:at], *self._target, *words[at:]])
        return code, *self._capsys.readouterr()


@pytest.fixture
def wherry(place, capsys):
    return Wherry(place, capsys)


def test_the_command_line(code, wherry, tmp_path):
    (tmp_path / "show.py").write_text("import os, sys\nprint(sys.argv[1:], os.environ['A'])")
    done = wherry(
        "run", "show.py", "--name", "one", "--env", "A=b", "--framework", "jax", "--", "x", "--y"
    )
    assert done[0] == 0
    assert sorted(done[1].splitlines()) == [f"[worker-{n}] ['x', '--y'] b" for n in (0, 1)]
    assert "jaxjob/one succeeded" in done[2]
    done = wherry("run", "sdk_code:unhappy", "--name", "two")
    assert done[0] == 1
    assert "ValueError: rank one is unhappy" in done[1]
    assert "pytorchjob/two failed in worker-0" in done[2]
    assert wherry("run", "sdk_code:sleep", "--name", "three", "--workers", "1", "--detach")[0] == 0
    rows = [line.split() for line in wherry("list")[1].splitlines()]
    assert rows[0][:3] == ["NAME", "KIND", "STATE"]
    assert {row[0] for row in rows[1:]} == {"one", "two", "three"}
    assert wherry("logs", "one")[1].count("['x', '--y']") == 2
    assert wherry("watch", "jaxjob/one")[0] == 0
    assert wherry("stop", "three")[0] == wherry("resume", "three")[0] == 0
    assert wherry("delete", "three")[0] == 0
    assert "there is no training 'three'" in wherry("stop", "three")[2]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", "x.py", "--env", "A"), "--env 'A': want NAME=VALUE"),
        (("run", "x.py"), "x.py: there is no such script"),
        (("run", "sdk_code:fit", "--framework", "caffe"), "framework 'caffe': want one of"),
        (("run", "sdk_code:fit", "--workers", "0"), "workers=0"),
    ],
)
def test_wrong_words_are_told(code, wherry, words, told):
    code, _, err = wherry(*words)
    assert code in {1, 2}
    assert told in err
