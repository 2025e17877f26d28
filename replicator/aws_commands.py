"""Options of AWS CLI commands in texts."""

from __future__ import annotations


def table_option(name: str) -> str:
    """Return the option that names a table.

    A table's name may begin with a hyphen, and the AWS CLI takes such a word for an option of its
    own unless an equals sign joins it.
    """
    return f"--table-name={name}" if name.startswith("-") else f"--table-name {name}"
