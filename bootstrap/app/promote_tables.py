"""Promotions of all selected tables in one process, and their report files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TextIO

from bootstrap.app.command_options import Selection
from bootstrap.app.factory import AwsClients
from bootstrap.app.process import Process
from bootstrap.core.errors import BootstrapError
from bootstrap.cutover.promotion.drive import drive
from bootstrap.cutover.promotion.promote import Promotion, PromotionResult
from bootstrap.cutover.promotion.report import facts_text, page

DIRECTORY = Path("build/promote")


def look_at(
    selection: Selection, clients: AwsClients
) -> Iterator[tuple[str, list[str] | BootstrapError]]:
    """Yield each table's name and what is known of its loss window now, or why it is refused.

    Nothing is changed.
    """
    for table in selection.tables:
        context = clients.promote_context(table, 0.0, lambda text: None, looks=True)
        try:
            yield table.source_table, facts_text(Promotion(context).look())
        except BootstrapError as error:
            error.about(selection.commands[table.source_table])
            yield table.source_table, error


def promote_tables(
    selection: Selection,
    clients: AwsClients,
    process: Process,
    *,
    drain: float,
    take_over: bool,
) -> Iterator[PromotionResult | BootstrapError]:
    """Promote every table, at the same time; yield each as it ends.

    `drain`: the longest wait for changes on their way, in seconds. `take_over` replaces a live
    process.
    """
    promotions = [
        Promotion(
            clients.promote_context(table, drain, partial(_say, table.source_table, process.err))
        )
        for table in selection.tables
    ]
    for promotion, ended in drive(promotions, process.clock, take_over=take_over):
        command = selection.commands[promotion.table]
        if isinstance(ended, BootstrapError):
            ended.about(command)
        else:
            for _, error in ended.open:
                error.about(command)
        yield ended


def write_report(result: PromotionResult, file: Path | None) -> tuple[Path, Path]:
    """Write the report as JSON, and its page beside it; return both paths.

    Raises:
        OSError: the files cannot be written. The journal has the report as well.
    """
    stamp = str(result.report["promotedAt"])[:19].replace("-", "").replace(":", "")
    path = file or DIRECTORY / f"{result.table}-{stamp}Z.json"
    beside = path.with_suffix(".md")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result.report, indent=2) + "\n", encoding="utf-8")
    beside.write_text(page(result.report), encoding="utf-8")
    return path, beside


def _say(table: str, err: TextIO, text: str) -> None:
    print(f"{table}: {text}", file=err, flush=True)
