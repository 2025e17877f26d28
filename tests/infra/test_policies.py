"""Least privilege (C8): who may do what, read off the policies that the program declares."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra import package
from infra.policies import ALIAS_ADMINISTRATION, KEY_ADMINISTRATION
from infra.source_grants import ADOPTED_STREAM_ACTIONS
from tests.infra.least_privilege import justifications
from tests.support.infra.recording_engine import CONFIG, Deployment, record, statements

pytestmark = [pytest.mark.slow, pytest.mark.promise("C5", "C8")]

WITHOUT_AN_ARN = {
    # AWS's authorization reference lists no resource for these.
    "application-autoscaling:DescribeScalableTargets",
    "cloudwatch:GetMetricStatistics",
    "dynamodb:DescribeLimits",
    "dynamodb:ListExports",
    "dynamodb:ListImports",
    "kms:ListAliases",
    "lambda:GetAccountSettings",
    "logs:DescribeLogGroups",
    "tag:GetResources",
}
READING = {
    "kinesis:DescribeStream",
    "kinesis:DescribeStreamSummary",
    "kinesis:GetRecords",
    "kinesis:GetShardIterator",
    "kinesis:ListShards",
}
ITEM_ACTIONS = {
    "dynamodb:BatchGetItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:Scan",
    "dynamodb:UpdateItem",
}


def policies(stack: Deployment) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every statement of every policy: (kind of the resource, its name, statement)."""
    for resource in stack.aws:
        for key in ("policy", "assumeRolePolicy"):
            if key in resource.inputs:
                for statement in statements(resource.inputs[key]):
                    yield resource.kind, resource.name, statement


def grants(stack: Deployment, role: str) -> dict[str, set[str]]:
    """What a role may do: action -> resources."""
    found: dict[str, set[str]] = {}
    policy = stack.one("RolePolicy", f"{role}-grants").inputs["policy"]
    for statement in statements(policy):
        assert statement["Effect"] == "Allow"
        for action in statement["Action"]:
            found.setdefault(action, set()).update(statement["Resource"])
    return found


def test_no_statement_allows_an_action_by_wildcard(stack: Deployment) -> None:
    allowed = [s for _, _, s in policies(stack) if s["Effect"] == "Allow"]
    assert len(allowed) > 20
    assert not [s for s in allowed for action in s["Action"] if "*" in action]
    assert not [s for s in allowed if "NotAction" in s or "NotResource" in s]


def test_no_role_may_act_on_everything_where_aws_knows_an_arn(stack: Deployment) -> None:
    for kind, _, statement in policies(stack):
        if kind == "RolePolicy" and "*" in statement["Resource"]:
            assert set(statement["Action"]) <= WITHOUT_AN_ARN


def test_a_wildcard_in_an_arn_stands_only_at_its_end(stack: Deployment) -> None:
    for kind, _, statement in policies(stack):
        for resource in statement.get("Resource", []):
            if kind == "RolePolicy" and resource != "*":
                assert "*" not in resource[:-1]
                assert not resource.endswith("*") or resource[-2] in "/:"


def test_nobody_is_a_principal_by_wildcard_but_in_a_refusal(stack: Deployment) -> None:
    for _, _, statement in policies(stack):
        if "*" in json.dumps(statement.get("Principal", "")):
            assert statement["Effect"] == "Deny"


def test_the_stream_is_read_by_the_consumer_alone_and_only_read(stack: Deployment) -> None:
    stream = stack.one("Stream")
    policy = stack.one("ResourcePolicy").inputs
    assert policy["resourceArn"] == stack.arn(stream)
    [statement] = statements(policy["policy"])
    assert statement["Principal"] == {"AWS": stack.arn(stack.one("Role", "consumer"))}
    assert set(statement["Action"]) == READING
    assert statement["Resource"] == [stack.arn(stream)]


def test_both_accounts_let_the_consumer_read_the_stream_and_use_its_key(stack: Deployment) -> None:
    allowed = grants(stack, "consumer")
    assert {a for a in allowed if a.startswith("kinesis:")} == READING
    assert all(allowed[action] == {stack.arn(stack.one("Stream"))} for action in READING)
    assert allowed["kms:Decrypt"] == {stack.arn(stack.one("Key"))}


