"""The report that every command returns: rows and the manifest that says where they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from gatherline.mask_samples import MaskSample, masks_json
from gatherline.report.files import report_json, write_report


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Rows as DESIGN section 7 names their columns, and the manifest that says where they come from.

    ``masks``: what a run keeps of the masks of its pruned layers; other commands keep none.
    """

    manifest: dict[str, object]
    rows: list[dict[str, object]] = field(default_factory=list)
    masks: tuple[MaskSample, ...] = ()

    def to_json(self) -> str:
        """Return what ``--json`` prints: one object with schema, manifest and rows."""
        return report_json(self.manifest, self.rows)

    def write(self, folder: str | Path) -> list[Path]:
        """Write what ``--out`` writes (tables, manifest, pictures, masks) and return the files. Raises OSError."""
        masks = masks_json(self.masks) if self.masks else None
        return write_report(Path(folder), self.manifest, self.rows, masks=masks)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C after some patterns and sparsities were done: ``report`` holds their rows, and is marked not complete."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report
