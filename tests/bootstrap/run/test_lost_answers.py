"""Runs in which the answer of each changing call is lost, and AWS refuses the SDK's repetition."""

from __future__ import annotations

import pytest

from bootstrap.core.errors import AccountError, Side, UnavailableError
from bootstrap.core.facts import TtlStatus
from bootstrap.core.run_options import RunOptions, TtlPolicy
from bootstrap.core.state import State
from tests.support.bootstrap.fake_aws import FakeAws
from tests.support.bootstrap.killed_process import Process
from tests.support.bootstrap.pauses import PAUSE, RESUME, paused

pytestmark = pytest.mark.promise("C6")


def passing(side: Side, code: str) -> UnavailableError:
    return UnavailableError(side, f"refused for now, with {code}", fix="-", code=code)


SOURCE_RECOVERY = passing(Side.SOURCE, "ContinuousBackupsUnavailableException")
TARGET_RECOVERY = passing(Side.TARGET, "ContinuousBackupsUnavailableException")
TABLE = passing(Side.TARGET, "ResourceInUseException")
# An export's repetition is the same export; here, all of the SDK's attempts were lost.
EXPORT = passing(Side.SOURCE, "InternalServerError")
IMPORT = AccountError(Side.TARGET, "exists", fix="-", code="ResourceInUseException")
OTHER = passing(Side.TARGET, "InternalServerError")

REPLIES = {
    "enable_source_backups": SOURCE_RECOVERY,
    "export": EXPORT,
    "import_table": IMPORT,
    "protect": TABLE,
    "enable_target_backups": TARGET_RECOVERY,
    "tag": OTHER,
    "set_class": TABLE,
    "warm": TABLE,
    "enable_mapping": OTHER,
    "set_expiry": OTHER,
    "put_probes": passing(Side.SOURCE, "InternalFailure"),
}


def lose(world: FakeAws, name: str, error: AccountError) -> list[str]:
    """Withhold the first answer of a call that has taken effect."""
    lost: list[str] = []

    def after_it(number: int, called: str, after: bool) -> None:
        if called == name and after and not lost:
            lost.append(called)
            raise error

    world.on_call = after_it
    return lost


def source_of_everything() -> FakeAws:
    """A source that makes a run use every call."""
    world = FakeAws()
    world.source_tags = {"team": "shop"}
    world.source_expiry = TtlStatus(True, "until")
    world.source = world.source.__class__(
        **{**vars(world.source), "table_class": "STANDARD_INFREQUENT_ACCESS"}
    )
    world.writes = lambda begin: 3_000 * 60
    world.ages = lambda begin: 0.0
    return world


@pytest.mark.parametrize("name", REPLIES)
def test_a_run_goes_through_and_pays_once(name: str) -> None:
    world = source_of_everything()
    lost = lose(world, name, REPLIES[name])
    process = Process(world, options=RunOptions(ttl=TtlPolicy.NOW))
    process.go()
    assert lost == [name]
    assert process.run.journal.row.state is State.REPLICATING
    assert (len(world.exports), len(world.imports)) == (1, 1)
    assert world.expiries["orders-replica"] == TtlStatus(True, "until")


@pytest.mark.parametrize("name", ["set_expiry", "disable_mapping"])
def test_a_pause_goes_through(name: str) -> None:
    world = source_of_everything()
    Process(world).go()
    lost = lose(world, name, OTHER)
    Process(world, pid=2, options=PAUSE).go()
    assert lost == [name]
    assert world.mapping_enabled_at is None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["set_expiry", "enable_mapping"])
def test_a_resume_goes_through(name: str) -> None:
    world = paused(source_of_everything())
    world.clock.advance(7_200)
    lost = lose(world, name, OTHER)
    Process(world, pid=3, options=RESUME).go()
    assert lost == [name]
    assert world.mapping_enabled_at is not None
