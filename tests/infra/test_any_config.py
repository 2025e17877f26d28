"""Any valid configuration deploys, and one broken value is reported as one mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from infra.config_validation import ConfigError
from infra.stack_config import LOG_RETENTION_DAYS, StackConfig
from tests.support.infra.recording_engine import record

REGIONS = st.sampled_from(["eu-west-1", "us-east-1", "ap-southeast-2", "us-gov-west-1"])
NAMES = st.from_regex(r"[A-Za-z0-9_.-]{3,255}", fullmatch=True)
ACCOUNTS = st.fixed_dictionaries(
    {"accountId": st.from_regex(r"[0-9]{12}", fullmatch=True), "region": REGIONS},
    optional={
        "profile": st.just("deploy"),
        "roleArn": st.just("arn:aws:iam::111111111111:role/deploy"),
        "rolePath": st.just("/platform/"),
    },
)
SAME_PARTITION = {"us-gov-west-1": ["us-gov-west-1", "us-gov-east-1"]}
TABLE_SETTINGS: dict[str, st.SearchStrategy[Any]] = {
    "ordering": st.just("ledger"),
    "parallelizationFactor": st.integers(1, 10),
    "batchSize": st.integers(1, 10_000),
    "batchWindow": st.integers(0, 300),
    "memory": st.integers(128, 10_240),
    "reservedConcurrency": st.integers(1, 1000),
    "ledgerRetentionDays": st.integers(8, 3650),
    "quarantineBurst": st.integers(1, 10_000),
    "startAt": st.sampled_from(["TRIM_HORIZON", "2026-11-23T10:00:00Z"]),
    "denyOtherWriters": st.booleans(),
    "protect": st.booleans(),
}
STREAMS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.just({"streamMode": "ON_DEMAND"}),
    st.fixed_dictionaries({"streamMode": st.just("PROVISIONED"), "shards": st.integers(1, 100)}),
)
ALARMS = st.fixed_dictionaries(
    {},
    optional={
        "emails": st.just(["team@example.com"]),
        "thresholds": st.fixed_dictionaries(
            {},
            optional={
                "replicationLagSeconds": st.integers(1, 3600),
                "retentionUsedPercent": st.integers(1, 99),
                "throttledPutsCount": st.integers(0, 1000),
            },
        ),
    },
)
OPERATORS = st.fixed_dictionaries(
    {
        "source": st.just(["arn:aws:iam::111111111111:role/dba"]),
        "target": st.sampled_from([["account"], ["arn:aws:iam::222222222222:role/dba"]]),
    },
    optional={"externalId": st.just("replication"), "readItems": st.booleans()},
)
VPC = st.fixed_dictionaries(
    {
        "subnetIds": st.just(["subnet-0123456789abcdef0"]),
        "securityGroupIds": st.just(["sg-01234567"]),
    }
)
BUCKETS = st.fixed_dictionaries(
    {},
    optional={
        "blockPublicAccess": st.booleans(),
        "accessLogs": st.fixed_dictionaries(
            {"consumer": st.just("access-logs-here"), "target": st.just("access-logs-there")}
        ),
    },
)
SWITCH: st.SearchStrategy[Any] = st.one_of(
    st.booleans(),
    st.fixed_dictionaries(
        {},
        optional={
            "source": st.just(["account"]),
            "target": st.just(["arn:aws:iam::222222222222:role/dba"]),
            "mfa": st.booleans(),
        },
    ),
)
# None of these is valid anywhere in a configuration.
NONSENSE: list[Any] = [-1, "", {"a": 1}, ["x"], 3.5, "not this!", 10**9]


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    count = draw(st.integers(1, 3))
    sources = draw(st.lists(NAMES, min_size=count, max_size=count, unique=True))
    targets = draw(st.lists(NAMES, min_size=count, max_size=count, unique=True))
    config: dict[str, Any] = {"source": draw(ACCOUNTS), "target": draw(ACCOUNTS), "tables": []}
    assume(config["source"]["accountId"] != config["target"]["accountId"])
    near = SAME_PARTITION.get(config["source"]["region"], ["eu-west-1", "us-east-1"])
    config["target"]["region"] = draw(st.sampled_from(near))
    for source, target in zip(sources, targets, strict=True):
        chosen = draw(st.fixed_dictionaries({}, optional=TABLE_SETTINGS))
        for side in ("source", "target"):
            if draw(st.booleans()):
                place = f"{config[side]['region']}:{config[side]['accountId']}"
                chosen[f"{side}KeyArn"] = f"arn:aws:kms:{place}:key/1234abcd"
        config["tables"].append({"source": source, "target": target, **chosen, **draw(STREAMS)})
    return config | draw(
        st.fixed_dictionaries(
            {"operators": OPERATORS},
            optional={
                "protect": st.booleans(),
                "retentionHours": st.integers(24, 8760),
                "snapshotKey": st.booleans(),
                "tags": st.just({"team": "payments"}),
                "alarms": ALARMS,
                "logRetentionDays": st.sampled_from(LOG_RETENTION_DAYS),
                "buckets": BUCKETS,
                "vpc": VPC,
                "switch": SWITCH,
            },
        )
    )


# The stand-in archive is made anew by each run, so that examples may share its folder.
SHARES_A_FOLDER = [HealthCheck.function_scoped_fixture]


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=SHARES_A_FOLDER)
@given(config=configurations())
def test_any_valid_configuration_deploys(config: dict[str, Any], tmp_path: Path) -> None:
    deployed = record(config, tmp_path / "archive")
    assert len(deployed.outputs["tables"]) == len(config["tables"])
    assert all(resource.side for resource in deployed.aws)
    assert len({(r.kind, r.name) for r in deployed.resources}) == len(deployed.resources)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(config=configurations(), nonsense=st.sampled_from(NONSENSE), data=st.data())
def test_any_one_broken_value_is_reported_as_one_mistake_under_its_own_key(
    config: dict[str, Any], nonsense: Any, data: st.DataObject
) -> None:
    StackConfig.parse(config)
    places: list[tuple[tuple[Any, ...], str]] = [
        ((side, key), f"{side}.{key}") for side in ("source", "target") for key in config[side]
    ]
    places += [
        (("tables", n, key), f"tables[{n}].{key}")
        for n, table in enumerate(config["tables"])
        for key in table
    ]
    places += [
        ((key,), key)
        for key in ("protect", "retentionHours", "snapshotKey", "logRetentionDays")
        if key in config
    ]
    places += [(("vpc", key), f"vpc.{key}[0]") for key in config.get("vpc", {})]
    buckets = config.get("buckets", {})
    if "blockPublicAccess" in buckets:
        places.append((("buckets", "blockPublicAccess"), "buckets.blockPublicAccess"))
    places += [
        (("buckets", "accessLogs", place), f"buckets.accessLogs.{place}")
        for place in buckets.get("accessLogs", {})
    ]
    places += [
        (("alarms", "thresholds", key), f"alarms.thresholds.{key}")
        for key in config.get("alarms", {}).get("thresholds", {})
    ]
    places += [
        (
            ("operators", key),
            f"operators.{key}{'' if key in ('externalId', 'readItems') else '[0]'}",
        )
        for key in config["operators"]
    ]
    switch = config.get("switch", False)
    places += [
        (("switch", key), f"switch.{key}{'' if key == 'mfa' else '[0]'}")
        for key in (switch if isinstance(switch, dict) else {})
    ]
    path, key = data.draw(st.sampled_from(places))
    inner: Any = config
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = [nonsense] if key.endswith("[0]") else nonsense
    with pytest.raises(ConfigError) as raised:
        StackConfig.parse(config)
    found = {mistake.key for mistake in raised.value.mistakes}
    # A stream whose mode is unreadable counts as one on demand, which has no shards.
    also = {key.replace("streamMode", "shards")} if "streamMode" in key else set()
    assert key in found
    assert found <= {key} | also
