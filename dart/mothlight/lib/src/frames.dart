import 'dart:convert';
import 'dart:math';
import 'dart:typed_data';

/// The kinds of frames of RFC 6455, 5.2.
abstract final class Opcode {
  /// A further piece of a message.
  static const int more = 0x0;

  /// A message in UTF-8.
  static const int text = 0x1;

  /// A message of bytes.
  static const int binary = 0x2;

  /// The end of the connection.
  static const int close = 0x8;

  /// A question whether the other side lives.
  static const int ping = 0x9;

  /// The answer to it.
  static const int pong = 0xa;
}

/// The other side breaks RFC 6455, or says too much.
final class FrameException implements Exception {
  /// See the fields.
  const FrameException(this.code, this.message);

  /// The code to close the connection with.
  final int code;

  /// What is wrong.
  final String message;

  @override
  String toString() => 'FrameException: $message';
}

/// Makes messages of a server's bytes, however they are cut. Whole messages
/// and control frames are told to `onFrame`.
final class FrameDecoder {
  /// Messages have at most [limit] bytes.
  FrameDecoder(this._onFrame, {required this.limit});

  /// Bytes of a message.
  final int limit;

  final void Function(int opcode, Uint8List payload) _onFrame;
  final BytesBuilder _head = BytesBuilder();
  final BytesBuilder _message = BytesBuilder();
  final BytesBuilder _control = BytesBuilder();
  int _opcode = 0, _missing = 0; // of the frame whose payload comes
  int? _kind; // of the message that comes in pieces
  bool _isLast = false, _isInPayload = false;

  /// Takes what has come. Throws [FrameException].
  void add(Uint8List chunk) {
    var at = 0;
    while (at < chunk.length || (_isInPayload && _missing == 0)) {
      if (!_isInPayload) {
        _head.addByte(chunk[at++]);
        _readHead();
        continue;
      }
      final end = min(chunk.length, at + _missing);
      (_opcode < Opcode.close ? _message : _control).add(
        Uint8List.sublistView(chunk, at, end),
      );
      _missing -= end - at;
      at = end;
      if (_missing == 0) _finish();
    }
  }

  void _readHead() {
    if (_head.length < 2) return;
    final head = _head.toBytes();
    final short = head[1] & 0x7f;
    final size = switch (short) {
      126 => 4,
      127 => 10,
      _ => 2,
    };
    if (head.length < size) return;
    _head.clear();
    _opcode = head[0] & 0xf;
    _isLast = head[0] & 0x80 != 0;
    _missing = short < 126 ? short : 0;
    for (final byte in head.skip(2)) {
      // Stops long before the product has more than 53 bits.
      if (_missing > limit) break;
      _missing = _missing * 256 + byte;
    }
    _checkHead(head);
    _isInPayload = true;
  }

  void _checkHead(Uint8List head) {
    if (head[0] & 0x70 != 0 || head[1] & 0x80 != 0) {
      throw const FrameException(1002, 'a frame with unknown bits');
    }
    switch (_opcode) {
      case Opcode.close || Opcode.ping || Opcode.pong:
        if (_missing > 125 || !_isLast) {
          throw const FrameException(1002, 'a long control frame');
        }
        return;
      case Opcode.text || Opcode.binary when _kind == null:
        _kind = _opcode;
      case Opcode.more when _kind != null:
        break;
      default:
        throw FrameException(1002, 'frame $_opcode is not due');
    }
    if (_message.length + _missing > limit) {
      throw FrameException(1009, 'a message is longer than $limit bytes');
    }
  }

  void _finish() {
    _isInPayload = false;
    if (_opcode >= Opcode.close) {
      _onFrame(_opcode, _control.takeBytes());
    } else if (_isLast) {
      final kind = _kind!;
      _kind = null;
      _onFrame(kind, _message.takeBytes());
    }
  }
}

final Random _random = Random.secure();

/// A frame as a client sends it, masked (RFC 6455, 5.3).
Uint8List encodeFrame(int opcode, List<int> payload) {
  final length = payload.length;
  final size = length < 126 ? 2 : (length < 65536 ? 4 : 10);
  final frame = Uint8List(size + 4 + length);
  frame[0] = 0x80 | opcode;
  frame[1] = 0x80 | (size == 2 ? length : (size == 4 ? 126 : 127));
  var rest = length;
  for (var i = size - 1; i > 1; i--) {
    frame[i] = rest & 0xff;
    rest ~/= 256;
  }
  for (var i = 0; i < 4; i++) {
    frame[size + i] = _random.nextInt(256);
  }
  final start = size + 4;
  for (var i = 0; i < length; i++) {
    frame[start + i] = payload[i] ^ frame[size + (i & 3)];
  }
  return frame;
}

/// A new `Sec-WebSocket-Key`.
String socketKey() =>
    base64.encode([for (var i = 0; i < 16; i++) _random.nextInt(256)]);

/// The `Sec-WebSocket-Accept` that answers [key].
String socketAccept(String key) => base64.encode(
  _sha1(ascii.encode('${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11')),
);

// FIPS 180-4, 6.1. It keeps nothing secret here; the protocol asks for it.
Uint8List _sha1(Uint8List message) {
  final size = (message.length + 9 + 63) ~/ 64 * 64;
  final padded =
      ByteData(size)
        ..buffer.asUint8List().setAll(0, message)
        ..setUint8(message.length, 0x80)
        ..setUint32(size - 4, message.length * 8);
  final hash = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
  final words = Uint32List(80);
  for (var block = 0; block < size; block += 64) {
    for (var i = 0; i < 80; i++) {
      words[i] =
          i < 16
              ? padded.getUint32(block + i * 4)
              : _rotate(
                words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16],
                1,
              );
    }
    var [a, b, c, d, e] = hash;
    for (var i = 0; i < 80; i++) {
      final (f, k) = switch (i ~/ 20) {
        0 => ((b & c) | (~b & d), 0x5a827999),
        1 => (b ^ c ^ d, 0x6ed9eba1),
        2 => ((b & c) | (b & d) | (c & d), 0x8f1bbcdc),
        _ => (b ^ c ^ d, 0xca62c1d6),
      };
      final next = _rotate(a, 5) + (f & 0xffffffff) + e + k + words[i];
      (a, b, c, d, e) = (next & 0xffffffff, a, _rotate(b, 30), c, d);
    }
    for (final (i, value) in [a, b, c, d, e].indexed) {
      hash[i] = (hash[i] + value) & 0xffffffff;
    }
  }
  final digest = ByteData(20);
  for (final (i, value) in hash.indexed) {
    digest.setUint32(i * 4, value);
  }
  return digest.buffer.asUint8List();
}

int _rotate(int word, int bits) =>
    ((word << bits) | (word >>> (32 - bits))) & 0xffffffff;
