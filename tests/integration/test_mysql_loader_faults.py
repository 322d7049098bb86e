"""What goes wrong: values, rogue servers, cut connections, locks, rights and limits; nothing is lost or leaked."""

import contextlib
import io
import os
import pathlib
import socket
import struct
import threading
from dataclasses import replace

import pymysql
import pytest
from pymysql.constants import CLIENT
from tests.mysql_loading import NAME, NUM, Replica, facts_of, make_batch, position
from tests.wire import Rule, Wire

from opendental_analyze.sandbox.databases import mariadb_root, run
from tap_opendental.discovery.model import Column, Index, IndexColumn, Table
from target_opendental_replica.errors import (
    AccessDeniedError,
    BrokenStreamError,
    ConflictError,
    LockedError,
    MissingRowsError,
    NotFoundError,
    ReplicaError,
    StoreError,
    UnreachableError,
    ValueRefusedError,
)
from target_opendental_replica.mysql.connection import Link
from target_opendental_replica.settings import Tls
from target_opendental_replica.stream_facts import Start
from target_opendental_replica.warehouse import Counts

START = Start("a" * 16, 0)
BOTH = ("Num", "Name")
TABLE = Table("t", (NUM, NAME), ("Num",), engine="InnoDB")
SECRET = "Zaphod-Beeblebrox"


# --- values -----------------------------------------------------------------------------------------------------------

UNFIT = {
    "int(11)": (SECRET, 2**40, "1x"),
    "tinyint(3) unsigned": (-1, 256),
    "varchar(9)": (SECRET,),
    "date": (SECRET, "2024-13-01"),
    "datetime": ("2024-01-01 25:00:00",),
    "timestamp": ("1969-01-01 00:00:00", "2024-03-32 00:00:00"),
    "time": ("900:00:00", SECRET),
    "decimal(5,2)": (1000, 1.005),
    "double": ("1e999", SECRET),
    "year(4)": (1800,),
    "bit(3)": (8,),
    "enum('x','y')": (3,),
    "set('x','y')": (4,),
    "blob": ("?!",),
    "varchar(9) latin1": ("表",),
    "inet4": (SECRET,),
}


@pytest.mark.parametrize("local", [True, False], ids=["load data", "insert"])
@pytest.mark.parametrize("kind", UNFIT)
def test_a_value_that_would_be_altered_is_refused(kind, local, replica):
    """The error names stream, column and line, never the value; nothing of the batch is in the table."""
    latin = kind.endswith(" latin1")
    column = Column(
        "Value", kind.removesuffix(" latin1"), nullable=False, collation="latin1_swedish_ci" if latin else None
    )
    table = replace(TABLE, columns=(NUM, NAME, column))
    facts = facts_of(table)
    good = {
        "date": "2024-01-01",
        "datetime": "2024-01-01 00:00:00",
        "timestamp": "2024-01-01 00:00:00",
        "year(4)": 2024,
    }
    fine = {**good, "time": "10:00:00", "blob": "AA==", "varchar(9)": "a", "inet4": "1.2.3.4"}.get(
        kind.removesuffix(" latin1"), 1
    )
    for bad in (*UNFIT[kind], None):
        loader = replica.open(facts, local_infile=local)
        rows = [(1, SECRET, fine), (2, SECRET, fine), (3, SECRET, bad)]
        with pytest.raises(ValueRefusedError) as refused:
            loader.load(make_batch(table.column_names, *rows, lines=(11, 12, 13)))
        assert "stream t" in str(refused.value)
        assert SECRET not in str(refused.value)
        assert "line 13" in str(refused.value) or "lines 11 to 13" in str(refused.value)
        assert refused.value.__context__ is None
        replica.close()
        assert replica.rows("t") == []


def test_the_value_0_of_an_enum_is_no_other_warning(replica):
    """The server warns of it, and it is meant; beside a value that is altered it hides nothing."""
    kind = Column("Value", "enum('x','y')", nullable=False)
    table = replace(TABLE, columns=(NUM, kind, NAME))
    for local in (True, False):
        loader = replica.open(facts_of(table), local_infile=local)
        loader.load(make_batch(table.column_names, (1, 0, "a"), (2, 2, "b"), (3, 0, "c")))
        loader.settle(None)
        assert replica.rows("t", "Num, Value+0") == [(1, 0), (2, 2), (3, 0)]
        with pytest.raises(ValueRefusedError, match=r"column Name, line 3"):
            loader.load(make_batch(table.column_names, (1, 0, "a"), (2, 1, "x" * 21), lines=(2, 3)))
        with pytest.raises(ValueRefusedError, match=r"column Value"):
            loader.load(make_batch(table.column_names, (1, 0, "a"), (2, 9, "x"), lines=(2, 3)))
        replica.close()


