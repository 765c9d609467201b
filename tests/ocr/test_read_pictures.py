"""Reading many pictures: cache, pool, and what goes wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from kd_rag import ocr, registry
from kd_rag.ocr._cache import TextCache
from kd_rag.types import InputError, Record, TextLine


@pytest.fixture
def paths(tmp_path):
    """Twelve pictures of different widths."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(12):
        Image.new("RGB", (20 + i, 10), (i, 0, 0)).save(folder / f"{i}.png")
    return sorted(folder.iterdir())


@pytest.fixture
def component(tmp_path):
    log = tmp_path / "log"
    log.mkdir()
    return {"name": "stub_engine:SizeReader", "log": str(log)}


def readings(component):
    return len(list(Path(component["log"]).iterdir()))


@pytest.mark.parametrize("processes", [1, 2])
def test_warm_cache_gives_the_same_lines_and_reads_nothing(paths, component, tmp_path, monkeypatch, processes):
    """A second run that differs from the first, or pays for OCR again."""
    cold = ocr.read_pictures(paths, component, tmp_path / "cache", processes)
    assert {bool(lines) for lines in cold.values()} == {True, False}, "with and without text"
    assert readings(component) == 12
    monkeypatch.setattr("kd_rag.ocr.read_all", None)
    assert ocr.read_pictures(paths, component, tmp_path / "cache", processes) == cold
    assert readings(component) == 12


def test_pool_gives_what_one_process_gives(paths, component, tmp_path):
    """Texts that depend on the number of cores."""
    alone = ocr.read_pictures(paths, component, tmp_path / "one", processes=1)
    for file in Path(component["log"]).iterdir():
        file.unlink()
    assert ocr.read_pictures(paths, component, tmp_path / "two", processes=2) == alone
    assert list(alone) == paths


def test_equal_files_are_read_once(paths, component, tmp_path):
    """A picture sent in five dialogues that costs five readings."""
    twin = tmp_path / "twin.png"
    twin.write_bytes(paths[1].read_bytes())
    texts = ocr.read_pictures([paths[1], twin, paths[1]], component, tmp_path / "cache")
    assert texts[twin] == texts[paths[1]] != ()
    assert len(texts) == 2
    assert readings(component) == 1


def test_options_version_and_content_make_another_entry(paths, component, tmp_path):
    """Text of an old engine, other options or an overwritten picture that comes out of the cache."""
    caches = [TextCache(tmp_path, component, "1"), TextCache(tmp_path, component, "2")]
    caches.append(TextCache(tmp_path, {**component, "log": "elsewhere"}, "1"))
    keys = [cache.key(path.read_bytes()) for cache in caches for path in paths[:2]]
    assert len(set(keys)) == 6


def test_default_written_out_is_the_same_entry(paths, tmp_path):
    """A cache that goes cold because a recipe spells a default."""
    short = TextCache(tmp_path, {"name": "rapidocr"}, "1")
    spelled = TextCache(tmp_path, {"name": "rapidocr", "min_confidence": 0.5}, "1")
    assert short.key(b"picture") == spelled.key(b"picture")


def test_entry_is_whole_and_alone(tmp_path, component):
    """Half-written entries and litter after many writers; floats that change on the way."""
    cache = TextCache(tmp_path / "cache", component, "1")
    lines = (TextLine('a "line"\n行', 0.1 + 0.2, (0.0, 1 / 3, 2 / 3, 1.0)),)
    for _ in range(3):
        cache.save("abc", lines)
    assert cache.load("abc") == lines
    files = [f for f in (tmp_path / "cache").rglob("*") if f.is_file()]
    assert [f.name for f in files] == ["abc.json"]
    assert json.loads(files[0].read_text("utf-8"))["engine"]["version"] == "1"


@pytest.mark.parametrize("damage", ["", '{"lines": [{"text"', "[]", '{"lines": [{"text": "a"}]}', "\x00\x00"])
def test_damaged_entry_is_read_again_and_said(tmp_path, component, caplog, damage):
    """A run that dies of, or believes, an entry that a full disk cut off."""
    cache = TextCache(tmp_path / "cache", component, "1")
    cache.save("abc", ())
    (tmp_path / "cache/ab/abc.json").write_text(damage)
    assert cache.load("abc") is None
    assert "abc.json is damaged" in caplog.text


def test_what_was_read_before_a_fault_is_kept(paths, component, tmp_path):
    """A broken last picture that costs the reading of all others."""
    paths[-1].write_bytes(b"<html>not found</html>")
    with pytest.raises(InputError, match=f"{paths[-1].name}: is not a picture"):
        ocr.read_pictures(paths, component, tmp_path / "cache", processes=1)
    ocr.read_pictures(paths[:-1], component, tmp_path / "cache", processes=1)
    assert readings(component) == 11


