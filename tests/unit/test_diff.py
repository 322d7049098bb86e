"""Two analyses compared: what differs is named, what does not count is not."""

import copy
import json

import pytest
from click.testing import CliRunner
from tests.analyses import analyse, analysis_of, content_of

from opendental_analyze.explain.analysis_files import parse_analysis, read_analysis, read_side
from opendental_analyze.explain.diff import compare_analyses
from opendental_analyze.explain.diff_cli import diff
from opendental_analyze.explain.diff_rendering import render_diff
from tap_opendental.discovery.model import Column, Index, IndexColumn, Table
from tap_opendental.errors import ConfigError, NothingSelectedError

KEY = Column("Id", "bigint(20)", nullable=False, auto_increment=True)
NAME = Column("Name", "varchar(50)", nullable=False, default="''")


def table(*columns, name="clinicnote", indexes=(), engine="MyISAM", key=("Id",), **config):
    return analyse(Table(name, (KEY, *columns), key, indexes, engine), **config)


def compare(before, after):
    """Compare two lists of tables; the one table that changed, if just one did."""
    found = compare_analyses(content_of(before), content_of(after))
    assert len(found.tables_changed) == 1
    return found.tables_changed[0]


def lines(before, after):
    """What a person reads below the head, one line per difference."""
    found = render_diff(compare_analyses(content_of(before), content_of(after))).plain
    return found.splitlines()[3:]


def test_an_analysis_equals_itself():
    """All of Open Dental against itself: nothing, also where date, server, sizes and order of tables differ."""
    before, after = analysis_of(), analysis_of(analyzed_on="2031-01-01", database="other")
    after["tables"] = after["tables"][::-1]
    for one in after["tables"]:
        one |= {"rows": 1, "megabytes": 9.9}
    assert compare_analyses(before, after).is_empty


def test_tables_that_come_and_go():
    """A table on one side only is added or removed."""
    found = compare_analyses(content_of([table(name="old"), table()]), content_of([table(), table(name="new")]))
    assert [t.name for t in found.tables_added] == ["new"]
    assert [t.name for t in found.tables_removed] == ["old"]
    assert found.tables_changed == ()


def test_the_case_of_a_table_s_name_does_not_count():
    """A server on Windows folds names: the same practice there has no other tables."""
    assert compare_analyses(content_of([table(name="ClinicNote")]), content_of([table(name="clinicnote")])).is_empty


def test_two_tables_that_differ_by_case_alone_are_two():
    """On Linux both may exist; one folded table cannot be both, so the other is named."""
    both, one = [table(name="Fee2"), table(NAME, name="fee2")], [table(NAME, name="fee2")]
    found = compare_analyses(content_of(both), content_of(one))
    assert [t.name for t in found.tables_removed] == ["Fee2"]
    assert found.tables_changed == ()


def test_columns_that_come_and_go():
    """Each with its type; the hashes differ, and the difference is explained."""
    found = compare([table(NAME)], [table(Column("Note", "text"))])
    assert [(c.name, c.type) for c in found.columns_added] == [("Note", "text")]
    assert [(c.name, c.type) for c in found.columns_removed] == [("Name", "varchar(50)")]
    assert (found.same_hash, found.unexplained) == (False, False)


def test_a_column_in_another_case_is_another_column():
    """PostgreSQL keeps "Name" and "name" apart, so raw gets a new column."""
    found = compare([table(NAME)], [table(Column("name", NAME.type, nullable=False, default="''"))])
    assert ([c.name for c in found.columns_added], [c.name for c in found.columns_removed]) == (["name"], ["Name"])


@pytest.mark.parametrize(
    ("column", "key", "before", "after"),
    [
        (Column("Name", "varchar(60)", nullable=False, default="''"), "type", "varchar(50)", "varchar(60)"),
        (Column("Name", "varchar(50)", nullable=False, default="'x'"), "default", "''", "'x'"),
        (Column("Name", "varchar(50)", nullable=True, default="''"), "nullable", False, True),
    ],
)
def test_a_column_that_changed(column, key, before, after):
    """Type, default and NULL are told one by one."""
    (changed,) = compare([table(NAME)], [table(column)]).columns_changed
    assert changed.name == "Name"
    assert [(c.key, c.before, c.after) for c in changed.changes] == [(key, before, after)]


