import asyncio
import dataclasses
import shutil
import socket
from typing import Any

import pytest

# Serves its own name on wildcard and says when it listens.
SERVER = """
import socket, sys
family, host, port, name = getattr(socket, sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
s = socket.socket(family); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if family == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.bind((host, port)); s.listen()
print(*s.getsockname()[:2], flush=True)
while True:
    c, _ = s.accept(); c.sendall(name.encode()); c.close()
"""

CLIENT = """
import socket, sys
for host in sys.argv[2:]:
    try:
        with socket.create_connection((host, int(sys.argv[1])), timeout=TIMEOUT) as c: print(c.recv(99).decode())
    except OSError as error: print(error.errno)
"""


def _serve(box: Any, address: str, *argv: object) -> Any:
    spec = box.python(SERVER, address=address)
    return _with(spec, *argv)


def _with(spec: Any, *argv: object) -> Any:
    return dataclasses.replace(spec, argv=(*spec.argv, *map(str, argv)))


async def _listening(box: Any, spec: Any, eventually: Any) -> tuple[str, int]:
    await box.start(spec)
    host, port = (await eventually(lambda: box.output(spec.id))).split()
    return host, int(port)


async def _ask(host: str, port: int) -> str:
    reader, writer = await asyncio.open_connection(host, port)
    text = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return text


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("family", "host"),
    [("AF_INET", "0.0.0.0"), ("AF_INET", "127.0.0.1"), ("AF_INET6", "::"), ("AF_INET6", "::1")],
)
async def test_two_pods_listen_on_one_port(
    addressed: Any, eventually: Any, new_address: Any, family: str, host: str
) -> None:
    port = _free_port()
    one, two = new_address(), new_address()
    for address, name in ((one, "one"), (two, "two")):
        spec = _serve(addressed, address, family, host, port, name)
        bound, at = await _listening(addressed, spec, eventually)
        assert bound == ("::ffff:" + address if family == "AF_INET6" else address)
        assert at == port
    assert [await _ask(one, port), await _ask(two, port)] == ["one", "two"]
    with pytest.raises(ConnectionRefusedError):
        await _ask("127.0.0.1", port)


async def test_any_port_is_one_of_the_pods_own(
    addressed: Any, eventually: Any, new_address: Any
) -> None:
    address = new_address()
    spec = _serve(addressed, address, "AF_INET", "0.0.0.0", 0, "any")
    bound, port = await _listening(addressed, spec, eventually)
    assert bound == address
    assert await _ask(address, port) == "any"


@pytest.mark.parametrize("timeout", [None, 60.0])  # a blocking and a non-blocking connect
async def test_localhost_is_the_pod_first_and_the_machine_second(
    addressed: Any, eventually: Any, new_address: Any, timeout: float | None
) -> None:
    address, port = new_address(), _free_port()
    host = await asyncio.start_server(_answer_host, "127.0.0.1", 0)
    host_port = host.sockets[0].getsockname()[1]
    spec = _serve(addressed, address, "AF_INET", "0.0.0.0", port, "pod")
    await _listening(addressed, spec, eventually)
    client = addressed.python(CLIENT.replace("TIMEOUT", repr(timeout)), address=address)
    inside = _with(
        client, port, "127.0.0.1", "::1", "0.0.0.0", "localhost", "::ffff:127.0.0.1", address
    )
    assert await addressed.output_of(inside) == "pod\n" * 6
    probe = await addressed.launcher.execute(spec.id, inside.argv, timeout_seconds=60)
    assert probe.output == b"pod\n" * 6
    to_host = _with(
        addressed.python(CLIENT.replace("TIMEOUT", repr(timeout)), address=address),
        host_port,
        "127.0.0.1",
    )
    assert await addressed.output_of(to_host) == "host\n"
    to_nobody = _with(
        addressed.python(CLIENT.replace("TIMEOUT", repr(timeout)), address=address),
        _free_port(),
        "127.0.0.1",
    )
    assert await addressed.output_of(to_nobody) == "111\n"
    host.close()
    await host.wait_closed()


