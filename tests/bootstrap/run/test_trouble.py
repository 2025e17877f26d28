"""What happens to a long run: throttling of any call, credentials that expire, clocks, and time."""

from __future__ import annotations

import datetime
from typing import Any, NoReturn

import pytest
from dateutil.tz import tzlocal  # type: ignore[import-untyped]

from bootstrap.aws.calls import Calls
from bootstrap.aws.sessions import Session
from bootstrap.core.durations import Timing
from bootstrap.core.errors import AccountError, BootstrapError, Side, UnavailableError
from bootstrap.core.stack_outputs import AccountOutputs
from bootstrap.core.state import State
from bootstrap.plan.inspection import inspect
from bootstrap.plan.replication import of_outputs
from bootstrap.status.json_members import as_json
from tests.support.bootstrap.fake_accounts import FakeSource, FakeTarget
from tests.support.bootstrap.fake_aws import FakeAws, outputs
from tests.support.bootstrap.kill_points import calls_of_a_run, check, finish, quick
from tests.support.bootstrap.killed_process import Process
from tests.support.bootstrap.status import look
from tests.support.fakes.errors import expired_credentials

pytestmark = pytest.mark.promise("C6")

CALLS = sorted({name for name in calls_of_a_run() if not name[0].isupper()})
"""Of both control planes; the journal's and the ledger's begin with a capital."""


@pytest.mark.parametrize("answer_lost", [False, True], ids=["refused", "answer lost"])
@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_is_throttled_or_fails_after_its_work_is_made_again(
    name: str, answer_lost: bool
) -> None:
    world = quick()
    process = Process(world)
    process.start()
    troubles: list[str] = []

    def trouble(number: int, called: str, after: bool) -> None:
        if called == name and after is answer_lost and len(troubles) < 3:
            troubles.append(called)
            raise UnavailableError(Side.SOURCE, "throttled", fix="run again in a while")

    world.on_call = trouble
    process.until(lambda: process.run.journal.row.state is State.REPLICATING)
    check(world, process, f"{name} in trouble")


def calls_of_a_start() -> list[str]:
    world = quick()
    Process(world).start()
    return [seen.name for seen in world.seen]


@pytest.mark.parametrize("answer_lost", [False, True], ids=["refused", "answer lost"])
@pytest.mark.parametrize("number", range(1, len(calls_of_a_start()) + 1))
def test_a_start_bears_what_passes_at_any_of_its_calls(number: int, answer_lost: bool) -> None:
    world = quick()
    messages: list[str] = []
    troubles: list[str] = []

    def trouble(call: int, called: str, after: bool) -> None:
        if not troubles and call >= number and after is answer_lost:
            troubles.append(called)
            raise UnavailableError(Side.SOURCE, "throttled", fix="later", code="Throttling")

    world.on_call = trouble
    process = Process(world)
    world.alive.add(process.pid)
    leases_of_others: list[float] = []
    process.run.start(
        tell=messages.append, meanwhile=lambda: leases_of_others.append(world.clock.monotonic())
    )
    assert troubles
    assert leases_of_others, "what waits renews the leases of the tables that do not"
    assert messages == ["Table orders: waiting for the source account to answer: throttled"]
    process.until(lambda: process.run.journal.row.state is State.REPLICATING)
    check(world, process, f"call {number} in trouble")


def test_a_start_gives_up_on_what_does_not_pass_and_on_a_network_that_is_not_there() -> None:
    for code, patience in (("Throttling", 900), ("", 0)):
        world = quick()

        def trouble(call: int, called: str, after: bool, code: str = code) -> None:
            raise UnavailableError(Side.SOURCE, "nothing", fix="later", code=code)

        world.on_call = trouble
        began = world.clock()
        with pytest.raises(UnavailableError):
            Process(world).start()
        assert patience <= world.clock() - began <= patience + 60


def refusal(side: Side) -> BootstrapError:
    """What a call becomes whose credentials have expired."""

    def method(**request: Any) -> NoReturn:
        raise expired_credentials()

    with pytest.raises(BootstrapError) as caught:
        Calls(side, "Role")("dynamodb", method, "orders")
    return caught.value


@pytest.mark.parametrize(
    ("name", "side", "step"),
    [
        ("describe_export", Side.SOURCE, "export"),
        ("describe_import", Side.TARGET, "import"),
        ("put_probes", Side.SOURCE, "catch-up"),
    ],
)
def test_credentials_that_expire_in_a_wait_say_which_to_renew_and_nothing_is_paid_for_twice(
    name: str, side: Side, step: str
) -> None:
    world = quick()

    def expire(number: int, called: str, after: bool) -> None:
        if called == name:
            raise refusal(side)

    world.on_call = expire
    with pytest.raises(AccountError) as caught:
        Process(world, pid=1).go()
    assert caught.value.exit_code == side.value
    assert f"--{side.name.lower()}-profile" in caught.value.fix
    world.on_call = lambda number, called, after: None
    shown = as_json(look(world))
    assert (shown["failure"]["step"], shown["failure"]["resumable"]) == (step, True)
    check(world, finish(world, pid=2), f"{name} with new credentials")


