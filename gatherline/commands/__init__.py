"""The commands of ``simulate``: a file for each command or family, plain functions that ``gatherline/cli.py`` lists.

Their files leave out ``from __future__ import annotations``: typer would evaluate each text of it at every start, which
took a tenth of ``simulate --help``.
"""
