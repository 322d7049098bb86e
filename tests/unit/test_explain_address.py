"""The source's address from the environment: the tap's variables, their defaults, and what is wrong with them."""

import pytest

from opendental_analyze.explain.address import read_address
from tap_opendental.connector import Tls
from tap_opendental.errors import ConfigError, ExitCode
from tap_opendental.settings import PROPERTIES

REQUIRED = {"HOST": "db.example", "USER": "reader", "PASSWORD": "hidden-word"}


def environment(prefix="TAP_OPENDENTAL", **variables):
    return {f"{prefix}_{key}": value for key, value in {**REQUIRED, **variables}.items()}


def test_host_user_and_password_are_enough():
    """Everything else has the tap's own default."""
    address = read_address(environment())
    assert (address.host, address.user, address.password) == ("db.example", "reader", "hidden-word")
    defaults = {name: schema.get("default") for name, schema in PROPERTIES.to_dict()["properties"].items()}
    for name in ("port", "database", "connect_timeout", "read_timeout"):
        assert getattr(address, name) == defaults[name]
    assert address.tls == Tls(required=defaults["ssl_required"])


def test_every_variable_is_read():
    """Port, timeouts (seconds), database and TLS come from the variables of the same names."""
    tls = {"SSL_CA": "/ca.pem", "SSL_CERT": "/cert.pem", "SSL_KEY": "/key.pem", "SSL_REQUIRED": "True"}
    more = {"PORT": "3307", "DATABASE": "od", "CONNECT_TIMEOUT": "3", "READ_TIMEOUT": "60"}
    address = read_address(environment(**more, **tls))
    assert (address.port, address.database, address.connect_timeout, address.read_timeout) == (3307, "od", 3, 60)
    assert address.tls == Tls("/ca.pem", "/cert.pem", "/key.pem", required=True)


def test_another_prefix_is_another_source():
    """A second clinic has variables of its own, and the first one's do not leak into it."""
    both = environment() | environment("CLINIC_A", HOST="a.example")
    assert read_address(both, "CLINIC_A").host == "a.example"
    assert read_address(both).host == "db.example"
    with pytest.raises(ConfigError, match="CLINIC_B_HOST"):
        read_address(both, "CLINIC_B")


@pytest.mark.parametrize("key", REQUIRED)
def test_a_missing_variable_is_named_with_what_to_do(key):
    """The error names the variable and how to set it, and ends with the exit code of a wrong setting."""
    given = environment()
    del given[f"TAP_OPENDENTAL_{key}"]
    with pytest.raises(ConfigError, match=rf"TAP_OPENDENTAL_{key} is not set: .* export it") as raised:
        read_address(given)
    assert raised.value.exit_code == ExitCode.CONFIG


def test_empty_text_is_no_value_but_for_the_password():
    """A line KEY='' of .env means the default, or a missing setting; a password may be empty."""
    assert read_address(environment(PORT="", SSL_CA="", SSL_REQUIRED="", DATABASE="")).port == 3306
    assert read_address(environment(PASSWORD="")).password == ""
    with pytest.raises(ConfigError, match="TAP_OPENDENTAL_HOST"):
        read_address(environment(HOST=""))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("PORT", "33o6"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "٣٣٠٦"),
        ("READ_TIMEOUT", "5.5"),
        ("CONNECT_TIMEOUT", "0"),
        ("SSL_REQUIRED", "maybe"),
    ],
)
def test_a_malformed_variable_is_named_and_its_value_is_not_shown(key, value):
    """A number out of bounds or a word that is no switch is refused: a typing slip in .env may be a secret."""
    with pytest.raises(ConfigError, match=f"TAP_OPENDENTAL_{key} must be") as raised:
        read_address(environment(**{key: value}))
    if len(value) > 2:
        assert value not in str(raised.value).replace("65535", "")


def test_certificate_and_key_belong_together():
    """One without the other is refused, by the names of both."""
    for key in ("SSL_CERT", "SSL_KEY"):
        with pytest.raises(ConfigError, match="TAP_OPENDENTAL_SSL_CERT and TAP_OPENDENTAL_SSL_KEY"):
            read_address(environment(**{key: "/one.pem"}))


def test_the_address_does_not_show_the_password():
    """What an error message prints of an address holds no password."""
    assert "hidden-word" not in repr(read_address(environment()))
