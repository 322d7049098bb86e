"""The Meltano project that a command was called in, and where its analysis is."""

from __future__ import annotations

from pathlib import Path

PROJECT_FILE = "meltano.yml"
DIRECTORY = "analysis"


def find_project() -> Path:
    """The nearest directory around the working directory that holds meltano.yml, or else the working directory."""
    here = Path.cwd()
    projects = (directory for directory in (here, *here.parents) if (directory / PROJECT_FILE).is_file())
    return next(projects, here)


def find_analysis() -> Path:
    """The folder in which `opendental analyze` keeps its files, unless it is told another."""
    return find_project() / DIRECTORY
