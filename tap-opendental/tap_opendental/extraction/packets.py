"""Rows of one text column, taken out of the server's packets in one loop.

PyMySQL makes an object of every packet and of every row, 3.5 us each time; a page of lines needs neither, and the loop
takes a quarter of that (docs/benchmarks.md). All else, the handshake, TLS, errors, other results, stays PyMySQL's: this
is its result class with one step replaced, for results of one column of text.

The protocol: https://mariadb.com/docs/server/reference/clientserver-protocol/4-server-response-packets/result-set-packets
"""

from __future__ import annotations

from typing import Any

from pymysql.connections import MySQLResult
from pymysql.constants import COMMAND, CR
from pymysql.err import InternalError, OperationalError
from pymysql.protocol import MysqlPacket

_CHUNK = 262_144
_HEADER = 4
_LONGEST_PACKET = 0xFFFFFF  # a longer one goes on in the next
# The first byte of a row of one column: its length up to 250, NULL, or how many bytes of length follow. 254 also begins
# the packet that ends the rows, which is shorter than any row of that kind.
_NULL, _TWO, _THREE, _EIGHT, _ERROR = 251, 252, 253, 254, 255
_END_BYTES = 9


def query_lines(connection: Any, statement: str) -> tuple[Any, int]:  # noqa: ANN401 - PyMySQL's, with private steps
    """Run a statement; return its rows as tuples, and the server's count of warnings.

    Raises what PyMySQL raises.
    """
    connection._execute_command(COMMAND.COM_QUERY, statement)  # noqa: SLF001 - as PyMySQL's cursor does
    connection._result = None  # noqa: SLF001
    result = LineResult(connection)
    result.read()
    return result.rows, result.warning_count


class LineResult(MySQLResult):
    """PyMySQL's result; rows of one text column are read by the loop below."""

    converters: list[tuple[str | None, Any]]

    def _read_rowdata_packet(self) -> None:
        connection, (encoding, converter) = self.connection, self.converters[0]
        if self.field_count != 1 or encoding is None or converter is not None:
            super()._read_rowdata_packet()  # type: ignore[misc]  # private, so not in PyMySQL's type stubs
            return
        values: list[str | None] = []
        end = _Packets(connection).read_rows(values, encoding)
        self._check_packet_is_eof(MysqlPacket(end, encoding))  # type: ignore[attr-defined]
        self.affected_rows = len(values)
        self.rows = tuple(zip(values, strict=True))
        self.connection = None


class _Packets:
    """The packets of one result, and what of them was read from the socket already."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - PyMySQL is untyped
        self._connection = connection
        self._number = connection._next_seq_id  # noqa: SLF001
        self._data = b""
        self._at = 0

    def read_rows(self, values: list[str | None], encoding: str) -> bytes:
        """Append each row's value; return the packet that ends the rows."""
        while True:
            self._at, self._number = _take_rows(self._data, self._at, self._number, values, encoding)
            payload = self._next()
            first = payload[0]
            if first == _ERROR:
                MysqlPacket(payload, encoding).raise_for_error()
            if first == _EIGHT and len(payload) < _END_BYTES:
                return payload
            value = MysqlPacket(payload, encoding).read_length_coded_string()  # type: ignore[no-untyped-call]
            values.append(None if value is None else value.decode(encoding))

    def _next(self) -> bytes:
        """Return the next packet, whatever it is and wherever it ends; one of 16 MB goes on in the next."""
        parts = []
        while True:
            header = self._take(_HEADER)
            length = int.from_bytes(header[:3], "little")
            self._check(header[3])
            parts.append(self._take(length))
            if length < _LONGEST_PACKET:
                return b"".join(parts)

    def _check(self, number: int) -> None:
        """Refuse a packet out of turn; MariaDB says with number 0 that it is shutting down."""
        if number != self._number:
            self._connection._force_close()  # noqa: SLF001
            if number == 0:
                raise OperationalError(CR.CR_SERVER_LOST, "Lost connection to MySQL server during query")
            raise InternalError(f"Packet sequence number wrong - got {number} expected {self._number}")
        self._number = number + 1 & 255

    def _take(self, size: int) -> bytes:
        while len(self._data) - self._at < size:
            self._data, self._at = self._data[self._at :] + self._receive(size - len(self._data) + self._at), 0
        begin, self._at = self._at, self._at + size
        return self._data[begin : self._at]

    def _receive(self, missing: int) -> bytes:
        """Read what is there, or all of a long value at once; PyMySQL's errors when the connection is lost."""
        if missing > _CHUNK:
            data: bytes = self._connection._read_bytes(missing)  # noqa: SLF001
            return data
        try:
            data = self._connection._rfile.read1(_CHUNK)  # noqa: SLF001
        except OSError as error:
            self._connection._force_close()  # noqa: SLF001
            raise OperationalError(CR.CR_SERVER_LOST, f"Lost connection ({error})") from None
        if not data:
            self._connection._force_close()  # noqa: SLF001
            raise OperationalError(CR.CR_SERVER_LOST, "Lost connection to MySQL server during query")
        return data


def _take_rows(data: bytes, at: int, number: int, values: list[str | None], encoding: str) -> tuple[int, int]:
    """Append the value of each ordinary row that is whole in `data`; return where and with which number that ends.

    Ordinary is a packet in its turn, shorter than 16 MB, of a value that is not NULL.
    """
    append, last = values.append, len(data) - _HEADER
    while at < last:
        length = data[at] | data[at + 1] << 8 | data[at + 2] << 16
        start = at + _HEADER
        end = start + length
        first = data[start]
        if end > last + _HEADER or length == _LONGEST_PACKET or data[at + 3] != number:
            break
        if first < _NULL:
            append(data[start + 1 : end].decode(encoding))
        elif first == _TWO:
            append(data[start + 3 : end].decode(encoding))
        elif first == _THREE:
            append(data[start + 4 : end].decode(encoding))
        else:
            break
        at = end
        number = number + 1 & 255
    return at, number
