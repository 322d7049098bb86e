"""One load by dlt, in its own environment: `python dlt_load.py SETTINGS.json`.

A first run appends to an empty dataset, the next ones merge by key what is newer than dlt's own state says.
"""

import json
import sys
from pathlib import Path

import dlt
from dlt.sources.sql_database import sql_table


def main(path: str) -> None:
    """Load one table."""
    job = json.loads(Path(path).read_text(encoding="utf-8"))
    pipeline = dlt.pipeline(
        pipeline_name=job["name"],
        destination=dlt.destinations.postgres(job["destination"]),
        dataset_name=job["dataset"],
        pipelines_dir=job["home"],
    )
    is_first = pipeline.first_run
    table = sql_table(
        credentials=job["source"],
        table=job["table"],
        incremental=dlt.sources.incremental(job["by"]),
        backend=job["backend"],
        chunk_size=50_000,
        backend_kwargs={"return_type": "arrow"} if job["backend"] == "connectorx" else None,
    )
    table.apply_hints(primary_key=job["key"], write_disposition="append" if is_first else "merge")
    pipeline.run(table, loader_file_format=job["format"]).raise_on_failed_jobs()


if __name__ == "__main__":
    main(sys.argv[1])
