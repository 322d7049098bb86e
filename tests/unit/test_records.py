"""RECORD messages and files of lines: whole pages, whole lines, any name, any text."""

import json
import sys
from datetime import UTC, datetime

import pytest

from tap_opendental.extraction.lines import CSV, JSON, Column
from tap_opendental.readings import Reading
from tap_opendental.records import (
    describe_extraction,
    render_objects,
    render_record_template,
    render_template,
    write_records,
)
from tap_opendental.writers import BatchWriter, RecordWriter

NAMES = ["plain", "%s", "%(x)s", "100%", "{0}", "a`b", 'say "no"', "back\\slash", "tab\there", "naïve 表", "🦷", "a,b"]
TOKENS = ["1", "null", '"%s {} \\t \\u0000"', "-0.50", "true", '"a,b"', '""', "1e300", '"表🦷\u2028"', "0", "[]", "{}"]
NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)


def columns(*names):
    return [Column(name, name, Reading({"type": ["string"]})) for name in names]


def test_a_row_becomes_an_object():
    """Each token stands under its column's name as the server wrote it: DECIMAL keeps its zeros, text its escapes."""
    text = render_objects(render_template(columns(*NAMES)), ["\t".join(TOKENS), "\t".join(reversed(TOKENS))])
    first, second, end = text.split("\n")
    assert json.loads(first) == dict(zip(NAMES, map(json.loads, TOKENS), strict=True))
    assert json.loads(second) == dict(zip(NAMES, map(json.loads, reversed(TOKENS)), strict=True))
    assert ":-0.50," in first
    assert end == ""


@pytest.mark.parametrize("name", NAMES)
def test_one_column_of_any_name(name):
    """A table of one column is a line of one token; neither name nor stream is filled in or ends the text."""
    template = render_record_template(name, columns(name), 7, NOON)
    (line, _) = render_objects(template, ['"%s"']).split("\n")
    message = {"type": "RECORD", "stream": name, "record": {name: "%s"}, "version": 7}
    assert json.loads(line) == {**message, "time_extracted": "2024-02-29T12:00:00+00:00"}


def test_an_incremental_stream_has_no_version():
    """Only full tables say a version: an ACTIVATE_VERSION would remove what an incremental stream did not send."""
    message = json.loads(render_objects(render_record_template("t", columns("a"), None, NOON), ["1"]))
    assert set(message) == {"type", "stream", "record", "time_extracted"}


def test_a_page_is_whole_lines_of_utf8(capfdbinary):
    """A page goes out as bytes, one line a row, each ended by a newline, whatever the locale is."""
    RecordWriter("t").write(['"é🦷"', '"\\n"'], columns("a"), None)
    RecordWriter("t").flush()
    first, second, end = capfdbinary.readouterr().out.split(b"\n")
    assert "é🦷".encode() in first
    assert json.loads(second)["record"] == {"a": "\n"}
    assert end == b""


def test_what_was_written_before_comes_before(capfd):
    """A page goes past Python's own buffer, so what is in that goes out first: SCHEMA stays ahead of its records."""
    sys.stdout.write('{"type": "SCHEMA"}\n')
    write_records("t", columns("a"), None, ["1"])
    assert [json.loads(line)["type"] for line in capfd.readouterr().out.splitlines()] == ["SCHEMA", "RECORD"]


class Folder:
    """Keeps what a writer hands over."""

    def __init__(self):
        self.files = []

    def write(self, stream, chunks, suffix):
        """Keep a file; its URL."""
        self.files.append((stream, b"".join(chunks), suffix))
        return f"file:///{len(self.files)}{suffix}"


def write_batches(dialect, *pages, names=("a", "b")):
    folder, announced = Folder(), []
    writer = BatchWriter("t", folder, dialect, lambda encoding, url: announced.append((encoding, url)))
    for page in pages:
        writer.write(page, columns(*names), 7)
    writer.flush()
    writer.flush()
    return folder.files, announced


def test_a_csv_file_begins_with_its_names():
    """One line of names, quoted, then the pages' lines as they are; a flush without lines writes nothing."""
    files, announced = write_batches(CSV, ['1,"x"', "2,NULL"], ['3,"""\n"'])
    assert files == [("t", b'"a","b"\n1,"x"\n2,NULL\n3,"""\n"\n', ".csv")]
    assert announced == [({"format": "csv", "compression": "none"}, "file:///1.csv")]
    assert write_batches(CSV) == ([], [])


def test_any_name_stands_in_the_line_of_names():
    """Quotes are doubled, commas, tabs and other characters stay inside their quotes."""
    files, _ = write_batches(CSV, [",".join("1" * len(NAMES))], names=NAMES)
    header = files[0][1].decode().split("\n")[0]
    assert [field[1:-1].replace('""', '"') for field in CSV.split(header)] == NAMES


def test_a_json_file_holds_objects():
    """One object a row, with what the stock targets add to a RECORD; the folder compresses."""
    ((stream, content, suffix),), announced = write_batches(JSON, ['1\t"x"', "2\tnull"])
    assert (stream, suffix) == ("t", ".jsonl.gz")
    assert announced == [({"format": "jsonl", "compression": "gzip"}, "file:///1.jsonl.gz")]
    rows = [json.loads(line) for line in content.splitlines()]
    assert [(row.pop("a"), row.pop("b")) for row in rows] == [(1, "x"), (2, None)]
    assert rows[0] == rows[1]
    assert rows[0].keys() == describe_extraction(7, NOON).keys()


def test_a_line_of_a_file_says_its_version():
    """Without `_sdc_table_version` an ACTIVATE_VERSION removes the row; an incremental stream has none."""
    assert describe_extraction(7, NOON) == {
        "_sdc_extracted_at": "2024-02-29T12:00:00+00:00",
        "_sdc_batched_at": "2024-02-29T12:00:00+00:00",
        "_sdc_sequence": 1709208000000,
        "_sdc_table_version": 7,
    }
    assert "_sdc_table_version" not in describe_extraction(None, NOON)


def test_a_large_file_is_closed_and_the_next_begun(monkeypatch):
    """Files end at a size, at the end of a page; each has its line of names and its message."""
    monkeypatch.setattr("tap_opendental.writers._FILE_BYTES", {"csv": 20})
    files, announced = write_batches(CSV, ["1,2"], ["3,4", "5,6"], ["7,8"])
    assert [content for _, content, _ in files] == [b'"a","b"\n1,2\n3,4\n5,6\n', b'"a","b"\n7,8\n']
    assert len(announced) == 2


def test_files_begin_small_and_double_up_to_a_size(monkeypatch):
    """The target has something to load while the tap reads on, and a long stream still has few files."""
    monkeypatch.setattr("tap_opendental.writers._FIRST_FILE_BYTES", 10)
    monkeypatch.setattr("tap_opendental.writers._FILE_BYTES", {"csv": 40})
    files, _ = write_batches(CSV, *[["1,2"]] * 30)  # 4 bytes a row, 8 for the line of names
    assert [content.count(b"1,2\n") for _, content, _ in files] == [1, 3, 8, 8, 8, 2]
