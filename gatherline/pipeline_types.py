"""The report that every command returns: rows and the manifest that says where they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from gatherline.report.files import report_json, write_report


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Rows as DESIGN section 7 names their columns, and the manifest that says where they come from."""

    manifest: dict[str, object]
    rows: list[dict[str, object]] = field(default_factory=list)

    def to_json(self) -> str:
        """Return what ``--json`` prints: one object with schema, manifest and rows."""
        return report_json(self.manifest, self.rows)

    def write(self, folder: str | Path) -> list[Path]:
        """Write what ``--out`` writes (tables, manifest, pictures) and return the files. Raises OSError."""
        return write_report(Path(folder), self.manifest, self.rows)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C after some patterns and sparsities were done: ``report`` holds their rows, and is marked not complete."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report
