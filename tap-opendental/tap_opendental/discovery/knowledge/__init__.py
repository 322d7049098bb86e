"""What is known of Open Dental beyond its SQL types: booleans, references, patient-data classes, secrets.

`load_knowledge()` reads the data file beside this module once per process; `Knowledge.empty()` knows nothing, so that
every rule can be tried without it. The file is made by `scripts/build_knowledge.py` and holds facts only.
"""

from tap_opendental.discovery.knowledge.loading import load_knowledge
from tap_opendental.discovery.knowledge.values import REVIEWED, Knowledge, KnownColumn, KnownTable, Role

__all__ = ["REVIEWED", "Knowledge", "KnownColumn", "KnownTable", "Role", "load_knowledge"]
