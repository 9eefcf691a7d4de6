"""One control plane's connection, as the launcher sees it."""

import base64
import contextlib
import dataclasses
import os
import socket
import struct
from collections.abc import Callable
from typing import Any, Protocol

from wherry.kubelet.launcher import (
    execution,
    interaction,
    loop,
    processes,
    protocol,
    supervisor,
    syscalls,
    taps,
    types,
)

_MAX_UNSENT_BYTES = 64 * 1024 * 1024
_MAX_TIMEOUT_SECONDS = 24 * 3600.0
_READ_BYTES = 256 * 1024
_MAX_DESCRIPTORS = 3

Answer = Callable[[Any], None]


def peer_uid(peer: socket.socket) -> int:
    """Return who is at the other end of a Unix socket, by the kernel's word."""
    if processes.LINUX:
        data = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int(struct.unpack("=iII", data)[1])
    data = peer.getsockopt(0, 1, 8)  # SOL_LOCAL, LOCAL_PEERCRED: struct xucred
    return int(struct.unpack("=II", data)[1])


class Owner(Protocol):
    """What a connection needs of the launcher that it belongs to."""

    @property
    def features(self) -> types.Features:
        """What the machine allows."""

    def closed(self, connection: "Connection") -> None:
        """Take note that a connection has ended."""

    def shutdown(self, done: Callable[[], None]) -> None:
        """Kill everything, call ``done``, stop."""


