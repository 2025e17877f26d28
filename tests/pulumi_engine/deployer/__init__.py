"""The least permissions of a deployer, recorded and read."""
