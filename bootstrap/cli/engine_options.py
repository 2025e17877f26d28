"""The options of `verify` that choose its engine and bound the runs of its job on Glue."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from bootstrap.core.errors import UsageError
from bootstrap.core.stack_outputs import Outputs
from bootstrap.plan import price_list
from bootstrap.plan.price_list import PriceList
from bootstrap.verify.engines.glue import RunLimits
from infra.verification_names import ENGINES, GLUE


@dataclass(frozen=True)
class EngineOptions:
    """The options, as given. None: not given."""

    engine: str | None = None
    max_hours: float | None = None
    max_cost: float | None = None
    new_job_run: bool = False
    cancel: bool = False
    estimate: bool = False
    prices: Path | None = None

    @property
    def price_list(self) -> PriceList:
        """The prices of the file, or the list prices.

        Raises:
            UsageError: the file cannot be read.
        """
        return price_list.read(self.prices) if self.prices else PriceList()

    @property
    def limits(self) -> RunLimits:
        return RunLimits(self.max_hours, self.max_cost)

    def chosen(self, outputs: Outputs) -> str:
        """Return the engine: the given one, or the stack's.

        Raises:
            UsageError: an option of runs on Glue with another engine.
        """
        engine = self.engine or outputs.verification.engine
        given = {
            "--max-hours": self.max_hours is not None,
            "--max-cost": self.max_cost is not None,
            "--new-job-run": self.new_job_run,
            "--cancel": self.cancel,
        }
        names = [name for name, is_given in given.items() if is_given]
        if names and engine != GLUE:
            raise UsageError(
                f"{', '.join(names)} belongs to runs on AWS Glue, and this verification uses "
                f"the engine {engine}.",
                fix="add --engine glue, or leave it out",
            )
        return engine


_OPTIONS = (
    click.option(
        "--engine",
        type=click.Choice(ENGINES),
        help="Where to compare: in processes here, by Spark here, or by the stack's job on AWS "
        "Glue. Default: the stack's verification.engine, else process.",
    ),
    click.option(
        "--max-hours",
        metavar="H",
        type=click.FloatRange(0, min_open=True),
        help="With glue: let a run take up to so many hours. Default: the stack's "
        "verification.maxHours, which it cannot exceed.",
    ),
    click.option(
        "--max-cost",
        metavar="USD",
        type=click.FloatRange(0, min_open=True),
        help="With glue: let each run cost up to about so many US dollars; --until-judged may need "
        "several. Default: no limit but the hours.",
    ),
    click.option(
        "--new-job-run",
        is_flag=True,
        help="With glue: start another run in place of one that ended without a result.",
    ),
    click.option(
        "--cancel",
        is_flag=True,
        help="With glue: stop the table's run that is under way, and verify nothing.",
    ),
    click.option(
        "--estimate",
        is_flag=True,
        help="Print the time and cost of a comparison here and on AWS Glue, and verify nothing.",
    ),
    click.option(
        "--prices",
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Your own prices for --estimate, --max-cost and the cost so far (YAML, `name: US "
        "dollars`). Default: list prices.",
    ),
)


def engine_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options; pass them on as one `EngineOptions`, `engine_choice`."""

    @functools.wraps(command)
    def with_options(*args: Any, **given: Any) -> None:
        names = ("engine", "max_hours", "max_cost", "new_job_run", "cancel", "estimate", "prices")
        choice = EngineOptions(**{name: given.pop(name) for name in names})
        command(*args, engine_choice=choice, **given)

    decorated: Callable[..., None] = with_options
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