@pytest.mark.parametrize("local", [True, False], ids=["load data", "insert"])
@pytest.mark.parametrize("row", ["1", '1,"a",2', '1,"a', '1,"a"\n2'])
def test_rows_that_are_none_are_refused(row, local, replica):
    """Rows with too few or too many fields, or broken quotes, end the stream; the table stays as it was."""
    loader = replica.open(facts_of(TABLE), local_infile=local)
    content = f"Num,Name\n{row}\n".encode()
    with pytest.raises((BrokenStreamError, ValueRefusedError), match="stream t"):
        loader.load(replace(make_batch(BOTH), content=content))
    replica.close()
    assert replica.rows("t") == []


@pytest.mark.parametrize("local", [True, False], ids=["load data", "insert"])
@pytest.mark.parametrize("names", [(), ("Num", "Num"), ("Num", "Name", "Name"), ("Name",), ("Num", "Other")])
def test_columns_that_are_none_are_refused(names, local, replica):
    """None at all, one twice, no key, one that nobody knows: with stream and line, before the server is asked."""
    loader = replica.open(facts_of(TABLE), local_infile=local)
    for version in (None, 7):
        with pytest.raises(BrokenStreamError, match="stream t, line 7: rows"):
            loader.load(make_batch(names, [1] * len(names), version=version, line=7))
    loader.settle(None)
    assert replica.rows("t") == []
    assert replica.tables() == ["_od_load_state", "_od_tables", "t"]


@pytest.mark.parametrize("local", [True, False], ids=["load data", "insert"])
def test_a_file_that_is_gone_or_ends_in_its_first_line_is_told(local, replica, tmp_path):
    """It was there when the target looked at it: stream and line, and nothing is loaded."""
    loader = replica.open(facts_of(TABLE), local_infile=local)
    with pytest.raises(NotFoundError, match="stream t, line 7: its file cannot be read"):
        loader.load(replace(make_batch(BOTH, line=7), content=tmp_path / "gone.csv"))
    cut = tmp_path / "cut.csv"
    cut.write_text('"Num","Na')
    with pytest.raises(BrokenStreamError, match="stream t, line 7"):
        loader.load(replace(make_batch(BOTH, line=7), content=cut))
    with pytest.raises(BrokenStreamError, match=r"stream t, line 7.*cannot be read to its end"):
        loader.load(replace(make_batch(BOTH, line=7), content=_Stuck(tmp_path)))
    loader.settle(None)
    assert replica.rows("t") == []


class _Stuck(type(pathlib.Path())):
    def open(self, *_args, **_options):
        return _StuckFile()


class _StuckFile(io.RawIOBase):
    """A file on a disk that fails when it is read."""

    def readable(self):
        return True

    def readinto(self, _buffer):
        raise OSError(5, "Input/output error")


# --- UNIQUE keys ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["InnoDB", "MyISAM"])
def test_unique_values_that_move_lose_no_row(engine, replica):
    """Rows swap a UNIQUE value, take it over from a row that is gone, or from one that comes later."""
    secret = Column("Secret", "varchar(9)", default="NULL")
    unique = (Index("u", (IndexColumn("Name"),), unique=True), Index("p", (IndexColumn("Code", 2),), unique=True))
    columns = (NUM, NAME, Column("Code", "varchar(9)", default="NULL"), secret)
    table = Table("t", columns, ("Num",), unique, engine=engine)
    facts, sent = facts_of(table, withheld=("Secret",)), ("Num", "Name", "Code")
    loader = replica.open(facts)
    loader.load(make_batch(sent, (1, "a", "11x"), (2, "b", "22x"), (3, "c", "33x"), (4, "d", None)))
    loader.settle(None)
    replica.ask("UPDATE t SET Secret = Num")
    loader.load(make_batch(sent, (1, "b", "22y"), (2, "a", "11x"), (5, "C", None)))
    assert loader.settle(None) == Counts(inserted=1, updated=2, deleted=1)
    assert replica.rows("t") == [(1, "b", "22y", "1"), (2, "a", "11x", "2"), (4, "d", None, "4"), (5, "C", None, None)]
    loader.load(make_batch(sent, (1, "x", "1"), (6, "x", "1"), (4, "d", "0")))
    assert loader.settle(None) == Counts(inserted=1, updated=1)
    assert replica.rows("t", "Num, Name, Code") == [
        (1, "b", "22y"), (2, "a", "11x"), (4, "d", "0"), (5, "C", None), (6, "x", "1"),
    ]  # fmt: skip


