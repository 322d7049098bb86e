"""Results of one text column are read past PyMySQL's rows: the same values, errors and warnings as PyMySQL gives."""

import pymysql
import pytest
import sqlalchemy as sa

from tap_opendental.extraction.packets import query_lines

# Lengths at which the protocol changes its way of telling them, or a packet goes on in the next.
LENGTHS = (0, 1, 250, 251, 252, 65_535, 65_536, 262_144, 16_777_205, 16_777_206, 16_777_207, 16_777_215, 17_000_000)


def connect(database):
    """A connection as the driver makes it."""
    url = sa.make_url(database.reader_url)
    return pymysql.connect(
        host=url.host,
        port=url.port,
        user=url.username,
        password=url.password,
        database=url.database,
        charset="utf8mb4",
    )


@pytest.fixture
def connection(mariadb_database):
    """A connection to a database of the test's own."""
    opened = connect(mariadb_database)
    yield opened
    opened.close()


def plain(connection, statement):
    """What PyMySQL's own cursor returns."""
    cursor = connection.cursor()
    cursor.execute(statement)
    return cursor.fetchall(), cursor.warning_count


STATEMENTS = {
    "text": "SELECT 'a' UNION ALL SELECT '' UNION ALL SELECT NULL UNION ALL SELECT 'é😀'",
    "many": "SELECT CONCAT(seq, REPEAT('x', seq % 300)) FROM seq_1_to_20000",
    "none": "SELECT 'a' FROM DUAL WHERE 1 = 0",
    "numbers": "SELECT 1 UNION ALL SELECT 2",
    "two columns": "SELECT 'a', 1 UNION ALL SELECT 'b', NULL",
    "bytes": "SELECT UNHEX('00FF80') UNION ALL SELECT ''",
    "a moment": "SELECT CAST('2024-02-29' AS DATE)",
    "a warning": "SELECT CAST('x' AS CHAR) FROM (SELECT 1) AS t WHERE CAST('abc' AS SIGNED) = 0",
}


@pytest.mark.parametrize("case", STATEMENTS)
def test_the_same_as_the_drivers_own_rows(connection, case):
    """Text, NULL, 20,000 rows across many chunks, numbers, bytes, the count of warnings: equal, on one connection."""
    for _ in range(2):
        assert query_lines(connection, STATEMENTS[case]) == plain(connection, STATEMENTS[case])


def test_every_length_of_a_value(connection):
    """Values at each border of the protocol's lengths, among them some that need two packets, arrive whole."""
    statement = " UNION ALL ".join(f"SELECT REPEAT('{number % 10}', {length})" for number, length in enumerate(LENGTHS))
    rows, warnings = query_lines(connection, statement)
    assert [(len(value), value[:1]) for (value,) in rows] == [
        (length, str(number % 10) if length else "") for number, length in enumerate(LENGTHS)
    ]
    assert warnings == 0


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT nothing", 1054),
        # the error comes in the place of a row, when others were sent
        ("SELECT IF(seq < 5000, 'row', (SELECT 'a' UNION SELECT 'b')) FROM seq_1_to_10000", 1242),
    ],
)
def test_errors_are_the_drivers(connection, statement, code):
    """An error before or among the rows is raised as PyMySQL raises it; the connection serves the next statement."""
    with pytest.raises(pymysql.MySQLError) as ours:
        query_lines(connection, statement)
    with pytest.raises(pymysql.MySQLError) as theirs:
        plain(connection, statement)
    assert ours.value.args[0] == theirs.value.args[0] == code
    assert query_lines(connection, "SELECT 'still here'")[0] == (("still here",),)


def test_a_connection_that_ends_among_the_rows(mariadb_database, connection):
    """KILL in mid answer is an error of a lost connection, never a short page."""
    statement = "SELECT CONCAT(seq, REPEAT('x', 2000), IF(seq = 3000, SLEEP(5), '')) FROM seq_1_to_100000"
    connection._execute_command(pymysql.constants.COMMAND.COM_QUERY, statement)
    with connect(mariadb_database) as other:
        other.cursor().execute(f"KILL {connection.thread_id()}")
    with pytest.raises(pymysql.MySQLError) as lost:
        query_again(connection)
    assert lost.value.args[0] in (1317, 1927, 2013)


def query_again(connection):
    """Read the answer of the statement that was sent."""
    from tap_opendental.extraction.packets import LineResult  # noqa: PLC0415

    LineResult(connection).read()
