import 'dart:async';
import 'dart:math';

import 'answer.dart';
import 'body.dart';
import 'call.dart';
import 'callback.dart';
import 'connection.dart';
import 'conversation.dart';
import 'ending.dart';
import 'errors.dart';
import 'exchange.dart';
import 'feeder.dart';
import 'http_adapter.dart';
import 'method.dart';
import 'session.dart';

/// Stops the call, as `DELETE /calls/{id}` does.
const String _cancelFrame = '{"cancel":true}';

/// The items of a call that takes [messages]. It begins when it is listened
/// to; to cancel the subscription stops it on the server. An error of
/// [messages] is the stream's error.
Stream<O> converse<I, O>(
  Session session,
  Method<I, O> method,
  Stream<I> messages,
  CallOptions options,
) => _Talk<I, O>(session, method, messages, options).items;

/// The one answer of a method that takes [messages].
Future<O> collect<I, O>(
  Session session,
  Method<I, O> method,
  Stream<I> messages,
  CallOptions options,
) async {
  final stream = converse(session, method, messages, options);
  final items = await stream.take(2).toList();
  if (items.length == 1) return items.single;
  throw DecodeException(
    'the answer does not fit ${method.qualifiedName}: '
    '${items.isEmpty ? 'no answer' : 'more than one answer'} came',
  );
}

/// A conversation on its sockets, one after the other.
final class _Talk<I, O> implements LiveCall {
  _Talk(this._session, this._method, this._messages, this._options);

  final Session _session;
  final Method<I, O> _method;
  final Stream<I> _messages;
  final CallOptions _options;

  late final StreamController<O> _items = StreamController<O>(
    onListen: () => unawaited(_run()),
    onPause: () => _reading?.pause(),
    onResume: () => _reading?.resume(),
    onCancel: () => _ending?.end(const CancelledException()),
  );
  Ending? _ending;
  StreamSubscription<Object>? _reading;
  Completer<void> _awake = Completer<void>()..complete();
  Completer<void> _abort = Completer<void>(); // of the connection being made
  MessageSocket? _socket;
  Completer<void>? _done; // of its frames
  StreamState? _state;
  bool _wasPaused = false; // while there was this connection

  Stream<O> get items => _items.stream;

  // The app's life

  @override
  void pause() {
    if (_awake.isCompleted) _awake = Completer<void>();
    _wasPaused = true;
    if (!_abort.isCompleted) _abort.complete();
    // Not by the socket's own end: that comes after frames which a paused
    // listener does not take. They are none that we have, and come again.
    if (_done case final done? when !done.isCompleted) done.complete();
  }

  @override
  void resume() {
    if (!_awake.isCompleted) _awake.complete();
  }

  // The call's life

  Future<void> _run() async {
    Feeder<I>? feeder;
    Exchange<O>? exchange;
    Ending? ending;
    (Object, StackTrace)? failure;
    try {
      exchange = _session.exchange<O>(_method, _options);
      ending = _ending = _session.begin(exchange);
      final conversation = Conversation<O>(exchange);
      feeder = Feeder<I>(
        conversation.outbox,
        _messages,
        (message) => encodeFrame(_method, message),
      );
      _session.enter(this);
      if (_session.isPaused) pause();
      await ending.guard(
        Future.any([_talk(conversation, feeder), feeder.failed]),
      );
    } catch (error, stack) {
      failure = (error, stack);
      ending?.end(const CancelledException()); // what still goes on for it
    }
    _end(exchange, ending, feeder);
    if (failure case (final error, final stack) when _items.hasListener) {
      final why =
          error is MothlightException && exchange != null
              ? await _session.contracts.explain(exchange, error)
              : error;
      _items.addError(why, stack);
    }
    _tell(StreamState.ended);
    unawaited(_items.close());
  }

  void _end(Exchange<O>? exchange, Ending? ending, Feeder<I>? feeder) {
    _session.leave(this);
    feeder?.stop();
    _hangUp(isLeft: exchange?.isLeft ?? false);
    if (exchange == null || ending == null) return;
    _session.finish(exchange, ending);
  }

  Future<void> _talk(Conversation<O> conversation, Feeder<I> feeder) async {
    final ending = _ending!;
    while (!conversation.isEnded) {
      while (!_awake.isCompleted) {
        _tell(StreamState.paused);
        await ending.guard(_awake.future);
      }
      _wasPaused = false;
      final isFirst = !conversation.exchange.isOpen;
      _tell(isFirst ? StreamState.connecting : StreamState.resuming);
      Duration pause;
      try {
        pause = await _attempt(conversation, feeder);
      } on Exception catch (error) {
        if (error is! AdapterException && error is! Silence) rethrow;
        if (_wasPaused) continue; // it was closed by that
        pause = conversation.lost(error: error);
      } finally {
        final isOver = ending.reason != null;
        _hangUp(isLeft: isOver && conversation.exchange.isLeft);
      }
      if (conversation.isEnded) return;
      if (conversation.exchange.isOpen && _awake.isCompleted) {
        _tell(StreamState.resuming);
      }
      await ending.sleep(pause);
    }
  }

