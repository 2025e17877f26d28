"""One function for each type of resource, which creates it on the local cloud through boto3."""

from __future__ import annotations

from collections.abc import Mapping

from infra.local.bindings import (
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
from infra.local.bindings.inputs import BindingError, Inputs
from infra.local.bindings.request import Binding, Created, Request

__all__ = ["BINDINGS", "Binding", "BindingError", "Created", "Inputs", "Request"]

BINDINGS: Mapping[str, Binding] = {
    "aws:cloudwatch/dashboard:Dashboard": monitoring.dashboard,
    "aws:cloudwatch/eventRule:EventRule": events.rule,
    "aws:cloudwatch/eventTarget:EventTarget": events.target,
    "aws:cloudwatch/logGroup:LogGroup": lambda_.log_group,
    "aws:cloudwatch/metricAlarm:MetricAlarm": monitoring.alarm,
    "aws:dynamodb/kinesisStreamingDestination:KinesisStreamingDestination": (
        dynamodb.streaming_destination
    ),
    "aws:dynamodb/resourcePolicy:ResourcePolicy": dynamodb.resource_policy,
    "aws:dynamodb/table:Table": dynamodb.table,
    "aws:glue/job:Job": glue.job,
    "aws:glue/securityConfiguration:SecurityConfiguration": glue.security_configuration,
    "aws:iam/policy:Policy": iam.policy,
    "aws:iam/role:Role": iam.role,
    "aws:iam/rolePolicy:RolePolicy": iam.role_policy,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": iam.role_policy_attachment,
    "aws:kinesis/resourcePolicy:ResourcePolicy": kinesis.resource_policy,
    "aws:kinesis/stream:Stream": kinesis.stream,
    "aws:kms/alias:Alias": kms.alias,
    "aws:kms/key:Key": kms.key,
    "aws:lambda/eventSourceMapping:EventSourceMapping": lambda_.event_source_mapping,
    "aws:lambda/function:Function": lambda_.function,
    "aws:lambda/permission:Permission": lambda_.permission,
    "aws:s3/bucket:Bucket": s3.bucket,
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": s3.lifecycle,
    "aws:s3/bucketLogging:BucketLogging": s3.logging,
    "aws:s3/bucketObjectv2:BucketObjectv2": s3.bucket_object,
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": s3.ownership_controls,
    "aws:s3/bucketPolicy:BucketPolicy": s3.policy,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": s3.public_access_block,
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        s3.encryption
    ),
    "aws:sns/topic:Topic": monitoring.topic,
    "aws:sns/topicPolicy:TopicPolicy": monitoring.topic_policy,
    "aws:sns/topicSubscription:TopicSubscription": monitoring.subscription,
}