def test_spellings_that_mean_the_same_do_not_count():
    """Display widths and quotes around a number's default differ between servers, and nothing else does."""
    wide = table(Column("Flag", "tinyint(3) unsigned", nullable=False, default="'0'"))
    bare = table(Column("Flag", "tinyint unsigned", nullable=False, default="0"))
    assert compare_analyses(content_of([wide]), content_of([bare])).is_empty


def test_keys_and_indexes_that_changed():
    """An index is told by its columns; one with another width or order is another one."""
    by_name = Index("Name", (IndexColumn("Name"),))
    prefix = Index("Name", (IndexColumn("Name", 10),), unique=True)
    found = compare([table(NAME, indexes=(by_name,))], [table(NAME, indexes=(prefix,), key=("Id", "Name"))])
    assert found.indexes_removed == ("Name (Name)",)
    assert found.indexes_added == ("Name (Name(10)) unique",)
    assert [(c.key, c.before, c.after) for c in found.structure] == [("primary_key", ["Id"], ["Id", "Name"])]


def test_columns_in_another_order():
    """The hash goes by it, so it is named."""
    other = Column("Other", "int(11)")
    found = compare([table(NAME, other)], [table(other, NAME)])
    assert [change.key for change in found.structure] == ["column_order"]
    assert found.unexplained is False


def test_a_difference_that_the_file_does_not_spell_out_is_said_to_be_one():
    """Where the hash alone differs, as between two ways to make it, the reader is told so, not nothing."""
    after = content_of([table(NAME)])
    after["tables"][0]["schema_hash"] = "f" * 64
    (found,) = compare_analyses(content_of([table(NAME)]), after).tables_changed
    assert (found.same_hash, found.unexplained) == (False, True)


@pytest.mark.parametrize(
    ("key", "before", "after"),
    [
        ("incremental_column", None, "Id"),
        ("extraction_strategy", "full_table", "incremental"),
        ("table_importance", "standard", "critical"),
        ("batch_size", 5000, 2000),
        ("is_modeled", False, True),
    ],
)
def test_how_a_table_is_read(key, before, after):
    """Same structure, another decision: the hash is equal and the decision is told."""
    found = compare([table(**{key: before})], [table(**{key: after})])
    assert found.same_hash is True
    assert [(c.key, c.before, c.after) for c in found.configuration] == [(key, before, after)]


def test_a_table_that_one_side_could_not_analyse_is_unknown():
    """Missing for lack of a right is not the same as dropped; what neither side saw is no difference."""
    left = {"table": "clinicnote", "reason": "user may not read it"}
    before = content_of([table()])
    after = content_of([]) | {"left_out": [left]}
    found = compare_analyses(before, after)
    assert (found.tables_removed, dict(found.unknown)) == ((), {"clinicnote": "after: user may not read it"})
    assert found.is_empty is False
    assert compare_analyses(after, after).is_empty


def test_a_person_reads_one_line_per_difference():
    """Grouped by table, marked, patient data and secrets named, so that nobody overlooks a new one."""
    before = [table(NAME), table(name="gone")]
    after = [table(Column("Name", "varchar(60)", nullable=False, default="''"), Column("ApiToken", "text"))]
    assert lines(before, after) == [
        "- gone  1 column, standard, full_table",
        "~ clinicnote",
        "    + column ApiToken  text  secret, never read",
        "    ~ column Name  type: varchar(50) -> varchar(60)",
    ]


def test_patient_data_in_a_new_column_is_told():
    """An upgrade that adds a column with somebody's name is worth a look before the night."""
    before, after = analysis_of("patient"), analysis_of("patient")
    before["tables"][0]["columns"] = [c for c in before["tables"][0]["columns"] if c["name"] != "LName"]
    assert "+ column LName  varchar(100)  patient data: name" in render_diff(compare_analyses(before, after)).plain


def test_a_change_of_many_tables_takes_one_line():
    """A clinic on InnoDB against one on MyISAM stays one screen."""
    before = [table(name=f"t{number}") for number in range(40)]
    after = [table(name=f"t{number}", engine="InnoDB") for number in range(40)]
    assert lines(before, after) == ["~ 40 tables  engine: MyISAM -> InnoDB"]


