from __future__ import annotations

import pytest

from tap_opendental.discovery.model import Column, Index, IndexColumn, Table
from tap_opendental.errors import ExitCode as TapExitCode
from target_opendental_replica import errors
from target_opendental_replica.errors import IdentifierError, TableFactsError, UnknownDefaultError, UnknownTypeError
from target_opendental_replica.statements import quote, render_create_table
from target_opendental_replica.types import read_members, read_string, render_string, render_type

HOSTILE = (
    "order",
    "a`b",
    "a'b",
    'a"b',
    "100%",
    "%s",
    ":name",
    "é",
    "naïve 表",
    "a;b",
    "--",
    "`; DROP TABLE x; --",
    " a",
)


def line_of(column: Column) -> str:
    """The line that declares this column."""
    return render_create_table(Table("t", (column,)).to_dict()).splitlines()[1].strip()


def test_a_whole_table_is_rendered_exactly():
    """Columns, keys, prefixes and options appear in the order of the facts, nothing else does."""
    table = Table(
        "patient",
        (
            Column("PatNum", "bigint(20)", nullable=False, auto_increment=True),
            Column("LName", "varchar(100)", default="''"),
            Column("Code", "varchar(15)", nullable=False, collation="utf8mb3_bin"),
            Column("Birthdate", "date", nullable=False, default="'0001-01-01'"),
            Column(
                "DateTStamp",
                "timestamp",
                nullable=False,
                default="current_timestamp()",
                on_update="current_timestamp()",
            ),
        ),
        primary_key=("PatNum",),
        indexes=(
            Index("indexLName", (IndexColumn("LName", 10), IndexColumn("Birthdate"))),
            Index("one", (IndexColumn("Code"),), unique=True),
            Index("words", (IndexColumn("LName"),), kind="FULLTEXT"),
        ),
    )
    assert render_create_table(table.to_dict()) == (
        "CREATE TABLE `patient` (\n"
        "  `PatNum` bigint(20) NOT NULL AUTO_INCREMENT,\n"
        "  `LName` varchar(100) NULL DEFAULT '',\n"
        "  `Code` varchar(15) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin NOT NULL,\n"
        "  `Birthdate` date NOT NULL DEFAULT '0001-01-01',\n"
        "  `DateTStamp` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),\n"
        "  PRIMARY KEY (`PatNum`),\n"
        "  KEY `indexLName` (`LName`(10), `Birthdate`),\n"
        "  UNIQUE KEY `one` (`Code`),\n"
        "  FULLTEXT KEY `words` (`LName`)\n"
        ") ENGINE=MyISAM DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_general_ci"
    )


def test_name_and_engine_can_be_others():
    """The caller's name and engine win over those of the facts."""
    facts = Table("a", (Column("x", "int(11)"),), collation="latin1_swedish_ci").to_dict()
    assert render_create_table(facts, name="b", engine="InnoDB") == (
        "CREATE TABLE `b` (\n  `x` int(11) NULL\n) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci"
    )


def test_composite_primary_key_keeps_its_order():
    """A key over several columns is rendered in the order of the key, not of the columns."""
    facts = Table("t", (Column("a", "int(11)"), Column("b", "date")), primary_key=("b", "a")).to_dict()
    assert "  PRIMARY KEY (`b`, `a`)\n" in render_create_table(facts)


def test_table_without_a_key_has_none():
    """A table without a primary key gets no key line."""
    assert "KEY" not in render_create_table(Table("t", (Column("a", "int(11)"),)).to_dict())


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_names(name):
    """Table, column and index of any name are quoted, their backticks doubled."""
    quoted = "`" + name.replace("`", "``") + "`"
    table = Table(name, (Column(name, "int(11)"),), (name,), (Index(name, (IndexColumn(name),)),))
    assert quote(name) == quoted
    assert render_create_table(table.to_dict()) == (
        f"CREATE TABLE {quoted} (\n  {quoted} int(11) NULL,\n  PRIMARY KEY ({quoted}),\n  KEY {quoted} ({quoted})\n"
        ") ENGINE=MyISAM DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_general_ci"
    )


@pytest.mark.parametrize("name", ["", "a\0b", "a ", "x" * 65])
def test_impossible_names_are_refused(name):
    """What MySQL cannot store as a name is an error here, not on the server."""
    with pytest.raises(IdentifierError, match="cannot be a name"):
        quote(name)


def test_longest_name_is_accepted():
    """64 characters are allowed, counted as characters and not as bytes."""
    assert quote("é" * 64) == "`" + "é" * 64 + "`"


@pytest.mark.parametrize(
    "text",
    [
        "tinyint(1)", "tinyint(4)", "smallint(5) unsigned", "mediumint(8) unsigned", "int", "int(11)",
        "int(8) unsigned zerofill", "bigint(20)", "bigint(20) unsigned", "decimal(65,30)", "decimal(10,0)", "float",
        "float unsigned", "float(7,2)", "double", "double(22,4)", "bit(1)", "bit(64)", "char(10)", "varchar(4000)",
        "binary(16)", "varbinary(255)", "tinytext", "text", "mediumtext", "longtext", "tinyblob", "blob", "mediumblob",
        "longblob", "date", "time", "time(3)", "datetime", "datetime(6)", "timestamp", "timestamp(3)", "year",
        "year(4)", "json", "uuid", "inet4", "inet6", "point", "geometry",
    ],
)  # fmt: skip
def test_every_type_of_the_grammar_is_written_as_it_is(text):
    """A known type comes out as it went in."""
    assert line_of(Column("c", text)) == f"`c` {text} NULL"


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("BIGINT(20) UNSIGNED", "bigint(20) unsigned"),
        ("decimal(10, 2)", "decimal(10,2)"),
        ("datetime /* mariadb-5.3 */", "datetime"),
        ("varchar(20) /*M!100301 COMPRESSED*/", "varchar(20)"),
        ("enum('a','it''s','back\\\\slash','é')", "enum('a','it''s','back\\\\slash','é')"),
        ("enum('it\\'s','a,b)')", "enum('it''s','a,b)')"),
        ("SET('a', 'b')", "set('a','b')"),
    ],
)
def test_types_are_written_anew(text, rendered):
    """Case, spaces, the server's notes and escapes are normalised; members of ENUM and SET are quoted again."""
    assert render_type(text, where="t.c") == rendered


