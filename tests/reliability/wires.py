"""The wire between the target and its destination: a proxy of either protocol that acts at a chosen statement."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.wire import Session, Wire

if TYPE_CHECKING:
    from typing import BinaryIO

    from tests.reliability.destinations import Destination
    from tests.wire import Rule

_SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
_KEY_DATA = b"K\x00\x00\x00\x0c"


class PostgresWire(Wire):
    """The same for PostgreSQL: a statement is that of a Query or a Parse message."""

    def _carry_statements(self, session: Session) -> None:
        try:
            with suppress(OSError), session.client.makefile("rb") as stream:
                self._greet(session, stream)
                while packet := _read_message(stream):
                    session.packet = packet
                    if not self._act(session, _statement(packet)):
                        session.server.sendall(packet)
        finally:
            session.cut()

    def _greet(self, session: Session, stream: BinaryIO) -> None:
        """Pass the start-up on, in plain text."""
        head = stream.read(8)
        if head == _SSL_REQUEST:
            session.client.sendall(b"N")
            head = stream.read(8)
        session.server.sendall(head + stream.read(int.from_bytes(head[:4], "big") - 8))

    def _act(self, session: Session, statement: str) -> bool:
        return bool(statement) and super()._act(session, statement)

    def _carry_answers(self, session: Session) -> None:
        with suppress(OSError):
            while answer := session.server.recv(65536):
                if not session.identity and (at := answer.find(_KEY_DATA)) >= 0:
                    session.identity = int.from_bytes(answer[at + 5 : at + 9], "big")
                session.pass_on(answer)
        session.cut()
        session.client.close()
        session.server.close()


def _read_message(stream: BinaryIO) -> bytes:
    head = stream.read(5)
    return head + stream.read(int.from_bytes(head[1:], "big") - 4) if len(head) == 5 else b""


def _statement(packet: bytes) -> str:
    if packet[:1] == b"Q":
        return packet[5:-1].decode(errors="replace")
    if packet[:1] == b"P":
        return packet[5:].split(b"\0")[1].decode(errors="replace")
    return ""


def wire_to(destination: Destination, *rules: Rule) -> Wire:
    """A proxy before a destination, of its protocol."""
    kind = Wire if destination.dialect == "mysql" else PostgresWire
    return kind(str(destination.url.host), int(destination.url.port or 0), *rules)


def free_port() -> int:
    """A port of this machine at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
