"""What goes wrong: each failure has its own error, says where, holds no value of a row, and leaves nothing behind."""

import random
import string
import subprocess
import sys
import threading
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from tests.postgres_loading import (
    DATE,
    EXTRACTED_AT,
    INTEGER,
    MOMENT,
    NUMBER,
    SMALL,
    TEXT,
    at_desk,
    batch,
    settings_for,
)

from target_opendental_replica.batches import Batch
from target_opendental_replica.errors import (
    AccessDeniedError,
    BrokenStreamError,
    ConfigError,
    ConflictError,
    IdentifierError,
    NotFoundError,
    SchemaRefusedError,
    StoreError,
    UnreachableError,
    ValueRefusedError,
)
from target_opendental_replica.postgres import PostgresWarehouse
from target_opendental_replica.settings import Tls
from target_opendental_replica.stream_facts import StreamFacts
from target_opendental_replica.warehouse import Counts

NAMES = {"id": INTEGER, "name": TEXT}
ROOT = Path(__file__).parents[2]
SECRET = "Jane-Doe-4711"


@pytest.fixture
def desk(postgres_database):
    with at_desk(postgres_database) as desk:
        yield desk


def csv(text, columns):
    content = text.encode("utf-8", "surrogateescape")
    return Batch(columns, content, len(content), EXTRACTED_AT, line=7)


REFUSED = [
    ({"id": INTEGER, "v": SMALL}, [(1, 5), (2, 70_000)], "v", "line 11"),
    ({"id": INTEGER, "v": DATE}, [(1, "2026-02-28"), (2, "2026-02-30"), (3, None)], "v", "line 11"),
    ({"id": INTEGER, "v": MOMENT}, [(1, "0000-01-01T00:00:00")], "v", "line 10"),
    ({"id": INTEGER, "v, w": SMALL, "v": SMALL}, [(1, 5, 5), (2, 70_000, 5)], "v, w", "line 11"),
    ({"id": INTEGER, "note": TEXT, "v": SMALL}, [(1, 'a\n"b"\n\n', 5), (2, "\n", 70_000), (3, "", 5)], "v", "line 11"),
    ({"id": INTEGER, "v": NUMBER}, [(1, Decimal("1e140000"))], "v", "line 10"),
    ({"id": INTEGER, "v": TEXT}, [(1, "a"), (None, SECRET)], None, "line 11"),
]


@pytest.mark.parametrize("is_direct", [True, False])
@pytest.mark.parametrize(("properties", "rows", "column", "line"), REFUSED)
def test_a_value_that_does_not_fit_is_found(desk, properties, rows, column, line, is_direct):  # noqa: PLR0917  # cases
    """Column and line of the row, whether it is loaded straight or staged; the table is as it was."""
    loader = desk.open(properties)
    if not is_direct:
        loader.load(batch(properties, [(99, *([None] * (len(properties) - 1)))]))
        loader.settle(None)
        desk.again()
        loader = desk.open(properties)
    with pytest.raises(ValueRefusedError) as refused:
        loader.load(batch(properties, rows, line=10))
    place = f"column {column}, {line}:" if column else f"{line}:"
    assert place in str(refused.value)
    assert SECRET not in str(refused.value)
    desk.again()
    assert len(desk.rows()) == (0 if is_direct else 1)


BROKEN = [
    ('"id","name"\n1,"a"\n2\n', BrokenStreamError, "line 7, row 2 of its file"),
    (f'"id","name"\n1,"a","{SECRET}"\n', BrokenStreamError, "line 7, row 1 of its file"),
    (f'"id","name"\n1,"a"\n2,"{SECRET}\n', BrokenStreamError, "line 7, row 2 of its file"),
    (f'"id","name"\n1,"{SECRET}\0"\n', ValueRefusedError, "line 7"),
    (f'"id","name"\n1,"{SECRET}\udcff"\n', ValueRefusedError, "line 7"),
    (f'"id","name"\n{SECRET},"a"\n', ValueRefusedError, "column id, line 7, row 1 of its file"),
]


@pytest.mark.parametrize(("text", "kind", "place"), BROKEN)
def test_a_broken_file_is_found(desk, text, kind, place):
    """Too few fields, too many, an open quote, NUL, no UTF-8, no number: error, row, and no value."""
    loader = desk.open(NAMES)
    with pytest.raises(kind) as refused:
        loader.load(csv(text, ("id", "name")))
    assert place in str(refused.value)
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


CUT = '"id","name","fee"\n1,"a",100\n2,"b",12345\n'
FEES = NAMES | {"fee": NUMBER}


