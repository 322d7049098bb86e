"""A table that changes at the source: nothing is lost, nothing is narrowed, and what hangs on the table stays."""

from decimal import Decimal

import pytest
from tests.postgres_loading import BOOLEAN, DATE, INTEGER, MOMENT, NUMBER, SMALL, TEXT, at_desk, batch

from target_opendental_replica.errors import SchemaRefusedError
from target_opendental_replica.stream_facts import Start
from target_opendental_replica.warehouse import Counts

NAMES = {"id": INTEGER, "name": TEXT}
MEDIUM = INTEGER | {"minimum": -(2**31), "maximum": 2**31 - 1}
LISTED = {"type": ["array", "null"], "items": {"type": "integer"}}
TREE = {"type": ["object", "null"]}
KINDS = """
SELECT column_name, CASE data_type WHEN 'timestamp without time zone' THEN 'timestamp' ELSE data_type END
FROM information_schema.columns WHERE table_name = {} AND NOT starts_with(column_name, '_sdc_')
ORDER BY ordinal_position
""".replace("{}", "'patient'")


@pytest.fixture
def desk(postgres_database):
    with at_desk(postgres_database) as desk:
        yield desk


def load(desk, properties, *rows, key=("id",), version=None, **more):
    """One run: open, load, settle; the next one has a session of its own."""
    desk.again()
    loader = desk.open(properties, key, **more)
    if rows:
        loader.load(batch(properties, rows, version))
    if version:
        loader.activate(version)
    return loader.settle(None)


def kinds(desk):
    return dict(desk.run(KINDS))


def comments(desk):
    query = "SELECT attname, col_description(attrelid, attnum) FROM pg_attribute WHERE attrelid = {}::regclass"
    found = desk.run(query.replace("{}", "'raw.patient'"))
    return {name: text for name, text in found if text is not None}


class TestColumns:
    """Columns that come, go, and come back."""

    def test_a_new_column_is_added(self, desk):
        """Old rows have NULL in it, and rows that come once more get its values."""
        load(desk, NAMES, (1, "a"), (2, "b"))
        load(desk, NAMES | {"fee": NUMBER}, (1, "a", Decimal("1.5")))
        assert desk.told == ["raw.patient: column fee added (numeric)"]
        assert desk.rows("id, name, fee::text") == [(1, "a", "1.5"), (2, "b", None)]

    def test_a_dropped_column_is_kept_and_marked(self, desk):
        """Its values stay, its comment says since when, and goes when the column is back."""
        load(desk, NAMES | {"fee": NUMBER, "note": TEXT}, (1, "a", 1, "n"))
        desk.run("COMMENT ON COLUMN raw.patient.note IS 'of our own'")
        load(desk, NAMES, (1, "b"))
        assert desk.rows("id, name, fee::int, note") == [(1, "b", 1, "n")]
        assert [line.partition(": ")[2] for line in desk.told] == [
            "column fee is gone at the source, kept and marked",
            "column note is gone at the source, kept and marked",
        ]
        marked = comments(desk)
        assert marked["fee"].startswith("dropped at the source on 20")
        assert marked["note"].endswith("; of our own")
        load(desk, NAMES, (1, "c"))
        assert desk.told == []
        load(desk, NAMES | {"fee": NUMBER, "note": TEXT}, (1, "c", 2, "m"))
        assert comments(desk) == {"note": "of our own"}
        assert desk.rows("id, name, fee::int, note") == [(1, "c", 2, "m")]

    def test_or_dropped_where_the_settings_say_so(self, postgres_database):
        """A view on it keeps it all the same, and marked."""
        with at_desk(postgres_database, drops_columns=True) as desk:
            load(desk, NAMES | {"fee": NUMBER, "seen": TEXT}, (1, "a", 1, "s"))
            desk.run("CREATE VIEW raw.v AS SELECT seen FROM raw.patient")
            load(desk, NAMES, (1, "b"))
            assert kinds(desk).keys() == {"id", "name", "seen"}
            assert comments(desk)["seen"].startswith("dropped at the source")
            assert desk.told[0] == "raw.patient: column fee dropped, as at the source"

    def test_a_column_in_another_case_is_the_same_column(self, desk):
        """Case means nothing to MySQL: the column is renamed, and a view on it goes on."""
        load(desk, {"PatNum": INTEGER, "LName": TEXT}, (1, "a"), key=("PatNum",))
        desk.run('CREATE VIEW raw.v AS SELECT "LName" FROM raw.patient')
        load(desk, {"patnum": INTEGER, "lname": TEXT}, (1, "b"), key=("patnum",))
        assert desk.rows("patnum, lname") == [(1, "b")]
        assert desk.rows('"LName"', "v") == [("b",)]

    def test_two_columns_that_differ_in_case_stay_two(self, desk):
        """PostgreSQL tells them apart, and so does stock."""
        load(desk, {"id": INTEGER, "a": TEXT, "A": TEXT}, (1, "x", "y"))
        load(desk, {"id": INTEGER, "a": TEXT, "A": TEXT}, (1, "x", "z"))
        assert desk.told == []
        assert desk.rows('a, "A"') == [("x", "z")]

    def test_1601_columns_are_refused_in_one_line(self, desk):
        """A limit of PostgreSQL's own."""
        with pytest.raises(SchemaRefusedError, match=r"1,600 columns .* \(SQLSTATE 54011\)"):
            load(desk, {"id": INTEGER} | {f"c{number}": TEXT for number in range(1700)})


