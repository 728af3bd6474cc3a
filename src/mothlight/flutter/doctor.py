"""Whether an app's platform files let it reach a server. Nothing is run and no SDK is needed:
manifests, property lists, ``pubspec.yaml`` and ``mothlight.toml`` are read.

What they say of http:// is a hint: it binds WebViews, cronet_http, ok_http and cupertino_http, but
not dart:io's sockets (flutter/flutter#106678), which the runtime uses where it is given no other
client."""

from __future__ import annotations

import plistlib
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

_LIMIT = 1 << 20
"""Bytes of a file that are read; such files have a few thousand."""

_ANDROID = "{http://schemas.android.com/apk/res/android}"
_SECURITY = f"{_ANDROID}networkSecurityConfig"
_TOOLS = "{http://schemas.android.com/tools}"
_SANDBOX = "com.apple.security."

_DEPENDENCIES = ("dependencies", "dev_dependencies", "dependency_overrides")
_LINE = re.compile(r"( *)(['\"]?)([\w.-]+)\2:(?: +(.*))?")
_PATH = re.compile(r"(?:^|,) *['\"]?path['\"]? *: *([^,}]+)")


@dataclass(frozen=True)
class Finding:
    """What is wrong with ``file``, why it matters and the exact ``mend``."""

    file: Path
    reason: str
    mend: str
    is_hint: bool = False
    "Whether it may well be meant, or does no harm to this app."


class _Unreadable(Exception):
    pass


def examine(app: Path) -> list[Finding]:
    """All findings of a Flutter app's folder, and of the server's settings beside it."""
    if not (app / "pubspec.yaml").is_file():
        return [
            Finding(
                app / "pubspec.yaml",
                "it is not there: this is no folder of a Flutter app",
                "name the folder:   mothlight doctor my_app/app",
            )
        ]
    return [
        finding for check in (_pubspec, _android, _ios, _macos, _server) for finding in check(app)
    ]


def platforms(app: Path) -> list[str]:
    """The platforms that the app has files of."""
    return [name for name in ("android", "ios", "macos", "web") if (app / name).is_dir()]


# The app


def _pubspec(app: Path) -> Iterator[Finding]:
    file = app / "pubspec.yaml"
    try:
        text = _read(file).decode("utf-8", "replace")
    except _Unreadable as error:
        yield Finding(file, str(error), "write it anew")
        return
    if not re.search(r"(?m)^ +mothlight:", text):
        yield Finding(
            file,
            "it does not depend on mothlight",
            "add below dependencies:   mothlight: {path: ../packages/mothlight}",
        )
    for path in _paths(text):
        if not (app / path / "pubspec.yaml").is_file():
            yield Finding(
                file,
                f"there is no package at {path}",
                f"in {app / '..'}:   "
                f"mothlight generate dart service:Models -o {path.removeprefix('../')}",
            )


def _paths(pubspec: str) -> Iterator[str]:
    """The paths of path dependencies: ``path:`` right below a package, or in its braces. A git
    dependency has its own deeper, and there is a package that is called path."""
    above: list[tuple[int, str]] = []
    for line in pubspec.splitlines():
        found = _LINE.fullmatch(re.sub(r"(^|\s)#.*", "", line).rstrip())
        if found is None:
            continue
        indent, key, value = len(found[1]), found[3], found[4] or ""
        while above and above[-1][0] >= indent:
            above.pop()
        above.append((indent, key))
        if above[0][1] not in _DEPENDENCIES:
            continue
        if len(above) == 3 and key == "path":
            yield value.strip(" '\"")
        elif len(above) == 2 and value.startswith("{"):
            outer = re.sub(r"\{[^{}]*\}", "", value[1:])
            yield from (path.strip(" '\"") for path in _PATH.findall(outer))


def _picks_photos(app: Path) -> bool:
    return _says(app / "pubspec.yaml", rb"(?m)^ +image_picker:")


# Android


def _android(app: Path) -> Iterator[Finding]:
    source = app / "android/app/src"
    if not (app / "android").is_dir():
        return
    main = source / "main/AndroidManifest.xml"
    yield from _checked(main, _xml, _main_manifest)
    yield from _checked(source / "debug/AndroidManifest.xml", _xml, _debug_manifest(main))


