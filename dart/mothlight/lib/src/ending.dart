import 'dart:async';

import 'call.dart';
import 'errors.dart';

/// Why and when a call ends on this side: its [CancelToken], its deadline, a
/// newer call, a closed transport, a subscription that was cancelled.
final class Ending {
  final Set<void Function()> _listeners = {};
  CancelToken? _token;
  void Function()? _onCancel;
  Timer? _deadline;
  bool _isOver = false;

  /// The exception that it ended with here; null while it goes on.
  MothlightException? reason;

  /// Whether it goes on.
  bool get isLive => reason == null && !_isOver;

  /// Ends the call here.
  void end(MothlightException why) {
    if (!isLive) return;
    reason = why;
    _unwatch();
    final listeners = [..._listeners];
    _listeners.clear();
    for (final listener in listeners) {
      listener();
    }
  }

  /// Calls [listener] at once when the call ends here.
  void onEnd(void Function() listener) => _listeners.add(listener);

  /// [listener] is not called any more.
  void offEnd(void Function() listener) => _listeners.remove(listener);

  /// Ends the call when [token] is cancelled, and [after] a time.
  void watch(CancelToken? token, Duration? after, String callId) {
    void cancel() => end(CancelledException('the call was cancelled', callId));
    if (token != null && token.isCancelled) return cancel();
    _token = token;
    _onCancel = cancel;
    token?.addListener(cancel);
    if (after != null && isLive) {
      _deadline = Timer(
        after,
        () => end(
          CallTimeoutException('no answer within the deadline', callId: callId),
        ),
      );
    }
  }

  /// The call has ended by itself: nothing ends it any more.
  void over() {
    _isOver = true;
    _unwatch();
    _listeners.clear();
  }

  // A token may live longer than all its calls.
  void _unwatch() {
    _deadline?.cancel();
    if (_onCancel case final cancel?) _token?.removeListener(cancel);
    _token = null;
  }

  /// What [work] gives, unless the call ends here first: then its reason.
  Future<T> guard<T>(Future<T> work) {
    if (reason case final reason?) {
      work.ignore();
      return Future.error(reason);
    }
    // Not by Future.any with one future of the end: what has listened to that
    // stays, with its value, for as long as the call goes on.
    final done = Completer<T>();
    void leave() => done.completeError(reason!, StackTrace.current);
    onEnd(leave);
    work
        .then(
          (value) {
            offEnd(leave);
            if (!done.isCompleted) done.complete(value);
          },
          onError: (Object error, StackTrace stack) {
            offEnd(leave);
            if (!done.isCompleted) done.completeError(error, stack);
          },
        )
        .ignore();
    return done.future;
  }

  /// Waits, unless the call ends here first.
  Future<void> sleep(Duration pause) async {
    if (reason case final reason?) throw reason;
    if (pause <= Duration.zero) return;
    final done = Completer<void>();
    final timer = Timer(pause, done.complete);
    try {
      await guard(done.future);
    } finally {
      timer.cancel();
    }
  }
}

/// Nothing was heard for longer than a connection that lives is silent.
final class Silence implements Exception {
  /// After so long.
  const Silence(this.after);

  /// How long.
  final Duration after;

  @override
  String toString() => 'nothing came for ${after.inMilliseconds / 1000} s';
}
