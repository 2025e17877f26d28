"""Blocks of public access that a stack lets go, and that have to stay."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.refused_changes import RefusedChangeError
from tests.support.infra.recording_engine import CONFIG, SOURCE, TARGET, record

LET_GO = {**CONFIG, "buckets": {"blockPublicAccess": False}}
BEFORE: dict[str, Any] = {"source": SOURCE, "target": TARGET, "tables": [{"sourceTable": "orders"}]}
OF_THIS_RELEASE = {
    **BEFORE,
    "tables": [{**BEFORE["tables"][0], "metricDimensions": {"Stack": "test"}}],
}


def test_blocks_that_an_older_release_made_are_not_deleted(tmp_path: Path) -> None:
    with pytest.raises(RefusedChangeError) as refused:
        record(LET_GO, tmp_path / "archive", before=BEFORE)
    assert "Try: remove buckets.blockPublicAccess, then pulumi up" in str(refused.value)
    # What the refusal says to do.
    up = record(CONFIG, tmp_path / "archive", before=BEFORE)
    assert up.of("BucketPublicAccessBlock")


@pytest.mark.parametrize(
    "before",
    [{}, {**BEFORE, "tables": [None]}, OF_THIS_RELEASE],
    ids=["the first up", "after a first up that failed", "after an up of this release"],
)
def test_blocks_are_let_go_where_none_is_deleted(before: Mapping[str, Any], tmp_path: Path) -> None:
    up = record(LET_GO, tmp_path / "archive", before=before)
    assert up.of("Bucket")
    assert up.of("BucketPublicAccessBlock") == []
