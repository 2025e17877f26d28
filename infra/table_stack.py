"""The resources of one replicated table, for components that need several of them."""

from __future__ import annotations

from dataclasses import dataclass

from infra.buffer import Buffer
from infra.consumer import ConsumerFunction
from infra.ledger import LedgerTable
from infra.table_config import TableConfig


@dataclass(frozen=True)
class TableStack:
    """One table's boxes in the drawing."""

    table: TableConfig
    buffer: Buffer
    ledger: LedgerTable
    consumer: ConsumerFunction
