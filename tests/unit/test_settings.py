"""One list of options: arguments, the environment, mothlight.toml, the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from mothlight import App, DefinitionError, Settings, method, service
from mothlight import settings as module
from mothlight.cli import Refused, find_app


@service
class Small:
    @method
    def say(self, x: int) -> int:
        return x


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_defaults() -> None:
    settings = Settings()
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8000, 1)
    assert settings.keep_alive == 75
    assert settings.cors == ()


def test_arguments_go_before_the_environment_and_that_before_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "mothlight.toml").write_text('port = 1\nworkers = 2\nmax_queue = 3\nhost = "::"\n')
    monkeypatch.setenv("MOTHLIGHT_WORKERS", "20")
    monkeypatch.setenv("MOTHLIGHT_MAX_QUEUE", "30")
    settings = Settings(max_queue=300)
    assert (settings.host, settings.port) == ("::", 1)
    assert (settings.workers, settings.max_queue) == (20, 300)


def test_origins_are_a_list(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origins = ("https://a.example", "https://b.example")
    assert Settings(cors="https://a.example, https://b.example").cors == origins  # type: ignore[arg-type]
    assert Settings(cors=origins).cors == origins
    monkeypatch.setenv("MOTHLIGHT_CORS", ",".join(origins))
    assert Settings().cors == origins
    monkeypatch.setenv("MOTHLIGHT_CORS", "")
    assert Settings().cors == (), "an origin of no name is none"
    monkeypatch.delenv("MOTHLIGHT_CORS")
    (folder / "mothlight.toml").write_text(f"cors = {list(origins)}\n")
    assert Settings().cors == origins


@pytest.mark.parametrize(
    "origin",
    ["*", "null", "http://localhost:5000", "https://xn--bcher-kva.example", "http://[::1]:8080",
     "capacitor://localhost", "https://a_b.example:8443", "http://10.0.0.1:443"],
)  # fmt: skip
def test_an_origin_is_as_browsers_send_it(origin: str) -> None:
    assert Settings(cors=(origin,)).cors == (origin,)


@pytest.mark.parametrize(
    "origin",
    ["app.example", "https://app.example/", "https://*.app.example", "https://App.example",
     "https://app.example:443", "http://app.example:80", "https://app.example/page", "https://",
     "https://me@app.example", "https://bücher.example", "https://app.example https://b.example"],
)  # fmt: skip
def test_an_origin_that_no_browser_sends_is_refused(origin: str) -> None:
    with pytest.raises(ValidationError, match="as browsers send it") as caught:
        Settings(cors=("https://right.example", origin))
    assert repr(origin) in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [{"port": 70_000}, {"workers": -1}, {"grace": -1}, {"timeout": 0}, {"max_body": 0},
     {"colour": "red"}, {"max_depth": 0}, {"drain": "inf"}, {"keep_alive": "inf"}, {"device": ""}],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(wrong: dict[str, object]) -> None:
    (name,) = wrong
    with pytest.raises(ValidationError, match=name):
        Settings(**wrong)  # type: ignore[arg-type]


def test_a_wrong_line_of_the_file_is_named(folder: Path) -> None:
    (folder / "mothlight.toml").write_text("colour = 1\n")
    with pytest.raises(ValidationError, match="colour"):
        Settings()


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1


def test_an_app_takes_settings_and_may_be_deployed_otherwise() -> None:
    app = App(Small, workers=0, port=5, max_queue=7)
    assert (app.settings.workers, app.settings.port) == (0, 5)
    other = app.with_settings(port="9")
    assert (other.settings.port, other.settings.workers, other.settings.max_queue) == (9, 0, 7)
    assert app.with_settings() is app
    assert App(Small, settings=Settings(workers=0)).settings.workers == 0


MODULE = """
import mothlight
@mothlight.service
class Small:
    @mothlight.method
    def say(self, x: int) -> int: return x
@mothlight.service
class Other:
    @mothlight.method
    def say(self, x: int) -> int: return x
app = mothlight.App(Small, workers=0, port=5)
plain = 3
"""


def test_the_command_line_goes_before_the_apps_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "served_here.py").write_text(MODULE)
    monkeypatch.setenv("MOTHLIGHT_MAX_QUEUE", "30")
    app = find_app("served_here:app", {"port": "9", "cors": "*"})
    assert (app.settings.port, app.settings.workers) == (9, 0)
    assert (app.settings.max_queue, app.settings.cors) == (30, ("*",))
    assert [s.name for s in find_app("served_here.py", {}).services] == ["Small"]
    assert [s.name for s in find_app("served_here:Other", {}).services] == ["Other"]
    with pytest.raises(Refused, match=r"has no 'Nix'; its services are Small, Other"):
        find_app("served_here:Nix", {})
    with pytest.raises(DefinitionError, match=r"these settings do not fit \(.*\):\n  port: "):
        find_app("served_here:app", {"port": "many"})


def test_an_app_names_the_setting_that_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DefinitionError, match=r"worker: there is no such setting; is it workers\?"):
        App(Small, worker=2)
    monkeypatch.setenv("MOTHLIGHT_PORT", "tcp://10.0.0.1:80")
    with pytest.raises(DefinitionError, match=r"port: .*Kubernetes sets that .* called mothlight"):
        App(Small)


def test_a_variable_that_is_nearly_a_setting_is_warned_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MOTHLIGHT_WORKER", "2")
    monkeypatch.setenv("MOTHLIGHT_SERVICE_HOST", "10.0.0.1")  # what Kubernetes sets
    module._look_at.cache_clear()
    module.read()
    module.read()
    assert caplog.messages == ["MOTHLIGHT_WORKER is no setting; is it MOTHLIGHT_WORKERS?"]
