"""Which buffer a table gets: what blocks its own stream, and which one the plan advises."""

from __future__ import annotations

import pytest

from bootstrap.core.facts import KeyFacts
from bootstrap.core.stream_policy import with_reads
from bootstrap.plan.plan import Plan
from tests.support.bootstrap.fake_aws import SOURCE_ARN, FakeAws, table_stream_outputs
from tests.support.bootstrap.plans import GB, planned_by, source, writes

pytestmark = pytest.mark.promise("C3", "C7")

STREAM = f"{SOURCE_ARN}/stream/2026-11-30T10:00:00.000"


def plan_of(world: FakeAws, *, streams: bool = True) -> Plan:
    return planned_by(world, table_stream_outputs() if streams else None)


def blocked(made: Plan) -> str:
    return "\n".join(f"{each.what} {each.fix}" for each in made.blockers)


def test_a_small_table_may_be_buffered_by_its_own_stream_and_nothing_of_kinesis_is_asked() -> None:
    world = FakeAws()
    made = plan_of(world)
    assert made.blockers == ()
    asked = {each.name for each in world.seen}
    assert asked.isdisjoint({"destinations", "stream", "open_shards", "stream_policy", "mapping"})
    assert made.actions[0].what.startswith("switch on the stream of table orders")


def test_a_table_whose_export_and_load_may_take_over_20_hours_is_refused_with_the_numbers() -> None:
    world = FakeAws()
    source(size_bytes=400 * GB)(world)
    assert plan_of(world).blockers == ()
    source(size_bytes=500 * GB)(world)
    text = blocked(plan_of(world))
    assert "may take up to 23 h" in text
    assert "export 10 h" in text and "load 13 h" in text
    assert "forgets a change after 24 hours" in text
    assert "buffer' kinesis --stack" in text
    assert "pulumi up" in text


def test_a_stream_of_another_view_type_blocks_and_one_of_ours_is_used() -> None:
    world = FakeAws()
    source(stream_view="KEYS_ONLY", stream_arn=STREAM)(world)
    assert "view type KEYS_ONLY" in blocked(plan_of(world))
    source(stream_view="NEW_AND_OLD_IMAGES", stream_arn=STREAM)(world)
    made = plan_of(world)
    assert made.blockers == ()
    assert made.actions[0].what.startswith("use the stream")
    assert any(f"list-event-source-mappings --event-source-arn {STREAM}" in n for n in made.notes)


def test_the_consumer_of_another_stack_on_the_same_stream_is_named_and_not_our_own() -> None:
    world = FakeAws()
    source(stream_view="NEW_AND_OLD_IMAGES", stream_arn=STREAM)(world)
    ours = table_stream_outputs().tables[0].consumer_role_arn
    theirs = "arn:aws:iam::333333333333:role/other-consumer"
    world.policies.rewrite(STREAM, lambda text: with_reads(text, STREAM, ours))
    assert not [note for note in plan_of(world).notes if "Another stack" in note]
    world.policies.rewrite(STREAM, lambda text: with_reads(text, STREAM, theirs))
    world.clock.advance(60)
    (named,) = [note for note in plan_of(world).notes if "Another stack" in note]
    assert theirs in named and ours not in named


def test_the_key_that_aws_manages_blocks_since_no_other_account_reads_such_a_stream() -> None:
    world = FakeAws()
    world.keys["arn:key"] = KeyFacts("arn:key", "Enabled", None)
    source(encryption="KMS", key_arn="arn:key")(world)
    world.awss_own_key = True
    assert "aws/dynamodb" in blocked(plan_of(world))


@pytest.mark.parametrize("streams", [False, True])
def test_both_costs_are_named_where_the_other_buffer_may_be_the_better_choice(
    streams: bool,
) -> None:
    world = FakeAws()
    writes(100.0)(world)
    source(size_bytes=10 * GB, items=10_000_000)(world)
    made = plan_of(world, streams=streams)
    (advice,) = [note for note in made.notes if "buffer: " in note and " a month" in note]
    own, other = made.estimate.monthly[0][1], made.estimate.other_month
    assert other is not None
    assert f"${own:,.2f}" in advice and f"${other:,.2f}" in advice
    assert (own < other) == streams, "a table's own stream costs less"
    again = plan_of(world, streams=not streams)
    # Up to the shards that each is assumed to have.
    assert again.estimate.monthly[0][1] == pytest.approx(other, rel=0.01)


def test_a_table_too_large_for_its_own_stream_is_not_advised_to_use_it() -> None:
    world = FakeAws()
    writes(100.0)(world)
    source(size_bytes=500 * GB, items=10_000_000)(world)
    assert not [note for note in plan_of(world, streams=False).notes if "buffer: streams" in note]


def test_a_bill_of_a_table_stream_has_no_line_of_kinesis() -> None:
    world = FakeAws()
    writes(100.0)(world)
    paid = {each.resource: each.monthly for each in plan_of(world).estimate.bill}
    for line in ("Stream, retention", "Stream, in and out", "Change data capture", "Probes"):
        assert not paid[line], line
    assert paid["Reads of the table's stream"]