  /// One connection, until it ends: the pause until the next one.
  Future<Duration> _attempt(
    Conversation<O> conversation,
    Feeder<I> feeder,
  ) async {
    try {
      await _connect(conversation, feeder);
    } on _Refused catch (refused) {
      final answer = await refused.connection.read(maxProblem);
      if (refused.hidden case final error? when refused.isWell(answer)) {
        return conversation.lost(error: error);
      }
      return _session.refused(
        conversation.exchange,
        _ending!,
        answer,
        refused.connection.generation,
      );
    }
    // Whoever goes to the background has not failed.
    if (conversation.isEnded || _wasPaused) return Duration.zero;
    return conversation.lost(code: _socket?.closeCode);
  }

  /// One connection, until it ends.
  Future<void> _connect(Conversation<O> conversation, Feeder<I> feeder) async {
    final exchange = conversation.exchange;
    final ending = _ending!;
    final adapter = _session.adapter;
    final generation = _session.tokens.generation;
    final token = await ending.guard(_session.tokens.current());
    final (url, protocols, headers) = conversation.connection(
      token,
      withHeaders: adapter.sendsSocketHeaders,
    );
    if (_wasPaused) return;
    final abort = _abort = Completer<void>();
    final idle = exchange.patience.idle;
    var isSilent = false;
    final silence = Timer(idle, () {
      if (abort.isCompleted) return;
      isSilent = true;
      abort.complete();
    });
    final connecting = adapter.connect(
      url,
      protocols: protocols,
      headers: headers,
      maxMessage: max(_session.maxAnswer, maxProblem),
      abort: abort.future,
    );
    final MessageSocket socket;
    try {
      socket = await ending.guard(connecting);
    } on AdapterException catch (error) {
      if (isSilent) throw Silence(idle);
      final connection = Connection(exchange, ending)..generation = generation;
      if (error.response case final response?) {
        throw _Refused(connection..response = response);
      }
      if (adapter.sendsSocketHeaders || error.isPermanent || _wasPaused) {
        rethrow;
      }
      unawaited(abort.future.then((_) => connection.close()));
      await connection.open(adapter, (abort) => exchange.look(token, abort));
      throw _Refused(connection, error);
    } catch (_) {
      if (!abort.isCompleted) abort.complete();
      unawaited(
        connecting.then((socket) => socket.close(), onError: (Object _) {}),
      );
      rethrow;
    } finally {
      silence.cancel();
    }
    await _listen(_socket = socket, conversation, feeder);
  }

  Future<void> _listen(
    MessageSocket socket,
    Conversation<O> conversation,
    Feeder<I> feeder,
  ) async {
    final exchange = conversation.exchange;
    final done = _done = Completer<void>();
    Stopwatch? alive; // since the greeting
    final silence = Timer(exchange.patience.idle, () {
      if (!done.isCompleted) {
        done.completeError(Silence(exchange.patience.idle));
      }
    });
    late final StreamSubscription<Object> reading;
    reading = socket.frames.listen(
      (frame) {
        if (done.isCompleted) return;
        try {
          if (alive == null) {
            conversation.greet(frame);
            alive = Stopwatch()..start();
            silence.cancel();
            _reading = reading; // which may be paused from now on
            if (_items.isPaused) reading.pause();
            _tell(StreamState.live);
            final head = Answer.head(101, const {});
            tell(_options.onMetadata, exchange.metadata(head));
            feeder.start(socket);
            return;
          }
          conversation.take(frame).forEach(_items.add);
          feeder.wake();
          if (conversation.isEnded) done.complete();
        } catch (error, stack) {
          done.completeError(error, stack);
        }
      },
      onError: (Object error) {
        if (!done.isCompleted) done.completeError(error);
      },
      onDone: () {
        if (!done.isCompleted) done.complete();
      },
    );
    try {
      await _ending!.guard(done.future);
    } finally {
      silence.cancel();
      unawaited(reading.cancel());
      if (alive case final alive?) exchange.patience.lived(alive.elapsed);
    }
  }

  /// Leaves the connection; [isLeft]: and the call.
  void _hangUp({bool isLeft = false}) {
    final socket = _socket;
    _socket = null;
    _reading = null;
    if (socket != null) {
      // It saves the way of another request, which comes too: a server that
      // reads no messages does not read this.
      if (isLeft) socket.send(_cancelFrame);
      unawaited(socket.close());
    }
    if (!_abort.isCompleted) _abort.complete();
  }

  void _tell(StreamState state) {
    if (state == _state || _state == StreamState.ended) return;
    _state = state;
    tell(_options.onState, state);
  }
}

/// The server has answered, and not with a socket.
final class _Refused implements Exception {
  const _Refused(this.connection, [this.hidden]);

  final Connection connection;

  /// What a browser says, which hides the answer: then it is that of another
  /// request to the same server.
  final AdapterException? hidden;

  /// Whether [answer] to the other request refuses nothing: it is the socket
  /// that fails. A new call has no status yet, and is not found.
  bool isWell(Answer answer) => answer.isSuccess || answer.status == 404;
}
