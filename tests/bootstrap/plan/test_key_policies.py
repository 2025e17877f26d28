"""`plan` says before anything is paid for which key will refuse export or import."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bootstrap.aws.calls import Calls
from bootstrap.aws.keys import KeyReader
from bootstrap.core.durations import Timing
from bootstrap.core.errors import BlockedError, Side, UnavailableError
from bootstrap.core.facts import KeyFacts
from bootstrap.core.stack_outputs import parse
from bootstrap.plan import plan
from bootstrap.plan.inspection import inspect
from bootstrap.plan.key_policies import allows
from bootstrap.plan.replication import of_outputs
from infra.key_services import LOG_KEY_ACTIONS
from tests.support.bootstrap.fake_accounts import FakeSource, FakeTarget
from tests.support.bootstrap.fake_aws import OUTPUTS_JSON, FakeAws
from tests.support.bootstrap.killed_process import Process

SOURCE_KEY = "arn:aws:kms:eu-west-1:111111111111:key/source"
TARGET_KEY = "arn:aws:kms:eu-west-1:222222222222:key/target"
STREAM_KEY = "arn:aws:kms:eu-west-1:111111111111:key/stream"
KEPT_KEY = "arn:aws:kms:eu-west-1:222222222222:key/kept"
CONSUMER_KEY = "arn:aws:kms:eu-west-1:222222222222:key/consumer"
LOGS, ALARMS = "logs.eu-west-1.amazonaws.com", "cloudwatch.amazonaws.com"
BUCKET_KEY = "arn:aws:kms:eu-west-1:222222222222:key/bucket"
EXPORTER = OUTPUTS_JSON["source"]["exporterRoleArn"]
CONSUMER = "arn:aws:iam::222222222222:role/consumer"
IMPORTER = OUTPUTS_JSON["target"]["importerRoleArn"]
WATCHDOG = "arn:aws:iam::222222222222:role/watchdog"
OBSERVER = "arn:aws:iam::111111111111:role/observer"
READER = "arn:aws:iam::222222222222:role/reader"


def policy(*principals: str, actions: Any = "kms:*", effect: str = "Allow") -> str:
    """A policy for roles, accounts and services of AWS."""
    services = [each for each in principals if each.endswith(".amazonaws.com")]
    aws = [each for each in principals if each not in services]
    statement = {
        "Effect": effect,
        "Principal": {"AWS": aws[0] if len(aws) == 1 else aws, "Service": services},
        "Action": actions,
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def root(account: str) -> str:
    return f"arn:aws:iam::{account}:root"


def encrypted() -> FakeAws:
    """A source under a customer's key, and a key for everything else, all in order."""
    world = FakeAws()
    world.source = dataclasses.replace(world.source, encryption="KMS", key_arn=SOURCE_KEY)
    world.awss_own_key = False
    uses = ["kms:Decrypt", "kms:GenerateDataKey"]
    world.keys = {
        SOURCE_KEY: KeyFacts(SOURCE_KEY, "Enabled", policy(root("111111111111"))),
        TARGET_KEY: KeyFacts(TARGET_KEY, "Enabled", policy(root("222222222222"))),
        STREAM_KEY: KeyFacts(
            STREAM_KEY, "Enabled", policy(root("111111111111"), root("222222222222"))
        ),
        KEPT_KEY: KeyFacts(KEPT_KEY, "Enabled", policy(root("222222222222"), ALARMS)),
        CONSUMER_KEY: KeyFacts(CONSUMER_KEY, "Enabled", policy(root("222222222222"), LOGS, ALARMS)),
        BUCKET_KEY: KeyFacts(BUCKET_KEY, "Enabled", policy(EXPORTER, IMPORTER, actions=uses)),
    }
    return world


def blockers(world: FakeAws, deployed: bool = True, **table: Any) -> dict[str, str]:
    """What blocks, and its fix. `table`: members of the table's outputs that are others."""
    return {each.what: each.fix for each in planned(world, deployed, **table).blockers}