def test_keys_are_equal_as_the_source_says(replica):
    """By the key's collation a and A are one key: the last one counts, and its spelling is kept."""
    table = Table(
        "t", (Column("Name", "varchar(20)", nullable=False), Column("Num", "int(11)")), ("Name",), engine="InnoDB"
    )
    loader = replica.open(facts_of(table))
    loader.load(make_batch(("Name", "Num"), ("a", 1), ("b", 1)))
    loader.settle(None)
    loader.load(make_batch(("Name", "Num"), ("A", 1), ("B", 2), ("b", 1)))
    assert loader.settle(None) == Counts(updated=1, unchanged=1)
    assert replica.rows("t") == [("A", 1), ("b", 1)]


# --- deleted rows -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["InnoDB", "MyISAM"])
def test_rows_that_are_gone_are_deleted_or_marked(engine, replica):
    """By _sdc_deleted_at and by versions; a row that comes again loses its mark."""
    facts = facts_of(replace(TABLE, engine=engine), start=START)
    marked = (*BOTH, "_sdc_deleted_at")
    for hard in (True, False):
        loader = replica.open(facts, hard_delete=hard)
        loader.load(make_batch(BOTH, (1, "one"), (2, "two"), (3, "three")))
        assert loader.settle(None) == Counts(inserted=3)
        loader.load(make_batch(marked, (1, None, "2024-02-29T10:00:00.5+00:00"), (9, None, "2024-02-29 10:00:00")))
        assert loader.settle(None) == Counts(deleted=1)
        if hard:
            assert replica.rows("t") == [(2, "two"), (3, "three")]
            replica.close()
            replica.ask("DROP TABLE t, _od_tables")
            continue
        shown = "Num, Name, CAST(_sdc_deleted_at AS CHAR)"
        assert replica.rows("t", shown)[0] == (1, "one", "2024-02-29 10:00:00.000000")
        loader.load(make_batch(BOTH, (1, "one")))
        assert loader.settle(None) == Counts(updated=1)
        loader.load(make_batch(BOTH, (1, "one"), (4, "four"), version=1))
        loader.activate(1)
        assert loader.settle(None) == Counts(inserted=1, unchanged=1, deleted=2)
        assert [row[2] is None for row in replica.rows("t", shown)] == [True, False, False, True]
        loader.load(make_batch(BOTH, (1, "one"), (2, "two"), version=2))
        loader.activate(2)
        assert loader.settle(None) == Counts(inserted=1, unchanged=1, deleted=1)
        assert replica.rows("t", "Num, _sdc_deleted_at IS NULL") == [(1, 1), (2, 1), (3, 0), (4, 0)]
    replica.open(facts)
    assert replica.rows("t") == [(1, "one"), (2, "two")]


def test_rows_without_a_key_add_up(replica):
    """Merged they are added; a version has its own, once, whatever was cut."""
    for engine in ("InnoDB", "MyISAM"):
        facts = facts_of(replace(TABLE, name=engine, primary_key=(), engine=engine))
        loader = replica.open(facts)
        loader.load(make_batch(BOTH, (1, "a"), (1, "a")))
        assert loader.settle(None) == Counts(inserted=2)
        loader.load(make_batch(BOTH, (1, "a"), version=4))
        loader.settle(None)
        loader.load(make_batch(BOTH, (2, "b"), version=4))
        loader = replica.open(facts)
        loader.load(make_batch(BOTH, (2, "b"), (2, "b"), version=4))
        loader.activate(4)
        assert loader.settle(None) == Counts(inserted=3, deleted=2)
        assert replica.rows(engine) == [(1, "a"), (2, "b"), (2, "b")]
        assert f"ENGINE={engine}" in replica.ddl(engine)


# --- versions ---------------------------------------------------------------------------------------------------------


