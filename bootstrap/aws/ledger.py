"""The ledger table on AWS: its entries, the settings row, and the rows of probes and watchdog."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from bootstrap.aws.calls import Calls
from bootstrap.core.errors import AccountError
from bootstrap.core.facts import ProbeEcho
from bootstrap.core.ledger_settings import LedgerSettings
from replicator.buffers import KINESIS, STREAMS
from replicator.change import Probe
from replicator.lane_rows import INDEX_KEYS, LaneRow, lane_key, shards_in
from replicator.late_write_rows import LateWritesRow, late_writes_key
from replicator.probes import probe_key
from replicator.watchdog.aws_readings import BOOK_KEY
from replicator.watchdog.probe_rounds import WatchdogState

T = TypeVar("T")

BOOK = {"k": {"B": BOOK_KEY}}
"""The key of the watchdog's row."""
SOURCE, TARGET = "source", "target"
"""The sides under which that row holds the tables' ids."""
SETTINGS_KEY = {"k": {"B": b"settings"}}
KEYS_PER_READ = 100

# The states of the settings row in which this snapshot's floor may be stored:
FLOOR_MAY_BE_STORED = " OR ".join(
    (
        "attribute_not_exists(#floor)",  # no snapshot has stored a floor
        "#floor > :floor",  # another snapshot's is higher: it would hide changes that ours lacks
    )
)


