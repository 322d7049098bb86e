"""The postgresql dialect: the tables that stock target-postgres would make, filled with COPY and merged by key."""

from target_opendental_replica.postgres.warehouse import PostgresWarehouse

__all__ = ["PostgresWarehouse"]
