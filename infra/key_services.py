"""The statements that let AWS's services use the key of a place.

Plain values: the operator's tool uses them too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from infra.autonaming import FUNCTION_TYPE, LOG_GROUP_TYPE, ROLE_TYPE
from infra.key_config import PLACES
from infra.partitions import endpoint
from infra.stack_config import StackConfig
from infra.statements import Condition, Statement
from infra.table_config import TableConfig
from infra.verification_names import LOGS, ROLE

CLOUDWATCH, EVENTS = "cloudwatch.amazonaws.com", "events.amazonaws.com"
LOG_KEY_ACTIONS = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
"""What CloudWatch Logs asks for (its User Guide, encrypt-log-data-kms); there with wildcards."""
TOPIC_KEY_ACTIONS = ("kms:Decrypt", "kms:GenerateDataKey")
"""Of a service that publishes (Amazon SNS Developer Guide, sns-key-management)."""
FUNCTIONS = ("consumer", "watchdog")


def needs_key(place: str, settings: StackConfig) -> bool:
    """Tell whether the stack keeps anything that the key of a place encrypts.

    In the source account that is the topic alone, as each stream has a key of its own.
    """
    return place != "source" or bool(topics_of(place, settings))


def places_with_made_keys(settings: StackConfig) -> list[str]:
    """Return the places whose key the stack makes, and `snapshots` for that bucket's own."""
    places = [each for each in PLACES if settings.keys.makes(each) and needs_key(each, settings)]
    return [*places, *(["snapshots"] if settings.snapshot_key else [])]


def topics_of(place: str, settings: StackConfig) -> tuple[str, ...]:
    """Return the places of alarms whose topic the stack makes under the key of a place.

    Alarms of consumer and target share the consumer's topic where the Regions are the same.
    """
    if settings.alarms.topics:
        return ()
    shared = settings.source.region == settings.target.region
    by_place = {
        "source": ("source",),
        "consumer": ("consumer", "target") if shared else ("consumer",),
        "target": () if shared else ("target",),
    }
    return by_place[place]


def service_statements(place: str, settings: StackConfig) -> list[Statement]:
    """Return what AWS's services need of the key of a place, in the key's policy.

    IAM policies cannot allow a service. So the owner of a given key adds these to its policy.
    """
    found = []
    if place == "consumer":
        found.append(_logs(settings))
    if place == "target" and settings.verification.on_glue:
        found.append(_job_logs(settings))
    topics = topics_of(place, settings)
    if topics:
        found.append(
            _for_service(
                "AlarmsPublish",
                CLOUDWATCH,
                TOPIC_KEY_ACTIONS,
                {"StringEquals": {"aws:SourceAccount": settings.owner_of(place).account_id}},
            )
        )
    switched = any(settings.switch_tables(each) for each in topics if each != "consumer")
    if switched or ("target" in topics and settings.has_bulk_loads):
        # SNS supports no condition on the source for EventBridge ("Configuring AWS KMS
        # permissions", sns-key-management).
        found.append(_for_service("RulesPublish", EVENTS, TOPIC_KEY_ACTIONS, None))
    return found


def key_services(place: str, settings: StackConfig) -> list[str]:
    """Return the services that the policy of a place's key has to name."""
    statements = service_statements(place, settings)
    return [str(each["Principal"]["Service"]) for each in statements]


def _job_logs(settings: StackConfig) -> Statement:
    name = f"{LOGS}{settings.naming.wildcard(ROLE_TYPE, ROLE)}/*"
    return _for_log_groups(
        [settings.target.arn("logs", f"log-group:{name}")], settings.target.region
    )


def _logs(settings: StackConfig) -> Statement:
    region = settings.source.region
    groups = [
        settings.target.arn("logs", f"log-group:{name}", region=region)
        for table in settings.tables
        for each in FUNCTIONS
        for name in [settings.naming.wildcard(LOG_GROUP_TYPE, f"{table.prefix}-{each}-logs")]
    ]
    return _for_log_groups(groups, region)


def _for_log_groups(groups: Sequence[str], region: str) -> Statement:
    return _for_service(
        "LogGroups",
        endpoint("logs", region),
        LOG_KEY_ACTIONS,
        {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": list(groups)}},
    )


def _for_service(
    sid: str, service: str, actions: Sequence[str], when: Condition | None
) -> Statement:
    statement: dict[str, Any] = {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": list(actions),
        "Resource": ["*"],
    }
    return {**statement, "Condition": dict(when)} if when else statement


def function_arns(which: str, settings: StackConfig, tables: Sequence[TableConfig]) -> list[str]:
    """Return ARNs that these tables' functions of a kind may get: the ends are the engine's."""
    return [
        settings.target.arn(
            "lambda",
            f"function:{settings.naming.wildcard(FUNCTION_TYPE, f'{table.prefix}-{which}')}",
            region=settings.source.region,
        )
        for table in tables
    ]


def started_by(functions: Sequence[str]) -> Condition:
    """Return the Condition that Lambda decrypts the environment of one of these functions.

    It decrypts with the function's role, and names the function in the encryption context.
    """
    return {"ArnLike": {"kms:EncryptionContext:aws:lambda:FunctionArn": list(functions)}}
