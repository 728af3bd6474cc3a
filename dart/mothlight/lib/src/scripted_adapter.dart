import 'dart:async';
import 'dart:collection';
import 'dart:convert';
import 'dart:math';
import 'dart:typed_data';

import 'http_adapter.dart';
import 'scripted_socket.dart';

/// A network that is a script: it answers request after request with what was
/// queued, and keeps what was asked.
///
/// ```dart
/// final adapter = ScriptedAdapter([
///   Reply.failure(),
///   Reply.json({'score': 0.9}),
/// ]);
/// final transport = Transport(Uri.parse('http://test'), adapter: adapter);
/// ```
final class ScriptedAdapter implements HttpAdapter {
  /// [replies] and [sockets] are what the queues begin with.
  ScriptedAdapter([
    Iterable<Reply> replies = const [],
    Iterable<ScriptedSocket> sockets = const [],
  ]) : replies = Queue.of(replies),
       sockets = Queue.of(sockets);

  /// The replies that are left. What a transport asks beside its calls takes
  /// none of them: see [answer].
  final Queue<Reply> replies;

  /// The sockets that are left.
  final Queue<ScriptedSocket> sockets;

  /// Answers when no [replies] are left; without it that is a [StateError].
  ///
  /// It alone answers `DELETE /calls/…`, which ends a call that is left, and
  /// `GET /contract`, which may explain an error; without it the one is a 204,
  /// the other a 404.
  FutureOr<Reply> Function(RecordedRequest request)? answer;

  /// The requests that came, with their whole bodies.
  final List<RecordedRequest> requests = [];

  /// The WebSockets that were asked for.
  final List<RecordedRequest> connections = [];

  /// Whether [close] was called.
  bool isClosed = false;

  /// Set to false, it is a browser.
  @override
  bool sendsSocketHeaders = true;

  /// Set to true, a body has left when all of it was taken.
  @override
  bool streamsBodies = false;

  @override
  Future<RawResponse> send(RawRequest request) async {
    final abort = request.abort;
    final body = BytesBuilder(copy: false);
    await for (final chunk in request.body ?? const Stream<List<int>>.empty()) {
      body.add(chunk);
    }
    final recorded = RecordedRequest._(
      request.method,
      request.url,
      request.headers,
      body.takeBytes(),
    );
    requests.add(recorded);
    unawaited(abort.then((_) => recorded._isAborted = true));
    final reply = await _unlessAborted(_next(recorded), abort);
    if (reply.delay > Duration.zero) {
      final head = Completer<void>();
      final timer = Timer(reply.delay, head.complete);
      await _unlessAborted(head.future, abort).whenComplete(timer.cancel);
    }
    if (reply.error case final error?) throw error;
    return RawResponse(
      status: reply.status,
      headers: reply.headers,
      body: _play(reply.steps, abort),
    );
  }

  @override
  Future<MessageSocket> connect(
    Uri url, {
    List<String> protocols = const [],
    Map<String, String> headers = const {},
    int maxMessage = longestMessage,
    required Future<void> abort,
  }) async {
    connections.add(
      RecordedRequest._('GET', url, headers, Uint8List(0), protocols),
    );
    if (sockets.isEmpty) throw StateError('no socket is left for $url');
    final socket = sockets.removeFirst();
    await _unlessAborted(Future<void>.value(), abort);
    if (socket.refusal case final refusal?) throw refusal;
    socket.begin();
    return socket;
  }

  @override
  void close() => isClosed = true;

  Future<Reply> _next(RecordedRequest request) async {
    final beside = request._beside;
    if (beside == null && replies.isNotEmpty) return replies.removeFirst();
    if (answer case final answer?) return answer(request);
    return beside ?? (throw StateError('no reply is left for $request'));
  }
}

/// A request that came.
final class RecordedRequest {
  RecordedRequest._(
    this.method,
    this.url,
    this.headers,
    this.body, [
    this.protocols = const [],
  ]);

  /// The verb of HTTP.
  final String method;

  /// The whole address.
  final Uri url;

  /// Names are lower-case.
  final Map<String, String> headers;

  /// The whole body.
  final Uint8List body;

  /// The subprotocols of a WebSocket.
  final List<String> protocols;

  bool _isAborted = false;

  /// Whether its caller gave it up.
  bool get isAborted => _isAborted;

  /// What answers it where it is none of a call; null for those of calls.
  Reply? get _beside => switch ((method, url.pathSegments)) {
    ('DELETE', [..., 'calls', _]) => Reply(status: 204),
    ('GET', [..., 'contract']) => Reply(status: 404),
    _ => null,
  };

  /// The body as text.
  String get text => utf8.decode(body);

  /// The body as JSON.
  Object? get json => jsonDecode(text);

  @override
  String toString() => '$method $url';
}

