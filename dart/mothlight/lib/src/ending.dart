import 'dart:async';

import 'call.dart';
import 'errors.dart';

/// Why and when a call ends on this side: its [CancelToken], its deadline, a
/// newer call, a closed transport, a subscription that was cancelled.
final class Ending {
  final Completer<Never> _failure = Completer<Never>();
  final Completer<void> _abort = Completer<void>();
  final Set<void Function()> _listeners = {};
  Timer? _deadline;
  bool _isOver = false;

  /// The exception that it ended with here; null while it goes on.
  MothlightException? reason;

  /// Completes when the call ends here: connections are to be closed.
  Future<void> get abort => _abort.future;

  /// Whether it goes on.
  bool get isLive => reason == null && !_isOver;

  /// Ends the call here.
  void end(MothlightException why) {
    if (!isLive) return;
    reason = why;
    _deadline?.cancel();
    _failure.future.ignore();
    _failure.completeError(why, StackTrace.current);
    _abort.complete();
    for (final listener in [..._listeners]) {
      listener();
    }
    _listeners.clear();
  }

  /// Calls [listener] at once when the call ends here.
  void onEnd(void Function() listener) => _listeners.add(listener);

  /// [listener] is not called any more.
  void offEnd(void Function() listener) => _listeners.remove(listener);

  /// Ends the call when [token] is cancelled, and [after] a time.
  void watch(CancelToken? token, Duration? after, String callId) {
    if (token != null) {
      if (token.isCancelled) {
        end(CancelledException('the call was cancelled', callId));
      } else {
        unawaited(
          token.whenCancelled.then(
            (_) => end(CancelledException('the call was cancelled', callId)),
          ),
        );
      }
    }
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
    _deadline?.cancel();
    _listeners.clear();
  }

  /// What [work] gives, unless the call ends here first: then its reason.
  Future<T> guard<T>(Future<T> work) {
    if (reason case final reason?) {
      work.ignore();
      return Future.error(reason);
    }
    return Future.any([work, _failure.future]);
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
