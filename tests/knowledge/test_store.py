import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kd_rag.knowledge import verify
from kd_rag.knowledge.collection import PassageIndex
from kd_rag.knowledge.content import PIECE_OF
from kd_rag.knowledge.lock import sole_writer
from kd_rag.knowledge.store import KnowledgeBase, add_passages
from kd_rag.types import InputError, Passage
from tests.knowledge.doubles import make_passages, word_embedder


def open_index(folder):
    return PassageIndex.open(str(folder / "chroma"))


ROOT = Path(__file__).resolve().parents[2]
COAT = Passage("coat", "product", "Rain coat", "Keeps the rain out.", {"price": 20, "sizes": ["S", "M"], "stock": None})
POST = Passage("post", "policy", "Delivery", "Parcels come in three days.")


def test_passages_come_back_as_they_went_in(tmp_path):
    add_passages(tmp_path, word_embedder(), [POST, COAT])
    knowledge = KnowledgeBase.open(tmp_path, word_embedder())
    assert knowledge.passages == (COAT, POST)
    assert knowledge.vectors.shape == (2, 64)


def test_an_empty_knowledge_base_is_refused(tmp_path):
    """Every prompt would go without passages, and nothing would say so."""
    add_passages(tmp_path, word_embedder(), [])
    with pytest.raises(InputError, match="the knowledge base is empty"):
        KnowledgeBase.open(tmp_path, word_embedder())


def test_unchanged_passages_are_not_encoded_again(tmp_path):
    passages = make_passages(20)
    first = add_passages(tmp_path, word_embedder(), passages)
    embedder = word_embedder()
    again = add_passages(tmp_path, embedder, passages)
    assert embedder.model.batches == []
    assert (first.added, first.unchanged, first.total) == (20, 0, 20)
    assert (again.added, again.replaced, again.unchanged, again.total) == (0, 0, 20, 20)
    assert again.snapshot == first.snapshot


def test_a_changed_passage_is_replaced_as_a_whole(tmp_path):
    """Chroma's `add` keeps the old row in silence, and its `upsert` keeps metadata keys that are gone."""
    add_passages(tmp_path, word_embedder(), [COAT, POST])
    changed = dataclasses.replace(COAT, text="Keeps nothing out.", metadata={"price": 5})
    changes = add_passages(tmp_path, word_embedder(), [changed, POST])
    assert (changes.added, changes.replaced, changes.unchanged, changes.total) == (0, 1, 1, 2)
    knowledge = KnowledgeBase.open(tmp_path, word_embedder())
    assert knowledge.passages == (changed, POST)
    np.testing.assert_allclose(knowledge.vectors[0], word_embedder().encode_passages([changed])[0], atol=1e-6)


def test_the_snapshot_names_the_contents_and_the_embedder_and_nothing_else(tmp_path):
    """A cache keyed by it would serve old answers, or none."""
    passages = make_passages(5)

    def snapshot(name, *rounds, fingerprint="words"):
        embedder = word_embedder(fingerprint=fingerprint)
        for passages in rounds:
            changes = add_passages(tmp_path / name, embedder, passages)
        assert KnowledgeBase.open(tmp_path / name, embedder).snapshot == changes.snapshot
        return changes.snapshot

    first = snapshot("first", passages)
    assert snapshot("order", passages[:2], passages[::-1]) == first
    renamed = [dataclasses.replace(passages[0], id="other"), *passages[1:]]
    retitled = [dataclasses.replace(passages[0], title="other"), *passages[1:]]
    marked = [dataclasses.replace(passages[0], metadata={"row": 9}), *passages[1:]]
    others = [snapshot(str(i), p) for i, p in enumerate([passages[1:], renamed, retitled, marked])]
    others.append(snapshot("encoder", passages, fingerprint="other words"))
    assert len({first, *others}) == 6


def test_more_passages_than_one_batch(tmp_path):
    embedder, passages = word_embedder(), make_passages(1100)
    assert add_passages(tmp_path, embedder, passages).total == 1100
    knowledge = KnowledgeBase.open(tmp_path, embedder)
    assert list(knowledge.passages) == passages
    np.testing.assert_allclose(knowledge.vectors, embedder.encode_passages(passages), atol=1e-6)


KILLED = """
import importlib, json, os, signal, sys
from pathlib import Path
import chromadb
from kd_rag.knowledge import store
from tests.knowledge.doubles import make_passages, word_embedder

def die_at(call):
    place, _, number = call.partition("@")
    module, name = place.split(":")
    owner = importlib.import_module(module)
    *path, name = name.split(".")
    for part in path: owner = getattr(owner, part)
    function, calls = getattr(owner, name), []
    def counted(*arguments, **options):
        calls.append(name)
        if len(calls) == int(number or 1): os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    setattr(owner, name, counted)

for folder, moment in json.loads(sys.argv[1]).items():
    child = os.fork()
    if not child:
        texts = moment if isinstance(moment, int) else die_at(moment)
        store.add_passages(Path(folder), word_embedder(dies_at_text=texts), make_passages(1300), prune=True)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9, moment
"""


