"""A log of calls: one line of JSON for each distinct caller, action and resource.

For the proof that the declared policies are those that the calls need. Nothing of a request but
its action and the ARN it names is kept: no keys, no items.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.local.emulator.patching import Ministack

DIRECT, BEHIND = "direct", "behind"
"""A call itself, and what AWS does with its caller's permissions behind one."""


class CallLog:
    """Appends to a file; does nothing without one."""

    def __init__(self, ministack: Ministack, file: Path | None) -> None:
        self._ministack = ministack
        self._file = file
        self._seen: set[tuple[str, ...]] = set()
        self._lock = threading.Lock()
        self._enforce: Callable[..., Any]

    def install(self) -> None:
        """Wrap the check that every call passes."""
        if self._file is not None:
            replace = self._ministack.replace
            self._enforce = replace("iam_evaluator", "enforce", self.enforce)

    def enforce(
        self, access_key: str, action: str, service: str, region: str, **options: Any
    ) -> Any:
        """Run the check, and record the call whatever the answer."""
        caller = str(self._ministack.iam_evaluator.caller_arn())
        self.note(DIRECT, caller, action, str(options.get("resource_arn", "*")))
        return self._enforce(access_key, action, service, region, **options)

    def note(self, kind: str, caller: str, action: str, resource: str) -> None:
        """Write one line, unless it is there already."""
        line = (kind, caller, action, resource)
        with self._lock:
            if self._file is None or line in self._seen:
                return
            self._seen.add(line)
            with self._file.open("a") as file:
                names = ("kind", "caller", "action", "resource")
                file.write(json.dumps(dict(zip(names, line, strict=True))) + "\n")
