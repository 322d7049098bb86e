"""The synthetic practice, byte by byte and without a server."""

import hashlib
import re

import pytest

from opendental_analyze.sandbox.practice import (
    CANARIES,
    CANARY_CELLS,
    CANARY_KEY,
    HISTORY_END,
    NUL_CELL,
    NUL_KEYS,
    SECRET_CANARIES,
    plan_practice,
    render_block,
)
from opendental_analyze.sandbox.practice import inventions as made
from opendental_analyze.sandbox.practice.blocks import BLOCK_ROWS, Block, blocks_of
from opendental_analyze.sandbox.practice.content import LARGE_TEXTS
from opendental_analyze.sandbox.practice.history import INSTANTS, NO_DATE, instant_of_row, moment_at
from opendental_analyze.sandbox.practice.load import _render_ahead
from opendental_analyze.sandbox.practice.ratios import ALSO_FILLED, TYPICAL_PATIENTS
from tap_opendental.discovery.knowledge import load_knowledge

PATIENTS = 100
KNOWLEDGE = load_knowledge()
PLAN = plan_practice(KNOWLEDGE, patients=PATIENTS, seed=1)
DIGEST_OF_20_PATIENTS = "a421147770b758a637749d9ea640c8241d17c29d906842002aa0f46769e7f1dd"
ESCAPED = re.compile(r"\\(.)", re.DOTALL)
PLAIN = {"t": "\t", "n": "\n", "r": "\r", "0": "\0", "Z": "\x1a", "\\": "\\"}


def decode(field):
    return None if field == r"\N" else ESCAPED.sub(lambda found: PLAIN[found[1]], field)


def read_rows(data):
    return [[decode(field) for field in line.split("\t")] for line in data.decode().removesuffix("\n").split("\n")]


def digest(patients, seed):
    plan, found = plan_practice(KNOWLEDGE, patients=patients, seed=seed), hashlib.sha256()
    for table in plan.rows:
        for block in blocks_of(plan, table):
            found.update(render_block(KNOWLEDGE.tables[table], block))
    return found.hexdigest()


@pytest.fixture(scope="module")
def cells():
    """Every value of a practice: {(table, column): [values in the order of the keys]}."""
    found = {}
    for table in PLAN.rows:
        rows = [
            row for block in blocks_of(PLAN, table) for row in read_rows(render_block(KNOWLEDGE.tables[table], block))
        ]
        assert len(rows) == PLAN.rows[table]
        names = KNOWLEDGE.tables[table].table.column_names
        found |= {(table, name): values for name, values in zip(names, zip(*rows, strict=True), strict=False)}
    return found


def columns(condition):
    """Places (table, column) of filled tables whose known column and structural column satisfy a condition."""
    return [
        (name, column.name)
        for name, table in KNOWLEDGE.tables.items()
        if PLAN.rows[name]
        for column in table.table.columns
        if condition(table.columns[column.name], column)
    ]


def test_the_same_seed_gives_the_same_bytes():
    """A practice depends on its seed and size alone: this digest holds on every machine, Python and hash seed."""
    assert digest(20, 7) == DIGEST_OF_20_PATIENTS


def test_worker_processes_render_the_same_bytes(tmp_path):
    """Large practices are rendered by processes of their own, in order, and come out no different."""
    names = ("patient", "paysplit", "securitylog", "preference", "sheetfield", "recall", "files")
    blocks = [block for name in names for block in blocks_of(PLAN, name)]
    tasks = [(KNOWLEDGE.tables[block.table], block, tmp_path / f"{number}.tsv") for number, block in enumerate(blocks)]
    files = list(_render_ahead(tasks))
    assert files == [file for _, _, file in tasks]
    for (table, block, _), file in zip(tasks, files, strict=True):
        assert file.read_bytes() == render_block(table, block)


