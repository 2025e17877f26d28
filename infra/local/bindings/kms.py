"""Keys and their aliases."""

from __future__ import annotations

from infra.local.bindings.request import Created, Request


def key(request: Request) -> Created:
    inputs, kms = request.inputs, request.client("kms")
    inputs.not_emulated("deletionWindowInDays", "nothing is ever deleted on the local cloud")
    metadata = kms.create_key(
        Description=inputs.text("description"), Policy=inputs.document("policy")
    )["KeyMetadata"]
    if inputs.flag("enableKeyRotation"):
        kms.enable_key_rotation(KeyId=metadata["KeyId"])
    return Created(metadata["KeyId"], {"arn": metadata["Arn"], "keyId": metadata["KeyId"]})


def alias(request: Request) -> Created:
    inputs, name = request.inputs, request.inputs.text("name")
    request.client("kms").create_alias(AliasName=name, TargetKeyId=inputs.text("targetKeyId"))
    return Created(name)