def test_a_version_without_rows_empties_the_table(replica):
    """By a swap, too; and an older version that was never activated is dropped."""
    loader = replica.open(facts_of(TABLE))
    loader.load(make_batch(BOTH, (1, "one")))
    loader.settle(None)
    loader.load(make_batch(BOTH, (2, "two"), version=1))
    loader.activate(2)
    assert replica.rows("t") == [(1, "one")]
    assert loader.settle(None) == Counts(deleted=1)
    assert replica.rows("t") == []
    loader.load(make_batch(BOTH, (2, "two"), version=2))
    loader.load(make_batch(BOTH, (3, "three"), version=3))
    loader.activate(3)
    loader.load(make_batch(BOTH, (4, "four"), version=3))
    loader.load(make_batch(BOTH, (5, "five"), version=5))
    loader.settle(None)
    assert replica.rows("t") == [(3, "three"), (4, "four")]


def test_a_version_whose_rows_are_not_here_is_refused(replica):
    """A state that goes on with a table that was read in part needs those rows."""
    facts = facts_of(TABLE, start=START)
    later = facts_of(TABLE, start=Start("a" * 16, 1, 7))
    with pytest.raises(MissingRowsError, match="stream t"):
        replica.open(later)
    loader = replica.open(facts)
    loader.load(make_batch(BOTH, (1, "one"), version=7))
    loader.settle(position(1))
    loader = replica.open(later)
    loader.load(make_batch(BOTH, (2, "two"), version=7))
    loader.activate(7)
    loader.settle(None)
    assert replica.rows("t") == [(1, "one"), (2, "two")]


def test_gathered_rows_that_were_dropped_are_no_longer_counted_on(replica):
    """A state that goes on with them is refused; one that begins again gathers anew, and neither meets a lack."""
    facts = facts_of(TABLE, start=START)
    later = facts_of(TABLE, start=Start("a" * 16, 1, 7))
    for start in (facts, later):
        loader = replica.open(facts)
        loader.load(make_batch(BOTH, (1, "one"), version=7))
        loader.settle(position(1))
        replica.ask("DROP TABLE _od_new_t")
        if start is later:
            with pytest.raises(MissingRowsError, match="stream t"):
                replica.open(later)
            with pytest.raises(MissingRowsError, match="stream t"):
                replica.open(later)
        loader = replica.open(facts)
        version = 7 if start is facts else 8
        loader.load(make_batch(BOTH, (2, "two"), version=version))
        loader.activate(version)
        loader.settle(position(2))
        assert replica.rows("t") == [(2, "two")]
        replica.close()
        replica.ask("DROP TABLE t, _od_tables, _od_load_state")


def test_a_state_of_another_lineage_takes_the_gathered_table(replica):
    """The state that was cut before is refused, and served when it begins again."""
    loader = replica.open(facts_of(TABLE, start=START))
    loader.load(make_batch(BOTH, (1, "one"), version=7))
    loader.settle(position(1))
    loader = replica.open(facts_of(TABLE, start=Start("b" * 16, 0)))
    loader.load(make_batch(BOTH, (1, "uno"), version=8))
    loader.settle(position(1, "b" * 16))
    with pytest.raises(MissingRowsError, match="stream t"):
        replica.open(facts_of(TABLE, start=Start("a" * 16, 1, 7)))
    loader = replica.open(facts_of(TABLE, start=START))
    loader.load(make_batch(BOTH, (1, "one"), (2, "two"), version=9))
    loader.activate(9)
    loader.settle(position(2))
    assert replica.rows("t") == [(1, "one"), (2, "two")]


def test_readers_see_the_old_rows_or_the_new_ones(replica):
    """While versions take each other's place, a reader never meets an empty table, a half one, or none."""
    loader = replica.open(facts_of(TABLE))
    rows = [(number, "x") for number in range(200)]
    seen, ended = set(), threading.Event()

    def read():
        while not ended.is_set():
            seen.add(tuple(replica.ask("SELECT COUNT(*), MIN(Name), MAX(Name) FROM t")[0]))

    loader.load(make_batch(BOTH, *rows))
    loader.settle(None)
    reader = threading.Thread(target=read)
    reader.start()
    for version in range(1, 12):
        loader.load(make_batch(BOTH, *((number, f"v{version:02}") for number, _ in rows), version=version))
        loader.activate(version)
        loader.settle(None)
    ended.set()
    reader.join()
    assert {count for count, _, _ in seen} == {200}
    assert all(low == high for _, low, high in seen)
    assert len(seen) > 1


# --- crashes ----------------------------------------------------------------------------------------------------------

