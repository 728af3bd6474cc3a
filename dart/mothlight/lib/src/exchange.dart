import 'answer.dart';
import 'body.dart';
import 'call.dart';
import 'ending.dart';
import 'errors.dart';
import 'hints.dart';
import 'http_adapter.dart';
import 'metadata.dart';
import 'method.dart';
import 'patience.dart';
import 'problem.dart';
import 'random_id.dart';
import 'reading.dart';

/// The types of problems that are said before any work; null is a proxy's.
/// All others, "Unavailable" among them (its worker died), are what became of
/// this call for good.
const Set<String?> _refusals = {null, 'Overloaded', 'QuotaExceeded'};

const Set<int> _gateway = {502, 503, 504};

/// The media type of a call's status.
const String statusType = 'application/vnd.mothlight.call+json';

/// How long the server is left alone that says "not yet" at once.
const Duration _again = Duration(milliseconds: 100);

/// One call without its I/O: its requests, whether to try again, and what the
/// answers mean.
///
/// ```text
///   ┌────────── lost: again, with the same key ──────────┐
/// POST ── silent, or a stream was cut ──> GET /calls/{id} ┴─> message | items
/// left early: DELETE /calls/{id}             └── not found: POST
/// ```
///
/// A driver sends [request], and asks [lost] or [refused] what to do about a
/// failure: they throw the call's exception, or give the pause before another
/// request.
final class Exchange<O> extends Reading<O> {
  /// A call of [method] at the server [base] (without a last slash). [secret]
  /// is the transport's own, which stands before its supersede keys. [known]
  /// is the id of a call that was begun before: it is asked for, and never
  /// made or cancelled.
  ///
  /// Throws [ArgumentError] where the options make no sense.
  Exchange({
    required this.base,
    required this.method,
    required this.options,
    required this.secret,
    required this.maxAnswer,
    String? known,
    this.isBackground = false,
    this.isPage = false,
  }) : id = known ?? randomId(),
       isKnown = known != null,
       asks = known != null,
       patience = Patience(
         timeout: _timeout(
           options,
           isStream: method.cardinality != Cardinality.unary && !isBackground,
         ),
         retries: options.retries ?? 4,
         idle: options.idle ?? const Duration(seconds: 45),
       ) {
    final priority = options.priority;
    if (priority != null && (priority < 0 || priority > 7)) {
      throw ArgumentError.value(priority, 'priority', 'it is 0 to 7');
    }
    final key = options.supersede?.name;
    if (key != null && (key.isEmpty || Uri.encodeComponent(key).length > 90)) {
      throw ArgumentError.value(key, 'supersede', 'it is a short name');
    }
  }

  /// The server's address.
  final String base;

  @override
  final Method<Object?, O> method;

  /// How it is called.
  final CallOptions options;

  /// Of the transport.
  final String secret;

  @override
  final int maxAnswer;

  /// Whether nobody waits for it.
  final bool isBackground;

  /// Whether it is no call, only something that the server has.
  final bool isPage;

  /// Whether it was begun before.
  final bool isKnown;

  /// Its time and tries.
  final Patience patience;

  /// Its body, once it is encoded; a known call and one that takes a stream
  /// has none.
  RequestBody? body;

  @override
  String id;

  /// Whether the next request asks for the call instead of making it.
  bool asks;

  /// Whether its stream has begun.
  bool isOpen = false;

  /// Items that have come.
  int received = 0;

  /// Requests that were made.
  int attempts = 0;

  /// Whether it was sent with a token that was asked for anew, and nothing has
  /// come of it yet.
  bool isRenewed = false;

  bool _hasToken = false;
  bool _wasSent = false, _isOver = false, _isLost = false;

  /// Whether it gives a stream.
  bool get streams =>
      method.cardinality == Cardinality.serverStream ||
      method.cardinality == Cardinality.duplex;

  @override
  Uri get url => Uri.parse('$base${method.path}');

  /// The address of the call itself.
  Uri get resource => Uri.parse('$base/calls/${Uri.encodeComponent(id)}');

