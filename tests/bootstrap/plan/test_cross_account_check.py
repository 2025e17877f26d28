"""The check that a snapshot can cross the accounts, before any is paid for."""

from __future__ import annotations

import io
from typing import Any, NoReturn

import pytest

from bootstrap.app import process as processes
from bootstrap.app.show_plan import show_plans
from bootstrap.aws.calls import Calls
from bootstrap.aws.cross_account_check import AwsCrossAccountCheck
from bootstrap.core import durations
from bootstrap.core.errors import AccessDeniedError, Side, UnavailableError
from bootstrap.plan.cross_account_check import cross_account_blockers
from bootstrap.plan.price_list import PriceList
from bootstrap.plan.replication import Replication, of_outputs
from tests.support.bootstrap.failures import failure_of
from tests.support.bootstrap.fake_accounts import FakeCrossAccountCheck, FakeSource, FakeTarget
from tests.support.bootstrap.fake_aws import FakeAws, outputs
from tests.support.bootstrap.killed_process import Process
from tests.support.bootstrap.request_recorder import Recorder
from tests.support.fakes.errors import Killed, client_error

pytestmark = pytest.mark.promise("C6", "C8")

KEY = "arn:aws:kms:eu-west-1:222222222222:key/a"
SAID = (
    "User: exporter is not authorized to perform: s3:PutObject on resource: "
    "b/orders/cross-account-check"
)
DENIED = {
    "write_check": Side.SOURCE,
    "read_check": Side.TARGET,
    "remove_check": Side.TARGET,
}


def replication() -> Replication:
    stack = outputs()
    return of_outputs(stack, stack.tables[0])


def refusing(call: str, why: str) -> FakeAws:
    """A world in which a call of the check is refused, with what AWS says of it."""
    world = FakeAws()

    def refuse(number: int, name: str, after: bool) -> None:
        if name == call and not after:
            raise AccessDeniedError(DENIED[call], f"{SAID} {why}", fix="-", code="AccessDenied")

    world.on_call = refuse
    return world


def found(world: FakeAws) -> list[tuple[str, str]]:
    check = FakeCrossAccountCheck(world, lambda: None)
    return [(each.what, each.fix) for each in cross_account_blockers(check, replication())]


def test_where_nothing_is_refused_nothing_blocks_and_no_object_is_left() -> None:
    world = FakeAws()
    assert found(world) == []
    names = [each.name for each in world.seen]
    assert names == ["write_check", "read_check", "remove_check"]
    assert world.objects == set()


@pytest.mark.parametrize(
    ("call", "why", "whose"),
    [
        (
            "write_check",
            "with an explicit deny in a service control policy",
            "a service control policy of account 111111111111's organisation",
        ),
        (
            "write_check",
            "with an explicit deny in a resource control policy",
            "a resource control policy of account 222222222222's organisation",
        ),
        (
            "read_check",
            "with an explicit deny in a service control policy",
            "a service control policy of account 222222222222's organisation",
        ),
        (
            "write_check",
            "because no permissions boundary allows the s3:PutObject action",
            "the permissions boundary of the role",
        ),
        (
            "remove_check",
            "because no VPC endpoint policy allows the s3:DeleteObject action",
            "the VPC endpoint",
        ),
    ],
)
def test_a_refusal_names_whose_policy_has_to_allow_it(call: str, why: str, whose: str) -> None:
    [(what, fix)] = found(refusing(call, why))
    assert why in what
    assert whose in fix
    assert "pulumi up" not in fix


def test_a_refusal_without_a_kind_of_policy_names_the_stacks_and_then_the_organisations() -> None:
    [(_, fix)] = found(refusing("write_check", ""))
    # IAM passes on with a delay what the first `up` has just made.
    assert fix.startswith("the same again in a few minutes, if `pulumi up` has just run")
    assert "Otherwise pulumi up --refresh --stack local" in fix
    assert "look for an organisation's policy: a service control policy of account 1111" in fix
    assert "a resource control policy of account 222222222222" in fix
    assert "--skip-cross-account-check" in fix


@pytest.mark.parametrize("call", list(DENIED))
def test_a_refused_check_ends_a_run_before_anything_is_done(call: str) -> None:
    world = refusing(call, "")
    failure = failure_of(world)
    assert failure.exit_code == DENIED[call].value
    assert SAID in failure.what
    assert world.exports == {}
    assert world.times("enable_backups") == []


class Accounts:
    """Both accounts of a world, for a plan."""

    def __init__(self, world: FakeAws) -> None:
        self._world = world

    def refuse_other_accounts(self) -> None: ...

    def source(self) -> FakeSource:
        return FakeSource(self._world, lambda: None)

    def target(self, region: str) -> FakeTarget:
        return FakeTarget(self._world, lambda: None)


