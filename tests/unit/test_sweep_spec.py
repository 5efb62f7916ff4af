"""What a spec means: its points in order, each once, on machines whose fields differ from their base."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from pathlib import Path

import pytest

import gatherline as gl
from gatherline.device_fields import DeviceField, device_fields, with_fields
from gatherline.request import device_named
from gatherline.request_error import RequestError
from gatherline.sweep.axis import Choices
from gatherline.sweep.point import Machine, ModelChoice, run_request
from gatherline.sweep.spec import DEFAULT_MOST_POINTS, SweepSpec
from gatherline.sweep.spec_file import parse_spec, read_spec

ROOT = Path(__file__).parents[2]
HERE = Path("spec.toml")


def spec(text: str, file: Path = HERE) -> SweepSpec:
    head = "" if "models" in text else 'models = ["digits"]\n'
    tail = "" if "device" in text else 'devices = ["gs-tcm"]\n'
    return parse_spec(f"{head}{tail}{text}", file)


def machines(fields: str, device: str = "gs-tcm", more: str = "") -> list[dict[str, object]]:
    made = spec(f'patterns = ["dense"]\n{more}\n[[devices]]\ndevice = "{device}"\n[devices.fields]\n{fields}')
    return [dict(made.point(number).machine.fields) for number in range(made.count)]


def test_the_example_is_read_and_counts_its_points() -> None:
    made = read_spec(ROOT / "examples" / "sweep.toml")
    masks = 1 + 2 * 2  # dense once, two patterns at two sparsities
    assert made.count == masks * 3 * 5 * 2 * 2
    assert made.swept[0] == "scratchpad.banks"
    assert made.swept[-1] == "gather.lanes"  # follows


def test_the_example_of_resnet50_has_six_patterns_five_sparsities_and_forty_machines() -> None:
    made = read_spec(ROOT / "examples" / "resnet50-sweep.toml")
    machines = {(base, fields) for _, _, base, entries in made.tasks(2000) for _, fields in entries}
    assert len(machines) == 2 * 3 * 5 + 10 == 40
    assert made.count == 6 * 5 * 40


def test_the_last_field_is_the_fastest_and_the_model_the_slowest() -> None:
    made = parse_spec(
        """
        models = ["digits", "resnet50"]
        patterns = ["dense", "gs:16,1"]
        sparsities = [0.5, 0.9]
        [run]
        dtype = ["fp16", "int8"]
        [[devices]]
        device = "gs-tcm"
        fields.gather.window = [1, 2]
        fields.gather.ports = [1, 2]
        [[devices]]
        device = "a100"
        """,
        HERE,
    )
    expected = [
        (model, *mask, dtype, *machine)
        for model, mask, dtype, machine in product(
            ("digits", "resnet50"),
            (("dense", None), ("gs:16,1", 0.5), ("gs:16,1", 0.9)),
            ("fp16", "int8"),
            [*(("gs-tcm", *pair) for pair in product((1, 2), (1, 2))), ("a100", 1, 1)],
        )
    ]
    found = []
    for number in range(made.count):
        point = made.point(number)
        fields = dict(point.machine.fields)
        found.append((
            point.level.model.model, point.level.pattern, point.level.sparsity, point.options.dtype,
            point.machine.base, fields.get("gather.window", 1), fields.get("gather.ports", 1),
        ))  # fmt: skip
        assert point.number == number
    assert found == expected


@pytest.mark.parametrize("most", [1, 3, 256])
def test_blocks_hold_the_numbered_points_in_order(most: int) -> None:
    made = read_spec(ROOT / "examples" / "sweep.toml")
    number = 0
    for level, options, base, pairs in made.tasks(most):
        assert 1 <= len(pairs) <= most
        for at, fields in pairs:
            point = made.point(number)
            assert (at, level, options) == (number, point.level, point.options)
            assert point.machine == Machine(base=base, fields=fields)
            number += 1
    assert number == made.count


def test_no_two_points_of_a_grid_are_equal() -> None:
    made = read_spec(ROOT / "examples" / "sweep.toml")
    points = [made.point(number) for number in range(made.count)]
    assert len({(point.level, point.options, point.machine) for point in points}) == made.count


def test_a_value_of_the_base_is_left_out_of_a_machine() -> None:
    assert machines("gather.window = [1, 2]") == [{}, {"gather.window": 2}]  # gs-tcm has a window of 1


def test_a_rate_that_a_dram_has_already_still_makes_it_flat() -> None:
    rate = device_fields(device_named("gs-tcm"))["dram.bytes_per_s"].value
    assert machines(f'dram.bytes_per_s = "{rate} B/s"') == [{"dram.bytes_per_s": rate}]


@pytest.mark.parametrize("name", ["gs-tcm", "snapdragon-855", "a100", "zcu102"])
def test_each_field_of_a_device_takes_its_own_value_with_its_unit(name: str) -> None:
    own = {path: field for path, field in device_fields(device_named(name)).items() if field.value is not None}
    own = {path: field for path, field in own.items() if not path.startswith("dram.timing.")}  # dram.timing brings them
    lines = [f'"{path}" = {written(field)}' for path, field in own.items()]
    made = spec(f'patterns = ["dense"]\n[[devices]]\ndevice = "{name}"\n[devices.fields]\n' + "\n".join(lines))
    axes = dict(made.grid.devices[0].axes)
    assert list(axes) == list(own)
    for path, field in own.items():
        axis = axes[path]
        assert isinstance(axis, Choices)
        assert axis.values == (field.value,)
        assert type(axis.values[0]) in (type(field.value), float)  # a field of reals may have a whole value
    values = {path: axis.values[0] for path, axis in axes.items() if isinstance(axis, Choices)}
    changed = device_fields(with_fields(device_named(name), {p: v for p, v in values.items() if p[:5] != "dram."}))
    assert {path: changed[path].value for path in own} == {path: field.value for path, field in own.items()}


def written(field: DeviceField) -> str:
    if isinstance(field.value, bool):
        return str(field.value).lower()
    if field.unit or isinstance(field.value, str):
        return f'"{field.value} {field.unit}"'.replace(' "', '"')
    return str(field.value)


def test_a_field_of_reals_whose_value_is_whole_takes_reals() -> None:
    path = "pipes.loads_per_cycle"
    assert device_fields(device_named("adreno-640"))[path].value == 1
    assert machines(f'"{path}" = [0.5]', device="adreno-640") == [{path: 0.5}]


def test_a_field_of_whole_numbers_takes_no_reals() -> None:
    with pytest.raises(RequestError, match=r"fields.kernels.csr-spmm.row_block is 0.5, and must be a whole number$"):
        machines('"kernels.csr-spmm.row_block" = [0.5]', device="a100")


def test_an_interval_may_be_a_fraction_a_decimal_or_a_range() -> None:
    found = machines('gather.interval = ["3/2", 1.25, 2]')
    assert [fields["gather.interval"] for fields in found] == [Fraction(3, 2), Fraction(5, 4), Fraction(2)]
    found = machines("gather.interval = { from = 1, to = 2, steps = 3 }")
    assert [fields["gather.interval"] for fields in found] == [Fraction(1), Fraction(3, 2), Fraction(2)]


def test_paths_may_be_quoted_or_not() -> None:
    assert machines('"scratchpad.banks" = [8]') == machines("scratchpad.banks = 8") == [{"scratchpad.banks": 8}]


def test_a_field_that_follows_has_the_value_of_the_other() -> None:
    made = spec(
        'patterns = ["dense"]\n[[devices]]\ndevice = "gs-tcm"\nfields.scratchpad.banks = [8, 16]\n'
        'follow."gather.lanes" = "scratchpad.banks"'
    )
    assert [made.point(at).machine.fields for at in range(2)] == [(("gather.lanes", 8), ("scratchpad.banks", 8)), ()]


def test_dense_counts_once_whatever_the_sparsities_ratios_and_matches() -> None:
    made = spec(
        'patterns = ["dense"]\nsparsities = [0.5, 0.9]\n[run]\nmatch = ["density", "slots"]\n'
        'ratios = ["uniform", "erk"]'
    )
    assert made.count == 1


def test_n_of_m_counts_once_at_the_sparsity_that_it_has() -> None:
    made = spec('patterns = ["n_of_m:1,4"]\nsparsities = [0.5, 0.9]')
    assert [made.point(at).level.sparsity for at in range(made.count)] == [1 - 1 / 4]


def test_values_that_are_the_same_in_other_units_count_once() -> None:
    assert len(machines('clock_hz = ["1 GHz", "1000 MHz", "1_000_000 kHz"]')) == 1


def test_a_grid_of_a_million_million_points_is_counted_and_not_listed() -> None:
    thousand = "{ from = 1, to = 1000, step = 1 }"
    text = "\n".join(
        f"{path} = {thousand}" for path in ("gather.window", "gather.ports", "mac.latency", "scatter.ports")
    )
    made = spec(f'patterns = ["dense"]\n[[devices]]\ndevice = "gs-tcm"\n[devices.fields]\n{text}')
    assert made.count == 1000**4
    last = dict(made.point(made.count - 1).machine.fields)
    assert set(last.values()) == {1000}
    with pytest.raises(RequestError, match=f"the grid has {1000**4} points, and --max-points is {DEFAULT_MOST_POINTS}"):
        made.check_most()


def test_two_entries_of_one_device_are_taken_where_they_share_no_machine() -> None:
    one = '[[devices]]\ndevice = "gs-tcm"\n'
    two = f'patterns = ["dense"]\n{one}fields.gather.window = [2, 4]\n{one}'
    assert spec(f"{two}fields.gather.ports = [1, 2]").count == 4
    assert spec(f"{two}fields.gather.window = [8]").count == 3
    with pytest.raises(RequestError, match=r"twice with gather.window = 4, and a point counts once"):
        spec(f"{two}fields.gather.window = [4, 8]")


def test_entries_that_follow_share_a_machine_only_where_both_fields_agree() -> None:
    first = (
        'patterns = ["dense"]\n[[devices]]\ndevice = "gs-tcm"\nfields.scratchpad.banks = [4, 8]\n'
        'follow."gather.lanes" = "scratchpad.banks"\n[[devices]]\ndevice = "gs-tcm"\n'
    )
    assert spec(f"{first}fields.scratchpad.banks = [4, 8]").count == 4  # the second keeps 16 lanes
    with pytest.raises(RequestError, match=r"gather.lanes = 8, scratchpad.banks = 8"):
        spec(f"{first}fields.scratchpad.banks = [8, 32]\nfields.gather.lanes = [8, 16]")


def test_files_are_found_beside_the_spec(tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    (folder / "mine.toml").write_text('base = "gs-tcm"\n[gather]\nwindow = 4\n')
    (folder / "net.onnx").write_bytes((ROOT / "gatherline" / "models" / "digits.onnx").read_bytes())
    (folder / "shares.csv").write_text("layer,sparsity\nconv1,0.5\n")
    (folder / "sweep.toml").write_text(
        'models = ["net.onnx"]\npatterns = ["gs:16,1"]\ndevices = ["mine.toml"]\nrun.ratios = "shares.csv"\n'
    )
    point = read_spec(folder / "sweep.toml").point(0)
    assert point.level.model == ModelChoice(model=str(folder / "net.onnx"))
    assert point.machine == Machine(base=str(folder / "mine.toml"))
    assert point.level.ratios == str(folder / "shares.csv")
    assert point.level.sparsity is None


def test_a_model_table_takes_lists_of_batches_and_seeds() -> None:
    made = spec('patterns = ["dense"]\nmodels = [{ model = "resnet50", batch = [1, 8], seed = [0, 1] }]')
    models = [made.point(at).level.model for at in range(made.count)]
    assert [(model.batch, model.seed) for model in models] == list(product((1, 8), (0, 1)))


def test_options_are_those_of_simulate_run() -> None:
    made = spec(
        'patterns = ["unstructured"]\nsparsities = ["90 %"]\n[run]\nthreads = { from = 1, to = 4, scale = "log" }\n'
        'encoding = ["own", "csr", "best"]\norder = "csr"\nprune_all = true\nmapping = "auto"\ntechnology = "7nm"'
    )
    assert made.count == 3 * 3
    requests = [run_request(made.point(at).level, made.point(at).options) for at in range(made.count)]
    assert {request.threads for request in requests} == {1, 2, 4}
    assert {request.encoding for request in requests} == {None, "csr", "best"}
    assert {request.mapping for request in requests} == {None}
    assert {request.sparsities for request in requests} == {(0.9,)}
    assert all(request.order == "csr" and request.prune_all and request.technology == "7nm" for request in requests)


def test_ratios_of_a_profile_need_no_sparsity() -> None:
    made = parse_spec('models = ["resnet50"]\ndevices = ["a100"]\nrun.ratios = "str-90.23"', HERE)
    assert made.point(0).level.pattern == "unstructured"
    assert made.point(0).level.sparsity is None


def test_levels_of_a_pruned_model_are_points_with_the_zeros_that_they_have(tmp_path: Path) -> None:
    gl.prune("digits", tmp_path / "m.onnx", pattern="gs:16,1", levels=[0.95, 0.9], prune_all=True)
    text = 'models = ["m.onnx"]\ndevices = ["gs-tcm"]\n'
    made = spec(f"{text}levels = [1, 2]", tmp_path / "spec.toml")
    found = [made.point(at).level for at in range(made.count)]
    assert [(level.model.level, level.pattern, level.sparsity) for level in found] == [
        (1, "unstructured", None), (2, "unstructured", None),
    ]  # fmt: skip
    with pytest.raises(RequestError, match=r"levels names 3, and m.onnx has levels 1 \(the sparsest\) to 2"):
        spec(f"{text}levels = [1, 3]", tmp_path / "spec.toml")


def test_a_file_that_is_a_preset_under_its_own_name_is_the_preset(tmp_path: Path) -> None:
    (tmp_path / "same.toml").write_text('base = "gs-tcm"\nname = "gs-tcm"\n')
    with pytest.raises(RequestError, match="gs-tcm twice with no field changed"):
        spec('patterns = ["dense"]\ndevices = ["gs-tcm", "same.toml"]', tmp_path / "spec.toml")
    (tmp_path / "same.toml").write_text('base = "gs-tcm"\nname = "gs-tcm"\ncores = 2\n')
    with pytest.raises(RequestError, match="its name is gs-tcm, and another device of this run has it too"):
        spec('patterns = ["dense"]\ndevices = ["gs-tcm", "same.toml"]', tmp_path / "spec.toml")
