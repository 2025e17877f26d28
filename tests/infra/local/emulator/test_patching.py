"""A ministack other than the pinned one: it must not start with half of the corrections."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from infra.local.emulator import patching


def modules_with_every_name() -> dict[str, Any]:
    tables = (patching.REPLACED, patching.RELIED_ON)
    modules = {
        module: SimpleNamespace(**{n: None for table in tables for n in table.get(module, ())})
        for module in patching.MODULES
    }
    modules["lambda_runtime"].Worker = SimpleNamespace(**dict.fromkeys(patching.WORKER_METHODS))
    return modules


def test_a_missing_name_stops_the_start_and_is_named_with_the_version_and_the_fix() -> None:
    modules = modules_with_every_name()
    del modules["dynamodb"]._emit_stream_event
    with pytest.raises(patching.EmulatorMismatchError) as refused:
        patching.check("9.9.9", modules)
    message = str(refused.value)
    assert "ministack 9.9.9 does not have ministack.services.dynamodb._emit_stream_event" in message
    assert message.splitlines()[-1].startswith("Try: ")
    assert f"ministack=={patching.PINNED_VERSION}" in message


def test_a_missing_method_of_the_lambda_worker_is_noticed() -> None:
    modules = modules_with_every_name()
    del modules["lambda_runtime"].Worker._spawn
    assert patching.missing_names(modules) == ["ministack.core.lambda_runtime.Worker._spawn"]


def test_a_complete_ministack_passes() -> None:
    assert patching.check("1.0", modules_with_every_name()).version == "1.0"


def test_a_name_that_is_not_declared_cannot_be_replaced() -> None:
    ministack = patching.check("1.0", modules_with_every_name())
    with pytest.raises(patching.EmulatorMismatchError, match="not declared"):
        ministack.replace("dynamodb", "_tables", {})


def test_replacing_returns_what_was_there() -> None:
    modules = modules_with_every_name()
    modules["dynamodb"]._put_item = "theirs"
    ministack = patching.check("1.0", modules)
    assert ministack.replace("dynamodb", "_put_item", "ours") == "theirs"
    assert modules["dynamodb"]._put_item == "ours"
