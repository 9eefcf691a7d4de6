"""What pods see of the network: loopback and their own address, whichever way they ask."""

import ast
import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
from typing import Any

import pytest

# By getifaddrs(3), as most programs; by ioctl(2), as Open MPI; by name.
PROGRAM = """
import array, ctypes, fcntl, socket, struct
class Address(ctypes.Structure):
    _fields_ = [("family", ctypes.c_uint16), ("port", ctypes.c_uint16), ("ip", ctypes.c_ubyte * 4)]
class Entry(ctypes.Structure): pass
Entry._fields_ = [("next", ctypes.POINTER(Entry)), ("name", ctypes.c_char_p), ("flags", ctypes.c_uint),
    ("address", ctypes.POINTER(Address))]
first = ctypes.POINTER(Entry)()
assert ctypes.CDLL(None).getifaddrs(ctypes.byref(first)) == 0
entry = first
while entry:
    one = entry.contents
    if one.address and one.address.contents.family == socket.AF_INET:
        address = socket.inet_ntoa(bytes(one.address.contents.ip))
        print(one.name.decode(), address, bool(one.flags & 1), bool(one.flags & 8))
    entry = one.next
s = socket.socket()
def listed(size):
    buffer = array.array("B", bytes(size))
    asked = struct.pack("iL", size, buffer.buffer_info()[0] if size else 0)
    (got,) = struct.unpack_from("i", fcntl.ioctl(s, 0x8912, asked))
    return got, buffer.tobytes()
got, raw = listed(4096)
for at in range(0, got, 40):
    request = raw[at:at + 40]
    (flags,) = struct.unpack_from("H", fcntl.ioctl(s, 0x8913, request), 16)
    print(request[:16].rstrip(bytes(1)).decode(), socket.inet_ntoa(request[20:24]), bool(flags & 1), bool(flags & 8))
print(listed(0)[0] == got, listed(50)[0])
print(socket.if_nametoindex("lo"), [name for _, name in socket.if_nameindex()])
try: socket.if_nametoindex("docker0")
except OSError as error: print(error)
"""


async def test_a_pod_sees_loopback_and_its_own_address(addressed: Any, new_address: Any) -> None:
    for address in (new_address(), new_address()):
        lines = (await addressed.output_of(addressed.python(PROGRAM, address=address))).splitlines()
        expected = ["lo 127.0.0.1 True True", f"eth0 {address} True False"]
        assert lines == [
            *expected,
            *expected,
            "True 40",
            "1 ['lo', 'eth0']",
            "no interface with this name",
        ]
    log = (addressed.directory / "launcher.log").read_text()
    assert "Traceback" not in log


OPENED = """
import os, socket
for _ in range(50):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as made:
        made.bind((0, 0))
        assert not os.get_inheritable(made.fileno())
"""


async def test_many_at_once(addressed: Any, new_address: Any) -> None:
    """While processes end, whose signals interrupt the launcher in what it does."""
    specs = [
        addressed.python(code, address=new_address())
        for _ in range(12)
        for code in (OPENED, PROGRAM)
    ]
    for spec in specs:
        await addressed.start(spec)
    for spec in specs:
        assert (await addressed.end_of(spec.id)).exit_code == 0, addressed.output(spec.id)


def _keepers(launcher: int) -> list[int]:
    """Return the processes of a launcher that keep what pods see."""
    found = []
    for pid in pathlib.Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split():
        with contextlib.suppress(OSError):
            if pathlib.Path(f"/proc/{pid}/comm").read_text() == "wherry-links\n":
                found.append(int(pid))
    return found


def _namespaces(pid: int) -> int:
    found = 0
    for path in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it is closed at this moment
            found += path.readlink().name.startswith("net:")
    return found


async def test_nothing_is_left_of_pods_and_of_the_launcher(
    addressed: Any, eventually: Any, new_address: Any
) -> None:
    launcher = addressed.launcher.pid
    code = "import socket, time; socket.if_nameindex(); print('up', flush=True); time.sleep(1000)"
    assert _keepers(launcher) == []
    spec = addressed.python(code, address=new_address())
    await addressed.start(spec)
    await eventually(lambda: addressed.output(spec.id))
    (keeper,) = _keepers(launcher)
    assert _namespaces(keeper) == 2  # the pod's, and the one of the other ends
    await addressed.launcher.signal(spec.id, signal.SIGKILL)
    await addressed.end_of(spec.id)
    await eventually(lambda: _namespaces(keeper) == 1)
    os.kill(launcher, signal.SIGKILL)
    await eventually(lambda: not pathlib.Path(f"/proc/{keeper}").exists())


async def test_a_keeper_that_dies_has_a_successor(
    addressed: Any, eventually: Any, new_address: Any
) -> None:
    code = """
import os, socket, sys, time
socket.if_nameindex(); print("up", flush=True)
while not os.path.exists(sys.argv[1]): time.sleep(0.01)
print(socket.if_nameindex(), flush=True)
"""
    gone = addressed.folder / "gone"
    spec = addressed.python(code, address=new_address())
    spec = dataclasses.replace(spec, argv=(*spec.argv, str(gone)))
    await addressed.start(spec)
    await eventually(lambda: addressed.output(spec.id))
    (keeper,) = _keepers(addressed.launcher.pid)
    os.kill(keeper, signal.SIGKILL)
    await eventually(lambda: not _keepers(addressed.launcher.pid))
    gone.touch()
    assert (await addressed.end_of(spec.id)).exit_code == 0
    lines = addressed.output(spec.id).splitlines()
    assert [name for _, name in ast.literal_eval(lines[1])] == ["lo", "eth0"]


REFUSED = """
import sys
from wherry.kubelet.launcher import interfaces, loop
events = loop.Loop()
seen, told = interfaces.Interfaces(events), []
def ask(then):
    seen.query("127.20.0.1", interfaces.LIST, b"", lambda *answer: (told.append(answer), then()))
seen.hold("127.20.0.1")
ask(lambda: ask(events.stop))
events.run()
print(told)
"""


def test_a_machine_that_allows_no_namespaces_answers_itself() -> None:
    inside = 'echo 0 > /proc/sys/user/max_net_namespaces && exec "$0" -c "$1"'
    command = ["unshare", "-Ur", "sh", "-c", inside, sys.executable, REFUSED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    if "unshare" in done.stderr or "cannot create" in done.stderr:
        pytest.skip(done.stderr)
    assert done.stdout == "[(None, None), (None, None)]\n"
    assert "pods see the machine's network interfaces: " in done.stderr