/// What [ScriptedAdapter] answers a request with.
final class Reply {
  /// [steps] are the body: a `List<int>` is a chunk, a [String] one of UTF-8, a
  /// [Duration] a silence, an [Exception] the end. Header names are lower-case.
  Reply({
    this.status = 200,
    this.headers = const {},
    this.steps = const [],
    this.delay = Duration.zero,
  }) : error = null;

  /// The request fails, after [delay], with [error].
  Reply.failure({
    this.delay = Duration.zero,
    this.error = const AdapterException('Connection refused'),
  }) : status = 0,
       headers = const {},
       steps = const [];

  /// [value] as JSON.
  factory Reply.json(
    Object? value, {
    int status = 200,
    Map<String, String> headers = const {},
    Duration delay = Duration.zero,
  }) => Reply(
    status: status,
    headers: {'content-type': 'application/json', ...headers},
    steps: [jsonEncode(value)],
    delay: delay,
  );

  /// A problem document (RFC 9457): its [type] and [code], and what [fields]
  /// has.
  factory Reply.problem(
    String type, {
    int status = 500,
    String code = 'internal',
    String detail = '',
    Map<String, Object?> fields = const {},
    Map<String, String> headers = const {},
  }) => Reply(
    status: status,
    headers: {'content-type': 'application/problem+json', ...headers},
    steps: [
      jsonEncode({
        'type': type,
        'status': status,
        'code': code,
        'detail': detail,
        ...fields,
      }),
    ],
  );

  /// A stream of server-sent events: [items] as JSON, numbered from [first]
  /// on. Then the end, or [problem] where it is given; where [isCut] is true
  /// the connection is lost instead. [pause] is the silence before each.
  factory Reply.events(
    Iterable<Object?> items, {
    int first = 1,
    bool isCut = false,
    Map<String, Object?>? problem,
    Duration pause = Duration.zero,
    Map<String, String> headers = const {},
  }) => Reply(
    headers: {'content-type': 'text/event-stream', ...headers},
    steps: [
      for (final (index, item) in items.indexed) ...[
        if (pause > Duration.zero) pause,
        'id: ${first + index}\ndata: ${jsonEncode(item)}\n\n',
      ],
      if (isCut)
        lost
      else if (problem != null)
        'event: error\ndata: ${jsonEncode(problem)}\n\n'
      else
        'event: end\ndata: {}\n\n',
    ],
  );

  /// The end of a connection that is lost.
  static const AdapterException lost = AdapterException(
    'the connection was lost',
  );

  /// The status of HTTP.
  final int status;

  /// Names are lower-case.
  final Map<String, String> headers;

  /// What the body does, one after the other.
  final List<Object> steps;

  /// The time until the head comes.
  final Duration delay;

  /// What the request fails with instead.
  final Exception? error;

  /// The same, its body in chunks of [size] bytes, wherever that tears it.
  Reply torn(int size) => Reply(
    status: status,
    headers: headers,
    delay: delay,
    steps: [
      for (final step in steps)
        if (_bytes(step) case final bytes?)
          for (var start = 0; start < bytes.length; start += size)
            bytes.sublist(start, min(start + size, bytes.length))
        else
          step,
    ],
  );
}

List<int>? _bytes(Object step) => switch (step) {
  final String text => utf8.encode(text),
  final List<int> bytes => bytes,
  _ => null,
};

Future<T> _unlessAborted<T>(Future<T> work, Future<void> abort) =>
    Future.any([work, abort.then((_) => throw AdapterException.aborted)]);

/// A body that does step after step while it is listened to and not paused.
Stream<List<int>> _play(List<Object> steps, Future<void> abort) {
  late final StreamController<List<int>> body;
  Timer? silence;
  var next = 0;
  var isPlaying = false;

  void play() {
    isPlaying = false;
    if (body.isClosed || body.isPaused || !body.hasListener) return;
    if (next == steps.length) {
      unawaited(body.close());
      return;
    }
    final step = steps[next++];
    var wait = Duration.zero;
    switch (step) {
      case final Duration duration:
        wait = duration;
      case final Exception error:
        body.addError(error);
        unawaited(body.close());
        return;
      default:
        body.add(
          _bytes(step) ??
              (throw ArgumentError.value(step, 'steps', 'is no step')),
        );
    }
    isPlaying = true;
    silence = Timer(wait, play);
  }

  void start() {
    if (isPlaying) return;
    isPlaying = true;
    scheduleMicrotask(play);
  }

  body = StreamController<List<int>>(
    onListen: start,
    onResume: start,
    onCancel: () => silence?.cancel(),
  );
  unawaited(
    abort.then((_) {
      if (body.isClosed) return;
      silence?.cancel();
      body.addError(AdapterException.aborted);
      unawaited(body.close());
    }),
  );
  return body.stream;
}
