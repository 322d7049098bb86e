"""What the tap makes of a server's variables, and of what it cannot read."""

from types import SimpleNamespace

import pytest

from tap_opendental.connector import SourceAddress
from tap_opendental.errors import ExitCode, StateError
from tap_opendental.extraction.lines import LostLineError, NulError
from tap_opendental.source import DamagedPageError, Source

ADDRESS = SourceAddress("h", 3306, "u", "p", "opendental")


@pytest.fixture
def session_of(monkeypatch):
    """The session on a server that shows these variables."""

    def build(*variables):
        facts = ("+00:00", 16777216, 7, "clinic", "opendental", "2024-02-29 12:00:00")
        monkeypatch.setattr(Source, "fetch", lambda _, query: variables if "SHOW" in query[0] else [facts])
        return Source(ADDRESS).session

    return build


@pytest.mark.parametrize(
    ("variables", "server"),
    [
        ([("server_uuid", "8f5c"), ("myisam_use_mmap", "OFF")], "8f5c"),
        ([("myisam_use_mmap", "OFF"), ("server_uid", "F4cb=")], "F4cb="),
        ([("myisam_use_mmap", "ON")], "server_id 7"),
        ([], "server_id 7"),
    ],
)
def test_a_server_is_known_by_the_best_that_it_has(session_of, variables, server):
    """MySQL's server_uuid, MariaDB's server_uid, or the number that an administrator gave it."""
    assert session_of(*variables).identity.server == server


@pytest.mark.parametrize(("value", "trusted"), [("OFF", True), ("ON", False)])
def test_update_time_is_no_fact_of_a_memory_map(session_of, value, trusted):
    """Where MyISAM writes through a memory map, a change may not show in UPDATE_TIME: nothing is concluded from it."""
    assert session_of(("server_uid", "F4cb="), ("myisam_use_mmap", value)).trusts_update_time is trusted


def test_a_server_without_the_variable_has_no_memory_map(session_of):
    """A server that was built without it writes as all others do."""
    assert session_of(("server_uuid", "8f5c")).trusts_update_time


@pytest.mark.parametrize("error", [DamagedPageError, LostLineError, NulError])
def test_a_value_that_is_not_sent_as_it_is_has_a_code_of_its_own(error):
    """A scheduler need not run again: only a person can mend the row, or leave out the column."""
    assert error.exit_code == ExitCode.VALUE_REFUSED == 15


class Engine:
    """Connects to one server after the other."""

    def __init__(self, *servers):
        self.servers = list(servers)

    def connect(self):
        """The next one; it has nothing to close."""
        return SimpleNamespace(server=self.servers.pop(0), invalidate=lambda: None, close=lambda: None)


@pytest.mark.parametrize(("second", "refused"), [("one", False), ("other", True)])
def test_a_connection_that_is_opened_anew_must_lead_to_the_same_server(monkeypatch, second, refused):
    """Behind an address that fails over, a pass would go on at a replica that lags, under the first one's name."""
    source = Source(ADDRESS)
    source.__dict__["_engine"] = Engine("one", second)
    facts = ("+00:00", 16777216, 7, "clinic", "opendental", "2024-02-29 12:00:00")

    def fetch(source, query):
        return [("server_uid", source.connection.server)] if "SHOW" in query[0] else [facts]

    monkeypatch.setattr(Source, "fetch", fetch)
    assert source.session.identity.server == "one"
    source.disconnect()
    if refused:
        with pytest.raises(StateError, match=r"another server answers at h:3306 .* run again"):
            _ = source.connection
    else:
        assert source.connection.server == second
