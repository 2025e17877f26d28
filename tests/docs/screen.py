"""A terminal that is recorded: what a command shows, as lines and as an SVG picture."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROWS = 60
COLUMNS = 120

THEME = TerminalTheme(
    (22, 27, 34),
    (201, 209, 217),
    [
        (72, 79, 88),
        (255, 123, 114),
        (63, 185, 80),
        (210, 153, 34),
        (88, 166, 255),
        (188, 140, 255),
        (57, 197, 207),
        (177, 186, 196),
    ],
)

# No @font-face: a picture in a README loads nothing from elsewhere.
FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace;
font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width;
}}
.{unique_id}-title {{ font-size: 18px; font-family: sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g></g>
</svg>
"""

_CONTROL = re.compile(r"\x1b\[(?P<arguments>[?\d;]*)(?P<letter>[A-Za-z])|(?P<move>[\r\n])")


def run(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> tuple[str, int]:
    """Run a command on a terminal of its own; return everything it wrote, and its exit code."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**environment, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)},
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    written = bytearray()
    try:
        while chunk := _read(leader):
            written += chunk
    finally:
        os.close(leader)
    return written.decode(errors="replace"), process.wait()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux reports the last writer's end as an error.
        return b""


def shown(written: str) -> list[str]:
    """Reduce what was written to the lines that stay on the screen, colours included.

    Understands the controls that rich uses to draw over its own lines: up, erase, line feed.
    """
    lines, row, at = [""], 0, 0
    for control in _CONTROL.finditer(written):
        lines[row] += written[at : control.start()]
        at = control.end()
        letter, arguments = control["letter"], control["arguments"]
        if control["move"] == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif letter == "A":
            row = max(0, row - int(arguments or 1))
        elif letter == "K":
            lines[row] = ""
        elif letter == "m":
            lines[row] += control[0]
    lines[row] += written[at:]
    return lines


def plain(line: str) -> str:
    """Take the colours out of a line."""
    return Text.from_ansi(line).plain


def picture(lines: Sequence[str], title: str) -> str:
    """Draw the lines as an SVG picture."""
    console = Console(
        record=True, file=io.StringIO(), width=COLUMNS, force_terminal=True, highlight=False
    )
    for line in lines:
        console.print(Text.from_ansi(line), overflow="fold")
    return console.export_svg(title=title, theme=THEME, code_format=FORMAT, unique_id="screen")
