"""The page of a run: every section from the rows and the manifest that ``simulate run --out`` wrote.

The folder is only read, and nothing is simulated again. Left out: comparing two runs, and sweeps, which have pages of
their own.
"""

from __future__ import annotations

from pathlib import Path

from gatherline.report.headline import headline_facts
from gatherline.report.page.answers import read_answers
from gatherline.report.page.break_even_section import break_even_section
from gatherline.report.page.glossary_section import glossary_section
from gatherline.report.page.headline_section import choices_data, device_titles, headline_section
from gatherline.report.page.heat_section import heat_section
from gatherline.report.page.layers_section import layers_section
from gatherline.report.page.manifest_section import manifest_section, missing, model_words
from gatherline.report.page.masks_section import masks_section
from gatherline.report.page.memory_section import PARTS, memory_section
from gatherline.report.page.no_faster_section import no_faster_section
from gatherline.report.page.page_size import LARGEST_BYTES, SPARE, fewer_variants, variants_of
from gatherline.report.page.pareto_section import pareto_section
from gatherline.report.page.render import render
from gatherline.report.page.results import by_device
from gatherline.report.page.totals_section import totals_section
from gatherline.report.page.trust_section import trust_section
from gatherline.report.selection import Rows, text
from gatherline.report_file import Written, read_report
from gatherline.run_masks import RunMasks, masks_of


def run_page(folder: Path, largest: int = LARGEST_BYTES) -> str:
    """Return the page of the run in ``folder``, of fewer variants where all would make more than ``largest`` bytes.

    Raises RequestError for files that no run wrote, and OSError.
    """
    written = read_report(folder)
    masks = masks_of(folder, written)
    rows: Rows = written.rows
    count = len(variants_of(rows))
    page = _page(folder, written, masks, rows, "")
    while (size := len(page.encode())) > largest:
        before = len(variants_of(rows))
        rows = fewer_variants(rows, headline_facts(rows), int(SPARE * before * largest / size))
        shown = len(variants_of(rows))
        if shown == before:
            break
        page = _page(folder, written, masks, rows, f"{shown:,} of the {count:,} variants")
    return page


def _page(folder: Path, written: Written, masks: RunMasks, rows: Rows, shown: str) -> str:
    """Return the page of ``rows``. ``shown``: how many of the variants these are, "" where they are all."""
    manifest = written.manifest
    devices = by_device(rows, manifest)
    exact, proved = (read_answers(folder, name, manifest) for name in ("break-even.json", "why.json"))
    facts = headline_facts(rows)
    headline = headline_section(devices, facts)
    network = model_words(manifest, text(rows[0], "model") or "a network")
    return render(
        "run.html.jinja",
        title=f"{network['name']}: latency and memory by sparsity pattern",
        network=network,
        complete=manifest.get("complete") is not False,
        shown=shown,
        missing=missing(manifest, by_device(written.rows, manifest) if shown else devices),
        synthetic=any(row.get("synthetic") for row in rows),
        no_totals=not any(device.totals for device in devices),
        headline=headline,
        choices=choices_data(devices, facts),
        heat=heat_section(devices, facts, device_titles(devices)),
        totals=totals_section(devices),
        memory=memory_section(devices),
        memory_parts=PARTS,
        break_even=break_even_section(devices, exact.rows),
        pareto=pareto_section(devices),
        masks=masks_section(masks.samples, devices),
        mask_notes=masks.notes,
        no_faster=no_faster_section(devices, proved.rows),
        answer_notes=[one.note for one in (exact, proved) if one.note],
        trust=trust_section(devices, rows, facts),
        run_manifest=manifest_section(manifest),
        layers=layers_section(rows, manifest, facts),
        glossary=glossary_section(devices),
    )
