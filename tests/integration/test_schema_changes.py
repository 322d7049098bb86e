"""The tap and tables.yml: what a person decided is obeyed, and a moved structure does what on_schema_change says."""

import json

import pytest
import sqlalchemy as sa
import yaml
from tests.integration.conftest import config_of, messages, records

from tap_opendental.discovery import SchemaDiscovery

STAMP = "timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()"
VISIT = f"CREATE TABLE visit (Num bigint PRIMARY KEY, Note varchar(20), Fee double, IsNew tinyint, Stamp {STAMP})"
NOW = "2026-01-01 00:00:00"
EDIT = "UPDATE visit SET Fee = Fee + 1 WHERE Num = 3"


@pytest.fixture
def source(mariadb_database, run_tap, tmp_path):
    """A practice of two tables, and a function that runs the tap on it, with the state of the run before."""

    class Source:
        state: dict = {}  # noqa: RUF012 - each test has its own

        def sql(self, *statements):
            with mariadb_database.engine.begin() as connection:
                connection.exec_driver_sql("SET time_zone = '+00:00'")
                for statement in statements:
                    connection.exec_driver_sql(statement)

        def discovery(self):
            return SchemaDiscovery(mariadb_database.engine, mariadb_database.name)

        def review(self, table="visit", **words):
            """Write tables.yml as analyze would, with a person's words on one table."""
            text = yaml.safe_load(self.discovery().generate_complete_configuration(analyzed_on="2026-11-22"))
            text["tables"][table] |= {"overrides": {"extraction_strategy": "incremental"}} | words
            (tmp_path / "tables.yml").write_text(yaml.safe_dump(text))

        def run(self, *arguments, code=0, catalog=None, **settings):
            """Run the tap; its rows by stream, with the final state kept for the next run."""
            config = config_of(sa.make_url(mariadb_database.reader_url), **settings)
            if (tmp_path / "tables.yml").exists():
                config["tables_config"] = str(tmp_path / "tables.yml")
            files = {"state": self.state, "catalog": catalog}
            run = run_tap(config, *arguments, **{name: content for name, content in files.items() if content})
            assert run.returncode == code, run.stderr
            assert "Traceback" not in run.stderr
            states = [m["value"] for m in messages(run.stdout) if m["type"] == "STATE"] if not arguments else []
            self.state = states[-1] if states else self.state
            self.log = run.stderr
            self.output = run.stdout
            return {} if arguments else records(run.stdout)

        def schema(self, stream):
            """The columns that the last run declared."""
            (found,) = [m for m in messages(self.output) if m["type"] == "SCHEMA" and m["stream"] == stream]
            return set(found["schema"]["properties"])

    place = Source()
    place.sql(
        VISIT,
        f"INSERT INTO visit VALUES (1, 'a', 1.005, 2, '{NOW}'), (2, 'b', 2.5, 0, '{NOW}'), "
        "(3, 'c', 0.1, 1, '2026-02-02 00:00:00')",
        "CREATE TABLE room (Num bigint PRIMARY KEY)",
    )
    place.review()
    return place


def test_evolve_reads_the_table_whole_once(source):
    """A new column fills old rows whose timestamp stands still: they are sent once, and then the bookmark counts again.

    The control: by the bookmark alone, as after the edit, one row would come, and the others would lack the column.
    """
    assert len(source.run()["visit"]) == 3
    source.sql(EDIT)
    assert len(source.run()["visit"]) == 1
    source.sql(
        "ALTER TABLE visit ADD COLUMN Site varchar(9) NOT NULL DEFAULT 'main'",
        "UPDATE visit SET Site = 'branch', Stamp = Stamp WHERE Num = 1",
    )
    assert {row["Num"]: row["Site"] for row in source.run()["visit"]} == {1: "branch", 2: "main", 3: "main"}
    assert "1 tables changed since they were reviewed: visit (added Site); the new structure is read" in source.log
    assert "visit has new columns, or columns in a new form, and is read whole once" in source.log
    assert source.run() == {}
    assert "visit (not the reviewed structure)" in source.log
    source.review()
    source.sql(EDIT)
    assert len(source.run()["visit"]) == 1
    assert "reviewed" not in source.log


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        ("ALTER TABLE visit MODIFY Note varchar(40)", 3),
        ("ALTER TABLE visit DROP COLUMN Fee", 1),
        ("ALTER TABLE visit ADD INDEX (Note)", 0),
        ("ALTER TABLE visit ENGINE = InnoDB, COMMENT = 'moved'", 0),
    ],
)
def test_evolve_reads_no_more_than_it_must(source, change, rows):
    """A retyped column is read again; a dropped one costs the rows of the overlap, an index and the rest nothing."""
    source.run()
    source.sql(change)
    assert len(source.run().get("visit", [])) == rows


