"""The configuration: checked whole, refused with the file and the key, changed by overrides."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pydantic
import pytest

from helpers.support import config_with, values_with
from iterdeploy.config import RunConfig
from iterdeploy.config_file import config_names, find_config, load, load_config, read_toml
from iterdeploy.curation.named import find_policies
from iterdeploy.pretraining.config import PretrainConfig
from iterdeploy.sections import ConfigError, Section, parse_sizes

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("generation", 3),
        ("tasks.deploid", 5),
        ("training.lr", 0.1),
        ("sampling.min_p", 0.1),
        ("model.revision", "main"),
    ],
)
def test_an_unknown_key_is_refused_by_name(tiny_config: Write, key: str, value: object) -> None:
    path = tiny_config({key: value})
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(path) in str(caught.value) and f"{key}: no such key" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("generations", "many"),
        ("generations", "2"),
        ("generations", True),
        ("generations", -1),
        ("generations", 2.5),
        ("seed", "5"),
        ("model.name", 7),
        ("model.dtype", "float8"),
        ("model.device", "tpu"),
        ("tasks.sizes", [2, 3]),
        ("tasks.sizes", True),
        ("tasks.sizes", "small"),
        ("tasks.sizes", "5-3"),
        ("tasks.deployed", 0),
        ("tasks.deployed", "12"),
        ("tasks.held_out", -1),
        ("tasks.fresh", "yes"),
        ("tasks.domains", "blocksworld"),
        ("tasks.domains", [1]),
        ("sampling.temperature", 0),
        ("sampling.temperature", float("inf")),
        ("sampling.temperature", float("nan")),
        ("sampling.samples", 0),
        ("sampling.max_truncated", 1.5),
        ("training.learning_rate", float("inf")),
        ("training.learning_rate", 0),
        ("training.method", "qlora"),
        ("training.start_from", "middle"),
        ("training.validation_share", 1.0),
        ("training.bf16", 1),
        ("curation.policies", "valid"),
    ],
)
def test_a_wrong_type_or_value_is_refused_by_key(tiny_config: Write, key: str, value: object) -> None:
    path = tiny_config({key: value})
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(path) in str(caught.value) and key in str(caught.value)


@pytest.mark.parametrize("key", ["tasks", "training", "training.learning_rate", "tasks.deployed", "tasks.held_out"])
def test_a_missing_required_key_is_named(tiny_config: Write, key: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: this key is required"):
        load_config(tiny_config({key: None}))


def test_all_errors_are_reported_at_once(tiny_config: Write) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(tiny_config({"generations": "x", "tasks.sizes": "x", "training.lr": 1}))
    assert all(key in str(caught.value) for key in ("generations", "tasks.sizes", "training.lr"))


def test_what_is_not_toml_not_text_or_not_a_file_is_refused_by_name(tmp_path: Path) -> None:
    broken, binary = tmp_path / "broken.toml", tmp_path / "binary.toml"
    broken.write_text("generations = = 3\n")
    binary.write_bytes(b"seed = \xff\xfe\n")
    for path, words in ((broken, "not valid TOML"), (binary, "UTF-8"), (tmp_path / "none.toml", "cannot be read")):
        with pytest.raises(ConfigError, match=words) as caught:
            read_toml(path)
        assert str(path) in str(caught.value)


def test_overrides_are_toml_values_or_plain_text(tiny_config: Write) -> None:
    config = load_config(
        tiny_config(),
        [
            "training.epochs=3",
            "model.name=mine",
            "tasks.fresh = true",
            'curation.policies=["all", "at_most(2)"]',
            "sampling.temperature=0.7",
            "tasks.sizes=2-3",
            "description=two words",
        ],
    )
    assert config.training.epochs == 3
    assert config.model.name == "mine"
    assert config.tasks.fresh is True
    assert config.curation.policies == ("all", "at_most(2)")
    assert config.sampling.temperature == 0.7
    assert config.tasks.sizes == "2-3"
    assert load_config(tiny_config(), ["tasks.sizes=3"]).tasks.sizes == "3"
    assert config.description == "two words"


@pytest.mark.parametrize("override", ["training.epochs", "=3", "training.epochs=0", "training.epoch=3", "seed.x=1"])
def test_a_bad_override_is_refused(tiny_config: Write, override: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(tiny_config(), [override])
    assert override.partition("=")[0] in str(caught.value)


def test_parse_sizes() -> None:
    assert parse_sizes("2-4,7") == (2, 3, 4, 7)
    assert parse_sizes(" 3 , 5 - 6 ") == (3, 5, 6)
    for text in ("", "2-", "-3", "a", "2..4", "4-2", "2,,3", "1.5", "2-99999999999"):
        with pytest.raises(ValueError, match=r"size"):
            parse_sizes(text)


def test_differences_name_every_key_with_both_values_and_nothing_else() -> None:
    before = config_with()
    after = config_with({"training.epochs": 4, "curation.policies": ["all"], "model.name": "other"})
    assert before.differences(config_with()) == []
    assert before.differences(after) == [
        'curation.policies: ["valid", "best_per_task"], now ["all"]',
        'model.name: "blocksworld-1m", now "other"',
        "training.epochs: 1, now 4",
    ]


def test_a_configuration_is_frozen() -> None:
    config = config_with()
    with pytest.raises(pydantic.ValidationError):
        config.tasks.deployed = 99  # type: ignore[misc]


def test_values_survive_the_way_through_json_and_back() -> None:
    config = config_with({"tasks.fresh": True, "curation.policies": ["all", "sample(0.5)"]})
    assert RunConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize("name", config_names())
def test_every_packaged_configuration_is_sound(name: str) -> None:
    path = find_config(name)
    load(PretrainConfig if "demonstrations" in read_toml(path) else RunConfig, path)


def test_a_packaged_configuration_is_found_by_name_and_a_file_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_config("smoke").parent.name == "configs"
    Path("smoke").write_text("")
    assert find_config("smoke") == Path("smoke")
    with pytest.raises(ConfigError, match=r"nosuch.*smoke"):
        find_config("nosuch")
    with pytest.raises(ConfigError, match=r"smoke\.toml: no such file"):
        find_config("smoke.toml")


def test_the_minuscule_configuration_of_these_tests_is_read_as_written() -> None:
    values, config = values_with(), config_with()
    assert config.tasks.deployed == values["tasks"]["deployed"] and config.model.threads == 1


def test_a_file_that_extends_another_is_that_one_with_some_keys_changed(tiny_config: Write, tmp_path: Path) -> None:
    base = tiny_config()
    for name, extended in (("twin", base.name), ("twin-of-twin", "twin.toml")):
        lines = [f'extends = "{extended}"', "[training]", "epochs = 7", "[curation]", 'policies = ["all"]']
        (base.parent / f"{name}.toml").write_text("\n".join(lines), encoding="utf-8")
        expected = load_config(base, ["training.epochs=7", 'curation.policies=["all"]'])
        assert load_config(base.parent / f"{name}.toml") == expected != load_config(base)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('extends = "absent.toml"', "absent.toml: cannot be read"),
        ('extends = "circle.toml"', "circle.toml: extends must name one other file"),
        ("extends = 3", "extends must name one other file that does not extend this one, not 3"),
    ],
)
def test_a_file_that_extends_nothing_that_can_be_read_is_refused(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "circle.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "circle.toml")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('extends = "a\\u0000b.toml"', "no such file"),
        ('extends = "pipe"', "pipe: cannot be read: it is not a file"),
        ('extends = "."', "cannot be read: it is not a file"),
        ('extends = "tiny.toml"', "does not extend this one"),
        ('extends = "chain-0.toml"', "more than 20 files extend each other"),
        (f"seed = {'9' * 5000}", "a number is too long"),
        (f"seed = 0x{'f' * 5000}", "seed: a whole number must fit into 64 bits"),
        (f"seed = {2**63}", "seed: a whole number must fit into 64 bits"),
        (f"seed = {'[' * 50_000}", "brackets are nested too deeply"),
        (f"seed = {'[' * 100}{']' * 100}", "more than 20 deep"),
        (f"{'a.' * 2000}a = 1", "more than 20 deep"),
    ],
)
def test_a_file_that_would_crash_or_stop_its_reader_is_refused(
    tiny_config: Write, tmp_path: Path, text: str, words: str
) -> None:
    path = tiny_config()
    os.mkfifo(tmp_path / "pipe")
    for place in range(1200):
        (tmp_path / f"chain-{place}.toml").write_text(f'extends = "chain-{place + 1}.toml"\n')
    path.write_text(f"{text}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert words in str(caught.value) and str(tmp_path) in str(caught.value)


def test_an_override_replaces_a_table_and_a_file_changes_it_in_part(tiny_config: Write, tmp_path: Path) -> None:
    tiny_config({"tasks.sizes": {"blocksworld": "2", "ferry": "3"}})
    above = tmp_path / "above.toml"
    above.write_text('extends = "tiny.toml"\n[tasks.sizes]\nferry = "4"\n')
    assert load_config(above).tasks.sizes == {"blocksworld": "2", "ferry": "4"}
    assert load_config(above, ['tasks.sizes={ferry = "5"}']).tasks.sizes == {"ferry": "5"}
    assert load_config(above, ["tasks.sizes.ferry='6'"]).tasks.sizes == {"blocksworld": "2", "ferry": "6"}


def test_a_byte_order_mark_is_not_part_of_the_text(tiny_config: Write) -> None:
    path = tiny_config({"seed": 77})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_config(path).seed == 77


@pytest.mark.parametrize(
    "override",
    [
        "training.epochs=3\nfoo=1",
        "training.epochs=3\n[tasks]",
        f"seed={'9' * 5000}",
        f"seed={'[' * 50_000}",
        f"{'a.' * 50_000}a=1",
        f"tasks.sizes{'.a' * 50_000}=1",
        "generations=1000000000000",
        "tasks.deployed=1000000000000000000",
        "tasks.held_out=1000000000000000000",
        "sampling.samples=1000000000000000000",
        "sampling.temperature=1e300",
        "sampling.temperature=1e-300",
        "sampling.max_new_tokens=1000000000000000000",
        "training.learning_rate=1e300",
        "training.epochs=1000000000000000000",
        "training.steps=1000000000000000000",
        "training.processes=1000000",
        "training.weight_decay=1e300",
        "training.lora_rank=1000000000000000000",
        "model.threads=1000000",
        "seed=-1",
        "seed=9000000000000000000",
        "server.address=http://a:99999999",
        "server.address=http://a:b",
        "server.timeout=1e300",
        "validation.timeout=1e300",
        f"tasks.sizes={'9' * 5000}",
        f"curation.policies=['at_most({'9' * 500})']",
    ],
    ids=lambda override: str(override)[:40],
)
def test_an_absurd_override_is_refused_in_one_short_line_that_says_so(tiny_config: Write, override: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_policies(load_config(tiny_config(), [override]).curation.policies)
    said = str(caught.value)
    assert said.startswith(("--set ", "curation.policies: ")) and len(said) < 1000
    assert override.partition("=")[0][:50] in said


def test_no_key_of_a_number_takes_one_that_nobody_could_mean() -> None:
    """Every number of both kinds of configuration is bounded above and below."""
    for model in (RunConfig, PretrainConfig):
        for key, kind, limits in numbers(model):
            assert {"ge", "gt"} & limits and {"le", "lt"} & limits, f"{key} of type {kind} has no bounds"


def numbers(model: type[Section], prefix: str = "") -> Iterator[tuple[str, object, set[str]]]:
    """(key, type, names of its limits) of every key that is a number."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from numbers(field.annotation, f"{prefix}{name}.")
        elif field.annotation in (int, float):
            yield prefix + name, field.annotation, {type(limit).__name__.lower() for limit in field.metadata}


