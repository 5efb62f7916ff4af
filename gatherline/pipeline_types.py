"""The report that every command returns: rows and the manifest that says where they come from."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Rows as DESIGN section 7 names their columns, and the manifest that says where they come from."""

    manifest: dict[str, object]
    rows: list[dict[str, object]] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        return {"schema": 1, "manifest": self.manifest, "rows": self.rows}


class Interrupted(KeyboardInterrupt):
    """Ctrl-C after some patterns and sparsities were done: ``report`` holds their rows, and is marked not complete."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report