GROWING = [
    (SMALL, 5, MEDIUM, 70_000, "integer", "5"),
    (SMALL, 5, INTEGER, 2**40, "bigint", "5"),
    (INTEGER, 2**40, NUMBER, Decimal("1.50"), "numeric", str(2**40)),
    (DATE, "2026-01-02", MOMENT, "2026-01-02T03:04:05", "timestamp", "2026-01-02 00:00:00"),
    (BOOLEAN, True, SMALL, -3, "smallint", "1"),
    (BOOLEAN, False, INTEGER, 2**40, "bigint", "0"),
    (BOOLEAN, True, NUMBER, Decimal("0.5"), "numeric", "1"),
    (INTEGER, 5, TEXT, "x", "text", "5"),
    (NUMBER, Decimal("1.50"), TEXT, "x", "text", "1.50"),
    (DATE, "2026-01-02", INTEGER, 7, "text", "2026-01-02"),
    (MOMENT, "2026-01-02T03:04:05.678901", BOOLEAN, True, "text", "2026-01-02 03:04:05.678901"),
    (LISTED, [1, None], TREE, {"a": 1}, "text", "{1,NULL}"),
    (TREE, {"a": Decimal("1.0")}, TEXT, "x", "text", '{"a": 1.0}'),
]
STAYING = [
    (INTEGER, 2**40, SMALL, 7, "bigint", "7"),
    (NUMBER, Decimal("1.50"), INTEGER, 2**60, "numeric", str(2**60)),
    (NUMBER, Decimal("1.50"), BOOLEAN, True, "numeric", "1"),
    (SMALL, 5, BOOLEAN, False, "smallint", "0"),
    (MOMENT, "2026-01-02T03:04:05", DATE, "2026-01-03", "timestamp", "2026-01-03 00:00:00"),
    (TEXT, "x", INTEGER, 7, "text", "7"),
    (TEXT, "x", BOOLEAN, True, "text", "true"),
    (TEXT, "x", NUMBER, Decimal("1.50"), "text", "1.50"),
    (TEXT, "x", TREE, {"a": [None]}, "text", '{"a": [null]}'),
    (TEXT, "x", LISTED, [1], "text", "{1}"),
]


def columns(changes, place):
    """The schema of a column for each change: at place 0 the old ones, at place 2 the new ones."""
    return {"id": INTEGER} | {f"v{number}": each[place] for number, each in enumerate(changes)}


