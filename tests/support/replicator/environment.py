"""The environment that the stack gives to the consumer."""

from __future__ import annotations

ENVIRONMENT = {
    "STACK": "prod",
    "SOURCE_TABLE": "orders",
    "SOURCE_ACCOUNT": "111111111111",
    "AWS_LAMBDA_FUNCTION_NAME": "orders-consumer",
    "TARGET_TABLE": "orders-replica",
    "TARGET_REGION": "eu-west-1",
    "LEDGER_TABLE": "ledger",
    "QUARANTINE_BUCKET": "quarantine",
    "ORDERING": "ledger",
}
