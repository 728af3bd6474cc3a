import 'dart:async';

import 'http_adapter.dart';

/// What [work] gives. dart:io throws some faults of a server (a length of more
/// than 63 bits) past all futures, into the zone in which the connection was
/// opened: here that is an error of [work], not one that nobody caught.
Future<T> inOwnZone<T>(Future<T> Function() work) {
  final outer = Zone.current;
  // Made outside: an error does not leave the zone of its own future.
  final done = Completer<T>();
  void fail(Object error, StackTrace stack) {
    if (!done.isCompleted) done.completeError(error, stack);
  }

  runZonedGuarded(
    () => unawaited(
      Future.sync(work).then((value) {
        if (!done.isCompleted) done.complete(value);
      }, onError: fail),
    ),
    (error, stack) {
      if (error is! Exception) return outer.handleUncaughtError(error, stack);
      final why = AdapterException('$error', cause: error, isPermanent: true);
      fail(why, stack);
    },
  );
  return done.future;
}
