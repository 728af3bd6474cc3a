import 'dart:async';

import 'errors.dart';

/// A stream of answers that a test feeds by hand:
///
/// ```dart
/// final tokens = FakeStream<Token>();
/// final api = FakeWriterApi(write: (prompt) => tokens.stream);
/// // … the widget listens …
/// tokens.add(const Token(text: 'Once'));
/// await tester.pump();
/// ```
final class FakeStream<T> {
  /// A stream to which nothing was given yet.
  FakeStream();

  /// A stream of [items], [every] so often one, which ends then.
  factory FakeStream.of(Iterable<T> items, {Duration every = Duration.zero}) {
    final fake = FakeStream<T>();
    final left = items.iterator;
    void next() {
      if (fake.isPaused) {
        fake._onResume = next;
      } else if (left.moveNext()) {
        fake.add(left.current);
        fake._timer = Timer(every, next);
      } else {
        fake.end();
      }
    }

    fake._onListen = () => fake._timer = Timer(every, next);
    return fake;
  }

  final Completer<void> _listened = Completer<void>();
  final Completer<void> _cancelled = Completer<void>();
  void Function()? _onListen, _onResume;
  Timer? _timer;
  late final StreamController<T> _controller = StreamController<T>(
    onListen: () {
      _listened.complete();
      _onListen?.call();
    },
    onResume: () {
      final resumed = _onResume;
      _onResume = null;
      resumed?.call();
    },
    onCancel: () {
      _stop();
      if (!_controller.isClosed) _cancelled.complete();
    },
  );

  /// What a fake's function answers with; it can be listened to once.
  Stream<T> get stream => _controller.stream;

  /// Whether somebody listened to it.
  bool get isListened => _listened.isCompleted;

  /// Completes when somebody listens to it.
  Future<void> get whenListened => _listened.future;

  /// Whether who listens has asked for a pause.
  bool get isPaused => _controller.hasListener && _controller.isPaused;

  /// Whether who listened stopped before the end, as a screen does that is
  /// left.
  bool get isCancelled => _cancelled.isCompleted;

  /// Completes when who listened stops before the end.
  Future<void> get whenCancelled => _cancelled.future;

  /// Gives an item; nobody hears it after a cancel.
  void add(T item) => _controller.add(item);

  /// Ends it with an error, as a call ends that fails.
  void fail(MothlightException error) {
    _controller.addError(error);
    end();
  }

  /// Ends it.
  void end() {
    _stop();
    unawaited(_controller.close());
  }

  /// Feeds itself no more: a widget test fails by a timer that is left.
  void _stop() {
    _timer?.cancel();
    _onResume = null;
  }
}

/// An answer that a test gives by hand, to see what a widget shows meanwhile:
///
/// ```dart
/// final verdict = FakeAnswer<Verdict>();
/// final api = FakeSentimentApi(analyze: (review) => verdict.future);
/// // … a progress indicator …
/// verdict.give(const Verdict(score: 0.9));
/// ```
final class FakeAnswer<T> {
  // An error may be given before anybody listens.
  final Completer<T> _answer = Completer<T>()..future.ignore();

  /// What a fake's function answers with.
  Future<T> get future => _answer.future;

  /// Gives the answer.
  void give(T answer) => _answer.complete(answer);

  /// Gives an error in its place.
  void fail(MothlightException error) => _answer.completeError(error);
}
