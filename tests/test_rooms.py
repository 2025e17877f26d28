"""Imports go one way: no cycle between modules, and none between packages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

import grimp
import pytest

PRODUCT = ("bootstrap", "infra", "replicator")


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    # Imports for type checkers count: a cycle of types is a third module that is missing.
    return grimp.build_graph(*PRODUCT, cache_dir=None)


def imports(graph: grimp.ImportGraph) -> Iterator[tuple[str, str]]:
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            yield importer, imported


def cycle(arrows: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_no_module_imports_itself_through_others(graph: grimp.ImportGraph) -> None:
    arrows: dict[str, set[str]] = {}
    for importer, imported in imports(graph):
        arrows.setdefault(importer, set()).add(imported)

    assert len(arrows) > 100
    assert cycle(arrows) == []


@pytest.mark.parametrize("package", PRODUCT)
def test_no_room_imports_itself_through_others(graph: grimp.ImportGraph, package: str) -> None:
    arrows: dict[str, set[str]] = {}
    for importer, imported in imports(graph):
        ends = [each.split(".")[:2] for each in (importer, imported)]
        if any(len(each) < 2 or each[0] != package for each in ends) or ends[0] == ends[1]:
            continue
        arrows.setdefault(ends[0][1], set()).add(ends[1][1])

    assert arrows
    assert cycle(arrows) == []


def test_a_cycle_is_found() -> None:
    assert set(cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}
