/// Tests without package:test: the Dart VM of the test run has no pub.
library;

import 'dart:async';
import 'dart:io';

final List<(String, FutureOr<void> Function())> _tests = [];
final List<(String, FutureOr<void> Function(), Duration)> _due = [];
bool _isRunning = false;

/// Declares a test.
void test(String name, FutureOr<void> Function() body) =>
    _tests.add((name, body));

/// Fails the test unless [condition] holds.
void check(bool condition, [String? message]) {
  if (!condition) throw Failure(message ?? 'the condition does not hold');
}

/// Fails the test unless the values are equal, lists and maps item by item.
void equal(Object? actual, Object? expected, [String? what]) {
  if (!_same(actual, expected)) {
    throw Failure('${what ?? 'value'}: expected $expected, got $actual');
  }
}

/// What [body] throws, which must be a [T].
Future<T> throws<T extends Object>(FutureOr<Object?> Function() body) async {
  try {
    await body();
  } on T catch (error) {
    return error;
  }
  throw Failure('$T was not thrown');
}

bool _same(Object? a, Object? b) => switch ((a, b)) {
  (final List<Object?> x, final List<Object?> y) =>
    x.length == y.length &&
        Iterable<int>.generate(x.length).every((i) => _same(x[i], y[i])),
  (final Map<Object?, Object?> x, final Map<Object?, Object?> y) =>
    x.length == y.length &&
        x.keys.every((key) => y.containsKey(key) && _same(x[key], y[key])),
  _ => a == b || (a is double && b is double && a.isNaN && b.isNaN),
};

/// A test that failed.
final class Failure implements Exception {
  /// Why.
  const Failure(this.message);

  /// Why.
  final String message;

  @override
  String toString() => message;
}

/// Runs what was declared, one after the other, each within [limit]; prints
/// `N passed, N failed` and ends the program. Names that contain [only] alone
/// are run where it is given.
///
/// A program may call the `main` of several files, one at once after the
/// other: the first call runs the tests of all.
Future<Never> run({
  Duration limit = const Duration(seconds: 60),
  String? only,
}) async {
  _due.addAll([for (final (name, body) in _tests) (name, body, limit)]);
  _tests.clear();
  if (_isRunning) return Completer<Never>().future;
  _isRunning = true;
  await Future<void>.delayed(Duration.zero);
  var passed = 0, failed = 0;
  for (final (name, body, limit) in _due) {
    if (only != null && !name.contains(only)) continue;
    try {
      await runZonedGuardedAsync(body).timeout(limit);
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

/// Runs [body]; an error that nobody caught fails it too.
Future<void> runZonedGuardedAsync(FutureOr<void> Function() body) {
  final done = Completer<void>();
  runZonedGuarded(
    () async {
      await body();
      await Future<void>.delayed(Duration.zero); // late errors come now
      if (!done.isCompleted) done.complete();
    },
    (error, stack) {
      if (!done.isCompleted) done.completeError(error, stack);
    },
  );
  return done.future;
}
