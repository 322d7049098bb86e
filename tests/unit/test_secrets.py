"""Secrets in copies of tables and in columns that nobody has reviewed: withheld by name, and said so."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from tap_opendental.discovery.knowledge import REVIEWED, Knowledge, load_knowledge
from tap_opendental.discovery.knowledge.secrecy import GENERIC_NAMES, resembles_secret
from tap_opendental.discovery.model import Column, Table
from tap_opendental.discovery.rules.replication import choose_replication
from tap_opendental.errors import NothingSelectedError
from tap_opendental.planning import _leave_out_secret_keys, _log_withheld


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load_knowledge()


def test_every_copy_withholds_what_its_original_withholds(knowledge):
    """`CREATE TABLE x_bak LIKE x` opens no way to a secret, wherever the copy's name has the original's in it."""
    for table, column in knowledge.secrets():
        for copy in (f"{table}_bak", f"bak_{table}", f"TEMP_{table.upper()}_20240101"):
            assert knowledge.is_secret(copy, column), (copy, column)
            assert knowledge.is_secret(copy, column.lower()), (copy, column)


def test_a_copy_withholds_nothing_else(knowledge):
    """Of the 4,429 published columns a copy's reader loses the reviewed secrets, and not one flag, date or key."""
    lost = [
        (table, column)
        for table, known in knowledge.tables.items()
        for column in known.columns
        if knowledge.is_secret(f"{table}_bak", column)
    ]
    assert sorted(lost) == list(knowledge.secrets())


def test_a_copy_under_any_name_withholds_the_telling_names(knowledge):
    """A column called as a reviewed secret is withheld in any unknown table, unless the name is a generic one."""
    for _, column in knowledge.secrets():
        assert knowledge.is_secret("tmp1", column) == (column.lower() not in GENERIC_NAMES), column


def test_generic_names_are_the_reviewed_eight(knowledge):
    """Which names may be read elsewhere is decided by hand; each is the name of a secret."""
    assert {
        "alias", "clinickey", "customerkey", "provkey", "regkey", "keyvalue", "lastresponsestr", "propertyvalue",
    } == GENERIC_NAMES  # fmt: skip
    assert {column.lower() for _, column in knowledge.secrets()} >= GENERIC_NAMES


@pytest.mark.parametrize("table", ["zz_settings", "patient_bak", "dim_clinic"])
def test_a_generic_name_is_read_where_it_means_something_else(knowledge, table):
    """A clinic keeps its own settings table: `PropertyValue` is withheld only in copies of the one that holds keys."""
    assert not knowledge.is_secret(table, "PropertyValue")
    assert knowledge.is_secret("program_property_2019", "PropertyValue")


def test_a_later_column_of_a_known_table_is_withheld(knowledge):
    """A version that renames or adds a secret does not leak it; its harmless new columns are read."""
    assert knowledge.is_secret("patient", "MobileWebPin")
    assert knowledge.is_secret("userod", "NewPassword")
    assert knowledge.is_secret("emailaddress", "OAuthRefreshToken")
    assert not knowledge.is_secret("patient", "Alias")
    assert not knowledge.is_secret("patient", "FavouriteColour")


def test_reviewed_columns_keep_their_verdict(knowledge):
    """Names do not overrule the review: a flag about a password is read, an expiry date too."""
    for table, known in knowledge.tables.items():
        for column in known.columns.values():
            assert knowledge.is_secret(table, column.name) == column.secret
    assert not knowledge.is_secret("userod", "PasswordIsStrong")
    assert not knowledge.is_secret("payconnectresponseweb", "ExpDateToken")


@pytest.mark.parametrize(
    "name",
    ["Password", "VENDORPASSWORD", "db_passwd", "ClientSecret", "api_key", "ApiKeyHash", "AccessToken", "refreshtoken",
     "API Key", "PasswordSalt", "IssuerPassword", "ispassword", "UpdatePassword", "SmtpPwd", "NewPayToken"],
)  # fmt: skip
def test_names_of_secrets_are_recognised(name):
    """However it is spelled, an obvious name is enough, even with no knowledge at all."""
    assert resembles_secret(name)
    assert Knowledge.empty().is_secret("their_table", name)


@pytest.mark.parametrize(
    "name",
    ["IsPasswordSet", "is_secret", "PasswordIsStrong", "RequirePasswordChange", "RequiresPassword", "HasApiKey",
     "PasswordExpirationDate", "DateTPassword", "AccessTokenExp", "APIKeyNum", "SecretaryName", "Secretions",
     "BypassCode", "TokenType", "PatNum", "KeyWords", "", "表"],
)  # fmt: skip
def test_names_about_secrets_are_not_secrets(name):
    """Flags, dates and row numbers are read, and so is what only sounds alike."""
    assert not resembles_secret(name)


def test_each_verdict_has_its_reason(knowledge):
    """A person who misses a column reads why: reviewed, named as a reviewed one, or looking like a secret."""
    assert knowledge.why_secret("UserOD", "password") == REVIEWED
    assert knowledge.why_secret("userod_bak", "Password") == "named as in userod"
    assert knowledge.why_secret("tmp1", "HpfUrl") == "named as in xwebresponse"
    assert knowledge.why_secret("tmp1", "VendorPassword") == "looks like a secret"
    assert knowledge.why_secret("userod", "UserName") is None


def make_table(name: str, *columns: str, key: str) -> Table:
    return Table(name, tuple(Column(column, "varchar(20)") for column in columns), primary_key=(key,))


def test_one_line_says_what_is_withheld(knowledge, caplog):
    """The log counts the withheld columns and names those that no person has reviewed."""
    tables = [
        make_table("userod", "UserNum", "Password", "BadgeId", key="UserNum"),
        make_table("userod_bak", "UserNum", "UserName", "Password", key="UserNum"),
    ]
    with caplog.at_level(logging.INFO, "tap-opendental"):
        _log_withheld(tables, knowledge)
    by_name = "userod_bak.Password (named as in userod)"
    assert caplog.messages == [f"3 columns hold secrets and are not read; 1 of them by their name alone: {by_name}"]
    caplog.clear()
    with caplog.at_level(logging.INFO, "tap-opendental"):
        _log_withheld(tables[:1], knowledge)
    assert caplog.messages == ["2 columns hold secrets and are not read"]


def test_a_table_whose_key_is_a_secret_is_left_out(knowledge, caplog):
    """A table that cannot be read without its secret is left out in plain words, and the others are read."""
    tables = {
        "zz_tokens": make_table("zz_tokens", "AccessToken", "Note", key="AccessToken"),
        "patient": make_table("patient", "PatNum", key="PatNum"),
    }
    discovery = SimpleNamespace(
        get_table_schema=tables.__getitem__, get_replication_choice=lambda name: choose_replication(tables[name])
    )
    assert _leave_out_secret_keys(discovery, knowledge, ["patient", "zz_tokens"]) == ["patient"]
    assert caplog.messages == ["1 tables have a secret as their key and are left out: zz_tokens"]
    with pytest.raises(NothingSelectedError):
        _leave_out_secret_keys(discovery, knowledge, ["zz_tokens"])
