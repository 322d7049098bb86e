"""The probe: what samples of rows say, bounded in rows and time, with nothing of them in sight."""

import pytest

from tap_opendental.discovery import SchemaDiscovery, probe

STAMP = "timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()"
SCHEMA = (
    "CREATE TABLE patient (PatNum bigint AUTO_INCREMENT PRIMARY KEY, LName varchar(100))",
    f"CREATE TABLE `odd%s``t` (Num bigint AUTO_INCREMENT PRIMARY KEY, PatNum bigint NOT NULL, `Stamp%` {STAMP})",
    "INSERT INTO patient VALUES (1, 'Zyx'), (2, 'Zyx')",
    (
        "INSERT INTO `odd%s``t` VALUES (1, 1, NOW()), (2, 2, NOW() - INTERVAL 3 DAY), (3, 7, '2020-01-01'), "
        "(4, 0, '2020-01-01'), (5, 9, '2020-01-01')"
    ),
)


@pytest.fixture
def probed(mariadb_database):
    """Analyse the schema above with a look at its rows; the odd table's analysis."""
    with mariadb_database.engine.begin() as connection:
        for statement in SCHEMA:
            connection.execution_options(no_parameters=True).exec_driver_sql(statement)

    def analyse():
        discovery = SchemaDiscovery(mariadb_database.engine, mariadb_database.name)
        analysis = discovery.analyze_complete_schema(probe=True)
        return next(table for table in analysis.tables if table.table.name == "odd%s`t")

    return analyse


def test_orphans_and_recent_rows_are_counted(probed):
    """Of four distinct patients that are named two do not exist; 0 means none; two rows moved in the last week."""
    table = probed()
    (reference,) = table.references
    assert (reference.to_table, reference.sampled, reference.orphans) == ("patient", 4, 2)
    assert table.usage.recent_rows == 2


def test_a_statement_that_takes_too_long_is_given_up(probed, monkeypatch):
    """The server ends it; what was not found out stays unknown, and the analysis goes on."""
    monkeypatch.setattr(probe, "_NEWEST", probe._NEWEST + " WHERE SLEEP(5) = 0")
    monkeypatch.setattr(probe, "_RECENT", "SELECT SLEEP(5)")
    table = probed()
    assert (table.references[0].sampled, table.usage.recent_rows) == (None, None)


def test_the_whole_look_ends_in_time(probed, monkeypatch):
    """Once the time is over, nothing more is asked."""
    monkeypatch.setattr(probe.Probe.__init__, "__kwdefaults__", {"seconds": 0.0})
    table = probed()
    assert (table.references[0].sampled, table.usage.recent_rows) == (None, None)
