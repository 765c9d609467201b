"""Pictures that guards make up are not kept among those of the records."""

from kd_rag.commands._models import build_model, picture_store
from kd_rag.commands._training import _guarded
from tests.commands.test_models import EXAMPLES, LORA, settings


def test_guards_leave_no_picture_behind(folders, collator, tmp_path):
    """Blank and swapped pictures would lie on disk for ever, under every model that a run begins with."""
    config = settings(folders["student"], *LORA, "trainer.keep_pictures=true", f"cache_dir={tmp_path}")
    model = build_model(config)
    model.keep_pictures(picture_store(config))
    (batch,) = collator.micro_batches(EXAMPLES, 2)
    assert _guarded(config, model, batch)["student_blanked"] > 0
    assert len(picture_store(config)) == 0
    model(batch.inputs)
    assert len(picture_store(config)) == 1