class Sts:
    """Gives sessions that end in so many minutes."""

    def __init__(self, minutes: float) -> None:
        self.minutes, self.assumed = minutes, 0

    def get_caller_identity(self) -> dict[str, Any]:
        return {"Account": "999999999999"}

    def assume_role(self, **request: Any) -> dict[str, Any]:
        self.assumed += 1
        end = datetime.datetime.now(tzlocal()) + datetime.timedelta(minutes=self.minutes)
        return {
            "Credentials": {
                "AccessKeyId": f"key-{self.assumed}",
                "SecretAccessKey": "-",
                "SessionToken": "-",
                "Expiration": end,
            }
        }


@pytest.fixture
def own_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.mark.usefixtures("own_credentials")
@pytest.mark.parametrize(("minutes", "assumed"), [(60, 1), (5, 2)])
def test_a_wait_that_outlasts_a_session_assumes_the_role_again_in_time(
    minutes: float, assumed: int
) -> None:
    account = AccountOutputs("111111111111", "eu-west-1", "arn:aws:iam::111111111111:role/exporter")
    session = Session(Side.SOURCE, account, Timing())
    session._sts = sts = Sts(minutes)
    credentials = session._session.get_credentials()
    first = credentials.get_frozen_credentials().access_key
    second = credentials.get_frozen_credentials().access_key
    assert (first, second) == ("key-1", f"key-{assumed}")
    assert sts.assumed == assumed


@pytest.mark.parametrize("hours", [-30, 0, 30])
def test_a_plan_goes_by_awss_clock_and_not_by_this_machines(hours: float) -> None:
    world = FakeAws()
    asked: list[tuple[float, float]] = []
    stack = outputs()

    def consumed(self: FakeSource, name: str, since: float, until: float, period: int) -> Any:
        asked.append((since, until))
        return ()

    source = FakeSource(world, lambda: None)
    source.consumed_writes = consumed.__get__(source)  # type: ignore[method-assign]
    mine = world.clock() + hours * 3_600
    replication = of_outputs(stack, stack.tables[0])
    inspect(source, FakeTarget(world, lambda: None), replication, Timing(), mine)
    ((since, until),) = asked
    assert abs(until - world.clock()) < 1
    assert 80_000 < until - since < 90_000


@pytest.mark.usefixtures("own_credentials")
@pytest.mark.parametrize(("side", "code"), [(Side.SOURCE, 3), (Side.TARGET, 4)])
def test_before_there_are_roles_credentials_of_another_account_are_refused(
    side: Side, code: int
) -> None:
    def refuse(account: str, role: str = "") -> None:
        session = Session(side, AccountOutputs(account, "eu-west-1", role), Timing())
        session._sts = Sts(60)
        session.refuse_another_account()

    refuse("999999999999")
    refuse("111111111111", "arn:aws:iam::111111111111:role/exporter")
    with pytest.raises(AccountError, match="of account 999999999999") as caught:
        refuse("111111111111")
    assert caught.value.exit_code == code
    assert f"--{side.name.lower()}-profile" in caught.value.fix


@pytest.mark.parametrize("listed_late", [False, True], ids=["listed", "listed late"])
def test_import_whose_answer_was_lost_is_found_when_its_repetition_is_refused(
    monkeypatch: pytest.MonkeyPatch, listed_late: bool
) -> None:
    world = quick()
    process = Process(world)
    process.start()
    lost: list[float] = []

    def lose(number: int, called: str, after: bool) -> None:
        if called == "import_table" and after and not lost:
            lost.append(world.clock())
            raise AccountError(Side.TARGET, "exists", fix="-", code="ResourceInUseException")

    find = FakeTarget.find_import

    def find_import(self: FakeTarget, table_arn: str, prefix: str) -> Any:
        found = find(self, table_arn, prefix)
        return None if lost and world.clock() < lost[0] + 20 and listed_late else found

    monkeypatch.setattr(FakeTarget, "find_import", find_import)
    world.on_call = lose
    process.until(lambda: process.run.journal.row.state is State.REPLICATING)
    assert lost
    check(world, process, "an answer lost by the SDK")
    assert len(world.imports) == 1
