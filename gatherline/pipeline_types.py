"""The report that every command returns: rows and the manifest that says where they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gatherline.mask_samples import MaskSample, masks_json
from gatherline.report.files import report_json, write_report

if TYPE_CHECKING:
    from pandas import DataFrame


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
        masks = masks_json(self.masks, self.manifest) if self.masks else None
        return write_report(Path(folder), self.manifest, self.rows, masks=masks)

    def frame(self) -> DataFrame:
        """Return the rows as a pandas table, counts as whole numbers. Raises ImportError where pandas is missing."""
        from gatherline.report.frame import frame

        return frame(self.rows)

    def __repr__(self) -> str:
        from gatherline.report.notebook_run import short

        return f"Report({short(self.rows)})"

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from gatherline.report.notebook_report import report_html

        return report_html(self.manifest, self.rows)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C after some patterns and sparsities were done: ``report`` holds their rows, and is marked not complete."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report