  /// The key of the calls of which the newest wins.
  String? get supersedeKey => switch (options.supersede) {
    null => null,
    final key => '$secret/${Uri.encodeComponent(key.name)}',
  };

  /// The headers that the options and [token] are, names in lower case.
  Map<String, String> headers(String? token) {
    _hasToken = token != null;
    return {
      if (token != null) 'authorization': 'Bearer $token',
      if (options.priority case final priority?) 'priority': 'u=$priority',
      for (final MapEntry(:key, :value) in options.headers.entries)
        key.toLowerCase(): value,
    };
  }

  /// The headers that make the call: its name, and how long it may take.
  /// Throws [CallTimeoutException] where no time is left for it.
  Map<String, String> begin() {
    if (patience.isOver) throw timedOut();
    _wasSent = true;
    return {
      if (!isPage) 'idempotency-key': id,
      if (supersedeKey case final key? when !isPage) 'supersede-key': key,
      if (patience.left case final left? when _tellsTime)
        'request-timeout': (left.inMilliseconds / 1000).toStringAsFixed(3),
    };
  }

  /// Of a background call, the usual time is that of its beginning alone.
  bool get _tellsTime => !isBackground || options.timeout != null;

  /// The next request, which [abort] closes.
  RawRequest request(String? token, Future<void> abort) {
    attempts++;
    final sent = headers(token);
    final headersOfAll = {
      'accept-encoding': 'identity',
      ...sent,
      'accept': streams ? 'text/event-stream' : sent['accept'] ?? '*/*',
    };
    if (asks) {
      if (patience.isOver) throw timedOut();
      return RawRequest(
        method: 'GET',
        url: resource,
        headers: {
          ...headersOfAll,
          if (received > 0)
            'last-event-id': '$received'
          else if (!streams)
            'prefer': 'wait=${patience.hold.inSeconds}',
        },
        abort: abort,
      );
    }
    final query = body?.query ?? '';
    return RawRequest(
      method: method.verb,
      url: query.isEmpty ? url : Uri.parse('$base${method.path}?$query'),
      headers: {
        ...headersOfAll,
        ...begin(),
        if (isBackground) ...{'prefer': 'respond-async', 'accept': '*/*'},
        if (body?.contentType case final type?) 'content-type': type,
      },
      body: body?.open(onProgress: options.onSendProgress),
      contentLength: body?.contentLength ?? 0,
      abort: abort,
    );
  }

  /// The request for its status, which is refused as its socket was: a browser
  /// does not show its page why a socket was refused.
  RawRequest look(String? token, Future<void> abort) => RawRequest(
    method: 'GET',
    url: resource,
    headers: {...headers(token), 'accept': statusType},
    abort: abort,
  );

  /// How long the next answer's head may be waited for.
  Duration get silence =>
      asks && !streams ? patience.idle + patience.hold : patience.idle;

  // Leaving

  /// Whether it may still run, now that nobody waits for it, and the server
  /// can be told.
  bool get isLeft => _wasSent && !_isOver && !_isLost && !isPage;

  @override
  void over() => _isOver = true;

  /// The request that stops it.
  RawRequest cancel(String? token, Future<void> abort) => RawRequest(
    method: 'DELETE',
    url: resource,
    headers: headers(token),
    abort: abort,
  );

  /// The pause before each try to cancel it. Where no answer has come, the
  /// server may not have read its request yet, and find no such call.
  List<Duration> get cancelPauses =>
      isOpen
          ? const [Duration.zero]
          : const [
            Duration.zero,
            Duration(milliseconds: 100),
            Duration(milliseconds: 400),
          ];

  // What came of it

  /// Whether the server has it, as far as we know.
  bool get _isKept => isOpen || isKnown;

  /// The connection failed, or ended too soon ([error] is null): the pause
  /// until the next try. Throws the call's exception.
  Duration lost(Object? error) {
    final isSilent = error is Silence;
    if (isSilent && !streams && !asks && !isPage && !isBackground) {
      asks = true; // it may well be at work, and will say so
      return Duration.zero;
    }
    if (isOpen) asks = true;
    final isUseless = error is AdapterException && error.isPermanent;
    if (isUseless ? null : patience.pause(isKept: _isKept) case final pause?) {
      return pause;
    }
    _isLost = true;
    throw disconnected(error);
  }

