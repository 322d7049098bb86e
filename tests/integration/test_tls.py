"""TLS on real servers: with ssl_ca the tap talks to the right server or to nobody; without, it does as documented."""

import re
import ssl
from datetime import UTC, datetime, timedelta

import pymysql
import pytest
import trustme
from tests.integration.conftest import records
from tests.tls import DATABASE, Shown, tls_server

from opendental_analyze.sandbox.ports import LOOPBACK
from tap_opendental.connector import SourceAddress, Tls, create_source_engine, plain_errors
from tap_opendental.errors import AccessDeniedError, ExitCode, OpenDentalError

YESTERDAY = datetime.now(UTC) - timedelta(days=1)
EXPIRED = {"not_before": YESTERDAY - timedelta(days=9), "not_after": YESTERDAY}


@pytest.fixture(scope="module")
def ca():
    """The CA that the tap is told to trust."""
    return trustme.CA()


@pytest.fixture(scope="module")
def trusted(ca, tmp_path_factory):
    """Path of that CA's certificate, for ssl_ca."""
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return str(path)


def show(ca, name=LOOPBACK, **dates):
    """A certificate that a CA signed for a name, with its key."""
    leaf = ca.issue_cert(name, **dates)
    return Shown(leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes(), ca.cert_pem.bytes())


def show_self_signed(_ca):
    """A certificate that vouches for itself, as a server makes one when nobody gives it any."""
    own = trustme.CA()
    return Shown(own.cert_pem.bytes(), own.private_key_pem.bytes(), own.cert_pem.bytes())


IMPOSTORS = {
    "another CA's": (lambda _ca: show(trustme.CA()), "local issuer certificate|in certificate chain"),
    "another host's": (lambda ca: show(ca, "another.example"), f"not valid for '{LOOPBACK}'"),
    "expired": (lambda ca: show(ca, **EXPIRED), "certificate has expired"),
    "self-signed": (show_self_signed, r"\(self.signed certificate\)"),
}


def refused(run, password):
    """The one line of a tap that ended with exit code 2, without a traceback or any part of the password."""
    assert run.returncode == ExitCode.CONFIG, run.stderr
    assert run.stdout == ""
    assert "Traceback" not in run.stderr
    assert password[:8] not in run.stderr
    errors = [line for line in run.stderr.splitlines() if "error" in line.lower()]
    assert len(errors) == 1, run.stderr
    return errors[0]


def connect(address):
    """Open a connection as the tap does, and close it."""
    with plain_errors(address), create_source_engine(address).connect():
        pass


def test_the_right_server_is_read_encrypted(ca, trusted, run_tap):
    """With ssl_ca and the right server, rows come, and every connection that the tap opened was encrypted."""
    with tls_server(show(ca)) as server:
        run = run_tap({**server.config, "ssl_ca": trusted})
        assert run.returncode == ExitCode.OK, run.stderr
        assert [row["NoteNum"] for row in records(run.stdout)["note"]] == [1, 2]
        assert set(server.logins) == {"SSL/TLS"}


@pytest.mark.parametrize("kind", IMPOSTORS)
def test_an_impostor_gets_nothing(kind, ca, trusted, run_tap):
    """With ssl_ca, a certificate that does not stand the check ends the run before user and password are sent.

    PyMySQL told the same by its own `ssl_ca`, the negative control, logs in: it encrypts, and checks nothing.
    """
    make, reason = IMPOSTORS[kind]
    with tls_server(make(ca)) as server:
        pymysql.connect(**server.config, ssl_ca=trusted).close()
        assert server.logins == ["SSL/TLS"]
        line = refused(run_tap({**server.config, "ssl_ca": trusted}, "--discover"), server.password)
        assert server.logins == ["SSL/TLS"]
        assert f"{LOOPBACK}:{server.config['port']}" in line
    assert re.search(reason, line)
    assert "settings ssl_ca and host" in line


def test_ssl_required_alone_accepts_any_certificate(run_tap):
    """Without a CA nothing can be verified, as documented: encrypted, whoever answers, with whatever certificate."""
    with tls_server(show(trustme.CA(), "another.example", **EXPIRED)) as server:
        run = run_tap({**server.config, "ssl_required": True}, "--discover")
        assert run.returncode == ExitCode.OK, run.stderr
        assert set(server.logins) == {"SSL/TLS"}


def test_a_plain_server_is_refused(trusted, run_tap):
    """A server that does not encrypt is refused with ssl_ca as with ssl_required, before the user is sent.

    PyMySQL with its defaults, and the tap without either setting, log in all the same, in plain text, as documented.
    """
    with tls_server(None) as server:
        pymysql.connect(**server.config).close()
        connect(SourceAddress(**server.config))
        before = server.logins
        assert set(before) == {"TCP/IP"}
        for setting in ({"ssl_ca": trusted}, {"ssl_required": True}):
            line = refused(run_tap({**server.config, **setting}, "--discover"), server.password)
            assert next(iter(setting)) in line
            assert "offers none" in line
        assert server.logins == before


def test_a_client_certificate_is_shown(ca, trusted, tmp_path):
    """ssl_cert and ssl_key open the door of a user who must show a certificate; without them it stays shut."""
    client = ca.issue_cert("reader@clinic.example")
    client.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    client.private_key_pem.write_to_path(tmp_path / "key.pem")
    with tls_server(show(ca)) as server:
        server.run(f"ALTER USER '{DATABASE}'@'{LOOPBACK}' REQUIRE X509")
        with pytest.raises(AccessDeniedError):
            connect(SourceAddress(**server.config, tls=Tls(trusted)))
        connect(SourceAddress(**server.config, tls=Tls(trusted, str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))))


@pytest.mark.parametrize(
    ("broken", "code"),
    [(ssl.SSLEOFError(8, "EOF"), ExitCode.UNREACHABLE), (ssl.SSLError(1, "no shared cipher"), ExitCode.CONFIG)],
)
def test_a_broken_handshake_is_no_wrong_setting(broken, code):
    """A server that goes away in mid-handshake may be tried again; one that speaks another TLS never answers."""
    address = SourceAddress("db.example", 3306, "reader", "hidden-word", DATABASE, tls=Tls("/ca.pem"))
    error = pymysql.err.OperationalError(2003, "the driver's own words")
    error.original_exception = broken
    with pytest.raises(OpenDentalError) as caught, plain_errors(address):
        raise error
    assert caught.value.exit_code == code
    assert "the driver's own words" not in str(caught.value)
