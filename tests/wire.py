"""The wire between a client and MariaDB: a proxy that acts at a statement, and so at a chosen moment of a run."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

COM_QUERY = 3
_CLIENT_SSL = 0x0800


@dataclass
class Session:
    """One client's connection: what a rule may do with it.

    `identity` is the server's CONNECTION_ID(), `packet` the client's last, with its header.
    """

    client: socket.socket
    server: socket.socket
    identity: int = 0
    packet: bytes = b""
    _allowance: int | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Pass small packets on at once: held back for the answer to the last one, each would take 40 ms."""
        for end in (self.client, self.server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def cut(self) -> None:
        """Break the connection, as a network does."""
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut_after(self, size: int) -> None:
        """Break the connection once the client has got that many bytes of the answer."""
        self._allowance = size

    def answer_error(self, code: int, message: str) -> None:
        """Answer in the server's place, with an error."""
        body = b"\xff" + code.to_bytes(2, "little") + b"#HY000" + message.encode()
        self.client.sendall(len(body).to_bytes(3, "little") + b"\x01" + body)

    def pass_on(self, answer: bytes) -> None:
        """Give the client a piece of the server's answer, or what is allowed of it."""
        if self._allowance is None:
            self.client.sendall(answer)
            return
        self.client.sendall(answer[: self._allowance])
        self._allowance -= len(answer)
        if self._allowance <= 0:
            self.cut()


@dataclass
class Rule:
    """What to do at the statements that match, the first `skip` of them left alone, `times` times (None: always).

    An action that returns True has answered itself: the statement does not reach the server.
    """

    pattern: str
    act: Callable[[Session], bool | None]
    skip: int = 0
    times: int | None = 1
    done: int = 0

    def take(self, statement: str) -> bool:
        """True when the statement is one to act at."""
        if not re.search(self.pattern, statement) or (self.times is not None and self.done >= self.times):
            return False
        self.skip -= 1
        self.done += self.skip < 0
        return self.skip < 0


class Wire:
    """A proxy on a port of its own before a server; plain text, since it must understand what it carries."""

    def __init__(self, host: str, port: int, *rules: Rule) -> None:
        self._server = (host, port)
        self._rules = rules
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sessions: list[Session] = []
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for session in self._sessions:
            session.cut()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener is closed at the end
            while True:
                client, _ = self._listener.accept()
                session = Session(client, socket.create_connection(self._server))
                self._sessions.append(session)
                for carry in (self._carry_answers, self._carry_statements):
                    threading.Thread(target=carry, args=[session], daemon=True).start()

    def _carry_statements(self, session: Session) -> None:
        try:
            with suppress(OSError), session.client.makefile("rb") as stream:
                while packet := _read_packet(stream):
                    session.packet = packet
                    is_query = packet[4:5] == bytes([COM_QUERY])
                    if not (is_query and self._act(session, packet[5:].decode(errors="replace"))):
                        session.server.sendall(packet)
        finally:  # also when a rule stumbles: a client that waits for ever would hang the test
            session.cut()

    def _act(self, session: Session, statement: str) -> bool:
        return any(rule.act(session) for rule in self._rules if rule.take(statement))

    def _carry_answers(self, session: Session) -> None:
        with suppress(OSError):
            session.client.sendall(_without_tls(session))
            while answer := session.server.recv(65536):
                session.pass_on(answer)
        session.cut()
        session.client.close()
        session.server.close()


def _read_packet(stream: object) -> bytes:
    """One packet with its header of four bytes, or nothing at the end."""
    head = stream.read(4)  # type: ignore[attr-defined]  # a buffered reader
    return head + stream.read(int.from_bytes(head[:3], "little")) if len(head) == 4 else b""  # type: ignore[attr-defined]


def _without_tls(session: Session) -> bytes:
    """The server's greeting without its offer of TLS; its thread id becomes the session's identity."""
    greeting = bytearray(session.server.recv(65536))
    thread = greeting.index(0, 5) + 1
    session.identity = int.from_bytes(greeting[thread : thread + 4], "little")
    abilities = slice(thread + 4 + 8 + 1, thread + 4 + 8 + 3)
    greeting[abilities] = (int.from_bytes(greeting[abilities], "little") & ~_CLIENT_SSL).to_bytes(2, "little")
    return bytes(greeting)
