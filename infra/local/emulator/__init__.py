"""An AWS with two accounts on one machine: ministack, run in-process with corrections.

ministack answers every call of the pipeline, but not as AWS documents it where this project looks
hardest: change records, point-in-time exports, shards, event source mappings. Each module here
corrects one of these; `patching` declares every name of ministack that is replaced or relied on.
"""
