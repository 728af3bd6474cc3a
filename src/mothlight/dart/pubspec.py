"""The pubspec of a package, and its other settings."""

from __future__ import annotations

from .api import Api
from .header import header

OPTIONS = """include: package:lints/recommended.yaml

analyzer:
  language:
    strict-casts: true
    strict-inference: true
    strict-raw-types: true
"""


def pubspec(api: Api, runtime: str | None) -> str:
    """``runtime``: the version of the hosted runtime; None: it lies beside the package."""
    shown = ", ".join(plan.wire for plan in api.services)
    about = f"Typed calls of a Mothlight server for Dart and Flutter, made of its contract: {shown}"
    about = about if len(about) <= 170 else about[:167].rsplit(",", 1)[0] + " …"
    where = dependency(runtime)
    return (
        f"{header(api, '# ')}name: {api.package}\n"
        f"description: >-\n  {about}.\n"
        "version: 0.1.0\npublish_to: none\n\n"
        "environment:\n  sdk: ^3.7.0\n\n"
        f"dependencies:\n  mothlight:{where}\n\n"
        'dev_dependencies:\n  lints: ">=5.0.0 <7.0.0"\n'
    )


def dependency(runtime: str | None) -> str:
    """What follows ``mothlight:`` among the dependencies."""
    return "\n    path: ../mothlight" if runtime is None else f' "{runtime}"'


def analysis_options(api: Api) -> str:
    """What the analyzer is to look for."""
    return f"{header(api, '# ')}{OPTIONS}"


def changelog(api: Api) -> str:
    """The one version that a generated package has."""
    return f"{header(api, '<!-- ', ' -->')}\n## 0.1.0\n\n- Made of contract `{api.hash}`.\n"
