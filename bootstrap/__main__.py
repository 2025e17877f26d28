"""`python -m bootstrap`."""

from bootstrap.cli.main import main

main(prog_name="python -m bootstrap")