def test_the_consumer_may_write_its_target_and_keep_its_books_and_nothing_else(
    stack: Deployment,
) -> None:
    target = "arn:aws:dynamodb:eu-west-1:222222222222:table/orders-replica"
    ledger = stack.arn(stack.one("Table", "ledger"))
    quarantine = stack.arn(stack.one("Bucket", "quarantine"))
    failures = stack.arn(stack.one("Bucket", "on-failure"))
    logs = stack.arn(stack.one("LogGroup", "consumer"))
    elsewhere = {
        action: resources
        for action, resources in grants(stack, "consumer").items()
        if action not in READING | {"kms:Decrypt"}
    }
    assert elsewhere == {
        "dynamodb:BatchGetItem": {ledger},
        "dynamodb:DeleteItem": {target},
        "dynamodb:GetItem": {ledger},
        "dynamodb:PutItem": {target, ledger},
        "dynamodb:UpdateItem": {ledger},
        "logs:CreateLogStream": {f"{logs}:*"},
        "logs:PutLogEvents": {f"{logs}:*"},
        "s3:ListBucket": {failures},
        "s3:PutObject": {f"{quarantine}/open/*", f"{failures}/*"},
    }


def test_nobody_in_the_source_account_sees_or_writes_an_item(stack: Deployment) -> None:
    """C5: the exporter describes and exports."""
    assert not ITEM_ACTIONS & grants(stack, "exporter").keys()


def test_the_exporter_writes_into_the_snapshot_bucket_and_both_accounts_say_so(
    stack: Deployment,
) -> None:
    objects = f"{stack.arn(stack.one('Bucket', 'snapshot'))}/*"
    needed = {"s3:PutObject", "s3:PutObjectAcl", "s3:AbortMultipartUpload"}
    mine = grants(stack, "exporter")
    assert {a: mine[a] for a in mine if a.startswith("s3:")} == {a: {objects} for a in needed}
    policy = stack.one("BucketPolicy", "snapshot").inputs["policy"]
    [theirs] = [s for s in statements(policy) if s["Effect"] == "Allow"]
    assert theirs["Principal"] == {"AWS": stack.arn(stack.one("Role", "exporter"))}
    assert (set(theirs["Action"]), theirs["Resource"]) == (needed, [objects])


def test_no_other_bucket_admits_anybody_from_outside(stack: Deployment) -> None:
    for policy in stack.of("BucketPolicy"):
        allowed = [s for s in statements(policy.inputs["policy"]) if s["Effect"] == "Allow"]
        assert not allowed or "snapshot" in policy.name


