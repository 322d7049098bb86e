"""Two live databases compared, as two clinics on different versions are."""

import json

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from opendental_analyze.cli import main
from opendental_analyze.sandbox.throw_away import mariadb_database as throw_away

BEFORE = (
    "CREATE TABLE `ClinicNote` (Id bigint PRIMARY KEY, Note varchar(50) NOT NULL DEFAULT '', KEY Note (Note))",
    "CREATE TABLE gone (Id bigint PRIMARY KEY)",
)
STAMP = "timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()"
AFTER = (f"CREATE TABLE clinicnote (Id bigint PRIMARY KEY, Note text, Changed {STAMP})",)


@pytest.fixture
def clinics(sandbox):
    """Variables of two sources, read with no more than SELECT: CLINIC_A_HOST ..., CLINIC_B_HOST ..."""
    environment = {}
    with throw_away(sandbox.state) as one, throw_away(sandbox.state) as other:
        for prefix, database, statements in (("CLINIC_A", one, BEFORE), ("CLINIC_B", other, AFTER)):
            with database.engine.begin() as connection:
                for statement in statements:
                    connection.exec_driver_sql(statement)
            url = sa.make_url(database.reader_url)
            address = {"HOST": url.host, "PORT": url.port, "USER": url.username, "PASSWORD": url.password}
            address["DATABASE"] = url.database
            environment |= {f"{prefix}_{key}": str(value) for key, value in address.items()}
        yield environment


def test_two_clinics_are_compared(clinics):
    """Tables, columns, indexes and how they would be read; the case of a table's name does not count."""
    run = CliRunner().invoke(main, ["analyze", "diff", "env:CLINIC_A", "env:CLINIC_B", "--json"], env=clinics)
    assert run.exit_code == 3, run.output
    found = json.loads(run.stdout)
    assert [table["name"] for table in found["tables_removed"]] == ["gone"]
    (table,) = found["tables_changed"]
    assert (table["name"], table["same_hash"], table["unexplained"]) == ("clinicnote", False, False)
    assert [column["name"] for column in table["columns_added"]] == ["Changed"]
    assert [column["name"] for column in table["columns_changed"]] == ["Note"]
    assert table["indexes_removed"] == ["Note (Note)"]
    assert {"key": "incremental_column", "before": None, "after": "Changed"} in table["configuration"]


def test_a_file_and_the_source_that_it_came_from_are_equal(clinics, tmp_path):
    """An analysis written a moment ago says what a live one says."""
    address = {key.replace("CLINIC_A", "TAP_OPENDENTAL"): value for key, value in clinics.items()}
    written = CliRunner().invoke(main, ["analyze", "--output", str(tmp_path)], env=address)
    assert written.exit_code == 0, written.output
    run = CliRunner().invoke(main, ["analyze", "diff", str(tmp_path), "env:TAP_OPENDENTAL"], env=address)
    assert (run.exit_code, "no difference" in run.stdout) == (0, True), run.output


def test_a_refused_password_is_told_in_one_line(clinics):
    """The error is the connection's own, with its exit code, and the password is not in it."""
    wrong = clinics | {"CLINIC_B_PASSWORD": "not-the-one"}
    run = CliRunner().invoke(main, ["analyze", "diff", "env:CLINIC_A", "env:CLINIC_B"], env=wrong)
    assert (run.exit_code, run.stderr.count("\n")) == (5, 1)
    assert "not-the-one" not in run.output