def planned(world: FakeAws, deployed: bool = True, **table: Any) -> plan.Plan:
    """The plan of a stack with all these keys."""
    value = copy.deepcopy(OUTPUTS_JSON)
    value |= {"snapshotKeyArn": BUCKET_KEY, "keys": {"target": KEPT_KEY, "consumer": CONSUMER_KEY}}
    value["keyServices"] = {"target": [ALARMS], "consumer": [LOGS, ALARMS]}
    members = {
        **{"sourceKeyArn": SOURCE_KEY, "targetKeyArn": TARGET_KEY, "streamKeyArn": STREAM_KEY},
        **{"consumerRoleArn": CONSUMER, "watchdogRoleArn": WATCHDOG, "observerRoleArn": OBSERVER},
        **table,
    }
    value["target"]["operatorRoleArn"] = READER
    value["tables"][0] |= {name: arn for name, arn in members.items() if arn}
    stack = parse(json.dumps(value), "test")
    replication = of_outputs(stack, stack.tables[0])
    if not deployed:
        replication = dataclasses.replace(replication, deployment=None, snapshot_key_arn=None)
        world.destinations = []
    sides = FakeSource(world, lambda: None), FakeTarget(world, lambda: None)
    seen = inspect(*sides, replication, Timing(), world.clock())
    return plan.make(seen, replication)


def with_key(arn: str, **changes: Any) -> FakeAws:
    world = encrypted()
    world.keys[arn] = dataclasses.replace(world.keys[arn], **changes)
    return world


def test_keys_that_allow_what_is_needed_block_nothing() -> None:
    assert blockers(encrypted()) == {}


BLOCKED = {
    "source key names another role": (
        with_key(SOURCE_KEY, policy=policy("arn:aws:iam::111111111111:role/app")),
        "source table does not allow kms:Decrypt and kms:DescribeKey to the exporter",
        f"allow kms:Decrypt and kms:DescribeKey to {EXPORTER} in its key policy",
    ),
    "source key that no role may read": (
        with_key(SOURCE_KEY, refused="AccessDeniedException"),
        "could not be described with the exporter's role (kms:DescribeKey: AccessDeniedException)",
        f"allow kms:DescribeKey to {EXPORTER} in the key policy, and kms:Decrypt to {EXPORTER}",
    ),
    "source key that does not exist": (
        with_key(SOURCE_KEY, refused="NotFoundException"),
        "could not be described with the exporter's role (kms:DescribeKey: NotFoundException)",
        "correct the key in the stack configuration",
    ),
    "source key is off": (
        with_key(SOURCE_KEY, state="Disabled"),
        "of the source table is Disabled",
        "enable-key",
    ),
    "bucket key without the exporter": (
        with_key(BUCKET_KEY, policy=policy(IMPORTER)),
        "snapshot bucket does not allow kms:Decrypt and kms:GenerateDataKey to the exporter",
        "pulumi up --refresh",
    ),
    "bucket key without the importer": (
        with_key(BUCKET_KEY, policy=policy(EXPORTER)),
        "snapshot bucket does not allow kms:Decrypt and kms:GenerateDataKey to the importer",
        "pulumi up --refresh",
    ),
    "bucket key that only encrypts": (
        with_key(BUCKET_KEY, policy=policy(EXPORTER, IMPORTER, actions=["kms:GenerateDataKey"])),
        "snapshot bucket does not allow kms:Decrypt to the exporter",
        "pulumi up --refresh",
    ),
    "target key without the importer": (
        with_key(TARGET_KEY, policy=policy(root("111111111111"))),
        "target table does not allow kms:CreateGrant",
        f"to {IMPORTER}",
    ),
    "stream key that DynamoDB may not write with": (
        with_key(STREAM_KEY, policy=policy(EXPORTER, CONSUMER)),
        "stream does not allow kms:GenerateDataKey to the DynamoDB",
        "allow kms:GenerateDataKey to 111111111111 in its key policy",
    ),
    "stream key that the exporter may not put probes with": (
        with_key(
            STREAM_KEY,
            policy=policy(root("111111111111"), CONSUMER, actions="kms:Decrypt"),
        ),
        "stream does not allow kms:GenerateDataKey to the exporter",
        f"allow kms:GenerateDataKey to {EXPORTER}",
    ),
    "key of ledger and quarantine without the consumer": (
        with_key(KEPT_KEY, policy=policy(IMPORTER, WATCHDOG, READER, ALARMS)),
        "ledger and quarantine does not allow kms:Decrypt and kms:GenerateDataKey to the consumer",
        f"to {CONSUMER} in its key policy",
    ),
    "key of ledger and quarantine without the watchdog": (
        with_key(KEPT_KEY, policy=policy(IMPORTER, CONSUMER, READER, ALARMS)),
        "ledger and quarantine does not allow kms:Decrypt to the watchdog",
        f"allow kms:Decrypt to {WATCHDOG} in its key policy",
    ),
    "key of ledger and quarantine without the reader": (
        with_key(KEPT_KEY, policy=policy(IMPORTER, CONSUMER, WATCHDOG, ALARMS)),
        "ledger and quarantine does not allow kms:Decrypt to the reader",
        f"allow kms:Decrypt to {READER} in its key policy",
    ),
    "key of functions and logs without CloudWatch Logs": (
        with_key(CONSUMER_KEY, policy=policy(root("222222222222"), ALARMS)),
        "logs does not allow kms:Decrypt and kms:DescribeKey and kms:Encrypt and "
        "kms:GenerateDataKey and kms:GenerateDataKeyWithoutPlaintext and kms:ReEncryptFrom and "
        "kms:ReEncryptTo to the service logs.eu-west-1.amazonaws.com",
        "to logs.eu-west-1.amazonaws.com in its key policy",
    ),
    "key of an alarms' topic without CloudWatch": (
        with_key(KEPT_KEY, policy=policy(root("222222222222"))),
        "does not allow kms:Decrypt and kms:GenerateDataKey to the service cloudwatch.amazonaws",
        "to cloudwatch.amazonaws.com in its key policy",
    ),
    "key of functions without the watchdog": (
        with_key(CONSUMER_KEY, policy=policy(IMPORTER, CONSUMER, LOGS, ALARMS)),
        "functions and logs does not allow kms:Decrypt to the watchdog",
        f"allow kms:Decrypt to {WATCHDOG} in its key policy",
    ),
    "stream key that the observer may not put probes with": (
        with_key(
            STREAM_KEY,
            policy=policy(root("111111111111"), CONSUMER, actions="kms:Decrypt"),
        ),
        "stream does not allow kms:GenerateDataKey to the watchdog's observer",
        f"allow kms:GenerateDataKey to {OBSERVER}",
    ),
    "stream key without the other account's consumer": (
        with_key(STREAM_KEY, policy=policy(root("111111111111"))),
        "stream does not allow kms:Decrypt to the consumer",
        f"allow kms:Decrypt to {CONSUMER}",
    ),
}