def _main_manifest(file: Path, manifest: ElementTree.Element) -> Iterator[Finding]:
    permissions = [
        node.get(f"{_ANDROID}name")
        for node in manifest.iter("uses-permission")
        if node.get(f"{_TOOLS}node") != "remove"
    ]
    if "android.permission.INTERNET" not in permissions:
        yield Finding(
            file,
            "no INTERNET permission: debug builds get it from Flutter, release builds reach no "
            "server",
            "add above <application>:   "
            '<uses-permission android:name="android.permission.INTERNET"/>',
        )
    application = manifest.find("application")
    if application is None:
        return
    if application.get(f"{_ANDROID}usesCleartextTraffic") == "true":
        yield Finding(
            file,
            "WebViews, cronet_http and ok_http may speak http:// with anybody in release builds",
            'remove   android:usesCleartextTraffic="true"   (debug builds have their own file)',
            is_hint=True,
        )
    config = application.get(_SECURITY)
    if config is not None and not _resource(file, config).is_file():
        debug = _resource(file.parent.with_name("debug") / file.name, config)
        if debug.is_file():
            yield Finding(
                file,
                f"release builds do not have {debug.name}, which is of src/debug: none can be made",
                "move   android:networkSecurityConfig=…   to src/debug/AndroidManifest.xml",
            )


def _debug_manifest(main: Path) -> Callable[[Path, ElementTree.Element], Iterator[Finding]]:
    def check(file: Path, manifest: ElementTree.Element) -> Iterator[Finding]:
        if not any(_says(one, rb"\.ACCESS_LOCAL_NETWORK['\"]") for one in (file, main)):
            yield Finding(
                file,
                "no ACCESS_LOCAL_NETWORK permission: Android 17 blocks the local network (on some "
                "emulators 10.0.2.2 too) for apps that target API 37",
                "add above <application>:   "
                '<uses-permission android:name="android.permission.ACCESS_LOCAL_NETWORK"/>',
                is_hint=True,
            )
        application = manifest.find("application")
        config = None if application is None else application.get(_SECURITY)
        if config is not None:
            own = _resource(file, config)
            named = own if own.is_file() else _resource(main, config)
            yield from _checked(named if named.is_file() else own, _xml, _network_security)
        elif not _says(main, rb"(networkSecurityConfig|usesCleartextTraffic) *="):
            yield Finding(
                file,
                "WebViews, cronet_http and ok_http may not speak http:// with your own machine",
                "add within <manifest>:   "
                '<application android:networkSecurityConfig="@xml/network_security_config"/>',
                is_hint=True,
            )

    return check


def _resource(manifest: Path, name: str) -> Path:
    """The file of ``@xml/name`` beside a manifest."""
    return manifest.parent / "res" / f"{name.removeprefix('@')}.xml"


def _network_security(file: Path, config: ElementTree.Element) -> Iterator[Finding]:
    domains = {
        (domain.text or "").strip()
        for part in config.iter("domain-config")
        if part.get("cleartextTrafficPermitted") == "true"
        for domain in part.iter("domain")
    }
    base = config.find("base-config")
    if base is not None and base.get("cleartextTrafficPermitted") == "true":
        return
    for wanted, who in (
        ("10.0.2.2", "the emulator"),
        ("127.0.0.1", "a device after `adb reverse`"),
        ("localhost", "a device after `adb reverse`"),
    ):
        if wanted not in domains:
            yield Finding(
                file,
                f"WebViews, cronet_http and ok_http may not speak http:// with {wanted}, the "
                f"server's address for {who}",
                'add within <domain-config cleartextTrafficPermitted="true">:   '
                f'<domain includeSubdomains="false">{wanted}</domain>',
                is_hint=True,
            )


# Apple


def _ios(app: Path) -> Iterator[Finding]:
    if (app / "ios").is_dir():
        yield from _checked(app / "ios/Runner/Info.plist", _plist, _info(_picks_photos(app)))


def _info(picks_photos: bool) -> Callable[[Path, dict[str, Any]], Iterator[Finding]]:
    def check(file: Path, info: dict[str, Any]) -> Iterator[Finding]:
        security = info.get("NSAppTransportSecurity")
        security = security if isinstance(security, dict) else {}
        if security.get("NSAllowsLocalNetworking") is not True:
            yield Finding(
                file,
                "WebViews and cupertino_http may not speak http:// in your own network",
                "add:   <key>NSAppTransportSecurity</key>"
                "<dict><key>NSAllowsLocalNetworking</key><true/></dict>",
                is_hint=True,
            )
        if security.get("NSAllowsArbitraryLoads") is True:
            yield Finding(
                file,
                "WebViews and cupertino_http may speak http:// with all; the App Store asks why",
                "remove   <key>NSAllowsArbitraryLoads</key><true/>",
                is_hint=True,
            )
        network = "NSLocalNetworkUsageDescription"
        wanted = {network: "to reach a server of your own network"}
        if picks_photos:
            wanted |= {
                "NSPhotoLibraryUsageDescription": "to pick a photo",
                "NSCameraUsageDescription": "to shoot a photo",
            }
        for key, why in wanted.items():
            if not (isinstance(info.get(key), str) and info[key].strip()):
                without = "or with its own" if key == network else "and ends the app without them"
                yield Finding(
                    file,
                    f"no {key}: iOS asks its user with these words, {without}",
                    f"add:   <key>{key}</key><string>{why.capitalize()}.</string>",
                    is_hint=key == network,
                )

    return check