  /// The exception of a connection that failed for good.
  ConnectionException disconnected(Object? error) {
    final reason = switch (error) {
      null => 'the connection was closed',
      Silence() when isOpen => '$error, not even a heartbeat',
      AdapterException(:final message) => message,
      _ => '$error',
    };
    return ConnectionException(
      isOpen
          ? 'the stream ended before its end, after $received items: $reason'
          : '$url cannot be reached: $reason',
      url: url,
      received: received,
      cause: error is AdapterException ? error.cause ?? error : error,
      hint: hintFor(url, reason),
      callId: id,
    );
  }

  /// The exception of a stream without its end.
  ConnectionException cut(String reason, {String? hint}) => ConnectionException(
    'the stream ended before its end, after $received items: $reason',
    url: url,
    received: received,
    hint: hint,
    callId: id,
  );

  /// The exception of a stream that the server knows nothing of any more.
  ConnectionException forgotten() =>
      cut('the server does not have the call any more', hint: forgottenHint);

  /// The exception of a deadline that is over.
  CallTimeoutException timedOut() =>
      CallTimeoutException('no answer within the deadline', callId: id);

  /// Whether [answer] is what the request asked for.
  bool isAnswer(Answer answer) =>
      (answer.isSuccess && !(answer.status == 202 && asks)) ||
      (isPage && answer.status == 304);

  /// The answer is no message: the pause until the next request. Throws the
  /// exception that it is.
  Duration refused(Answer answer) {
    if (answer.status == 202 && asks) {
      patience.progress();
      isRenewed = false;
      return _again;
    }
    final problem = answer.problem;
    final type = switch (problem?['type']) {
      'about:blank' => null, // RFC 9457, 4.2.1: it is no more than its status
      final type => type,
    };
    Duration? pause;
    if (type == 'CallNotFound' && asks && !isKnown) {
      if (received > 0) {
        over();
        throw forgotten();
      }
      asks = isOpen = false;
      pause = patience.pause();
    } else if ((answer.status == 429 || answer.status == 503) &&
        _refusals.contains(type) &&
        answer.retryAfter != null) {
      pause = patience.pause(atLeast: answer.retryAfter!);
    } else if (_gateway.contains(answer.status) && type == null) {
      pause = patience.pause(isKept: _isKept);
    }
    if (pause != null) return pause;
    over();
    throw problem == null
        ? foreign(answer, url: url, callId: id)
        : error(problem, answer);
  }

  /// The exception that a problem document describes.
  MothlightException error(Map<String, Object?> problem, [Answer? answer]) =>
      exceptionOf(
        problem,
        method: method,
        answer: answer,
        callId: id,
        hint: switch (problem['type']) {
          'RouteNotFound' || 'MethodNotAllowed' =>
            'look whether ${method.contract.name} is served at $base',
          'Unauthenticated' when !_hasToken =>
            'the server asks who calls: give the Transport a token',
          'Cancelled' when !isKnown => cancelledThere,
          'ItemsGone' when problem['last'] == 0 => forgottenHint,
          _ => null,
        },
      );

  /// A newer call of ours, which came to the server first, has ended this one,
  /// though it is the newest: it is made anew under another name.
  Duration? anew() {
    if (isOpen || isKnown) return null;
    final pause = patience.pause();
    if (pause != null) {
      id = randomId();
      asks = false;
    }
    return pause;
  }

  /// What the answer says beside the answer.
  CallMetadata metadata(Answer answer) => CallMetadata(
    callId: answer.headers['call-id'] ?? id,
    status: answer.status,
    timings: parseServerTiming(answer.headers['server-timing']),
    attempts: attempts,
  );
}

Duration? _timeout(CallOptions options, {required bool isStream}) =>
    switch (options.timeout) {
      Duration.zero => null,
      null => isStream ? null : const Duration(seconds: 60),
      final timeout => timeout,
    };
