"""Render the generated tables of the documentation between their HTML comments.

Usage: python scripts/render_settings.py [--check]

    README.md               settings  what `tap-opendental --about --format=json` says
    docs/type-fidelity.md   types     what `tap_opendental.types` decides for each MySQL type
    docs/type-fidelity.md   values    what becomes of values that no calendar and no target knows
    docs/security.md        secrets   the columns that the knowledge forbids to read

With --check nothing is written, and the exit code is 1 when a table is stale.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opendental_analyze.explain.dbt_columns import name_postgres_type
from tap_opendental.discovery.knowledge import KnownColumn, load_knowledge
from tap_opendental.discovery.model import Column
from tap_opendental.settings import PROPERTIES
from tap_opendental.types import ReadingOptions, choose_reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tap_opendental.types import Reading

ROOT = Path(__file__).resolve().parent.parent
TAP = Path(sys.executable).parent / "tap-opendental"

BOOLEAN = KnownColumn("Value", logical="bool")
TIME_OF_DAY = KnownColumn("Value")
INTERVAL = KnownColumn("Value", logical="time_interval_may_be_negative_or_over_24h")
UNKNOWN = None
KNOWN_AS = {BOOLEAN: "known boolean", TIME_OF_DAY: "known time of day", INTERVAL: "known interval"}

TYPES: tuple[tuple[str, KnownColumn | None], ...] = (
    ("tinyint", BOOLEAN),
    ("tinyint", UNKNOWN),
    ("tinyint unsigned", UNKNOWN),
    ("smallint", UNKNOWN),
    ("smallint unsigned", UNKNOWN),
    ("mediumint", UNKNOWN),
    ("mediumint unsigned", UNKNOWN),
    ("int", UNKNOWN),
    ("int unsigned", UNKNOWN),
    ("bigint", UNKNOWN),
    ("bigint unsigned", UNKNOWN),
    ("year", UNKNOWN),
    ("bit(8)", UNKNOWN),
    ("bit(64)", UNKNOWN),
    ("float", UNKNOWN),
    ("double", UNKNOWN),
    ("decimal(10,2)", UNKNOWN),
    ("varchar(255)", UNKNOWN),
    ("text", UNKNOWN),
    ("enum('a','b')", UNKNOWN),
    ("set('a','b')", UNKNOWN),
    ("json", UNKNOWN),
    ("blob", UNKNOWN),
    ("binary(16)", UNKNOWN),
    ("geometry", UNKNOWN),
    ("date", UNKNOWN),
    ("datetime", UNKNOWN),
    ("timestamp", UNKNOWN),
    ("time", TIME_OF_DAY),
    ("time", INTERVAL),
    ("time", UNKNOWN),
)

NULL_DATES = ReadingOptions(keep_sentinel_dates=False)
HEX = ReadingOptions(binary_encoding="hex")
KEEP = ReadingOptions()
# What the driver hands over (the server's text for temporal values), and under which settings.
VALUES: tuple[tuple[str, KnownColumn | None, Any, ReadingOptions], ...] = (
    ("date", UNKNOWN, "2024-02-29", KEEP),
    ("date", UNKNOWN, "0001-01-01", KEEP),
    ("date", UNKNOWN, "0001-01-01", NULL_DATES),
    ("date", UNKNOWN, "0000-00-00", KEEP),
    ("date", UNKNOWN, "2022-11-00", KEEP),
    ("datetime", UNKNOWN, "2024-03-10 02:30:00", KEEP),
    ("datetime", UNKNOWN, "0000-00-00 00:00:00", KEEP),
    ("timestamp", UNKNOWN, "2024-03-10 02:30:00.123456", KEEP),
    ("time", TIME_OF_DAY, "08:30:00", KEEP),
    ("time", TIME_OF_DAY, "25:10:01", KEEP),
    ("time", INTERVAL, "-838:59:59", KEEP),
    ("tinyint", BOOLEAN, 1, KEEP),
    ("tinyint", BOOLEAN, 127, KEEP),
    ("bigint unsigned", UNKNOWN, 18446744073709551615, KEEP),
    ("bit(8)", UNKNOWN, b"\xa5", KEEP),
    ("blob", UNKNOWN, b"\x00\xff", KEEP),
    ("blob", UNKNOWN, b"\x00\xff", HEX),
)


def main(arguments: Sequence[str]) -> int:
    """Write what is stale, or only name it with --check."""
    stale = [name for name, text in render_documents().items() if text != (ROOT / name).read_text(encoding="utf-8")]
    if "--check" in arguments:
        for name in stale:
            print(f"{name} is stale: run python scripts/render_settings.py")
        return 1 if stale else 0
    for name in stale:
        (ROOT / name).write_text(render_documents()[name], encoding="utf-8")
        print(f"{name} written")
    return 0


def render_documents() -> Mapping[str, str]:
    """Every document that holds generated tables, with its tables as they should be."""
    blocks = {
        "README.md": {"settings": render_settings(read_about())},
        "docs/type-fidelity.md": {"types": render_types(), "values": render_values()},
        "docs/security.md": {"secrets": render_secrets(load_knowledge().secrets())},
    }
    return {name: fill((ROOT / name).read_text(encoding="utf-8"), bodies) for name, bodies in blocks.items()}


def fill(text: str, bodies: Mapping[str, str]) -> str:
    """Replace what stands between `<!-- NAME: begin -->` and `<!-- NAME: end -->` for each body."""
    for name, body in bodies.items():
        block = re.compile(rf"(<!-- {name}: begin -->\n).*?(<!-- {name}: end -->)", re.DOTALL)
        if len(block.findall(text)) != 1:
            raise SystemExit(f"the comments of block {name} must be there once")
        text = block.sub(lambda found, body=body: f"{found[1]}\n{body}\n\n{found[2]}", text)
    return text


def read_about() -> dict[str, Any]:
    """What the tap says of itself."""
    about: dict[str, Any] = json.loads(subprocess.check_output([TAP, "--about", "--format=json"]))
    return about


def render_settings(about: Mapping[str, Any]) -> str:
    """The tap's own settings, then those that every tap of the SDK has."""
    schema = about["settings"]
    own = set(PROPERTIES.wrapped)
    rows = [_setting(name, body, name in schema["required"]) for name, body in schema["properties"].items()]
    return "\n\n".join(
        [
            render_table(("setting", "kind", "default", "meaning"), [row for row in rows if row[0].strip("`") in own]),
            "From singer-sdk, for every tap:",
            render_table(
                ("setting", "kind", "meaning"), [(r[0], r[1], r[3]) for r in rows if r[0].strip("`") not in own]
            ),
        ]
    )


