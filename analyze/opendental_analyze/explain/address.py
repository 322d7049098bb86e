"""The source's address from the environment, by the variables that the tap reads: one .env serves both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_opendental.connector import SourceAddress, Tls
from tap_opendental.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "TAP_OPENDENTAL"
MAX_PORT = 65535
_YES, _NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


def read_address(environment: Mapping[str, str], prefix: str = PREFIX) -> SourceAddress:
    """Read PREFIX_HOST, _PORT, _USER, _PASSWORD, _DATABASE, _SSL_CA, _SSL_CERT, _SSL_KEY, _SSL_REQUIRED and timeouts.

    Timeouts are in seconds. Empty text is as good as no variable, but for the password. ConfigError names the variable
    that is missing or malformed, never its value.
    """
    variables = _Variables(environment, prefix)
    return SourceAddress(
        host=variables.require("HOST", "the host name or address of the Open Dental server"),
        port=variables.read_number("PORT", 3306, highest=MAX_PORT),
        user=variables.require("USER", "a user with SELECT on the database and no more"),
        password=variables.require("PASSWORD", "that user's password", may_be_empty=True),
        database=variables.read("DATABASE") or "opendental",
        connect_timeout=variables.read_number("CONNECT_TIMEOUT", 10),
        read_timeout=variables.read_number("READ_TIMEOUT", 300),
        tls=_read_tls(variables),
    )


class _Variables:
    """The variables of one prefix."""

    def __init__(self, environment: Mapping[str, str], prefix: str) -> None:
        self._environment = environment
        self._prefix = prefix

    def name(self, key: str) -> str:
        return f"{self._prefix}_{key}"

    def read(self, key: str) -> str | None:
        return self._environment.get(self.name(key)) or None

    def require(self, key: str, meaning: str, *, may_be_empty: bool = False) -> str:
        value = self._environment.get(self.name(key))
        if value or (value == "" and may_be_empty):
            return value
        raise ConfigError(
            f"{self.name(key)} is not set: it is {meaning}; export it, or write it to .env and run "
            'through Meltano (for the sandbox: eval "$(opendental sandbox env)")'
        )

    def read_number(self, key: str, default: int, *, highest: int | None = None) -> int:
        text = self.read(key)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= (highest or int(text)):
            bounds = f"from 1 to {highest}" if highest else "of at least 1"
            raise ConfigError(f"{self.name(key)} must be a whole number {bounds}: correct it, or unset the variable")
        return int(text)

    def read_switch(self, key: str) -> bool:
        word = (self.read(key) or "false").lower()
        if word not in (*_YES, *_NO):
            raise ConfigError(f"{self.name(key)} must be true or false: correct it, or unset the variable")
        return word in _YES


def _read_tls(variables: _Variables) -> Tls:
    tls = Tls(
        ca=variables.read("SSL_CA"),
        cert=variables.read("SSL_CERT"),
        key=variables.read("SSL_KEY"),
        required=variables.read_switch("SSL_REQUIRED"),
    )
    if (tls.cert is None) != (tls.key is None):
        pair = f"{variables.name('SSL_CERT')} and {variables.name('SSL_KEY')}"
        raise ConfigError(f"{pair} belong together: set both or neither")
    return tls
