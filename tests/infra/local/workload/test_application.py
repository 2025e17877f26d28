"""The application and its witness, through switches made by hand: clean ones, and faulty ones."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.local.cloud import LocalCloud
from infra.local.data.items import Item, KeyAttribute, KeySchema, TableShape
from infra.local.workload import place
from infra.local.workload.application import (
    Application,
    ApplicationSettings,
    ApplicationWriter,
    make_writers,
)
from infra.local.workload.attempts import read_attempts
from infra.local.workload.place import Side
from infra.local.workload.server_writes import read_server_writes
from infra.local.workload.witness import Evidence, SwitchVerdict, contents, judge
from tests.support.infra.clouds import make_table, until

pytestmark = [pytest.mark.slow, pytest.mark.promise("C9")]

KEYS = KeySchema(KeyAttribute("pk", "B"), KeyAttribute("sk", "N"))
SHAPE = TableShape("orders", KEYS, (), "expires_at")
SIDES: tuple[Side, ...] = ("source", "target")
SPREAD = 0.3


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    folder = tmp_path_factory.mktemp("cloud")
    chaos = f"policy_spread={SPREAD}"
    with LocalCloud(folder, chaos=chaos, write_log=folder / "writes.jsonl") as cloud:
        yield cloud


@dataclass
class HandMadeSwitch:
    """Two tables, an application between them, and the steps of a switch that a test may mix up."""

    cloud: LocalCloud
    folder: Path
    name: str
    began: float = field(default_factory=time.monotonic)
    copied: list[Item] = field(default_factory=list)

    def __post_init__(self) -> None:
        accounts = {"source": self.cloud.source, "target": self.cloud.target}
        self.dynamodb = {side: self.cloud.client("dynamodb", accounts[side]) for side in SIDES}
        self.tables: dict[Side, str] = {"source": self.name, "target": f"{self.name}-replica"}
        key = ",".join(f"{each.name}:{each.type}" for each in KEYS.attributes)
        self.arns = {
            side: make_table(self.dynamodb[side], self.tables[side], key) for side in SIDES
        }
        self.writers = make_writers(self.cloud, self.tables)
        self.close("target")
        time.sleep(SPREAD)
        self.place = self.folder / "place"
        place.write_place(self.place, "source")
        self.attempts = self.folder / "attempts.jsonl"
        settings = ApplicationSettings(
            tables=self.tables,
            keys=[[each.name, each.type] for each in KEYS.attributes],
            writers=self.writers,
            place=str(self.place),
            attempts=str(self.attempts),
            rate=120,
            seed=1,
        )
        self.application = Application(settings, self.folder, self.cloud.environment())

    def close(self, side: Side, writers: Sequence[ApplicationWriter] | None = None) -> None:
        """Deny every write to the users of these writers, or of all."""
        account = self.arns[side].split(":")[4]
        statement = {
            "Sid": "Closed",
            "Effect": "Deny",
            "Principal": {
                "AWS": [
                    f"arn:aws:iam::{account}:user/{writer.name}"
                    for writer in (self.writers if writers is None else writers)
                ]
            },
            "Action": [
                f"dynamodb:{verb}Item" for verb in ("Put", "Update", "Delete", "BatchWrite")
            ],
            "Resource": self.arns[side],
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.dynamodb[side].put_resource_policy(ResourceArn=self.arns[side], Policy=document)

    def close_source(self) -> None:
        self.close("source")
        time.sleep(2 * SPREAD)

    def fence_all_but_one(self) -> None:
        self.close("source", [each for each in self.writers if each.habit != "stays"])
        time.sleep(2 * SPREAD)

    def open_target(self) -> None:
        self.dynamodb["target"].delete_resource_policy(ResourceArn=self.arns["target"])
        time.sleep(2 * SPREAD)

    def copy(self) -> None:
        """Make the target what the source is, as a replication would."""
        self.copied = self._scan("source")
        here = [KEYS.key_of(item) for item in self.copied]
        for item in self._scan("target"):
            if KEYS.key_of(item) not in here:
                self._target(self.dynamodb["target"].delete_item, Key=KEYS.key_of(item))
        self.copy_again()

    def copy_again(self) -> None:
        """Put into the target once more what was copied last, as a consumer left open would."""
        for item in self.copied:
            self._target(self.dynamodb["target"].put_item, Item=item)

    def let_write(self) -> None:
        time.sleep(1.2)

    def move(self) -> None:
        subprocess.run(place.moving_command(str(self.place)), shell=True, check=True)
        moving = [each.name for each in self.writers if each.habit == "moves"]
        until(lambda: self.moved() >= set(moving), "every writer has moved")

    def moved(self) -> set[str]:
        attempts = read_attempts(self.attempts)
        done = [each for each in attempts if each.outcome == "acknowledged"]
        return {each.writer for each in done if each.side == "target"}

    def judged(self) -> SwitchVerdict:
        self.application.stop()
        every = read_server_writes(self.cloud.directory / "writes.jsonl")
        users = [f":user/{writer.name}" for writer in self.writers]
        return judge(
            Evidence(
                attempts=read_attempts(self.attempts),
                moving=frozenset(each.name for each in self.writers if each.habit == "moves"),
                writes={
                    side: [w for w in every if w.table == name and w.at > self.began]
                    for side, name in self.tables.items()
                },
                callers=frozenset(w.caller for w in every if w.caller.endswith(tuple(users))),
                contents={
                    side: contents(self.dynamodb[side], name, SHAPE, now=0)
                    for side, name in self.tables.items()
                },
            )
        )

    def _scan(self, side: Side) -> list[Item]:
        pages = self.dynamodb[side].get_paginator("scan").paginate(TableName=self.tables[side])
        return [item for page in pages for item in page["Items"]]

    def _target(self, call: Callable[..., Any], **arguments: Any) -> None:
        call(TableName=self.tables["target"], **arguments)


Step = Callable[[HandMadeSwitch], None]


def play(cloud: LocalCloud, folder: Path, name: str, *steps: Step) -> SwitchVerdict:
    """Let the application write through these steps, and judge."""
    switch = HandMadeSwitch(cloud, folder, name)
    try:
        until(lambda: len(read_attempts(switch.attempts)) > 20, "the application writes")
        for step in (HandMadeSwitch.let_write, *steps, HandMadeSwitch.let_write):
            step(switch)
        return switch.judged()
    finally:
        switch.application.close()


CLOSE, COPY = HandMadeSwitch.close_source, HandMadeSwitch.copy
OPEN, MOVE = HandMadeSwitch.open_target, HandMadeSwitch.move
WAIT = HandMadeSwitch.let_write


def test_a_clean_switch_has_no_findings(cloud: LocalCloud, tmp_path: Path) -> None:
    verdict = play(cloud, tmp_path, "clean", CLOSE, COPY, OPEN, MOVE)
    assert verdict.findings == ()
    assert verdict.acknowledged["source"] > 50
    assert verdict.acknowledged["target"] > 20
    assert verdict.outcomes["refused"] > 20
    assert "unknown" not in verdict.outcomes
    assert 2 * SPREAD < verdict.longest_seconds < 15
    assert len(verdict.stretches) == 4


@pytest.mark.parametrize(
    ("name", "steps", "finding"),
    [
        ("opened-too-early", (OPEN, WAIT, CLOSE, COPY, MOVE), "Both tables took writes: "),
        ("copied-too-early", (COPY, WAIT, CLOSE, OPEN, MOVE), "Acknowledged writes are lost: "),
        (
            "one-not-fenced",
            (HandMadeSwitch.fence_all_but_one, COPY, OPEN, MOVE),
            "Both tables took writes: ",
        ),
        (
            "consumer-left-open",
            (CLOSE, COPY, OPEN, MOVE, WAIT, HandMadeSwitch.copy_again),
            "Acknowledged writes are lost: ",
        ),
    ],
)
def test_a_faulty_switch_is_found(
    cloud: LocalCloud, tmp_path: Path, name: str, steps: Sequence[Step], finding: str
) -> None:
    verdict = play(cloud, tmp_path, name, *steps)
    assert any(each.startswith(finding) for each in verdict.findings), verdict.findings


def test_the_command_of_a_switch_may_run_again(tmp_path: Path) -> None:
    file = tmp_path / "a place"
    place.write_place(file, "stopped")
    assert place.read_place(file) is None
    for _ in range(2):
        subprocess.run(place.moving_command(str(file)), shell=True, check=True)
        assert place.read_place(file) == "target"
    file.write_text("elsewhere")
    with pytest.raises(ValueError, match="elsewhere"):
        place.read_place(file)