def test_more_answers_than_can_be_held_are_refused_together(tiny_config: Write) -> None:
    with pytest.raises(ConfigError, match=r"20,000,000,600 answers .* lower tasks\.deployed"):
        load_config(tiny_config(), ["tasks.deployed=1000000", "sampling.samples=20000", "tasks.held_out=600"])


def test_who_says_a_wrong_key_is_blamed_for_it(tiny_config: Write, tmp_path: Path) -> None:
    base = tiny_config({"training.lr": 1})
    path = tmp_path / "above.toml"
    path.write_text('extends = "tiny.toml"\n[sampling]\nsample = 3\n')
    with pytest.raises(ConfigError) as caught:
        load_config(path, ["training.epoch=3", "trainign.epochs=3", "temperature=2"])
    said = str(caught.value)
    assert f"{base}: training.lr: no such key" in said
    assert f"{path}: sampling.sample: no such key; did you mean sampling.samples" in said
    assert "--set training.epoch=3: no such key; did you mean training.epochs?" in said
    assert "--set temperature=2: no such key; did you mean sampling.temperature?" in said


def test_an_error_of_keys_together_names_the_overrides_that_take_part(tiny_config: Write) -> None:
    path = tiny_config()
    with pytest.raises(ConfigError) as caught:
        load_config(path, ["training.sharding=full", "seed=3"])
    assert str(caught.value).startswith(f"{path} with --set training.sharding=full: training: ")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("training.epoch", "training.epochs"),
        ("trainign.epochs", "training.epochs"),
        ("epochs", "training.epochs"),
        ("model.temperature", "sampling.temperature"),
        ("generation", "generations"),
        ("sampling.max_tokens", "sampling.max_new_tokens or sampling.max_turns"),
        ("tasks.deploid", "tasks.deployed"),
    ],
)
def test_a_key_that_is_nearly_right_is_answered_with_the_right_one(tiny_config: Write, given: str, meant: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(tiny_config(), [f"{given}=3"])
    assert str(caught.value) == f"--set {given}=3: no such key; did you mean {meant}?"


def test_a_name_that_is_nearly_right_is_answered_with_the_right_one() -> None:
    with pytest.raises(ConfigError, match=r"did you mean quickstart\?"):
        find_config("quikstart")


@pytest.mark.parametrize("said", ["3:30", "24:00", "03:60", "noon", "03:30 ", "03:30:15+02:00"])
def test_a_time_of_day_that_is_none_is_refused(tiny_config: Write, said: str) -> None:
    with pytest.raises(ConfigError, match=r'advance_daily.*reads like "03:30"'):
        load_config(tiny_config({"deployment.advance_daily": said}))
