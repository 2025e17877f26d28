"""The demo: the whole pipeline between two accounts on this machine, under constant writes.

The comparison at the end shares no code with the pipeline, and reads the tables with root
credentials.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from infra.local import setup
from infra.local.bootstrap_process import BootstrapFailedError, BootstrapProcess, typed
from infra.local.cloud import LocalCloud
from infra.local.data import datafile
from infra.local.data.datafile import DataFile, KeyOption
from infra.local.data.item_source import GeneratedItems, ItemSource, SampledItems
from infra.local.data.items import Item, TableShape
from infra.local.demo_options import DemoOptions
from infra.local.emulator.chaos.rates import parse as parse_chaos
from infra.local.results import (
    report_view,
    stream_records,
    table_check,
    table_stream_records,
)
from infra.local.results.checked_table import CheckedTable
from infra.local.results.consumer_logs import ConsumerCounts
from infra.local.results.load_check import LoadCheck, check_load
from infra.local.results.report import DemoReport, Phase, phases_of
from infra.local.results.stream_records import StreamCounts
from infra.local.stall_detector import StallDetector, refusals_in_log
from infra.local.switch_demo import SwitchDemo, SwitchDemoSettings, write_log
from infra.local.workload.server_writes import read_server_writes
from infra.local.workload.writers import Writers, WriterSettings
from replicator.buffers import STREAMS

LOG_SECONDS = 20
"""Seconds until the last lines of the function's log must be there."""


@dataclass(frozen=True)
class SeedData:
    """The items that the table is seeded with."""

    item_source: ItemSource
    items: int
    file: DataFile | None = None

    def read(self) -> Iterable[Item]:
        """Return every item, in the order of seeding."""
        if self.file:
            return datafile.read(self.file.path)
        return map(self.item_source.item, range(self.items))

    def __str__(self) -> str:
        if self.file is None:
            return (
                f"{self.items:,} generated items of every type, key {self.item_source.shape.keys}"
            )
        text = (
            f"{self.file.path}: {self.items:,} items of {self.file.size / 1e6:,.1f} MB in all, "
            f"key {self.file.keys}"
        )
        if self.file.duplicates:
            text += f"; {self.file.duplicates:,} lines have a key that occurs again later"
        return text


def choose_data(options: DemoOptions) -> SeedData:
    """Return generated items, or the user's file after it has been checked from end to end.

    Raises:
        DataFileError: at the first invalid line.
    """
    local = options.local_indexes
    if options.data is None:
        generated = GeneratedItems(options.seed, int(time.time()), options.items, local)
        return SeedData(generated, options.items)
    key = KeyOption.parse(options.key) if options.key else None
    file = datafile.check(options.data.resolve(), key)
    if local and file.keys.sort is None:
        raise datafile.DataFileError(
            f"{file.path} has the key {file.keys}: a table without a sort key has no local "
            "secondary indexes.\nTry: name a sort key with KEY=pk,sk, or run it without LSI=on"
        )
    return SeedData(SampledItems.load(file.path, file.keys, local), file.items, file)


def run(options: DemoOptions, console: Console) -> bool:
    """Run the demo; return whether everything was as it should be.

    Raises:
        The error that stopped it, after everything that it started has been stopped.
    """
    began = time.monotonic()
    data = choose_data(options)
    with ExitStack() as stack:
        directory = stack.enter_context(setup.locked_directory(options.directory.resolve()))
        (directory / "report.json").unlink(missing_ok=True)
        demo = Demo(options, data, directory, stack, console)
        report = demo.run(began)
    report.write(directory / "report.json")
    report_view.show(report, console)
    console.print(f"Report: {setup.short(directory / 'report.json')}")
    if not report.ok:
        for refusal in refusals_in_log(directory / "emulator.log"):
            console.print(Text(f"Denied by the local cloud: {refusal}", style="red"))
        console.print(f"Logs: {setup.short(directory)}/emulator.log, writers.log")
    return report.ok