@pytest.mark.parametrize(
    "text",
    [
        "", "varchar", "int(11) NOT NULL", "int(11), evil int", "text; DROP TABLE x", "enum()", "enum('a'), x int",
        "enum('a' 'b')", "enum('a\\')", "int(11) /* a */ x", "frob(3)", "datetime(7)", "int\n) ENGINE=x", "int(\u0663)",
    ],
)  # fmt: skip
def test_anything_else_is_no_type(text):
    """A type outside the grammar is refused with the column's name and exit code 8."""
    with pytest.raises(UnknownTypeError, match=r"column t\.c: ") as caught:
        line_of(Column("c", text))
    assert caught.value.exit_code == TapExitCode.UNKNOWN_TYPE == 8


@pytest.mark.parametrize(
    ("default", "rendered"),
    [
        ("NULL", "NULL"), ("null", "NULL"), ("0", "0"), ("-1", "-1"), ("1.50", "1.50"), ("1e10", "1e10"), ("''", "''"),
        ("'D'", "'D'"), ("'it''s'", "'it''s'"), ("'it\\'s'", "'it''s'"), ("'a\\\\b'", "'a\\\\b'"), ("'é%s'", "'é%s'"),
        ("'two\nlines'", "'two\\nlines'"), ("'0000-00-00'", "'0000-00-00'"), ("b'101'", "b'101'"),
        ("x'00ff'", "x'00ff'"),
        ("current_timestamp()", "current_timestamp()"), ("CURRENT_TIMESTAMP", "current_timestamp()"),
        ("current_timestamp(3)", "current_timestamp(3)"),
    ],
)  # fmt: skip
def test_defaults_are_written_anew(default, rendered):
    """A literal or the current timestamp comes out with our own quoting."""
    assert line_of(Column("c", "varchar(20)", default=default)) == f"`c` varchar(20) NULL DEFAULT {rendered}"


@pytest.mark.parametrize(
    "default",
    [
        "",
        "uuid()",
        "now() + 1",
        "(1)",
        "'a' 'b'",
        "'a', x int default 'b'",
        "'a",
        "0 COMMENT 'x'",
        "b'2'",
        "1;",
        "a",
        "\u0663",
    ],
)
def test_expressions_are_no_defaults(default):
    """What is neither a literal nor the current timestamp is refused: it would run as SQL."""
    with pytest.raises(UnknownDefaultError, match=r"column t\.c: default"):
        line_of(Column("c", "varchar(20)", default=default))


def test_on_update_takes_the_current_timestamp_only():
    """Fractional seconds are kept; anything else is refused."""
    stamp = Column("c", "timestamp(3)", default="current_timestamp(3)", on_update="current_timestamp(3)")
    assert line_of(stamp).endswith("DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3)")
    with pytest.raises(UnknownDefaultError):
        line_of(Column("c", "timestamp", on_update="now(), x int"))


def test_generated_column_becomes_a_stored_one():
    """The expression of a generated column is never copied."""
    assert line_of(Column("c", "int(11)", generated="(a + 1)", default="NULL")) == "`c` int(11) NULL"


@pytest.mark.parametrize(
    "change",
    [
        {"engine": "MyISAM; DROP"}, {"engine": ""}, {"collation": "utf8mb3 x"}, {"collation": ""},
        {"primary_key": ["b"]},
        {"indexes": [{"name": "i", "columns": [{"name": "b"}]}]},
        {"indexes": [{"name": "i", "columns": [{"name": "a", "length": "1) x"}]}]},
        {"indexes": [{"name": "i", "columns": [{"name": "a", "length": 0}]}]},
        {"indexes": [{"name": "i", "columns": [{"name": "a"}], "kind": "BTREE) x"}]},
    ],
)  # fmt: skip
def test_facts_that_cannot_be_are_refused(change):
    """Engines and collations that are no words, and indexes over what is not there, are errors."""
    with pytest.raises(TableFactsError):
        render_create_table({"name": "t", "columns": [{"name": "a", "type": "int(11)"}], **change})


@pytest.mark.parametrize("value", ["", "it's", "\\", "'\\'", "\0\n\r\x1a\t", "%_", "\\%", "é表", "a''b"])
def test_strings_survive_writing_and_reading(value):
    """Reading a rendered literal gives the value back."""
    assert read_string(render_string(value)) == value


def test_members_are_read_as_values():
    """ENUM and SET give their members without quotes; other types have none."""
    assert read_members("enum('a,b','it''s','')") == ("a,b", "it's", "")
    assert read_members("int(11)") == ()


def test_exit_codes_mean_the_same_in_tap_and_target():
    """Where the two tables of exit codes share a name, they share the number, and numbers are never reused."""
    tap = {code.name: code.value for code in TapExitCode}
    target = {code.name: code.value for code in errors.ExitCode}
    assert target.items() <= tap.items()
