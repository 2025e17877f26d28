"""A deterministic simulation of everything AWS may do to the consumer, and what must hold anyway.

One seed makes one history of a source table, one way of delivering it and one interleaving. The
consumer is the real one; DynamoDB and S3 are the fakes that share their conformance tests with the
local cloud. `python -m tests.simulation.soak --help` says how to replay a seed.
"""
