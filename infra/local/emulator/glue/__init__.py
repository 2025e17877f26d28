"""Runs of jobs on AWS Glue: the real program, by Spark on this machine."""
