"""tables.yml from a real schema: what a person wrote and what was not analysed keep their meaning, time after time."""

import pytest

from tap_opendental.discovery import SchemaDiscovery
from tap_opendental.discovery.tables_config import parse_tables_file, render_tables_file
from tap_opendental.errors import ConfigError

STAMP = "timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()"


@pytest.fixture
def discovery(mariadb_database):
    """Two tables: a large one, incremental by its stamp, and a small one."""
    with mariadb_database.engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE visit (Num int AUTO_INCREMENT PRIMARY KEY, Note text, Stamp {STAMP})")
        connection.exec_driver_sql("INSERT INTO visit (Note) SELECT REPEAT('x', 1000) FROM seq_1_to_3000")
        connection.exec_driver_sql("CREATE TABLE room (Num int PRIMARY KEY)")
        connection.exec_driver_sql("ANALYZE TABLE visit")
    return SchemaDiscovery(mariadb_database.engine, mariadb_database.name)


def generate(discovery, text, tables=None, day="2026-12-01"):
    """The next tables.yml after this one."""
    previous = parse_tables_file(text, "tables.yml")
    return discovery.analyze_complete_schema(tables, previous=previous, analyzed_on=day)


@pytest.mark.parametrize(
    "text",
    [
        "tables: {visit: {batch_size: 1000}, room: {batch_size: 10}}",
        "tables: {visit: {}, gone: {overrides: {batch_size: 7, reason: x}}}",
        "tables: {}",
    ],
)
def test_what_is_written_can_be_read_again(discovery, text):
    """Whatever the file was before, of all tables or of some, the next one is valid, and then stays as it is."""
    for tables in (None, ["room"]):
        written = render_tables_file(generate(discovery, text, tables).configs)
        again = render_tables_file(generate(discovery, written, tables, day="2026-12-31").configs)
        assert again == written


def test_tables_that_were_not_analysed_mean_what_they_meant(discovery):
    """What an entry leaves to the rules is still as the rules choose, after an analysis of another table."""
    text = "tables: {visit: {batch_size: 1000}}"
    before = parse_tables_file(text, "t").config("visit", discovery.get_pipeline_configuration("visit"))
    written = render_tables_file(generate(discovery, text, ["room"]).configs)
    after = parse_tables_file(written, "t").config("visit", discovery.get_pipeline_configuration("visit"))
    assert before.extraction_strategy == after.extraction_strategy == "incremental"
    assert (after.batch_size, after.incremental_column) == (1000, "Stamp")


def test_a_short_file_is_no_estimate(discovery):
    """An entry without a size is measured anew, not taken for an empty table."""
    config = generate(discovery, "tables: {visit: {batch_size: 1000}}").configs["visit"]
    assert config.estimated_rows == 3000
    assert config.estimated_size_mb > 2
    assert config.schema_hash == discovery.get_table_schema("visit").schema_hash


def test_a_folder_keeps_a_persons_words(discovery, tmp_path):
    """generate_complete_configuration takes the file that is there for the previous one, and makes the folder."""
    folder = tmp_path / "new" / "analysis"
    discovery.generate_complete_configuration(folder, analyzed_on="2026-12-01")
    text = (folder / "tables.yml").read_text()
    words = "  visit:\n    overrides: {batch_size: 77, reason: notes are long}\n"
    (folder / "tables.yml").write_text(text.replace("  visit:\n", words))
    discovery.generate_complete_configuration(folder, analyzed_on="2026-12-02")
    assert "overrides: {batch_size: 77, reason: notes are long}" in (folder / "tables.yml").read_text()
    with pytest.raises(ConfigError, match="cannot be written"):
        discovery.generate_complete_configuration(folder / "tables.yml" / "below")