@pytest.mark.parametrize("is_direct", [True, False])
def test_a_file_that_is_cut_anywhere_is_never_stored(desk, is_direct):
    """In a number, in a NULL, in a quote, between rows' parts: the rows before the cut are not stored either.

    The control: the server by itself takes the cut number for a whole one.
    """
    columns = ("id", "name", "fee")
    loader = desk.open(FEES)
    if not is_direct:
        loader.load(csv('"id","name","fee"\n9,"z",9\n', columns))
        loader.settle(None)
    before = desk.rows("id, name, fee")
    whole_rows = [number for number, each in enumerate(CUT, start=1) if each == "\n"]
    for end in range(len(CUT)):
        if end not in whole_rows:
            with pytest.raises(BrokenStreamError, match="line 7"):
                desk.open(FEES).load(csv(CUT[:end], columns))
            desk.again()
    assert desk.rows("id, name, fee") == before
    with desk.session._connection as connection, connection.cursor() as cursor:
        with cursor.copy("COPY raw.patient (id, name, fee) FROM STDIN (FORMAT csv, HEADER)") as copying:
            copying.write(CUT[:-3])
        assert (2, "b", 123) in cursor.execute("SELECT id, name, fee FROM raw.patient").fetchall()


UNNAMED = [
    ("", (), "without its first line"),
    ('"id","id"\n1,2\n', ("id", "id"), "names a column twice"),
    ('"id"\n1\n', ("id",), "lack 'name'"),
]


@pytest.mark.parametrize(("text", "columns", "words"), UNNAMED)
def test_a_file_whose_first_line_is_not_as_it_must_be(desk, text, columns, words):
    """Empty, a column twice, or one that is not there, over whose values NULL would be written: nothing is stored."""
    loader = desk.open(NAMES)
    loader.load(batch(NAMES, [(1, "a")]))
    loader.settle(None)
    with pytest.raises(BrokenStreamError, match=f"stream patient, line 7: .*{words}"):
        loader.load(csv(text, columns))
    loader.settle(None)
    assert desk.rows("id, name") == [(1, "a")]


def test_the_servers_own_words_would_give_a_value_away(desk):
    """The control: PostgreSQL's error for the same file quotes it."""
    desk.open(NAMES)
    with (
        pytest.raises(psycopg.Error, match=SECRET),
        desk.session._connection.cursor().copy("COPY raw.patient (id) FROM STDIN") as copying,
    ):
        copying.write(f"{SECRET}\n".encode())


def test_a_file_that_is_gone(desk):
    """Tap and target on two machines, or a folder that was cleared."""
    loader = desk.open(NAMES)
    with pytest.raises(NotFoundError, match="one machine"):
        loader.load(Batch(("id", "name"), Path("/nowhere/at/all.csv"), 1, EXTRACTED_AT))


def test_a_unique_index_of_someones_own(desk):
    """The merge refuses the row; the state has not moved."""
    loader = desk.open(NAMES)
    desk.run("CREATE UNIQUE INDEX ON raw.patient (name)")
    loader.load(batch(NAMES, [(1, SECRET), (2, SECRET)]))
    with pytest.raises(ValueRefusedError, match="another unique index") as refused:
        loader.settle(None)
    assert SECRET not in str(refused.value)


