"""Target account: the AWS Glue job that compares two exports, for tables beyond one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.accounts import Accounts
from infra.function_key_grants import declare_function_key_grants
from infra.glue_package import GluePackage
from infra.place_keys import PlaceKeys
from infra.policies import Text, assumed_by_service, document
from infra.role_policies import declare_managed, declare_policy
from infra.roles import declare_role
from infra.shared_actions import OBJECT_KEY_ACTIONS
from infra.snapshot import SnapshotBucket
from infra.stack_config import StackConfig
from infra.statements import allow, allow_keys, through
from infra.verification_names import EXPORTS, LOGS, PROGRAM, RESULTS, ROLE

GLUE_VERSION = "5.0"
"""Spark 3.5.4, Python 3.11 and Java 17 (AWS Glue Developer Guide, release-notes)."""
SPARK_JOB, PYTHON = "glueetl", "3"

JOB_ACTIONS = ("glue:BatchStopJobRun", "glue:GetJobRun", "glue:GetJobRuns", "glue:StartJobRun")
"""Of the operators. The role is the job's: none of them takes iam:PassRole."""
# What the job's agent asks for (AWSGlueServiceRole), also where the group is there.
LOG_ACTIONS = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
# It deletes the error of an earlier attempt, and its progress at the end.
JOB_RESULT_ACTIONS = ("s3:DeleteObject", "s3:PutObject")
OPERATOR_RESULT_ACTIONS = ("s3:DeleteObject", "s3:PutObject")
LOG_STREAMS = ("error", "output")
"""Ends of the names of both log groups: Glue adds them to `--custom-logGroup-prefix` (AWS Glue
Developer Guide, monitor-continuous-logging). `error` is Spark's own log, `output` what is printed.
"""


class VerificationJob(pulumi.ComponentResource):
    """The job, with its role, log groups and program.

    The role comes first, with its rights to keys: `declare_job` makes the rest. The job reads the
    exports of this stack's tables, writes under one prefix, and may not call a table.
    """

    role_arn: pulumi.Output[str]
    key_grants: list[pulumi.Resource]
    """What lets the role use the key of the target's place."""
    outputs: dict[str, pulumi.Input[Any]]
    """The job's members of the stack's outputs."""

    def __init__(
        self, name: str, settings: StackConfig, accounts: Accounts, keys: PlaceKeys
    ) -> None:
        super().__init__(
            "replication:index:VerificationJob",
            name,
            None,
            pulumi.ResourceOptions(providers=[accounts.target]),
        )
        self._name, self._settings, self._keys = name, settings, keys
        self._child = pulumi.ResourceOptions(parent=self)
        self._role = declare_role(
            ROLE,
            "target",
            settings,
            accounts,
            description="Compares the exports of replicated tables",
            trust=assumed_by_service("glue.amazonaws.com"),
            parent=self,
        )
        self.role_arn = self._role.arn
        place = [keys.target.arn] if keys.target and settings.snapshots_under_place_key else []
        by_s3 = through("s3", settings.target.region)
        self.key_grants = declare_function_key_grants(
            name,
            self._role.name,
            allow_keys("ObjectsKey", OBJECT_KEY_ACTIONS, place, by_s3),
            self._child,
            managed=settings.iam.managed_policies,
        )

    @classmethod
    def wanted(
        cls, name: str, settings: StackConfig, accounts: Accounts, keys: PlaceKeys
    ) -> VerificationJob | None:
        """Declare the role where the stack file asks for a job; return None elsewhere."""
        on_glue = settings.verification.on_glue
        return cls(name, settings, accounts, keys) if on_glue else None

    def declare_job(
        self, snapshot: SnapshotBucket, package: GluePackage, operators: aws.iam.Role
    ) -> None:
        """Declare the job and all that it needs. `operators`: the role that starts its runs."""
        settings, region = self._settings, self._settings.target.region
        key = self._keys.target
        prefix = pulumi.Output.concat(LOGS, self._role.name)
        logs = [
            aws.cloudwatch.LogGroup(
                f"{self._name}-{stream}-log",
                name=pulumi.Output.concat(prefix, f"/{stream}"),
                region=region,
                retention_in_days=settings.log_retention_days,
                kms_key_id=key.arn if key else None,
                opts=self._child,
            )
            for stream in LOG_STREAMS
        ]
        grants = self._grants(snapshot.bucket.arn, logs, snapshot.own_key_arn)
        program = _Program(self._name, snapshot, package, region, self._child)
        chosen = settings.verification
        job = aws.glue.Job(
            self._name,
            region=region,
            description="Compares two exports of a replicated table, for `verify`",
            role_arn=self._role.arn,
            glue_version=GLUE_VERSION,
            command={
                "name": SPARK_JOB,
                "python_version": PYTHON,
                "script_location": program.script,
            },
            default_arguments={
                "--job-language": "python",
                "--extra-py-files": program.modules,
                "--custom-logGroup-prefix": prefix,
                **({"--results-key": snapshot.key_arn} if snapshot.key_arn else {}),
                # They would need rights that a comparison has no use for.
                "--enable-job-insights": "false",
                **program.wheels,
            },
            worker_type=chosen.worker_type,
            number_of_workers=chosen.workers,
            timeout=chosen.max_hours * 60,
            # A run that Glue repeats by itself would be paid for twice, unasked.
            max_retries=0,
            execution_property={"max_concurrent_runs": len(settings.tables)},
            security_configuration=self._security(region),
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[grants, *logs, *self.key_grants, *program.objects]
            ),
        )
        declare_managed(
            f"{self._name}-operators",
            operators.name,
            document(
                allow("VerificationJob", JOB_ACTIONS, [job.arn]),
                allow("VerificationResults", OPERATOR_RESULT_ACTIONS, [_under(snapshot, RESULTS)]),
            ),
            self._child,
            description="Runs of the verification's job",
        )
        self.outputs = {
            "jobName": job.name,
            "logGroup": logs[-1].name,
            "errorLogGroup": logs[0].name,
        }
        self.register_outputs({"jobName": job.name})

    def _grants(
        self,
        bucket: pulumi.Output[str],
        logs: list[aws.cloudwatch.LogGroup],
        own_key: pulumi.Output[str] | None,
    ) -> pulumi.Resource:
        """Declare everything that the job may do, but for the key of the place."""
        exports = [EXPORTS, *(table.slug for table in self._settings.tables)]
        reads = [f"{prefix}/*" for prefix in [*exports, RESULTS, PROGRAM]]
        own = [own_key] if own_key is not None else []
        return declare_policy(
            f"{self._name}-grants",
            self._role.name,
            document(
                allow(
                    "Read", ["s3:GetObject"], [pulumi.Output.concat(bucket, "/", p) for p in reads]
                ),
                # Without it, S3 answers for a missing object as for a forbidden one.
                allow("KnowMissing", ["s3:ListBucket"], [bucket]),
                allow(
                    "Results",
                    JOB_RESULT_ACTIONS,
                    [pulumi.Output.concat(bucket, f"/{RESULTS}/*")],
                ),
                *allow_keys(
                    "SnapshotsKey",
                    OBJECT_KEY_ACTIONS,
                    own,
                    through("s3", self._settings.target.region),
                ),
                allow(
                    "Log",
                    LOG_ACTIONS,
                    [pulumi.Output.concat(group.arn, ":*") for group in logs],
                ),
            ),
            pulumi.ResourceOptions.merge(
                self._child, pulumi.ResourceOptions(depends_on=self.key_grants)
            ),
            managed=self._settings.iam.managed_policies,
        )

    def _security(self, region: str) -> pulumi.Output[str] | None:
        """Declare how Glue encrypts, where the place has a key; return its name.

        The log groups have the key themselves: a configuration that encrypts logs would make Glue
        write to groups of other names (AWS Glue Developer Guide, monitor-continuous-logging).
        """
        key = self._keys.target
        if key is None:
            return None
        return aws.glue.SecurityConfiguration(
            f"{self._name}-security",
            region=region,
            encryption_configuration={
                "cloudwatch_encryption": {"cloudwatch_encryption_mode": "DISABLED"},
                "job_bookmarks_encryption": {"job_bookmarks_encryption_mode": "DISABLED"},
                "s3_encryption": {"s3_encryption_mode": "SSE-KMS", "kms_key_arn": key.arn},
            },
            opts=self._child,
        ).name


