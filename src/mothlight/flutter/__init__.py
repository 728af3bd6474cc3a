"""The Flutter side of a project: ``mothlight create`` makes one, ``mothlight doctor`` looks at the
files of its platforms. Neither needs Flutter's SDK."""
