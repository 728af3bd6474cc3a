import 'dart:async';

import 'answer.dart';
import 'body.dart';
import 'call.dart';
import 'callback.dart';
import 'connection.dart';
import 'ending.dart';
import 'errors.dart';
import 'exchange.dart';
import 'http_adapter.dart';
import 'problem.dart';
import 'session.dart';
import 'sse.dart';
import 'watchdog.dart';

/// A stream of answers: one call over one connection after the other. No item
/// is lost or given twice: each has a number, and the one that comes must be
/// the next.
final class ServerStream<O> implements LiveCall {
  /// The call that [_make] makes when it is listened to; [_encode] gives its
  /// body.
  ServerStream(this._session, this._make, [this._encode]);

  final Session _session;
  final Exchange<O> Function() _make;
  final Future<RequestBody> Function()? _encode;

  late final StreamController<O> _controller = StreamController<O>(
    onListen: () => unawaited(_run()),
    onPause: _hold,
    onResume: _release,
    onCancel: _cancel,
  );

  late final Exchange<O> _exchange;
  Ending? _ending;
  Connection? _connection;
  StreamSubscription<SseEvent>? _events;
  Watchdog? _watchdog;
  Completer<void>? _resumed;
  Stopwatch? _alive; // since the connection's head has come
  StreamState? _state;
  bool _isEnded = false;

  /// The items. To cancel the subscription stops the call on the server, to
  /// pause it stops reading.
  Stream<O> get stream => _controller.stream;

  @override
  void pause() {
    _resumed ??= Completer<void>();
    _connection?.close();
    _tell(StreamState.paused);
  }

  @override
  void resume() {
    _resumed?.complete();
    _resumed = null;
  }

  Future<void> _run() async {
    try {
      _exchange = _make();
    } catch (error, stack) {
      _controller.addError(error, stack);
      unawaited(_controller.close());
      return;
    }
    final ending = _ending = _session.begin(_exchange);
    _session.enter(this);
    if (_session.isPaused) pause();
    try {
      try {
        if (_encode case final encode?) {
          _exchange.body = await ending.guard(encode());
        }
        await _connect(ending);
      } finally {
        _session.leave(this);
        _session.finish(_exchange, ending);
      }
    } on MothlightException catch (error, stack) {
      final why = await _session.contracts.explain(_exchange, error);
      if (!_isLeft) _controller.addError(why, stack);
    } catch (error, stack) {
      if (!_isLeft) _controller.addError(error, stack);
    } finally {
      _tell(StreamState.ended);
      unawaited(_controller.close());
    }
  }

  bool get _isLeft => !_controller.hasListener;

  Future<void> _connect(Ending ending) async {
    while (!_isEnded) {
      if (_resumed case final resumed?) {
        _tell(StreamState.paused);
        await ending.guard(resumed.future);
        _exchange.patience.progress();
        continue;
      }
      Duration pause;
      if (_exchange.isOpen) _exchange.asks = true;
      _alive = null;
      final connection = _connection = Connection(_exchange, ending);
      // After that: who hears of it may pause the transport, which closes it.
      _tell(_exchange.isOpen ? StreamState.resuming : StreamState.connecting);
      try {
        pause = await _attempt(connection);
      } on Exception catch (error) {
        if (error is! AdapterException && error is! Silence) rethrow;
        if (connection.isClosed) continue; // by pause
        if (_alive case final alive?) _exchange.patience.lived(alive.elapsed);
        pause = _exchange.lost(error);
      } finally {
        _connection = null;
      }
      if (!_isEnded) await ending.sleep(pause);
    }
  }

  /// One connection: the pause until the next one.
  Future<Duration> _attempt(Connection connection) async {
    await _session.send(connection);
    final response = connection.response;
    if (response.status < 200 || response.status >= 300) {
      final answer = await connection.read(maxProblem);
      return _session.refused(
        _exchange,
        connection.ending,
        answer,
        connection.generation,
      );
    }
    final head = Answer.head(response.status, response.headers);
    if (head.mediaType != 'text/event-stream') {
      final answer = await connection.read(maxProblem);
      throw foreign(answer, url: _exchange.url, callId: _exchange.id);
    }
    _exchange
      ..isOpen = true
      ..isRenewed = false;
    _alive = Stopwatch()..start();
    tell(_exchange.options.onMetadata, _exchange.metadata(head));
    _tell(StreamState.live);
    await _read(connection);
    if (_isEnded) return Duration.zero;
    throw const AdapterException('the connection was closed');
  }

  Future<void> _read(Connection connection) async {
    final watchdog = _watchdog = connection.watch();
    final bytes = watchdog.over(connection.response.body);
    try {
      await connection.listen(
        bytes.transform(sseDecoder(limit: _session.maxAnswer)),
        _take,
        watchdog: watchdog,
        lingers: true,
        onBegin: (events) {
          _events = events;
          if (_controller.isPaused) _hold();
        },
      );
    } on SseOverflow catch (error) {
      throw _exchange.cut(error.message); // so it would be time and again
    } finally {
      _events = null;
      _watchdog = null;
    }
  }

  /// Takes an event; whether more are wanted.
  bool _take(SseEvent event) {
    switch (event.type) {
      case '' || 'message':
        _item(event);
      case 'end':
        _isEnded = true;
        _exchange.over();
      case 'error':
        _exchange.over();
        throw switch (objectOf(event.data)) {
          null => _exchange.unexpected('the error is no problem document'),
          final problem => _exchange.error(problem),
        };
    }
    return !_isEnded;
  }

  void _item(SseEvent event) {
    final expected = _exchange.received + 1;
    if (event.id.isNotEmpty && event.id != '$expected') {
      final id = event.id.length > 20 ? event.id.substring(0, 20) : event.id;
      throw _exchange.unexpected('item $id came where $expected was due');
    }
    final item = _exchange.decodeText(event.data);
    _exchange.received = expected;
    _exchange.patience.progress();
    _controller.add(item);
  }

  // What the listener wants

  void _hold() {
    final events = _events;
    if (events == null || events.isPaused) return;
    events.pause();
    _watchdog?.stop(); // it is we who do not listen
  }

  void _release() {
    final events = _events;
    if (events == null || !events.isPaused) return;
    _watchdog?.start();
    events.resume();
  }

  void _cancel() {
    if (_isEnded) return;
    _ending?.end(const CancelledException());
  }

  void _tell(StreamState state) {
    if (state == _state || _state == StreamState.ended) return;
    _state = state;
    tell(_exchange.options.onState, state);
  }
}
