"""Names of tables and columns as stock target-postgres has them, and those of our own (pure)."""

from __future__ import annotations

from hashlib import sha256

from target_opendental_replica.errors import IdentifierError, SchemaRefusedError
from target_opendental_replica.warehouse import PREFIX

LONGEST = 63
"""PostgreSQL cuts what is longer, in bytes."""


def choose_table(stream: str) -> str:
    """Return the table of a stream: what follows the last hyphen, as stock has it; SchemaRefusedError for ours."""
    table = check(stream.rpartition("-")[2], f"stream {stream!r}")
    if table.startswith(PREFIX):
        raise SchemaRefusedError(
            f"stream {stream!r}: names with {PREFIX} are the target's own: leave it out, or rename it in a map"
        )
    return table


def check(name: str, where: str) -> str:
    """Return the name; IdentifierError for one that PostgreSQL would cut or cannot hold."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        length = 0
    if not 0 < length <= LONGEST or "\0" in name:
        raise IdentifierError(f"{where}: {name!r} cannot be a name in PostgreSQL, which takes 1 to {LONGEST} bytes")
    return name


def choose_gathered(table: str) -> str:
    """Name the table in which a new version of that one is gathered."""
    return _shorten(f"{PREFIX}new_", table)


def choose_stage(table: str) -> str:
    """Name the temporary table in which that one's rows wait for their merge."""
    return _shorten(f"{PREFIX}stage_", table)


def choose_lock(schema: str, table: str) -> int:
    """Number the lock that whoever writes that table holds (a bigint)."""
    digest = sha256(f"target-opendental-replica\0{schema}\0{table}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


def _shorten(prefix: str, table: str) -> str:
    whole = f"{prefix}{table}"
    if len(whole.encode()) <= LONGEST:
        return whole
    mark = sha256(table.encode()).hexdigest()[:12]
    kept = table.encode()[: LONGEST - len(prefix) - len(mark) - 1].decode(errors="ignore")
    return f"{prefix}{kept}_{mark}"
