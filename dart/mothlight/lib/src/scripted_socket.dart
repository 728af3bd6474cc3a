import 'dart:async';
import 'dart:collection';
import 'dart:convert';

import 'http_adapter.dart';

/// A WebSocket whose server is a test: [play] is its part, begun when the
/// socket is opened.
///
/// ```dart
/// ScriptedSocket((server) async {
///   server.addJson({'call': 'c1', 'received': 0});
///   final frame = await server.next();
///   …
///   server.addJson({'end': true});
///   server.end();
/// })
/// ```
final class ScriptedSocket implements MessageSocket {
  /// A socket that opens. An error of [play] is an error of its frames.
  ScriptedSocket(this.play) : refusal = null;

  /// A socket that does not.
  ScriptedSocket.refused([
    this.refusal = const AdapterException('Connection refused'),
  ]) : play = null;

  /// The server's part.
  final Future<void> Function(ScriptedSocket server)? play;

  /// Why it does not open.
  final AdapterException? refusal;

  /// The frames that the client sent.
  final List<Object> sent = [];

  final Queue<Object> _unread = Queue<Object>();
  Completer<Object>? _reader;
  final Completer<int> _closed = Completer<int>();
  final StreamController<Object> _frames = StreamController<Object>();

  /// Begins the server's part; for `ScriptedAdapter`.
  void begin() => unawaited(_begin());

  Future<void> _begin() async {
    try {
      await play?.call(this);
    } on SocketClosed {
      return; // the client has left, and the server waited for more
    } on Object catch (error, stack) {
      if (!_frames.isClosed) _frames.addError(error, stack);
    }
  }

  /// The client's next frame: a `String`, or a `Uint8List`. Throws
  /// [SocketClosed] when the client has closed the socket.
  Future<Object> next() {
    if (_unread.isNotEmpty) return Future.value(_unread.removeFirst());
    if (_closed.isCompleted) return Future.error(const SocketClosed());
    final reader = _reader ??= Completer<Object>();
    return reader.future;
  }

  /// The client's next frame as JSON.
  Future<Object?> nextJson() async => jsonDecode(await next() as String);

  /// Sends a frame to the client.
  void add(Object frame) {
    if (!_frames.isClosed) _frames.add(frame);
  }

  /// Sends JSON to the client.
  void addJson(Object? value) => add(jsonEncode(value));

  /// The server closes the socket; null: the connection is lost.
  void end([int? code = 1000]) {
    if (!_frames.isClosed) closeCode ??= code;
    _leave(code ?? 1006);
  }

  /// The code with which the client closed it, when it does.
  Future<int> get whenClosed => _closed.future;

  @override
  int? closeCode;

  @override
  Stream<Object> get frames => _frames.stream;

  @override
  void send(Object frame) {
    if (_closed.isCompleted) return;
    sent.add(frame);
    if (_reader case final reader?) {
      _reader = null;
      reader.complete(frame);
    } else {
      _unread.add(frame);
    }
  }

  @override
  Future<void> flush() => Future<void>.value();

  @override
  Future<void> close([int code = 1000]) async {
    closeCode ??= code;
    _leave(code);
  }

  void _leave(int code) {
    if (!_closed.isCompleted) _closed.complete(code);
    unawaited(_frames.close());
    final reader = _reader;
    _reader = null;
    reader?.completeError(const SocketClosed());
  }
}

/// What [ScriptedSocket.next] throws when no frame will come any more.
final class SocketClosed implements Exception {
  /// The only one.
  const SocketClosed();

  @override
  String toString() => 'SocketClosed: the client sends no more frames';
}
