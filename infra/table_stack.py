"""What one table's replication is made of, for those who need several of its parts."""

from __future__ import annotations

from dataclasses import dataclass

from infra.buffer import Buffer
from infra.consumer import ConsumerFunction
from infra.ledger import LedgerTable
from infra.table_config import TableConfig


@dataclass(frozen=True)
class TableStack:
    """One table's boxes of the drawing."""

    table: TableConfig
    buffer: Buffer
    ledger: LedgerTable
    consumer: ConsumerFunction
