"""Stacks that share names and a target account watch none of each other's metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from replicator import names
from tests.support.infra.recording_engine import CONFIG, SOURCE, Deployment, record

pytestmark = pytest.mark.promise("C7")

Metric = tuple[str, str, frozenset[tuple[str, str]]]
"""Namespace, name and dimensions: two that are equal are one metric of an account and Region."""


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return record(CONFIG, tmp_path_factory.mktemp("first") / "archive", suffix="-0000001")


def another(folder: Path, suffix: str = "-0000001", **source: Any) -> Deployment:
    return record({**CONFIG, "source": SOURCE | source}, folder / "archive", suffix=suffix)


def watched(stack: Deployment) -> set[Metric]:
    """The stack's own metrics that its alarms and its dashboard look at."""
    found = set()
    for alarm in stack.of("MetricAlarm"):
        found.add(metric(alarm.inputs["namespace"], alarm.inputs["metricName"], alarm.inputs))
    found |= set(shown(stack))
    return {each for each in found if each[0] == names.NAMESPACE}


def metric(namespace: str, name: str, inputs: Mapping[str, Any]) -> Metric:
    return namespace, name, frozenset(inputs["dimensions"].items())


def shown(stack: Deployment) -> Iterator[Metric]:
    for widget in json.loads(stack.one("Dashboard").inputs["dashboardBody"])["widgets"]:
        for namespace, name, *texts, _ in widget["properties"].get("metrics", ()):
            pairs = dict(zip(texts[::2], texts[1::2], strict=True))
            yield metric(namespace, name, {"dimensions": pairs})


def emitted(stack: Deployment) -> set[frozenset[tuple[str, str]]]:
    """The dimensions that consumer and watchdog put on their metrics."""
    [consumer] = [f for f in stack.of("Function") if "watchdog" not in f.name]
    [watchdog] = [f for f in stack.of("Function") if "watchdog" in f.name]
    found = []
    for function, name in (
        (consumer, stack.outputs["tables"][0]["functionName"]),
        (watchdog, watchdog.inputs["environment"]["variables"]["CONSUMER_FUNCTION"]),
    ):
        variables = function.inputs["environment"]["variables"]
        found.append(
            names.dimensions(
                variables["STACK"], variables["SOURCE_TABLE"], variables["SOURCE_ACCOUNT"], name
            )
        )
    return {frozenset(each.items()) for each in found}


def dashboard(stack: Deployment) -> str:
    return str(stack.one("Dashboard").inputs["dashboardName"])


def test_stacks_that_differ_in_the_source_account_alone_have_nothing_in_common(
    first: Deployment, tmp_path: Path
) -> None:
    other = another(tmp_path, accountId="333333333333")
    assert watched(first)
    assert not watched(first) & watched(other)
    assert not emitted(first) & emitted(other)
    assert dashboard(first) != dashboard(other)


def test_stacks_of_one_source_account_in_two_backends_have_nothing_in_common(
    first: Deployment, tmp_path: Path
) -> None:
    """AWS has no two functions, and no two roles, of one name in an account."""
    other = another(tmp_path, suffix="-0000002")
    assert not watched(first) & watched(other)
    assert not emitted(first) & emitted(other)
    assert dashboard(first) != dashboard(other)


def test_what_is_watched_is_what_the_functions_emit_and_what_the_tool_reads(
    first: Deployment,
) -> None:
    [dimensions] = emitted(first)
    assert {each for *_, each in watched(first)} == {dimensions}
    assert frozenset(first.outputs["tables"][0]["metricDimensions"].items()) == dimensions


def test_no_name_is_fixed_but_the_dashboards(first: Deployment) -> None:
    """All others get the engine's suffix, so that two stacks cannot claim one name."""
    fixed = {
        f"{each.kind}.{key}"
        for each in first.aws
        for key in ("name", "bucket", "functionName", "dashboardName", "alarmName", "aliasName")
        if isinstance(each.inputs.get(key), str) and not each.inputs[key].endswith("-0000001")
    }
    assert fixed == {"Dashboard.dashboardName"}


def test_an_alarm_moves_to_other_dimensions_after_the_functions_that_emit_them(
    first: Deployment,
) -> None:
    functions = {each.name for each in first.of("Function")}
    own = [a for a in first.of("MetricAlarm") if a.inputs["namespace"] == names.NAMESPACE]
    assert own
    for alarm in own:
        assert functions <= set(alarm.depends_on), alarm.name
