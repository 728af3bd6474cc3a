"""``mothlight create`` and ``mothlight doctor`` on the command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds both to the commands of the command line."""
    create = commands.add_parser("create", help="a new project: a service and a Flutter app for it")
    create.set_defaults(run=_create)
    create.add_argument(
        "path", metavar="NAME", type=Path, help="a Dart package's name, such as my_app"
    )
    doctor = commands.add_parser("doctor", help="check a Flutter app's platform files; no SDK")
    doctor.set_defaults(run=_doctor)
    doctor.add_argument("app", metavar="APP_DIR", type=Path, help="the folder of pubspec.yaml")


def _create(path: Path) -> int:
    from .project import Unfit, create

    try:
        files = create(path)
    except Unfit as error:
        print(f"mothlight: {error}", file=sys.stderr)
        return 2
    print(f"""{path}/   {len(files)} files
  service.py    the models, yours to replace
  packages/     the Dart package of the service, and its runtime
  app/          the Flutter app

  cd {path}
  pip install -r requirements.txt
  mothlight serve service:Models            # fetches 110 MB of weights, once

  cd app
  flutter create . --project-name {path.name}       # the rest of the platforms' files; ours stay
  flutter run""")
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
    print(f"All is well: {', '.join(platforms(app)) or 'no platform is set up yet'}.")
    return 0
