"""Render the generated tables of the documentation between their HTML comments.

Usage: python scripts/render_settings.py [--check]

    README.md               settings  what `tap-opendental --about --format=json` says
    target-opendental-replica/README.md
                            settings  what `target-opendental-replica --about --format=json` says
    docs/type-fidelity.md   schemas   which column each dialect of the target makes of another tap's JSON Schema
    docs/type-fidelity.md   types     what `tap_opendental.types` decides for each MySQL type
    docs/type-fidelity.md   exact     the same with `values: exact`, and how LOAD DATA stores it
    docs/type-fidelity.md   marks     which rows the server marks for a second look
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
from tap_opendental.extraction.lines import CSV, JSON, LineFinisher, NulError, lay_out, render_select
from tap_opendental.extraction.lines import Column as Line
from tap_opendental.readings import Kind
from tap_opendental.settings import PROPERTIES
from tap_opendental.types import ReadingOptions, choose_reading
from target_opendental_replica.mysql.columns import describe_column
from target_opendental_replica.postgres.types import choose_type
from target_opendental_replica.settings import PROPERTIES as TARGET_PROPERTIES
from target_opendental_replica.stream_facts import Field

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tap_opendental.extraction.lines import Dialect

ROOT = Path(__file__).resolve().parent.parent
TAP = Path(sys.executable).parent / "tap-opendental"
TARGET = Path(sys.executable).parent / "target-opendental-replica"
TARGET_README = "target-opendental-replica/README.md"
# What the SDK's settings of a target do in ours; the others say how a stock sink writes, which ours does not ask.
TARGET_USES = ("add_record_metadata", "stream_maps", "stream_map_config", "faker_config", "flattening_enabled")
TARGET_USES += ("flattening_max_depth", "flattening_max_key_length", "flattening_separator")

# JSON Schema of a property as other taps send it.
SCHEMAS: tuple[dict[str, Any], ...] = (
    {"type": "integer"},
    {"type": "integer", "minimum": -128, "maximum": 127},
    {"type": "integer", "minimum": 0, "maximum": 65535},
    {"type": "integer", "minimum": 0, "maximum": 18446744073709551615},
    {"type": "integer", "minimum": 0, "maximum": 10**30},
    {"type": "number"},
    {"type": "number", "multipleOf": 0.01},
    {"type": "boolean"},
    {"type": "string"},
    {"type": "string", "maxLength": 255},
    {"type": "string", "maxLength": 256},
    {"type": "string", "format": "date"},
    {"type": "string", "format": "date-time"},
    {"type": "string", "format": "time"},
    {"type": "string", "format": "uuid"},
    {"type": "string", "contentEncoding": "base64"},
    {"type": "object"},
    {"type": "array"},
    {"type": ["integer", "string"]},
    {},
    {"type": "string", "x-sql-datatype": "smallint"},
    {"type": "string", "x-sql-datatype": "decimal(10,2)"},
)

BOOLEAN = KnownColumn("Value", logical="bool")
TIME_OF_DAY = KnownColumn("Value")
INTERVAL = KnownColumn("Value", logical="time_interval_may_be_negative_or_over_24h")
UNKNOWN = None
KNOWN_AS = {BOOLEAN: "known boolean", TIME_OF_DAY: "known time of day", INTERVAL: "known interval"}

# A type, what is known of it, and a value as the server writes it into the line.
TYPES: tuple[tuple[str, KnownColumn | None, str | bytes], ...] = (
    ("tinyint", BOOLEAN, "1"),
    ("tinyint", UNKNOWN, "-128"),
    ("tinyint unsigned", UNKNOWN, "255"),
    ("smallint", UNKNOWN, "-32768"),
    ("smallint unsigned", UNKNOWN, "65535"),
    ("mediumint", UNKNOWN, "-8388608"),
    ("mediumint unsigned", UNKNOWN, "16777215"),
    ("int", UNKNOWN, "-2147483648"),
    ("int unsigned", UNKNOWN, "4294967295"),
    ("int unsigned zerofill", UNKNOWN, "42"),
    ("bigint", UNKNOWN, "-9223372036854775808"),
    ("bigint unsigned", UNKNOWN, "18446744073709551615"),
    ("year", UNKNOWN, "2155"),
    ("bit(8)", UNKNOWN, "165"),
    ("bit(64)", UNKNOWN, "18446744073709551615"),
    ("float", UNKNOWN, "16777216"),
    ("double", UNKNOWN, "0.30000000000000004"),
    ("decimal(10,2)", UNKNOWN, "-0.50"),
    ("char(10)", UNKNOWN, "word"),
    ("varchar(255)", UNKNOWN, 'say "no", please'),
    ("tinytext", UNKNOWN, "word"),
    ("text", UNKNOWN, "word"),
    ("mediumtext", UNKNOWN, "word"),
    ("longtext", UNKNOWN, "word"),
    ("json", UNKNOWN, '{"a": 1}'),
    ("enum('a','b')", UNKNOWN, "a"),
    ("set('a','b')", UNKNOWN, "a,b"),
    ("uuid", UNKNOWN, "123e4567-e89b-12d3-a456-426655440000"),
    ("inet4", UNKNOWN, "192.0.2.1"),
    ("inet6", UNKNOWN, "2001:db8::1"),
    ("binary(2)", UNKNOWN, b"\x00\xff"),
    ("varbinary(255)", UNKNOWN, b"\x00\xff"),
    *((f"{size}blob", UNKNOWN, b"\x00\xff") for size in ("tiny", "", "medium", "long")),
    ("geometry", UNKNOWN, bytes.fromhex("0101000000000000000000f03f0000000000000040")),
    ("date", UNKNOWN, "2024-02-29"),
    ("datetime", UNKNOWN, "2024-02-29 12:00:00"),
    ("datetime(6)", UNKNOWN, "2024-02-29 12:00:00.000001"),
    ("timestamp", UNKNOWN, "2024-02-29 12:00:00"),
    ("time", TIME_OF_DAY, "08:30:00"),
    ("time", INTERVAL, "-838:59:59"),
    ("time", UNKNOWN, "-838:59:59"),
)

EXACT = ReadingOptions(nul_in_text="keep", exact=True)
# Types whose exact reading differs from that of the types above: their collation, and a value as the server writes it.
EXACT_TYPES: tuple[tuple[str, str | None, str | bytes], ...] = (
    ("tinyint", None, "-128"),
    ("int unsigned zerofill", None, "42"),
    ("bigint unsigned", None, "18446744073709551615"),
    ("year", None, "2155"),
    ("bit(64)", None, "18446744073709551615"),
    ("enum('a','b')", None, "2"),
    ("set('a','b')", None, "3"),
    ("float", None, "16777216"),
    ("double", None, "0.30000000000000004"),
    ("decimal(10,2)", None, "-0.50"),
    ("varchar(255)", None, 'say "no", please'),
    ("varchar(255)", "latin1_swedish_ci", "word"),
    ("varchar(255)", "cp1251_general_ci", b"A\x98"),
    ("text", None, "word"),
    ("longtext", None, "word"),
    ("json", None, '{"a": 1}'),
    ("uuid", None, "123e4567-e89b-12d3-a456-426655440000"),
    ("inet4", None, "192.0.2.1"),
    ("inet6", None, "2001:db8::1"),
    ("binary(2)", None, b"\x00\xff"),
    ("longblob", None, b"\x00\xff"),
    ("geometry", None, bytes.fromhex("e61000000101000000000000000000f03f0000000000000040")),
    ("date", None, "2022-11-00"),
    ("datetime(6)", None, "2024-02-29 12:00:00.000001"),
    ("timestamp", None, "0000-00-00 00:00:00"),
    ("time", None, "-838:59:59"),
)

NULL_DATES = ReadingOptions(keep_sentinel_dates=False)
HEX = ReadingOptions(binary_encoding="hex")
KEEP = ReadingOptions()
STRIP, REFUSE, LEAVE = (ReadingOptions(nul_in_text=choice) for choice in ("strip", "fail", "keep"))
SETTING = {
    KEEP: "",
    NULL_DATES: "`sentinel_dates: null`",
    HEX: "`binary_encoding: hex`",
    STRIP: "`nul_in_text: strip`",
    REFUSE: "`nul_in_text: fail`",
    LEAVE: "`nul_in_text: keep`",
}
# What the server writes of a stored value, and under which settings.
VALUES: tuple[tuple[str, KnownColumn | None, str | bytes, ReadingOptions], ...] = (
    ("date", UNKNOWN, "2024-02-29", KEEP),
    ("date", UNKNOWN, "0001-01-01", KEEP),
    ("date", UNKNOWN, "0001-01-01", NULL_DATES),
    ("date", UNKNOWN, "0000-00-00", KEEP),
    ("date", UNKNOWN, "2022-11-00", KEEP),
    ("date", UNKNOWN, "2023-02-31", KEEP),
    ("date", UNKNOWN, "0000-12-31", KEEP),
    ("datetime", UNKNOWN, "2024-03-10 02:30:00", KEEP),
    ("datetime", UNKNOWN, "0000-00-00 00:00:00", KEEP),
    ("timestamp(6)", UNKNOWN, "2024-03-10 02:30:00.123456", KEEP),
    ("time", TIME_OF_DAY, "08:30:00", KEEP),
    ("time", TIME_OF_DAY, "25:10:01", KEEP),
    ("time", INTERVAL, "-838:59:59", KEEP),
    ("tinyint", BOOLEAN, "1", KEEP),
    ("tinyint", BOOLEAN, "127", KEEP),
    ("bigint unsigned", UNKNOWN, "18446744073709551615", KEEP),
    ("decimal(65,30)", UNKNOWN, "0." + "0" * 29 + "1", KEEP),
    ("varchar(255)", UNKNOWN, "", KEEP),
    ("varchar(255)", UNKNOWN, "NULL", KEEP),
    ("varchar(255)", UNKNOWN, "a\0b", KEEP),
    ("varchar(255)", UNKNOWN, "a\0b", STRIP),
    ("varchar(255)", UNKNOWN, "a\0b", REFUSE),
    ("varchar(255)", UNKNOWN, "a\0b", LEAVE),
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
        "README.md": {"settings": render_settings(read_about(TAP), PROPERTIES.wrapped)},
        TARGET_README: {"settings": render_settings(read_about(TARGET), TARGET_PROPERTIES.wrapped, TARGET_USES)},
        "docs/type-fidelity.md": {
            "types": render_types(),
            "exact": render_exact_types(),
            "marks": render_marks(),
            "values": render_values(),
            "schemas": render_schemas(),
        },
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


def read_about(program: Path) -> dict[str, Any]:
    """What a plugin says of itself."""
    about: dict[str, Any] = json.loads(subprocess.check_output([program, "--about", "--format=json"]))
    return about


def render_settings(about: Mapping[str, Any], own: Iterable[str], others: Sequence[str] | None = None) -> str:
    """A plugin's own settings, then those that it has of the SDK: all, or the `others` that are named."""
    schema = about["settings"]
    names = set(own)
    rows = {name: _setting(name, body, name in schema["required"]) for name, body in schema["properties"].items()}
    borrowed = [name for name in rows if name not in names] if others is None else others
    return "\n\n".join(
        [
            render_table(
                ("setting", "kind", "default", "meaning"), [row for name, row in rows.items() if name in names]
            ),
            "From singer-sdk:" if others else "From singer-sdk, for every tap:",
            render_table(
                ("setting", "kind", "meaning"), [(row[0], row[1], row[3]) for row in map(rows.get, borrowed) if row]
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


def render_schemas() -> str:
    """The column that each dialect makes of a property of another tap, and of a key in MySQL."""
    rows = []
    for schema in SCHEMAS:
        field = Field("col", schema)
        plain, key = (describe_column(field, is_key=is_key)["type"] for is_key in (False, True))
        rows.append((f"`{json.dumps(schema)}`", f"`{plain}`", f"`{key}`" if key != plain else "", choose_type(schema)))
    return render_table(("JSON Schema", "mysql", "mysql, as a key", "postgresql"), rows)


def render_types() -> str:
    """How each MySQL type is read, what SCHEMA says of it, and what each destination gets of it."""
    headings = (
        "MySQL type",
        "JSON value, in SQL",
        "JSON Schema (nullable columns also allow null)",
        "PostgreSQL",
        "CSV field",
    )
    return render_table(headings, [_describe_type(*described) for described in TYPES])


def _describe_type(mysql_type: str, known: KnownColumn | None, value: str | bytes) -> tuple[str, ...]:
    column = read_type(mysql_type, known, KEEP)
    schema = column.reading.schema
    return (
        _name(mysql_type, known),
        _expression(column),
        f"`{_compact(schema)}`",
        postgres_type(schema),
        f"`{_finish(column, value, CSV, KEEP)[0]}`",
    )


def _name(mysql_type: str, known: KnownColumn | None) -> str:
    return f"`{mysql_type}`" + (f" ({KNOWN_AS[known]})" if known else "")


def _expression(column: Line) -> str:
    """The SQL of a value in JSON, without the mark; what is read apart is finished by the tap."""
    layout = lay_out([column], [], packet=2**30, mean_row=0)
    text = render_select(layout, JSON)[-1].replace("`", "")
    if layout.apart:
        return f"`{text}`, {'encoded' if column.reading.kind is Kind.BYTES else 'escaped'} by the tap"
    arguments = re.sub(r"^IF\(.*?, '!', ''\), ", "", text.removeprefix("CONCAT(").removesuffix(")"))
    return f"`{arguments}`"


def render_exact_types() -> str:
    """How each MySQL type is read with `values: exact`, and what makes the same value of it in a copy."""
    headings = ("MySQL type", "JSON value, in SQL", "JSON Schema", "CSV field", "MySQL, by LOAD DATA")
    return render_table(headings, [_describe_exact_type(*described) for described in EXACT_TYPES])


def _describe_exact_type(mysql_type: str, collation: str | None, value: str | bytes) -> tuple[str, ...]:
    column = read_type(mysql_type, UNKNOWN, EXACT, collation)
    charset = f" in {collation.partition('_')[0]}" if collation else ""
    return (
        f"`{mysql_type}`{charset}",
        _expression(column),
        f"`{_compact(column.reading.schema)}`",
        f"`{_finish(column, value, CSV, EXACT)[0]}`",
        f"`{load_expression(mysql_type, collation)}`",
    )


def load_expression(mysql_type: str, collation: str | None = None) -> str:
    """How LOAD DATA stores an exact CSV field in a column of the source's own type; tests do it so."""
    if read_type(mysql_type, UNKNOWN, EXACT, collation).reading.kind is Kind.BYTES:
        return "FROM_BASE64(@col)"
    # as text, 0 would be the year 2000, 165 three bytes of a BIT, and 1 a member of that name
    as_number = Column(name="col", type=mysql_type).base_type in {"year", "bit", "enum", "set"}
    return "CAST(@col AS UNSIGNED)" if as_number else "@col"


def render_marks() -> str:
    """Which rows the server marks, and what becomes of the value."""
    described = (("date", UNKNOWN, KEEP), ("timestamp", UNKNOWN, KEEP), ("date", UNKNOWN, NULL_DATES))
    described += (("time", TIME_OF_DAY, KEEP), ("tinyint", BOOLEAN, KEEP))
    rows = [
        (_name(mysql_type, known), SETTING[options], f"`{suspect.replace('{0}', 'col')}`")
        for mysql_type, known, options in described
        if (suspect := read_type(mysql_type, known, options).reading.suspect)
    ]
    return render_table(("MySQL type", "with setting", "rows that are looked at again, in SQL"), rows)


def render_values() -> str:
    """What is stored and what is sent, computed by the readings themselves."""
    rows = []
    for mysql_type, known, value, options in VALUES:
        column = read_type(mysql_type, known, options)
        (in_json, odd), (in_csv, _) = (_finish(column, value, dialect, options) for dialect in (JSON, CSV))
        stored = f"bytes {value.hex()}" if isinstance(value, bytes) else value.replace("\0", "\\0")
        sent = (f"`{text}`" if text else "refused" for text in (in_json, in_csv.replace("\0", "\\0")))
        rows.append(
            (
                _name(mysql_type, known),
                f"`{stored}`" if stored else "empty",
                SETTING[options],
                *sent,
                "yes" if odd else "",
            )
        )
    return render_table(("MySQL type", "stored", "with setting", "JSON", "CSV", "counted in the summary"), rows)


def _finish(column: Line, value: str | bytes, dialect: Dialect, options: ReadingOptions) -> tuple[str, Counter[str]]:
    """The field that is sent of a value, and what was counted; nothing where the stream fails."""
    odd: Counter[str] = Counter()
    layout = lay_out([column], [], packet=2**30, mean_row=0)
    finisher = LineFinisher(
        layout, dialect, odd, encoding=options.binary_encoding, nul=options.nul_in_text, table="sample"
    )
    try:
        return finisher.finish([("", value) if layout.apart else (_write(column, value, dialect),)])[0], odd
    except NulError:
        return "", odd


def _write(column: Line, value: str | bytes, dialect: Dialect) -> str:
    """The server's line of one value, marked if it might have to be."""
    reading, text = column.reading, str(value)
    if reading.json_expression and dialect is JSON:
        text = _write_json(reading.json_expression, text)
    if reading.kind is Kind.TEXT:
        text = dialect.escape(text)
    elif reading.kind is Kind.PLAIN:
        text = f"{dialect.plain_quote}{text}{dialect.plain_quote}"
    return f"!{text}" if reading.mend else text


def _write_json(expression: str, text: str) -> str:
    """What the server makes of a value's text where JSON has an expression of its own."""
    if expression.startswith("CASE"):
        return {"0": "false", "1": "true"}.get(text, f"odd{text}")
    return text.replace(" ", "T") + ("+00:00" if "+00:00" in expression else "")


def read_type(
    mysql_type: str, known: KnownColumn | None, options: ReadingOptions, collation: str | None = None
) -> Line:
    """A NOT NULL column of this type, as the tap plans it."""
    column = Column(name="col", type=mysql_type, nullable=False, collation=collation)
    return Line("col", "col", choose_reading("sample", column, known, options))


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