def test_a_plan_of_several_tables_tries_the_accounts_once_and_blocks_each_table() -> None:
    world = refusing("write_check", "")
    out = io.StringIO()
    process = processes.Process(
        world.clock, Process(world, pid=9).machine, durations.Timing(), out, out
    )
    accounts: Any = Accounts(world)
    code = show_plans(
        [replication()] * 3,
        accounts,
        process,
        cross_account_check=FakeCrossAccountCheck(world, lambda: None),
        now=world.clock(),
        as_json=False,
        prices=PriceList(),
    )
    assert code == 1
    assert len(world.times("write_check")) == 1
    assert out.getvalue().count(SAID) == 3


def test_an_object_whose_reading_is_refused_is_removed_all_the_same() -> None:
    world = refusing("read_check", "")
    assert len(found(world)) == 1
    assert world.objects == set()


@pytest.mark.parametrize("call", list(DENIED))
@pytest.mark.parametrize("after", [False, True])
def test_a_check_that_was_killed_leaves_nothing_that_the_next_one_does_not_remove(
    call: str, after: bool
) -> None:
    world = FakeAws()

    def kill(number: int, name: str, late: bool) -> None:
        if (name, late) == (call, after):
            raise Killed(name)

    world.on_call = kill
    with pytest.raises(Killed):
        Process(world, pid=1).go()
    world.on_call = lambda number, name, late: None
    assert found(world) == []
    assert "orders/cross-account-check" not in world.objects


def test_a_run_that_has_begun_its_export_tries_nothing() -> None:
    world = FakeAws()
    Process(world).go()
    assert len(world.times("write_check")) == 1
    Process(world, pid=2).go()
    assert len(world.times("write_check")) == 1


# --- on AWS -----------------------------------------------------------------------------------


def requests(key: str) -> list[tuple[str, dict[str, Any]]]:
    asked: list[tuple[str, dict[str, Any]]] = []
    check_of(Recorder("s3", asked), key).write("orders/cross-account-check")
    return asked


class Answering:
    """A client of which every call ends in this error."""

    def __init__(self, code: str) -> None:
        self._code = code

    def __getattr__(self, method: str) -> Any:
        def call(**request: Any) -> NoReturn:
            raise client_error(method, self._code, "no")

        return call


def check_of(s3: Any, key: str = "", importers: Any = None) -> AwsCrossAccountCheck:
    return AwsCrossAccountCheck(
        Calls(Side.SOURCE, "Role exporter", owner=Side.TARGET),
        s3,
        Calls(Side.TARGET, "Role importer"),
        importers,
        bucket="snapshots",
        owner="222222222222",
        key_arn=key,
    )


def test_the_object_is_encrypted_as_an_export_is_and_demands_the_bucket_of_the_target() -> None:
    [(_, request)] = requests("")
    assert (request["Bucket"], request["Key"]) == ("snapshots", "orders/cross-account-check")
    assert request["ExpectedBucketOwner"] == "222222222222"
    assert request["ServerSideEncryption"] == "AES256"
    [(_, request)] = requests(KEY)
    assert (request["ServerSideEncryption"], request["SSEKMSKeyId"]) == ("aws:kms", KEY)


def test_the_refusal_names_both_accounts() -> None:
    with pytest.raises(AccessDeniedError) as refused:
        check_of(Answering("AccessDenied")).write("orders/cross-account-check")
    assert refused.value.what.startswith(
        "Role exporter of the source account may not s3:put_object on "
        "snapshots/orders/cross-account-check in "
        "the target account."
    )
    assert refused.value.exit_code == Side.SOURCE.value


def test_an_object_that_another_process_has_removed_was_not_refused() -> None:
    check_of(None, importers=Answering("NoSuchKey")).read("orders/cross-account-check")
    with pytest.raises(AccessDeniedError):
        check_of(None, importers=Answering("AccessDenied")).read("orders/cross-account-check")


def test_a_key_or_a_bucket_that_cannot_be_used_is_a_blocker_like_others() -> None:
    check = check_of(Answering("KMS.DisabledException"), importers=Answering("NoSuchBucket"))
    written, removed = cross_account_blockers(check, replication())
    assert "failed with KMS.DisabledException" in written.what
    assert "failed with NoSuchBucket" in removed.what


def test_an_account_that_does_not_answer_blocks_nothing_and_ends_the_plan() -> None:
    check = check_of(Answering("SlowDown"), importers=Answering("SlowDown"))
    with pytest.raises(UnavailableError):
        list(cross_account_blockers(check, replication()))
