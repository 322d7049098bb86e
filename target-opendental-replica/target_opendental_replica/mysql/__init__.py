"""MySQL and MariaDB: an exact replica of the source's tables."""

from target_opendental_replica.mysql.warehouse import MySQLWarehouse

__all__ = ["MySQLWarehouse"]