class Connection:
    """Reads requests, writes answers and events. A peer that talks nonsense is hung up on."""

    def __init__(
        self, events: loop.Loop, peer: socket.socket, owner: Owner, table: supervisor.Supervisor
    ) -> None:
        self._loop = events
        self._peer = peer
        self._owner = owner
        self._table = table
        self._decoder = protocol.Decoder()
        self._unsent = bytearray()
        self._blocked = False
        self._open = True
        self._descriptors: list[int] = []
        self._interactions: list[interaction.Interaction] = []
        self._taps: list[taps.Tap] = []
        self._input_ends = ""
        self.welcomed = False
        self.listens = False
        """Whether it wants to hear of exits."""
        self._methods: dict[str, Callable[[dict[str, Any], Answer], None]] = {
            "start": self._start,
            "signal": self._signal,
            "list": self._list,
            "forget": self._forget,
            "execute": self._execute,
            "write_stdin": self._write_stdin,
            "interact": self._interact,
            "attach": self._attach,
            "list_warm": self._list_warm,
            "limit_warm": self._limit_warm,
            "shutdown": self._shutdown,
        }
        peer.settimeout(0)
        events.watch(peer.fileno(), self._ready)

    def close(self) -> None:
        """Hang up."""
        if self._open:
            self._open = False
            self._loop.unwatch(self._peer.fileno())
            self._peer.close()
            self._close_descriptors()
            for running in self._interactions:
                running.hang_up()
            for tap in self._taps:
                tap.close()
            if self._input_ends:
                with contextlib.suppress(types.LauncherError):  # it has finished
                    self._table.write_stdin(self._input_ends, b"", close=True)
            self._owner.closed(self)

    def send(self, message: protocol.Message) -> None:
        """Send without waiting; a peer that does not read is hung up on in the end."""
        if not self._open:
            return
        self._unsent += protocol.encode(message)
        self._flush()
        if len(self._unsent) > _MAX_UNSENT_BYTES:
            self.close()

    def _ready(self) -> None:
        if self._unsent:
            self._flush()
        if self._open:
            self._receive()

    def _flush(self) -> None:
        try:
            sent = self._peer.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        del self._unsent[:sent]
        if self._blocked != bool(self._unsent):
            self._blocked = bool(self._unsent)
            self._loop.want(self._peer.fileno(), self._ready, write=self._blocked)

    def _receive(self) -> None:
        try:
            data, descriptors = syscalls.receive(self._peer, _READ_BYTES, _MAX_DESCRIPTORS)
            self._descriptors += descriptors
            messages = self._decoder.feed(data)
        except BlockingIOError:
            return
        except (OSError, protocol.ProtocolError):
            self.close()
            return
        if not data or len(self._descriptors) > _MAX_DESCRIPTORS:
            self.close()
            return
        for message in messages:
            self._serve(message)

    def _serve(self, message: protocol.Message) -> None:
        number = message.get("call")

        def answer(result: Any) -> None:
            self.send({"call": number, "result": result})

        try:
            self._dispatch(str(message.get("method")), message.get("params"), answer)
        except (types.LauncherError, OSError) as error:
            self._refuse(number, type(error).__name__, str(error))
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            self._refuse(number, "LauncherError", f"malformed request: {error!r}")

    def _refuse(self, number: object, kind: str, message: str) -> None:
        self.send({"call": number, "error": {"kind": kind, "message": message}})

    def _dispatch(self, method: str, params: Any, answer: Answer) -> None:
        if not isinstance(params, dict):
            raise types.LauncherError("params: an object is needed")
        if method == "hello":
            self._hello(params, answer)
            return
        if not self.welcomed:
            raise types.LauncherError("say hello first")
        serve = self._methods.get(method)
        if serve is None:
            raise types.LauncherError(f"no method {method!r}; there are {', '.join(self._methods)}")
        serve(params, answer)

    def _hello(self, params: dict[str, Any], answer: Answer) -> None:
        features = dataclasses.asdict(self._owner.features)
        self.welcomed = True
        self.listens = bool(params.get("events", True))
        answer({"version": protocol.VERSION, "pid": os.getpid(), "features": features})

    def _start(self, params: dict[str, Any], answer: Answer) -> None:
        spec = types.spec_from(params)
        self._table.start(spec, lambda state: answer(types.state_values(state)))

    def _signal(self, params: dict[str, Any], answer: Answer) -> None:
        self._table.signal(params["id"], int(params["signal"]), group=bool(params["group"]))
        answer(None)

    def _list(self, _params: dict[str, Any], answer: Answer) -> None:
        answer([types.state_values(state) for state in self._table.states()])

    def _list_warm(self, _params: dict[str, Any], answer: Answer) -> None:
        answer([dataclasses.asdict(state) for state in self._table.warm()])

    def _limit_warm(self, params: dict[str, Any], answer: Answer) -> None:
        memory, idle = int(params["memory_bytes"]), float(params["idle_seconds"])
        self._table.limit_warm(types.WarmLimits(memory_bytes=memory, idle_seconds=idle))
        answer(None)

    def _forget(self, params: dict[str, Any], answer: Answer) -> None:
        self._table.forget(types.check_id(params["id"]))
        answer(None)

    def _execute(self, params: dict[str, Any], answer: Answer) -> None:
        argv = tuple(str(part) for part in params["argv"])
        if not argv:
            raise types.LauncherError("argv: at least the program is needed")
        command = execution.Command(
            argv=argv,
            timeout_seconds=min(max(0.0, float(params["timeout_seconds"])), _MAX_TIMEOUT_SECONDS),
            max_output_bytes=min(
                max(0, int(params["max_output_bytes"])), protocol.MAX_MESSAGE_BYTES // 2
            ),
        )

        def reply(outcome: types.Execution) -> None:
            output = base64.b64encode(outcome.output).decode()
            answer({**dataclasses.asdict(outcome), "output": output})

        self._table.execute(params["id"], command, reply)

    def _write_stdin(self, params: dict[str, Any], answer: Answer) -> None:
        data = base64.b64decode(params["data"])
        answer(self._table.write_stdin(params["id"], data, close=bool(params["close"])))

    def _interact(self, params: dict[str, Any], answer: Answer) -> None:
        argv = tuple(str(part) for part in params["argv"])
        if not argv or any("\0" in part for part in argv):
            raise types.LauncherError("argv: at least the program is needed, and no NUL characters")
        if len(self._descriptors) != _MAX_DESCRIPTORS:
            raise types.LauncherError("send standard input, output and error along")

        def reply(outcome: types.Ended) -> None:
            self._interactions.remove(running)
            answer(outcome._asdict())

        try:
            running = self._table.interact(
                params["id"],
                argv,
                self._descriptors,
                terminal=bool(params["terminal"]),
                reply=reply,
            )
            self._interactions.append(running)
        finally:
            self._close_descriptors()

    def _attach(self, params: dict[str, Any], answer: Answer) -> None:
        added, stdin = self._table.attach(params["id"], self._descriptors)
        self._taps += added
        self._descriptors = []
        if bool(params["once"]):
            self._input_ends = params["id"]
        if stdin is not None:
            # Goes ahead of the answer, which a fresh connection has room for.
            socket.send_fds(self._peer, [protocol.encode({"event": "input"})], [stdin])
        answer({"terminal": self._table.has_terminal(params["id"])})

    def _close_descriptors(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _shutdown(self, _params: dict[str, Any], answer: Answer) -> None:
        self._owner.shutdown(lambda: answer(None))
