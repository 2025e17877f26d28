"""The way of a table's snapshot into its target: an import, or a bulk put into a table."""

from __future__ import annotations

from dataclasses import dataclass

from infra.config_validation import NOT_GIVEN, ConfigReader
from infra.load_names import BULK, IMPORT, LEAST_WRITE_UNITS, STANDARD, TIERS

MODES = (IMPORT, BULK)
MOST_WRITE_UNITS = 100_000_000
"""AWS names no most. This is more than any table takes, so a larger number is a mistake."""


@dataclass(frozen=True)
class LoadConfig:
    """The keys of an entry of `tables` that say how the snapshot is loaded."""

    mode: str = IMPORT
    """How the snapshot gets into the target. `import`: ImportTable makes the table, which costs no
    write capacity. `bulk`: StartBulkPutItems fills a table that the tool makes first, or that you
    made (`adopt`). For local secondary indexes, and for tables over import's quotas. The roles get
    the rights for it only where a table says `bulk`.
    """
    adopt: bool = False
    """Whether the target table exists already, made by your own code: with `load: bulk` alone. It
    has to be empty. The operator's tool never deletes it and puts no tags on it. False: the tool
    makes the target table.
    """
    performance_tier: str = STANDARD
    """The tier of a bulk put. ACCELERATED is not offered in every Region."""
    max_write_request_units: int | None = None
    """The most write request units a second at which a bulk put writes. None: as fast as AWS and
    the table allow.
    """

    @property
    def is_bulk(self) -> bool:
        return self.mode == BULK


def read_load(section: ConfigReader) -> LoadConfig:
    """Read and check the keys in an entry of `tables`."""
    default = LoadConfig
    config = LoadConfig(
        mode=section.choice("load", MODES, default=default.mode),
        adopt=section.flag("adopt", default=default.adopt),
        performance_tier=section.choice("performanceTier", TIERS, default=default.performance_tier),
        max_write_request_units=section.optional_number(
            "maxWriteRequestUnits",
            LEAST_WRITE_UNITS,
            MOST_WRITE_UNITS,
            "write request units a second",
        ),
    )
    if not config.is_bulk and section.raw("load") in (NOT_GIVEN, *MODES):
        _refuse_without_bulk(section, config)
    return config


def _refuse_without_bulk(section: ConfigReader, config: LoadConfig) -> None:
    """Refuse what only a bulk put obeys."""
    if config.adopt:
        section.mistakes.add(
            section.key("adopt"),
            True,
            "nothing, for an import: ImportTable makes its table and takes none that exists",
            "set load to bulk, or remove adopt",
        )
    for name in ("performanceTier", "maxWriteRequestUnits"):
        section.refuse_key(
            name,
            "nothing, for an import: AWS decides how fast it is",
            f"set load to bulk, or remove {name}",
        )