def test_warn_goes_on_with_the_old_columns(source):
    """A new column and a new table stay out, run after run, until tables.yml is reviewed; then old rows follow."""
    source.run(on_schema_change="warn")
    source.sql(
        "ALTER TABLE visit ADD COLUMN Ssn varchar(9) NOT NULL DEFAULT '1'", "CREATE TABLE extra (k int PRIMARY KEY)"
    )
    for _ in range(2):
        source.sql(EDIT)
        (row,) = source.run(on_schema_change="warn")["visit"]
        assert "Ssn" not in row
        assert "Ssn" not in source.schema("visit")
        assert "visit (added Ssn); the old columns are read" in source.log
        assert "1 tables are not in tables.yml and are left out: extra" in source.log
        assert '"extra"' not in source.output
    source.review()
    assert [row["Ssn"] for row in source.run(on_schema_change="warn")["visit"]] == ["1", "1", "1"]


def test_warn_holds_with_a_catalog_too(source):
    """A catalog that discovery made today names the new column: it is neither declared nor sent."""
    source.run(on_schema_change="warn")
    source.sql("ALTER TABLE visit ADD COLUMN Ssn varchar(9) NOT NULL DEFAULT '1'", EDIT)
    catalog = catalog_of(source)
    assert any("Ssn" in stream["schema"]["properties"] for stream in catalog["streams"])
    (row,) = source.run(on_schema_change="warn", catalog=catalog)["visit"]
    assert "Ssn" not in row
    assert "Ssn" not in source.schema("visit")


def test_fail_refuses_the_stream_and_reads_the_others(source):
    """The changed and the new table are not read, all others are, and the run ends with its own exit code."""
    source.run(on_schema_change="fail")
    bookmark = source.state["bookmarks"]["visit"]
    source.sql(
        "ALTER TABLE visit ADD COLUMN Site int", "CREATE TABLE extra (k int PRIMARY KEY)", "INSERT INTO room VALUES (1)"
    )
    found = source.run(on_schema_change="fail", code=12)
    assert set(found) == {"room"}
    assert source.state["bookmarks"]["visit"] == bookmark
    last = source.log.splitlines()[-1]
    assert "2 of 3 streams changed and were not read, as on_schema_change says: " in last
    assert "extra (not in tables.yml); visit (added Site)" in last
    assert "review tables.yml" in last
    source.review()
    assert len(source.run(on_schema_change="fail")["visit"]) == 3


def test_without_tables_yml_the_last_run_is_what_was_reviewed(source, tmp_path):
    """The state remembers each structure: a change since the last run is noticed without any file."""
    (tmp_path / "tables.yml").unlink()
    source.run(on_schema_change="fail")
    source.sql("ALTER TABLE visit ADD COLUMN Site int")
    source.run(on_schema_change="fail", code=12)
    assert "1 of 2 streams changed and were not read, as on_schema_change says: visit" in source.log
    source.run(on_schema_change="evolve")
    source.run(on_schema_change="fail")


def test_column_overrides_change_what_is_sent(source):
    """A tinyint becomes true or false, a number is rounded, a column stays at home: in schema and rows."""
    source.review(
        column_overrides={
            "IsNew": {"conversion_rule": "tinyint_to_boolean"},
            "Fee": {"conversion_rule": "decimal_round", "precision": 1},
            "Note": {"conversion_rule": "exclude"},
        }
    )
    rows = {row["Num"]: row for row in source.run()["visit"]}
    assert {num: (row["IsNew"], row["Fee"]) for num, row in rows.items()} == {
        1: (True, 1.0),
        2: (False, 2.5),
        3: (True, 0.1),
    }
    assert all("Note" not in row for row in rows.values())
    assert source.schema("visit") == {"Num", "Fee", "IsNew", "Stamp"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"overrides": {"incremental_column": "Note"}}, "incremental_column: Note would lose changes"),
        ({"overrides": {"incremental_column": "Gone"}}, "there is no column 'Gone'; use Stamp"),
        ({"column_overrides": {"Num": {"conversion_rule": "exclude"}}}, "a key cannot be left out"),
        (
            {"column_overrides": {"Num": {"conversion_rule": "decimal_round", "precision": 1}}},
            "a key cannot be converted",
        ),
    ],
)
def test_a_mistake_in_tables_yml_costs_its_table_alone(source, words, said):
    """What a person wrote and does not fit is not guessed at: its table is not read, the others are, and exit 2."""
    source.sql("INSERT INTO room VALUES (1)")
    source.review(**words)
    assert set(source.run(code=2)) == {"room"}
    assert said in source.log.splitlines()[-1]
    assert "1 of 2 streams were not read: table visit" in source.log.splitlines()[-1]