def kill_in(moments):
    """Ingest 1,300 passages into folders, each in a process that is killed with SIGKILL at its moment.

    A moment is a number of texts that were encoded, or `module:function@n`, its nth call.
    """
    command = [sys.executable, "-c", KILLED, json.dumps({str(folder): moment for folder, moment in moments.items()})]
    subprocess.run(command, cwd=ROOT, check=True)


WRITE = "kd_rag.knowledge.collection:PassageIndex.write"
MOMENTS = {
    "before the first vectors": (10, 0),
    "between two appends": (800, 512),
    "while vectors are written": ("kd_rag.knowledge.vectors:write_whole", 0),
    "before the state is written": ("kd_rag.knowledge.manifest:Manifest.commit", 1300),
    "between the state's two files": ("kd_rag.knowledge.manifest:_npy", 1300),
    "before the index is opened": ("kd_rag.knowledge.store:update_index", 1300),
    "before the index has a row": (WRITE, 1300),
    "when the index has 512 rows": (f"{WRITE}@2", 1300),
    "when the index has written its graph": (f"{WRITE}@3", 1300),
    "before 200 rows are deleted": ("chromadb.api.models.Collection:Collection.delete", 1300),
    "when 512 rows are replaced": (f"{WRITE}@2", 1300),
}
FULL_BEFORE = ("before 200 rows are deleted", "when 512 rows are replaced")


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A folder for each moment, as the kill left it; in some, 1,500 other passages were stored before."""
    folders = {name: tmp_path_factory.mktemp("killed") for name in MOMENTS}
    for name in FULL_BEFORE:
        add_passages(folders[name], word_embedder(), make_passages(1500, "hat"))
    kill_in({folders[name]: moment for name, (moment, _) in MOMENTS.items()})
    return folders


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    add_passages(folder, word_embedder(), make_passages(1300))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", MOMENTS)
def test_an_ingestion_killed_at_any_moment_is_finished_by_running_it_again(killed, whole, name):
    finished = add_passages(killed[name], word_embedder(), make_passages(1300), prune=True)
    assert finished.encoded == 1300 - MOMENTS[name][1]
    bases = [KnowledgeBase.open(folder, word_embedder()) for folder in (killed[name], whole)]
    assert finished.snapshot == bases[1].snapshot
    assert bases[0].passages == bases[1].passages
    np.testing.assert_array_equal(bases[0].vectors, bases[1].vectors)
    assert verify.find_faults(killed[name]) == []
    if name not in FULL_BEFORE:
        names = [sorted(p.name for p in folder.iterdir()) for folder in (killed[name], whole)]
        assert names[0] == names[1]  # nothing half written is left over


@pytest.mark.slow
def test_readers_see_the_last_whole_ingestion_whatever_became_of_a_later_one(tmp_path):
    """A knowledge base that holds three in a hundred passages answers every query, and wrongly."""
    first = add_passages(tmp_path, word_embedder(), make_passages(10))
    kill_in({tmp_path: "kd_rag.knowledge.manifest:_npy", tmp_path / "new": 10})
    knowledge = KnowledgeBase.open(tmp_path, word_embedder())
    assert (knowledge.snapshot, len(knowledge.passages)) == (first.snapshot, 10)
    with pytest.raises(InputError, match="not finished: its ingestion was interrupted; run"):
        KnowledgeBase.open(tmp_path / "new", word_embedder())


def test_a_reader_is_not_disturbed_by_later_ingestions(tmp_path):
    add_passages(tmp_path, word_embedder(), make_passages(10))
    knowledge = KnowledgeBase.open(tmp_path, word_embedder())
    before = knowledge.vectors.copy()
    for count in (11, 12, 13):
        add_passages(tmp_path, word_embedder(), make_passages(count))
    np.testing.assert_array_equal(knowledge.vectors, before)


def test_prune_removes_what_is_not_named_and_nothing_else_does(tmp_path):
    add_passages(tmp_path, word_embedder(), make_passages(10))
    kept = add_passages(tmp_path, word_embedder(), make_passages(4))
    assert (kept.removed, kept.total) == (0, 10)
    pruned = add_passages(tmp_path, word_embedder(), make_passages(4), prune=True)
    assert (pruned.removed, pruned.unchanged, pruned.total) == (6, 4, 4)
    assert pruned.snapshot == add_passages(tmp_path / "new", word_embedder(), make_passages(4)).snapshot
    assert len(open_index(tmp_path).hashes()) == 4
    back = add_passages(tmp_path, word_embedder(), make_passages(10))
    assert (back.added, back.encoded) == (6, 0)  # their vectors were kept


def test_a_shorter_version_of_a_long_passage_leaves_no_piece_behind(tmp_path):
    """The old end of a text would be found, and quoted, for ever."""
    pieces = [Passage(f"long#{i}", "faq", "Long", f"part {i}", {PIECE_OF: "long"}) for i in range(3)]
    add_passages(tmp_path, word_embedder(), [POST, *pieces])
    assert add_passages(tmp_path, word_embedder(), pieces[:2]).total == 3
    whole = add_passages(tmp_path, word_embedder(), [Passage("long", "faq", "Long", "short now")])
    assert (whole.total, whole.removed) == (2, 2)
    assert [p.id for p in KnowledgeBase.open(tmp_path, word_embedder()).passages] == ["long", "post"]


def test_a_text_that_occurs_twice_is_encoded_once(tmp_path):
    embedder = word_embedder()
    same = [Passage(str(i), "faq", "", "the same words", {"row": i}) for i in range(700)]
    assert add_passages(tmp_path, embedder, same).encoded == 1
    assert embedder.model.batches == [["the same words"]]
    assert add_passages(tmp_path, embedder, [Passage("x", "review", "", "the same words")]).encoded == 0


def test_a_source_that_is_read_again_takes_back_what_it_no_longer_says(tmp_path):
    """Thirty days and fourteen, both found: the id of an edited passage is another, so that nothing was replaced."""
    thirty, fourteen, shared = (Passage(text, "policy", "", text) for text in ("thirty", "fourteen", "shared"))

    def ingest(*passages, source, folder="kb", **options):
        ids = {source: [p.id for p in passages if p is not POST]}
        return add_passages(tmp_path / folder, word_embedder(), passages, made_ids=ids, **options)

    ingest(thirty, shared, POST, source="a.md")
    ingest(shared, source="b.md")
    edited = ingest(fourteen, source="a.md")
    assert (edited.added, edited.removed, edited.total) == (1, 1, 3)  # b.md says `shared` too; POST has its own id
    knowledge = KnowledgeBase.open(tmp_path / "kb", word_embedder())
    assert {p.id for p in knowledge.passages} == {"fourteen", "shared", "post"}
    assert ingest(fourteen, shared, POST, source="c.md", folder="other").snapshot == edited.snapshot
    assert ingest(COAT, source="b.md").removed == 1
    moved = ingest(fourteen, source="moved.md")
    assert (moved.unchanged, moved.removed) == (1, 0)
    assert ingest(COAT, source="a.md").removed == 0  # moved.md says it now
    assert ingest(fourteen, source="moved.md", prune=True).total == 1


def test_a_source_that_is_read_again_leaves_no_piece_behind(tmp_path):
    pieces = [Passage(f"long#{i}", "faq", "Long", f"part {i}", {PIECE_OF: "long"}) for i in range(3)]
    add_passages(tmp_path, word_embedder(), [*pieces, POST], made_ids={"a.md": ["long"]})
    changes = add_passages(tmp_path, word_embedder(), [COAT], made_ids={"a.md": []})
    assert (changes.removed, changes.total) == (3, 2)


@pytest.mark.parametrize("first", [[], [Passage("long#0", "faq", "", "short")]], ids=["in one run", "in two"])
def test_a_piece_with_the_id_of_another_passage_is_refused(tmp_path, first):
    """One of the two would be lost, and nothing would say so."""
    piece = Passage("long#0", "faq", "Long", "part 0", {PIECE_OF: "long"})
    add_passages(tmp_path, word_embedder(), [POST, *first])
    with pytest.raises(InputError, match="passage 'long#0': a piece of the long passage 'long' has the same id"):
        add_passages(tmp_path, word_embedder(), [piece] if first else [piece, Passage("long#0", "faq", "", "short")])
    assert len(KnowledgeBase.open(tmp_path, word_embedder()).passages) == 1 + len(first)


@pytest.mark.parametrize("content", ['{"format": 1, "chunker": ""}', '{"format": 1, "colour": ""}', "{"])
def test_a_damaged_manifest_is_named(tmp_path, content):
    add_passages(tmp_path, word_embedder(), [POST])
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(InputError, match=r"manifest\.json: (is damaged|cannot be read) .*; ingest all sources into"):
        add_passages(tmp_path, word_embedder(), [POST])


def test_another_way_of_chunking_is_refused_with_both(tmp_path):
    add_passages(tmp_path, word_embedder(), [COAT], chunker="pieces of 9 tokens")
    with pytest.raises(InputError, match=r"made as pieces of 9 tokens, but the configuration says pieces of 8"):
        add_passages(tmp_path, word_embedder(), [COAT], chunker="pieces of 8 tokens")


def test_another_embedder_is_refused_with_both_names(tmp_path):
    """Chroma accepts another model of the same width, and every neighbour is wrong."""
    add_passages(tmp_path, word_embedder(fingerprint="the old one"), [COAT])
    newer = word_embedder(fingerprint="the new one")
    for attempt in (lambda: KnowledgeBase.open(tmp_path, newer), lambda: add_passages(tmp_path, newer, [POST])):
        with pytest.raises(InputError, match=r"made by the old one, but knowledge\.embedder is the new one; .*path"):
            attempt()


def test_no_knowledge_base_names_the_command_that_makes_one(tmp_path):
    with pytest.raises(InputError, match="python -m kb_builder ingest"):
        KnowledgeBase.open(tmp_path / "absent", word_embedder())
    assert not (tmp_path / "absent").exists()


def test_a_store_that_another_program_made_is_refused(tmp_path):
    (tmp_path / "chroma.sqlite3").write_bytes(b"")
    with pytest.raises(InputError, match="that kb_builder did not make"):
        add_passages(tmp_path, word_embedder(), [COAT])
    (tmp_path / "manifest.json").write_text('{"format": 99}')
    with pytest.raises(InputError, match="of another program or version"):
        KnowledgeBase.open(tmp_path, word_embedder())


def test_a_file_in_the_place_of_the_folder_is_the_users_fault(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        add_passages(tmp_path / "file", word_embedder(), [COAT])


@pytest.mark.parametrize("name", ["passages", "vectors"])
def test_a_damaged_file_is_refused_with_the_command_that_repairs(tmp_path, name):
    """One flipped bit in a vector is another neighbour, and no error."""
    add_passages(tmp_path, word_embedder(), make_passages(20))
    (file,) = tmp_path.glob(f"{name}-*")
    content = bytearray(file.read_bytes())
    content[-9] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}-.* is damaged or missing; repair with: .*verify --repair"):
        KnowledgeBase.open(tmp_path, word_embedder())


def test_a_lost_index_costs_readers_nothing_and_comes_back_with_the_next_ingestion(tmp_path):
    add_passages(tmp_path, word_embedder(), make_passages(20))
    shutil.rmtree(tmp_path / "chroma")
    assert len(KnowledgeBase.open(tmp_path, word_embedder()).passages) == 20
    assert add_passages(tmp_path, word_embedder(), make_passages(20)).unchanged == 20
    assert len(open_index(tmp_path).hashes()) == 20


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small file system, and not everywhere")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_loses_nothing_and_is_named(tmp_path, small_disk):
    folder = small_disk / "kb"
    first = add_passages(folder, word_embedder(), make_passages(200))
    filler = small_disk / "filler"
    filler.write_bytes(bytes(os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize - 200_000))
    with pytest.raises(InputError, match=r"small/kb.*(cannot be written \(No space left|index cannot be used)"):
        add_passages(folder, word_embedder(), make_passages(1500))
    knowledge = KnowledgeBase.open(folder, word_embedder())
    assert knowledge.snapshot == first.snapshot
    filler.unlink()
    larger = tmp_path / "larger"
    shutil.copytree(folder, larger)
    finished = add_passages(larger, word_embedder(), make_passages(1500))
    assert finished.snapshot == add_passages(tmp_path / "whole", word_embedder(), make_passages(1500)).snapshot
    assert verify.find_faults(larger) == []


def test_a_second_writer_is_refused_and_told_who_the_first_is(tmp_path):
    """Two writers destroy a Chroma store, and both report success."""
    script = (
        "import sys; from pathlib import Path\n"
        "from kd_rag.knowledge.lock import sole_writer\n"
        "with sole_writer(Path(sys.argv[1])): print('locked', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "locked\n"
        with pytest.raises(InputError, match=f"process {first.pid} is writing"):
            add_passages(tmp_path, word_embedder(), [COAT])
        first.kill()
    assert add_passages(tmp_path, word_embedder(), [COAT]).added == 1


def test_the_lock_is_free_again_after_an_error(tmp_path):
    def fail():
        with sole_writer(tmp_path):
            assert (tmp_path / "writer.lock").read_text() == str(os.getpid())
            raise RuntimeError("disk full")

    for _ in range(2):
        with pytest.raises(RuntimeError, match="disk full"):
            fail()