class TestConnections:
    """What a server, a network or an administrator does."""

    def test_a_connection_that_is_ended(self, desk):
        """Retriable, at every step."""
        steps = (
            lambda loader: loader.load(batch(NAMES, [(1, "a")])),
            lambda loader: loader.activate(5),
            lambda loader: loader.settle(None),
        )
        for step in steps:
            desk.again()
            loader = desk.open(NAMES)
            [(pid,)] = desk.session._connection.execute("SELECT pg_backend_pid()").fetchall()
            desk.run(f"SELECT pg_terminate_backend({pid})")
            with pytest.raises(UnreachableError):
                step(loader)

    def test_a_statement_that_is_canceled(self, postgres_database):
        """As by statement_timeout, which the setting read_timeout becomes."""
        settings = settings_for(postgres_database)
        with at_desk(postgres_database, address=replace(settings.address, read_timeout=1)) as desk:
            loader = desk.open(NAMES)
            holder = desk.warehouse.connect()._connection
            holder.execute("LOCK TABLE raw.patient")
            loader.load(batch(NAMES, [(1, "a")]))
            with pytest.raises(UnreachableError, match="57014"):
                loader.settle(None)
            holder.close()

    def test_a_lock_that_is_not_free(self, postgres_database):
        """Someone holds the table: retriable, after lock_wait_seconds."""
        with at_desk(postgres_database, lock_wait_seconds=1) as desk:
            desk.open(NAMES)
            holder = desk.warehouse.connect()._connection
            holder.execute("LOCK TABLE raw.patient IN SHARE MODE")
            desk.again()
            with pytest.raises(ConflictError, match="55P03"):
                desk.open(NAMES | {"more": TEXT})
            holder.close()

    def test_a_target_that_was_killed_in_a_long_merge_frees_its_lock(self, postgres_database):
        """The server looks for its client in a statement; else the next run would wait for the end of the merge."""
        program = (
            "import sys; from tests.postgres_loading import *\n"
            "class Database: admin_url = sys.argv[1]\n"
            "desk = Desk(Database); desk.open({'id': INTEGER}); print('open', flush=True)\n"
            "desk.session._connection.execute('SELECT pg_sleep(600)')\n"
        )
        killed = subprocess.Popen(
            [sys.executable, "-c", program, postgres_database.admin_url], stdout=subprocess.PIPE, cwd=ROOT
        )
        assert killed.stdout.readline() == b"open\n"
        with at_desk(postgres_database, lock_wait_seconds=60) as desk:
            while desk.run("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'") == [(0,)]:
                time.sleep(0.02)
            killed.kill()
            killed.communicate()
            desk.open(NAMES)

    def test_a_deadlock(self, desk):
        """The server ends one of the two; where that is ours, another try may cure it."""
        loader = desk.open(NAMES)
        loader.load(batch(NAMES, [(1, "a"), (2, "b")]))
        loader.settle(None)
        desk.again()
        loader = desk.open(NAMES)
        loader.load(batch(NAMES, [(2, "B")]))
        other = desk.warehouse.connect()._connection
        other.execute("UPDATE raw.patient SET name = 'x' WHERE id = 2")
        desk.session._connection.execute("UPDATE raw.patient SET name = 'y' WHERE id = 1")
        ours = []
        settling = threading.Thread(target=lambda: ours.append(_attempt(lambda: loader.settle(None))))
        settling.start()
        while desk.run("SELECT count(*) FROM pg_locks WHERE NOT granted") == [(0,)]:
            time.sleep(0.01)
        theirs = _attempt(lambda: other.execute("UPDATE raw.patient SET name = 'x' WHERE id = 1"))
        other.close()
        settling.join()
        assert (ours[0], theirs) in {(ConflictError, None), (None, psycopg.errors.DeadlockDetected)}

    def test_a_server_that_is_read_only(self, desk):
        """A standby, or a database that was set so."""
        loader = desk.open(NAMES)
        desk.session._connection.execute("SET default_transaction_read_only = on")
        desk.session._connection.commit()
        with pytest.raises(StoreError, match="read-only"):
            loader.load(batch(NAMES, [(1, "a")]))

    @pytest.mark.parametrize(
        ("change", "kind", "words"),
        [
            ({"password": "wrong"}, AccessDeniedError, "refused the login"),
            ({"user": "nobody_at_all"}, AccessDeniedError, "refused the login"),
            ({"database": "no_such_database"}, (NotFoundError, AccessDeniedError), "database|login"),
            ({"port": 1}, UnreachableError, "check host, port"),
            ({"tls": Tls(required=True)}, UnreachableError, "encrypted"),
        ],
    )
    def test_a_connection_that_is_not_made(self, postgres_database, change, kind, words):
        """The reason is told; a server without TLS is refused when the settings ask for it."""
        settings = settings_for(postgres_database)
        warehouse = PostgresWarehouse(replace(settings, address=replace(settings.address, **change)))
        with pytest.raises(kind, match=words) as refused:
            warehouse.connect()
        assert settings.address.password not in str(refused.value)

    def test_a_table_of_another_role(self, desk):
        """The error names the table and says who has to own it."""
        desk.open(NAMES)
        desk.run("REVOKE ALL ON raw.patient FROM analytics_owner")
        desk.again()
        loader = desk.open(NAMES)
        loader.load(batch(NAMES, [(1, "a")]))
        with pytest.raises(AccessDeniedError, match=r"table raw\.patient: the user lacks a right: it must own"):
            loader.settle(None)

    def test_every_state_of_the_documents_has_its_error(self):
        """53100 and the like cannot be had in a second: the table itself is looked at."""
        from target_opendental_replica.postgres.errors import translate  # noqa: PLC0415

        expected = {
            "53100": StoreError,
            "40001": ConflictError,
            "40P01": ConflictError,
            "57P01": UnreachableError,
            "08006": UnreachableError,
            "28P01": AccessDeniedError,
        }
        for code, kind in expected.items():
            assert type(translate(psycopg.errors.lookup(code)("x"), "stream s")) is kind
        assert type(translate(psycopg.OperationalError(SECRET), "stream s")) is UnreachableError
        assert SECRET not in str(translate(psycopg.InternalError(SECRET), "stream s"))


