"""Stacks of the program, run by the real engine within this process (Pulumi's Automation API)."""

from __future__ import annotations

import gc
import os
import runpy
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pulumi import automation

from tests.pulumi_engine.cli import REPOSITORY
from tests.pulumi_engine.program_loops import ProgramLoops
from tests.pulumi_engine.workspace import PROJECT, Workspace

UNCHANGED = "same"
OPEN_COROUTINES = (
    "ignore:coroutine .* was never awaited:RuntimeWarning",
    "ignore:Exception ignored in. <coroutine object:pytest.PytestUnraisableExceptionWarning",
)
"""For pytest: a refused program leaves coroutines, which are collected at any later time."""


class RefusedError(AssertionError):
    """The engine refused a command. The message is what the operator would see."""


@dataclass(frozen=True)
class Steps:
    """What a run of the engine did to resources, or would do."""

    by_operation: Mapping[str, frozenset[str]]
    """Resources, as "Stream replicate-orders-buffer-stream", by operation (create, update …)."""
    counts: Mapping[str, int]
    changed: Mapping[str, frozenset[str]]
    """The properties by which a resource differed."""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    said: str = ""
    """The engine's output."""

    @property
    def unchanged(self) -> bool:
        """Whether nothing was made, changed or deleted."""
        return not self.by_operation


class Engine(Workspace):
    """A workspace whose stacks are run within this process."""

    def record_state(self, journal: str, table: str, state: str) -> None:
        """Write a table's row in the journal, as a run does."""
        self.cloud.client("dynamodb", self.cloud.target).put_item(
            TableName=journal,
            Item={"pk": {"S": table}, "sk": {"S": "run"}, "state": {"S": state}},
        )

    def stack(self, name: str) -> EngineStack:
        """Make a stack."""
        loops = ProgramLoops()

        def program() -> None:
            loops.add_running()
            run_program()

        with self.as_operator():
            made = automation.create_stack(
                name,
                project_name=PROJECT,
                program=program,
                opts=automation.LocalWorkspaceOptions(
                    env_vars=self.environment(), work_dir=str(self.project)
                ),
            )
        return EngineStack(self, made, loops)

    @contextmanager
    def as_operator(self) -> Iterator[None]:
        """Give this process an operator's environment and place; put both back."""
        before, folder = dict(os.environ), Path.cwd()
        os.environ.update(self.environment())
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
            os.chdir(folder)


def run_program() -> None:
    """Run infra/ as the language host does: from within its folder."""
    os.chdir(REPOSITORY / "infra")
    runpy.run_path(".", run_name="__main__")


class EngineStack:
    """One stack, and what an operator does with it."""

    def __init__(self, engine: Engine, stack: automation.Stack, loops: ProgramLoops) -> None:
        self.engine, self._stack, self._loops = engine, stack, loops

    @property
    def name(self) -> str:
        """The stack's name."""
        return self._stack.name

    def configure(self, values: Mapping[str, Any], secret: Mapping[str, str] | None = None) -> None:
        """Write the stack's file anew. `secret` goes by paths such as operators.externalId.

        Pulumi's own keys stay.
        """
        file = self.engine.project / f"Pulumi.{self.name}.yaml"
        content = yaml.safe_load(file.read_text()) if file.exists() else {}
        kept = {k: v for k, v in content.get("config", {}).items() if k.startswith("pulumi:")}
        content["config"] = {
            **kept,
            **{f"{PROJECT}:{key}": value for key, value in values.items()},
        }
        file.write_text(yaml.safe_dump(content, sort_keys=False))
        for path, text in (secret or {}).items():
            self.pulumi("config", "set", "--secret", "--path", f"{PROJECT}:{path}", text)

    def name_by(self, pattern: str) -> None:
        """Write `pulumi:autonaming` into the stack's file."""
        file = self.engine.project / f"Pulumi.{self.name}.yaml"
        content = yaml.safe_load(file.read_text())
        content["config"]["pulumi:autonaming"] = {"pattern": pattern}
        file.write_text(yaml.safe_dump(content, sort_keys=False))

    def preview(self, **options: Any) -> Steps:
        """Run `pulumi preview`. Raises `RefusedError`."""
        return self._run(self._stack.preview, options)

    def up(self, **options: Any) -> Steps:
        """Run `pulumi up`. Raises `RefusedError`."""
        return self._run(self._stack.up, options)

    def destroy(self, **options: Any) -> Steps:
        """Run `pulumi destroy`. Raises `RefusedError`."""
        return self._run(self._stack.destroy, options)

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs."""
        with self.engine.as_operator():
            return {name: output.value for name, output in self._stack.outputs().items()}

    def state(self) -> dict[str, Any]:
        """Return the stack's state."""
        with self.engine.as_operator():
            return dict(self._stack.export_stack().deployment or {})

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources of the state, without the engine's own default provider."""
        found = self.state().get("resources", [])
        return [resource for resource in found if resource["type"] != "pulumi:providers:pulumi"]

    def urn(self, name: str) -> str:
        """Return the URN of the only resource with this name that AWS has."""
        ends = f"::{name}"
        [urn] = [r["urn"] for r in self.resources() if r.get("id") and r["urn"].endswith(ends)]
        return str(urn)

    def pulumi(self, *arguments: str) -> str:
        """Run another command of the CLI on this stack; return what it prints."""
        workspace = self._stack.workspace
        with self.engine.as_operator():
            try:
                ran = workspace.pulumi_command.run(
                    [*arguments, "--stack", self.name], workspace.work_dir, workspace.env_vars
                )
            except automation.CommandError as error:
                raise RefusedError(str(error)) from None
        return str(ran.stdout)

    def load(self, deployment: Mapping[str, Any]) -> None:
        """Take over a state, as `pulumi stack import` does."""
        with self.engine.as_operator():
            self._stack.import_stack(automation.Deployment(version=3, deployment=dict(deployment)))

    def _run(self, command: Any, options: Mapping[str, Any]) -> Steps:
        seen, refusal, result = _Events(), "", None
        with self.engine.as_operator():
            try:
                result = command(on_event=seen, color="never", **options)
            except automation.CommandError as error:
                refusal = str(error)
            finally:
                self._loops.close()
        if result is None:
            raise RefusedError(refusal)
        outputs = getattr(result, "outputs", None) or {}
        return Steps(
            by_operation={op: frozenset(names) for op, names in seen.operations.items()},
            counts=seen.counts,
            changed={name: frozenset(keys) for name, keys in seen.changed.items()},
            outputs={name: output.value for name, output in outputs.items()},
            said=str(result.stdout),
        )


def collect_coroutines() -> None:
    """Collect the coroutines that refused programs have left, without their warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        gc.collect()


class _Events:
    """Collects the engine's events of one run."""

    def __init__(self) -> None:
        self.operations: dict[str, set[str]] = {}
        self.changed: dict[str, set[str]] = {}
        self.counts: dict[str, int] = {}

    def __call__(self, event: automation.EngineEvent) -> None:
        if event.summary_event is not None:
            summary = event.summary_event.resource_changes
            self.counts = {str(getattr(op, "value", op)): n for op, n in summary.items()}
        if event.resource_pre_event is None:
            return
        step = event.resource_pre_event.metadata
        operation = str(getattr(step.op, "value", step.op))
        if operation in (UNCHANGED, "refresh", "read"):
            return
        kind = step.urn.split("::")[2].rpartition(":")[2]
        resource = f"{kind} {step.urn.rpartition('::')[2]}"
        self.operations.setdefault(operation, set()).add(resource)
        if step.detailed_diff:
            self.changed.setdefault(resource, set()).update(step.detailed_diff)
