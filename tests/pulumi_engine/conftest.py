"""One local cloud and one backend a module, and the CLI for all."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from infra.local.cloud import LocalCloud
from tests.pulumi_engine.cli import REQUIRED, PulumiCli, PulumiCliError, find_cli
from tests.pulumi_engine.engine import Engine, collect_coroutines
from tests.pulumi_engine.program_loops import open_loops
from tests.support.infra.clouds import make_table


@pytest.fixture(scope="session")
def cli() -> PulumiCli:
    try:
        return find_cli()
    except PulumiCliError as error:
        if os.environ.get(REQUIRED):
            pytest.fail(f"The real Pulumi engine is required here. {error}")
        pytest.skip(f"NOT TESTED with the real Pulumi engine. {error}")


@pytest.fixture(scope="module", autouse=True)
def no_loop_left_open(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail here if a module leaves an event loop open, and not within a later test."""
    tests = [each for each in request.session.items if each.path == request.path]
    if not any(each.get_closest_marker("slow") for each in tests):
        yield  # none of them runs the engine, and to look for loops takes a second
        return
    before = set(open_loops())
    yield
    collect_coroutines()
    assert set(open_loops()) <= before


@pytest.fixture(scope="module")
def engine(cli: PulumiCli, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("engine")
    with LocalCloud(folder / "cloud") as cloud:
        for name in ("orders", "customers"):
            make_table(cloud.client("dynamodb", cloud.source), name)
        yield Engine(cli, cloud, folder)