def _macos(app: Path) -> Iterator[Finding]:
    if not (app / "macos").is_dir():
        return
    for build in ("DebugProfile", "Release"):
        file = app / f"macos/Runner/{build}.entitlements"
        yield from _checked(file, _plist, _entitlements(_picks_photos(app)))


def _entitlements(picks_photos: bool) -> Callable[[Path, dict[str, Any]], Iterator[Finding]]:
    def check(file: Path, rights: dict[str, Any]) -> Iterator[Finding]:
        if rights.get(f"{_SANDBOX}app-sandbox") is not True:
            return  # outside of the sandbox all of it is allowed
        if rights.get(f"{_SANDBOX}network.client") is not True:
            yield Finding(
                file,
                "the app may open no connection: macOS says “Operation not permitted”",
                f"add:   <key>{_SANDBOX}network.client</key><true/>",
            )
        files = (f"{_SANDBOX}files.user-selected.{how}" for how in ("read-only", "read-write"))
        if picks_photos and not any(rights.get(key) is True for key in files):
            yield Finding(
                file,
                "the app may open no file that its user picks",
                f"add:   <key>{_SANDBOX}files.user-selected.read-only</key><true/>",
            )

    return check


# The server


def _server(app: Path) -> Iterator[Finding]:
    file = app.resolve().parent / "mothlight.toml"
    if not file.is_file():
        return
    try:
        settings = tomllib.loads(_read(file).decode("utf-8"))
    except (_Unreadable, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        yield Finding(file, f"it cannot be read: {error}", "mend it, or remove it")
        return
    if settings.get("host", "127.0.0.1") in ("127.0.0.1", "localhost", "::1"):
        yield Finding(
            file,
            "the server listens to this machine alone: emulators reach it, and devices after "
            "`adb reverse`, but no phone over the network",
            'write   host = "0.0.0.0"',
            is_hint=True,
        )
    if (app / "web").is_dir() and not settings.get("cors"):
        yield Finding(
            file,
            "a browser shows no answer to a page of another origin, as `flutter run -d chrome` has",
            'write   cors = ["*"]   while you develop, and your page\'s origin later; none is '
            "needed where the server's own host serves the page",
            is_hint=True,
        )
    config = app / "lib/config.dart"
    if config.is_file():
        found = re.search(rb"const int serverPort = (\d{1,5});", _read(config))
        if found and int(found[1]) != settings.get("port", 8000):
            yield Finding(
                config,
                f"the app asks port {int(found[1])}, the server listens on "
                f"{settings.get('port', 8000)} (mothlight.toml)",
                f"write   const int serverPort = {settings.get('port', 8000)};",
            )


# Files


def _checked(
    file: Path, read: Callable[[Path], Any], check: Callable[[Path, Any], Iterator[Finding]]
) -> Iterator[Finding]:
    try:
        content = read(file)
    except _Unreadable as error:
        mend = "take it from a new project:   mothlight create another"
        yield Finding(file, str(error), f"mend it, or {mend}" if file.is_file() else mend)
        return
    yield from check(file, content)


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            data = stream.read(_LIMIT + 1)
    except FileNotFoundError as error:
        raise _Unreadable("it is not there") from error
    except OSError as error:
        raise _Unreadable(f"it cannot be read: {error.strerror}") from error
    if len(data) > _LIMIT:
        raise _Unreadable("it has over 1 MiB")
    return data


def _says(file: Path, pattern: bytes) -> bool:
    try:
        return bool(re.search(pattern, _read(file)))
    except _Unreadable:
        return False


def _xml(file: Path) -> ElementTree.Element:
    try:
        text = _read(file).decode("utf-8")  # a string: no encoding hides what stands in it
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise _Unreadable("it declares entities, which no such file does")
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise _Unreadable(f"it is no XML: {error}") from error


def _plist(file: Path) -> dict[str, Any]:
    try:
        content = plistlib.loads(_read(file))
    except _Unreadable:
        raise
    except Exception as error:  # plistlib lets through what expat, its dates and its numbers raise
        raise _Unreadable(f"it is no property list: {error}") from error
    if not isinstance(content, dict):
        raise _Unreadable("it is no property list with keys")
    return content
