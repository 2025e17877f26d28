"""Durations as typed on a command line: `90s`, `20m`, `2h`, `7d`."""

from __future__ import annotations

import re
from typing import Any

import click

UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


class DurationType(click.ParamType[float]):
    """A duration in seconds, above 0. A number without a unit is refused: it could mean any."""

    name = "duration"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", str(value))
        if found is None or not float(found[1]):
            self.fail(f"{value!r} is no duration such as 30s, 20m, 2h or 7d.", parameter, context)
        return float(found[1]) * UNITS[found[2]]


DURATION = DurationType()
