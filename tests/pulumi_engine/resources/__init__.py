"""How each type of resource is read, changed and deleted on the local cloud."""

from __future__ import annotations

from collections.abc import Mapping

from tests.pulumi_engine.resources import (
    dynamodb,
    events,
    glue,
    iam,
    kinesis,
    kms,
    lambda_,
    monitoring,
    s3,
)
from tests.pulumi_engine.resources.base import Resource, ResourceType

__all__ = ["TYPES", "Resource", "ResourceType"]

TYPES: Mapping[str, ResourceType] = {
    "aws:cloudwatch/dashboard:Dashboard": monitoring.DASHBOARD,
    "aws:cloudwatch/eventRule:EventRule": events.RULE,
    "aws:cloudwatch/eventTarget:EventTarget": events.TARGET,
    "aws:cloudwatch/logGroup:LogGroup": lambda_.LOG_GROUP,
    "aws:cloudwatch/metricAlarm:MetricAlarm": monitoring.ALARM,
    "aws:dynamodb/kinesisStreamingDestination:KinesisStreamingDestination": (
        dynamodb.STREAMING_DESTINATION
    ),
    "aws:dynamodb/resourcePolicy:ResourcePolicy": dynamodb.RESOURCE_POLICY,
    "aws:dynamodb/table:Table": dynamodb.TABLE,
    "aws:glue/job:Job": glue.JOB,
    "aws:glue/securityConfiguration:SecurityConfiguration": glue.SECURITY_CONFIGURATION,
    "aws:iam/policy:Policy": iam.POLICY,
    "aws:iam/role:Role": iam.ROLE,
    "aws:iam/rolePolicy:RolePolicy": iam.ROLE_POLICY,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": iam.ROLE_POLICY_ATTACHMENT,
    "aws:kinesis/resourcePolicy:ResourcePolicy": kinesis.RESOURCE_POLICY,
    "aws:kinesis/stream:Stream": kinesis.STREAM,
    "aws:kms/alias:Alias": kms.ALIAS,
    "aws:kms/key:Key": kms.KEY,
    "aws:lambda/eventSourceMapping:EventSourceMapping": lambda_.EVENT_SOURCE_MAPPING,
    "aws:lambda/function:Function": lambda_.FUNCTION,
    "aws:lambda/permission:Permission": lambda_.PERMISSION,
    "aws:s3/bucket:Bucket": s3.BUCKET,
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": s3.LIFECYCLE,
    "aws:s3/bucketLogging:BucketLogging": s3.LOGGING,
    "aws:s3/bucketObjectv2:BucketObjectv2": s3.OBJECT,
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": s3.OWNERSHIP,
    "aws:s3/bucketPolicy:BucketPolicy": s3.POLICY,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": s3.PUBLIC_ACCESS_BLOCK,
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        s3.ENCRYPTION
    ),
    "aws:sns/topic:Topic": monitoring.TOPIC,
    "aws:sns/topicPolicy:TopicPolicy": monitoring.TOPIC_POLICY,
    "aws:sns/topicSubscription:TopicSubscription": monitoring.SUBSCRIPTION,
}
