"""``mothlight create`` and ``mothlight doctor`` on the command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds both to the commands of the command line."""
    create = commands.add_parser(
        "create",
        help="make a new project: a service and a Flutter app for it",
        description="Makes a folder with a service, its Dart package, and a Flutter app that "
        "calls it. Flutter is not needed for that.",
    )
    create.set_defaults(run=_create)
    create.add_argument(
        "path", metavar="NAME", type=Path, help="the folder, called as the app is: my_app"
    )
    doctor = commands.add_parser(
        "doctor",
        help="check a Flutter app's platform files",
        description="Reads manifests, property lists, pubspec.yaml and mothlight.toml, and says "
        "what keeps the app from its server. No SDK is needed, and nothing is changed. The exit "
        "status is 1 when something is to mend.",
    )
    doctor.set_defaults(run=_doctor)
    doctor.add_argument("app", metavar="APP_DIR", type=Path, help="the folder of pubspec.yaml")


def _create(path: Path) -> int:
    from .project import Unfit, create

    try:
        files = create(path)
    except Unfit as error:
        print(f"mothlight: {error}", file=sys.stderr)
        return 2
    width = max(40, len(path.name) + 33)
    steps = [
        ("pip install -r requirements.txt", "the models: torch, a few GB"),
        ("mothlight serve service:Models", "fetches 110 MB of weights, once"),
        ("", ""),
        ("cd app", "in another terminal"),
        (f"flutter create . --project-name {path.name}", "the platforms' files; ours stay"),
        ("mothlight doctor .", "whether all is set up"),
        ("flutter run", ""),
    ]
    print(f"""{path}/   {len(files)} files
  service.py    the models, yours to replace
  packages/     the Dart package of the service, and its runtime
  app/          the Flutter app

  cd {path}""")
    for command, why in steps:
        print(f"  {command:{width}}  {why and f'# {why}'}".rstrip())
    return 0


def _doctor(app: Path) -> int:
    from .doctor import examine, platforms

    findings = examine(app)
    for finding in findings:
        kind = "hint: " if finding.is_hint else ""
        print(f"{finding.file}\n  {kind}{finding.reason}\n  {finding.mend}\n")
    missing = sum(not finding.is_hint for finding in findings)
    if missing:
        print(f"{missing} thing{'s' * (missing > 1)} to mend.")
        return 1
    if found := platforms(app):
        print(f"All is well: {', '.join(found)}.")
    else:
        print("There are no platforms yet:   flutter create . --project-name NAME")
    return 0
