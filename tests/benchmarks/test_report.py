"""What the benchmark of reports measures must be a whole report."""

import pytest

from benchmarks.report import measure


@pytest.mark.slow
def test_it_measures_the_command_and_its_page(tmp_path):
    """Pictures of noise are the largest: one card of a drawn record has some 150 kB."""
    seconds, size = measure(tmp_path, runs=2, records=30)
    assert seconds > 0
    assert size == (tmp_path / "out" / "report.html").stat().st_size
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count('class="card"') > 10
    assert 50_000 < size / page.count('class="card"') < 300_000
