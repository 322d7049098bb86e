"""TLS on a real PostgreSQL: with ssl_ca the target talks to the right server or to nobody."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from tests.postgres_loading import settings_for

from opendental_analyze.sandbox.account import choose_account
from opendental_analyze.sandbox.databases import postgres_root
from opendental_analyze.sandbox.ports import LOOPBACK
from target_opendental_replica.errors import ConfigError, UnreachableError
from target_opendental_replica.postgres import PostgresWarehouse
from target_opendental_replica.settings import Tls

YESTERDAY = datetime.now(UTC) - timedelta(days=1)
FILES = {"ssl_cert_file": "tls-certificate.pem", "ssl_key_file": "tls-key.pem"}


@pytest.fixture(scope="module")
def ca():
    """The CA that the target is told to trust."""
    return trustme.CA()


@pytest.fixture(scope="module")
def trusted(ca, tmp_path_factory):
    """Path of that CA's certificate, for ssl_ca."""
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture
def show(sandbox):
    """Make the server encrypt with a certificate; it does without again when the test ends."""
    root, folder = postgres_root(sandbox.state), Path(sandbox.state.postgres.directory) / "data"

    def run(*statements):
        with root.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def begin(leaf):
        for name, pem in zip(FILES.values(), (leaf.cert_chain_pems[0], leaf.private_key_pem), strict=True):
            (folder / name).unlink(missing_ok=True)
            choose_account().write_secret(folder / name, pem.bytes().decode())
        files = [f"ALTER SYSTEM SET {name} = '{file}'" for name, file in FILES.items()]
        run(*files, "ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")
        wait_for(root, "on")

    yield begin
    run(*(f"ALTER SYSTEM RESET {name}" for name in ("ssl", *FILES)), "SELECT pg_reload_conf()")
    wait_for(root, "off")
    root.dispose()


def wait_for(root, value):
    """The server reads its configuration anew in its own time."""
    for _ in range(500):
        with root.connect() as connection:
            if connection.exec_driver_sql("SHOW ssl").scalar() == value:
                return
        root.dispose()
        time.sleep(0.02)
    pytest.fail(f"ssl is not {value}")


def connect(database, tls):
    """Whether a connection of the target is encrypted."""
    settings = settings_for(database)
    warehouse = PostgresWarehouse(replace(settings, address=replace(settings.address, tls=tls)))
    session = warehouse.connect()
    try:
        return session._connection.pgconn.ssl_in_use
    finally:
        session.close()


def test_a_server_without_tls_is_refused(postgres_database, trusted):
    """ssl_ca asks for it."""
    with pytest.raises(UnreachableError, match="no encrypted connection"):
        connect(postgres_database, Tls(ca=trusted))


def test_a_key_that_others_may_read_is_named(postgres_database, show, ca, tmp_path):
    """Libpq refuses it; the control is the same key for this user alone."""
    show(ca.issue_cert(LOOPBACK))
    client, certificate, key = ca.issue_cert("client@example.org"), tmp_path / "cert.pem", tmp_path / "key.pem"
    client.cert_chain_pems[0].write_to_path(certificate)
    client.private_key_pem.write_to_path(key)
    tls = Tls(cert=str(certificate), key=str(key), required=True)
    key.chmod(0o644)
    with pytest.raises(ConfigError, match=r"ssl_key .* chmod 600"):
        connect(postgres_database, tls)
    key.chmod(0o600)
    assert connect(postgres_database, tls)


def test_the_right_server_is_written_encrypted(postgres_database, show, ca, trusted):
    """Its certificate and its name are verified; without settings it is encrypted where the server offers it."""
    show(ca.issue_cert(LOOPBACK))
    assert connect(postgres_database, Tls(ca=trusted))
    assert connect(postgres_database, Tls(required=True))
    assert connect(postgres_database, Tls())


@pytest.mark.parametrize(
    "issue",
    [
        lambda _ca: trustme.CA().issue_cert(LOOPBACK),
        lambda ca: ca.issue_cert("another.example"),
        lambda ca: ca.issue_cert(LOOPBACK, not_before=YESTERDAY - timedelta(days=9), not_after=YESTERDAY),
    ],
    ids=["another CA's", "another host's", "expired"],
)
def test_an_impostor_gets_nothing(postgres_database, show, ca, trusted, issue):
    """Of another CA, for another host, expired: refused with ssl_ca, and the control gets through without it."""
    show(issue(ca))
    with pytest.raises(UnreachableError, match="no encrypted connection"):
        connect(postgres_database, Tls(ca=trusted))
    assert connect(postgres_database, Tls(required=True))