def test_names_do_not_steer_the_terminal():
    """An escape sequence in a name is shown, and square brackets are no markup."""
    found = lines([], [table(name="x\x1b[31m"), table(name="[red]y")])
    assert any("x\\x1b[31m" in line for line in found)
    assert any("[red]y" in line for line in found)
    assert "\x1b" not in "".join(found)


def test_another_character_set_is_a_difference():
    """CONVERT TO CHARACTER SET latin1 changes what a table can hold, though not its hash."""
    other = analyse(Table("clinicnote", (KEY, NAME), ("Id",), (), "MyISAM", "latin1_swedish_ci"))
    found = compare([table(NAME)], [other])
    assert found.same_hash is True
    assert [(c.key, c.before, c.after) for c in found.structure] == [
        ("charset", "utf8mb3", "latin1"),
        ("collation", "utf8mb3_general_ci", "latin1_swedish_ci"),
    ]
    assert "    ~ charset: utf8mb3 -> latin1" in lines([table(NAME)], [other])


def test_a_collation_that_tells_cases_apart_explains_the_hash():
    """Keys compare in another way: the hash moves, and the line says by what."""
    other = analyse(Table("clinicnote", (KEY, NAME), ("Id",), (), "MyISAM", "utf8mb3_bin"))
    found = compare([table(NAME)], [other])
    assert (found.same_hash, found.unexplained) == (False, False)
    assert [change.key for change in found.structure] == ["collation"]


def test_the_older_name_of_utf8mb3_does_not_count():
    """MySQL 5.7 calls it utf8, for the table and for a column."""
    column = Column("Code", "varchar(15)", collation="utf8_bin")
    older = analyse(Table("clinicnote", (KEY, column), ("Id",), (), "MyISAM", "utf8_general_ci"))
    newer = table(Column("Code", "varchar(15)", collation="utf8mb3_bin"))
    assert compare_analyses(content_of([older]), content_of([newer])).is_empty


def test_what_a_partial_analysis_does_not_hold_is_not_compared():
    """With --tables the others were not asked for: neither gone nor new, and the reader is told so."""
    whole = content_of([table(), table(name="fee2"), table(name="recall2")])
    part = content_of([table(NAME)], complete=False)
    found = compare_analyses(whole, part)
    assert (found.tables_added, found.tables_removed) == ((), ())
    assert [t.name for t in found.tables_changed] == ["clinicnote"]
    assert found.to_dict()["not_compared"] == ["fee2", "recall2"]
    assert (found.to_dict()["before"]["complete"], found.to_dict()["after"]["complete"]) == (True, False)
    told = "? after is of some tables only: 2 tables on one side alone, not compared"
    assert render_diff(found).plain.splitlines()[2] == told
    assert compare_analyses(part, whole).tables_added == ()


def test_a_table_that_only_the_partial_side_holds_was_removed_or_is_new():
    """The whole side was asked for everything, so that what it lacks is not there."""
    part, whole = content_of([table(name="gone"), table()], complete=False), content_of([table()])
    assert [t.name for t in compare_analyses(part, whole).tables_removed] == ["gone"]
    assert [t.name for t in compare_analyses(whole, part).tables_added] == ["gone"]


def test_a_partial_analysis_that_holds_the_same_is_no_difference():
    """The line says of what."""
    found = compare_analyses(content_of([table(), table(name="fee2")]), content_of([table()], complete=False))
    assert found.is_empty
    assert render_diff(found).plain.splitlines()[-1] == "no difference in the tables that both hold"


def test_a_table_that_could_not_be_analysed_is_unknown_only_where_it_was_asked_for():
    """A partial side that does not hold it says nothing of it."""
    left = {"left_out": [{"table": "fee2", "reason": "it is damaged"}]}
    before = content_of([table()]) | left
    assert compare_analyses(before, content_of([table()], complete=False)).is_empty
    assert dict(compare_analyses(before, content_of([table(), table(name="fee2")], complete=False)).unknown) == {
        "fee2": "before: it is damaged"
    }


def test_partial_analyses_without_a_common_table_are_refused():
    """Nothing would be compared, so that `no difference` would be a lie."""
    with pytest.raises(NothingSelectedError, match="no table in common"):
        compare_analyses(content_of([table()], complete=False), content_of([table(name="fee2")], complete=False))


# --- files --------------------------------------------------------------------------------------------------------