class _Program:
    """The job's files in the snapshot bucket. A change of one gets another folder: what a run has
    begun with stays what it is until the run has read it."""

    def __init__(
        self,
        name: str,
        snapshot: SnapshotBucket,
        package: GluePackage,
        region: str,
        opts: pulumi.ResourceOptions,
    ) -> None:
        self._bucket, self._region, self._name = snapshot.bucket, region, name
        self._key = snapshot.key_arn
        self._folder = f"{PROGRAM}/{package.contents[:16]}"
        self._opts = pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(depends_on=snapshot.bucket.ready)
        )
        self.objects: list[pulumi.Resource] = []
        self.script = self._put("script", package.script)
        self.modules = self._put("modules", package.modules)
        wheels = [self._put(path.name.partition("-")[0], path) for path in package.wheels]
        self.wheels: dict[str, Text] = {}
        if wheels:
            self.wheels = {
                "--additional-python-modules": pulumi.Output.all(*wheels).apply(",".join),
                # Nothing comes from a package index: neither another release nor another file.
                "--python-modules-installer-option": "--no-index",
            }

    def _put(self, part: str, path: Path) -> pulumi.Output[str]:
        key = f"{self._folder}/{path.name}"
        self.objects.append(
            aws.s3.BucketObjectv2(
                f"{self._name}-{part}",
                bucket=self._bucket.name,
                region=self._region,
                key=key,
                source=pulumi.FileAsset(str(path)),
                # Said, as of every upload: an organisation may deny those that do not say it.
                server_side_encryption="aws:kms" if self._key else "AES256",
                kms_key_id=self._key,
                # S3 takes ten tags of an object, and the stack may have more.
                override_provider={"default_tags": {"tags": {}}},
                opts=self._opts,
            )
        )
        return pulumi.Output.concat("s3://", self._bucket.name, "/", key)


def _under(snapshot: SnapshotBucket, prefix: str) -> pulumi.Output[str]:
    return pulumi.Output.concat(snapshot.bucket.arn, f"/{prefix}/*")
