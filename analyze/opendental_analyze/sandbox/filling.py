"""Fill a sandbox's source as asked for, once: the schema, the leftovers and the synthetic practice."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from opendental_analyze.errors import SandboxError
from opendental_analyze.sandbox import databases
from opendental_analyze.sandbox.addresses import ADMIN, SOURCE, mariadb_url
from opendental_analyze.sandbox.practice import fill_practice
from opendental_analyze.sandbox.source import create_source
from opendental_analyze.sandbox.state import Source
from tap_opendental.discovery.knowledge import load_knowledge

if TYPE_CHECKING:
    from collections.abc import Callable

    from opendental_analyze.sandbox.sandbox import Sandbox

DEFAULT_ENGINE, DEFAULT_PATIENTS, DEFAULT_SEED = "MyISAM", 400, 1


@dataclass(frozen=True)
class Wish:
    """What the source shall hold; None means whatever is there, or else the default. No patients: empty tables."""

    engine: str | None = None
    patients: int | None = None
    seed: int | None = None


def fill_source(sandbox: Sandbox, wish: Wish, progress: Callable[[str, int], None]) -> bool:
    """Fill the source of a running sandbox; False when it holds what is wished for already."""
    there = sandbox.state.source
    if there is not None:
        _refuse_another(there, wish)
        return False
    databases.recreate_source(sandbox.state)
    sandbox.remember_source(_create(sandbox, wish, progress))
    return True


def empty_sandbox(sandbox: Sandbox) -> None:
    """Drop every database of a running sandbox and create them again, empty."""
    sandbox.remember_source(None)
    databases.drop_databases(sandbox.state)
    databases.create_databases(sandbox.state)


def _create(sandbox: Sandbox, wish: Wish, progress: Callable[[str, int], None]) -> Source:
    knowledge = load_knowledge()
    official = {name: known.table for name, known in knowledge.tables.items()}
    storage = wish.engine or DEFAULT_ENGINE
    patients = DEFAULT_PATIENTS if wish.patients is None else wish.patients
    seed = DEFAULT_SEED if wish.seed is None else wish.seed
    admin = databases.connect(mariadb_url(sandbox.state, ADMIN, SOURCE))
    rows = create_source(admin, official, database=SOURCE, storage=storage, progress=progress)
    if patients:
        filled = fill_practice(
            admin, knowledge=knowledge, database=SOURCE, patients=patients, seed=seed, progress=progress
        )
        rows += sum(filled.values())
    return Source(engine=storage, patients=patients, seed=seed, rows=rows)


def _refuse_another(there: Source, wish: Wish) -> None:
    held = asdict(there)
    other = [name for name, value in asdict(wish).items() if value is not None and value != held[name]]
    if other:
        raise SandboxError(
            f"the source holds {there.patients} patients of seed {there.seed} on {there.engine}, not the "
            f"{' and '.join(other)} asked for: `opendental sandbox reset` with the same options replaces it"
        )
