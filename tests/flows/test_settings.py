"""Settings: which layer wins, and that what is not known is refused in one line."""

import tomllib
from pathlib import Path

import pytest

from flows.errors import UsageError
from flows.settings import Settings, load
from operators.models import configure

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in ("GRYM_STORE__URI", "GRYM_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def test_flags_win_over_environment_over_file_over_defaults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "grym.toml"
    file.write_text("[infer]\nmax_batch = 2\nqueue_windows = 20\ndeadline_s = 7.5\n")
    monkeypatch.setenv("GRYM_INFER__MAX_BATCH", "3")
    monkeypatch.setenv("GRYM_INFER__QUEUE_WINDOWS", "30")
    settings = load(file, {"infer": {"max_batch": 4}, "listen": {"speed": None}})
    assert settings.infer.max_batch == 4
    assert settings.infer.queue_windows == 30
    assert settings.infer.deadline_s == 7.5
    assert settings.listen.speed == "max"


def test_the_file_may_be_named_by_the_environment_or_lie_in_the_users_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config" / "grym").mkdir(parents=True)
    (tmp_path / "config" / "grym" / "grym.toml").write_text("[infer]\nmax_batch = 5\n")
    assert load().infer.max_batch == 5
    named = tmp_path / "other.toml"
    named.write_text("[infer]\nmax_batch = 6\n")
    monkeypatch.setenv("GRYM_CONFIG", str(named))
    assert load().infer.max_batch == 6


def test_the_default_store_lies_in_the_users_data_folder(tmp_path: Path) -> None:
    assert load().store.uri == str(tmp_path / "data" / "grym" / "grym.db")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"listen": {"spee": "max"}}, "unknown setting listen.spee; known are models, speed"),
        ({"store": {"uri": "nowhere"}}, "expected a path ending in .db or a URI"),
        ({"store": {"uri": "ftp://x"}}, "expected a path ending in .db or a URI"),
        ({"infer": {"max_batch": 0}}, "setting infer.max_batch = 0"),
        ({"listen": {"models": ()}}, "expected at least one model"),
        ({"listen": {"models": ("a", "a")}}, "each model may be named once"),
        ({"listen": {"models": ("a", "b, a")}}, "each model may be named once"),
        ({"listen": {"models": ("a,,b",)}}, "expected names with a comma between"),
        ({"listen": {"speech": "mute"}}, "'off', 'tag' or 'drop-audio'"),
        ({"describe": {"every_min": 0}}, "setting describe.every_min = 0"),
        ({"describe": {"model": "gamma"}}, "setting describe.model = 'gamma': expected one of"),
        ({"models": {"wav2vec": {}}}, "there is no model 'wav2vec': choose one of"),
        ({"models": {"aisfx": {"dtyp": "x"}}}, "unknown setting models.aisfx.dtyp; known are path"),
        ({"nonsense": 1}, "unknown setting nonsense; known are"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused_in_one_line(
    flags: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        load(flags=flags)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRYM_STOER__URI", "x.db")
    with pytest.raises(UsageError, match="unknown setting GRYM_STOER__URI"):
        load()


def test_a_variable_of_the_wrong_form_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRYM_LISTEN__MODELS", "[not json")
    with pytest.raises(UsageError, match="lists and tables are written as JSON"):
        load()


def test_a_file_that_is_missing_or_no_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        load(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[store\n")
    with pytest.raises(UsageError, match="is not TOML"):
        load(broken)


def test_a_secret_is_never_shown() -> None:
    settings = load(flags={"store": {"token": "root:hunter2"}})
    assert "hunter2" not in str(settings.masked())
    assert "hunter2" not in repr(settings)
    inside = load(flags={"store": {"uri": "http://root:hunter2@host:19530"}})
    assert inside.masked()["store"]["uri"] == inside.shown_uri == "http://***@host:19530"
    with pytest.raises(UsageError) as caught:
        load(flags={"store": {"token": ["root:hunter2"]}})
    assert "hunter2" not in str(caught.value)


def test_the_example_file_states_the_defaults() -> None:
    text = (ROOT / "deploy" / "grym.example.toml").read_text(encoding="utf-8")
    stated = Settings(**tomllib.loads(text))
    assert stated.model_dump(exclude={"models"}) == Settings().model_dump(exclude={"models"})
    for name, told in stated.models.items():
        options = told.model_dump(exclude_none=True, exclude={"path"})
        assert configure(name, **options) == configure(name)


def test_models_with_commas_between_them_are_a_ladder() -> None:
    told = load(flags={"listen": {"models": ("wav2vec2, aisfx,logmel", "clap")}})
    assert told.listen.ladders == (("wav2vec2", "aisfx", "logmel"), ("clap",))
