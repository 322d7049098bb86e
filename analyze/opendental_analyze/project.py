"""The Meltano project that a command was called in."""

from __future__ import annotations

from pathlib import Path

PROJECT_FILE = "meltano.yml"


def find_project() -> Path:
    """The nearest directory around the working directory that holds meltano.yml, or else the working directory."""
    here = Path.cwd()
    projects = (directory for directory in (here, *here.parents) if (directory / PROJECT_FILE).is_file())
    return next(projects, here)