def texts(desk, number, changes):
    names = ", ".join(f"v{each}::text" for each in range(len(changes)))
    [row] = desk.run(f"SELECT {names} FROM raw.patient WHERE id = {number}")
    return list(row)


class TestTypes:
    """Types that change: the column holds what was there and what comes."""

    def test_columns_grow(self, desk):
        """The old row keeps its values in the new types, the new row has its own, and both compare as equal later."""
        load(desk, columns(GROWING, 0), (1, *(each[1] for each in GROWING)))
        sent = (2, *(each[3] for each in GROWING))
        assert load(desk, columns(GROWING, 2), sent) == Counts(inserted=1)
        assert len(desk.told) == len(GROWING)
        assert list(kinds(desk).values())[1:] == [each[4] for each in GROWING]
        assert texts(desk, 1, GROWING) == [each[5] for each in GROWING]
        assert load(desk, columns(GROWING, 2), sent) == Counts(unchanged=1)
        assert desk.told == []

    def test_wider_columns_stay(self, desk):
        """Values of the narrower types are cast, in a new version as well, and nothing is told."""
        load(desk, columns(STAYING, 0), (1, *(each[1] for each in STAYING)))
        sent = (2, *(each[3] for each in STAYING))
        assert load(desk, columns(STAYING, 2), sent) == Counts(inserted=1)
        assert desk.told == []
        assert list(kinds(desk).values())[1:] == [each[4] for each in STAYING]
        assert texts(desk, 2, STAYING) == [each[5] for each in STAYING]
        assert load(desk, columns(STAYING, 2), sent, version=9) == Counts(unchanged=1, deleted=1)

    def test_a_double_of_someones_own_keeps_its_digits(self, desk):
        """Such a column has 17 digits, of which PostgreSQL's own cast to numeric keeps 15."""
        desk.run("CREATE TABLE raw.patient (id bigint PRIMARY KEY, v double precision)")
        desk.run("INSERT INTO raw.patient VALUES (1, 0.30000000000000004)")
        load(desk, {"id": INTEGER, "v": NUMBER}, (2, Decimal("0.5")))
        assert desk.rows("id, v::text") == [(1, "0.30000000000000004"), (2, "0.5")]

    def test_a_new_version_may_begin_while_a_type_changes(self, desk):
        """Rows that were gathered before the change are cast with the table."""
        loader = desk.open({"id": INTEGER, "v": SMALL})
        loader.load(batch({"id": INTEGER, "v": SMALL}, [(1, 5)]))
        loader.load(batch({"id": INTEGER, "v": SMALL}, [(1, 6)], 9))
        loader.settle(None)
        properties = {"id": INTEGER, "v": TEXT, "more": TEXT}
        start = Start("lineage", 3, 9)
        counts = load(desk, properties, (2, "x", "m"), version=9, start=start)
        assert counts == Counts(inserted=1, updated=1)
        assert desk.rows("id, v, more") == [(1, "6", None), (2, "x", "m")]


