"""One table made again on another server, from the source server's own SHOW CREATE TABLE."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pymysql.constants import ER

from tap_opendental.errors import SchemaAnalysisError, SchemaDiscoveryError, SchemaNotFoundError
from tap_opendental.quoting import quote_plain

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.exc import DBAPIError

_HEAD = re.compile(r"CREATE TABLE `(?:[^`]|``)+`")
_COUNTER = re.compile(r"^([^']*?) AUTO_INCREMENT=\d+")  # in the table's options, before the first quoted text
_AS_IT_STANDS = {"no_parameters": True}  # a percent sign in a name or comment is no parameter


def read_create_statement(connection: Connection, database: str, table: str) -> str:
    """Return the server's CREATE TABLE without the counter of the next key, which is state and not structure."""
    statement = f"SHOW CREATE TABLE {quote_plain(database)}.{quote_plain(table)}"
    row = connection.execution_options(**_AS_IT_STANDS).exec_driver_sql(statement).one()
    body, closing, options = str(row[1]).rpartition("\n)")
    return body + closing + _COUNTER.sub(r"\1", options)


def create_table(engine: Engine, statement: str, *, database: str, table: str, drop_if_exists: bool) -> None:
    """Run a CREATE TABLE under another name; without strict mode, zero dates are taken as the source took them."""
    name = f"{quote_plain(database)}.{quote_plain(table)}"
    with engine.connect().execution_options(**_AS_IT_STANDS) as connection:
        connection.exec_driver_sql("SET SESSION sql_mode = ''")
        if drop_if_exists:
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
        connection.exec_driver_sql(_HEAD.sub(lambda _found: f"CREATE TABLE {name}", statement, count=1))
        connection.commit()


def explain_refusal(error: DBAPIError, database: str, table: str) -> SchemaDiscoveryError:
    """Say why the target did not create a table, by the code of its error."""
    code = error.orig.args[0] if error.orig and error.orig.args else 0
    if code == ER.BAD_DB_ERROR:
        return SchemaNotFoundError(f"the target has no database {database!r}: create it first")
    if code == ER.TABLE_EXISTS_ERROR:
        return SchemaAnalysisError(
            f"table {table!r} is in database {database!r} already: pass drop_if_exists to replace it"
        )
    return SchemaAnalysisError(
        f"the target did not create table {table!r} in database {database!r} (MySQL error {code}): "
        "check that it runs, and the rights of its user"
    )
