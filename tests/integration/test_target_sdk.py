"""The SDK's own test suite for targets, in both dialects."""

import pytest
import sqlalchemy as sa
from singer_sdk.testing import get_target_test_class
from singer_sdk.testing.suites import SingerTestSuite
from singer_sdk.testing.target_tests import TargetRecordMissingRequiredProperty

from opendental_analyze.sandbox.throw_away import mariadb_database as throw_away_mariadb
from opendental_analyze.sandbox.throw_away import postgres_database as throw_away_postgres
from target_opendental_replica.target import TargetOpenDentalReplica

# Not in the SDK's suite, which leaves out TargetMultipleStateMessages too: that one expects a state for two batches
# each. When ours go out is tested in tests/unit/test_target.py.
MORE = SingerTestSuite(kind="target", tests=[TargetRecordMissingRequiredProperty])
MYSQL: dict = {"dialect": "mysql"}
POSTGRES: dict = {"dialect": "postgresql"}


def address(database):
    url = sa.make_url(database.admin_url)
    names = {"host": url.host, "port": url.port, "database": url.database, "password": url.password}
    return {**names, "user": url.username}


@pytest.fixture(autouse=True, scope="module")
def destinations(sandbox):
    """A database of each dialect; the suite's classes hold their config from before any server runs."""
    with throw_away_mariadb(sandbox.state) as mysql, throw_away_postgres(sandbox.state) as postgres:
        MYSQL.update(address(mysql))
        POSTGRES.update(address(postgres))
        yield


class TestMySQL(get_target_test_class(TargetOpenDentalReplica, config=MYSQL, custom_suites=[MORE])):
    """The suite into MariaDB."""


class TestPostgreSQL(get_target_test_class(TargetOpenDentalReplica, config=POSTGRES, custom_suites=[MORE])):
    """The suite into PostgreSQL."""