def test_another_seed_gives_other_bytes():
    """The seed decides the values of the rows."""
    block = next(blocks_of(PLAN, "commlog"))
    other = Block(plan_practice(KNOWLEDGE, patients=PATIENTS, seed=2), "commlog", block.first, block.count)
    table = KNOWLEDGE.tables["commlog"]
    assert render_block(table, block) != render_block(table, other)


def test_tables_have_the_proportions_of_the_real_practice():
    """At the real number of patients every table has its real number of rows, or is filled on purpose."""
    rows = plan_practice(KNOWLEDGE, patients=TYPICAL_PATIENTS, seed=1).rows
    typical = {name: table.typical_rows or 0 for name, table in KNOWLEDGE.tables.items()} | ALSO_FILLED
    assert {name: (rows[name], typical[name]) for name in rows if abs(rows[name] - typical[name]) > 300} == {}


@pytest.mark.parametrize("patients", [1, 150, 10_000])
def test_half_of_the_tables_stay_empty(patients):
    """Whatever the size, a table has rows exactly if it has any in the real practice or is filled on purpose."""
    rows = plan_practice(KNOWLEDGE, patients=patients, seed=1).rows
    filled = {name for name, table in KNOWLEDGE.tables.items() if table.typical_rows} | set(ALSO_FILLED)
    assert {name for name, count in rows.items() if count} == filled
    assert len(rows) - len(filled) == 206


def test_ten_thousand_patients_make_six_million_rows():
    """The practice grows with its patients; what an office sets up once does not."""
    rows = plan_practice(KNOWLEDGE, patients=10_000, seed=1).rows
    assert 5_500_000 < sum(rows.values()) < 6_500_000
    assert (rows["patient"], rows["preference"]) == (10_000, 343)


def test_blocks_cover_a_table_without_gap_or_overlap():
    """The keys of a table are 1 to n, in order, however many blocks it takes."""
    plan = plan_practice(KNOWLEDGE, patients=2_000, seed=1)
    keys = [key for block in blocks_of(plan, "securitylog") for key in block.keys]
    assert keys == list(range(1, plan.rows["securitylog"] + 1))
    assert len(keys) > BLOCK_ROWS


def test_keys_number_the_rows(cells):
    """Every primary key is 1 to n; those of patientnote and ehrpatient are keys of patients."""
    for name in PLAN.rows:
        if PLAN.rows[name]:
            key = cells[name, KNOWLEDGE.tables[name].table.primary_key[0]]
            assert key == tuple(map(str, range(1, PLAN.rows[name] + 1)))
    assert PLAN.rows["ehrpatient"] <= PLAN.rows["patient"] >= PLAN.rows["patientnote"]


def test_references_point_at_rows(cells):
    """A documented reference to a key is 0, -1 or a row that exists."""
    astray = set()
    for place in columns(lambda known, column: len(known.references) == 1 and column.base_type in {"bigint", "int"}):
        target, column = KNOWLEDGE.column(*place).references[0].split(".")
        if (column,) == KNOWLEDGE.tables[target].table.primary_key and place[1] != column:
            allowed = {"0", "-1", *map(str, range(1, PLAN.rows[target] + 1))}
            astray |= {(*place, value) for value in set(cells[place]) - allowed}
    assert astray == set()


def test_claims_procedures_and_payments_agree(cells):
    """A claim's procedures are the claim's patient's, a split goes to the patient of its procedure."""
    treated = dict(zip(cells["procedurelog", "ProcNum"], cells["procedurelog", "PatNum"], strict=True))
    claimed = dict(zip(cells["claim", "ClaimNum"], cells["claim", "PatNum"], strict=True))
    paid = dict(zip(cells["payment", "PayNum"], cells["payment", "PatNum"], strict=True))
    assert cells["claimproc", "PatNum"] == tuple(treated[key] for key in cells["claimproc", "ProcNum"])
    assert cells["claimproc", "PatNum"] == tuple(claimed[key] for key in cells["claimproc", "ClaimNum"])
    assert cells["paysplit", "PatNum"] == tuple(treated[key] for key in cells["paysplit", "ProcNum"])
    assert cells["paysplit", "PatNum"] == tuple(paid[key] for key in cells["paysplit", "PayNum"])
    appointed = dict(zip(cells["appointment", "AptNum"], cells["appointment", "PatNum"], strict=True)) | {"0": None}
    pairs = zip(cells["procedurelog", "AptNum"], cells["procedurelog", "PatNum"], strict=True)
    assert {appointed[appointment] in {None, patient} for appointment, patient in pairs} == {True}


