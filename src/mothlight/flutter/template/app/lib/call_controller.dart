import 'dart:async';

import 'package:mothlight/mothlight.dart';

import 'foundation.dart';

/// How a call is.
sealed class CallPhase<T> {
  const CallPhase();
}

/// There is none.
final class Idle<T> extends CallPhase<T> {
  const Idle();
}

/// It runs; [sent] is the part of the upload that is done, from 0 to 1.
final class Running<T> extends CallPhase<T> {
  const Running({this.sent});

  final double? sent;
}

/// It has its answer.
final class Done<T> extends CallPhase<T> {
  const Done(this.value, {required this.elapsed});

  final T value;
  final Duration elapsed;
}

/// It failed.
final class Failed<T> extends CallPhase<T> {
  const Failed(this.error);

  final MothlightException error;
}

/// One call at a time: a newer one takes the older one's place, which ends on
/// the server too. With a [supersede] key the newer call says so itself;
/// without one the older is cancelled by a request of its own.
final class CallController<T> extends ChangeNotifier {
  CallController({this.supersede});

  final SupersedeKey? supersede;

  CallPhase<T> _phase = const Idle();
  Future<T> Function(CallOptions options)? _call;
  CancelToken? _cancel;
  T? _latest;
  int _run = 0;
  bool _isDisposed = false;

  CallPhase<T> get phase => _phase;

  /// The last answer, which stays while a newer call runs.
  T? get latest => _latest;

  /// Makes a call with the options that it is given; ends when the call does.
  Future<void> run(Future<T> Function(CallOptions options) call) async {
    final run = ++_run;
    final cancel = CancelToken();
    // With a key the transport ends the older call.
    if (supersede == null) _cancel?.cancel();
    _cancel = cancel;
    _call = call;
    _show(const Running());
    final watch = Stopwatch()..start();
    final options = CallOptions(
      cancel: cancel,
      supersede: supersede,
      onSendProgress: (sent, total) {
        if (run == _run && total > 0) _show(Running(sent: sent / total));
      },
    );
    try {
      final value = await call(options);
      if (run != _run) return;
      _latest = value;
      _show(Done(value, elapsed: watch.elapsed));
    } on SupersededException {
      if (run == _run) _show(const Idle());
    } on MothlightException catch (error) {
      // A CancelledException too: after a cancel of our own `run` is an old
      // one, so this one is the server's, which gave the call up.
      if (run == _run) _show(Failed(error));
    } on Object {
      if (run == _run) _show(const Idle());
      rethrow;
    }
  }

  /// Makes the last call again.
  Future<void> retry() async {
    if (_call case final call?) await run(call);
  }

  /// Stops the call, and forgets its answer.
  void clear() {
    _stop();
    _latest = null;
    _show(const Idle());
  }

  /// Stops the call: its work on the server ends too.
  void cancel() {
    _stop();
    _show(const Idle());
  }

  @override
  void dispose() {
    _isDisposed = true;
    _stop();
    super.dispose();
  }

  void _stop() {
    _run++;
    _cancel?.cancel();
    _cancel = null;
  }

  void _show(CallPhase<T> phase) {
    if (_isDisposed) return;
    _phase = phase;
    notifyListeners();
  }
}
