"""Kinesis streams in the Resource Groups Tagging API: ministack lists none."""

from __future__ import annotations

from collections.abc import Iterator

from infra.local.emulator.patching import Json, Ministack


class TaggedStreams:
    """Adds the streams of the caller's account and Region to GetResources."""

    def __init__(self, ministack: Ministack) -> None:
        self._ministack = ministack

    def install(self) -> None:
        """Add the streams to ministack's own listing of each service."""
        self._ministack.tagging._COLLECTORS["kinesis"] = self.streams

    def streams(self) -> Iterator[tuple[str, list[Json]]]:
        """Yield each stream's ARN and tags."""
        for stream in list(self._ministack.kinesis._streams.values()):
            tags = stream.get("tags") or {}
            yield stream["StreamARN"], self._ministack.tagging._normalise_flat(tags)