def load_under(desk, name):
    table = name.replace("-", "~")  # what precedes a hyphen is no part of a table's name
    properties = {name: INTEGER, "v": TEXT}
    loader = desk.open(properties, (name,), stream=table)
    loader.load(batch(properties, [(1, "a")]))
    loader.load(batch(properties, [(1, "b")]))
    loader.settle(None)
    assert desk.session._connection.execute(
        psycopg.sql.SQL("SELECT {}, v FROM {}").format(
            psycopg.sql.Identifier(name), psycopg.sql.Identifier("raw", table)
        )
    ).fetchall() == [(1, "b")]


class TestNames:
    """Names that want to be SQL."""

    ODD = (
        'x"; DROP TABLE raw.canary; --',
        "x'; DROP TABLE raw.canary; --",
        "%s %(a)s %b %%",
        "{} {0} {name}",
        'a""b',
        "back\\slash",
        "new\nline\ttab\r",
        "\u202eright to left\U0001f9b7",
        "$1 $$ :name ?",
        "/* */ --",
        "select",
        "_sdc",
        " ",
        "COPY t, line 3, column x: ",
        "pg_temp.x",
        "A, B",
        "\x7f\x01",
    )

    def test_hostile_names_are_names(self, desk):
        """200 of them as streams, columns and keys; each table has its row, and the canary lives."""
        desk.run("CREATE TABLE raw.canary AS SELECT 1 AS alive")
        choice = random.Random(5)  # noqa: S311  # names, no secrets
        letters = string.punctuation + "\n\t aZ\u00e9"
        made = {"".join(choice.choices(letters, k=choice.randint(1, 20))) for _ in range(190)}
        odd = sorted({*self.ODD, *made} - {""})
        for name in odd:
            load_under(desk, name)
        assert desk.rows("alive", "canary") == [(1,)]
        assert len(odd) >= 200

    def test_through_every_statement(self, desk):
        """Drift, versions, marks, views and errors, for the oddest ones."""
        desk.run("CREATE TABLE raw.canary AS SELECT 1 AS alive")
        for name in self.ODD[:8]:
            properties = {name: INTEGER, name + "2": SMALL}
            stream = name.replace("-", "~")
            loader = desk.open(properties, (name,), stream=stream)
            desk.session._connection.execute(
                psycopg.sql.SQL("CREATE VIEW {} AS SELECT * FROM {}").format(
                    psycopg.sql.Identifier("raw", name + "v"), psycopg.sql.Identifier("raw", stream)
                )
            )
            loader.load(batch(properties, [(1, 2)]))
            loader.load(batch(properties, [(1, 3)], 5))
            loader.activate(5)
            assert loader.settle(None) == Counts(inserted=1, updated=1)
            wider = {name: INTEGER, name + "2": TEXT, name + "3": TEXT}
            loader = desk.open(wider, (name,), stream=stream)
            loader.load(batch(wider, [(1, "x", "y")]))
            loader.settle(None)
            narrow = {name: INTEGER}
            loader = desk.open(narrow, (name,), stream=stream)
            with pytest.raises(ValueRefusedError) as refused:
                loader.load(batch(narrow, [(2**70,)]))
            assert f"column {name}, line 1" in str(refused.value)
            desk.again()
        assert desk.rows("alive", "canary") == [(1,)]

    @pytest.mark.parametrize("name", ["", "a\0b", "x" * 64, "\u00e9" * 32, "\ud800"])
    def test_what_postgresql_cannot_hold_is_refused(self, desk, name):
        """It would be cut, and two names would be one."""
        with pytest.raises(IdentifierError):
            desk.open(NAMES, stream=name)
        with pytest.raises(IdentifierError):
            desk.open({"id": INTEGER, name: TEXT})

    def test_names_of_our_own_are_refused(self, desk):
        """A stream cannot write into what the target remembers."""
        for name in ("_od_load_state", "_od_tables", "x-_od_new_patient"):
            with pytest.raises(SchemaRefusedError, match="target's own"):
                desk.open(NAMES, stream=name)

    def test_a_key_that_is_not_sent_is_refused(self, desk):
        """Nothing could be merged by it."""
        with pytest.raises(SchemaRefusedError, match="key property 'no'"):
            desk.open(NAMES, ("no",))

    def test_exact_values_are_for_the_replica(self, desk):
        """Dates would be text, and zero dates would be in them."""
        with pytest.raises(ConfigError, match="values: exact"):
            desk.session.open_stream(StreamFacts("patient", (), is_exact=True), print)


def _attempt(step):
    try:
        step()
    except Exception as error:  # noqa: BLE001  # the test looks at what it is
        return type(error)
    return None
