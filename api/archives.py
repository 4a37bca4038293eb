"""What clients download as one file."""

from __future__ import annotations

import uuid
import zipfile
from pathlib import Path


def zipped(folder: Path, archive: Path) -> Path:
    """A folder as an archive, made once."""
    if not archive.exists():
        scratch = archive.with_name(f".{uuid.uuid4().hex}.zip")
        try:
            with zipfile.ZipFile(scratch, "w", zipfile.ZIP_STORED) as file:  # weights and vectors do not compress
                for path in sorted(p for p in folder.rglob("*") if p.is_file()):
                    file.write(path, Path(folder.name) / path.relative_to(folder))
            scratch.replace(archive)
        finally:
            scratch.unlink(missing_ok=True)
    return archive
