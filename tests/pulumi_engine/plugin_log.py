"""The stand-in's calls, one JSON object a line, and the faults that a test orders."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VARIABLE = "PULUMI_STAND_IN"
"""Names a folder with the calls and the faults; unset, nothing is noted and nothing fails."""
CALLS, FAULTS = "calls.jsonl", "faults.json"
LINGER_SECONDS = 30.0


class OrderedFaultError(RuntimeError):
    """A failure that a test ordered."""


@dataclass(frozen=True)
class Call:
    """One call of the engine that changed something, or tried to."""

    operation: str
    account_id: str
    type: str
    name: str
    changed: tuple[str, ...]


@dataclass(frozen=True)
class PluginLog:
    """Calls and faults of one folder, for all providers and all runs."""

    folder: Path | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> PluginLog:
        """Return the log that the environment names."""
        folder = environment.get(VARIABLE)
        return cls(Path(folder) if folder else None)

    # -- the stand-in's side ------------------------------------------------------------------

    def note(self, operation: str, account_id: str, urn: str, changed: Sequence[str] = ()) -> None:
        """Append one call."""
        if self.folder is None:
            return
        line = {
            "operation": operation,
            "account_id": account_id,
            "type": urn.split("::")[2].rpartition("$")[2].rpartition(":")[2],
            "name": urn.rpartition("::")[2],
            "changed": list(changed),
        }
        with (self.folder / CALLS).open("a") as file:  # a short append is atomic
            file.write(json.dumps(line) + "\n")

    def fail_if_told(self, urn: str) -> None:
        """Raise what a test ordered for a resource, or for a look-up."""
        name = urn.rpartition(":")[2]
        message = self._faults().get("fail", {}).get(name)
        if message:
            raise OrderedFaultError(message)

    def linger_if_told(self, urn: str) -> None:
        """Wait before the answer, so that a test can kill the engine between deed and answer."""
        if urn.rpartition("::")[2] in self._faults().get("linger", []):
            time.sleep(LINGER_SECONDS)

    def _faults(self) -> dict[str, Any]:
        if self.folder is None or not (self.folder / FAULTS).exists():
            return {}
        found: dict[str, Any] = json.loads((self.folder / FAULTS).read_text())
        return found

    # -- a test's side ---------------------------------------------------------------------------

    def calls(self) -> list[Call]:
        """Return all calls so far."""
        file = self._own(CALLS)
        if not file.exists():
            return []
        lines = (json.loads(line) for line in file.read_text().splitlines())
        return [Call(**{**line, "changed": tuple(line["changed"])}) for line in lines]

    def forget(self) -> None:
        """Begin a new list of calls, and order no fault."""
        self._own(CALLS).unlink(missing_ok=True)
        self._own(FAULTS).unlink(missing_ok=True)

    def order(self, *, fail: Mapping[str, str] | None = None, linger: Sequence[str] = ()) -> None:
        """Order failures (a message by resource name) and delays from now on."""
        faults = {"fail": dict(fail or {}), "linger": list(linger)}
        self._own(FAULTS).write_text(json.dumps(faults))

    def _own(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder / name
