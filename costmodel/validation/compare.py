"""Predictions beside measurements: a line for each device, key and family, and what was left out and why.

Lines are by device and never mix devices; "held out" is a property of the device (``devices.csv``). Left out: fitting.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from costmodel.spec import RooflineDevice
from costmodel.validation.exclusions import sift
from costmodel.validation.floor import Floor, floor_of, floors
from costmodel.validation.folder import DeviceUse, Folder, Use
from costmodel.validation.measurement import Key, Measurement, ValidationError
from costmodel.validation.metrics import Errors, errors
from costmodel.validation.predict import Prediction, Predictor, obstacle, predict
from costmodel.validation.readers import measurements
from costmodel.validation.speedup import SpeedUp, speed_ups
from costmodel.validation.unmeasured import Unmeasured, covers, in_one_line, unmeasured


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One measurement and what a device's model says of it."""

    device: RooflineDevice
    use: Use
    measured: Measurement
    prediction: Prediction

    @property
    def predicted_s(self) -> float:
        """Seconds nearest to the measured ones within the stated interval of the density."""
        return self.prediction.nearest_s(self.measured.seconds)

    @property
    def error(self) -> float:
        """Signed, 0.1 = 10 % too slow."""
        return self.predicted_s / self.measured.seconds - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Errors of one device, key and kernel family; ``key`` None: over all keys of the device, ranks left out.

    ``floor``: of the same key, or over all silicon (its key None).
    """

    device: str
    device_kind: str
    use: Use
    key: Key | None
    family: str
    errors: Errors
    floor: Floor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """All that a validation found. ``left_out``: rows by exclusion rule; ``unpredicted``: rows that no device predicts.

    ``unmeasured``: devices without a row. A row that several devices stand for has a point for each and is one of
    ``rows_used``.
    """

    rows: int
    rows_used: int
    left_out: dict[str, int]
    unpredicted: dict[str, int]
    unmeasured: tuple[Unmeasured, ...]
    points: tuple[Point, ...]
    lines: tuple[Line, ...]
    floors: tuple[Floor, ...]
    speed_ups: tuple[SpeedUp, ...]


def validate(
    folder: Folder,
    devices: Sequence[RooflineDevice],
    families: Sequence[str] = (),
    done: Callable[[str], None] = lambda device: None,
    *,
    whole: bool = True,
) -> Validation:
    """Compare ``devices`` with every measurement of what they stand for; ``families``: only these kernel families.

    ``done`` is told each device's name once it is compared. ``whole``: account for every row of the folder; else only
    for rows of the processors that ``devices`` stand for.

    Raises ValidationError for a table that cannot be read, no device with a row, or a family without rows.
    """
    rows = measurements(folder)
    sifted = sift(rows, folder.path)
    known = floors(sifted.kept)  # over all silicon, whoever is asked for
    if not whole:
        rows = _of_processors(rows, devices, folder)
        sifted = sift(rows, folder.path)
    obstacles: dict[int, str] = {}  # row's place: why the first device that stands for its processor is silent
    points: list[Point] = []
    for device in devices:
        uses = [use for use in folder.devices if use.device == device.name]
        points += _points(device, uses, sifted.kept, folder, obstacles)
        done(device.name)
    measured = {point.device.name for point in points}
    without = unmeasured([device for device in devices if device.name not in measured], sifted.kept, folder)
    if not points:
        raise ValidationError(in_one_line(without))
    predicted = {id(point.measured) for point in points}
    silent = [place for place, row in enumerate(sifted.kept) if id(row) not in predicted]
    unpredicted = Counter(
        obstacles.get(place, "none of these devices stands for the processor (devices.csv)") for place in silent
    )
    found = {point.prediction.family for point in points}
    for family in families:
        if family not in found:
            raise ValidationError(
                f"family {family!r} has no rows on these devices; there are {', '.join(sorted(found))}"
            )
    chosen = [point for point in points if not families or point.prediction.family in families]
    return Validation(
        rows=len(rows),
        rows_used=len(predicted),
        left_out=sifted.left_out,
        unpredicted=dict(unpredicted),
        unmeasured=without,
        points=tuple(chosen),
        lines=tuple(_lines(chosen, known)),
        floors=known,
        speed_ups=speed_ups([(p.device.name, p.use, p.measured, p.prediction) for p in points]),
    )


def _of_processors(rows: Sequence[Measurement], devices: Sequence[RooflineDevice], folder: Folder) -> list[Measurement]:
    names = {device.name for device in devices}
    asked = {(use.soc, use.processor) for use in folder.devices if use.device in names}
    return [row for row in rows if (row.key.soc, row.key.processor) in asked]


def _points(
    device: RooflineDevice,
    uses: Sequence[DeviceUse],
    rows: Sequence[Measurement],
    folder: Folder,
    obstacles: dict[int, str],
) -> list[Point]:
    predictor = Predictor(device=device, folder=folder.path)
    found = []
    for place, row in enumerate(rows):
        if not any((use.soc, use.processor) == (row.key.soc, row.key.processor) for use in uses):
            continue
        use = next((use for use in uses if covers(use, row)), None)
        reason = obstacle(predictor, row) if use else f"{device.name} has no kernels of {row.key.runtime}"
        if use is None or reason:
            obstacles.setdefault(place, reason)
            continue
        found.append(Point(device=device, use=use.use, measured=row, prediction=predict(predictor, row)))
    return found


def _lines(points: Sequence[Point], known: Sequence[Floor]) -> list[Line]:
    """Return a line for each key, and one over all keys before those of a device and family that has several."""
    groups: dict[tuple[str, str], dict[Key, list[Point]]] = defaultdict(lambda: defaultdict(list))
    for point in points:
        groups[(point.device.name, point.prediction.family)][point.measured.key].append(point)
    lines: list[Line] = []
    for by_key in groups.values():
        if len(by_key) > 1:
            lines.append(_line([point for group in by_key.values() for point in group], None, known))
        lines += [_line(group, key, known) for key, group in by_key.items()]
    return lines


def _line(points: Sequence[Point], key: Key | None, known: Sequence[Floor]) -> Line:
    found = errors_of(points)
    if key is None:  # a net takes other times with other threads and types: its ranks say nothing
        found = replace(found, rank=None, anchored=None)
    return Line(
        device=points[0].device.name,
        device_kind=points[0].device.kind,
        use=points[0].use,
        key=key,
        family=points[0].prediction.family,
        errors=found,
        floor=floor_of(key, known, is_cpu=points[0].device.static_threads),
    )


def errors_of(points: Sequence[Point]) -> Errors:
    """Return the errors of ``points``; a net at another density, pattern or batch is another net."""
    return errors(
        [point.predicted_s for point in points],
        [point.measured.seconds for point in points],
        [net_name(point.measured) for point in points],
    )


def net_name(row: Measurement) -> str:
    """Return what tells one workload from another."""
    sparse = "" if row.pattern == "dense" else f" {row.pattern} {row.density_low:.4g}"
    return f"{row.net.removesuffix('_int8')}{sparse} batch {row.batch}"