STEPS = ("LOAD DATA", "INSERT INTO `t`", "DELETE t", "REPLACE INTO _od_load_state", "^COMMIT")
SWAPS = (
    "CREATE TABLE `_od_new",
    "SELECT COUNT",
    "REPLACE INTO _od_tables",
    "RENAME",
    "DROP TABLE IF EXISTS `_od_old",
    "^COMMIT",
)


def cut_here(before):
    """Cut the client off before the statement reaches the server, or after the server has it."""

    def act(session):
        if not before:
            session.server.sendall(session.packet)
        threading.Event().wait(0.05)  # the server takes the statement before it sees that nobody is there
        session.cut()
        return True

    return act


@pytest.mark.parametrize(("engine", "before"), [("InnoDB", True), ("InnoDB", False), ("MyISAM", False)])
def test_a_cut_at_any_statement_is_made_good(engine, before, replica):
    """Position and rows never part: what is held is in the table, and the same steps once more make it right."""
    facts = facts_of(replace(TABLE, engine=engine), start=START)
    loader = replica.open(facts)
    loader.load(make_batch(BOTH, *((number, "old") for number in range(9))))
    loader.settle(position(1))
    replica.close()
    address = replica.settings.address
    serial = 1
    for step, skip in [*((each, 0) for each in (*STEPS, *SWAPS)), *(("^COMMIT", n) for n in range(1, 7))]:
        serial += 1
        replica.close()
        rule = Rule(step, cut_here(before), skip=skip)
        with Wire(address.host, address.port, rule) as wire:
            cut = replace(replica.settings, address=replace(address, port=wire.port))
            place = Replica(replica.database, cut)
            with pytest.raises(UnreachableError):
                advance(place.open(facts), serial)
            place.close()
        assert rule.done
        held = replica.open(facts).held.serial
        names = {row[1] for row in replica.rows("t")}
        if engine == "InnoDB" or held == serial:
            assert names in ({"old"}, {f"v{held}"}, {f"v{serial}"})
        if held == serial:
            assert names == {f"v{serial}"}
        advance(replica.open(facts), serial)
        assert replica.rows("t") == [(number, f"v{serial}") for number in range(1, 9)]
        assert not [name for name in replica.tables() if name.startswith(("_od_new", "_od_stage", "_od_shadow"))]


def advance(loader, serial):
    """Merge rows with one that is gone, then replace the table by the same rows, and settle both."""
    rows = [(number, f"v{serial}") for number in range(9)]
    loader.load(make_batch(BOTH, *rows))
    loader.load(make_batch((*BOTH, "_sdc_deleted_at"), (0, None, "2024-01-01 00:00:00")))
    loader.settle(position(serial))
    loader.load(make_batch(BOTH, *rows[1:5], version=serial))
    loader.settle(position(serial))
    loader.load(make_batch(BOTH, *rows[5:], version=serial))
    loader.activate(serial)
    loader.settle(position(serial))


def test_what_was_not_settled_is_not_there(replica):
    """A session that ends without settle leaves neither rows nor position, also of a table that was empty."""
    loader = replica.open(facts_of(TABLE, start=START))
    loader.load(make_batch(BOTH, (1, "one")))
    assert replica.rows("t") == []
    assert replica.open(facts_of(TABLE, start=START)).held is None
    assert replica.rows("t") == []


# --- rogue servers ----------------------------------------------------------------------------------------------------


def _packet(number, payload):
    return struct.pack("<I", len(payload))[:3] + bytes([number]) + payload


class Rogue:
    """A server that answers as servers do, but for statements for which `asks` names a file: that one it asks for.

    `got` is what it was sent of files; after the first it closes the connection, if it does.
    """

    def __init__(self, asks, *, closes=True):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.asks, self.closes, self.got = asks, closes, b""
        self.thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()

    def _serve(self):
        with contextlib.suppress(OSError), self.listener.accept()[0] as client, client.makefile("rb") as stream:
            flags = CLIENT.PROTOCOL_41 | CLIENT.SECURE_CONNECTION | CLIENT.PLUGIN_AUTH | CLIENT.LOCAL_FILES
            greeting = b"\x0a5.5.5-10.11\0" + struct.pack("<I", 7) + b"12345678\0"
            greeting += struct.pack("<HBHHB", flags & 0xFFFF, 45, 2, flags >> 16, 21) + b"\0" * 10
            client.sendall(_packet(0, greeting + b"123456789012\0mysql_native_password\0"))
            _read_packet(stream)
            client.sendall(_packet(2, OK))
            while packet := _read_packet(stream):
                if not self._answer(client, stream, packet[1:]):
                    return

    def _answer(self, client, stream, statement):
        asked = self.asks(statement)
        if asked is None:
            client.sendall(MAX_PACKET if statement.startswith(b"SELECT @@max") else _packet(1, OK))
            return True
        client.sendall(_packet(1, b"\xfb" + asked))
        last = 1
        while (packet := _read_packet(stream)) is not None:
            self.got, last = self.got + packet, last + 1
            if not packet:
                client.sendall(_packet(last + 1, OK))
                return not self.closes
        return False


