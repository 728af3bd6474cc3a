import 'dart:async';
import 'dart:convert';
import 'dart:typed_data';

/// One server-sent event.
final class SseEvent {
  /// See the fields.
  const SseEvent({this.type = '', required this.data, this.id = ''});

  /// Its type; empty where it has none, which means `message`.
  final String type;

  /// Its data; several lines are joined by a line feed.
  final String data;

  /// The last id up to it; empty where there was none.
  final String id;

  @override
  String toString() => 'SseEvent($type, $id, $data)';
}

/// An event is longer than the decoder's limit.
final class SseOverflow implements Exception {
  /// With the limit in bytes.
  const SseOverflow(this.limit);

  /// Bytes.
  final int limit;

  /// What happened.
  String get message => 'an event is longer than $limit bytes';

  @override
  String toString() => 'SseOverflow: $message';
}

/// Makes server-sent events of bytes, however they are cut (WHATWG HTML,
/// 9.2.6). An event that no blank line ends is none.
///
/// One of more than [limit] bytes is the stream's last error, [SseOverflow].
/// Pausing and cancelling reach the bytes at once.
StreamTransformer<List<int>, SseEvent> sseDecoder({required int limit}) =>
    StreamTransformer.fromBind(
      (bytes) => Stream<SseEvent>.eventTransformed(
        bytes,
        (sink) => _Decoder(sink, limit),
      ),
    );

const int _lf = 10, _cr = 13;

final class _Decoder implements EventSink<List<int>> {
  _Decoder(this._events, this._limit);

  final EventSink<SseEvent> _events;
  final int _limit;
  final BytesBuilder _begun = BytesBuilder(); // a line that is not yet whole
  final List<String> _data = [];
  String _type = '', _id = '';
  int _held = 0; // bytes of the event's lines
  bool _isFirst = true, _isAfterCr = false, _isOver = false;

  @override
  void add(List<int> chunk) {
    if (_isOver || chunk.isEmpty) return;
    final bytes = chunk is Uint8List ? chunk : Uint8List.fromList(chunk);
    // The second half of a CRLF.
    var start = _isAfterCr && bytes.first == _lf ? 1 : 0;
    _isAfterCr = bytes.last == _cr;
    for (var i = start; i < bytes.length; i++) {
      final byte = bytes[i];
      if (byte != _lf && byte != _cr) continue;
      if (!_fits(i - start)) return;
      _take(_line(Uint8List.sublistView(bytes, start, i)));
      if (byte == _cr && i + 1 < bytes.length && bytes[i + 1] == _lf) i++;
      start = i + 1;
    }
    if (_fits(bytes.length - start)) {
      _begun.add(Uint8List.sublistView(bytes, start));
    }
  }

  bool _fits(int more) {
    if (_held + _begun.length + more <= _limit) return true;
    _isOver = true;
    _events
      ..addError(SseOverflow(_limit), StackTrace.current)
      ..close();
    return false;
  }

  Uint8List _line(Uint8List rest) {
    if (_begun.isEmpty) return rest;
    _begun.add(rest);
    return _begun.takeBytes();
  }

  void _take(Uint8List bytes) {
    final isFirst = _isFirst;
    _isFirst = false;
    // Dart takes a byte order mark away wherever decoding begins; but only
    // that of the stream is one, and no field has a name with it.
    if (!isFirst && _hasMark(bytes)) return;
    final line = utf8.decode(bytes, allowMalformed: true);
    if (line.isEmpty) return _dispatch();
    final colon = line.indexOf(':');
    final name = colon < 0 ? line : line.substring(0, colon);
    switch (name) {
      case 'data':
        _data.add(_value(line, colon));
        _held += bytes.length;
      case 'event':
        _type = _value(line, colon);
      case 'id':
        final id = _value(line, colon);
        if (!id.contains('\x00')) _id = id;
    }
  }

  void _dispatch() {
    final type = _type, lines = _data.length;
    _type = '';
    _held = 0;
    if (lines == 0) return;
    final data = lines == 1 ? _data.single : _data.join('\n');
    _data.clear();
    _events.add(SseEvent(type: type, data: data, id: _id));
  }

  @override
  void addError(Object error, [StackTrace? stackTrace]) {
    if (!_isOver) _events.addError(error, stackTrace);
  }

  @override
  void close() {
    if (_isOver) return;
    _isOver = true;
    _events.close();
  }
}

String _value(String line, int colon) {
  if (colon < 0) return '';
  final start = line.startsWith(' ', colon + 1) ? colon + 2 : colon + 1;
  return line.substring(start);
}

bool _hasMark(Uint8List line) =>
    line.length > 2 && line[0] == 0xef && line[1] == 0xbb && line[2] == 0xbf;
