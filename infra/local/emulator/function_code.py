"""The code of functions, unpacked once for all execution environments that run it.

ministack unpacks an archive for each environment, whose Python then compiles every module anew.
Lambda's code folder cannot be written to, so that environments may share one.
"""

from __future__ import annotations

import hashlib
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_lock = threading.Lock()


def sharing(parent: Path) -> SimpleNamespace:
    """Return a `zipfile` whose archives are unpacked once each, below `parent`."""
    names = {name: getattr(zipfile, name) for name in zipfile.__all__}
    return SimpleNamespace(**{**names, "ZipFile": _sharing_archive(parent)})


def _sharing_archive(parent: Path) -> type[zipfile.ZipFile]:
    class SharedArchive(zipfile.ZipFile):
        """An archive file that is unpacked by a link to where its content lies already."""

        def extractall(self, path: Any = None, members: Any = None, pwd: Any = None) -> None:
            assert self.filename is not None and members is None and pwd is None
            digest = hashlib.sha256(Path(self.filename).read_bytes()).hexdigest()
            shared = parent / digest
            with _lock:
                if not shared.exists():
                    fresh = parent / f"{digest}.new"
                    super().extractall(fresh)
                    fresh.rename(shared)
            folder = Path(path)
            folder.rmdir()  # ministack has just made it
            folder.symlink_to(shared, target_is_directory=True)

    return SharedArchive
