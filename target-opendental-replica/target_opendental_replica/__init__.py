"""target-opendental-replica: writes an exact MySQL replica of an Open Dental database."""