def test_pool_names_a_broken_picture(paths, component, tmp_path):
    """A traceback out of a worker instead of the file's name."""
    paths[3].write_bytes(paths[3].read_bytes()[:40])
    with pytest.raises(InputError, match=str(paths[3])):
        ocr.read_pictures(paths, component, tmp_path / "cache", processes=2)


@pytest.mark.parametrize("pictures", [3, 12])
def test_a_broken_picture_is_named_with_its_record(paths, component, tmp_path, monkeypatch, pictures):
    """A picture's name alone, which no line of the record file shows; alone and out of a pool."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    paths[2].write_bytes(paths[2].read_bytes()[:40])
    records = [Record(f"r{i}", "intent", (), (path,), None) for i, path in enumerate(paths[:pictures])]
    with pytest.raises(InputError, match=f"record 'r2': {paths[2]}: is not a picture"):
        ocr.read_records(records, component, tmp_path / "cache")


def test_processes_that_write_one_entry_at_once_leave_it_whole(component, tmp_path):
    """Runs beside each other that read half of another's text, or clear it away."""
    program = (
        "from pathlib import Path\nfrom kd_rag.ocr._cache import TextCache\nfrom kd_rag.types import TextLine\n"
        f"cache = TextCache(Path({str(tmp_path / 'cache')!r}), {{**{component!r}, 'name': 'none'}}, '1')\n"
        "lines = (TextLine('text ' * 9999, 0.5, (0.0, 0.0, 1.0, 1.0)),)\n"
        "for number in range(40):\n"
        "    cache.save('abc', lines)\n"
        "    assert cache.load('abc') == lines, number\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) for _ in range(3)]
    assert [process.communicate()[1] for process in running] == [b""] * 3
    assert [file.name for file in (tmp_path / "cache").rglob("*") if file.is_file()] == ["abc.json"]


def test_an_entry_that_may_not_be_read_is_named(component, tmp_path):
    """A traceback where another user filled the same folder."""
    cache = TextCache(tmp_path, component, "1")
    (tmp_path / "ab/abc.json").mkdir(parents=True)
    with pytest.raises(InputError, match=r"abc\.json: cannot be read \(Is a directory\); name another cache_dir"):
        cache.load("abc")


def test_missing_picture_is_named(component, tmp_path):
    with pytest.raises(InputError, match=r"gone\.png: cannot be read \(No such file"):
        ocr.read_pictures([tmp_path / "gone.png"], component, tmp_path / "cache")


def test_cache_folder_that_cannot_be_made(paths, component, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot keep texts of pictures there"):
        ocr.read_pictures(paths, component, tmp_path / "file")


def test_none_opens_no_picture(tmp_path):
    """A run without OCR that stumbles over pictures or fills a cache."""
    path = tmp_path / "gone.png"
    assert ocr.read_pictures([path], {"name": "none"}, tmp_path / "cache") == {path: ()}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", registry.names("ocr"))
def test_engines_are_cheap_to_make_and_can_be_sent(name):
    """An engine whose models load before the cache was asked, or that no worker can build."""
    import pickle

    engine = registry.build("ocr", {"name": name})
    assert engine.version is None or engine.version.split()[-1][0].isdigit()
    assert pickle.loads(pickle.dumps(engine)).version == engine.version
    assert len(pickle.dumps(engine)) < 2000


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_killed_parent_leaves_no_workers_and_keeps_what_was_read(paths, component, tmp_path):
    """Orphans that hold a model each after the parent was killed for memory."""
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, time\nfrom pathlib import Path\nfrom kd_rag.ocr._pool import read_all\n"
        "if __name__ == '__main__':\n"
        f"    for path, _ in read_all({component!r}, [Path(p) for p in sys.argv[1:]], 2):\n"
        "        print('read', flush=True)\n        time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, str(program), *map(str, paths)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout.readline() == b"read\n"
        workers = [
            int(stat.parent.name)
            for stat in Path("/proc").glob("[0-9]*/stat")
            if _state_and_parent(stat)[1] == str(parent.pid) and b"spawn_main" in (stat.parent / "cmdline").read_bytes()
        ]
        assert len(workers) == 2
        parent.send_signal(signal.SIGKILL)
    for _ in range(100):
        stats = [stat for pid in workers if (stat := Path(f"/proc/{pid}/stat")).exists()]
        if all(_state_and_parent(stat)[0] == "Z" for stat in stats):
            return
        time.sleep(0.1)
    pytest.fail(f"{stats} outlive their parent")


def _state_and_parent(stat):
    try:
        return stat.read_text().rpartition(") ")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):  # it ended while we looked
        return "Z", "0"
