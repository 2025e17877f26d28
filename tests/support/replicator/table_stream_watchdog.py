"""The watchdog of a table that its own stream buffers: what it finds, and the world it looks at."""

from __future__ import annotations

from replicator.watchdog.finding import Finding
from replicator.watchdog.judge import judge
from tests.support.replicator.watchdog_harness import WatchdogHarness

HOUR = 3600.0
TABLE = "arn:aws:dynamodb:eu-west-1:111111111111:table/orders"
OURS = f"{TABLE}/stream/2026-01-01T00:00:00.000"
ANOTHER = f"{TABLE}/stream/2026-01-02T00:00:00.000"


def switch_stream(world: WatchdogHarness, arn: str = OURS, *, on: bool = True) -> None:
    view = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    world.source_state = {
        "TableStatus": "ACTIVE",
        "LatestStreamArn": arn,
        **({"StreamSpecification": view} if on else {}),
    }


def settle(world: WatchdogHarness, **changes: bool | int | str) -> None:
    values: dict[str, bool | int | str] = {
        "consume": True,
        "expire": True,
        "floor": int(BEGIN * 1e6),
        "stream": OURS,
        "mapping": "a-mapping",
    }
    world.settle(**{**values, **changes})


BEGIN = WatchdogHarness().clock() // 60 * 60


def findings(world: WatchdogHarness) -> dict[str, Finding]:
    readings = world.watchdog.round(lambda: 240.0)
    return {each.detector.metric: each for each in judge(readings, world.config.expected)}
