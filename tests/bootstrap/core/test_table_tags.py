"""The tags of a target: the stack's win, and AWS's limit holds."""

from __future__ import annotations

from bootstrap.core.table_tags import MOST_TAGS, left_out, tags_of_target


def test_the_stacks_tags_win_whatever_the_capital_letters_and_aws_keeps_its_own() -> None:
    source = {"Team": "shop", "aws:cloudformation:stack-name": "x", "cost": "42"}
    assert tags_of_target(source, {"team": "payments"}) == {"cost": "42", "team": "payments"}
    assert tags_of_target(source, {}) == {"Team": "shop", "cost": "42"}


def test_no_target_gets_more_tags_than_aws_takes_and_what_is_left_out_is_known() -> None:
    source = {f"tag-{n:02}": "x" for n in range(MOST_TAGS)}
    stack = {"team": "payments", "tag-00": "mine"}
    tags = tags_of_target(source, stack)
    assert len(tags) == MOST_TAGS
    assert (tags["tag-00"], tags["team"]) == ("mine", "payments")
    assert left_out(source, stack) == ["tag-48"]
    assert left_out(source, {}) == []
