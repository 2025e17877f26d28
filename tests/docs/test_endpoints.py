"""The table of what the functions call from within a VPC, against the clients that they make."""

from __future__ import annotations

import re

from tests.docs.pages import ROOT

WORDS = {"DynamoDB": "dynamodb", "S3": "s3", "STS": "sts", "Kinesis": "kinesis"} | {
    "CloudWatch": "cloudwatch",
    "Lambda": "lambda",
}
OBSERVED = re.compile(r"\b_client\(\"(\w+)\"\)")
"""A client of the observer, whose Region is the source's."""
OWN = re.compile(r"\bmake\(\"(\w+)\", config\.(source|target)_region, None\)")


def documented(function: str) -> set[tuple[str, str]]:
    """Return (service, side) of each row about a function."""
    text = (ROOT / "docs" / "platform-teams.md").read_text(encoding="utf-8")
    section = text.partition("## The functions in a VPC")[2].partition("\n## ")[0]
    rows = re.findall(r"(?m)^\| ([\w, ]+) \| (\w+)\W[^|]* \| (source|target)'s \|", section)
    return {(WORDS[service], side) for who, service, side in rows if function in who}


def test_every_client_of_the_consumer_has_a_row_and_no_other() -> None:
    handler = (ROOT / "replicator" / "handler.py").read_text(encoding="utf-8")
    assert "aws.clients(config.target_region, THREADS)" in handler
    made = (ROOT / "replicator" / "aws.py").read_text(encoding="utf-8")
    both = set(re.findall(r"session\.create_client\(\"(\w+)\"", made))
    assert documented("consumer") == {(service, "target") for service in both}


def test_every_client_of_the_watchdog_has_a_row_and_no_other() -> None:
    found = {("sts", "source")}
    for path in sorted((ROOT / "replicator" / "watchdog").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        found |= {(service, "source") for service in OBSERVED.findall(text)}
        found |= set(OWN.findall(text))
    assert len(found) == 8
    assert documented("watchdog") == found
