"""tables.yml: what a person or `opendental analyze` decided about single tables; read and validated here.

tables:
procedurelog: {incremental_column: DateTStamp, batch_size: 2000}
sheetfield: {extraction_strategy: full_table}
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import yaml

from tap_opendental.errors import ConfigError
from tap_opendental.files import read_text

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

STRATEGIES = ("full_table", "incremental", "chunked_incremental", "streaming_incremental")
DEFAULT_BATCH_SIZE, MAX_BATCH_SIZE = 5000, 1_000_000


@dataclass(frozen=True)
class TableConfig:
    """How one table is read. None means: as the rules choose. `batch_size` is in rows a page."""

    extraction_strategy: str | None = None
    incremental_column: str | None = None
    batch_size: int = DEFAULT_BATCH_SIZE


class _Loader(yaml.SafeLoader):
    """A SafeLoader that refuses a key written twice, of which YAML would keep the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def load_tables_config(path: str) -> Mapping[str, TableConfig]:
    """Read tables.yml; ConfigError names the file, the line where YAML breaks, or the table and key.

    Tables are named in lower case: a server may fold their names.
    """
    complaint = f"tables_config: cannot read {path} ({{reason}}); correct the path or unset the setting"
    content = _parse(path, read_text(path, complaint))
    if not isinstance(content, dict) or not isinstance(content.get("tables"), dict):
        raise ConfigError(f"tables_config: {path} has no mapping `tables:` at its top; see the README for the format")
    return {str(name).lower(): _table_config(path, str(name), body) for name, body in content["tables"].items()}


def _parse(path: str, text: str) -> Any:  # noqa: ANN401 - YAML holds anything until it is validated
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader that refuses more
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"tables_config: {path} line {line} is not valid YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise ConfigError(f"tables_config: {path} is not valid YAML") from None


def _table_config(path: str, table: str, body: object) -> TableConfig:
    where = f"tables_config: {path}, table {table}"
    if not isinstance(body, dict):
        raise ConfigError(f"{where}: expected a mapping such as {{batch_size: 2000}}")
    for key in body:
        if key not in TableConfig.__dataclass_fields__:
            raise ConfigError(f"{where}: unknown key {key!r}{_did_you_mean(str(key))}")
    config = TableConfig(**body)
    if config.extraction_strategy not in (None, *STRATEGIES):
        raise ConfigError(f"{where}: extraction_strategy must be one of {', '.join(STRATEGIES)}")
    if type(config.batch_size) is not int or not 1 <= config.batch_size <= MAX_BATCH_SIZE:
        raise ConfigError(f"{where}: batch_size must be a whole number of rows, from 1 to {MAX_BATCH_SIZE}")
    if not isinstance(config.incremental_column, str | None):
        raise ConfigError(f"{where}: incremental_column must be the name of a column")
    return config


def _did_you_mean(key: str) -> str:
    close = get_close_matches(key, TableConfig.__dataclass_fields__, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known keys: {', '.join(TableConfig.__dataclass_fields__)}"
