"""Work on several threads: the same results in the same order, and the same errors, as on one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatherline.pipeline import replay, run, write_traces
from gatherline.request import RunRequest
from simulator.parallel import MOST_THREADS, THREADS, ThreadCountError, in_order, thread_count
from simulator.spec import DeviceError

DIGITS = RunRequest(
    model="digits", patterns=("gs:16,1", "unstructured"), sparsities=(0.5, 0.9), devices=("gs-tcm", "gs-tcm-ooo")
)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_the_order_of_the_work(threads: int) -> None:
    later = threading.Event()

    def work(item: int) -> int:
        if item == 0 and threads > 1:
            later.wait(10)  # the first ends after the second
        later.set()
        return item * item

    assert list(in_order(work, range(40), threads)) == [item * item for item in range(40)]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_work_is_not_made_long_before_its_results_are_taken(threads: int) -> None:
    made = []

    def items() -> Iterator[int]:
        for item in range(100):
            made.append(item)
            yield item

    results = in_order(lambda item: item, items(), threads)
    for taken in range(1, 51):
        next(results)
        assert len(made) < taken + 2 * threads
    results.close()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_first_error_in_the_order_of_the_work_is_raised_after_the_results_before_it(threads: int) -> None:
    def work(item: int) -> int:
        if item >= 7:
            raise ValueError(f"item {item}")
        return item

    results = in_order(work, range(30), threads)
    assert [next(results) for _ in range(7)] == list(range(7))
    with pytest.raises(ValueError, match="item 7"):
        next(results)


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", str(MOST_THREADS + 1)])
def test_a_number_of_threads_that_cannot_be_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS, value)
    with pytest.raises(ThreadCountError, match=f"{THREADS} is '{value}', and must be a whole number from 1 to"):
        thread_count()


def test_without_a_word_about_threads_there_are_as_many_as_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(THREADS, raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert thread_count() == 3


def test_a_report_and_a_replay_have_the_same_bytes_on_any_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = RunRequest(model="digits", patterns=("gs:16,1",), sparsities=(0.9,), devices=("gs-tcm",))
    write_traces(one, tmp_path / "trace")
    seen = set()
    for threads in ("1", "2", "5"):
        monkeypatch.setenv(THREADS, threads)
        reports = (run(DIGITS), replay(tmp_path / "trace", "gs-tcm-ooo", tmp_path / "granted.npy"))
        text = json.dumps([[report.manifest, report.rows] for report in reports], default=str)
        seen.add((text, (tmp_path / "granted.npy").read_bytes()))
    assert len(seen) == 1


@pytest.mark.parametrize("threads", ["1", "4"])
def test_an_error_names_the_first_layer_that_has_it_on_any_number_of_threads(
    threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(THREADS, threads)
    impossible = RunRequest(
        model="digits", patterns=("gs:16,1",), sparsities=(0.9,), devices=("gs-tcm",), mapping="rows=3"
    )
    with pytest.raises(DeviceError) as one:
        run(impossible)
    monkeypatch.setenv(THREADS, "1")
    with pytest.raises(DeviceError) as other:
        run(impossible)
    assert str(one.value) == str(other.value)
