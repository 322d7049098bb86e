"""Config, state and catalog: what cannot be believed is refused by name, never passed over."""

import io

import pytest

from tap_opendental.bookmarks import check_state
from tap_opendental.errors import ConfigError, ExitCode, StateError
from tap_opendental.inputs import check_catalog, checked_file, read_config_file, read_object
from tap_opendental.settings import check_environment, describe_problem, drop_unset, find_unknown, parse_moment

GOOD = {"replication_key": "DateTStamp", "replication_key_value": "2024-06-28T18:00:00+00:00"}


def test_a_good_state_is_taken():
    """Bookmarks with and without a value, and other keys beside them, are fine."""
    check_state({})
    check_state({"bookmarks": {"patient": GOOD, "definition": {}, "sheet": {"starting_replication_value": None}}})


@pytest.mark.parametrize(
    ("state", "where"),
    [
        ({"bookmarks": []}, "`bookmarks`"),
        ({"bookmarks": {"patient": 7}}, "stream patient"),
        ({"bookmarks": {"patient": {"replication_key_value": "garbage"}}}, "stream patient"),
        ({"bookmarks": {"patient": {"replication_key_value": 17.5}}}, "stream patient"),
        ({"bookmarks": {"patient": {"replication_key_value": "0001-01-01T00:00:00+05:00"}}}, "stream patient"),
    ],
)
def test_a_state_that_cannot_be_read_is_refused(state, where):
    """A bookmark that cannot be read is never taken for none: that would read everything again, or lose rows."""
    with pytest.raises(StateError, match=where) as caught:
        check_state(state)
    assert "meltano state" in str(caught.value)
    assert caught.value.exit_code == ExitCode.STATE_REFUSED


@pytest.mark.parametrize("catalog", [{}, {"streams": {}}, {"streams": [{}]}, {"streams": [{"tap_stream_id": "a"}]}])
def test_what_is_not_a_catalog_is_refused(catalog):
    """A catalog needs streams with a name and a schema."""
    with pytest.raises(ConfigError, match="--discover"):
        check_catalog(catalog)


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_json_that_is_broken_or_no_object_is_named(text):
    """The error names the file, and the place where JSON breaks."""
    with pytest.raises(StateError, match=r"^state file x\.json: "):
        read_object("state file x.json", text, StateError)


def test_a_checked_file_can_be_read_again():
    """Checking does not consume what the SDK reads afterwards."""
    file = io.StringIO('{"bookmarks": {}}')
    file.name = "state.json"
    assert checked_file(file, "state", check_state, StateError).read() == '{"bookmarks": {}}'
    assert checked_file(None, "state", check_state, StateError) is None


def test_a_config_file_that_is_missing_is_named(tmp_path):
    """A path that cannot be read is a config error with the reason."""
    with pytest.raises(ConfigError, match=r"nowhere\.json: cannot be read \(No such file"):
        read_config_file(str(tmp_path / "nowhere.json"))


def test_unset_settings_are_left_out():
    """Null and empty text, as Meltano and .env give them, mean unset; an empty password may be meant."""
    config = {"host": "", "tables": None, "ssl_cert": "", "password": "", "port": 0, "ssl_required": False}
    assert drop_unset(config) == {"password": "", "port": 0, "ssl_required": False}


def test_a_misspelt_setting_is_told():
    """A setting that nobody reads must not pass in silence for the default."""
    assert find_unknown({"prot": 1, "port": 2}, ["host", "port"]) == ["setting prot is unknown: did you mean port?"]


@pytest.mark.parametrize("value", ["", "many", "-1"])
def test_an_environment_variable_that_is_no_number_is_named(value):
    """The variable is named, not its value."""
    with pytest.raises(ConfigError, match="TAP_OPENDENTAL_PORT must be a whole number"):
        check_environment({"TAP_OPENDENTAL_PORT": value}, {"port": {"type": ["integer"]}})


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        ("'host' is a required property", "setting host is missing: set it in the config file"),
        ("'many' is not of type 'integer', 'null' in config['port']", "setting port is not of type"),
        ("'hunter2' is too short in config['password']", "setting password is not valid"),
    ],
)
def test_a_problem_names_the_setting_and_never_the_value(problem, said):
    """A value may be a password that stands in the wrong place."""
    assert describe_problem(problem).startswith(said)
    assert "hunter2" not in describe_problem(problem)
    assert "many" not in describe_problem(problem)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-01-31", "2024-01-31 00:00:00"),
        ("2024-01-31T10:00:00Z", "2024-01-31 10:00:00"),
        ("2024-01-31T10:00:00+02:00", "2024-01-31 08:00:00"),
        ("2024-01-31T10:00:00.123", "2024-01-31 10:00:00.123000"),
    ],
)
def test_moments_are_brought_to_utc(text, moment):
    """A zone is converted, a wall clock is kept as it stands."""
    assert parse_moment(text).isoformat(" ") == moment