class Demo:
    """One run. Its children are put on the stack, to be stopped in reverse order."""

    def __init__(
        self,
        options: DemoOptions,
        data: SeedData,
        directory: Path,
        stack: ExitStack,
        console: Console,
    ) -> None:
        self._options = options
        self._data = data
        self._shape = data.item_source.shape
        self._directory = directory
        self._stack = stack
        self._console = console

    def run(self, began: float) -> DemoReport:
        """Run everything, from an empty machine to the report."""
        self._print("Data", str(self._data))
        with self._console.status(
            "Building the Lambda archive for this machine (only the first time)"
        ):
            archive = setup.build_archive()
        log = write_log(self._directory)
        log.unlink(missing_ok=True)
        cloud = self._stack.enter_context(
            LocalCloud(
                self._directory,
                chaos=self._options.chaos,
                write_log=log if self._logs_writes else None,
            )
        )
        sides = (
            f"accounts {cloud.source.account_id} (source) and {cloud.target.account_id} (target)"
        )
        self._print("Local cloud", f"{cloud.endpoint}, {sides}")
        self._seed(cloud)
        writers = self._start_writers(cloud)
        started = time.time()
        outputs_file = self._directory / "outputs.json"
        outputs = setup.deploy_stack(
            cloud,
            self._shape.name,
            archive,
            outputs_file,
            self._options.load,
            self._options.buffer,
            self._options.engine,
        )
        table = outputs["tables"][0]
        took = f"in {time.time() - started:.1f} s"
        self._print(
            "Deployed", f"the Pulumi program, {took}; outputs in {setup.short(outputs_file)}"
        )
        detector = StallDetector(cloud, table, writers.check)
        bootstrap = BootstrapProcess(cloud, outputs_file)
        self._bootstrap(bootstrap, detector)
        history = bootstrap.history()
        self._keep_writing(writers, detector, _buffered_since(history))
        stopped = self._stop_writers(writers, cloud)
        self._bootstrap(bootstrap, detector)
        phases = phases_of(started, history, stopped, time.time())
        verified = self._verify(bootstrap, detector)
        report = self._report(cloud, table, detector, writers, phases, verified, began)
        if self._options.load == "bulk":
            report = replace(report, load=self._load(cloud, outputs, table))
        if not report.ok or self._options.switch == "off":
            return report
        settings = SwitchDemoSettings(
            choice=self._options.switch,
            shape=self._shape,
            target_table=table["targetTable"],
            journal_table=outputs["journalTable"],
            seed=self._options.seed,
            rate=self._options.rate,
            patience=self._options.patience,
            own_stream=self._options.buffer == STREAMS,
        )
        demo = SwitchDemo(settings, cloud, bootstrap, self._directory, self._stack, self._print)
        return replace(report, switch=demo.run(), seconds=time.monotonic() - began)

    @property
    def _logs_writes(self) -> bool:
        return self._options.switch != "off" or self._options.load == "bulk"

    def _load(
        self, cloud: LocalCloud, outputs: Mapping[str, Any], table: Mapping[str, Any]
    ) -> LoadCheck:
        """Judge the bulk put by the local cloud's own log of writes."""
        target = (cloud.target.account_id, table["targetTable"])
        writes = [
            write
            for write in read_server_writes(write_log(self._directory))
            if (write.account, write.table) == target
        ]
        imports = cloud.client("dynamodb", cloud.target).list_imports()["ImportSummaryList"]
        return check_load(writes, outputs["target"]["importerRoleArn"], len(imports))

    def _seed(self, cloud: LocalCloud) -> None:
        dynamodb = cloud.client("dynamodb", cloud.source)
        setup.create_table(dynamodb, self._shape)
        began = time.monotonic()
        data = self._data
        # Where a key occurs twice, the last item wins.
        in_order = data.file is not None and data.file.duplicates > 0
        with self._console.status(f"Writing {data.items:,} items into the source table"):
            setup.seed(dynamodb, self._shape.name, data.read(), self._shape.keys, in_order=in_order)
        took = f"{time.monotonic() - began:.1f} s"
        self._print(
            "Source table",
            f"{self._shape.name}, {data.items:,} items in {took}; {_indexes(self._shape)}, "
            f"time to live on {self._shape.expiry}",
        )

    def _start_writers(self, cloud: LocalCloud) -> Writers:
        settings = WriterSettings(
            table=self._shape.name,
            item_source=self._data.item_source.as_json(),
            counts=str(self._directory / "changes.jsonl"),
            seed=self._options.seed,
            rate=self._options.rate,
        )
        writers = Writers(settings, self._directory, cloud.environment())
        self._stack.callback(writers.close)
        self._print("Writers", f"about {self._options.rate:g} writes a second, from now on")
        return writers

    def _bootstrap(self, bootstrap: BootstrapProcess, detector: StallDetector) -> None:
        self._print("Bootstrap", f"python {shlex.join(bootstrap.command('run'))}")
        try:
            bootstrap.run(detector, self._options.patience)
        except BootstrapFailedError as error:
            complaints = detector.consumer_counts().complaints
            raise error.with_complaint(complaints[-1]) if complaints else error from None

    def _verify(self, bootstrap: BootstrapProcess, detector: StallDetector) -> Mapping[str, Any]:
        """Run the bootstrap's own verification. The comparison that follows checks its result."""
        report, spool = self._directory / "verify.jsonl", self._directory / "verify"
        command = bootstrap.command("verify", "--spool", typed(spool), "--report", typed(report))
        self._print("Verifying", f"python {shlex.join(command)}")
        return bootstrap.verify(command, detector, self._options.patience)

    def _keep_writing(self, writers: Writers, detector: StallDetector, since: float) -> None:
        """Keep writing for the steady stretch, and until enough changes have been buffered."""
        seconds = self._options.steady
        self._print("Replicating", f"writing for {seconds:g} more seconds to measure the lag")
        began = time.monotonic()
        with self._console.status("") as status:
            while (passed := time.monotonic() - began) < self._options.patience:
                changes = writers.counts().between(since).total
                if passed >= seconds and changes >= self._options.min_changes:
                    return
                status.update(f"{passed:.0f} s, {changes:,} changes since the export began")
                detector()
                time.sleep(0.25)

    def _stop_writers(self, writers: Writers, cloud: LocalCloud) -> float:
        """Stop all writes and expiries in the source; return the time from which it is at rest."""
        writers.stop()
        setup.set_time_to_live(cloud.client("dynamodb", cloud.source), self._shape, on=False)
        self._print(
            "Draining", f"the writers have stopped after {writers.counts().total:,} changes"
        )
        return time.time()

    def _report(
        self,
        cloud: LocalCloud,
        table: Mapping[str, Any],
        detector: StallDetector,
        writers: Writers,
        phases: Sequence[Phase],
        verified: Mapping[str, Any],
        began: float,
    ) -> DemoReport:
        self._print("Comparing", "both tables, item by item, read with root credentials")
        checker = table_check.TableChecker(
            CheckedTable(cloud.client("dynamodb", cloud.source), self._shape.name),
            CheckedTable(cloud.client("dynamodb", cloud.target), table["targetTable"]),
            self._shape,
        )
        comparison = checker.compare()
        captured = self._captured(cloud, table)
        s3 = cloud.client("s3", cloud.target)
        there = cloud.client("s3", cloud.target, table["consumerRegion"])
        return DemoReport(
            options=self._options.as_json(),
            items_seeded=self._data.items,
            min_changes=self._options.min_changes,
            changes=writers.counts(),
            phases=phases,
            stream_counts=captured,
            consumer_counts=_consumer_counts(detector, captured.records),
            comparison=comparison,
            leftovers=table_check.leftovers(s3, there, table),
            indexes=checker.check_indexes(),
            equal_later=checker.equal_later(comparison),
            verification=verified,
            poisoned=parse_chaos(self._options.chaos).poison > 0,
            seconds=time.monotonic() - began,
        )

    def _captured(self, cloud: LocalCloud, table: Mapping[str, Any]) -> StreamCounts:
        if self._options.buffer == STREAMS:
            streams = cloud.client("dynamodbstreams", cloud.source)
            return table_stream_records.read(streams, self._shape.name)
        return stream_records.read(cloud.client("kinesis", cloud.source), table["streamName"])

    def _print(self, label: str, text: str) -> None:
        self._console.print(Text.assemble((f"{label:<13} ", "bold cyan"), text))


def _indexes(shape: TableShape) -> str:
    """Name the indexes by their kind."""
    kinds = {
        "global": [each.name for each in shape.indexes if not each.local],
        "local": [each.name for each in shape.indexes if each.local],
    }
    return "; ".join(
        f"{kind} index{'es' if len(names) > 1 else ''} {' and '.join(names)}"
        for kind, names in kinds.items()
        if names
    )


def _buffered_since(history: Sequence[tuple[str, float]]) -> float:
    """Return the time after which every change is on the stream: the step after buffering began."""
    return next((at for state, at in history if state == "EXPORTING"), history[-1][1])


def _consumer_counts(detector: StallDetector, changes: int) -> ConsumerCounts:
    """Read the function's log until it accounts for so many changes, or time is up."""
    deadline = time.monotonic() + LOG_SECONDS
    while True:
        consumer_counts = detector.consumer_counts()
        if consumer_counts.ended >= changes or time.monotonic() > deadline:
            return consumer_counts
        time.sleep(0.5)
