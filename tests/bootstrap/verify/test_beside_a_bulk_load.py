"""A verification beside a bulk load: what it compares, or repairs, would not last."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bootstrap.core.errors import BlockedError
from bootstrap.verify.verify import Verification
from tests.support.bootstrap.fake_accounts import FakeBulkLoads
from tests.support.bootstrap.fake_aws import TARGET_ARN
from tests.support.verify.twin import Twin


@pytest.mark.promise("C2")
@pytest.mark.parametrize("repair", [False, True])
def test_no_verification_begins_while_a_bulk_load_writes_into_the_target(
    tmp_path: Path, repair: bool
) -> None:
    twin = Twin(tmp_path)
    context = replace(twin.context(), loads=FakeBulkLoads(twin.world, lambda: None))
    arn = twin.world.bulk.by_another(TARGET_ARN, twin.world.clock())
    with pytest.raises(BlockedError, match=arn):
        Verification(context, twin.options(repair=repair)).run()
    twin.world.clock.advance(twin.world.bulk.seconds + 1)
    assert Verification(context, twin.options()).run().verified.differences == 0
