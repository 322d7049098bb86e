"""SchemaDiscovery: knows SQL and Open Dental, knows nothing of Singer."""

from tap_opendental.discovery.engine import SchemaDiscovery

__all__ = ["SchemaDiscovery"]
