"""The calls that cross accounts: each is allowed on both sides, and each has its note."""

from __future__ import annotations

import pytest

from tests.docs import crossing_calls
from tests.infra.least_privilege.crossings import asked, granted


@pytest.mark.promise("C8")
def test_what_one_account_lets_the_other_do_is_what_the_others_roles_may_ask_for() -> None:
    declared = crossing_calls.declared()
    sides = [
        {(each.principal, each.resource, each.actions) for each in side(declared)}
        for side in (granted, asked)
    ]
    assert sides[0] == sides[1]
    assert len(sides[0]) == len(crossing_calls.CROSSING)


def test_a_crossing_call_without_a_note_and_a_note_without_its_call_are_errors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notes = dict(crossing_calls.CROSSING)
    exports = notes.pop(("replication-exporter", "s3"))
    monkeypatch.setattr(crossing_calls, "CROSSING", notes)
    with pytest.raises(KeyError, match="replication-exporter"):
        crossing_calls.crossing_table()
    notes |= {("replication-exporter", "s3"): exports, ("replication-exporter", "sqs"): exports}
    with pytest.raises(ValueError, match=r"Nothing crosses as .*sqs"):
        crossing_calls.crossing_table()


def test_a_service_that_no_row_names_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [each for each in crossing_calls.SERVICE_CALLS if "events" not in each.who]
    monkeypatch.setattr(crossing_calls, "SERVICE_CALLS", tuple(rows))
    with pytest.raises(ValueError, match=r"No row names events\.amazonaws\.com"):
        crossing_calls.service_table()
