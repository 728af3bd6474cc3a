import 'dart:math';

/// How long we wait beyond the deadline, so that the server's own word on it
/// can arrive.
const Duration slack = Duration(milliseconds: 500);

/// The longest `Retry-After` that is waited for.
const Duration longestPause = Duration(seconds: 30);

/// The longest that the server is asked to hold an answer back.
const Duration longestHold = Duration(seconds: 20);

/// How long a server keeps a call whose connection is lost, unless its own
/// `grace` is another.
const Duration _kept = Duration(seconds: 30);

const Duration _first = Duration(milliseconds: 100);
const Duration _most = Duration(seconds: 5);

/// The time and the tries of one call.
final class Patience {
  /// A call of [timeout] in all (null: without end), which is tried [retries]
  /// times again; [idle] is the silence after which a connection is lost.
  /// [away] measures the time since the first failure in a row.
  Patience({
    required this.timeout,
    required this.retries,
    required this.idle,
    Random? random,
    Stopwatch? away,
  }) : _random = random ?? Random(),
       _away = away ?? Stopwatch();

  /// The call's whole time.
  final Duration? timeout;

  /// Further tries in a row; see [pause].
  final int retries;

  /// Silence after which a connection counts as lost.
  final Duration idle;

  final Random _random;
  final Stopwatch _away;
  final Stopwatch _watch = Stopwatch()..start();
  int _failures = 0;

  /// How many tries have failed since something came of the call.
  int get failures => _failures;

  /// What is left until the deadline; null without one.
  Duration? get left => switch (timeout) {
    null => null,
    final timeout => timeout - _watch.elapsed,
  };

  /// Whether the deadline is over.
  bool get isOver => switch (left) {
    null => false,
    final left => left <= Duration.zero,
  };

  /// Something has come of it: the tries begin anew.
  void progress() => _failures = 0;

  /// A connection has ended that lived for [time], from its head on: after a
  /// long life that is not one more failure in a row.
  void lived(Duration time) {
    if (time > idle ~/ 4) progress();
  }

  /// How long to wait before another try; null where there is none. At random
  /// from half of a bound that doubles, so that the clients of a server that
  /// comes back do not come all at once.
  ///
  /// [isKept]: the server has the call, and keeps it for a while. Then the time
  /// must be used up too: a phone's network is often away for seconds.
  Duration? pause({Duration atLeast = Duration.zero, bool isKept = false}) {
    if (!_hasMore(isKept: isKept) || atLeast > longestPause) return null;
    if (_failures == 0) {
      _away
        ..reset()
        ..start();
    }
    final doubled = _first * pow(2, min(_failures, 10));
    final bounded = doubled < _most ? doubled : _most;
    final quarter = atLeast ~/ 4;
    final spread = bounded > quarter ? bounded : quarter;
    final draw = _random.nextDouble();
    var pause =
        atLeast == Duration.zero
            ? bounded * (0.5 + draw / 2)
            : atLeast + spread * draw;
    if (left case final left?) {
      if (atLeast == Duration.zero && pause > left ~/ 2) pause = left ~/ 2;
      if (left <= Duration.zero || pause >= left) return null;
    }
    _failures++;
    return pause;
  }

  bool _hasMore({required bool isKept}) =>
      _failures < retries || (isKept && retries > 0 && _away.elapsed < _kept);

  /// How long the server may hold an answer back until there is one.
  Duration get hold {
    var most = longestHold;
    if (idle ~/ 2 < most) most = idle ~/ 2;
    if (left case final left? when left + slack < most) most = left + slack;
    return most < const Duration(seconds: 1)
        ? const Duration(seconds: 1)
        : Duration(seconds: most.inSeconds);
  }
}