class TestKeys:
    """Primary keys that change."""

    def test_another_key(self, desk):
        """The constraint is replaced, and the old key's columns may be NULL again."""
        load(desk, NAMES, (1, "a"), (2, "b"))
        load(desk, NAMES, (None, "a"), key=("name",))
        assert desk.told == ["raw.patient: primary key is (name) now"]
        assert desk.rows("id, name") == [(2, "b"), (None, "a")]

    def test_a_key_that_old_rows_forbid_waits_for_the_next_whole_load(self, desk):
        """Rows are merged by it meanwhile, and the version that replaces them brings it."""
        load(desk, NAMES, (1, "a"), (2, "a"), (3, None))
        load(desk, NAMES, (4, "d"), key=("name",))
        assert "waits for the next whole load" in desk.told[0]
        assert desk.rows("id, name") == [(1, "a"), (2, "a"), (3, None), (4, "d")]
        assert load(desk, NAMES, (5, "d"), (6, "e"), key=("name",), version=9) == Counts(inserted=2, deleted=4)
        assert load(desk, NAMES, key=("name",)) == Counts()
        assert desk.told == []
        constraint = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'raw.patient'::regclass"
        assert ("PRIMARY KEY (name)",) in desk.run(constraint)

    def test_no_key_any_more(self, desk):
        """Rows are appended, and any column may be NULL."""
        load(desk, NAMES, (1, "a"))
        load(desk, NAMES, (None, "a"), (None, "a"), key=())
        assert desk.told == ["raw.patient: no longer has a primary key"]
        assert desk.rows("id, name") == [(1, "a"), (None, "a"), (None, "a")]

    def test_a_key_that_a_foreign_key_needs_is_refused(self, desk):
        """In one line that says what to do; nothing has changed."""
        load(desk, NAMES, (1, "a"))
        desk.run("CREATE TABLE raw.visit (patient bigint REFERENCES raw.patient)")
        with pytest.raises(SchemaRefusedError, match="other objects depend on what has to change"):
            load(desk, NAMES, key=("name",))
        assert load(desk, NAMES, (1, "b")) == Counts(updated=1)


VIEWS = """
CREATE SCHEMA shown;
CREATE VIEW shown.one WITH (security_barrier=true) AS SELECT id, v AS value FROM raw.patient WHERE id > 0;
CREATE VIEW shown."Two ""odd"" names" AS SELECT o.*, p.name FROM shown.one o JOIN raw.patient p USING (id);
CREATE VIEW shown.three AS SELECT count(*) AS n FROM shown."Two ""odd"" names" t, shown.one;
CREATE VIEW shown.apart AS SELECT name FROM raw.patient;
COMMENT ON VIEW shown.one IS 'first; "of three"';
COMMENT ON COLUMN shown.one.value IS 'a value';
ALTER VIEW shown.one ALTER value SET DEFAULT 7;
GRANT SELECT ON shown.one TO PUBLIC;
GRANT SELECT (n) ON shown.three TO pg_monitor WITH GRANT OPTION
"""
SHAPE = """
SELECT c.relname, pg_get_viewdef(c.oid), c.reloptions, c.relacl::text, c.relowner, obj_description(c.oid),
  (SELECT array_agg((attname, attacl::text, col_description(attrelid, attnum))::text) FROM pg_attribute
   WHERE attrelid = c.oid AND attnum > 0),
  (SELECT count(*) FROM pg_attrdef WHERE adrelid = c.oid)
FROM pg_class c WHERE c.relnamespace = 'shown'::regnamespace ORDER BY c.relname
"""
RIGHTS = """
SELECT c.relname, acl::text FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS acl
WHERE c.relnamespace = 'shown'::regnamespace ORDER BY 1, 2
"""


