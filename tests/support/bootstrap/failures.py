"""The failure that a run leaves behind."""

from __future__ import annotations

import pytest

from bootstrap.core.errors import (
    BootstrapError,
)
from tests.support.bootstrap.fake_aws import FakeAws
from tests.support.bootstrap.killed_process import Process


def failure_of(world: FakeAws, pid: int = 1) -> BootstrapError:
    with pytest.raises(BootstrapError) as failure:
        Process(world, pid=pid).go()
    assert str(failure.value).count("\nTry: ") == 1
    return failure.value
