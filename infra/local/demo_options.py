"""The options of the demo, as they are given, checked and named in its report."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from infra.local.emulator.chaos.rates import parse as parse_chaos
from infra.local.results.load_check import Load
from infra.local.results.switch_report import SwitchChoice
from replicator.buffers import STREAMS

PATIENCE = 600.0
"""Seconds that one command of the bootstrap may take."""

VARIABLES: Mapping[str, str] = {
    "items": "ITEMS",
    "min_changes": "MIN_CHANGES",
    "data": "DATA",
    "key": "KEY",
    "chaos": "CHAOS",
    "switch": "SWITCH",
    "lsi": "LSI",
    "buffer": "BUFFER",
    "engine": "ENGINE",
}
"""The variable of `make demo` for an option; the others have none."""
EXAMPLES: Mapping[str, str] = {
    "items": "make demo ITEMS=5000",
    "min_changes": "make demo MIN_CHANGES=1000",
    "data": "make demo DATA=export.json.gz KEY=pk:S,sk:N",
    "key": "make demo DATA=export.json.gz KEY=pk:S,sk:N",
    "chaos": "make demo CHAOS=on,kill=0.1,delay_seconds=3",
    "switch": "make demo SWITCH=on",
    "lsi": "make demo LSI=on",
    "buffer": "make demo BUFFER=streams",
    "engine": "make demo ENGINE=spark",
}
"""A value of each that is accepted, as a command."""


class OptionError(ValueError):
    """Options that do not go together; `option` is the name of the one to change."""

    def __init__(self, option: str, what: str) -> None:
        super().__init__(what)
        self.option = option


@dataclass(frozen=True)
class DemoOptions:
    """The options of the demo's command line."""

    items: int = 20_000
    """Generated items; ignored with a data file."""
    min_changes: int = 2_000
    """The fewest changes that the run has to capture."""
    data: Path | None = None
    key: str | None = None
    """`pk[:S][,sk[:S]]` of the data file. None: `pk`, and `sk` if the first item has one."""
    directory: Path = Path("build/demo")
    seed: int = 1
    rate: float = 150.0
    """Writes per second; the default is what a local cloud on two cores can follow."""
    steady: float = 15.0
    """Seconds of writes in the state REPLICATING, in which the lag is measured."""
    patience: float = PATIENCE
    chaos: str = ""
    """Rare behaviour of AWS, made frequent: see infra/local/emulator/chaos. Empty: none."""
    switch: SwitchChoice | Literal["off"] = "off"
    """Make the target the primary in the end: `on` by a fence."""
    lsi: Literal["off", "on"] = "off"
    """`on`: a table with local secondary indexes, which a bulk put loads, as no import can."""
    engine: Literal["process", "spark"] = "process"
    """What the verification compares with: `spark` is the stack's job, on the local Glue."""
    buffer: Literal["kinesis", "streams"] = "kinesis"
    """Where changes wait: in a Kinesis data stream, or in the table's own stream."""

    @property
    def local_indexes(self) -> bool:
        return self.lsi == "on"

    @property
    def load(self) -> Load:
        """The way into the target, as the stack says it."""
        return "bulk" if self.local_indexes else "import"

    def check(self) -> None:
        """Refuse values that cannot be used, and options that would be ignored.

        Raises:
            OptionError: naming the option.
        """
        try:
            rates = parse_chaos(self.chaos)
        except ValueError as error:
            raise OptionError("chaos", str(error).partition("\nTry: ")[0]) from None
        if rates.poison and self.buffer == STREAMS:
            raise OptionError(
                "chaos",
                "--chaos with poison puts unreadable records into a Kinesis data stream: none "
                "can be put into a table's own stream (--buffer streams).",
            )
        if self.engine == "spark" and importlib.util.find_spec("pyspark") is None:
            raise OptionError(
                "engine",
                "--engine spark needs pyspark: pip install -r requirements-spark.txt",
            )
        if self.key and not self.data:
            raise OptionError("key", "--key describes the items of --data FILE, which is missing.")

    def as_json(self) -> dict[str, Any]:
        """Return every option with its value, as the report names it."""
        return {
            "items": None if self.data else self.items,
            "min_changes": self.min_changes,
            "data": str(self.data) if self.data else None,
            "key": self.key,
            "chaos": self.chaos or "off",
            "switch": self.switch,
            "lsi": self.lsi,
            "buffer": self.buffer,
            "engine": self.engine,
            "seed": self.seed,
            "rate": self.rate,
            "steady": self.steady,
            "patience": self.patience,
        }
