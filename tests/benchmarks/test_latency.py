"""The latency benchmark asks every retriever each query once, and its table says what was found."""

import json

from benchmarks import latency


def test_each_member_answers_and_the_first_query_counts_apart(tmp_path):
    rows = [{"id": f"{i}", "kind": "faq", "title": "", "text": f"passage {i}"} for i in range(3)]
    (tmp_path / "kb.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = latency.measured(tmp_path, 7, ["passage 1", "passage 2", "passage 9"])
    assert found["size"] == 7
    for name in latency.MEMBERS:
        assert 0 < found[name]["p50"] <= found[name]["p99"]
        assert found[name]["first"] > 0
    assert [line.split("|")[3].strip() for line in latency.table([found]).splitlines()[2:]] == list(latency.MEMBERS)


def test_percentiles_leave_the_first_query_out(monkeypatch):
    """It builds indexes, which a service does once."""
    clock = iter([0.0, 9.0, 10.0, 10.001, 20.0, 20.003])
    monkeypatch.setattr(latency.time, "perf_counter", lambda: next(clock))
    times = latency.milliseconds(lambda query: None, ["a", "b", "c"])
    assert times["first"] == 9000.0
    assert round(times["p50"], 6) == 2.0
