import 'errors.dart';

/// What is known of a call on the server.
enum CallState {
  /// It waits.
  queued,

  /// It is at work.
  running,

  /// It has its answer.
  done,

  /// It ended with an error.
  failed,

  /// It was stopped.
  cancelled,

  /// A state of a newer server.
  unknown,
}

/// What the server says of a call.
final class CallStatus {
  /// See the fields.
  const CallStatus({
    required this.id,
    required this.state,
    required this.created,
    this.ended,
    this.items = 0,
    this.error,
  });

  /// Its id.
  final String id;

  /// How it is.
  final CallState state;

  /// When it was begun.
  final DateTime created;

  /// When it ended.
  final DateTime? ended;

  /// How many items a stream has made.
  final int items;

  /// What it failed with.
  final MothlightException? error;

  /// Whether it has ended.
  bool get isFinal => state != CallState.queued && state != CallState.running;
}

/// A call that goes on without its caller; [id] finds it again.
abstract interface class Operation<T> {
  /// The call's id: keep it, and ask `Transport.operation` later.
  String get id;

  /// What is known of it.
  Future<CallStatus> status();

  /// Its answer, when there is one. [timeout]: it goes on then, and may be
  /// asked again.
  Future<T> result({Duration? timeout});

  /// All its items, as they come. To stop listening does not end it.
  Stream<T> stream();

  /// Stops it.
  Future<void> cancel();
}