@pytest.mark.parametrize("name", BLOCKED)
def test_a_key_that_will_refuse_blocks_and_says_who_is_to_be_allowed_what(name: str) -> None:
    world, what, fix = BLOCKED[name]
    found = {said: fixed for said, fixed in blockers(world).items() if what in said}
    assert len(found) == 1, blockers(world)
    assert fix in next(iter(found.values()))


def test_the_key_of_an_adopted_table_need_not_let_the_importer_make_grants() -> None:
    reads = policy(IMPORTER, actions=["kms:Decrypt", "kms:DescribeKey"])
    world = with_key(TARGET_KEY, policy=reads)
    [refused] = [what for what in blockers(world) if TARGET_KEY in what]
    assert "kms:CreateGrant" in refused
    assert not any(TARGET_KEY in what for what in blockers(world, load="bulk", adopt=True))


def test_a_run_is_blocked_by_a_key_before_anything_is_done() -> None:
    world = with_key(BUCKET_KEY, policy=policy(IMPORTER))
    value = copy.deepcopy(OUTPUTS_JSON) | {"snapshotKeyArn": BUCKET_KEY}
    value["tables"][0] |= {"sourceKeyArn": SOURCE_KEY, "targetKeyArn": TARGET_KEY}
    with pytest.raises(BlockedError, match="snapshot bucket does not allow"):
        Process(world, chosen=parse(json.dumps(value), "test")).go()
    assert not {"export", "enable_source_backups"} & {seen.name for seen in world.seen}