def test_every_bucket_refuses_plain_http(stack: Deployment) -> None:
    for bucket in stack.of("Bucket"):
        policy = stack.one("BucketPolicy", bucket.name).inputs["policy"]
        [refusal] = [s for s in statements(policy) if s["Effect"] == "Deny"]
        assert refusal["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert refusal["Resource"] == [stack.arn(bucket), f"{stack.arn(bucket)}/*"]
        assert (refusal["Principal"], refusal["Action"]) == ("*", ["s3:*"])


def test_the_streams_key_is_written_with_only_through_kinesis_and_read_by_the_consumer_alone(
    stack: Deployment,
) -> None:
    use = {"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:CreateGrant"}
    by_action = {
        action: statement
        for statement in statements(stack.one("Key").inputs["policy"])
        for action in statement["Action"]
        if action in use
    }
    assert set(by_action) == {"kms:Decrypt", "kms:GenerateDataKey"}
    assert by_action["kms:Decrypt"]["Principal"] == {
        "AWS": stack.arn(stack.one("Role", "consumer"))
    }
    # DynamoDB's own role does not exist before the first destination, so no policy may name it.
    writers = by_action["kms:GenerateDataKey"]
    assert writers["Principal"] == {"AWS": "arn:aws:iam::111111111111:root"}
    assert writers["Condition"]["StringEquals"] == {
        "kms:ViaService": "kinesis.eu-west-1.amazonaws.com",
        "kms:CallerAccount": "111111111111",
    }


def test_the_key_can_still_be_administered(stack: Deployment) -> None:
    """AWS refuses a key policy under which its own author could not change it again."""
    policy = statements(stack.one("Key").inputs["policy"])
    administered = {a for s in policy if "root" in s["Principal"]["AWS"] for a in s["Action"]}
    assert {"kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:DescribeKey"} <= administered


def test_the_importer_touches_only_what_belongs_to_the_stack(stack: Deployment) -> None:
    target = "arn:aws:dynamodb:eu-west-1:222222222222:table/orders-replica"
    allowed = grants(stack, "importer")
    assert allowed["dynamodb:ImportTable"] == {target, f"{target}/import/*"}
    assert allowed["dynamodb:DescribeImport"] == {f"{target}/import/*"}
    mapping = stack.arn(stack.one("EventSourceMapping"))
    assert allowed["lambda:UpdateEventSourceMapping"] == {mapping}
    journal = stack.arn(stack.one("Table", "journal"))
    ledger = stack.arn(stack.one("Table", "ledger"))
    for action in ITEM_ACTIONS & allowed.keys():
        assert allowed[action] <= {journal, ledger, target}
    # What the guard writes, and the one item that `explain` is asked about.
    items = {action for action, on in allowed.items() if action in ITEM_ACTIONS and target in on}
    assert items == {"dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem"}
    assert "lambda:InvokeFunction" not in allowed
    assert not [action for action in allowed if action.startswith("kinesis:")]


def test_the_importer_resolves_what_is_kept_and_reads_nothing_that_is_resolved(
    stack: Deployment,
) -> None:
    allowed = grants(stack, "importer")
    quarantine = stack.arn(stack.one("Bucket", "quarantine"))
    failures = stack.arn(stack.one("Bucket", "on-failure"))
    snapshot = stack.arn(stack.one("Bucket", "snapshot"))
    assert {action: on for action, on in allowed.items() if action.startswith("s3:")} == {
        "s3:ListBucket": {quarantine, failures, snapshot},
        "s3:GetObject": {f"{quarantine}/open/*", f"{failures}/*", f"{snapshot}/*"},
        "s3:PutObject": {
            f"{quarantine}/open/*",
            f"{quarantine}/resolved/*",
            f"{snapshot}/verify/*",  # the target's export, when both tables are compared
        },
        "s3:PutObjectAcl": {f"{snapshot}/verify/*"},
        "s3:AbortMultipartUpload": {f"{snapshot}/verify/*"},
        "s3:DeleteObject": {
            f"{quarantine}/open/*",
            f"{failures}/*",
            f"{snapshot}/orders/*",  # what a run exported, when it is abandoned
        },
    }


def test_the_importer_cannot_assume_the_exporter_nor_the_reverse(stack: Deployment) -> None:
    for side, account in (("exporter", "111111111111"), ("importer", "222222222222")):
        [trust] = statements(stack.one("Role", side).inputs["assumeRolePolicy"])
        assert trust["Principal"] == {"AWS": [f"arn:aws:iam::{account}:root"]}
        assert "sts:AssumeRole" not in grants(stack, side)


def test_only_lambda_becomes_the_consumer(stack: Deployment) -> None:
    [trust] = statements(stack.one("Role", "consumer").inputs["assumeRolePolicy"])
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_operators_are_those_the_configuration_names_and_present_the_external_id(
    tmp_path: Path,
) -> None:
    dba = "arn:aws:iam::111111111111:role/dba"
    operators = {"source": [dba], "target": ["account"], "externalId": "replication"}
    deployed = record({**CONFIG, "operators": operators}, tmp_path / "archive")
    [exporter] = statements(deployed.one("Role", "exporter").inputs["assumeRolePolicy"])
    [importer] = statements(deployed.one("Role", "importer").inputs["assumeRolePolicy"])
    assert exporter["Principal"] == {"AWS": [dba]}
    assert importer["Principal"] == {"AWS": ["arn:aws:iam::222222222222:root"]}
    for trust in (exporter, importer):
        assert trust["Condition"] == {"StringEquals": {"sts:ExternalId": "replication"}}


def test_single_items_may_be_read_only_where_the_configuration_says_so(
    stack: Deployment, tmp_path: Path
) -> None:
    """C5, C8: `verify --read-source` and the keys that `resume` names need this, nothing else."""
    operators = {**CONFIG["operators"], "readItems": True}
    asked = record({**CONFIG, "operators": operators}, tmp_path / "archive")
    before, after = grants(stack, "exporter"), grants(asked, "exporter")
    [table] = after["dynamodb:GetItem"] - before.get("dynamodb:GetItem", set())
    assert table.endswith(f":{CONFIG['source']['accountId']}:table/orders")
    assert {action for action in after if after[action] != before.get(action)} == {
        "dynamodb:GetItem"
    }
    before, after = grants(stack, "importer"), grants(asked, "importer")
    assert {action: on for action, on in after.items() if on != before.get(action)} == {
        "dynamodb:Scan": before["dynamodb:ImportTable"] & before["dynamodb:UpdateTable"]
    }


# What no call of the operator's tool shows, and why it is needed all the same.
BEHIND_A_CALL = {
    "dynamodb:DeleteItem": "the guard's transactions, in `quarantine redrive --direct`",
    "dynamodb:PutItem": "transactions, the journal's and the guard's, are authorised by their acts",
    "kms:GenerateDataKey": "PutRecords into an encrypted stream",
    "kms:ListAliases": "both accounts' code for keys, which `plan` asks about the source's alone",
    "logs:CreateLogGroup": "ImportTable logs with its caller's permissions",
    "logs:CreateLogStream": "ImportTable logs with its caller's permissions",
    "logs:DescribeLogGroups": "ImportTable logs with its caller's permissions",
    "logs:DescribeLogStreams": "ImportTable logs with its caller's permissions",
    "logs:PutLogEvents": "ImportTable logs with its caller's permissions",
    "logs:PutRetentionPolicy": "ImportTable logs with its caller's permissions",
    "s3:AbortMultipartUpload": "ExportTableToPointInTime writes with its caller's permissions",
    "s3:GetObject": "ImportTable reads with its caller's permissions",
    "s3:ListBucket": "ImportTable reads with its caller's permissions",
    "s3:PutObject": "ExportTableToPointInTime writes with its caller's permissions",
    "s3:PutObjectAcl": "ExportTableToPointInTime writes with its caller's permissions",
}
WITHOUT_A_PERMISSION = {"dynamodb:TransactWriteItems", "sts:AssumeRole"}
UNDER_ANOTHER_NAME = {
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:ListObjectsV2": "s3:ListBucket",
}
MODULES = {
    "exporter": {"cross_account_check.py", "source.py", "stream.py", "table_streams.py"},
    "importer": {
        "bulk_loads.py",
        "bulk_output.py",
        "capacity_changes.py",
        "consumer_mappings.py",
        "export_objects.py",
        "items.py",
        "journal_table.py",
        "ledger.py",
        "own_writes.py",
        "quarantine.py",
        "s3_objects.py",
        "snapshots.py",
        "target.py",
    },
    "verification": {"glue.py"},
    "switch-source": {"old_source.py", "resource_policies.py"},
    "switch-target": {"resource_policies.py", "write_canary.py"},
}
SERVICES = (
    *("application-autoscaling", "cloudwatch", "dynamodb"),
    *("glue", "kinesis", "lambda", "logs", "s3", "tag"),
)
OF_THE_JOB = {"job_role.py"}
"""It runs on Glue, with the job's role, and calls by the importer's modules."""
ON_REQUEST = {"item_scan.py", "items.py"}
"""They need what `operators.readItems` grants: single items of the source, a scan of the target."""
BOTH_SIDES = {
    "table_metrics.py",
    "__init__.py",
    "calls.py",
    "exports.py",
    "keys.py",
    "login.py",
    "paging.py",
    "sdk.py",
    "sessions.py",
    "tables.py",
    "tagged_resources.py",
    "usage.py",
}


BOOTSTRAP_AWS = package.PROJECT_ROOT / "bootstrap" / "aws"


NEVER_FROM_HERE = {
    "exporter": {"dynamodb:UpdateTable", "dynamodb:UpdateTimeToLive", *ADOPTED_STREAM_ACTIONS},
    "importer": {
        "dynamodb:CancelBulkOperation",
        "dynamodb:CreateTable",
        "dynamodb:DescribeBulkOperation",
        "dynamodb:DescribeKinesisStreamingDestination",
        "dynamodb:ListBulkOperations",
        "dynamodb:StartBulkPutItems",
        "lambda:CreateEventSourceMapping",
        "lambda:DeleteEventSourceMapping",
        "lambda:ListEventSourceMappings",
    },
}
"""Calls in a module of a role that it never makes for this stack: the source's expiry is a
switch's, no stream is adopted (test_adopted_stream.py has the right to read its policy), no table
is loaded in bulk, and none is buffered by its own stream."""


LOOKS_ALONE = {"importer": {"dynamodb:GetResourcePolicy"}}
"""Calls in a switch role's module that this role makes too: `status` looks at the target's policy
with it, because the use of a switch role outside a switch is reported."""


def calls_of_the_operators_tool(side: str) -> set[str]:
    """The actions behind every `self._<service>.<operation>` in bootstrap/aws, by account."""
    known = BOTH_SIDES.union(ON_REQUEST, OF_THE_JOB, *MODULES.values())
    for path in BOOTSTRAP_AWS.glob("*.py"):
        assert path.name in known, f"which account does {path.name} act in?"
    called = calls_in(MODULES[side] | BOTH_SIDES) | LOOKS_ALONE.get(side, set())
    return called - NEVER_FROM_HERE.get(side, set())


def calls_in(modules: set[str]) -> set[str]:
    """The actions of these modules of bootstrap/aws."""
    actions = set()
    for name in modules:
        for node in ast.walk(ast.parse((BOOTSTRAP_AWS / name).read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
                service = node.value.attr.removeprefix("_")
                service = {"scaling": "application-autoscaling", "tagging": "tag"}.get(
                    service, service
                )
                operation = node.attr.title().replace("_", "")
                if service in SERVICES:
                    action = f"{service}:{operation}"
                    actions.add(UNDER_ANOTHER_NAME.get(action, action))
    return actions - WITHOUT_A_PERMISSION


@pytest.mark.parametrize("side", ["exporter", "importer"])
def test_the_operators_tool_may_call_what_it_calls_and_nothing_more(
    stack: Deployment, side: str
) -> None:
    allowed, called = set(grants(stack, side)), calls_of_the_operators_tool(side)
    assert called - allowed == set(), "called, and not allowed"
    assert allowed - called - BEHIND_A_CALL.keys() == set(), "allowed, and never called"


@pytest.mark.parametrize("side", ["switch-source", "switch-target"])
def test_a_switch_role_may_call_what_its_modules_call(tmp_path: Path, side: str) -> None:
    allowed = grants(record({**CONFIG, "switch": True}, tmp_path / "archive"), side)
    own = {name for name in MODULES[side] if (BOOTSTRAP_AWS / name).exists()}
    assert own
    assert calls_in(own) - set(allowed) == set(), "called, and not allowed"


def test_the_importer_may_run_the_job_of_a_verification_as_its_module_does(
    tmp_path: Path,
) -> None:
    stack = record({**CONFIG, "verification": {"engine": "glue"}}, tmp_path / "archive")
    policy = stack.one("Policy", "replication-verification-operators").inputs["policy"]
    allowed = {action for s in statements(policy) for action in s["Action"]}
    called = calls_in(MODULES["verification"]) | {"glue:StartJobRun"}  # by a client of its own
    assert {action for action in allowed if action.startswith("glue:")} == called


def test_a_keys_administrators_may_do_what_they_need_and_no_more() -> None:
    needed = {
        a for r in justifications.STANDING if r.who == justifications.DEPLOYER for a in r.needs
    }
    granted = {*KEY_ADMINISTRATION, *ALIAS_ADMINISTRATION}
    assert needed - granted == set()
    assert granted - needed == set()
