import 'dart:async';
import 'dart:collection';

import 'package:mothlight/mothlight.dart';

import 'foundation.dart';

/// A stream that is shown as it comes: its last [capacity] items, how fast
/// they come, and how its connection is.
final class LiveController<T> extends ChangeNotifier {
  LiveController({this.capacity = 2000}) : assert(capacity > 0);

  final int capacity;

  final Queue<T> _items = ListQueue<T>();
  final Stopwatch _watch = Stopwatch();
  StreamSubscription<T>? _subscription;
  Stream<T> Function(CallOptions options)? _open;
  StreamState? _connection;
  MothlightException? _error;
  Duration _lastAt = Duration.zero;
  int _count = 0;
  int _run = 0;
  bool _isDisposed = false;

  /// The last items, the oldest first.
  Iterable<T> get items => _items;

  /// How many have come in all.
  int get count => _count;

  /// Items a second, from the first to the last; 0 before there are two.
  double get rate {
    final micros = _lastAt.inMicroseconds;
    if (_count < 2 || micros == 0) return 0;
    return (_count - 1) * Duration.microsecondsPerSecond / micros;
  }

  /// Null before the first stream.
  StreamState? get connection => _connection;

  /// What the last stream failed with.
  MothlightException? get error => _error;

  bool get isRunning => _subscription != null;

  /// Shows a stream in the place of the one before, which is cancelled.
  void start(Stream<T> Function(CallOptions options) open) {
    _cancel();
    final run = _run;
    _open = open;
    _items.clear();
    _count = 0;
    _error = null;
    _connection = StreamState.connecting;
    _watch
      ..stop()
      ..reset();
    final options = CallOptions(
      onState: (state) {
        if (run != _run) return;
        _connection = state;
        _notify();
      },
    );
    _subscription = open(options).listen(
      (item) {
        if (run == _run) _add(item);
      },
      onError: (Object error, StackTrace stack) {
        if (run != _run) return;
        _end();
        switch (error) {
          case SupersededException():
            break;
          // A CancelledException too: after a cancel of our own `run` is an
          // old one, so this one is the server's, which gave the call up.
          case MothlightException():
            _error = error;
          default:
            Zone.current.handleUncaughtError(error, stack);
        }
        _notify();
      },
      onDone: () {
        if (run != _run) return;
        _end();
        _notify();
      },
      cancelOnError: true,
    );
    _notify();
  }

  /// Shows the last stream again, from its beginning.
  void retry() {
    if (_open case final open?) start(open);
  }

  /// Stops the stream, and its work on the server; the items stay.
  void stop() {
    _cancel();
    _notify();
  }

  @override
  void dispose() {
    _isDisposed = true;
    _cancel();
    super.dispose();
  }

  void _add(T item) {
    if (_count == 0) _watch.start();
    _lastAt = _watch.elapsed;
    _count++;
    if (_items.length == capacity) _items.removeFirst();
    _items.add(item);
    _notify();
  }

  void _cancel() {
    _run++;
    final subscription = _subscription;
    _end();
    if (subscription != null) unawaited(subscription.cancel());
  }

  void _end() {
    _subscription = null;
    if (_connection != null) _connection = StreamState.ended;
  }

  void _notify() {
    if (!_isDisposed) notifyListeners();
  }
}
