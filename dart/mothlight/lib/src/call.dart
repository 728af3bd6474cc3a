import 'dart:async';

import 'callback.dart';

/// Stops calls: give it to them in their [CallOptions], and call [cancel].
///
/// A cancelled call ends with a `CancelledException`, and its work on the
/// server ends too.
final class CancelToken {
  final Completer<void> _done = Completer<void>();
  final Set<void Function()> _listeners = {};

  /// Whether [cancel] was called.
  bool get isCancelled => _done.isCompleted;

  /// Completes when [cancel] is called.
  Future<void> get whenCancelled => _done.future;

  /// Stops all calls that have this token.
  void cancel() {
    if (isCancelled) return;
    _done.complete();
    final listeners = [..._listeners];
    _listeners.clear();
    listeners.forEach(guarded);
  }

  /// Calls [listener] at once when [cancel] is called, for the first time.
  void addListener(void Function() listener) => _listeners.add(listener);

  /// [listener] is not called any more, and not kept.
  void removeListener(void Function() listener) => _listeners.remove(listener);
}

/// A name for calls of which only the newest matters: a newer one with the
/// same key ends the older with a `SupersededException`, here and on the
/// server. Type-ahead, sliders, camera frames.
final class SupersedeKey {
  /// Calls that are called [name], of one transport.
  const SupersedeKey(this.name);

  /// The name, up to 90 characters when it is percent-encoded.
  final String name;
}

/// How a stream's connection is.
enum StreamState {
  /// It is being made.
  connecting,

  /// Items come.
  live,

  /// It was lost, and is being made again where it was.
  resuming,

  /// The transport is paused: the app is in the background.
  paused,

  /// The stream has ended.
  ended,
}

/// What a server says of an answer beside the answer.
final class CallMetadata {
  /// See the fields.
  const CallMetadata({
    required this.callId,
    required this.status,
    required this.timings,
    required this.attempts,
  });

  /// The call's id, for `/calls/{id}` and for reports.
  final String callId;

  /// The status of HTTP.
  final int status;

  /// `Server-Timing` by name: `queue`, `batch`, `compute`.
  final Map<String, Timing> timings;

  /// How many requests it took.
  final int attempts;
}

/// One entry of `Server-Timing` (W3C).
final class Timing {
  /// [duration] and [description] are null where the entry has none.
  const Timing({this.duration, this.description});

  /// How long it took.
  final Duration? duration;

  /// Its `desc`: of `batch`, how many calls shared it.
  final String? description;
}

/// How a call is made. What is null is taken from the transport's own options.
final class CallOptions {
  /// See the fields.
  const CallOptions({
    this.timeout,
    this.cancel,
    this.headers = const {},
    this.retries,
    this.idle,
    this.priority,
    this.supersede,
    this.onSendProgress,
    this.onMetadata,
    this.onState,
  });

  /// The time of a call with all its tries, and of a stream with all its
  /// items; it reaches the server, where the work ends too. At first 60 s for
  /// a call without streams, and none for one that takes or gives a stream;
  /// [Duration.zero] is none.
  final Duration? timeout;

  /// Stops the call.
  final CancelToken? cancel;

  /// Sent with every request of the call.
  final Map<String, String> headers;

  /// Further tries, one after the other without anything coming of them; at
  /// first 4, which take some 1.5 s. Each has the call's own key: the model
  /// runs once. A call that the server has (a stream that is open, the result
  /// of an `Operation`) is tried for 30 s at least, unless this is 0.
  final int? retries;

  /// Silence after which a connection counts as lost; at first 45 s. Servers
  /// send a heartbeat every 15 s.
  final Duration? idle;

  /// From 0, the first of this caller's own, to 7, the last, behind
  /// everybody's; 3 is usual (RFC 9218).
  final int? priority;

  /// The newest call with this key wins.
  final SupersedeKey? supersede;

  /// Bytes of the body that are sent, and in all; from 0 again at another try.
  /// A browser sends a body as a whole, and tells so once.
  final void Function(int sent, int total)? onSendProgress;

  /// Called when the answer's head has come, of a stream at each connection.
  final void Function(CallMetadata metadata)? onMetadata;

  /// Called when the state of a stream's connection changes.
  final void Function(StreamState state)? onState;

  /// These options, with those of [over] that are not null in their place;
  /// headers are added.
  CallOptions merge(CallOptions? over) =>
      over == null
          ? this
          : CallOptions(
            timeout: over.timeout ?? timeout,
            cancel: over.cancel ?? cancel,
            headers: {...headers, ...over.headers},
            retries: over.retries ?? retries,
            idle: over.idle ?? idle,
            priority: over.priority ?? priority,
            supersede: over.supersede ?? supersede,
            onSendProgress: over.onSendProgress ?? onSendProgress,
            onMetadata: over.onMetadata ?? onMetadata,
            onState: over.onState ?? onState,
          );
}
