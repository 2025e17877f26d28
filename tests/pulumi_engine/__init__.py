"""The Pulumi program under the real engine, with the local cloud in AWS's place."""