async def _answer_host(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"host")
    writer.close()
    await writer.wait_closed()


async def test_threads_and_children_are_covered(
    addressed: Any, eventually: Any, new_address: Any
) -> None:
    code = """
import os, socket, sys, threading
def serve():
    s = socket.socket(); s.bind(("0.0.0.0", 0)); print(s.getsockname()[0], flush=True)
t = threading.Thread(target=serve); t.start(); t.join()
if os.fork() == 0: serve(); os._exit(0)
os.wait()
"""
    address = new_address()
    spec = addressed.python(code, address=address)
    assert await addressed.output_of(spec) == f"{address}\n" * 2


async def test_an_ipv6_only_socket_beside_the_ipv4_one_never_clashes(
    addressed: Any, eventually: Any, new_address: Any
) -> None:
    code = """
import socket, sys, time
port = int(sys.argv[1])
a = socket.socket(); a.bind(("0.0.0.0", port)); a.listen()
b = socket.socket(socket.AF_INET6); b.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
b.bind(("::", port)); b.listen()
print("up", flush=True); time.sleep(1000)
"""
    port = _free_port()
    for _ in range(2):
        spec = _with(addressed.python(code, address=new_address()), port)
        await addressed.start(spec)
        assert await eventually(lambda name=spec.id: addressed.output(name)) == "up\n"


async def test_the_same_pod_still_clashes_with_itself(addressed: Any, new_address: Any) -> None:
    code = """
import socket
a, b = socket.socket(), socket.socket()
a.bind(("0.0.0.0", 0)); a.listen()
try: b.bind(("127.0.0.1", a.getsockname()[1]))
except OSError as error: print(error.errno)
try: a.bind(("0.0.0.0", 0))
except OSError as error: print(error.errno)
"""
    assert await addressed.output_of(addressed.python(code, address=new_address())) == "98\n22\n"


async def test_datagrams(addressed: Any, new_address: Any) -> None:
    code = """
import socket, sys
s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("0.0.0.0", int(sys.argv[1]))); print(s.getsockname()[0])
c = socket.socket(type=socket.SOCK_DGRAM); c.connect(("127.0.0.1", int(sys.argv[1])))
c.send(b"hullo"); print(s.recv(9))
free = socket.socket(type=socket.SOCK_DGRAM); free.bind(("0.0.0.0", 0)); print(free.getsockname()[0])
"""
    address = new_address()
    spec = _with(addressed.python(code, address=address), _free_port())
    assert await addressed.output_of(spec) == f"{address}\nb'hullo'\n0.0.0.0\n"


async def test_unix_sockets_and_bad_arguments_are_the_kernels_matter(
    addressed: Any, new_address: Any, tmp_path: Any
) -> None:
    code = f"""
import ctypes, os, socket
os.chdir({str(tmp_path)!r})
s = socket.socket(socket.AF_UNIX); s.bind("unix"); s.listen()
c = socket.socket(socket.AF_UNIX); c.connect("unix"); print("unix")
libc = ctypes.CDLL(None, use_errno=True)
print(libc.bind(c.fileno(), ctypes.c_void_p(1), 16), ctypes.get_errno())
print(libc.connect(999, b"\\2\\0\\0\\1\\x7f\\0\\0\\1" + bytes(8), 16), ctypes.get_errno())
"""
    text = await addressed.output_of(addressed.python(code, address=new_address()))
    assert text == "unix\n-1 14\n-1 9\n"