class AwsLedger:
    """`Ledger` through the importer role."""

    def __init__(self, calls: Calls, dynamodb: Any, table: str) -> None:
        self._calls = calls
        self._dynamodb = dynamodb
        self._table = table

    def _row(self) -> dict[str, Any]:
        answer = self._calls(
            "dynamodb",
            self._dynamodb.get_item,
            self._table,
            TableName=self._table,
            Key=SETTINGS_KEY,
            ConsistentRead=True,
        )
        row: dict[str, Any] = answer.get("Item", {})
        return row

    def settings(self) -> LedgerSettings:
        row = self._row()
        return LedgerSettings(
            floor=int(row["floor"]["N"]) if "floor" in row else None,
            snapshot=row["snapshot"]["S"] if "snapshot" in row else None,
            consume=row.get("consume", {}).get("BOOL", False),
            expire=row.get("expire", {}).get("BOOL", False),
            paused=row.get("paused", {}).get("BOOL", False),
            settled=int(row["settled"]["N"]) if "settled" in row else None,
            armed=row["armed"]["S"] if "armed" in row else None,
            mark=int(row["mark"]["N"]) if "mark" in row else None,
            closed=row["closed"]["S"] if "closed" in row else None,
            primary=int(row["primary"]["N"]) if "primary" in row else None,
            buffer=row["buffer"]["S"] if "buffer" in row else KINESIS,
            stream=row["stream"]["S"] if "stream" in row else "",
            mapping=row["mapping"]["S"] if "mapping" in row else "",
        )

    def store_floor(self, floor: int, snapshot: str) -> LedgerSettings:
        try:
            self._update(
                UpdateExpression="SET #floor = :floor, #snapshot = :snapshot",
                ConditionExpression=FLOOR_MAY_BE_STORED,
                ExpressionAttributeNames={"#floor": "floor", "#snapshot": "snapshot"},
                ExpressionAttributeValues={
                    ":floor": {"N": str(floor)},
                    ":snapshot": {"S": snapshot},
                },
            )
        except AccountError as error:
            if error.code != "ConditionalCheckFailedException":
                raise
        return self.settings()

    def start_expiry(self) -> None:
        self._update(
            UpdateExpression="SET #expire = :true",
            ExpressionAttributeNames={"#expire": "expire"},
            ExpressionAttributeValues={":true": {"BOOL": True}},
        )

    def expect_consumer(self) -> None:
        self._update(
            UpdateExpression="SET #consume = :true",
            ExpressionAttributeNames={"#consume": "consume"},
            ExpressionAttributeValues={":true": {"BOOL": True}},
        )

    def set_table_stream(self, stream_arn: str, mapping: str) -> None:
        self._update(
            UpdateExpression="SET #buffer = :buffer, #stream = :stream, #mapping = :mapping",
            ExpressionAttributeNames={
                "#buffer": "buffer",
                "#stream": "stream",
                "#mapping": "mapping",
            },
            ExpressionAttributeValues={
                ":buffer": {"S": STREAMS},
                ":stream": {"S": stream_arn},
                ":mapping": {"S": mapping},
            },
        )

    def set_paused(self, paused: bool) -> None:
        self._update(
            UpdateExpression="SET #paused = :paused",
            ExpressionAttributeNames={"#paused": "paused"},
            ExpressionAttributeValues={":paused": {"BOOL": paused}},
        )

    def settle(self, until: int) -> None:
        self._advance("settled", until)

    def note_through(self, until: int) -> None:
        self._advance("through", until)

    def _advance(self, member: str, until: int) -> None:
        """Set a moment unless a later one is there."""
        try:
            self._update(
                UpdateExpression="SET #moment = :until",
                ConditionExpression="attribute_not_exists(#moment) OR #moment < :until",
                ExpressionAttributeNames={"#moment": member},
                ExpressionAttributeValues={":until": {"N": str(until)}},
            )
        except AccountError as error:
            if error.code != "ConditionalCheckFailedException":
                raise

    def book(self) -> WatchdogState:
        answer = self._calls(
            "dynamodb",
            self._dynamodb.get_item,
            self._table,
            TableName=self._table,
            Key=BOOK,
            ConsistentRead=True,
        )
        text = answer.get("Item", {}).get("book", {}).get("S")
        try:
            return WatchdogState() if text is None else WatchdogState.from_text(text)
        except ValueError as error:
            raise AccountError(
                self._calls.side,
                f"The watchdog's row in table {self._table} cannot be parsed: {error}.",
                fix="pulumi up, where the watchdog is of another version than this command; then "
                "run again",
            ) from error

    def forget_target(self) -> None:
        book = self.book()
        if TARGET not in book.tables:
            return
        self._put_tables(book, {side: id_ for side, id_ in book.tables.items() if side != TARGET})

    def expect_source(self, table_id: str) -> None:
        book = self.book()
        if book.tables.get(SOURCE, table_id) != table_id:
            self._put_tables(book, {**book.tables, SOURCE: table_id})

    def _put_tables(self, book: WatchdogState, tables: Mapping[str, str]) -> None:
        self._calls(
            "dynamodb",
            self._dynamodb.update_item,
            self._table,
            TableName=self._table,
            Key=BOOK,
            UpdateExpression="SET #book = :book",
            ExpressionAttributeNames={"#book": "book"},
            ExpressionAttributeValues={":book": {"S": replace(book, tables=tables).as_text()}},
        )

    # -- a switch's members of the settings row ---------------------------------------------------

    def arm(self, nonce: str) -> bool:
        return self._update_if(
            "SET #armed = :nonce",
            "attribute_not_exists(#closed) AND (attribute_not_exists(#armed) OR #armed = :nonce)",
            {":nonce": {"S": nonce}},
        )

    def set_mark(self, nonce: str, mark: int) -> bool:
        return self._update_if(
            "SET #mark = :mark",
            "#armed = :nonce AND attribute_not_exists(#closed)",
            {":nonce": {"S": nonce}, ":mark": {"N": str(mark)}},
        )

    def close(self, nonce: str) -> bool:
        return self._update_if(
            "SET #closed = :nonce",
            "#armed = :nonce AND (attribute_not_exists(#closed) OR #closed = :nonce)",
            {":nonce": {"S": nonce}},
        )

    def open(self, nonce: str) -> bool:
        return self._update_if(
            "REMOVE #armed, #mark, #closed",
            "(attribute_not_exists(#armed) OR #armed = :nonce)"
            " AND (attribute_not_exists(#closed) OR #closed = :nonce)"
            " AND attribute_not_exists(#primary)",
            {":nonce": {"S": nonce}},
        )

    def take_gate(self, nonce: str) -> None:
        self._update_if("SET #closed = :nonce REMOVE #armed, #mark", None, {":nonce": {"S": nonce}})

    def set_primary(self, nonce: str, at: int) -> bool:
        return self._update_if(
            "SET #primary = :at",
            "#closed = :nonce",
            {":nonce": {"S": nonce}, ":at": {"N": str(at)}},
        )

    def set_finished(self, nonce: str, at: int) -> bool:
        return self._update_if(
            "SET #finished = :at",
            "#closed = :nonce AND attribute_exists(#primary)",
            {":nonce": {"S": nonce}, ":at": {"N": str(at)}},
        )

    def _update_if(
        self, update: str, condition: str | None, values: Mapping[str, Mapping[str, str]]
    ) -> bool:
        """Change the settings row on a condition; return whether it held."""
        request: dict[str, Any] = {"UpdateExpression": update, "ExpressionAttributeValues": values}
        if condition is not None:
            request["ConditionExpression"] = condition
        names = re.findall(r"#(\w+)", f"{update} {condition or ''}")
        request["ExpressionAttributeNames"] = {f"#{name}": name for name in names}
        try:
            self._update(**request)
        except AccountError as error:
            if error.code == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def late_writes(self, nonce: str, shards: Iterable[str]) -> Sequence[LateWritesRow]:
        keys = [late_writes_key(nonce, shard) for shard in shards]
        return [self._parsed(LateWritesRow.from_item, each) for each in self._rows(keys)]

    def lane_shards(self) -> Sequence[str]:
        index = [self._parsed(shards_in, each) for each in self._rows(INDEX_KEYS)]
        return sorted(frozenset[str]().union(*index))

    def lanes(self, shards: Sequence[str]) -> Sequence[LaneRow]:
        rows = self._rows([lane_key(shard) for shard in shards])
        return [self._parsed(LaneRow.from_item, each) for each in rows]

    def _rows(self, keys: Sequence[bytes]) -> Sequence[Mapping[str, Any]]:
        return list(self.entries(keys).values())

    def _parsed(self, parse: Callable[[Mapping[str, Any]], T], item: Mapping[str, Any]) -> T:
        try:
            return parse(item)
        except ValueError as error:
            raise AccountError(
                self._calls.side,
                f"A row of table {self._table} cannot be parsed: {error}.",
                fix="use the version of this program that the stack was deployed with, or a newer",
            ) from None

    # -- parked records --------------------------------------------------------------------------

    def parks(self) -> frozenset[str]:
        return frozenset(self._row().get("parks", {}).get("SS", ()))

    def park(self, place: str) -> None:
        self._change_parks("ADD", place)

    def unpark(self, place: str) -> None:
        self._change_parks("DELETE", place)

    def _change_parks(self, how: str, place: str) -> None:
        """Change the set by ADD or DELETE: other writers of the row are not disturbed."""
        self._update(
            UpdateExpression=f"{how} #parks :place",
            ExpressionAttributeNames={"#parks": "parks"},
            ExpressionAttributeValues={":place": {"SS": [place]}},
        )

    # -- entries -------------------------------------------------------------------------------

    def entries(self, keys: Sequence[bytes]) -> dict[bytes, dict[str, Any]]:
        found: dict[bytes, dict[str, Any]] = {}
        waiting = [{"k": {"B": key}} for key in dict.fromkeys(keys)]
        while waiting:
            now, later = waiting[:KEYS_PER_READ], waiting[KEYS_PER_READ:]
            answer = self._calls(
                "dynamodb",
                self._dynamodb.batch_get_item,
                self._table,
                RequestItems={self._table: {"Keys": now, "ConsistentRead": True}},
            )
            for item in answer["Responses"].get(self._table, []):
                found[bytes(item["k"]["B"])] = item
            left = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            waiting = [*left, *later]
        return found

    def _update(self, **request: Any) -> None:
        self._calls(
            "dynamodb",
            self._dynamodb.update_item,
            self._table,
            TableName=self._table,
            Key=SETTINGS_KEY,
            **request,
        )

    def probes_through(self, probe: str, count: int) -> int:
        through = 0
        for start in range(0, count, KEYS_PER_READ):
            numbers = range(start, min(start + KEYS_PER_READ, count))
            # Unprocessed keys count as not yet through: the next poll reads them again.
            answer = self._calls(
                "dynamodb",
                self._dynamodb.batch_get_item,
                self._table,
                RequestItems={
                    self._table: {
                        "Keys": [{"k": {"B": probe_key(Probe(probe, n))}} for n in numbers],
                        "ConsistentRead": True,
                        "ProjectionExpression": "#k",
                        "ExpressionAttributeNames": {"#k": "k"},
                    }
                },
            )
            through += len(answer["Responses"].get(self._table, []))
        return through

    def probe_echoes(self, probe: str, count: int) -> Sequence[ProbeEcho]:
        rows = self._rows([probe_key(Probe(probe, n)) for n in range(count)])
        return [
            ProbeEcho(
                at=int(row["at"]["N"]),
                protocol=int(row["protocol"]["N"]) if "protocol" in row else 0,
                armed=row["armed"]["S"] if "armed" in row else None,
                closed=row["closed"]["S"] if "closed" in row else None,
            )
            for row in rows
        ]
