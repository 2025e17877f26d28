"""Partitions and DNS suffixes against botocore's own data."""

from __future__ import annotations

import json
import re
from pathlib import Path

import botocore
import pytest

from infra import partitions
from infra.account_config import REGION

DATA = json.loads((Path(botocore.__file__).parent / "data" / "partitions.json").read_text())
REGIONS = {
    region: (each["id"], each["outputs"]["dnsSuffix"])
    for each in DATA["partitions"]
    for region in each["regions"]
    if not region.endswith("-global")
}


def test_botocore_knows_the_partitions_that_are_compared() -> None:
    assert {"aws", "aws-cn", "aws-us-gov"} <= {partition for partition, _ in REGIONS.values()}


@pytest.mark.parametrize("region", REGIONS)
def test_each_region_has_the_partition_and_suffix_that_botocore_gives_it(region: str) -> None:
    assert (partitions.partition(region), partitions.dns_suffix(region)) == REGIONS[region]


@pytest.mark.parametrize("region", REGIONS)
def test_the_stack_configuration_accepts_each_region(region: str) -> None:
    assert re.fullmatch(REGION, region)
