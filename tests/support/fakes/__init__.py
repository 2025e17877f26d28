"""Fakes with the real semantics: DynamoDB, S3, Kinesis and the clock, in memory and in one process.

They answer with the shapes of boto3 and fail with the exceptions of botocore. The same conformance
tests run against them and against the emulator (tests/conformance/test_dynamodb.py).
"""