def write(folder, name, content):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_folder_stands_for_the_file_in_it(tmp_path):
    """`opendental analyze --output DIR` writes it there."""
    write(tmp_path, "analysis.json", content_of([table()]))
    assert read_analysis(tmp_path) == read_analysis(tmp_path / "analysis.json")


def broken(*path, **change):
    """A real analysis with one mistake at a place."""
    content = copy.deepcopy(content_of([table(NAME)]))
    place = content
    for step in path:
        place = place[step]
    place.update(change)
    return json.dumps(content)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"tables": [', "not valid JSON (line 1, column 13)"),
        ("[1]", "at its top: no analysis_version"),
        ('{"streams": []}', "at its top: no analysis_version"),
        (broken(analysis_version="99"), "analysis_version is not '1': analyse again"),
        (broken(tables=None), "at tables: a list is expected"),
        (broken("tables", 0, name=None), "at tables[0].name: text is expected"),
        (broken("tables", 0, "columns", 1, type=3), "at tables[0].columns[1].type: text is expected"),
        (broken("tables", 0, "configuration", batch_size=True), "batch_size: a whole number is expected"),
        (broken("tables", 0, primary_key=[1]), "at tables[0].primary_key[0]: text is expected"),
        (broken("tables", 0, configuration={}), "at tables[0].configuration.incremental_column: missing"),
        (
            broken("tables", 0, "configuration", column_overrides={"Note": {"precision": 2}}),
            "at tables[0].configuration.column_overrides.Note.conversion_rule: missing",
        ),
        (broken("tables", 0, "columns", 1, on_update=[1]), "at tables[0].columns[1].on_update: text is expected"),
        (broken("tables", 0, "columns", 1, type=f"varchar({'9' * 5000})"), "columns[1].type: a type of MySQL is"),
        (broken("tables", 0, collation=None), "at tables[0].collation: text is expected"),
        (broken(complete="yes"), "at complete: true or false is expected"),
        ("[" * 100_000, "nested too deeply"),
        ('{"analysis_version": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"analysis_version": ' + "9" * 5000 + "}", "a number is too long"),
    ],
)
def test_a_file_that_is_no_analysis_is_named_with_the_place(text, message):
    """One line: the file, the place in it, and what is expected there; never a value."""
    with pytest.raises(ConfigError) as caught:
        parse_analysis(text, "some/analysis.json")
    assert str(caught.value).startswith("some/analysis.json: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    """A wrong path, a folder without an analysis."""
    with pytest.raises(ConfigError, match=r"nowhere\.json: cannot be read \(No such file"):
        read_analysis(tmp_path / "nowhere.json")
    with pytest.raises(ConfigError, match=r"cannot be read \(File name too long"):
        read_analysis(tmp_path / ("x" * 5000))
    with pytest.raises(ConfigError, match=r"analysis\.json: cannot be read"):
        read_analysis(tmp_path)


@pytest.mark.parametrize(("side", "named"), [("env:CLINIC_B", "CLINIC_B_HOST"), ("env:", "env:PREFIX")])
def test_a_live_source_without_an_address_names_the_variable(side, named):
    """Nothing is read before the address is whole."""
    with pytest.raises(ConfigError, match=named):
        read_side(side, {})


# --- the command --------------------------------------------------------------------------------------------------


def test_the_command_ends_as_diff_does(tmp_path):
    """0 and one line when equal, 3 when not; JSON holds the same."""
    before, after = write(tmp_path, "a.json", content_of([table()])), write(tmp_path, "b.json", content_of([]))
    same = CliRunner().invoke(diff, [str(before), str(before)])
    assert (same.exit_code, "no difference" in same.output) == (0, True)
    other = CliRunner().invoke(diff, [str(before), str(after)])
    assert (other.exit_code, "- clinicnote" in other.output) == (3, True)
    as_json = CliRunner().invoke(diff, [str(before), str(after), "--json"])
    found = json.loads(as_json.output)
    assert as_json.exit_code == 3
    assert (found["equal"], [t["name"] for t in found["tables_removed"]]) == (False, ["clinicnote"])


def test_the_help_tells_the_exit_codes():
    """Who calls it from a script finds them there."""
    assert "with 3 when they differ" in " ".join(CliRunner().invoke(diff, ["--help"]).output.split())