@pytest.mark.skipif(shutil.which("perl") is None, reason="perl is not installed")
async def test_a_program_that_is_not_python(
    addressed: Any, eventually: Any, new_address: Any
) -> None:
    code = (
        "use IO::Socket::INET; $|=1; $s=IO::Socket::INET->new(LocalAddr=>'0.0.0.0',LocalPort=>$ARGV[0],"
        "Listen=>5,ReuseAddr=>1) or die; print $s->sockhost,' ',$s->sockport,qq(\\n); "
        "while($c=$s->accept){print $c $ARGV[1]; close $c}"
    )
    port = _free_port()
    addresses = [new_address(), new_address()]
    for address in addresses:
        spec = addressed.spec("perl", "-e", code, str(port), address, address=address)
        assert await _listening(addressed, spec, eventually) == (address, port)
    assert [await _ask(address, port) for address in addresses] == addresses


async def test_a_full_backlog_does_not_hold_up_the_launcher(
    addressed: Any, eventually: Any, new_address: Any
) -> None:
    code = """
import socket, threading, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(0)
def connect():
    c = socket.socket(); c.connect(("127.0.0.1", s.getsockname()[1])); time.sleep(1000)
for _ in range(8): threading.Thread(target=connect, daemon=True).start()
time.sleep(0.2); print("stuck", flush=True); time.sleep(1000)
"""
    spec = addressed.python(code, address=new_address())
    await addressed.start(spec)
    await eventually(lambda: addressed.output(spec.id))
    # It would wait for minutes, as long as the kernel tries to connect; this one is waited for less.
    await addressed.run(addressed.spec("true"))


async def test_a_call_costs_little(addressed: Any, new_address: Any) -> None:
    """Beside what it costs to ask any other process, which is no less on a busy machine."""
    code = """
import os, socket, time
ours, theirs = socket.socketpair()
if os.fork() == 0:
    ours.close()
    while theirs.recv(1): theirs.send(b"x")
    os._exit(0)
theirs.close()
def mean(call, of):
    began = time.perf_counter()
    for each in of: call(each)
    return (time.perf_counter() - began) / len(of)
def ask(_): ours.send(b"x"); ours.recv(1)
def bind(s): s.bind(("0.0.0.0", 0))
rounds = [(mean(bind, [socket.socket() for _ in range(50)]), mean(ask, range(50))) for _ in range(8)]
ours.close()
print(min(call for call, _ in rounds) / min(ask for _, ask in rounds))
"""
    times = float(await addressed.output_of(addressed.python(code, address=new_address())))
    assert times < 100  # about 5 to 10


async def test_others_know_a_pod_by_its_address(
    addressed: Any, eventually: Any, new_address: Any
) -> None:
    code = """
import socket, sys
s = socket.socket(); s.bind(("0.0.0.0", 0)); s.listen(); print(s.getsockname()[1], flush=True)
while True:
    c, (host, _) = s.accept(); c.sendall(host.encode()); c.close()
"""
    server, client = new_address(), new_address()
    listening = addressed.python(code, address=server)
    await addressed.start(listening)
    port = (await eventually(lambda: addressed.output(listening.id))).strip()
    for timeout in (None, 60.0):
        asking = addressed.python(CLIENT.replace("TIMEOUT", repr(timeout)), address=client)
        asking = _with(asking, port, server, f"::ffff:{server}")
        assert await addressed.output_of(asking) == f"{client}\n" * 2
    own = _with(addressed.python(CLIENT.replace("TIMEOUT", "60"), address=server), port, server)
    assert await addressed.output_of(own) == f"{server}\n"


async def test_a_source_that_the_program_has_chosen_stays(addressed: Any, new_address: Any) -> None:
    code = """
import socket, sys
s = socket.socket(type=socket.SOCK_DGRAM); s.bind((sys.argv[1], 0)); mine = s.getsockname()
c = socket.socket(type=socket.SOCK_DGRAM); c.connect(mine); print(c.getsockname()[0])
d = socket.socket(type=socket.SOCK_DGRAM); d.bind(("127.99.1.1", 0)); d.connect(mine); print(d.getsockname()[0])
"""
    address = new_address()
    text = await addressed.output_of(_with(addressed.python(code, address=address), address))
    assert text == f"{address}\n127.99.1.1\n"
