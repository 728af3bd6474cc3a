import 'dart:async';

/// Calls back when nothing was heard for a time.
final class Watchdog {
  /// Bites after [_limit] of silence.
  Watchdog(this._limit, this._bite) {
    start();
  }

  final Duration _limit;
  Duration _more = Duration.zero;
  final void Function() _bite;
  final Stopwatch _since = Stopwatch()..start();
  Timer? _timer;

  /// The silence after which it bites.
  Duration get limit => _limit + _more;

  /// Something was heard; the next thing may take so much [more].
  void heard([Duration more = Duration.zero]) {
    _more = more;
    _since.reset();
  }

  /// A stream, each chunk of which is heard.
  Stream<List<int>> over(Stream<List<int>> chunks) => chunks.map((chunk) {
    heard();
    return chunk;
  });

  /// Begins, or begins anew.
  void start() {
    _since.reset();
    _timer?.cancel();
    _timer = Timer(_limit, _look);
  }

  /// Ends the watch.
  void stop() {
    _timer?.cancel();
    _timer = null;
  }

  // One timer that is set anew when it rings costs less than one a chunk.
  void _look() {
    final left = limit - _since.elapsed;
    if (left > Duration.zero) {
      _timer = Timer(left, _look);
    } else {
      _timer = null;
      _bite();
    }
  }
}
