"""Record what a deployer calls: `python -m tests.pulumi_engine.deployer.record` (minutes)."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from infra.local.cloud import LocalCloud
from tests.pulumi_engine.cli import find_cli
from tests.pulumi_engine.deployer.journey import ROLE, live, make_role
from tests.pulumi_engine.deployer.policies import ACCOUNTS, RECORDED
from tests.pulumi_engine.engine import Engine
from tests.support.infra.clouds import make_table

EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}],
}
FREE = "sts:GetCallerIdentity"
"""The action that needs no permission (its page of the AWS STS API Reference)."""


def seen(recording: Path) -> dict[str, list[str]]:
    """Return the actions of the deployer's roles by side."""
    found: dict[str, set[str]] = {side: set() for side in ACCOUNTS}
    for line in recording.read_text().splitlines():
        call = json.loads(line)
        for side, account in ACCOUNTS.items():
            if f"::{account}:assumed-role/{ROLE}/" in call["caller"]:
                found[side].add(call["action"])
    return {side: sorted(actions - {FREE}) for side, actions in found.items()}


def main() -> None:
    """Run the journey as roles that may do everything, and store what they did."""
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        recording = folder / "calls.jsonl"
        with LocalCloud(folder / "cloud", recording=recording) as cloud:
            for name in ("orders", "customers"):
                make_table(cloud.client("dynamodb", cloud.source), name)
            engine = Engine(find_cli(), cloud, folder)
            for account in (cloud.source, cloud.target):
                make_role(engine, account, everything=EVERYTHING)
            live(engine.stack("record"))
        found = seen(recording)
    RECORDED.write_text(json.dumps(found, indent=1) + "\n")
    print({side: len(actions) for side, actions in found.items()})


if __name__ == "__main__":
    main()