class TestViews:
    """Views on a column whose type changes."""

    OLD, NEW = NAMES | {"v": SMALL}, NAMES | {"v": INTEGER}

    @pytest.fixture
    def viewed(self, desk):
        """A table with views on it, and on them."""
        load(desk, self.OLD, (1, "a", 5))
        for statement in VIEWS.strip().split(";\n"):
            desk.run(statement)
        return desk

    def test_they_are_made_again_as_they_were(self, viewed):
        """Definition, options, owner, rights, comments and defaults; in the right order, and only those concerned."""
        before = viewed.run(SHAPE)
        apart = viewed.run("SELECT 'shown.apart'::regclass::oid")
        load(viewed, self.NEW, (2, "b", 2**40))
        assert viewed.run(SHAPE) == before
        assert viewed.run("SELECT 'shown.apart'::regclass::oid") == apart
        assert viewed.run("SELECT value FROM shown.one ORDER BY id") == [(5,), (2**40,)]
        assert sum("dropped for the change" in line for line in viewed.told) == 3

    def test_default_privileges_give_nobody_more_than_before(self, viewed):
        """What a new view would be granted by default is taken away again."""
        before = viewed.run(RIGHTS)
        viewed.run("ALTER DEFAULT PRIVILEGES IN SCHEMA shown GRANT ALL ON TABLES TO PUBLIC")
        load(viewed, self.NEW, (2, "b", 2**40))
        assert viewed.run(RIGHTS) == before

    def test_a_view_that_does_not_fit_the_new_type_refuses_the_change(self, viewed):
        """All stays as it was: the table, the views, and no session hangs on a lock."""
        before = viewed.run(SHAPE)
        viewed.run("CREATE VIEW shown.sum AS SELECT sum(v) FROM raw.patient")
        with pytest.raises(SchemaRefusedError, match=r"view shown\.sum does not fit"):
            load(viewed, NAMES | {"v": TEXT}, (2, "b", "x"))
        viewed.run("DROP VIEW shown.sum")
        assert viewed.run(SHAPE) == before
        assert kinds(viewed)["v"] == "smallint"

    @pytest.mark.parametrize(
        ("statements", "what"),
        [
            (["CREATE MATERIALIZED VIEW shown.m AS SELECT value FROM shown.one"], r"materialized view shown\.m"),
            (
                ["CREATE RULE r AS ON INSERT TO shown.one DO INSTEAD NOTHING"],
                r"view with triggers or rules shown\.one",
            ),
        ],
    )
    def test_what_cannot_be_made_again_is_never_dropped(self, viewed, statements, what):
        """One line says what to do, and it is still there."""
        for statement in statements:
            viewed.run(statement)
        before = viewed.run(SHAPE)
        with pytest.raises(SchemaRefusedError, match=what):
            load(viewed, self.NEW, (2, "b", 2**40))
        assert viewed.run(SHAPE) == before

    def test_something_else_in_the_way_is_refused(self, viewed):
        """A generated column cannot be made again either."""
        viewed.run("ALTER TABLE raw.patient ADD twice smallint GENERATED ALWAYS AS (v * 2::smallint) STORED")
        before = viewed.run(SHAPE)
        with pytest.raises(SchemaRefusedError, match="other objects depend"):
            load(viewed, self.NEW, (2, "b", 2**40))
        assert viewed.run(SHAPE) == before


def load_as_stock(desk, *versions):
    """A table as stock leaves it: one row of each version, and nothing of our own."""
    load(desk, NAMES)
    desk.run("DROP TABLE raw._od_tables")
    for number, version in enumerate(versions):
        desk.run(f"INSERT INTO raw.patient (id, name, _sdc_table_version) VALUES ({number}, 's', {version})")
    desk.again()


class TestTakingOver:
    """Tables that stock target-postgres has loaded."""

    def test_its_newest_version_is_active(self, desk):
        """Rows of it are merged, and a newer one is gathered."""
        load_as_stock(desk, 5, 5)
        assert load(desk, NAMES, (1, "a"), version=5) == Counts(updated=1)
        assert load(desk, NAMES, (1, "b"), version=6) == Counts(updated=1, deleted=1)

    def test_one_that_was_not_whole_is_gone_on_with(self, desk):
        """Its rows count as gathered: those that are gone at the source go when it is activated."""
        load_as_stock(desk, 4, 5)
        assert load(desk, NAMES, (2, "b"), version=5, start=Start("lineage", 3, 5)) == Counts(1, 0, 1, 1)
        assert desk.rows("id, name") == [(1, "s"), (2, "b")]

    def test_a_view_in_the_tables_place_is_refused(self, desk):
        """Nothing of it is touched."""
        desk.run("CREATE VIEW raw.patient AS SELECT 1 AS id")
        with pytest.raises(SchemaRefusedError, match=r"raw\.patient is not a table"):
            load(desk, NAMES)
        assert desk.rows("id") == [(1,)]
