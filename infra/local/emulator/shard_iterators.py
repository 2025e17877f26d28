"""Shard iterators: tokens with a reader's position as a sequence number."""

from __future__ import annotations

import base64
import binascii
import json
import time

from infra.local.emulator.patching import Json

ITERATOR_SECONDS = 300


def encoded(arn: str, shard_id: str, after: str) -> str:
    """Return a token for the records after a sequence number ("" for all of them)."""
    state = {"arn": arn, "shard": shard_id, "after": after, "made": time.time()}
    return base64.b64encode(json.dumps(state).encode()).decode("ascii")


def decoded(token: str | None) -> Json | None:
    """Return the token's content, or None when it is not one of ours."""
    try:
        state = json.loads(base64.b64decode(token or "", validate=True))
    except (binascii.Error, ValueError):
        return None
    return state if isinstance(state, dict) and "arn" in state else None


def expired(state: Json, seconds: float = ITERATOR_SECONDS) -> bool:
    """Return whether the token is older than this: five minutes in Kinesis."""
    return bool(time.time() - state["made"] > seconds)
