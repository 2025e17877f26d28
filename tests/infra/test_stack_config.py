"""The stack configuration: accepted values, and the message for each mistake."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest

from infra import engine_config
from infra.config_validation import ConfigError
from infra.load_config import LoadConfig
from infra.stack_config import StackConfig
from infra.switch_config import SwitchConfig
from infra.table_config import TableConfig
from tests.support.infra.recording_engine import CONFIG, SOURCE, TARGET, record


def parse(**changes: Any) -> StackConfig:
    return StackConfig.parse({**CONFIG, **changes})


def table(**settings: Any) -> dict[str, Any]:
    return {"tables": [{"source": "orders", **settings}]}


def alarms(**settings: Any) -> dict[str, Any]:
    return {"alarms": settings}


def operators(**settings: Any) -> dict[str, Any]:
    return {"operators": {"source": ["account"], "target": ["account"], **settings}}


def access_logs(given: object) -> dict[str, Any]:
    return {"buckets": {"accessLogs": given}}


SG = "sg-0123456789abcdef0"


def vpc(**settings: Any) -> dict[str, Any]:
    whole = {"subnetIds": ["subnet-0123456789abcdef0"], "securityGroupIds": [SG]}
    return {"vpc": {**whole, **settings}}


def thresholds(**settings: Any) -> dict[str, Any]:
    return alarms(thresholds=settings)


ROLE = "arn:aws:iam::111111111111:role/dba"
TOPIC = "arn:aws:sns:eu-west-1:222222222222:ops"
TOPICS = {"source": TOPIC, "consumer": TOPIC, "target": TOPIC}
FAR_TOPIC = "arn:aws:sns:us-east-1:222222222222:ops"

# What is wrong -> (its key, a piece of what is allowed, a piece of the fix).
MISTAKES: list[tuple[Mapping[str, Any], str, str, str]] = [
    ({"source": None}, "source", "a mapping", "accountId"),
    ({"source": "111111111111"}, "source", "a mapping", "accountId"),
    ({"source": {"region": "eu-west-1"}}, "source.accountId", "quoted string", "quotes"),
    (
        {"source": {**SOURCE, "accountId": 111111111111}},
        "source.accountId",
        "quoted string of 12 digits",
        "quotes",
    ),
    ({"target": {**TARGET, "accountId": "2222"}}, "target.accountId", "12 digits", "quotes"),
    ({"target": {**TARGET, "region": "Ireland"}}, "target.region", "Region", "eu-west-1"),
    ({"source": {**SOURCE, "roleArn": "deploy"}}, "source.roleArn", "ARN", "role/NAME"),
    (
        {"source": {**SOURCE, "permissionsBoundaryArn": "boundary"}},
        "source.permissionsBoundaryArn",
        "ARN of a managed policy",
        "policy/NAME",
    ),
    (
        {"target": {**TARGET, "permissionsBoundaryArn": "arn:aws:iam::111111111111:policy/all"}},
        "target.permissionsBoundaryArn",
        "a policy of account 222222222222",
        "arn:aws:iam::222222222222:policy/NAME",
    ),
    (
        {"target": {**TARGET, "permissionsBoundaryArn": "arn:aws-cn:iam::aws:policy/Lambda"}},
        "target.permissionsBoundaryArn",
        "in the partition aws,",
        "arn:aws:iam::222222222222:policy/NAME",
    ),
    ({"source": {**SOURCE, "rolePath": "platform"}}, "source.rolePath", "a slash", "/platform/"),
    ({"source": {**SOURCE, "rolePath": "/a//b/"}}, "source.rolePath", "a slash", "/platform/"),
    (
        {"source": {**SOURCE, "rolePath": f"/{'a' * 511}/"}},
        "source.rolePath",
        "up to 512",
        "/platform/",
    ),
    (
        {"source": {**SOURCE, "roleArn": ROLE, "externalId": "a word"}},
        "source.externalId",
        "2 to 1224",
        "leave it out",
    ),
    (
        {"source": {**SOURCE, "roleArn": ROLE, "sessionName": "s" * 65}},
        "source.sessionName",
        "2 to 64",
        "leave it out",
    ),
    (
        {"source": {**SOURCE, "externalId": "word"}},
        "source.externalId",
        "nothing without roleArn",
        "source.roleArn",
    ),
    (
        {"target": {**TARGET, "sessionName": "pipeline"}},
        "target.sessionName",
        "nothing without roleArn",
        "target.roleArn",
    ),
    ({"source": {**SOURCE, "stsRegion": "Ireland"}}, "source.stsRegion", "Region", "eu-west-1"),
    (
        {"source": {**SOURCE, "stsRegion": "cn-north-1"}},
        "source.stsRegion",
        "partition aws,",
        "another Region",
    ),
    (
        {"target": {**TARGET, "region": "us-gov-west-1"}},
        "target.region",
        "of the partition aws,",
        "from one partition to another",
    ),
    (
        {"target": {**TARGET, "region": "eusc-de-east-1"}},
        "target.region",
        "is of aws-eusc",
        "a Region of aws;",
    ),
    ({"iam": True}, "iam", "a mapping", "managedPolicies: true"),
    ({"iam": {"managedPolicies": "yes"}}, "iam.managedPolicies", "true or false", "unquoted"),
    ({"iam": {"managed": True}}, "iam.managed", "managedPolicies", "managedPolicies"),
    ({"architecture": "arm"}, "architecture", "arm64 or x86_64", "set architecture to arm64"),
    ({"source": {**SOURCE, "profile": "a b"}}, "source.profile", "profile", "list-profiles"),
    ({"source": {**SOURCE, "acountId": "1"}}, "source.acountId", "accountId", "accountId"),
    ({"tables": None}, "tables", "at least one", "- {source"),
    ({"tables": []}, "tables", "at least one", "- {source"),
    ({"tables": ["orders"]}, "tables[0]", "a mapping", "- {source"),
    ({"tables": [{}]}, "tables[0].source", "3 to 255", "not the ARN"),
    (
        {"tables": [{"source": "arn:aws:dynamodb:eu-west-1:111111111111:table/orders"}]},
        "tables[0].source",
        "3 to 255",
        "not the ARN",
    ),
    (table(target="no"), "tables[0].target", "3 to 255", "not the ARN"),
    (table(ordering="market"), "tables[0].ordering", "ledger", "ledger"),
    (table(streamMode="ondemand"), "tables[0].streamMode", "ON_DEMAND", "ON_DEMAND"),
    (table(streamMode="PROVISIONED"), "tables[0].shards", "PROVISIONED", "set shards"),
    (table(shards=4), "tables[0].shards", "ON_DEMAND", "remove shards"),
    (table(streamMode="PROVISIONED", shards=0), "tables[0].shards", "from 1", "shards"),
    (table(parallelizationFactor=11), "tables[0].parallelizationFactor", "1 to 10", "default, 1"),
    (table(batchSize=20_000), "tables[0].batchSize", "1 to 10000", "default, 500"),
    (table(batchSize="100"), "tables[0].batchSize", "a whole number", "default, 500"),
    (table(batchSize=True), "tables[0].batchSize", "a whole number", "default, 500"),
    (table(batchWindow=301), "tables[0].batchWindow", "0 to 300", "default, 0"),
    (table(memory=64), "tables[0].memory", "128 to 10240", "default, 1769"),
    (table(reservedConcurrency=0), "tables[0].reservedConcurrency", "from 1", "range"),
    (table(ledgerRetentionDays=7), "tables[0].ledgerRetentionDays", "8 to 3650", "default, 30"),
    (table(quarantineBurst=0), "tables[0].quarantineBurst", "1 to 10000", "default, 10"),
    (table(startAt="yesterday"), "tables[0].startAt", "TRIM_HORIZON", "leave it out"),
    (table(denyOtherWriters="yes"), "tables[0].denyOtherWriters", "true or false", "unquoted"),
    (table(protect="no"), "tables[0].protect", "true or false", "unquoted"),
    (table(sourceKeyArn="alias/orders"), "tables[0].sourceKeyArn", "KMS key", "not an alias"),
    (
        table(target="copy", sourceKeyArn="arn:aws:kms:eu-west-1:222222222222:key/a"),
        "tables[0].sourceKeyArn",
        "111111111111 in eu-west-1",
        "a key of account 111111111111 and Region eu-west-1",
    ),
    (
        table(target="copy", streamKeyArn="arn:aws:kms:eu-west-1:222222222222:key/a"),
        "tables[0].streamKeyArn",
        "111111111111 in eu-west-1",
        "a key of account 111111111111 and Region eu-west-1",
    ),
    (
        table(target="copy", targetKeyArn="arn:aws:kms:us-east-1:222222222222:key/a"),
        "tables[0].targetKeyArn",
        "222222222222 in eu-west-1",
        "a key of account 222222222222 and Region eu-west-1",
    ),
    (
        {"keys": {"target": "make"}},
        "keys.target",
        "the ARN of a KMS key, or create",
        "eu-west-1:222222222222",
    ),
    (
        {"keys": {"target": "arn:aws:kms:eu-west-1:111111111111:key/a"}},
        "keys.target",
        "222222222222 in eu-west-1",
        "a key of account 222222222222",
    ),
    (
        {"keys": {"consumer": "arn:aws:kms:eu-west-1:111111111111:key/a"}},
        "keys.consumer",
        "222222222222 in eu-west-1",
        "a key of account 222222222222",
    ),
    (
        {"keys": {"source": "arn:aws:kms:eu-west-1:222222222222:key/a"}},
        "keys.source",
        "111111111111 in eu-west-1",
        "a key of account 111111111111",
    ),
    ({"snapshotKey": "yes"}, "snapshotKey", "true or false", "unquoted"),
    (table(batchsize=5), "tables[0].batchsize", "batchSize", "rename it to batchSize"),
    (
        {"tables": [{"source": "orders", "target": "one"}, {"source": "orders", "target": "two"}]},
        "tables[1].source",
        "each name once",
        "duplicate",
    ),
    (
        {"tables": [{"source": "one", "target": "two"}, {"source": "two", "target": "two"}]},
        "tables[1].target",
        "each name once",
        "duplicate",
    ),
    ({"retentionHours": 23}, "retentionHours", "24 to 8760", "default, 8760"),
    ({"retentionHours": 8761}, "retentionHours", "24 to 8760", "default, 8760"),
    ({"protect": "yes"}, "protect", "true or false", "unquoted"),
    ({"lambdaArchive": 5}, "lambdaArchive", "a folder", "make build"),
    (
        table(sourceKeyArn=f"arn:aws:kms:eu-west-1:111111111111:key/{'x' * 65}"),
        "tables[0].sourceKeyArn",
        "the ARN of a KMS key",
        "not an alias",
    ),
    ({"tags": {"aws:team": "x"}}, "tags.aws:team", "aws:", "another key"),
    ({"tags": {"team": "a, b"}}, "tags.team", "letters, digits, spaces", "quotes"),
    ({"tags": {"team": "v" * 257}}, "tags.team", "up to 256", "quotes"),
    ({"tags": {"team": "a", "Team": "b"}}, "tags.Team", "capital letters", "remove one"),
    ({"tags": {f"tag-{n}": "" for n in range(48)}}, "tags", "up to 47", "remove some"),
    ({"tags": {"AWS:team": "x"}}, "tags.AWS:team", "aws:", "another key"),
    ({"tags": {"team": None}}, "tags.team", "quoted string", "only project, stack, managed-by"),
    ({"tags": {"Stack": None, "stack": "x"}}, "tags.stack", "capital letters", "remove one"),
    ({"tags": {"team": 5}}, "tags.team", "quoted string", "quotes"),
    ({"tags": "team"}, "tags", "a mapping", "team: payments"),
    (operators(source="me"), "operators.source", "a list", "role/NAME"),
    (operators(source=None), "operators.source", "at least one", "[account]"),
    (operators(target=[]), "operators.target", "at least one", "[account]"),
    (operators(target=[ROLE, "me"]), "operators.target[1]", "the ARN", "role/NAME"),
    (operators(externalId="x y"), "operators.externalId", "letters", "leave it out"),
    (operators(sauce=[ROLE]), "operators.sauce", "source", "rename it to source"),
    (operators(readItems="x"), "operators.readItems", "true or false", "true"),
    ({"switch": "yes"}, "switch", "a mapping", "switch: true"),
    ({"switch": {"source": ["me"]}}, "switch.source[0]", "the ARN", "role/NAME"),
    ({"switch": {"mfa": "yes"}}, "switch.mfa", "true or false", "unquoted"),
    ({"switch": {"MFA": True}}, "switch.MFA", "mfa, source, target", "rename it to mfa"),
    (
        {"switch": {"target": [f"{ROLE}-{n:02}" for n in range(60)]}},
        "switch.target",
        "up to 2048 characters",
        "target: [account]",
    ),
    ({"reverse": True}, "reverse", "is not built", "sides swapped"),
    (table(reverse=False), "tables[0].reverse", "is not built", "sides swapped"),
    ({"logRetentionDays": 100}, "logRetentionDays", "90, 120", "set logRetentionDays to 120"),
    ({"logRetentionDays": 0}, "logRetentionDays", "or 3653 days", "set logRetentionDays to 3653"),
    ({"logRetentionDays": "365"}, "logRetentionDays", "1, 3, 5", "default, 90"),
    ({"vpc": "subnet-0123456789abcdef0"}, "vpc", "a mapping", "subnetIds: [subnet-"),
    (vpc(subnetIds=None), "vpc.subnetIds", "at least one", "[subnet-0"),
    (vpc(securityGroupIds=[]), "vpc.securityGroupIds", "at least one", "[sg-0"),
    (vpc(subnetIds=["sg-01234567"]), "vpc.subnetIds[0]", "the id of a subnet", "[subnet-0"),
    (vpc(securityGroupIds=[SG, "x"]), "vpc.securityGroupIds[1]", "a security group", "[sg-0"),
    (vpc(securityGroupIds=[SG, SG]), "vpc.securityGroupIds[1]", "each id once", "duplicate"),
    (vpc(subnetIds=[f"subnet-{n:08x}" for n in range(17)]), "vpc.subnetIds", "up to 16", "some"),
    (vpc(subnetId="x"), "vpc.subnetId", "subnetIds", "rename it to subnetIds"),
    ({"buckets": "logs"}, "buckets", "a mapping", "blockPublicAccess: false"),
    ({"buckets": {"blockPublicAccess": "no"}}, "buckets.blockPublicAccess", "true", "unquoted"),
    ({"buckets": {"accessLog": {}}}, "buckets.accessLog", "accessLogs", "rename it to accessLogs"),
    (access_logs("logs"), "buckets.accessLogs", "a mapping", "{consumer: BUCKET"),
    (access_logs({"target": "logs"}), "buckets.accessLogs.consumer", "target account", "remove"),
    (
        access_logs({"consumer": "logs", "target": "arn:aws:s3:::logs"}),
        "buckets.accessLogs.target",
        "a bucket of the target account in eu-west-1",
        "not its ARN",
    ),
    (
        access_logs({"source": "logs", "consumer": "logs", "target": "logs"}),
        "buckets.accessLogs.source",
        "no bucket in the source account",
        "remove it",
    ),
    (
        {
            **access_logs({"consumer": "logs", "target": "logs"}),
            "target": {**TARGET, "region": "us-east-1"},
        },
        "buckets.accessLogs.consumer",
        "another bucket than the target's",
        "in eu-west-1",
    ),
    ({"alarms": "me"}, "alarms", "a mapping", "emails"),
    (alarms(emails="me@example.com"), "alarms.emails", "a list", "emails: ["),
    (alarms(emails=["a@example.com", "me"]), "alarms.emails[1]", "an e-mail address", "emails: ["),
    (alarms(topics=TOPIC), "alarms.topics", "a mapping", "topics: {source"),
    (alarms(topics={**TOPICS, "target": None}), "alarms.topics.target", "SNS topic", "remove"),
    (alarms(topics={**TOPICS, "consumer": "ops"}), "alarms.topics.consumer", "ARN", "arn:aws:sns"),
    (
        alarms(topics={**TOPICS, "source": FAR_TOPIC}),
        "alarms.topics.source",
        "in eu-west-1, where these alarms live",
        "arn:aws:sns:eu-west-1",
    ),
    (alarms(topics={**TOPICS, "tarket": TOPIC}), "alarms.topics.tarket", "target", "rename it"),
    (
        alarms(topics=TOPICS, emails=["me@example.com"]),
        "alarms.emails",
        "nothing, beside topics",
        "subscribe",
    ),
    (alarms(threshold={}), "alarms.threshold", "thresholds", "rename it to thresholds"),
    (
        thresholds(replicationLagSeconds=0),
        "alarms.thresholds.replicationLagSeconds",
        "seconds from 1",
        "default, 60",
    ),
    (
        thresholds(retentionUsedPercent=100),
        "alarms.thresholds.retentionUsedPercent",
        "1 to 99",
        "default, 25",
    ),
    (
        thresholds(unreplicatedCriticalHours=168),
        "alarms.thresholds.unreplicatedCriticalHours",
        "1 to 167",
        "default, 24",
    ),
    (
        thresholds(unreplicatedWarningHours=24),
        "alarms.thresholds.unreplicatedWarningHours",
        "less than unreplicatedCriticalHours, 24",
        "lower it",
    ),
    (
        thresholds(replicationLag=5),
        "alarms.thresholds.replicationLag",
        "replicationLagSeconds",
        "rename it to replicationLagSeconds",
    ),
    (table(load="import-table"), "tables[0].load", "import or bulk", "set load to import"),
    (table(load="copy"), "tables[0].load", "import or bulk", "set load to import"),
    (table(load="bulk", adopt="yes"), "tables[0].adopt", "true or false", "unquoted"),
    (table(adopt=True), "tables[0].adopt", "takes none that exists", "set load to bulk"),
    (table(load="import", adopt=True), "tables[0].adopt", "nothing, for an import", "remove adopt"),
    (table(performanceTier="STANDARD"), "tables[0].performanceTier", "an import", "load to bulk"),
    (table(maxWriteRequestUnits=2048), "tables[0].maxWriteRequestUnits", "an import", "to bulk"),
    (
        table(load="bulk", performanceTier="FAST"),
        "tables[0].performanceTier",
        "STANDARD or ACCELERATED",
        "set performanceTier to STANDARD",
    ),
    (
        table(load="bulk", maxWriteRequestUnits=1023),
        "tables[0].maxWriteRequestUnits",
        "from 1024 to",
        "leave it out",
    ),
    ({"retention": 24}, "retention", "retentionHours", "rename it to retentionHours"),
    ({"logsRetentionDays": 365}, "logsRetentionDays", "retentionHours", "to logRetentionDays"),
    # Obeyed, "rename it to retentionHours" would make hours of minutes.
    ({"retentionMinutes": 600}, "retentionMinutes", "retentionHours", "remove it"),
    ({"colour": "red"}, "colour", "protect", "remove it"),
]


@pytest.mark.parametrize(
    ("changes", "key", "allowed", "fix"),
    MISTAKES,
    ids=[f"{m[1]}-{n}" for n, m in enumerate(MISTAKES)],
)
def test_a_mistake_names_its_key_what_is_allowed_and_the_fix(
    changes: Mapping[str, Any], key: str, allowed: str, fix: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        StackConfig.parse({**CONFIG, **changes})
    [mistake] = raised.value.mistakes
    assert mistake.key == key
    assert allowed in mistake.allowed
    assert fix in mistake.fix
    assert mistake.got in str(raised.value)
    assert "Try: " in str(raised.value)


def test_all_mistakes_of_a_file_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        parse(
            source={"accountId": 111111111111, "region": "Ireland"},
            tables=[{"source": "orders", "batchSize": 0, "memroy": 512}],
            retentionHours=1,
        )
    assert {mistake.key for mistake in raised.value.mistakes} == {
        "source.accountId",
        "source.region",
        "tables[0].batchSize",
        "tables[0].memroy",
        "retentionHours",
    }
    assert str(raised.value).startswith("The stack configuration has 5 mistakes:")


def test_the_source_table_cannot_be_its_own_target() -> None:
    here = {"accountId": "111111111111", "region": "eu-west-1"}
    with pytest.raises(ConfigError) as raised:
        parse(source=here, target=here, tables=[{"source": "orders"}])
    [mistake] = raised.value.mistakes
    assert mistake.key == "tables[0].target"
    assert "the source itself" in mistake.allowed


def test_the_same_name_elsewhere_is_no_clash() -> None:
    assert parse(tables=[{"source": "orders"}]).tables[0].target == "orders"
    here = {"accountId": "111111111111", "region": "eu-west-1"}
    there = {**here, "region": "us-east-1"}
    assert parse(source=here, target=there, tables=[{"source": "orders"}]).tables
    assert parse(source=here, target=here, tables=[{"source": "orders", "target": "copy"}]).tables


def test_without_settings_a_table_gets_the_documented_defaults() -> None:
    settings = parse(tables=[{"source": "orders", "target": "copy"}])
    assert settings.tables == (TableConfig("orders", "copy"),)
    assert (settings.retention_hours, settings.protect) == (8760, True)
    assert settings.lambda_archive.parts[-2:] == ("build", "lambda")


def test_a_table_is_imported_unless_it_asks_for_a_bulk_put() -> None:
    assert parse(**table()).tables[0].load == LoadConfig()
    assert not parse(**table(load="import", adopt=False)).tables[0].load.is_bulk
    asked = parse(**table(load="bulk", adopt=True, maxWriteRequestUnits=1024)).tables[0].load
    assert asked == LoadConfig("bulk", adopt=True, max_write_request_units=1024)
    assert asked.performance_tier == "STANDARD"


def test_there_is_no_operator_unless_the_configuration_names_one() -> None:
    with pytest.raises(ConfigError) as raised:
        parse(operators=None)
    found = {mistake.key for mistake in raised.value.mistakes}
    assert found == {"operators.source", "operators.target"}
    settings = parse(operators={"source": ["account"], "target": [ROLE]})
    assert settings.operators.source == ("arn:aws:iam::111111111111:root",)
    assert settings.operators.target == (ROLE,)


def test_switch_roles_trust_the_operators_unless_others_are_named() -> None:
    named = {"operators": {"source": ["account"], "target": [ROLE]}}
    assert parse(**named).switch is None
    assert parse(**named, switch=False).switch is None
    everyone = "arn:aws:iam::111111111111:root"
    assert parse(**named, switch=True).switch == SwitchConfig((everyone,), (ROLE,))
    other = f"{ROLE}-of-the-switch"
    given = parse(**named, switch={"source": [other], "mfa": True}).switch
    assert given == SwitchConfig((other,), (ROLE,), mfa=True)


def test_a_switch_is_for_every_table_and_the_deny_alone_for_those_that_ask_for_it() -> None:
    tables = [{"source": "orders", "denyOtherWriters": True}, {"source": "customers"}]
    both = parse(tables=tables, switch=True)
    assert both.switch_tables("source") == both.switch_tables("target") == both.tables
    deny = parse(tables=tables)
    assert (deny.switch_tables("source"), deny.switch_tables("target")) == ((), deny.tables[:1])
    assert [deny.denies_other_writers(table) for table in deny.tables] == [True, False]
    assert parse().switch_tables("target") == ()


def test_arns_are_of_the_regions_partition() -> None:
    for region, partition in (("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")):
        settings = parse(source={**SOURCE, "region": region}, target={**TARGET, "region": region})
        assert settings.source.root_arn == f"arn:{partition}:iam::111111111111:root"
        assert settings.target.table_arn("x").startswith(f"arn:{partition}:dynamodb:{region}:")


def test_the_running_stacks_values_are_read_unknown_ones_included() -> None:
    values = {**CONFIG, "protect": False, "retentionHours": 48, "colour": "red"}
    pulumi.runtime.set_all_config(
        {
            **{
                f"dynamodb-replication:{key}": v if isinstance(v, str) else json.dumps(v)
                for key, v in values.items()
            },
            "aws:region": "eu-west-1",
        }
    )
    with pytest.raises(ConfigError) as raised:
        engine_config.load(pulumi.Config("dynamodb-replication"))
    assert [mistake.key for mistake in raised.value.mistakes] == ["colour"]


def test_a_wrong_configuration_deploys_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="retentionHours: got 1;"):
        record({**CONFIG, "retentionHours": 1}, tmp_path / "archive")


def test_tables_whose_resources_would_have_the_same_names_are_refused() -> None:
    """The second is called like the first one's shortened name and its digest."""
    name = "Orders"
    slug = TableConfig(name, name).slug
    assert slug != name
    with pytest.raises(ConfigError) as raised:
        StackConfig.parse({**CONFIG, "tables": [{"source": name}, {"source": slug}]})
    text = str(raised.value)
    assert f'tables[1].source: got "{slug}"' in text
    assert f"those of tables[0] ({name}) are named replicate-{slug}, too" in text
    assert "Try: replicate one of the two by a stack of its own" in text
    assert StackConfig.parse({**CONFIG, "tables": [{"source": slug}]}).tables[0].slug == slug
