import 'dart:async';

import 'http_adapter.dart';
import 'outbox.dart';

/// After so many bytes the socket is waited for.
const int _burst = 64 * 1024;

/// Takes the messages of a stream, and sends them on whatever connection there
/// is. While the outbox is full, the stream is paused.
final class Feeder<I> {
  /// Of [_messages], which are made frames by [_encode].
  Feeder(this._outbox, this._messages, this._encode);

  final Outbox _outbox;
  final Stream<I> _messages;
  final Future<Object> Function(I message) _encode;
  final Completer<Never> _failed = Completer<Never>();
  StreamSubscription<I>? _taking;
  MessageSocket? _socket;
  bool _isWaiting = false; // for room
  bool _isSending = false;
  int _unflushed = 0; // bytes since the socket was waited for

  /// Completes with the error that taking a message has given.
  Future<Never> get failed => _failed.future;

  /// Sends on [socket] from now on.
  void start(MessageSocket socket) {
    _socket = socket;
    _isSending = false; // that was another socket
    _unflushed = 0;
    _taking ??= _messages.listen(_take, onError: _fail, onDone: _end);
    wake();
  }

  /// The server may have taken some.
  void wake() {
    if (_isWaiting && !_outbox.isFull) {
      _isWaiting = false;
      _taking?.resume();
    }
    unawaited(_send());
  }

  /// Takes and sends no more.
  void stop() {
    _socket = null;
    _failed.future.ignore();
    unawaited(
      (_taking?.cancel() ?? Future<void>.value()).then(
        (_) {},
        onError: (Object _) {},
      ),
    );
  }

  Future<void> _take(I message) async {
    final taking = _taking!..pause();
    try {
      _outbox.add(await _encode(message));
    } catch (error, stack) {
      return _fail(error, stack);
    }
    if (_outbox.isFull) {
      _isWaiting = true;
    } else {
      taking.resume();
    }
    await _send();
  }

  void _end() {
    _outbox.end();
    unawaited(_send());
  }

  void _fail(Object error, StackTrace stack) {
    if (!_failed.isCompleted) _failed.completeError(error, stack);
  }

  Future<void> _send() async {
    final socket = _socket;
    if (socket == null || _isSending) return;
    _isSending = true;
    while (identical(socket, _socket)) {
      final frame = _outbox.take();
      if (frame == null) break;
      socket.send(frame);
      _unflushed += sizeOf(frame);
      if (_unflushed < _burst) continue;
      _unflushed = 0;
      await socket.flush();
    }
    if (identical(socket, _socket)) _isSending = false;
  }
}
