"""The bootstrap killed, refused and misled at every call it makes, as a process of its own.

A clean run of the real command against the local cloud is recorded call by call. Each distinct
(step, operation) of it becomes cases: SIGKILL before the call is sent and after it was answered,
throttling, server errors with and without the work done, access denied, expired credentials. After
each, `bootstrap run` once more has to reach REPLICATING with writers going: no difference, one
export, one import, nothing left lying about.

`python -m tests.crash --help` says how to run them all, or one again.
"""
