"""One recorded deployment for the tests that only look at it."""

from __future__ import annotations

import pytest

from tests.support.infra.recording_engine import CONFIG, Deployment, record


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The smallest configuration: one table, one Region, every default."""
    return record(CONFIG, tmp_path_factory.mktemp("stack") / "archive")
