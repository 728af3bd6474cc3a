/// Stands in for package:flutter_test where there is no Flutter: as much of it
/// as the template's tests without widgets use.
library;

import 'dart:async';
import 'dart:io';

final List<(String, FutureOr<void> Function())> _tests = [];

typedef Matcher = bool Function(Object? actual);

void test(String name, FutureOr<void> Function() body) =>
    _tests.add((name, body));

Matcher isA<T>() => (actual) => actual is T;

bool isTrue(Object? actual) => actual == true;

bool throwsFormatException(Object? actual) {
  try {
    (actual! as Object? Function())();
    return false;
  } on FormatException {
    return true;
  }
}

void expect(Object? actual, Object? matcher) {
  final holds = switch (matcher) {
    final Matcher matches => matches(actual),
    final List<Object?> items =>
      '${(actual! as Iterable<Object?>).toList()}' == '$items',
    _ => actual == matcher,
  };
  if (!holds) throw StateError('expected $matcher, got $actual');
}

/// Runs what was declared, and prints `N passed, N failed`.
Future<Never> runAll() async {
  var passed = 0, failed = 0;
  for (final (name, body) in _tests) {
    try {
      await Future<void>.sync(body).timeout(const Duration(seconds: 30));
      passed++;
    } catch (error, stack) {
      failed++;
      stdout.writeln('FAILED $name: $error\n$stack');
    }
  }
  stdout.writeln('$passed passed, $failed failed');
  await stdout.flush();
  exit(failed == 0 && passed > 0 ? 0 : 1);
}