def test_a_generated_key_that_no_longer_fits_is_passed_over(source):
    """What analyze wrote is no person's mistake: the rules decide instead, with a line, and the run is whole."""
    source.sql(LOG, PREFERENCE, "INSERT INTO preference VALUES (1, 'RandomPrimaryKeys', '0')")
    source.review("visit")
    source.sql("UPDATE preference SET ValueString = '1'", "INSERT INTO securitylog (LogText) VALUES ('a')")
    assert len(source.run()["securitylog"]) == 1
    assert "the rules decide instead: table securitylog, incremental_column" in source.log


def test_an_override_that_an_upgrade_broke_costs_nothing_else(source):
    """Of an entry that an upgrade broke only the broken key is passed over: all else of it stays in force."""
    source.review(
        column_overrides={
            "Fee": {"conversion_rule": "decimal_round", "precision": 0},
            "Note": {"conversion_rule": "exclude"},
        }
    )
    source.run()
    source.sql("ALTER TABLE visit DROP COLUMN Fee")
    (row,) = source.run()["visit"]
    assert set(row) == {"Num", "IsNew", "Stamp"}
    assert source.schema("visit") == {"Num", "IsNew", "Stamp"}
    assert "tables.yml no longer fits, the rules decide instead: table visit, column_overrides.Fee" in source.log


def test_an_excluded_column_is_not_sent_under_a_new_name(source):
    """An excluded column that is gone may have been renamed: until a review, no column is sent that was not before.

    The control: without that column in tables.yml, evolve sends a new column at once.
    """
    source.review(column_overrides={"Note": {"conversion_rule": "exclude"}})
    source.run()
    source.sql("ALTER TABLE visit CHANGE Note PrivateNote varchar(20)", EDIT)
    (row,) = source.run()["visit"]
    assert "PrivateNote" not in row
    assert "PrivateNote" not in source.schema("visit")
    assert "tables.yml excludes Note, which may have a new name); the old columns are read" in source.log
    source.state = {}
    assert "visit" not in source.run(code=12)
    source.review()
    assert "PrivateNote" in source.run()["visit"][0]


def test_an_excluded_column_is_not_sent_as_a_key(source):
    """An upgrade that puts an excluded column into the primary key cannot be followed: refused, and not leaked."""
    source.review(column_overrides={"Note": {"conversion_rule": "exclude"}})
    source.run()
    source.sql("UPDATE visit SET Note = CONCAT('n', Num)", "ALTER TABLE visit DROP PRIMARY KEY, ADD PRIMARY KEY (Note)")
    assert "visit" not in source.run(code=12)
    assert "its primary key is another one" in source.log


def test_full_table_on_a_persons_word_stays_full_table(source):
    """A generated key that an upgrade renamed does not turn the person's choice into another one."""
    source.review(overrides={"extraction_strategy": "full_table", "reason": "rows are deleted"})
    source.sql("ALTER TABLE visit CHANGE Stamp Moved timestamp NOT NULL DEFAULT NOW() ON UPDATE NOW()")
    assert len(source.run()["visit"]) == 3
    assert "Beginning sync of 'visit' in full_table mode" in source.log


def catalog_of(source):
    """A catalog as discovery makes it now, everything selected."""
    source.run("--discover")
    catalog = json.loads(source.output)
    for stream in catalog["streams"]:
        next(item for item in stream["metadata"] if not item["breadcrumb"])["metadata"]["selected"] = True
    return catalog


