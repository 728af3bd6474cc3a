/// A connection of the scripted server: HTTP/1.1 and RFC 6455 by hand.
library;

import 'dart:async';
import 'dart:convert';
import 'dart:io';
import 'dart:typed_data';

/// The client has left.
final class Gone implements Exception {
  /// Nothing more comes.
  const Gone();
}

/// A connection whose bytes are read as they are wanted.
final class Wire {
  /// Reads [socket] from now on.
  Wire(this.socket) {
    socket.setOption(SocketOption.tcpNoDelay, true);
    _reading = socket.listen(
      (chunk) {
        _held.addAll(chunk);
        _wake();
      },
      onError: (Object _) => _finish(),
      onDone: _finish,
    );
    unawaited(socket.done.then((_) {}, onError: (Object _) {}));
  }

  /// The connection.
  final Socket socket;

  late final StreamSubscription<Uint8List> _reading;
  final List<int> _held = [];
  Completer<void>? _waiting;
  bool _isOver = false;

  void _wake() {
    _waiting?.complete();
    _waiting = null;
  }

  void _finish() {
    _isOver = true;
    _wake();
  }

  Future<void> _more() async {
    if (_isOver) throw const Gone();
    await (_waiting ??= Completer<void>()).future;
  }

  /// The client's `Sec-WebSocket-Key`; empty where it wants no WebSocket.
  String get key => _key;
  String _key = '';

  /// Remembers what a request's head says.
  void readHead(String head) {
    const name = 'sec-websocket-key:';
    for (final line in head.split('\r\n')) {
      if (line.toLowerCase().startsWith(name)) {
        _key = line.substring(name.length).trim();
      }
    }
  }

  /// [count] bytes. Throws [Gone].
  Future<List<int>> exactly(int count) async {
    while (_held.length < count) {
      await _more();
    }
    final found = _held.sublist(0, count);
    _held.removeRange(0, count);
    return found;
  }

  /// All up to [mark], which is not given. Throws [Gone].
  Future<String> until(String mark) async {
    while (true) {
      final text = latin1.decode(_held);
      final at = text.indexOf(mark);
      if (at >= 0) {
        _held.removeRange(0, at + mark.length);
        return text.substring(0, at);
      }
      await _more();
    }
  }

  /// Completes when the client has left.
  Future<void> gone() async {
    try {
      while (true) {
        _held.clear();
        await _more();
      }
    } on Gone {
      return;
    }
  }

  /// Sends [bytes], and comes back when they have left.
  Future<void> send(List<int> bytes) async {
    try {
      socket.add(bytes);
      await socket.flush();
    } on SocketException {
      throw const Gone();
    } on StateError {
      throw const Gone();
    }
  }

  /// Ends it; what was sent arrives.
  Future<void> close() async {
    try {
      await socket.flush();
      await socket.close();
    } on Object {
      // The client was faster.
    }
  }

  /// Throws it away.
  void destroy() {
    unawaited(_reading.cancel());
    socket.destroy();
  }

  // Frames

  /// The answer that makes it a WebSocket of the client's [key].
  Future<void> upgrade(String key) => send(
    utf8.encode(
      'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n'
      'connection: Upgrade\r\nsec-websocket-protocol: mothlight.v1\r\n'
      'sec-websocket-accept: ${acceptOf(key)}\r\n\r\n',
    ),
  );

  /// Sends a frame.
  Future<void> sendFrame(int kind, List<int> payload) {
    final size = payload.length;
    return send([
      0x80 | kind,
      if (size < 126) size else ...[126, size >> 8, size & 0xff],
      ...payload,
    ]);
  }

  /// The next frame. Throws [Gone].
  Future<(int, List<int>)> frame() async {
    final [first, second] = await exactly(2);
    if (second & 0x80 == 0) throw const FormatException('it is not masked');
    var size = second & 0x7f;
    if (size >= 126) {
      size = 0;
      for (final byte in await exactly(second & 0x7f == 126 ? 2 : 8)) {
        size = size << 8 | byte;
      }
    }
    final mask = await exactly(4);
    final payload = await exactly(size);
    return (
      first & 0x0f,
      [for (final (at, byte) in payload.indexed) byte ^ mask[at % 4]],
    );
  }
}

/// `Sec-WebSocket-Accept` of a client's key (RFC 6455, 1.3).
String acceptOf(String key) => base64.encode(
  sha1(ascii.encode('${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11')),
);

/// SHA-1 (RFC 3174), which dart:io keeps for itself.
List<int> sha1(List<int> message) {
  final length = message.length * 8;
  final padded = [
    ...message,
    0x80,
    ...List.filled((119 - message.length % 64) % 64, 0),
    for (var i = 7; i >= 0; i--) i > 3 ? 0 : length >> (8 * i) & 0xff,
  ];
  int rotate(int word, int by) => (word << by | word >> (32 - by)) & 0xffffffff;
  final h = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
  for (var start = 0; start < padded.length; start += 64) {
    final w = [
      for (var i = 0; i < 16; i++)
        padded[start + 4 * i] << 24 |
            padded[start + 4 * i + 1] << 16 |
            padded[start + 4 * i + 2] << 8 |
            padded[start + 4 * i + 3],
    ];
    for (var i = 16; i < 80; i++) {
      w.add(rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1));
    }
    var [a, b, c, d, e] = h;
    for (var i = 0; i < 80; i++) {
      final (f, k) = switch (i ~/ 20) {
        0 => (b & c | ~b & 0xffffffff & d, 0x5a827999),
        1 => (b ^ c ^ d, 0x6ed9eba1),
        2 => (b & c | b & d | c & d, 0x8f1bbcdc),
        _ => (b ^ c ^ d, 0xca62c1d6),
      };
      final next = (rotate(a, 5) + f + e + k + w[i]) & 0xffffffff;
      (a, b, c, d, e) = (next, a, rotate(b, 30), c, d);
    }
    for (final (i, value) in [a, b, c, d, e].indexed) {
      h[i] = (h[i] + value) & 0xffffffff;
    }
  }
  return [
    for (final word in h)
      for (var shift = 24; shift >= 0; shift -= 8) word >> shift & 0xff,
  ];
}