def _read_packet(stream):
    head = stream.read(4)
    return stream.read(int.from_bytes(head[:3], "little")) if len(head) == 4 else None


OK = b"\0\0\0\x02\0\0\0"
_FIELD = b"\x03def\0\0\0\x01m\0\x0c" + struct.pack("<HIBHB", 45, 20, 8, 0, 0) + b"\0\0"
_EOF = b"\xfe\0\0\x02\0"
MAX_PACKET = b"".join(
    _packet(number, payload) for number, payload in enumerate((b"\x01", _FIELD, _EOF, b"\x0867108864", _EOF), 1)
)


def rogue_settings(replica, rogue):
    address = replace(replica.settings.address, host="127.0.0.1", port=rogue.port)
    return replace(replica.settings, address=address)


@pytest.fixture
def treasure(tmp_path):
    """A file of the client that no server may see."""
    path = tmp_path / "treasure"
    path.write_text(f"{SECRET}\n")
    return path


def test_the_stock_client_gives_any_file_away(treasure):
    """The control: PyMySQL with local_infile sends what the server asks for."""
    asks = {b"SELECT 1": str(treasure).encode()}
    with Rogue(asks.get) as rogue:
        stock = pymysql.connect(host="127.0.0.1", port=rogue.port, user="u", password="p", local_infile=True)
        with contextlib.suppress(pymysql.err.MySQLError):
            stock.query("SELECT 1")
        stock._force_close()
    assert SECRET.encode() in rogue.got


def talk(settings, path):
    """Connect, and run a statement of each kind."""
    with contextlib.closing(Link(settings)) as link:
        link.run("SELECT 1")
        with path.open("rb") as content:
            link.load("LOAD DATA LOCAL INFILE '{}'".format, content)
        link.commit()


STATEMENTS = (b"SET SESSION", b"SELECT @@max", b"SELECT 1", b"LOAD", b"COMMIT", b"SET AUTOCOMMIT")


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("statement", STATEMENTS)
def test_no_file_leaves_the_client(statement, local, replica, treasure):
    """Whatever statement a server answers with a request for a file, it gets nothing, and the connection ends."""
    asked = str(treasure).encode()
    with Rogue(lambda said: asked if said.startswith(statement) else None) as rogue:
        settings = replace(rogue_settings(replica, rogue), local_infile=local)
        with pytest.raises(ReplicaError) as error:
            talk(settings, treasure)
    assert SECRET not in str(error.value)
    assert rogue.got == b""


def test_rows_are_sent_once_and_for_the_name_of_their_statement(replica, treasure):
    """A server that asks for them a second time gets nothing."""
    names = [b""]

    def ask(statement):
        if statement.startswith(b"LOAD"):
            names.append(statement.split(b"'")[1])
        return names[-1] if statement.startswith((b"LOAD", b"SELECT 1")) else None

    with Rogue(ask, closes=False) as rogue, treasure.open("rb") as content:
        link = Link(rogue_settings(replica, rogue))
        link.load("LOAD DATA LOCAL INFILE '{}'".format, content)
        content.seek(0)
        with pytest.raises(StoreError, match="nothing was sent"):
            link.run("SELECT 1")
    assert rogue.got == treasure.read_bytes()


# --- servers that do not allow, take or answer ------------------------------------------------------------------------


@contextlib.contextmanager
def server_setting(sandbox, name, value):
    """A global setting of the server, for as long as the block lasts."""
    root = mariadb_root(sandbox.state)
    with root.connect() as connection:
        before = connection.exec_driver_sql(f"SELECT @@GLOBAL.{name}").scalar_one()
    run(root, [f"SET GLOBAL {name} = {value}"])
    try:
        yield
    finally:
        run(root, [f"SET GLOBAL {name} = {before}"])
        root.dispose()


