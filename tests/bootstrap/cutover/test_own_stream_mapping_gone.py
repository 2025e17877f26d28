"""A consumer's mapping that is deleted while a switch is under way keeps no one from going back."""

from __future__ import annotations

import pytest

from bootstrap.core.errors import SwitchCancelledError
from bootstrap.core.refusals import refuse_in
from bootstrap.core.state import State
from tests.support.bootstrap.switch_faults import ready
from tests.support.bootstrap.switch_world import WriterWatch, a_switch, with_own_stream

pytestmark = pytest.mark.promise("C9", "C6")


def test_a_switch_whose_mapping_is_deleted_takes_itself_back_and_run_is_free_to_make_it() -> None:
    watch = WriterWatch(with_own_stream(ready()))
    world = watch.world

    def delete(number: int, name: str, after: bool) -> None:
        if name == "disable_mapping" and after:
            assert world.own_stream is not None
            world.own_stream.mapping_there = False

    watch.then = delete
    run = a_switch(world)
    with pytest.raises(SwitchCancelledError, match="is gone"):
        run.run()
    state = run.group.first.journal.row.state
    assert state is State.REPLICATING
    refuse_in(state, "run", "orders")
    world.clock.advance(600)
    assert watch.takes_writes() == (True, False), "once the policy has reached every caller"