@pytest.mark.parametrize("deployed", [True, False])
@pytest.mark.parametrize(
    ("arn", "what", "looker"),
    [
        (SOURCE_KEY, "source table", EXPORTER),
        (TARGET_KEY, "target table", IMPORTER),
        (BUCKET_KEY, "snapshot bucket", IMPORTER),
        (STREAM_KEY, "stream", EXPORTER),
        (KEPT_KEY, "ledger and quarantine", IMPORTER),
        (CONSUMER_KEY, "on-failure bucket, functions and logs", IMPORTER),
    ],
)
def test_a_key_that_may_be_used_and_whose_policy_may_not_be_read_is_noted_and_blocks_nothing(
    arn: str, what: str, looker: str, deployed: bool
) -> None:
    made = planned(with_key(arn, policy=None), deployed)
    assert made.blockers == ()
    found = [note for note in made.notes if "cannot be judged" in note]
    # Exporter and importer use the bucket's key, which there is once the stack is deployed.
    users = {
        SOURCE_KEY: 1,
        TARGET_KEY: 1,
        STREAM_KEY: 4,
        KEPT_KEY: 5,
        CONSUMER_KEY: 5,
        BUCKET_KEY: 2 * deployed,
    }
    assert len(found) == users[arn]
    for note in found:
        assert f"key {arn} of the {what} may not be read" in note
        assert f"allow kms:GetKeyPolicy to {looker if deployed else arn.split(':')[4]}" in note


def test_a_key_is_not_judged_for_a_role_that_an_older_programs_outputs_do_not_name() -> None:
    world = with_key(KEPT_KEY, policy=policy(IMPORTER, CONSUMER, READER, ALARMS))
    made = planned(world, watchdogRoleArn="", observerRoleArn="")
    assert made.blockers == ()
    found = [note for note in made.notes if "cannot be judged" in note]
    assert f"key {KEPT_KEY} may be used by the watchdog cannot be judged" in found[0]
    assert f"key {STREAM_KEY} may be used by the watchdog's observer cannot" in found[1]
    assert len(found) == 2


def test_a_key_whose_policy_may_not_be_read_still_has_to_be_enabled() -> None:
    ((what, fix),) = blockers(with_key(SOURCE_KEY, policy=None, state="PendingDeletion")).items()
    assert "of the source table is PendingDeletion" in what
    assert "cancel-key-deletion" in fix


def test_a_source_key_that_the_exporter_is_not_granted_blocks() -> None:
    ((what, fix),) = blockers(encrypted(), sourceKeyArn="").items()
    assert "granted the use of none" in what
    assert f"set sourceKeyArn: {SOURCE_KEY}" in fix


def test_a_source_with_a_key_and_a_target_without_one_block() -> None:
    ((what, fix),) = blockers(encrypted(), targetKeyArn="").items()
    assert "no key is configured for orders-replica" in what
    assert "set targetKeyArn" in fix


def test_the_key_that_aws_manages_needs_nothing_configured() -> None:
    world = encrypted()
    world.awss_own_key = True
    assert blockers(world, sourceKeyArn="", targetKeyArn="") == {}


def test_before_there_are_roles_the_operators_refusal_says_nothing_of_them() -> None:
    world = with_key(SOURCE_KEY, refused="AccessDeniedException")
    assert blockers(world, deployed=False) == {}


@pytest.mark.parametrize("arn", [SOURCE_KEY, STREAM_KEY, CONSUMER_KEY])
def test_a_key_that_may_not_be_described_before_there_are_roles_is_noted(arn: str) -> None:
    made = planned(with_key(arn, refused="AccessDeniedException"), deployed=False)
    assert made.blockers == ()
    [note] = [each for each in made.notes if arn in each]
    assert "may not be described with these credentials" in note
    assert "`bootstrap plan` judges it" in note


@pytest.mark.parametrize("arn", [SOURCE_KEY, STREAM_KEY, CONSUMER_KEY, KEPT_KEY])
def test_a_key_that_does_not_exist_blocks_once_before_the_first_deployment(arn: str) -> None:
    made = planned(with_key(arn, refused="NotFoundException"), deployed=False)
    [found] = made.blockers
    assert f"{arn} of the" in found.what
    assert "with these credentials (kms:DescribeKey: NotFoundException)" in found.what
    assert "correct the key in the stack configuration" in found.fix