def test_history_ends_where_it_says():
    """The last row of every table is of the last second of the history, and no row before it is of a later one."""
    assert moment_at(INSTANTS - 1) == str(HISTORY_END)
    for rows in (1, 7, 1_000, 100_003):
        instants = [instant_of_row(key, rows) for key in range(1, rows + 1)]
        assert instants == sorted(instants)
        assert instants[-1] == INSTANTS - 1


def test_timestamps_are_of_the_past(cells):
    """Every self-updating column has a time of the history in every row; thousands of rows share one second."""
    stamps = columns(lambda known, _: known.time_role == "row_changed_auto")
    assert len(stamps) > 50
    for place in stamps:
        assert min(cells[place]) >= "2017-01-02 08:00:00"
        assert max(cells[place]) <= str(HISTORY_END)
    logged = cells["securitylog", "LogDateTime"]
    assert max(map(logged.count, set(logged[len(logged) // 2 : len(logged) * 6 // 10]))) > 500


def test_append_only_tables_grow_with_their_key(cells):
    """In a table that is only appended to, a larger key never has an earlier time."""
    for place in (("securitylog", "LogDateTime"), ("procnote", "EntryDateTime"), ("entrylog", "EntryDateTime")):
        assert list(cells[place]) == sorted(cells[place])


NASTY = [
    ("date", {"0000-00-00", "2022-11-00", "2019-00-00", NO_DATE, "1900-01-01"}),
    ("datetime", {"0000-00-00 00:00:00", "2022-11-00 00:00:00", "0001-01-01 00:00:00", "1900-01-01 00:00:00"}),
    ("time", {"-838:59:59", "838:59:59", "100:00:00", "-00:30:00", "23:59:59"}),
    ("tinyint", {"-128", "127", "255"}),
    ("smallint", {"-32768", "32767", "65535"}),
    ("int", {"-2147483648", "2147483647"}),
    ("bigint", {"-9223372036854775808", "9223372036854775807", "-1"}),
    ("double", {"0.30000000000000004", "1.7976931348623157e308", "2.2250738585072014e-308", "9007199254740993"}),
    ("float", {"16777216", "0.333333343"}),
    (
        "varchar",
        {"", " ", "NULL", "\\N", "O'Zyxquote", 'say "zyx"', "back\\slash\\", "tab\there", "crlf\r\nend\r", None},
    ),
    ("text", {"", " leading", "trailing ", "漢字かな", "combining e\u0301", "line\nbreak", "\ufeffbom", None}),
]


@pytest.mark.parametrize(("base_type", "values"), NASTY, ids=[name for name, _ in NASTY])
def test_every_practice_is_nasty(cells, base_type, values):
    """The values that break pipelines occur in every practice, however small."""
    places = columns(lambda _, column: column.base_type == base_type)
    assert values - {value for place in places for value in cells[place]} == set()


def test_meanings_are_kept(cells):
    """True booleans hold 0, 1 and a few 2, YN columns 0 to 2, ticks over 32 bits, colours below zero."""
    booleans = {value for place in columns(lambda known, _: known.is_boolean) for value in cells[place]}
    assert booleans - {None} == {"0", "1", "2"}
    assert set(cells["patient", "TxtMsgOk"]) == {"0", "1", "2"}
    ticks = {int(value) for place in columns(lambda known, _: known.is_ticks) for value in cells[place]}
    assert min(ticks) < 0
    assert max(ticks) > 2**32
    colours = {int(value) for place in columns(lambda known, _: known.is_colour) for value in cells[place]}
    assert min(colours) < 0


def test_texts_fit_their_columns(cells):
    """No value is longer than its column, none needs four bytes, the latin1 table holds latin1 that is not ASCII."""
    for name, column in columns(lambda _, column: "char" in column.type):
        length = int(re.search(r"\d+", KNOWLEDGE.tables[name].table.column(column).type)[0])
        assert max(len(value or "") for value in cells[name, column]) <= length
    assert max(ord(character) for values in cells.values() for value in values for character in value or "") < 0x10000
    latin1 = "".join(
        value or "" for place in columns(lambda *_: True) if place[0] == "equipment" for value in cells[place]
    )
    assert not latin1.encode("latin1").isascii()


def test_large_values_are_there(cells):
    """Columns for images and messages have a value of the size that they are known for."""
    assert {place: max(len(value or "") for value in cells[place]) for place in LARGE_TEXTS} == {
        place: pytest.approx(size, rel=0.01) for place, size in LARGE_TEXTS.items()
    }


def test_blobs_hold_every_byte(cells):
    """A blob has all 256 values of a byte."""
    assert {byte for value in cells["files", "Data"] for byte in bytes.fromhex(value)} == set(range(256))


def test_comma_lists_refer_to_rows(cells):
    """A list of references in a text column is keys between commas."""
    assert any(re.fullmatch(r"\d+(,\d+)*", value or "") for value in cells["accountingautopay", "PickList"])


def test_the_nul_character_is_in_one_column_only(cells):
    """U+0000, which PostgreSQL refuses, is in the rows that are named for it and in no other."""
    assert {place for place, values in cells.items() if any("\0" in (value or "") for value in values)} == {NUL_CELL}
    keys = [key for key, value in enumerate(cells[NUL_CELL], 1) if "\0" in (value or "")]
    assert tuple(keys) == NUL_KEYS


def test_canaries_are_where_they_are_said_to_be(cells):
    """A test that searches logs for the canaries knows the rows that hold them."""
    for place, canary in CANARY_CELLS.items():
        assert cells[place][CANARY_KEY - 1] == canary
    assert set(CANARY_CELLS.values()) == set(CANARIES)


def test_every_secret_is_a_canary(cells):
    """The columns that nobody may read hold a word that occurs nowhere else."""
    secrets = {place for place in KNOWLEDGE.secrets() if PLAN.rows[place[0]]}
    holders = {place for place, values in cells.items() if any(SECRET_CANARIES[0] in (value or "") for value in values)}
    assert holders == secrets
    assert {value.startswith(SECRET_CANARIES[0]) for place in secrets for value in cells[place]} == {True}


def test_nobody_is_real(cells):
    """Names are made of syllables, telephones end in 555-01xx, mail goes to example domains, numbers begin with 000."""
    texts = [value for values in cells.values() for value in set(values) if value and len(value) < 2_000]
    mail = {domain for text in texts for domain in re.findall(r"[\w.]+@([\w.-]+)", text)}
    assert mail == set(made.MAIL_DOMAINS)
    links = {host for text in texts for host in re.findall(r"https?://([\w.-]+)", text)}
    assert links == {"practice.invalid"}
    phones = {value for place in columns(_holds("phone_fax")) for value in cells[place] if _looks_like_number(value, 7)}
    assert {bool(re.fullmatch(r"\(555\)555-01\d\d", value)) for value in phones} == {True}
    social = {value for place in columns(_holds("ssn")) for value in cells[place] if _looks_like_number(value, 7)}
    assert {value[:3] for value in social} == {"000", "987"}
    names = {value for value in cells["patient", "LName"] if value and value.isalpha() and value.isascii()}
    assert names - {"Zyxcanary", "NULL", "null"} <= set(made.FAMILY_NAMES)


def _holds(group):
    return lambda known, column: group in known.patient_data and "char" in column.type


def _looks_like_number(value, digits):
    return len(re.sub(r"\D", "", value or "")) >= digits
