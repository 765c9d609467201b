"""A wrong key or type must stop a run at its first second, and say what would be right."""

import pytest

from kd_rag import config, registry
from kd_rag.types import InputError


def test_later_layers_win_and_the_saved_file_repeats_the_run(tmp_path):
    (tmp_path / "a.yaml").write_text("trainer: {epochs: 5, batch_size: 2}\nmodel: {path: here}\n")
    (tmp_path / "b.yaml").write_text("trainer: {epochs: 6}\n")
    loaded = config.load([tmp_path / "a.yaml", tmp_path / "b.yaml"], ["trainer.batch_size=3"])
    assert (loaded.trainer.epochs, loaded.trainer.batch_size) == (6.0, 3)
    config.save(loaded, tmp_path / "saved.yaml")
    assert config.load([tmp_path / "saved.yaml"]) == loaded


def test_a_component_gets_the_options_of_its_member_filled_in():
    loaded = config.load([], ["model.path=x", "ocr.name=rapidocr"])
    assert loaded.ocr["name"] == "rapidocr"
    assert loaded.ocr["min_confidence"] == 0.5


def test_another_member_does_not_inherit_the_options_of_the_former(tmp_path):
    (tmp_path / "a.yaml").write_text("model: {path: x}\nretriever: {name: dense, k: 7}\n")
    assert config.load([tmp_path / "a.yaml"]).retriever["k"] == 7
    assert config.load([tmp_path / "a.yaml"], ["retriever.name=none"]).retriever == {"name": "none"}


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["trainer.learningrate=1"], ["'trainer.learningrate'", "'trainer.learning_rate'"]),
        (["epochs=3"], ["'epochs'", "'trainer.epochs'"]),
        (["trainer.epochs=many"], ["trainer.epochs", "float", "many"]),
        (["trainer.batch_size=1.5"], ["trainer.batch_size", "int", "1.5"]),
        (["run.resume=maybe"], ["run.resume", "bool", "maybe"]),
        (["trainer=3"], ["trainer", "expected a mapping", "3"]),
        (["tasks.intent.labels=3"], ["tasks.intent.labels", "list"]),
        (["tasks.intent.label=[a]"], ["'tasks.intent.label'", "'tasks.intent.labels'"]),
        (["ocr=rapidocr"], ["ocr", "expected a mapping", "'rapidocr'"]),
        (["ocr.name=rapidocrr"], ["'rapidocrr'", "doctr", "did you mean 'rapidocr'"]),
        (["retriever.name=dense", "retriever.kk=1"], ["retriever.kk", "'dense'", "k"]),
        (["retriever.name=dense", "retriever.k=few"], ["retriever.k", "int", "few"]),
        (["ocr.name=no.such.module:Engine"], ["no.such.module:Engine"]),
        (["distill.hidden.layers.1=2"], ["distill.hidden.layers", "expected a list"]),
        (["augment.steps=[{name: corp}]"], ["'corp'", "crop"]),
        (["augment.steps=[{name: crop, areas: 2}]"], ["augment.steps[0].areas", "'crop'"]),
        (["noequals"], ["'noequals'", "key.sub=value"]),
    ],
)
def test_a_wrong_override_names_key_expectation_and_remedy(overrides, parts):
    with pytest.raises(InputError) as error:
        config.load([], ["model.path=x", *overrides])
    for part in parts:
        assert part in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("text", "part"), [("a: [", "is not YAML"), ("- a", "mapping"), ("nonsense: 1", "'nonsense'")])
def test_a_wrong_file_is_named(tmp_path, text, part):
    (tmp_path / "wrong.yaml").write_text(text)
    with pytest.raises(InputError, match=r"wrong\.yaml") as error:
        config.load([tmp_path / "wrong.yaml"])
    assert part in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent.yaml: cannot be read"):
        config.load([tmp_path / "absent.yaml"])


def test_a_required_option_that_is_missing_is_named():
    """A command that needs no model must not ask for one; a command that does must say what is missing."""
    component = config.load([], ["model.name=qwen2_vl"]).model
    with pytest.raises(InputError, match=r"models: 'qwen2_vl' needs the option 'path'"):
        registry.build("models", component)


def test_a_section_that_a_recipe_switched_off_can_be_switched_on_again():
    loaded = config.load([], ["lora=null", "lora.r=4"])
    assert loaded.lora == config.LoraConfig(r=4)
    assert config.load([], ["lora=null"]).lora is None


def test_differences_name_what_two_runs_do_not_share():
    one, other = (config.load([], ["model.path=x", f"trainer.epochs={n}"]) for n in (1, 2))
    assert config.differences(one, other) == {"trainer.epochs": (1.0, 2.0)}


def test_a_member_keeps_what_the_former_declares_alike(tmp_path):
    """`teacher.name=cached` must not forget whom to cache; but another divergence's `beta` is another beta."""
    (tmp_path / "a.yaml").write_text(
        "model: {path: x}\nteacher: {path: runs/t, prompt: {ocr: false}}\n"
        "distill: {divergence: {name: jensen_shannon, beta: 0.1}}\n"
    )
    loaded = config.load([tmp_path / "a.yaml"], ["teacher.name=cached", "distill.divergence.name=alpha_beta"])
    assert loaded.teacher["path"] == "runs/t"
    assert loaded.teacher["prompt"] == {"passages": True, "ocr": False, "descriptions": True}
    assert loaded.distill.divergence == {"name": "alpha_beta", "alpha": 0.2, "beta": 0.7}


def test_denoising_stands_beside_the_options_of_any_engine():
    """A step that is forgotten, or refused, when another engine is named."""
    overrides = ["ocr.denoise.stray=true", "ocr.name=rapidocr", "ocr.limit_side_pixels=320"]
    engine, rest = config.split_ocr(config.load([], overrides, ["ocr"]).ocr)
    assert engine == {
        "name": "rapidocr",
        "min_confidence": 0.5,
        "limit_side_pixels": 320,
        "use_angle_classifier": False,
    }
    assert rest.denoise == config.DenoiseConfig(stray=True)
    assert config.split_ocr(config.Config().ocr) == ({"name": "doctr"}, config.OcrConfig())


def test_an_unknown_step_of_denoising_is_named():
    with pytest.raises(InputError, match=r"ocr\.denoise\.stary: .*stray, duplicates, relevance"):
        config.load([], ["ocr.denoise.stary=true"], ["ocr"])
