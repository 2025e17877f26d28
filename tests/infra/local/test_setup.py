"""Seeding, and the ways in which a run is refused or ended."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from infra.local.bootstrap_process import typed
from infra.local.cloud import REPOSITORY
from infra.local.data.items import KeyAttribute, KeySchema
from infra.local.setup import SetupError, batches, locked_directory, seed
from infra.local.signals import InterruptionError, interruptible

KEYS = KeySchema(KeyAttribute("pk", "N"))


def item(key: str, **more: Any) -> Any:
    return {"pk": {"N": key}, **more}


def test_a_path_in_the_project_is_typed_from_the_projects_folder(tmp_path: Path) -> None:
    assert typed(REPOSITORY / "build" / "demo" / "outputs.json") == "build/demo/outputs.json"
    assert typed(tmp_path / "outputs.json") == str(tmp_path.resolve() / "outputs.json")


def test_a_batch_holds_up_to_25_items_and_no_key_twice() -> None:
    items = [item(str(n)) for n in range(60)] + [item("59.0", last={"BOOL": True})]

    made = list(batches(items, KEYS))

    assert [len(batch) for batch in made] == [25, 25, 10, 1]
    assert made[-1] == [item("59.0", last={"BOOL": True})]


class Table:
    """A table that takes half of every batch at first."""

    def __init__(self) -> None:
        self.written: list[Any] = []
        self._refuse = True

    def batch_write_item(self, RequestItems: dict[str, list[Any]]) -> dict[str, Any]:  # noqa: N803
        ((name, requests),) = RequestItems.items()
        taken = requests[: max(1, len(requests) // 2)] if self._refuse else requests
        self._refuse = not self._refuse
        self.written += [each["PutRequest"]["Item"] for each in taken]
        rest = requests[len(taken) :]
        return {"UnprocessedItems": {name: rest} if rest else {}}


@pytest.mark.parametrize("in_order", [True, False])
def test_seeding_writes_every_item_although_some_are_left_unprocessed(in_order: bool) -> None:
    table = Table()

    seed(table, "orders", [item(str(n)) for n in range(130)], KEYS, in_order=in_order)

    assert sorted(int(each["pk"]["N"]) for each in table.written) == list(range(130))


class Failing:
    def batch_write_item(self, RequestItems: Any) -> Any:  # noqa: N803
        raise RuntimeError("no such table")


def test_a_failure_while_seeding_is_not_swallowed() -> None:
    with pytest.raises(RuntimeError, match="no such table"):
        seed(Failing(), "orders", [item(str(n)) for n in range(400)], KEYS)


def test_a_directory_is_not_shared_by_two_local_clouds(tmp_path: Path) -> None:
    with (
        locked_directory(tmp_path),
        pytest.raises(SetupError, match="Try: "),
        locked_directory(tmp_path),
    ):
        pass
    with locked_directory(tmp_path):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_run_once_and_the_next_one_does_not_disturb_the_cleaning_up(
    number: signal.Signals,
) -> None:
    cleaned = False
    with pytest.raises(InterruptionError) as caught, interruptible():
        try:
            os.kill(os.getpid(), number)
            signal.pause()
        finally:
            os.kill(os.getpid(), number)
            cleaned = True
    assert cleaned
    assert caught.value.exit_status == 128 + number
