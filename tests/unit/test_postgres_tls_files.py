"""The files of the TLS settings are looked at before anything is connected: libpq passes over one that is not there."""

import pytest
import trustme

from target_opendental_replica.errors import ConfigError, ExitCode
from target_opendental_replica.postgres import PostgresWarehouse
from target_opendental_replica.postgres.connection import connect
from target_opendental_replica.settings import Address, Settings, Tls

LACKING, JUNK = "lacking.pem", "junk.pem"


@pytest.fixture
def folder(tmp_path):
    """A CA, a client's certificate and key, another client's key, and a file of another kind."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    client, other = ca.issue_cert("client@example.org"), ca.issue_cert("other@example.org")
    client.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    client.private_key_pem.write_to_path(tmp_path / "key.pem")
    other.private_key_pem.write_to_path(tmp_path / "other.pem")
    (tmp_path / JUNK).write_text("hello", encoding="utf-8")
    return tmp_path


def settings(folder, **files):
    tls = Tls(**{name: str(folder / file) for name, file in files.items()})
    return Settings("postgresql", Address("127.0.0.1", 1, "nobody", "", "nothing", tls=tls))


@pytest.mark.parametrize(
    ("files", "setting"),
    [
        ({"ca": LACKING}, "ssl_ca"),
        ({"ca": JUNK}, "ssl_ca"),
        ({"cert": LACKING, "key": "key.pem"}, "ssl_cert"),
        ({"cert": JUNK, "key": "key.pem"}, "ssl_cert"),
        ({"cert": "cert.pem", "key": LACKING}, "ssl_key"),
        ({"cert": "cert.pem", "key": JUNK}, "ssl_key"),
        ({"cert": "cert.pem", "key": "other.pem"}, "ssl_key"),
        ({"ca": "ca.pem", "cert": LACKING, "key": "key.pem"}, "ssl_cert"),
    ],
)
def test_a_file_that_does_not_load_is_named(folder, files, setting):
    """When the run begins, and at each connection: exit code 2, the setting, and nothing of what is in the file."""
    with pytest.raises(ConfigError, match=f"^{setting}: not a readable PEM file") as refused:
        PostgresWarehouse(settings(folder, **files))
    assert refused.value.exit_code == ExitCode.CONFIG
    assert "hello" not in str(refused.value)
    with pytest.raises(ConfigError, match=f"^{setting}: "):
        connect(settings(folder, **files))


def test_files_that_load_are_no_matter(folder):
    """The control: of these nothing is said."""
    PostgresWarehouse(settings(folder, ca="ca.pem", cert="cert.pem", key="key.pem"))
    PostgresWarehouse(settings(folder))
