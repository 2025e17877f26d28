"""Names with a company's prefix: as long as AWS takes them, and refused before anything is made."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from infra import autonaming, table_groups
from infra.autonaming import FUNCTION_TYPE, LIMITS, ROLE_TYPE, Autonaming, read_autonaming
from infra.stack_config import ConfigError, StackConfig
from tests.support.infra.recording_engine import CONFIG, record

KNOWN = {"stack": "prod", "project": "dynamodb-replication", "config.unit": "retail"}
LONG = [{"source": "a" * 255}, {"source": "orders"}]


def named(given: dict[str, Any], tables: list[dict[str, str]]) -> StackConfig:
    naming = read_autonaming(json.dumps(given), KNOWN)
    return StackConfig.parse({**CONFIG, "tables": tables}).named(naming)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "replicate-#######"),
        ({"pattern": "acme-${name}-${hex(4)}"}, "acme-replicate-####"),
        ({"pattern": "${stack}-${config.unit}-${name}"}, "prod-retail-replicate"),
        ({"mode": "verbatim"}, "replicate"),
        ({"pattern": "x-${name}", "providers": {"aws": {"pattern": "y-${name}"}}}, "y-replicate"),
        (
            {"providers": {"aws": {"resources": {ROLE_TYPE: {"pattern": "r-${name}"}}}}},
            "r-replicate",
        ),
    ],
)
def test_a_name_is_as_long_as_the_engine_makes_it(given: dict[str, Any], expected: str) -> None:
    assert read_autonaming(json.dumps(given), KNOWN).name(ROLE_TYPE, "replicate") == expected


def test_a_prefix_that_makes_a_role_of_64_characters_is_taken_and_one_more_is_refused() -> None:
    fits = "p" * (
        64
        - len("-watchdog-role")
        - len(StackConfig.parse({**CONFIG, "tables": LONG}).tables[0].prefix)
    )
    assert named({"pattern": f"{fits}${{name}}"}, LONG)
    with pytest.raises(ConfigError) as refused:
        named({"pattern": f"{fits}p${{name}}"}, LONG)
    [mistake] = [each for each in refused.value.mistakes if ROLE_TYPE in each.allowed]
    assert mistake.key == "pulumi:autonaming"
    assert "up to 64 characters" in mistake.allowed
    assert "make the pattern 1 characters shorter" in mistake.fix


def test_a_company_prefix_before_pulumis_own_end_fits_a_table_with_a_short_name() -> None:
    pattern = {"pattern": "acme-data-platform-${name}-${hex(7)}"}
    assert named(pattern, [{"source": "orders"}])
    with pytest.raises(ConfigError, match="pulumi:autonaming"):
        named(pattern, LONG)


def test_longer_names_leave_room_for_fewer_tables_in_a_roles_policies() -> None:
    tables = [{"source": f"{n:02}".ljust(255, "x")} for n in range(20)]
    stack = StackConfig.parse({**CONFIG, "tables": tables})
    longer = dataclasses.replace(stack, naming=Autonaming("p" * 100 + "${name}"))
    first, second = (
        table_groups.tables_per_policy("importer", each.operator_scope, each.tables)
        for each in (stack, longer)
    )
    assert sum(first) == len(tables)
    assert second[0] < first[0]
    assert sum(second) < sum(first) or len(second) > len(first)


@pytest.mark.slow
def test_no_resource_has_a_longer_name_than_those_that_are_held_to_a_limit(tmp_path: Path) -> None:
    values = {**CONFIG, "tables": LONG, "switch": True}
    deployed = record(values, tmp_path / "archive")
    tables = StackConfig.parse(values).tables
    longest: dict[str, int] = {}
    for table in tables:
        for type_, name in autonaming.limited_names(table):
            longest[type_] = max(longest.get(type_, 0), len(name))
    of_limited = [each for each in deployed.resources if each.type in LIMITS]
    assert {each.type for each in of_limited} == set(LIMITS)
    assert FUNCTION_TYPE in longest
    assert [e.name for e in of_limited if len(e.name) > longest[e.type]] == []