def test_a_server_without_local_infile_gets_inserts(sandbox, replica):
    """The same rows by another way, without a word."""
    with server_setting(sandbox, "local_infile", 0):
        loader = replica.open(facts_of(TABLE))
        loader.load(make_batch(BOTH, (1, "one"), (2, "NULL"), (3, None)))
        assert loader.settle(None) == Counts(inserted=3)
    assert replica.rows("t") == [(1, "one"), (2, "NULL"), (3, None)]


def test_rows_up_to_the_packet_limit(sandbox, replica):
    """LOAD DATA takes rows of any length in small packets; INSERT says which row is too large."""
    table = replace(TABLE, columns=(NUM, Column("Name", "longtext", default="NULL")))
    with server_setting(sandbox, "max_allowed_packet", 1_048_576):
        loader = replica.open(facts_of(table))
        loader.load(make_batch(BOTH, (1, "x" * 3_000_000), (2, "y")))
        loader.settle(None)
        loader = replica.open(facts_of(table), local_infile=False)
        loader.load(make_batch(BOTH, (1, "x" * 900_000), (2, "y" * 900_000)))
        loader.settle(None)
        with pytest.raises(StoreError, match="line 8: a row larger than"):
            loader.load(make_batch(BOTH, (1, "x"), (2, "y" * 1_100_000), lines=(7, 8)))
        blob = replace(TABLE, name="b", columns=(NUM, Column("Name", "longblob", default="NULL")))
        with pytest.raises(StoreError, match="max_allowed_packet"):
            replica.open(facts_of(blob)).load(make_batch(BOTH, (1, "AAAA" * 400_000)))


def test_a_read_only_server_is_named(sandbox, replica, mariadb_database):
    """A replica that takes no writes: what to do about it, and nothing that another try could cure."""
    root = mariadb_root(sandbox.state)
    run(root, ["CREATE USER writer@'%%' IDENTIFIED BY 'w'", f"GRANT ALL ON {mariadb_database.name}.* TO writer@'%%'"])
    loader = replica.open(facts_of(TABLE))
    loader.settle(None)
    replica.close()
    address = replace(replica.settings.address, user="writer", password="w")
    place = Replica(mariadb_database, replace(replica.settings, address=address))
    with server_setting(sandbox, "read_only", 1), pytest.raises(StoreError, match="takes no writes"):
        place.open(facts_of(replace(TABLE, name="u")))
    loader = place.open(facts_of(TABLE))
    loader.load(make_batch(BOTH, (1, "one")))
    with server_setting(sandbox, "read_only", 1), pytest.raises(StoreError, match="takes no writes"):
        loader.settle(None)
    place.close()
    run(root, ["DROP USER writer@'%%'"])
    root.dispose()


def test_errors_say_what_to_do(sandbox, replica, mariadb_database):
    """Wrong password, no right, no database, no server: each with its class, none with the password."""
    address, root = replica.settings.address, mariadb_root(sandbox.state).url
    reader = mariadb_database.reader_url.split("://")[1].split("@")[0].split(":")
    for changes, error in (
        ({"password": "wrong"}, AccessDeniedError),
        ({"user": reader[0], "password": reader[1]}, AccessDeniedError),
        ({"database": "no_such_thing"}, AccessDeniedError),
        ({"database": "no_such_thing", "user": root.username, "password": root.password}, NotFoundError),
        ({"port": 1}, UnreachableError),
    ):
        place = Replica(mariadb_database, replace(replica.settings, address=replace(address, **changes)))
        with pytest.raises(error) as raised:
            place.open(facts_of(TABLE))
        assert address.password not in str(raised.value)
        place.close()


def test_a_killed_connection_and_a_lock_that_is_held_are_worth_another_try(replica):
    """UnreachableError and ConflictError; nothing of the batch stays."""
    facts = facts_of(TABLE)
    loader = replica.open(facts)
    loader.load(make_batch(BOTH, (1, "one")))
    loader.settle(None)
    loader.load(make_batch(BOTH, (2, "two")))
    replica.ask(f"KILL {replica.sessions[0]._link.identity}")
    with pytest.raises(UnreachableError):
        loader.settle(None)
    with replica.database.engine.connect() as other:
        other.exec_driver_sql("UPDATE t SET Name = 'held'")
        loader = replica.open(facts, lock_wait_seconds=1)
        loader.load(make_batch(BOTH, (1, "uno")))
        with pytest.raises(ConflictError):
            loader.settle(None)
        other.rollback()
    assert replica.rows("t") == [(1, "one")]


