"""SchemaDiscovery: the one place that analyses a source database."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from tap_opendental.connector import SourceAddress, plain_errors
from tap_opendental.discovery.introspect import Snapshot, read_snapshot
from tap_opendental.discovery.judgements import (
    Dependency,
    LeftOut,
    Problem,
    SchemaAnalysis,
    TableAnalysis,
    TableRelationships,
)
from tap_opendental.discovery.judging import TableFacts, judge_table
from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.discovery.model import Table
from tap_opendental.discovery.probe import Probe
from tap_opendental.discovery.reconcile import reconcile
from tap_opendental.discovery.replicate import create_table, explain_refusal, read_create_statement
from tap_opendental.discovery.rules.relationships import find_polymorphic, find_references
from tap_opendental.discovery.rules.replication import choose_replication, is_growing_key
from tap_opendental.discovery.rules.validation import find_problems
from tap_opendental.discovery.table_config import TableConfig
from tap_opendental.discovery.tables_config import TablesFile, apply_entry, load_previous, render_tables_file
from tap_opendental.errors import DamagedTableError, RestrictedTableError, SchemaNotFoundError
from tap_opendental.files import write_text
from tap_opendental.quoting import quote_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from sqlalchemy import Connection, Engine

    from tap_opendental.discovery.judgements import (
        Candidate,
        ImportanceChoice,
        Reference,
        ReplicationChoice,
        UsagePattern,
    )
    from tap_opendental.discovery.knowledge import Knowledge
    from tap_opendental.discovery.model import Server, TableSize

FILE_NAME = "tables.yml"
_GRANT = "GRANT SELECT on the whole table"
_RESTRICTED = f"the user may read some of its columns only: {_GRANT}"
_VANISHED = "dropped while the schema was read, or no right on any of its columns"


@dataclass(frozen=True)
class TableSchema(Table):
    """The structure of a table of this source, and its CREATE TABLE, which is fetched when it is first asked for."""

    fetch: Callable[[], str] = field(default=str, repr=False, compare=False)

    @cached_property
    def create_statement(self) -> str:
        """The server's own SHOW CREATE TABLE, without the counter of the next key; one statement, once."""
        return self.fetch()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types of the structure and its hash; the CREATE TABLE is not among them."""
        facts = Table(**{each.name: getattr(self, each.name) for each in fields(Table)})
        return facts.to_dict() | {"charset": self.charset, "schema_hash": self.schema_hash}


class SchemaDiscovery:
    """Facts and choices about every table of one database.

    Nothing is read before the first question; the first question reads the whole schema in five statements. No later
    question costs a statement, apart from `create_statement`, `replicate_schema` and a probe.

    Errors: SchemaNotFoundError for a database or table that is not there, SchemaAnalysisError for one that cannot be
    analysed (DamagedTableError if the server cannot open it), and those of the connection (`errors`).
    """

    def __init__(self, source_engine: Engine, source_db: str, *, knowledge: Knowledge | None = None) -> None:
        self._engine = source_engine
        self._database = source_db
        self._knowledge = load_knowledge() if knowledge is None else knowledge
        self._schemas: dict[str, TableSchema] = {}
        self._choices: dict[str, ReplicationChoice] = {}
        self._judged: dict[str, TableAnalysis] = {}

    # --- facts ----------------------------------------------------------------------------------------------------

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        address = SourceAddress.from_url(self._engine.url, self._database)
        with plain_errors(address), self._engine.connect() as connection:
            yield connection

    @cached_property
    def _snapshot(self) -> Snapshot:
        with self._connect() as connection:
            return read_snapshot(connection, self._database)

    @property
    def server(self) -> Server:
        """The server's version and flavour."""
        return self._snapshot.server

    def discover_all_tables(self) -> tuple[str, ...]:
        """Names of all base tables that the user may see, damaged ones too, in the server's order."""
        return tuple(self._snapshot.tables)

    def require_readable(self, tables: Collection[str]) -> None:
        """Raise DamagedTableError when the server cannot open some of `tables`: names them, and the way to repair.

        Raises RestrictedTableError for tables of which the user may read some columns only.
        """
        damaged = {table: self._snapshot.unreadable[table] for table in tables if table in self._snapshot.unreadable}
        if damaged:
            names = ", ".join(quote_plain(table) for table in damaged)
            raise DamagedTableError(
                f"the server cannot open {'; '.join(f'table {table} ({why})' for table, why in damaged.items())}: "
                f"after a backup of its data directory run CHECK TABLE {names}; REPAIR TABLE {names}; (with USE_FRM if "
                "the index file is lost), or name them in exclude_tables to go on without"
            )
        restricted = [table for table in tables if table in self._snapshot.restricted]
        if restricted:
            names = ", ".join(restricted)
            raise RestrictedTableError(
                f"the user may read some columns only of {names}: {_GRANT}, or name them in exclude_tables"
            )

    def get_table_schema(self, table: str) -> TableSchema:
        """Structure of one table; SchemaNotFoundError if there is none of that name, DamagedTableError if damaged."""
        if table not in self._schemas:
            self.require_readable([table])
            facts = self._snapshot.tables.get(table)
            if facts is None:
                raise SchemaNotFoundError(self._describe_missing(table))
            values = {each.name: getattr(facts, each.name) for each in fields(Table)}
            self._schemas[table] = TableSchema(**values, fetch=lambda: self._read_create_statement(table))
        return self._schemas[table]

    def _describe_missing(self, table: str) -> str:
        if table in self._snapshot.vanished:
            return f"table {table!r} of database {self._database!r} was {_VANISHED}: run again, or GRANT SELECT on it"
        return (
            f"table {table!r} does not exist in database {self._database!r}, or the user may not see it: "
            "check the name, or GRANT SELECT on it"
        )

    def _read_create_statement(self, table: str) -> str:
        with self._connect() as connection:
            return read_create_statement(connection, self._database, table)

    def get_table_size_info(self, table: str) -> TableSize:
        """Rows and bytes of one table, exact on MyISAM; raises what `get_table_schema` raises."""
        self.get_table_schema(table)
        return self._snapshot.sizes[table]

    def get_incremental_columns(self, table: str) -> tuple[Candidate, ...]:
        """Every column that could be taken for a replication key, the best first, each with its verdict and why."""
        return self.get_replication_choice(table).candidates

    def has_schema_changed(self, table: str, stored_hash: str) -> bool:
        """True when the table's structure is not the one that the hash was made of."""
        return self.get_table_schema(table).schema_hash != stored_hash

    def replicate_schema(
        self,
        source_table: str,
        target_engine: Engine,
        target_db: str,
        target_table: str | None = None,
        *,
        drop_if_exists: bool = False,
    ) -> None:
        """Create the table, empty, in another database: from the server's own SHOW CREATE TABLE.

        Raises what `get_table_schema` raises, and the target's refusal as SchemaAnalysisError with its error code.
        """
        statement = self.get_table_schema(source_table).create_statement
        name = target_table or source_table
        try:
            create_table(target_engine, statement, database=target_db, table=name, drop_if_exists=drop_if_exists)
        except DBAPIError as error:
            raise explain_refusal(error, target_db, name) from None

    # --- judgement ------------------------------------------------------------------------------------------------

    @cached_property
    def _readable(self) -> tuple[Table, ...]:
        return tuple(table for name, table in self._snapshot.tables.items() if self._snapshot.is_readable(name))

    @cached_property
    def _existing(self) -> frozenset[str]:
        """Lower-case names of all tables."""
        return frozenset(name.lower() for name in self._snapshot.tables)

    @cached_property
    def _stamps(self) -> frozenset[str]:
        """Lower-case names of the columns that update themselves somewhere in this database."""
        return frozenset(
            column.name.lower() for table in self._readable for column in table.columns if column.updates_itself
        )

    @cached_property
    def _relationships(self) -> Mapping[str, TableRelationships]:
        references = find_references(self._readable, self._knowledge)
        outgoing = _group(references, lambda reference: reference.table)
        incoming = _group(references, lambda reference: reference.to_table)
        return {
            table.name: TableRelationships(
                table.name,
                tuple(outgoing.get(table.name, ())),
                tuple(incoming.get(table.name, ())),
                find_polymorphic(table),
            )
            for table in self._readable
        }

    def get_replication_choice(self, table: str) -> ReplicationChoice:
        """How changes of the table are found, and why."""
        if table not in self._choices:
            schema = self.get_table_schema(table)
            known = None if self._is_namesake(table) else self._knowledge.table(table)
            self._choices[table] = choose_replication(
                schema, known, stamps=self._stamps, random_keys=self._snapshot.random_primary_keys
            )
        return self._choices[table]

    def _is_namesake(self, table: str) -> bool:
        """True for a clinic's SecurityLog beside the official securitylog: what is known is not known of it."""
        return table != table.lower() and table.lower() in self._snapshot.tables

    def analyze_table_relationships(self, tables: Iterable[str]) -> dict[str, TableRelationships]:
        """References out of and into each table; 0 in such a column means none."""
        return {table: self._relationships[self.get_table_schema(table).name] for table in tables}

    def analyze_table_usage_patterns(self, tables: Iterable[str]) -> dict[str, UsagePattern]:
        """How often rows of each table change, from structure and size."""
        return {table: self._judge(table).usage for table in tables}

    def determine_table_importance(self, tables: Iterable[str]) -> dict[str, ImportanceChoice]:
        """Class of each table with the score explained."""
        return {table: self._judge(table).importance for table in tables}

    def get_pipeline_configuration(self, table: str) -> TableConfig:
        """The configuration that the rules choose for a table; not dated, without any person's override."""
        return self._judge(table).config

    def get_table_dependencies_recursive(self, table: str, depth: int = 3) -> tuple[Dependency, ...]:
        """Tables that a table refers to, and those that these refer to, nearest first; each once, cycles end there."""
        self.get_table_schema(table)
        found: dict[str, Dependency] = {}
        ring = [table]
        for distance in range(1, depth + 1):
            ring = [
                name for near in ring for name in self._add_dependencies(near, distance, found, known={table, *found})
            ]
        return tuple(found.values())

    def _add_dependencies(
        self, near: str, distance: int, found: dict[str, Dependency], *, known: set[str]
    ) -> list[str]:
        names = sorted(
            {one.to_table for one in self._relationships[near].references if one.is_certain} - known - set(found)
        )
        found.update({name: Dependency(name, distance, via=near) for name in names})
        return names

    def validate_table_configuration(self, table: str, config: TableConfig) -> tuple[Problem, ...]:
        """What of a configuration does not fit the table; each problem names the key and what to do."""
        schema = self.get_table_schema(table)
        return find_problems(
            schema,
            config,
            self.get_replication_choice(table),
            trusted_keys=self._trusted_keys(schema),
            existing=self._existing,
        )

    def _trusted_keys(self, table: Table) -> tuple[str, ...]:
        """The key that a person may vouch for as append-only: of a table that the knowledge has not reviewed."""
        reviewed = self._knowledge.table(table.name) is not None
        return (
            table.primary_key
            if not reviewed and is_growing_key(table) and self._snapshot.random_primary_keys is False
            else ()
        )

    def _judge(self, table: str, previous: TableConfig | None = None) -> TableAnalysis:
        if previous is not None:
            return judge_table(self._facts(table), self._knowledge, previous)
        if table not in self._judged:
            self._judged[table] = judge_table(self._facts(table), self._knowledge)
        return self._judged[table]

    def _facts(self, table: str) -> TableFacts:
        schema = self.get_table_schema(table)
        related = self._relationships[table]
        return TableFacts(
            table=schema,
            size=self._snapshot.sizes[table],
            replication=self.get_replication_choice(table),
            references=related.references,
            referenced_by=related.referenced_by,
            polymorphic=related.polymorphic,
        )

    # --- the whole ------------------------------------------------------------------------------------------------

    def analyze_complete_schema(
        self,
        tables: Iterable[str] | None = None,
        *,
        previous: TablesFile | None = None,
        analyzed_on: str | None = None,
        probe: bool = False,
        progress: Callable[[str, int, int], None] = lambda _step, _done, _total: None,
    ) -> SchemaAnalysis:
        """Analyse some tables or all: facts, judgement, configuration, and what changed since the previous tables.yml.

        `analyzed_on` is an ISO date, today's in UTC by default. `progress` is told a step, how many are done, and of
        how many. `probe` samples data, bounded in time; its findings move no decision. Tables that cannot be analysed
        are listed in `left_out`. Raises SchemaNotFoundError when the user sees no table, or one that was named does
        not exist.
        """
        progress("reading the schema", 0, 0)
        names = self._choose(tables)
        progress(f"judging {len(names):,} tables", 0, 0)
        before = self._read_before(previous or TablesFile())
        judged = tuple(self._judge(name, before.get(name)) for name in names)
        if probe:
            judged = self._probe(judged, progress)
        today = analyzed_on or datetime.now(UTC).date().isoformat()
        fresh = {table.table.name: table.config for table in judged}
        reconciled = reconcile(before, fresh, existing=self._snapshot.tables, analyzed_on=today)
        return SchemaAnalysis(
            database=self._database,
            server=self.server,
            knowledge_version=self._knowledge.version,
            analyzed_on=today,
            tables=tuple(replace(table, config=reconciled.configs[table.table.name]) for table in judged),
            left_out=self._left_out(),
            missing=self._missing(),
            problems=(*reconciled.problems, *self._problems(judged)),
            changes=reconciled.changes,
            probed=probe,
            complete=tables is None,
            configs=reconciled.configs,
        )

    def generate_complete_configuration(
        self,
        output_dir: str | Path | None = None,
        *,
        previous: TablesFile | None = None,
        analyzed_on: str | None = None,
    ) -> str:
        """Return the text of tables.yml for all tables, and write it into a directory if one is given.

        The file that is there is the previous one, unless another is given: a person's overrides survive. ConfigError
        when it cannot be read or written.
        """
        path = Path(output_dir, FILE_NAME) if output_dir is not None else None
        if previous is None and path is not None:
            previous = load_previous(path)
        text = render_tables_file(self.analyze_complete_schema(previous=previous, analyzed_on=analyzed_on).configs)
        if path is not None:
            write_text(path, text)
        return text

    def _choose(self, tables: Iterable[str] | None) -> list[str]:
        if not self._snapshot.tables:
            raise SchemaNotFoundError(
                f"the user sees no table in database {self._database!r}: check its name, or GRANT SELECT on it"
            )
        names = list(self._snapshot.tables if tables is None else tables)
        if tables is not None:
            for name in names:
                self.get_table_schema(name)
        return [name for name in names if self._snapshot.is_readable(name)]

    def _read_before(self, previous: TablesFile) -> dict[str, TableConfig]:
        """The last tables.yml by table; what an entry leaves open was as the rules choose, and nobody's review."""
        spelled = previous.spelled_as(self._snapshot.tables)
        return {
            name: apply_entry(entry, replace(self._choose_by_rules(name), schema_hash=None))
            for name, entry in spelled.entries.items()
        }

    def _choose_by_rules(self, name: str) -> TableConfig:
        readable = name in self._snapshot.tables and self._snapshot.is_readable(name)
        return self._judge(name).config if readable else TableConfig()

    def _probe(
        self, judged: tuple[TableAnalysis, ...], progress: Callable[[str, int, int], None]
    ) -> tuple[TableAnalysis, ...]:
        with self._connect() as connection:
            return Probe(connection, self.server, tell=progress).look(judged)

    def _problems(self, judged: Iterable[TableAnalysis]) -> tuple[Problem, ...]:
        """Problems of what persons wrote; what the rules chose fits."""
        touched = [table for table in judged if table.config.overrides or table.config.column_overrides]
        return tuple(
            problem
            for table in touched
            for problem in self.validate_table_configuration(table.table.name, table.config)
        )

    def _left_out(self) -> tuple[LeftOut, ...]:
        unreadable = [LeftOut(name, why) for name, why in self._snapshot.unreadable.items()]
        restricted = [LeftOut(name, _RESTRICTED) for name in sorted(self._snapshot.restricted)]
        return (*unreadable, *restricted, *(LeftOut(name, _VANISHED) for name in self._snapshot.vanished))

    def _missing(self) -> tuple[str, ...]:
        """Official tables that are not seen: none of this version, or no right on them."""
        vanished = {name.lower() for name in self._snapshot.vanished}
        return tuple(sorted(set(self._knowledge.tables) - self._existing - vanished))


def _group(references: Iterable[Reference], key: Callable[[Reference], str]) -> dict[str, list[Reference]]:
    grouped: dict[str, list[Reference]] = {}
    for reference in references:
        grouped.setdefault(key(reference), []).append(reference)
    return grouped
