"""What other programs, other releases and living stacks rely on stays as it was recorded."""

from __future__ import annotations

import pytest

from tests.contracts.observed import OBSERVERS, observed
from tests.contracts.recorded import LISTS, recorded


@pytest.mark.parametrize("name", OBSERVERS)
def test_contract_is_as_recorded(name: str) -> None:
    promised, now = set(recorded(name)), set(observed(name))
    gone = [f"  - {line}" for line in sorted(promised - now)]
    new = [f"  + {line}" for line in sorted(now - promised)]
    assert not gone, "\n".join(
        [f"{name} lacks what was recorded (- gone, + new). Try: restore it.", *gone, *new]
    )
    assert not new, "\n".join(
        [f"{name} has what is not recorded. Try: python -m tests.contracts.record", *new]
    )


def test_every_recorded_list_is_compared() -> None:
    assert {file.stem for file in LISTS.iterdir()} == set(OBSERVERS)