def _setting(name: str, body: Mapping[str, Any], required: bool) -> tuple[str, str, str, str]:  # noqa: FBT001
    kind = next(kind for kind in body["type"] if kind != "null")
    if "enum" in body:
        kind = " or ".join(f"`{value}`" for value in body["enum"])
    default = "required" if required else f"`{json.dumps(body['default'])}`" if "default" in body else ""
    meaning = body["description"] + (" Secret." if body.get("secret") else "")
    return f"`{name}`", kind, default, meaning


def render_types() -> str:
    """How each MySQL type is read, what SCHEMA says of it, and which column the stock target makes of that."""
    rows = []
    for mysql_type, known in TYPES:
        reading = read_type(mysql_type, known, KEEP)
        name = f"`{mysql_type}`" + (f" ({KNOWN_AS[known]})" if known else "")
        rows.append((name, _expression(reading), f"`{_compact(reading.schema)}`", postgres_type(reading.schema)))
    return render_table(
        ("MySQL type", "selected as", "JSON Schema (nullable columns also allow null)", "PostgreSQL"), rows
    )


def render_values() -> str:
    """What is stored and what is sent, computed by the readings themselves."""
    rows = []
    for mysql_type, known, value, options in VALUES:
        odd: Counter[str] = Counter()
        convert = read_type(mysql_type, known, options).convert
        sent = convert(value, odd) if convert else value
        setting = (
            "`sentinel_dates: null`" if options is NULL_DATES else "`binary_encoding: hex`" if options is HEX else ""
        )
        stored = f"bytes {value.hex()}" if isinstance(value, bytes) else value
        name = f"`{mysql_type}`" + (f" ({KNOWN_AS[known]})" if known else "")
        rows.append((name, f"`{stored}`", setting, f"`{json.dumps(sent)}`", "yes" if odd else ""))
    return render_table(("MySQL type", "stored", "with setting", "sent", "counted in the summary"), rows)


def read_type(mysql_type: str, known: KnownColumn | None, options: ReadingOptions) -> Reading:
    """The reading of a NOT NULL column of this type."""
    return choose_reading("sample", Column(name="Value", type=mysql_type, nullable=False), known, options)


def _expression(reading: Reading) -> str:
    return f"`{reading.expression.format('col')}`"


def _compact(schema: Mapping[str, Any]) -> str:
    kinds = schema["type"]
    shown = {"type": kinds[0] if len(kinds) == 1 else kinds, **{key: schema[key] for key in schema if key != "type"}}
    return json.dumps(shown)


def postgres_type(schema: Mapping[str, Any]) -> str:
    """The column's type in `raw`, shortened: that times have no zone there is said in the text around the table."""
    return name_postgres_type(schema).removesuffix(" without time zone")


def render_secrets(secrets: Iterable[tuple[str, str]]) -> str:
    """One line per table."""
    tables = groupby(sorted(secrets), key=lambda secret: secret[0])
    return render_table(
        ("table", "columns that are never selected"),
        [(f"`{table}`", ", ".join(f"`{column}`" for _, column in columns)) for table, columns in tables],
    )


def render_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [headings, ["---"] * len(headings), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
