import 'dart:collection';
import 'dart:typed_data';

/// Messages that are held at most.
const int maxHeld = 4096;

/// Bytes of them, and one message more where the last one goes beyond.
const int maxHeldBytes = 8 * 1024 * 1024;

/// What says that there are no more messages.
const String endFrame = '{"end":true}';

/// The messages of a stream to the server, until it says that it has them.
///
/// ```text
///  confirmed        next         count
///      │   sent       │  not yet   │
/// ─────┴──────────────┴────────────┴──>  bounded: then no more are taken
/// ```
final class Outbox {
  final Queue<Object> _held = Queue<Object>();
  int _bytes = 0;
  int _next = 0; // of this connection
  int _sent = 0; // the most of any
  bool _isEnded = false, _hasSaidEnd = false;

  /// How many messages the server has.
  int get confirmed => _confirmed;
  int _confirmed = 0;

  /// How many messages there were.
  int get count => _confirmed + _held.length;

  /// Whether no more are to be taken for now.
  bool get isFull => _held.length >= maxHeld || _bytes >= maxHeldBytes;

  /// Takes a message's frame.
  void add(Object frame) {
    _held.add(frame);
    _bytes += sizeOf(frame);
  }

  /// There are no more.
  void end() => _isEnded = true;

  /// The server has the first [count]; whether that can be.
  bool confirm(int count) {
    if (count < _confirmed || count > _sent) return false;
    for (; _confirmed < count; _confirmed++) {
      _bytes -= sizeOf(_held.removeFirst());
    }
    return true;
  }

  /// Another connection, on which the server has the first [count]; whether
  /// that can be.
  bool rewind(int count) {
    if (!confirm(count)) return false;
    _next = count;
    _hasSaidEnd = false;
    return true;
  }

  /// The frame to send next; null as long as there is none.
  Object? take() {
    if (_next < count) {
      final frame = _held.elementAt(_next - _confirmed);
      _next++;
      if (_next > _sent) _sent = _next;
      return frame;
    }
    if (!_isEnded || _hasSaidEnd) return null;
    _hasSaidEnd = true;
    return endFrame;
  }
}

/// About how many bytes a frame has.
int sizeOf(Object frame) => switch (frame) {
  final String text => text.length,
  final Uint8List bytes => bytes.length,
  _ => throw ArgumentError.value(frame, 'frame', 'no String or Uint8List'),
};