def test_a_second_writer_is_refused(replica):
    """It waits, then names the connection that has the table; another stream is free, and so is this one afterwards."""
    replica.open(facts_of(TABLE))
    holder = replica.sessions[0]
    second = replica.connect(lock_wait_seconds=1)
    with pytest.raises(LockedError, match=rf"connection {holder._link.identity} .* table t"):
        second.open_stream(facts_of(TABLE), print)
    second.open_stream(facts_of(replace(TABLE, name="u")), print)
    holder.close()
    second.open_stream(facts_of(TABLE), print)


def test_two_sessions_take_turns(replica):
    """A stream that is released is another session's, and comes back; the first one's other stream stays its own."""
    facts, other = facts_of(TABLE, start=START), facts_of(replace(TABLE, name="u"))
    first, second = replica.connect(lock_wait_seconds=1), replica.connect(lock_wait_seconds=1)
    mine = first.open_stream(facts, print)
    mine.load(make_batch(BOTH, (1, "one")))
    mine.settle(position(1))
    with pytest.raises(LockedError, match="table t"):
        second.open_stream(facts, print)
    mine.release()
    first.open_stream(other, print)
    theirs = second.open_stream(facts, print)
    assert theirs.held == position(1)
    theirs.load(make_batch(BOTH, (2, "two")))
    theirs.settle(position(2))
    with pytest.raises(LockedError, match="table t"):
        first.open_stream(facts, print)
    theirs.load(make_batch(BOTH, (9, "not settled")))
    theirs.release()
    back = first.open_stream(facts, print)
    assert back.held == position(2)
    back.load(make_batch(BOTH, (3, "three")))
    assert back.settle(position(3)) == Counts(inserted=1)
    assert replica.rows("t") == [(1, "one"), (2, "two"), (3, "three")]
    with pytest.raises(LockedError, match="table u"):
        second.open_stream(other, print)


def test_a_connection_that_this_run_closed_gives_its_locks_up(replica):
    """A server that has not noticed must not make the next try wait: the old connection is ended."""
    from target_opendental_replica.mysql import MySQLWarehouse  # noqa: PLC0415

    warehouse = MySQLWarehouse(replace(replica.settings, lock_wait_seconds=2))
    first = warehouse.connect()
    first.open_stream(facts_of(TABLE), print)
    sleeper = threading.Thread(target=lambda: contextlib.suppress(ReplicaError).__enter__() or _sleep(first))
    sleeper.start()
    os.sched_yield()
    threading.Event().wait(0.3)
    first._link._driver._sock.shutdown(socket.SHUT_RDWR)
    first.close()
    sleeper.join()
    second = warehouse.connect()
    second.open_stream(facts_of(TABLE), print)
    second.close()


def _sleep(session):
    with contextlib.suppress(Exception):
        session._link.run("SELECT SLEEP(60)")


def test_sessions_that_begin_at_once_make_the_same_tables(replica):
    """Ten of them: each has its stream, none fails."""
    errors = []

    def begin(number):
        try:
            session = replica.connect()
            loader = session.open_stream(facts_of(replace(TABLE, name=f"t{number}"), start=START), print)
            loader.load(make_batch(BOTH, (1, "one")))
            loader.settle(position(number))
        except ReplicaError as error:
            errors.append(error)

    threads = [threading.Thread(target=begin, args=[number]) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(replica.sessions[0].read_positions()) == 10


def test_a_server_without_tls_is_refused_where_it_is_required(replica):
    """Behind a wire that takes the offer of TLS away."""
    address = replica.settings.address
    with Wire(address.host, address.port) as wire:
        tls = replace(address, port=wire.port, tls=Tls(required=True))
        place = Replica(replica.database, replace(replica.settings, address=tls))
        with pytest.raises(ReplicaError, match="no encrypted connection"):
            place.connect()


def test_a_file_that_cannot_be_read_loads_nothing(replica, tmp_path):
    """The end of half a file would be the end of the table to the server."""

    class Broken:
        def __init__(self):
            self.lines = [b"Num,Name\n", b'1,"one"\n']

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def readline(self):
            return self.lines.pop(0)

        def read(self, _size):
            if self.lines:
                return self.lines.pop(0)
            raise OSError(5, "Input/output error")

    loader = replica.open(facts_of(TABLE))
    batch = make_batch(BOTH)
    object.__setattr__(batch, "open", Broken)
    with pytest.raises(BrokenStreamError, match="cannot be read"):
        loader.load(batch)
    replica.close()
    assert replica.rows("t") == []
