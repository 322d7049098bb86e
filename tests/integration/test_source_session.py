"""What the tap knows of a real server before it reads."""

import pytest
import sqlalchemy as sa

from opendental_analyze.sandbox.databases import mariadb_root
from tap_opendental.connector import SourceAddress
from tap_opendental.source import Source


@pytest.fixture
def root(sandbox):
    """The administrator of the server, which is this test run's own."""
    engine = mariadb_root(sandbox.state)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def trusts_update_time(url):
    """What a run that begins now would know."""
    source = Source(SourceAddress(url.host, url.port, url.username, url.password, url.database))
    known = source.session.trusts_update_time
    source.close()
    return known


def test_update_time_is_trusted_unless_files_are_mapped(mariadb_database, root):
    """A reader without rights beyond SELECT is told whether MyISAM writes through a memory map, at each run anew."""
    url = sa.make_url(mariadb_database.reader_url)
    assert trusts_update_time(url)
    root.exec_driver_sql("SET GLOBAL myisam_use_mmap = ON")
    try:
        assert not trusts_update_time(url)
    finally:
        root.exec_driver_sql("SET GLOBAL myisam_use_mmap = OFF")
    assert trusts_update_time(url)
