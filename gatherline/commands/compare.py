"""``simulate compare``: two runs beside each other, and an exit status that a build can act on."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gatherline.exit_status import FAILED
from gatherline.options import Debug, Json


class By(StrEnum):
    """Which rows are printed."""

    TOTAL = "total"
    LAYER = "layer"


def compare(
    before: Annotated[Path, typer.Argument(metavar="A", help="Folder of a run, its report.json, or a snapshot.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="The same of what is compared with A.")],
    by: Annotated[
        By | None,
        typer.Option("--by", help="Totals alone, or all layers that moved. Default: totals and ten layers."),
    ] = None,
    device: Annotated[
        list[str] | None, typer.Option("--device", metavar="D", help="Only rows of this device; repeats.")
    ] = None,
    pattern: Annotated[
        list[str] | None, typer.Option("--pattern", metavar="P", help="Only rows of this pattern; repeats.")
    ] = None,
    pair: Annotated[
        list[str] | None,
        typer.Option(
            "--pair",
            metavar="OLD=NEW",
            help="Compare what A calls OLD with B's NEW: a device, pattern, sparsity, model or layer; repeats.",
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="NAME", help="As in cycles; repeats. The first sorts. Default: latency_s ..."),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option("--fail-if", metavar="RULE", help="Exit with 1 where it holds, as in 'latency_s > +2%'; repeats."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="DIR", help="Folder for comparison.json, .csv and .html.")
    ] = None,
    page: Annotated[Path | None, typer.Option(metavar="FILE.html", help="The page alone, one file.")] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Tell what moved between two runs, by how much and why.

    A RULE is [layer:]COLUMN [of LAYER-GLOB], one of > >= < <= !=, and a number. With a sign or % it is a change from
    A to B: 'latency_s > +2%', 'cycles > +1000', 'latency_s of layer4* > +0.1ms'. Without, it is B's value:
    'peak_memory_bytes > 20MB', 'cycles != 12345'. Rules are about totals unless they say layer: or of. A row or a
    number that one side lacks breaks them; growth from zero breaks a rule in % with >, >= or !=.

    Exit status: 0 no rule is broken; 1 a rule is broken, of which lines "simulate: broken rule: ..." on standard error
    tell, or the output could not be written; 2 wrong input.
    """
    from gatherline.comparison.choice import pair_names
    from gatherline.comparison.comparison import compare as compare_sides
    from gatherline.report.comparison_broken import broken_lines
    from gatherline.report.comparison_files import write_comparison, write_text
    from gatherline.report.comparison_table import print_comparison
    from gatherline.report.staging import check_target

    for folder in (out, None if page is None else page.parent):
        if folder is not None:
            check_target(folder)
    found = compare_sides(
        before, after, rules=fail_if or (), columns=column or (), devices=device or (), patterns=pattern or (),
        pairs=pair_names(pair or ()),
    )  # fmt: skip
    if json:
        sys.stdout.write(found.to_json())
    else:
        print_comparison(found, sys.stdout, "both" if by is None else "total" if by is By.TOTAL else "layer")
    sys.stdout.flush()
    written = write_comparison(out, found) if out is not None else []
    if page is not None:
        write_text(page, found.html())
        written.append(page)
    for path in written:
        print(f"wrote {path}", file=sys.stderr if json else sys.stdout)
    for line in broken_lines(found):
        print(f"simulate: broken rule: {line}", file=sys.stderr)
    if found.broken:
        raise typer.Exit(FAILED)
