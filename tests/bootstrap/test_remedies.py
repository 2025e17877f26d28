"""Every command that a remedy, a finding or an alarm names can be typed as it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.bootstrap.fake_aws import FakeAws
from tests.support.bootstrap.plans import BLOCKED, BULK_BLOCKED, planned
from tests.support.remedies import ROOT, commands_in, problem, suggested, texts

MODULES = sorted(
    path
    for room in ("bootstrap", "replicator", "infra")
    for path in (ROOT / room).rglob("*.py")
    if "local" not in path.parts
)


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_commands_in_the_texts_of_the_code_can_be_typed(path: Path) -> None:
    found = [words for text in texts(path) for words in commands_in(text)]
    found += [words for line in suggested(path) for words in commands_in(line)]
    assert [f"{' '.join(words)}: {why}" for words in found if (why := problem(words))] == []


@pytest.mark.parametrize("name", [*BLOCKED, *BULK_BLOCKED])
def test_commands_of_the_plans_blockers_can_be_typed(name: str) -> None:
    world = FakeAws()
    members, provoke = BULK_BLOCKED[name][:2] if name in BULK_BLOCKED else ({}, BLOCKED[name][0])
    provoke(world)
    found = planned(world, **members).blockers
    assert found
    for blocker in found:
        for words in commands_in(blocker.fix):
            assert problem(words) == "", " ".join(words)
            assert all(words), blocker.fix


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("then: pulumi up --refresh.", ""),
        ("pulumi up --refresh, which restores it", ""),
        ("pulumi up --force", "no flag --force"),
        ("pulumi state unprotect --yes --stack dev 'urn:pulumi:dev::x$y' && pulumi up", ""),
        ("pulumi state unprotect --yes", "0 of 1 arguments"),
        ("pulumi apply", "no command apply"),
        ("aws dynamodb list-exports", ""),
        ("(aws kms enable-key)", "without key-id"),
        ("aws kms enable-key --key-id X", ""),
        ("aws lambda update-event-source-mapping --uuid X --no-enabled", ""),
        ("aws kinesis update-shards", "no command update-shards"),
        ("`python -m bootstrap verify --repair`", ""),
        ("python -m bootstrap explain", "explain without"),
        ("python -m bootstrap verify --repare", "No such option"),
        ("python -m bootstrap repair", "no command repair"),
    ],
)
def test_a_command_that_cannot_be_typed_is_found(text: str, why: str) -> None:
    (words, *_) = commands_in(text)
    assert why in problem(words)
    assert bool(why) == bool(problem(words))