def test_a_stale_catalog_delays_a_new_column_and_loses_nothing(source):
    """What a catalog does not declare is not sent, and not remembered as sent: with a new catalog old rows follow."""
    catalog = catalog_of(source)
    source.run(catalog=catalog)
    source.sql("ALTER TABLE visit ADD COLUMN Site varchar(9) NOT NULL DEFAULT 'main'")
    source.run(catalog=catalog)
    assert [row["Site"] for row in source.run(catalog=catalog_of(source))["visit"]] == ["main"] * 3


def test_a_catalog_whose_key_is_gone_costs_nothing(source):
    """A catalog from before an upgrade that renamed the cursor and the key: the stream goes by what there is."""
    source.run()
    catalog = catalog_of(source)
    source.sql(
        "ALTER TABLE visit CHANGE Stamp Moved timestamp NOT NULL DEFAULT NOW() ON UPDATE NOW()",
        "ALTER TABLE visit CHANGE Num VisitNum bigint",
    )
    rows = source.run(catalog=catalog)["visit"]
    assert len(rows) == 3
    assert all({"VisitNum", "Moved"} <= set(row) for row in rows)
    assert {"VisitNum", "Moved"} <= source.schema("visit")
    assert "the catalog's key Stamp of visit is gone" in source.log


def test_a_column_that_is_selected_again_fills_old_rows(source):
    """Deselecting is no loss for ever."""
    catalog = catalog_of(source)
    visit = next(stream for stream in catalog["streams"] if stream["stream"] == "visit")
    note = next(item for item in visit["metadata"] if item["breadcrumb"] == ["properties", "Note"])
    note["metadata"] = {"inclusion": "available", "selected": False}
    assert "Note" not in source.run(catalog=catalog)["visit"][0]
    note["metadata"]["selected"] = True
    assert len(source.run(catalog=catalog)["visit"]) == 3


def test_a_stale_catalog_does_not_declare_an_old_type(source):
    """The schema that goes out is that of the values that go out, whatever an old catalog says."""
    catalog = catalog_of(source)
    source.sql("ALTER TABLE visit MODIFY IsNew varchar(10)")
    row = source.run(catalog=catalog)["visit"][0]
    (declared,) = [m for m in messages(source.output) if m["type"] == "SCHEMA" and m["stream"] == "visit"]
    assert isinstance(row["IsNew"], str)
    assert "string" in declared["schema"]["properties"]["IsNew"]["type"]


def test_a_bookmark_without_a_memory_is_not_trusted_with_a_moved_structure(source):
    """A state from before structures were remembered, and a table that is not as reviewed: it is read whole once."""
    source.run()
    for bookmark in source.state["bookmarks"].values():
        bookmark.pop("schema", None)
    source.sql("ALTER TABLE visit ADD COLUMN Site int")
    assert len(source.run()["visit"]) == 3
    source.sql(EDIT)
    assert len(source.run()["visit"]) == 1


def test_warn_without_a_last_run_says_what_it_does(source):
    """Where no run has sent anything, no column is old: all are read, and the line says so."""
    source.sql("ALTER TABLE visit ADD COLUMN Site int")
    assert "Site" in source.run(on_schema_change="warn")["visit"][0]
    assert "visit (not the reviewed structure); the new structure is read" in source.log


def test_a_restored_log_is_read_whole(source):
    """A log that ends before its bookmark came from a backup: its rows are sent again, and the bookmark goes back.

    ACTIVATE_VERSION tells the target to remove the others. The control: a bookmark alone would pass over every row up
    to the old one, for ever.
    """
    source.sql(LOG, PREFERENCE, "INSERT INTO preference VALUES (1, 'RandomPrimaryKeys', '0')")
    source.sql("INSERT INTO securitylog VALUES (1, 'a', NULL), (50, 'b', NULL)")
    source.review("securitylog")
    source.run(tables=["securitylog"])
    source.sql("DELETE FROM securitylog WHERE SecurityLogNum = 50", "INSERT INTO securitylog VALUES (2, 'new', NULL)")
    assert [row["SecurityLogNum"] for row in source.run(tables=["securitylog"])["securitylog"]] == [1, 2]
    assert "securitylog ends before its bookmark (was a backup restored?): it is read whole" in source.log
    assert messages(source.output)[-2]["type"] == "ACTIVATE_VERSION"
    assert source.state["bookmarks"]["securitylog"]["replication_key_value"] == 2
    assert source.run(tables=["securitylog"]) == {}


