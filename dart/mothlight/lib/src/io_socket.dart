import 'dart:async';
import 'dart:convert';
import 'dart:io';
import 'dart:typed_data';

import 'frames.dart';
import 'http_adapter.dart';
import 'outbox.dart';

/// Messages that wait for a paused listener before reading is paused too, and
/// about how many bytes of them.
const int _maxWaiting = 256, _maxBytes = 256 * 1024;

/// A WebSocket on a connection that was upgraded.
///
/// Not `dart:io`'s own: that one holds messages of any size, does not tell
/// when what was sent has left, and takes a paused listener for a dead server.
final class IoSocket implements MessageSocket {
  /// Messages that come have at most [limit] bytes. A server from which
  /// nothing comes for twice [pingInterval] is taken for dead.
  IoSocket(
    this._socket, {
    required int limit,
    required this.pingInterval,
    this.closeTime = const Duration(seconds: 1),
  }) {
    _decoder = FrameDecoder(_take, limit: limit);
    // The errors of writing; a lost connection is seen by reading.
    _socket.done.ignore();
  }

  /// The time between two pings.
  final Duration pingInterval;

  /// How long the end of the connection may take.
  final Duration closeTime;

  final Socket _socket;
  late final FrameDecoder _decoder;
  late final StreamController<Object> _frames = StreamController<Object>(
    onListen: _listen,
    onCancel: () => _reading?.resume(), // until the other side closes too
  );
  final Completer<void> _ended = Completer<void>();
  StreamSubscription<Uint8List>? _reading;
  Timer? _pings;
  bool _wasHeard = true, _isClosing = false;
  int _waiting = 0, _waitingBytes = 0; // of the listener

  final List<Uint8List> _outgoing = [];
  Uint8List? _pong;
  Future<void>? _writing;

  @override
  int? closeCode;

  @override
  late final Stream<Object> frames = _frames.stream.map(_given);

  @override
  void send(Object frame) => switch (frame) {
    final String text => _write(encodeFrame(Opcode.text, utf8.encode(text))),
    final Uint8List bytes => _write(encodeFrame(Opcode.binary, bytes)),
    _ => throw ArgumentError.value(frame, 'frame', 'no String or Uint8List'),
  };

  @override
  Future<void> flush() => _writing ?? Future<void>.value();

  @override
  Future<void> close([int code = 1000]) async {
    if (_ended.isCompleted) return;
    _sayClose(code);
    _reading?.resume();
    final finished = _reading == null ? flush() : _ended.future;
    await finished.timeout(closeTime, onTimeout: () {});
    _end();
  }

  void _listen() {
    if (_ended.isCompleted) return;
    _reading = _socket.listen(
      _read,
      onError: (Object _) => _end(),
      onDone: _end,
    );
    _pings = Timer.periodic(pingInterval, (_) => _ping());
  }

  void _read(Uint8List chunk) {
    _wasHeard = true;
    try {
      _decoder.add(chunk);
    } on FrameException catch (error) {
      _sayClose(error.code);
      unawaited(
        flush().timeout(closeTime, onTimeout: () {}).then((_) => _end()),
      );
      unawaited(_reading?.cancel());
      _finish();
    }
  }

  void _take(int opcode, Uint8List payload) {
    if (_ended.isCompleted) return;
    switch (opcode) {
      case Opcode.text || Opcode.binary when _isClosing:
        break; // nobody waits for it
      case Opcode.text || Opcode.binary when _frames.hasListener:
        final frame = opcode == Opcode.text ? _text(payload) : payload;
        _waiting++;
        _waitingBytes += sizeOf(frame);
        _frames.add(frame);
        // Not at once: a server's pings are to be answered, by which it knows
        // a listener that pauses for a while from one that is gone.
        if (_frames.isPaused && _isFull && !(_reading?.isPaused ?? true)) {
          _reading?.pause();
        }
      case Opcode.ping when !_isClosing:
        _pong = encodeFrame(Opcode.pong, payload); // only the last one matters
        _startWriting();
      case Opcode.close:
        _sayClose(payload.length < 2 ? 1005 : payload[0] * 256 + payload[1]);
        unawaited(
          flush().timeout(closeTime, onTimeout: () {}).then((_) => _end()),
        );
    }
  }

  bool get _isFull => _waiting >= _maxWaiting || _waitingBytes >= _maxBytes;

  Object _given(Object frame) {
    _waiting--;
    _waitingBytes -= sizeOf(frame);
    if (!_isFull && (_reading?.isPaused ?? false)) _reading?.resume();
    return frame;
  }

  String _text(Uint8List payload) {
    try {
      return utf8.decode(payload);
    } on FormatException {
      throw const FrameException(1007, 'a text is no UTF-8');
    }
  }

  void _ping() {
    if (_reading?.isPaused ?? true) {
      _wasHeard = true; // what comes is not looked at
    } else if (_wasHeard) {
      _wasHeard = false;
      _write(encodeFrame(Opcode.ping, const []));
    } else {
      _end();
    }
  }

  void _sayClose(int code) {
    if (_isClosing) return;
    closeCode = code;
    final isSendable = code != 1005; // it stands for none
    final payload = isSendable ? [code >> 8, code & 0xff] : const <int>[];
    _write(encodeFrame(Opcode.close, payload));
    _isClosing = true;
  }

  void _write(Uint8List frame) {
    if (_isClosing || _ended.isCompleted) return;
    _outgoing.add(frame);
    _startWriting();
  }

  void _startWriting() => _writing ??= _drain();

  Future<void> _drain() async {
    try {
      // What is sent in one go leaves in one go.
      await Future<void>.value();
      while (_outgoing.isNotEmpty || _pong != null) {
        if (_pong case final pong?) _socket.add(pong);
        _pong = null;
        _outgoing
          ..forEach(_socket.add)
          ..clear();
        await _socket.flush();
      }
    } on Object {
      _outgoing.clear(); // the connection is lost, as reading will tell
      _pong = null;
    } finally {
      _writing = null;
    }
  }

  void _end() {
    _finish();
    _socket.destroy();
  }

  void _finish() {
    if (_ended.isCompleted) return;
    _ended.complete();
    _pings?.cancel();
    unawaited(_frames.close());
  }
}
