"""Which version of a table is new: by what was here before, whatever unit or clock its number is of."""

import pytest

from target_opendental_replica.versions import RunVersions, Versions

NIGHT = Versions(active=1_700_000_000, replaced=(1_600_000_000,))


@pytest.mark.parametrize("version", [1_700_000_001, 1_699_999_999, 1_700_000_000_000, 1, 0])
def test_a_version_that_was_not_here_is_new(version):
    """A larger one, one of a clock that was set back, one in milliseconds, one below everything."""
    assert NIGHT.is_new(version)
    assert NIGHT.gather(version).activate(version) == Versions(version, None, (1_600_000_000, NIGHT.active))


@pytest.mark.parametrize("version", [None, 1_700_000_000, 1_600_000_000])
def test_rows_of_no_version_or_of_one_that_was_here_are_merged(version):
    """The active one again, and one that was replaced: an old state goes on with it, and not all rows of it come."""
    assert not NIGHT.is_new(version)
    assert NIGHT.go_on_with(version) == NIGHT


def test_a_pass_goes_on_only_behind_rows_that_are_here():
    """Gathered ones, or those of a table that was read later; of anything else the first rows are missing."""
    gathering = NIGHT.gather(1_700_000_009)
    assert gathering.go_on_with(1_700_000_009) == gathering
    assert gathering.go_on_with(1_700_000_005) is None
    assert NIGHT.go_on_with(1_700_000_009) is None
    later = NIGHT.go_on_with(1_650_000_000)
    assert later is not None
    assert not later.is_new(1_650_000_000)


def test_numbers_of_two_clocks_are_not_compared():
    """Gathered by a clock that was set back, then lost: the version is below the active one, and no later one holds it.

    The control is the same version where the clock went on: a later one was activated.
    """
    lost = Versions(gathered=None, replaced=NIGHT.gather(5).replaced)
    assert NIGHT.gather(5) == Versions(None, 5, (1_600_000_000, 1_700_000_000))
    assert lost.go_on_with(5) is None
    assert NIGHT.gather(5).gather(6).go_on_with(5) is None
    assert NIGHT.gather(5).gather(6).activate(6).go_on_with(5) is not None


def test_a_month_of_versions_is_remembered():
    """No more of them: a list that grows for ever would be read and written for ever."""
    versions = Versions()
    for night in range(100):
        versions = versions.gather(night).activate(night)
    assert versions == Versions(99, None, tuple(range(69, 99)))


def test_what_is_told_is_told_once():
    """Of each stream and version, however often its sessions change."""
    run = RunVersions()
    assert run.tell_replaced("visit", 5) is not None
    assert run.tell_replaced("visit", 5) is None
    assert run.tell_replaced("visit", 6) is not None
