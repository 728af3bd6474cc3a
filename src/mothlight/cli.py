"""The command line: ``mothlight serve module:Service``, ``openapi``, ``contract``, ``generate``,
``create``, ``doctor``, ``demo``, ``keys``, ``models``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from . import __version__, logs
from .errors import DefinitionError
from .flutter import command as flutter
from .settings import Settings, read
from .target import Refused, find_app


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = vars(_parser().parse_args(arguments))
    if options.pop("reload", False):
        options |= {"run": _reload, "arguments": arguments}
    logs.set_up("text", "info")
    try:
        status: int = options.pop("run")(**options)
        return status
    except (DefinitionError, Refused) as error:
        print(f"mothlight: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mothlight", description="PyTorch models behind Flutter apps."
    )
    parser.add_argument("--version", action="version", version=f"mothlight {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser(
        "serve", help="serve services over HTTP", usage="mothlight serve [options] MODULE[:NAME]"
    )
    serve.set_defaults(run=_serve)
    _add_target(serve)
    serve.add_argument(
        "--reload", action="store_true", help="serve anew whenever a file changes (development)"
    )
    group = serve.add_argument_group("settings", "also MOTHLIGHT_… and mothlight.toml")
    for name, field in Settings.model_fields.items():
        flag = f"--{name.replace('_', '-')}"
        text = f"{field.description} ({_shown(field.default)})".replace("%", "%%")
        if field.annotation is bool:
            group.add_argument(
                flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text
            )
        else:
            metavar = _metavar(name, field)
            group.add_argument(flag, default=argparse.SUPPRESS, metavar=metavar, help=text)

    openapi = commands.add_parser("openapi", help="print the OpenAPI document")
    openapi.set_defaults(run=_openapi)
    _add_target(openapi)
    openapi.add_argument("--openapi-version", choices=("3.2", "3.1"), default="3.2", dest="version")

    contract = commands.add_parser("contract", help="print the contract that clients are made from")
    contract.set_defaults(run=_contract)
    _add_target(contract)

    flutter.add(commands)
    _add_generate(commands.add_parser("generate", help="make a client package"))

    demo = commands.add_parser("demo", help="serve real models on port 5000 (or MOTHLIGHT_PORT)")
    demo.set_defaults(run=_demo)

    _add_keys(commands.add_parser("keys", help="API keys: who may call"))

    models = commands.add_parser("models", help="weights of the demo's models")
    actions = models.add_subparsers(required=True, metavar="ACTION")
    get = actions.add_parser("get", help="download, verify and cache; rerun to resume")
    get.set_defaults(run=_models_get)
    get.add_argument("names", nargs="+", metavar="NAME")
    actions.add_parser("list", help="what there is").set_defaults(run=_models_list)
    return parser


def _shown(default: Any) -> str:
    match default:
        case None | ():
            return "none"
        case bool():
            return "yes" if default else "no"
        case tuple():
            return ",".join(default)
        case float():
            return f"{default:g}"
        case int() if default >= 1 << 20 and default % (1 << 20) == 0:
            return f"{default}, which is {default >> 20} MiB"
    return str(default)


def _metavar(name: str, field: FieldInfo) -> str:
    """What stands for the value of an option: its unit, where it has one."""
    about, word = field.description or "", name.rsplit("_", maxsplit=1)[-1]
    if "seconds" in about:
        return "SECONDS"
    if about.startswith("bytes"):
        return "BYTES"
    if isinstance(field.default, int) or about.startswith("calls "):
        return word.upper() if about.startswith(word) else "N"
    return "FILE" if field.annotation == Path | None else word.upper()


def _add_keys(keys: argparse.ArgumentParser) -> None:
    actions = keys.add_subparsers(required=True, metavar="ACTION")
    new = actions.add_parser("new", help="make a key, and print it this once")
    new.set_defaults(run=_keys_new)
    new.add_argument("name", metavar="NAME", help="whose it is; keys of one name are one caller")
    new.add_argument("--rate", type=float, help="calls a second that it may begin (the setting)")
    new.add_argument("--concurrency", type=int, help="calls that may run at once (the setting)")
    list_ = actions.add_parser("list", help="what keys there are")
    list_.set_defaults(run=_keys_list)
    revoke = actions.add_parser("revoke", help="take a key away; servers see it within a second")
    revoke.set_defaults(run=_keys_revoke)
    revoke.add_argument("which", metavar="NAME-OR-ID")
    for action in (new, list_, revoke):
        action.add_argument(
            "--file", type=Path, help="the file of keys (the setting keys, or keys.toml)"
        )


def _add_generate(generate: argparse.ArgumentParser) -> None:
    languages = generate.add_subparsers(required=True, metavar="LANGUAGE")
    parser = languages.add_parser(
        "dart",
        help="a package for Dart and Flutter",
        description="Makes a Dart package of a contract, and puts the runtime beside it.",
    )
    parser.set_defaults(run=_generate)
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="MODULE[:NAME], the URL of a server, or a contract in a .json file",
    )
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="DIR", help="the package's own folder"
    )
    parser.add_argument("--name", help="the package's name (the folder's)")
    parser.add_argument(
        "--runtime", metavar="VERSION", help="take the hosted runtime, '^0.1.0', and write none"
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="only say what is stale; then exit 1")
    mode.add_argument("--watch", action="store_true", help="make it anew at each change")


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target",
        metavar="MODULE[:NAME]",
        help="a @service class or an App; without a name, the module's App, or all its services",
    )


def _serve(target: str, **given: Any) -> int:
    from .serving import serve

    return serve(find_app(target, given))


def _reload(target: str, arguments: Sequence[str], **given: Any) -> int:
    from .reload import supervise

    settings = find_app(target, given).settings
    return supervise(target, arguments, settings.host, settings.port, settings.drain)


def _generate(**given: Any) -> int:
    from .generate import run

    return run(**given)


def _openapi(target: str, version: str) -> int:
    from .contracts import openapi

    print(json.dumps(openapi.build(find_app(target, {}).services, version=version), indent=2))
    return 0


def _contract(target: str) -> int:
    print(json.dumps(find_app(target, {}).contract, indent=2))
    return 0


def _demo() -> int:
    from .demo.__main__ import main

    return main()


def _keys_file(given: Path | None) -> Path:
    return given or read().keys or Path("keys.toml")


def _keys_new(name: str, rate: float | None, concurrency: int | None, file: Path | None) -> int:
    from .keys import create

    file = _keys_file(file)
    secret, keys = create(file, name, rate, concurrency)
    print(secret)
    notes = [f"{name}, id {keys[-1].id}, in {file}. This key is shown only now: clients send it as"]
    notes.append("  Authorization: Bearer …")
    if len(keys) > 1:
        notes.append(f"{name} has {len(keys)} keys now; they are one caller")
    print("\n".join(notes), file=sys.stderr)
    return 0


def _keys_list(file: Path | None) -> int:
    from . import keys

    for key in keys.read(_keys_file(file)):
        rate = "" if key.rate is None else f"{key.rate:g} calls/s"
        most = "" if key.concurrency is None else f"{key.concurrency} at once"
        print(f"{key.id}  {key.created:%Y-%m-%d %H:%M}  {key.name:24} {rate:14} {most}".rstrip())
    return 0


def _keys_revoke(which: str, file: Path | None) -> int:
    from .keys import revoke

    for key in revoke(_keys_file(file), which):
        print(f"revoked {key.id} of {key.name}")
    return 0


def _models_get(names: list[str]) -> int:
    from .weights import WeightsError, get

    try:
        for name in names:
            print(get(name))
    except WeightsError as error:
        raise Refused(str(error)) from error
    return 0


def _models_list() -> int:
    from .weights import list_models

    for entry in list_models():
        state = "cached" if entry.cached else f"{entry.archive_bytes / 1e6:.0f} MB to get"
        print(f"{entry.name:20} {state:14} {entry.licence:12} {entry.about}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
