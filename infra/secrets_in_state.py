"""Values from secrets of the configuration, kept secret in the stack's state.

The engine decrypts a secret for the program and encrypts in the state what the program marks. The
values of the configuration are checked in plain text and end up in policies, alarms, dashboards
and tags, so each input of each resource is compared with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi._types import input_type_to_dict, is_input_type
from pulumi.runtime import register_stack_transformation
from pulumi.runtime.config import get_config_secret_keys_env, is_config_secret

from infra import engine_config
from infra.principals import WHOLE_ACCOUNT

KEPT = re.compile(
    r"operators\.(externalId|(source|target)\[\d+\])"
    r"|switch\.(source|target)\[\d+\]"
    r"|alarms\.(emails\[\d+\]|topics\..+)"
    r"|buckets\.accessLogs\..+"
    r"|vpc\.(subnet|securityGroup)Ids\[\d+\]"
    r"|tags\..+"
    r"|keys\..+"
    r"|tables\[\d+\]\.((source|target|stream)KeyArn|streamArn)"
    r"|(source|target)\.(externalId|permissionsBoundaryArn|profile|roleArn|sessionName)"
)
"""Keys whose values can be kept. Names of tables, paths of roles, account ids and Regions cannot,
since resources are named by them, and numbers, switches and choices look like any other. The ARN of
a stream that the stack makes a destination for is in the destination's id too."""
SHORT = 8
"""Below this many characters a text is looked for as a whole value only: `dev` is part of much."""


@dataclass(frozen=True)
class SecretTexts:
    """The texts that must not be in the state in clear."""

    texts: frozenset[str]

    @classmethod
    def of(cls, config: pulumi.Config, values: Mapping[str, Any]) -> SecretTexts:
        """Find them in the values of a configuration.

        The engine tells only which top-level keys hold a secret, so what can be kept of such a key
        is kept whole: all addresses, if one is secret.
        """
        secret = set(get_config_secret_keys_env())
        found: set[str] = set()
        for key, value in values.items():
            name = f"{config.name}:{key}"
            if name in secret or is_config_secret(name):
                found.update(text for path, text in _texts(value, key) if KEPT.fullmatch(path))
        return cls(frozenset(found - {"", WHOLE_ACCOUNT}))

    @classmethod
    def kept_secret(cls) -> SecretTexts:
        """Find the texts of this stack's configuration, and mark every input that holds one."""
        config = pulumi.Config()
        secrets = cls.of(config, engine_config.values(config))
        secrets.mark_inputs()
        return secrets

    def mark_inputs(self) -> None:
        """Mark the inputs of each resource that is declared from here on."""
        if self.texts:
            register_stack_transformation(self._transform)

    def marked(self, value: Any) -> Any:
        """Return a value in which each text that holds a secret is a secret output."""
        if not self.texts:
            return value
        if isinstance(value, pulumi.Output):
            return value.apply(
                lambda known: pulumi.Output.secret(known) if self.in_(known) else known
            )
        # An Args class, too: the engine gets it as a whole.
        if isinstance(value, str) or is_input_type(type(value)):
            return pulumi.Output.secret(value) if self.in_(value) else value
        if isinstance(value, list | tuple):
            return [self.marked(each) for each in value]
        if isinstance(value, dict):
            return {key: self.marked(each) for key, each in value.items()}
        return value

    def in_(self, value: Any) -> bool:
        """Tell whether a value, or anything within it, holds one of the texts."""
        if isinstance(value, str):
            return any(
                text == value or f'"{text}"' in value or (len(text) >= SHORT and text in value)
                for text in self.texts
            )
        if is_input_type(type(value)):
            value = input_type_to_dict(value)
        if isinstance(value, Mapping):
            return any(map(self.in_, value.values()))
        return isinstance(value, list | tuple) and any(map(self.in_, value))

    def _transform(
        self, args: pulumi.ResourceTransformationArgs
    ) -> pulumi.ResourceTransformationResult:
        props = {name: self.marked(value) for name, value in args.props.items()}
        opts = args.opts
        if args.type_.startswith("aws:"):
            # AWS's provider copies the default tags into this output of each resource.
            more = pulumi.ResourceOptions(additional_secret_outputs=["tagsAll"])
            opts = pulumi.ResourceOptions.merge(opts, more)
        return pulumi.ResourceTransformationResult(props, opts)


def holds_secret(key: str) -> bool:
    """Tell whether a top-level key of the configuration holds a secret."""
    name = f"{pulumi.Config().name}:{key}"
    return name in get_config_secret_keys_env() or is_config_secret(name)


def _texts(value: Any, path: str) -> Iterable[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _texts(each, f"{path}.{key}")
    elif isinstance(value, list):
        for n, each in enumerate(value):
            yield from _texts(each, f"{path}[{n}]")
