"""An analysis from wherever it is named: analysis.json, a folder that holds one, or a live source."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opendental_analyze.explain.address import read_address
from tap_opendental.connector import create_source_engine, plain_errors
from tap_opendental.discovery import SchemaDiscovery
from tap_opendental.discovery.judgements import ANALYSIS_VERSION
from tap_opendental.errors import ConfigError
from tap_opendental.files import read_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_opendental.discovery.judgements import SchemaAnalysis

FILE_NAME = "analysis.json"
LIVE = "env:"
ANY = "*"

_NUMBER = (int, float)
_TEXT_OR_NONE = (str, type(None))
_TYPE = re.compile(r"(enum|set)\(|(?!.*\(\d{11})", re.IGNORECASE | re.DOTALL)  # no length has so many digits
# What is read of an analysis.json: a type, types, an object with these keys (or with any), a list of one shape, or
# what a text must match.
_COLUMN = {"name": str, "type": _TYPE, "nullable": bool, "default": _TEXT_OR_NONE, "kinds": dict, "patient_data": [str]}
_COLUMN |= {"secret": _TEXT_OR_NONE, "on_update": _TEXT_OR_NONE, "auto_increment": bool}
_COLUMN |= {"collation": _TEXT_OR_NONE, "generated": _TEXT_OR_NONE}
_PART = {"name": str, "length": (int, type(None)), "descending": bool}
_INDEX = {"name": str, "unique": bool, "kind": str, "columns": [_PART]}
_REFERENCE = {"column": str, "to_table": str, "to_column": str, "source": str, "confidence": _NUMBER}
_OVERRIDE = {"conversion_rule": str, "precision": (int, type(None))}
_CONFIGURATION = {"incremental_column": _TEXT_OR_NONE, "extraction_strategy": str, "table_importance": str}
_CONFIGURATION |= {"batch_size": int, "is_modeled": bool, "column_overrides": {ANY: _OVERRIDE}}
_TABLE = {
    "name": str,
    "engine": str,
    "charset": str,
    "collation": str,
    "schema_hash": str,
    "primary_key": [str],
    "columns": [_COLUMN],
    "indexes": [_INDEX],
    "replication": {"key": _TEXT_OR_NONE, "append_only": bool},
    "usage": {"update_frequency": str},
    "references": [_REFERENCE],
    "configuration": _CONFIGURATION,
}
_ANALYSIS = {
    "database": str,
    "server": {"version": str, "flavour": str},
    "knowledge_version": str,
    "analyzed_on": str,
    "complete": bool,
    "tables": [_TABLE],
    "left_out": [{"table": str, "reason": str}],
}
_WORDS = {str: "text", bool: "true or false", int: "a whole number", dict: "an object", list: "a list"}


def read_side(side: str, environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Read one side of a comparison: ``env:PREFIX`` analyses a live source, anything else is the path of a file.

    Raises ConfigError for a file that is no analysis or a variable that is missing, and what a source raises.
    """
    if side.startswith(LIVE):
        return analyze_source(side.removeprefix(LIVE), environment)
    return read_analysis(Path(side))


def analyze_source(prefix: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Analyse the source whose address is in PREFIX_HOST, PREFIX_USER and their like."""
    if not prefix:
        raise ConfigError(f"{LIVE} names no variables: write {LIVE}PREFIX for PREFIX_HOST, PREFIX_USER ...")
    address = read_address(environment, prefix)
    engine = create_source_engine(address)
    try:
        with plain_errors(address):
            analysis: SchemaAnalysis = SchemaDiscovery(engine, address.database).analyze_complete_schema()
            return analysis.to_dict()
    finally:
        engine.dispose()


def read_analysis(path: Path) -> dict[str, Any]:
    """Read analysis.json, or that of a folder; ConfigError names the file, the place in it and what to do."""
    is_folder = os.path.isdir(path)  # noqa: PTH112  # never raises: Path.is_dir does, for a path that is too long
    file = path / FILE_NAME if is_folder else path
    return parse_analysis(read_text(str(file), f"{file}: cannot be read ({{reason}})"), str(file))


def parse_analysis(text: str, name: str) -> dict[str, Any]:
    """Turn the text of analysis.json into plain JSON types; ConfigError if it is broken or something else's."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as problem:
        raise ConfigError(f"{name}: not valid JSON (line {problem.lineno}, column {problem.colno})") from None
    except ValueError:  # beside JSONDecodeError: Python reads no number of more than 4,300 digits
        raise ConfigError(f"{name}: not an analysis of `opendental analyze`: a number is too long") from None
    except RecursionError:
        raise ConfigError(f"{name}: JSON nested too deeply to be an analysis") from None
    if not isinstance(content, dict) or "analysis_version" not in content:
        raise ConfigError(f"{name}: not an analysis of `opendental analyze`, at its top: no analysis_version")
    if content["analysis_version"] != ANALYSIS_VERSION:
        raise ConfigError(
            f"{name}: analysis_version is not {ANALYSIS_VERSION!r}: analyse again with this version of opendental"
        )
    if misfit := _find_misfit(content, _ANALYSIS, ""):
        raise ConfigError(f"{name}: not an analysis of this version of `opendental analyze`, at {misfit}")
    return content


def _find_misfit(value: Any, shape: Any, place: str) -> str | None:  # noqa: ANN401  # JSON
    """Say where a value has not the shape, such as ``tables[3].name: text is expected``; None when it fits."""
    if isinstance(shape, dict):
        return _misfit_of_object(value, shape, place)
    if isinstance(shape, list):
        return _misfit_of_list(value, shape[0], place)
    if isinstance(shape, re.Pattern):
        return _misfit_of_type(value, shape, place)
    kinds = shape if isinstance(shape, tuple) else (shape,)
    fits = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
    return None if fits else f"{place}: {_WORDS.get(kinds[0], 'a number')} is expected"


def _misfit_of_type(value: Any, shape: re.Pattern[str], place: str) -> str | None:  # noqa: ANN401  # JSON
    if not isinstance(value, str):
        return f"{place}: text is expected"
    return None if shape.match(value) else f"{place}: a type of MySQL is expected"


def _misfit_of_object(value: Any, shape: Mapping[str, Any], place: str) -> str | None:  # noqa: ANN401  # JSON
    if not isinstance(value, dict):
        return f"{place}: an object is expected"
    keys = dict.fromkeys(value, shape[ANY]) if ANY in shape else shape
    for key, inner in keys.items():
        where = f"{place}.{key}".lstrip(".")
        if key not in value:
            return f"{where}: missing"
        if misfit := _find_misfit(value[key], inner, where):
            return misfit
    return None


def _misfit_of_list(value: Any, shape: Any, place: str) -> str | None:  # noqa: ANN401  # JSON
    if not isinstance(value, list):
        return f"{place}: a list is expected"
    misfits = (_find_misfit(item, shape, f"{place}[{number}]") for number, item in enumerate(value))
    return next((misfit for misfit in misfits if misfit), None)
