"""tables.yml: a mistake is named with file, table and key before anything is read."""

import pytest

from tap_opendental.discovery.tables_config import TableConfig, load_tables_config
from tap_opendental.errors import ConfigError


def test_known_keys_are_read(tmp_path):
    """Each table gets its decisions, the others their defaults."""
    path = tmp_path / "tables.yml"
    path.write_text("tables:\n  fee: {batch_size: 10}\n  sheet: {extraction_strategy: full_table}\n")
    assert load_tables_config(str(path)) == {
        "fee": TableConfig(batch_size=10),
        "sheet": TableConfig(extraction_strategy="full_table"),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tables: [", "line 1 is not valid YAML"),
        ("fee: {}", "no mapping `tables:`"),
        ("tables: {fee: 3}", "table fee: expected a mapping"),
        ("tables: {fee: {bach_size: 3}}", "table fee: unknown key 'bach_size'; did you mean 'batch_size'"),
        ("tables: {fee: {batch_size: 0}}", "table fee: batch_size must be"),
        ("tables: {fee: {extraction_strategy: magic}}", "table fee: extraction_strategy must be one of"),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    """One line says which file, which table, which key and what to do."""
    path = tmp_path / "tables.yml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"tables.yml.*{message}") as caught:
        load_tables_config(str(path))
    assert "\n" not in str(caught.value)


def test_an_unreadable_file_is_a_config_error(tmp_path):
    """A path that cannot be read is named with the reason."""
    with pytest.raises(ConfigError, match=r"cannot read .*nowhere.yml \(No such file or directory\)"):
        load_tables_config(str(tmp_path / "nowhere.yml"))