@pytest.mark.parametrize("missing", LOG_KEY_ACTIONS)
def test_a_key_of_logs_that_lacks_one_action_of_cloudwatch_logs_blocks(missing: str) -> None:
    statements = [
        *json.loads(policy(root("222222222222"), ALARMS))["Statement"],
        *json.loads(policy(LOGS, actions=[each for each in LOG_KEY_ACTIONS if each != missing]))[
            "Statement"
        ],
    ]
    world = with_key(CONSUMER_KEY, policy=json.dumps({"Statement": statements}))
    [what] = blockers(world)
    assert f"does not allow {missing} to the service {LOGS}" in what


def test_the_wildcards_of_cloudwatch_logs_own_example_are_enough() -> None:
    actions = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*"]
    statements = [
        *json.loads(policy(root("222222222222"), ALARMS))["Statement"],
        *json.loads(policy(LOGS, actions=[*actions, "kms:Describe*"]))["Statement"],
    ]
    world = with_key(CONSUMER_KEY, policy=json.dumps({"Statement": statements}))
    assert blockers(world) == {}


def test_a_policy_allows_what_a_statement_allows_to_the_principal_alone() -> None:
    mine = frozenset({EXPORTER})
    assert allows(policy(EXPORTER, actions=["kms:Encrypt", "kms:decrypt"]), mine, "kms:Decrypt")
    assert allows(policy(EXPORTER, actions="kms:Gen*"), mine, "kms:GenerateDataKey")
    assert not allows(policy(EXPORTER, actions="kms:Gen*"), mine, "kms:Decrypt")
    assert not allows(policy(EXPORTER, effect="Deny"), mine, "kms:Decrypt")
    assert not allows(policy(IMPORTER), mine, "kms:Decrypt")
    assert not allows("no JSON", mine, "kms:Decrypt")


class Kms:
    """Answers with an error, or with what AWS says of a key."""

    def __init__(self, code: str = "", aliases: tuple[str, ...] = (), of: str = "") -> None:
        """`of`: the only operation that fails; empty for all."""
        self._code, self._aliases, self._of = code, aliases, of

    def _ask(self, operation: str, answer: dict[str, Any]) -> dict[str, Any]:
        if self._code and self._of in ("", operation):
            raise ClientError({"Error": {"Code": self._code, "Message": "no"}}, operation)
        return answer

    def describe_key(self, **request: str) -> dict[str, Any]:
        return self._ask("DescribeKey", {"KeyMetadata": {"KeyState": "PendingDeletion"}})

    def get_key_policy(self, **request: str) -> dict[str, Any]:
        return self._ask("GetKeyPolicy", {"Policy": "{}"})

    def list_aliases(self, **request: str) -> dict[str, Any]:
        return self._ask("ListAliases", {"Aliases": [{"AliasName": a} for a in self._aliases]})


def keys(kms: Kms) -> KeyReader:
    return KeyReader(Calls(Side.SOURCE, "Role exporter"), kms)


def test_what_a_key_refuses_is_an_answer_and_what_passes_is_not() -> None:
    assert keys(Kms()).look("arn") == KeyFacts("arn", "PendingDeletion", "{}")
    for code in ("AccessDeniedException", "NotFoundException"):
        assert keys(Kms(code)).look("arn") == KeyFacts("arn", "", None, refused=code)
    for operation in ("DescribeKey", "GetKeyPolicy"):
        with pytest.raises(UnavailableError):
            keys(Kms("ThrottlingException", of=operation)).look("arn")


def test_a_policy_that_may_not_be_read_is_unknown_and_the_key_is_described() -> None:
    found = keys(Kms("AccessDeniedException", of="GetKeyPolicy")).look("arn")
    assert found == KeyFacts("arn", "PendingDeletion", None)


def test_awss_own_key_is_known_by_its_alias() -> None:
    assert keys(Kms(aliases=("alias/mine", "alias/aws/dynamodb"))).awss_own("arn") is True
    assert keys(Kms(aliases=("alias/mine",))).awss_own("arn") is False
    assert keys(Kms("AccessDeniedException")).awss_own("arn") is None
    with pytest.raises(UnavailableError):
        keys(Kms("ThrottlingException")).awss_own("arn")
