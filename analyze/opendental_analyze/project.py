"""The Meltano project that a command was called in, and where its analysis is."""

from __future__ import annotations

import os
from pathlib import Path

PROJECT_FILE = "meltano.yml"
DIRECTORY = "analysis"


def find_project() -> Path:
    """The nearest directory around the working directory that holds meltano.yml, or else the working directory."""
    here = Path.cwd()
    return next((place for place in (here, *here.parents) if _is_project(place)), here)


def _is_project(directory: Path) -> bool:
    return os.path.isfile(directory / PROJECT_FILE)  # noqa: PTH113  # never raises: Path.is_file does, without rights


def find_analysis() -> Path:
    """The folder in which `opendental analyze` keeps its files, unless it is told another."""
    return find_project() / DIRECTORY
