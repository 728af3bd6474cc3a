import 'dart:async';
import 'dart:typed_data';

import 'answer.dart';
import 'ending.dart';
import 'errors.dart';
import 'exchange.dart';
import 'http_adapter.dart';
import 'sse.dart';
import 'watchdog.dart';

/// Bytes a second of a slow network: so long may a body be on its way that was
/// taken at once.
const int _slowest = 16 * 1024;

/// How long the end of a body may take whose content is whole.
const Duration _lingerTime = Duration(milliseconds: 500);

const AdapterException _left = AdapterException('it was closed on this side');

/// One request of a call, and its answer.
final class Connection {
  /// The next one of [exchange], which closes when the call ends here.
  Connection(this.exchange, this.ending) {
    _broken.future.ignore();
  }

  /// The call.
  final Exchange<Object?> exchange;

  /// What ends the call here.
  final Ending ending;

  final Completer<void> _abort = Completer<void>();
  final Completer<Never> _broken = Completer<Never>();

  bool _isClosed = false;

  /// Of the token that it is sent with.
  int generation = 0;

  /// The head of the answer, and its body.
  late final RawResponse response;

  /// Whether [close] was called.
  bool get isClosed => _isClosed;

  /// Closes it; what waits for it ends with an [AdapterException].
  void close() {
    _isClosed = true;
    _break(_left);
  }

  /// Sends the request that [make] gives, and waits for the head of the answer.
  /// Throws [AdapterException], [Silence], or why the call ends here.
  Future<void> open(
    HttpAdapter adapter,
    RawRequest Function(Future<void> abort) make,
  ) async {
    if (_broken.isCompleted) await _broken.future;
    final request = make(_abort.future);
    final watchdog = _watch(exchange.silence);
    ending.onEnd(close);
    final streams = adapter.streamsBodies;
    final sending = adapter.send(_watched(request, watchdog, streams: streams));
    try {
      response = await _until(sending);
    } catch (_) {
      _break(_left);
      unawaited(sending.then(discard, onError: (Object _) {}));
      rethrow;
    } finally {
      watchdog.stop();
      ending.offEnd(close);
    }
  }

  /// The whole answer; of one that is longer than [limit], a little more than
  /// that. Throws as [open] does.
  Future<Answer> read(int limit) async {
    final content = BytesBuilder(copy: false);
    final isSuccess = response.status >= 200 && response.status < 300;
    final most = isSuccess ? limit : maxProblem;
    await listen<List<int>>(response.body, (chunk) {
      content.add(chunk);
      return content.length <= most;
    });
    return Answer(response.status, response.headers, content.takeBytes());
  }

  /// Listens to [body] until it ends, or [onData] says that nothing more is
  /// wanted by false. Throws what [onData] throws, and as [open] does.
  ///
  /// [onBegin] is given the subscription. With [lingers] the rest of a body of
  /// which no more is wanted is read, so that its connection can be used again.
  Future<void> listen<T>(
    Stream<T> body,
    bool Function(T data) onData, {
    Watchdog? watchdog,
    bool lingers = false,
    void Function(StreamSubscription<T> subscription)? onBegin,
  }) async {
    final done = Completer<void>();
    final dog = watchdog ?? watch();
    ending.onEnd(close);
    final subscription = body.listen(
      null,
      onError: (Object error, StackTrace stack) {
        // What a decoder says of the content is its own; else the network.
        final isContent = error is MothlightException || error is SseOverflow;
        final why = isContent ? error : adapterError(error);
        if (!done.isCompleted) done.completeError(why, stack);
      },
      onDone: () {
        if (!done.isCompleted) done.complete();
      },
      cancelOnError: true,
    );
    subscription.onData((data) {
      if (done.isCompleted) return;
      dog.heard();
      try {
        if (!onData(data)) done.complete();
      } catch (error, stack) {
        done.completeError(error, stack);
      }
    });
    onBegin?.call(subscription);
    var isDone = false;
    try {
      await _until(done.future);
      isDone = true;
    } finally {
      dog.stop();
      ending.offEnd(close);
      isDone && lingers ? _linger(subscription) : _leave(subscription);
    }
  }

  /// The silence after which it counts as lost.
  Watchdog watch() => _watch(exchange.patience.idle);

  Watchdog _watch(Duration limit) {
    late final Watchdog watchdog;
    return watchdog = Watchdog(limit, () => _break(Silence(watchdog.limit)));
  }

  static void _linger<T>(StreamSubscription<T> subscription) {
    final timer = Timer(_lingerTime, () => _leave(subscription));
    subscription
      ..onData(null)
      ..onError((Object _) => timer.cancel())
      ..onDone(timer.cancel);
  }

  static void _leave<T>(StreamSubscription<T> subscription) {
    unawaited(subscription.cancel().then((_) {}, onError: (Object _) {}));
  }

  void _break(Exception error) {
    if (!_broken.isCompleted) _broken.completeError(error);
    if (!_abort.isCompleted) _abort.complete();
  }

  Future<T> _until<T>(Future<T> work) =>
      ending.guard(Future.any([work, _broken.future]));

  /// [request], whose body is heard. Unless it [streams], it is still on its
  /// way when all of it was taken.
  static RawRequest _watched(
    RawRequest request,
    Watchdog watchdog, {
    required bool streams,
  }) {
    final body = request.body;
    if (body == null) return request;
    var size = 0;
    final heard = StreamTransformer<List<int>, List<int>>.fromHandlers(
      handleData: (chunk, out) {
        size += chunk.length;
        watchdog.heard();
        out.add(chunk);
      },
      handleDone: (out) {
        if (!streams) watchdog.heard(Duration(seconds: size ~/ _slowest));
        out.close();
      },
    );
    return RawRequest(
      method: request.method,
      url: request.url,
      headers: request.headers,
      body: body.transform(heard),
      contentLength: request.contentLength,
      abort: request.abort,
    );
  }
}

/// The adapter's exception that [error] is, of whatever kind it is.
AdapterException adapterError(Object error) =>
    error is AdapterException
        ? error
        : AdapterException('$error', cause: error);

/// Closes the connection of an answer that nobody wants.
void discard(RawResponse response) {
  final subscription = response.body.listen((_) {}, onError: (Object _) {});
  unawaited(subscription.cancel().then((_) {}, onError: (Object _) {}));
}