LOG = "CREATE TABLE securitylog (SecurityLogNum bigint AUTO_INCREMENT PRIMARY KEY, LogText text, LogDateTime datetime)"
PREFERENCE = "CREATE TABLE preference (PrefNum bigint PRIMARY KEY, PrefName varchar(255), ValueString text)"


def test_an_append_only_table_is_read_by_its_key(source):
    """Of a log only the new rows travel, with their thousand of keys, by the primary key; the bookmark is a number."""
    source.sql(
        LOG,
        PREFERENCE,
        "INSERT INTO preference VALUES (1, 'RandomPrimaryKeys', '0')",
        "INSERT INTO securitylog (SecurityLogNum, LogText) VALUES (1, 'a'), (1999, 'b'), (2000, 'c')",
    )
    source.review("securitylog")
    assert len(source.run(tables=["securitylog"])["securitylog"]) == 3
    assert source.state["bookmarks"]["securitylog"]["replication_key_value"] == 2000
    source.sql("INSERT INTO securitylog (LogText) VALUES ('d'), ('e')")
    assert [row["SecurityLogNum"] for row in source.run(tables=["securitylog"])["securitylog"]] == [2000, 2001, 2002]
    assert source.state["bookmarks"]["securitylog"]["replication_key_value"] == 2002
    source.run(tables=["securitylog"], start_date="2020-01-01")


def test_an_append_only_table_with_random_keys_is_read_whole(source):
    """Where new keys come in any order, the largest one says nothing: every row travels, and tables.yml may not ask."""
    source.sql(
        LOG,
        PREFERENCE,
        "INSERT INTO preference VALUES (1, 'RandomPrimaryKeys', '1')",
        "INSERT INTO securitylog (LogText) VALUES ('a'), ('b')",
    )
    (entry,) = [c for c in source.discovery().get_incremental_columns("securitylog") if c.column == "SecurityLogNum"]
    assert entry.verdict == "unusable"
    source.review()
    assert len(source.run(tables=["securitylog"])["securitylog"]) == 2
    source.sql("INSERT INTO securitylog VALUES (-5, 'c', NULL)")
    assert len(source.run(tables=["securitylog"])["securitylog"]) == 3
    source.review("securitylog", overrides={"incremental_column": "SecurityLogNum"})
    source.run(code=2)
    assert "SecurityLogNum would lose changes: primary keys are random here" in source.log


def test_a_person_vouches_for_a_log_of_their_own(source):
    """An unknown table with a growing key may be read by it, on a person's word; a known table may not."""
    source.sql(
        PREFERENCE,
        "INSERT INTO preference VALUES (1, 'RandomPrimaryKeys', '0')",
        "CREATE TABLE zz_log (id bigint AUTO_INCREMENT PRIMARY KEY)",
        "INSERT INTO zz_log VALUES (1), (2), (3000)",
        "CREATE TABLE sheetfield (SheetFieldNum bigint AUTO_INCREMENT PRIMARY KEY, FieldValue text)",
    )
    source.review("zz_log", overrides={"incremental_column": "id", "extraction_strategy": "incremental"})
    assert len(source.run(tables=["zz_log"])["zz_log"]) == 3
    source.sql("INSERT INTO zz_log VALUES (3001)")
    assert [row["id"] for row in source.run(tables=["zz_log"])["zz_log"]] == [3000, 3001]
    source.review("sheetfield", overrides={"incremental_column": "SheetFieldNum"})
    assert "sheetfield" not in source.run(code=2)
    assert "SheetFieldNum would lose changes: it does not show edits" in source.log


@pytest.mark.parametrize(("stream", "value"), [("visit", 17), ("securitylog", "2026-01-01T00:00:00+00:00")])
def test_a_bookmark_of_the_wrong_kind_is_refused(source, stream, value):
    """A number for a time or a time for a number is never taken for no bookmark: exit 11 before a row of the stream."""
    source.sql(LOG, PREFERENCE, "INSERT INTO preference VALUES (1, 'RandomPrimaryKeys', '0')")
    source.review(stream)
    key = {"visit": "Stamp", "securitylog": "SecurityLogNum"}[stream]
    source.state = {"bookmarks": {stream: {"replication_key": key, "replication_key_value": value}}}
    assert source.run(code=11, tables=[stream]) == {}
    assert f"the bookmark of stream {stream} is not one of {key}" in source.log.splitlines()[-1]
