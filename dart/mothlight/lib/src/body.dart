import 'dart:async';
import 'dart:convert';
import 'dart:typed_data';

import 'callback.dart';
import 'chunks.dart';
import 'file.dart';
import 'form.dart';
import 'method.dart';

/// Above so many parts a message goes as JSON: servers bound a form's parts.
const int maxParts = 32;

const bool _isBrowser = bool.fromEnvironment('dart.library.js_interop');

/// What a request carries of a message: a query, or a body whose length is
/// known beforehand, and which can be sent as often as it takes.
final class RequestBody {
  /// [pieces] are one after the other what is sent: a `Uint8List` or a
  /// [FileData] each.
  const RequestBody({
    this.query = '',
    this.contentType,
    this.contentLength = 0,
    List<Object> pieces = const [],
  }) : _pieces = pieces;

  /// [json] as JSON, its files as base64.
  static Future<RequestBody> json(Object? json) async {
    final bytes = _toUtf8.convert(await inlineFiles(json));
    return RequestBody(
      contentType: 'application/json',
      contentLength: bytes.length,
      pieces: [if (bytes is Uint8List) bytes else Uint8List.fromList(bytes)],
    );
  }

  /// The query string, without its question mark.
  final String query;

  /// The media type; null where there is no body.
  final String? contentType;

  /// Bytes of the body.
  final int contentLength;

  final List<Object> _pieces;

  /// The body from its beginning, in chunks of up to 64 kB; null where there is
  /// none. [onProgress] is told of each chunk when it is taken, in a browser
  /// only of the last. A file with another length than it says is a
  /// [StateError] in the stream.
  Stream<List<int>>? open({void Function(int sent, int total)? onProgress}) =>
      contentType == null ? null : _Sending(this, onProgress).stream;
}

/// The body of a call of [method] with [message]. Throws [ArgumentError] where
/// a query cannot say it, and what its files throw when they are read.
Future<RequestBody> encodeBody<I, O>(Method<I, O> method, I message) async {
  final value = method.encode(message);
  if (identical(value, absent)) return const RequestBody();
  final form = method.form;
  if (method.verb == 'GET' || method.verb == 'DELETE') {
    final (entries, unsaid) = formEntries(
      form ?? const [],
      method.parameter,
      value,
    );
    if (unsaid.isNotEmpty) {
      throw ArgumentError(
        'a query cannot say ${jsonEncode(unsaid)}: it would be left out, which '
            'says something else; a POST can',
        'message',
      );
    }
    return RequestBody(query: encodeQuery(entries));
  }
  if (form != null && hasFile(value)) {
    final (entries, unsaid) = formEntries(form, method.parameter, value);
    if (unsaid.isEmpty && entries.length <= maxParts) {
      return encodeMultipart(entries);
    }
  }
  return RequestBody.json(value);
}

/// A message as a WebSocket's frame: bytes where it is a file, else JSON, its
/// files as base64.
Future<Object> encodeFrame<I, O>(Method<I, O> method, I message) async {
  final value = method.encode(message);
  return value is FileData
      ? value.read()
      : jsonEncode(await inlineFiles(value));
}

/// [json] with each [FileData] in it as base64.
Future<Object?> inlineFiles(Object? json) async => switch (json) {
  _ when !hasFile(json) => json,
  final FileData file => base64.encode(await file.read()),
  final List<Object?> items => [
    for (final item in items) await inlineFiles(item),
  ],
  final Map<String, Object?> members => {
    for (final MapEntry(:key, :value) in members.entries)
      key: await inlineFiles(value),
  },
  _ => json,
};

/// Whether a [FileData] stands somewhere in [json].
bool hasFile(Object? json) => switch (json) {
  FileData() => true,
  TypedData() => false,
  final List<Object?> items => items.any(hasFile),
  final Map<Object?, Object?> members => members.values.any(hasFile),
  _ => false,
};

final Converter<Object?, List<int>> _toUtf8 = JsonUtf8Encoder();

/// One sending of a body: gives a chunk when the one before it was taken.
final class _Sending {
  _Sending(this._body, this._onProgress);

  final RequestBody _body;
  final void Function(int sent, int total)? _onProgress;

  // Synchronous: who takes a chunk can say at once that it is enough for now.
  // In onListen and onResume nothing can be given yet, it would be queued.
  late final StreamController<List<int>> _out = StreamController(
    sync: true,
    onListen: () => scheduleMicrotask(_goOn),
    onResume: () => scheduleMicrotask(_goOn),
    onCancel: () => _file?.cancel(),
  );
  Stream<List<int>> get stream => _out.stream;

  // The app's code, files and progress, runs in the app's zone, wherever the
  // adapter listens.
  late final void Function() _goOn = _zone.bindCallbackGuarded(_flow);
  final Zone _zone = Zone.current;

  Iterator<Uint8List> _chunks = const <Uint8List>[].iterator;
  StreamSubscription<List<int>>? _file; // the one that is being read
  int _index = 0; // of the next piece
  int _sent = 0;
  bool _isFlowing = false;

  void _flow() {
    if (_isFlowing) return;
    _isFlowing = true;
    while (_out.hasListener && !_out.isPaused && !_out.isClosed) {
      if (_chunks.moveNext()) {
        _give(_chunks.current);
      } else if (_file case final file?) {
        if (file.isPaused) file.resume();
        break; // it comes back with its next chunk, or its end
      } else if (_index == _body._pieces.length) {
        unawaited(_out.close());
      } else {
        switch (_body._pieces[_index++]) {
          case final FileData file:
            _read(file);
          case final piece:
            _chunks = chunksOf(piece as Uint8List).iterator;
        }
      }
    }
    _isFlowing = false;
  }

  void _give(Uint8List chunk) {
    _out.add(chunk);
    _sent += chunk.length;
    if (!_isBrowser || _sent == _body.contentLength) {
      final tell = _onProgress;
      if (tell != null) guarded(() => tell(_sent, _body.contentLength));
    }
  }

  void _read(FileData file) {
    final Stream<List<int>> bytes;
    try {
      bytes = file.open();
    } catch (error, stack) {
      return _fail(error, stack);
    }
    var left = file.length;
    late final StreamSubscription<List<int>> reading;
    reading = bytes.listen(
      (chunk) {
        left -= chunk.length;
        if (left < 0) return _fail(_misfit(file, 'more'));
        reading.pause();
        _chunks =
            chunksOf(
              chunk is Uint8List ? chunk : Uint8List.fromList(chunk),
            ).iterator;
        _flow();
      },
      onError: _fail,
      onDone: () {
        if (left > 0) return _fail(_misfit(file, '$left fewer'));
        _file = null;
        _flow();
      },
    );
    _file = reading;
  }

  void _fail(Object error, [StackTrace? stack]) {
    unawaited(_file?.cancel());
    _out.addError(error, stack);
    unawaited(_out.close());
  }

  static StateError _misfit(FileData file, String found) => StateError(
    'the file "${file.name}" should have ${file.length} bytes and has $found',
  );
}
