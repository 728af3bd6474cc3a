import 'dart:async';

import 'http_adapter.dart';

/// The bytes of an answer, until they end or nobody wants them ([abort]). The
/// errors of [source] are made adapter's own by [failure].
Stream<List<int>> abortable(
  Stream<List<int>> source,
  Future<void> abort,
  AdapterException Function(Object error) failure,
) {
  StreamSubscription<List<int>>? reading;
  late final StreamController<List<int>> body;
  void fail(AdapterException error, StackTrace stack) {
    if (body.isClosed) return; // the client may tell of an abort too
    // Also where nobody has listened yet: that closes the connection.
    final left = reading ??= source.listen(null, onError: (Object _) {});
    unawaited(left.cancel());
    body.addError(error, stack);
    unawaited(body.close());
  }

  body = StreamController<List<int>>(
    sync: true,
    onListen:
        () =>
            reading ??= source.listen(
              body.add,
              onError:
                  (Object error, StackTrace stack) =>
                      fail(failure(error), stack),
              onDone: body.close,
            ),
    onPause: () => reading?.pause(),
    onResume: () => reading?.resume(),
    onCancel: () => reading?.cancel(),
  );
  unawaited(
    abort.then((_) => fail(AdapterException.aborted, StackTrace.current)),
  );
  return body.stream;
}
