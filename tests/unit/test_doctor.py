"""`mothlight doctor`: a fresh project is clean, and whatever is taken out of it is found."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mothlight import cli
from mothlight.flutter.doctor import Finding, examine
from mothlight.flutter.project import create

MAIN = "android/app/src/main/AndroidManifest.xml"
DEBUG = "android/app/src/debug/AndroidManifest.xml"
NETWORK = "android/app/src/debug/res/xml/network_security_config.xml"
INFO = "ios/Runner/Info.plist"
SANDBOX = "macos/Runner/DebugProfile.entitlements"
RELEASE = "macos/Runner/Release.entitlements"
TOML = "../mothlight.toml"
DEBUG_CONFIG = ' android:networkSecurityConfig="@xml/network_security_config"'
CLIENT = "\t<key>com.apple.security.network.client</key>\n\t<true/>\n"
FILES = "\t<key>com.apple.security.files.user-selected.read-only</key>\n\t<true/>\n"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("doctor") / "my_app"
    create(path)
    return path


@pytest.fixture
def app(fresh: Path, tmp_path: Path) -> Path:
    shutil.copytree(fresh, tmp_path / "my_app")
    return tmp_path / "my_app" / "app"


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text, f"{old!r} is not in {file}"
    file.write_text(text.replace(old, new), "utf-8")


def only(app: Path, file: str) -> Finding:
    findings = examine(app)
    assert len(findings) == 1, findings
    assert findings[0].file.resolve() == (app / file).resolve()
    return findings[0]


def test_a_fresh_project_is_clean(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert examine(app) == []
    assert cli.main(["doctor", str(app)]) == 0
    assert capsys.readouterr().out == "All is well: android, ios, macos, web.\n"


def test_an_app_without_platforms_is_told_how_it_gets_them(
    app: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for platform in ("android", "ios", "macos", "web"):
        shutil.rmtree(app / platform)
    assert cli.main(["doctor", str(app)]) == 0
    assert "flutter create ." in capsys.readouterr().out


def test_a_file_that_is_not_there_and_one_that_is_broken_have_their_own_mends(app: Path) -> None:
    (app / MAIN).write_text("<manifest>")
    assert only(app, MAIN).mend.startswith("mend it, or take it")
    (app / MAIN).unlink()
    missing = only(app, MAIN)
    assert (missing.reason, missing.mend[:7]) == ("it is not there", "take it")


TAKEN = [
    (MAIN, "android.permission.INTERNET", "android.permission.VIBRATE", "permission.INTERNET"),
    (MAIN, "<application\n", f"<application{DEBUG_CONFIG}\n", "src/debug"),
    (INFO, "NSCameraUsageDescription", "NSOther", "NSCameraUsageDescription</key>"),
    (INFO, "NSPhotoLibraryUsageDescription", "NSOther", "NSPhotoLibraryUsageDescription</key>"),
    (INFO, "To shoot a photo for the model to look at.", " ", "NSCameraUsageDescription</key>"),
    (SANDBOX, CLIENT, "", "network.client</key><true/>"),
    (RELEASE, CLIENT, "", "network.client</key><true/>"),
    (RELEASE, "client</key>\n\t<true/>", "client</key>\n\t<false/>", "network.client</key><true/>"),
    (SANDBOX, FILES, "", "files.user-selected.read-only</key><true/>"),
    (RELEASE, FILES, "", "files.user-selected.read-only</key><true/>"),
    ("pubspec.yaml", "  mothlight:\n    path: ../packages/mothlight\n", "", "mothlight: {path:"),
    ("pubspec.yaml", "../packages/my_app_api", "../packages/other", "-o packages/other"),
]

HARMLESS = [
    (MAIN, "<application\n", '<application android:usesCleartextTraffic="true"\n', "remove"),
    (DEBUG, DEBUG_CONFIG, "", '"@xml/network_security_config"'),
    (DEBUG, 'android.permission.ACCESS_LOCAL_NETWORK"', 'android.permission.VIBRATE"', "LOCAL"),
    (NETWORK, ">10.0.2.2<", ">10.0.2.3<", ">10.0.2.2</domain>"),
    (NETWORK, ">127.0.0.1<", "><", ">127.0.0.1</domain>"),
    (NETWORK, ">localhost<", ">example.com<", ">localhost</domain>"),
    (INFO, "NSAllowsLocalNetworking</key>\n\t\t<true/>", "NSAllows</key>\n\t\t<true/>", "<true/>"),
    (INFO, "NSLocalNetworkUsageDescription", "NSOther", "NSLocalNetworkUsageDescription</key>"),
]


@pytest.mark.parametrize(("file", "old", "new", "mend"), TAKEN)
def test_what_is_taken_out_is_found(app: Path, file: str, old: str, new: str, mend: str) -> None:
    edit(app / file, old, new)
    finding = only(app, file)
    assert mend in finding.mend
    assert not finding.is_hint
    assert cli.main(["doctor", str(app)]) == 1


@pytest.mark.parametrize(("file", "old", "new", "mend"), HARMLESS)
def test_what_dart_does_without_is_a_hint(
    app: Path, file: str, old: str, new: str, mend: str
) -> None:
    edit(app / file, old, new)
    finding = only(app, file)
    assert mend in finding.mend
    assert finding.is_hint
    assert cli.main(["doctor", str(app)]) == 0


def test_loads_from_anywhere_are_a_hint_too(app: Path) -> None:
    edit(app / INFO, "<key>NSAllowsLocalNetworking</key>", "<key>NSAllowsArbitraryLoads</key>")
    missing, given = examine(app)
    assert missing.is_hint
    assert given.is_hint
    assert "NSAllowsArbitraryLoads" in given.mend


def test_only_ios_words_for_the_network_are_not_asked_for(app: Path) -> None:
    edit(app / INFO, "NSLocalNetworkUsageDescription", "NSOther")
    assert "ends the app" not in only(app, INFO).reason


def test_a_config_for_all_builds_is_as_good(app: Path) -> None:
    """Of src/main, and debug builds have no other."""
    edit(app / MAIN, "<application\n", f"<application{DEBUG_CONFIG}\n")
    edit(app / DEBUG, DEBUG_CONFIG, "")
    config = app / MAIN.replace("AndroidManifest.xml", "res/xml/network_security_config.xml")
    config.parent.mkdir(parents=True)
    (app / NETWORK).rename(config)
    assert examine(app) == []
    edit(app / DEBUG, "<application", f"<application{DEBUG_CONFIG}")
    assert examine(app) == []


@pytest.mark.parametrize("file", [SANDBOX, RELEASE])
def test_outside_of_the_sandbox_nothing_is_missing(app: Path, file: str) -> None:
    edit(app / file, "app-sandbox</key>\n\t<true/>", "app-sandbox</key>\n\t<false/>")
    edit(app / file, CLIENT, "")
    assert examine(app) == []


@pytest.mark.parametrize(
    "written",
    [
        "  path: ^1.9.0",
        "  path:\n    version: '>=1.8.0 <2.0.0'",
        "  path: {version: any}",
        "  kit:\n    git:\n      url: https://example.com/kit.git\n      path: pkgs/kit",
        "  kit: {git: {url: https://example.com/kit.git, path: pkgs/kit}}",
        "  # kit: {path: ../kit}",
        "  kit: ^1.0.0  # path: ../kit",
    ],
)
def test_what_is_no_path_dependency(app: Path, written: str) -> None:
    edit(app / "pubspec.yaml", "dependencies:\n  flutter:", f"dependencies:\n{written}\n  flutter:")
    assert examine(app) == []


@pytest.mark.parametrize(
    "written",
    [
        "  kit:\n    path: ../kit",
        "  kit:\n    path: '../kit'  # ours",
        "  kit:   {path: ../kit}",
        '  "kit": {"path": "../kit"}',
        "  kit: { version: any, path: ../kit }",
    ],
)
@pytest.mark.parametrize("section", ["dependencies", "dependency_overrides"])
def test_a_path_dependency_must_be_there(app: Path, section: str, written: str) -> None:
    if section == "dependencies":
        edit(
            app / "pubspec.yaml",
            "dependencies:\n  flutter:",
            f"dependencies:\n{written}\n  flutter:",
        )
    else:
        edit(app / "pubspec.yaml", "flutter:\n  uses", f"{section}:\n{written}\n\nflutter:\n  uses")
    assert only(app, "pubspec.yaml").reason == "there is no package at ../kit"
    (app.parent / "kit").mkdir()
    (app.parent / "kit" / "pubspec.yaml").touch()
    assert examine(app) == []


def test_paths_elsewhere_are_no_dependencies(app: Path) -> None:
    edit(app / "pubspec.yaml", "  uses-material", "  assets:\n    - path: assets/\n  uses-material")
    assert examine(app) == []


@pytest.mark.parametrize("file", [MAIN, DEBUG, NETWORK, INFO, SANDBOX, RELEASE])
@pytest.mark.parametrize("content", [None, b"", b"<a", b"\xff\xfe\x00", b"<a>" + b" " * (1 << 20)])
def test_files_that_cannot_be_read(app: Path, file: str, content: bytes | None) -> None:
    (app / file).unlink()
    if content is not None:
        (app / file).write_bytes(content)
    finding = only(app, file)
    assert "mothlight create" in finding.mend
    assert not finding.is_hint


def test_no_entity_is_expanded(app: Path) -> None:
    bomb = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>\n<manifest>&b;</manifest>'
    (app / MAIN).write_text(bomb)
    assert "entities" in only(app, MAIN).reason
    (app / MAIN).write_text(bomb, "utf-16")
    assert "mothlight create" in only(app, MAIN).mend


@pytest.mark.parametrize(
    ("old", "new", "file", "mend"),
    [
        ('host = "0.0.0.0"', "", TOML, 'host = "0.0.0.0"'),
        ('host = "0.0.0.0"', 'host = "127.0.0.1"', TOML, 'host = "0.0.0.0"'),
        ('cors = ["*"]', "", TOML, 'cors = ["*"]'),
    ],
)
def test_hints_about_the_server(
    app: Path, old: str, new: str, file: str, mend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(app / TOML, old, new)
    finding = only(app, file)
    assert finding.is_hint
    assert mend in finding.mend
    assert cli.main(["doctor", str(app)]) == 0, "a hint is no error"
    assert "hint: " in capsys.readouterr().out


def test_the_ports_agree(app: Path) -> None:
    edit(app / TOML, "port = 8000", "port = 9000")
    assert only(app, "lib/config.dart").mend == "write   const int serverPort = 9000;"


def test_settings_that_are_none(app: Path) -> None:
    (app / TOML).write_text("host = ")
    assert "cannot be read" in only(app, TOML).reason


def test_platforms_that_are_not_there_need_nothing(app: Path) -> None:
    for name in ("android", "ios", "macos", "web"):
        shutil.rmtree(app / name)
    edit(app / TOML, 'cors = ["*"]', "")
    assert examine(app) == []


def test_an_app_without_photos_needs_no_words_for_them(app: Path) -> None:
    edit(app / "pubspec.yaml", "  image_picker: ^1.2.0\n", "")
    edit(app / INFO, "NSCameraUsageDescription", "NSOther")
    edit(app / SANDBOX, FILES, "")
    assert examine(app) == []


def test_another_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", str(tmp_path)]) == 1
    assert "no folder of a Flutter app" in capsys.readouterr().out
