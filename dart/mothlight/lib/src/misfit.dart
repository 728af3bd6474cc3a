import 'errors.dart';

/// What is thrown where [expected] should stand instead of [json].
DecodeException misfit(String expected, Object? json) {
  final found = switch (json) {
    null => 'null',
    bool() || num() => '$json',
    String() => 'a string',
    List() => 'a list',
    Map() => 'an object',
    _ => 'a ${json.runtimeType}',
  };
  return DecodeException('is not $expected but $found');
}

/// [error] as the one who holds the value at [place] sees it.
DecodeException within(String place, DecodeException error) => DecodeException(
  error.message,
  path: _bounded(switch (error.path) {
    '' => place,
    final path when path.startsWith('[') => '$place$path',
    final path => '$place.$path',
  }),
  hint: error.hint,
  callId: error.callId,
);

/// A server can nest values as deep, and name them as long, as it likes.
String _bounded(String path) =>
    path.length > 500 ? '${path.substring(0, 499)}…' : path;
