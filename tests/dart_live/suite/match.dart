/// What the wire vectors say, compared with what comes (conformance/README.md).
library;

import 'dart:convert';
import 'dart:typed_data';

/// What came is not what the vector says.
final class Mismatch implements Exception {
  /// [message] says how.
  const Mismatch(this.message);

  /// How they differ.
  final String message;

  @override
  String toString() => message;
}

/// The bytes that a piece of a body stands for.
List<int> data(Object? piece) => switch (piece) {
  final String text => utf8.encode(text),
  {'json': final Object? value} => utf8.encode(jsonEncode(value)),
  {'base64': final String text} => base64.decode(text),
  {'repeat': [final Object? inner, final int count]} => [
    for (var i = 0; i < count; i++) ...data(inner),
  ],
  _ => throw ArgumentError.value(piece, 'piece'),
};

/// The chunks of a body, and the pauses between them.
Iterable<Object> pieces(List<Object?> chunks) sync* {
  for (final chunk in chunks) {
    switch (chunk) {
      case {'pause': final num seconds}:
        yield Duration(milliseconds: (seconds * 1000).round());
      case {'bytes': final Object? inner}:
        for (final byte in data(inner)) {
          yield Uint8List.fromList([byte]);
        }
      default:
        yield Uint8List.fromList(data(chunk));
    }
  }
}

/// The values that `$name` stands for: whatever comes first where it is looked
/// for.
final class Names {
  final Map<String, String> _values = {};

  /// [value] with the names replaced.
  Object? fill(Object? value) => switch (value) {
    final String text => text.replaceAllMapped(
      RegExp(r'\$(\w+)'),
      (match) => _values[match[1]!] ?? match[0]!,
    ),
    final List<Object?> list => [for (final item in list) fill(item)],
    final Map<String, Object?> map => {
      for (final MapEntry(:key, :value) in map.entries) key: fill(value),
    },
    _ => value,
  };

  /// Compares a header, or a path, with what the vector has for it.
  void match(Object? expected, String? found, String what) {
    final isGood = switch (expected) {
      {'matches': final String pattern} =>
        found != null && RegExp(pattern).hasMatch(found),
      final String name
          when found != null && RegExp(r'^\$\w+$').hasMatch(name) =>
        _values.putIfAbsent(name.substring(1), () => found) == found,
      _ => found == fill(expected),
    };
    if (!isGood) throw Mismatch('$what is $found, expected is $expected');
  }

  /// Compares headers.
  void headers(Object? expected, Map<String, String> found) {
    for (final MapEntry(:key, :value) in asMap(expected ?? {}).entries) {
      match(value, found[key], 'the header $key');
    }
  }
}

/// A JSON object.
Map<String, Object?> asMap(Object? json) =>
    (json! as Map<Object?, Object?>).cast();

/// Throws a [Mismatch] unless all that is expected is there; objects may have
/// more members.
void has(Object? expected, Object? found, [String where = 'the value']) {
  if (expected is Map<String, Object?> && found is Map<String, Object?>) {
    for (final MapEntry(:key, :value) in expected.entries) {
      if (!found.containsKey(key)) throw Mismatch('$where has no $key: $found');
      has(value, found[key], '$where.$key');
    }
  } else if (expected is List<Object?> && found is List<Object?>) {
    if (expected.length != found.length) {
      throw Mismatch('$where is $found, expected is $expected');
    }
    for (final (index, item) in expected.indexed) {
      has(item, found[index], '$where[$index]');
    }
  } else if (expected != found) {
    throw Mismatch('$where is $found, expected is $expected');
  }
}

/// A part of a form.
typedef Part = ({String name, String? filename, String? type, List<int> data});

/// The parts of a form.
List<Part> partsOf(String type, List<int> body) {
  final edge = RegExp(
    r'^multipart/form-data; *boundary="?([^";]{1,70})"?$',
  ).firstMatch(type);
  if (edge == null) throw Mismatch('this is no form: $type');
  final text = latin1.decode(body), mark = '--${edge[1]}';
  if (!text.startsWith('$mark\r\n') || !text.endsWith('\r\n$mark--\r\n')) {
    throw const Mismatch('the form does not begin and end with its boundary');
  }
  final inner = text.substring(mark.length + 2, text.length - mark.length - 6);
  return [for (final piece in inner.split('\r\n$mark\r\n')) _part(piece)];
}

Part _part(String piece) {
  final at = piece.indexOf('\r\n\r\n');
  final head = utf8.decode(latin1.encode(piece.substring(0, at)));
  String? name, filename, type;
  for (final line in head.split('\r\n')) {
    final colon = line.indexOf(':');
    final value = line.substring(colon + 1).trim();
    switch (line.substring(0, colon).toLowerCase()) {
      case 'content-disposition':
        name = _quoted('name', value);
        filename = _quoted('filename', value);
      case 'content-type':
        type = value;
      default:
        throw Mismatch('a part has the header $line');
    }
  }
  return (
    name: name ?? '',
    filename: filename,
    type: type,
    data: latin1.encode(piece.substring(at + 4)),
  );
}

String? _quoted(String name, String value) =>
    RegExp('; *$name="([^"]*)"').firstMatch(value)?[1];

/// Throws a [Mismatch] unless the parts are there, in any order but that of a
/// name's own.
void checkParts(
  List<Object?> expected,
  List<Object?> absent,
  String type,
  List<int> body,
) {
  final left = partsOf(type, body);
  for (final told in expected.map(asMap)) {
    final at = left.indexWhere((part) => part.name == told['name']);
    if (at < 0) throw Mismatch('there is no part ${told['name']}');
    final part = left.removeAt(at);
    if (told.containsKey('json')) {
      has(told['json'], jsonDecode(utf8.decode(part.data)), part.name);
    } else {
      final wanted = data(told['text'] ?? {'base64': told['base64']});
      if (base64.encode(wanted) != base64.encode(part.data)) {
        throw Mismatch('the part ${part.name} holds something else');
      }
    }
    if ((told['filename'] ?? part.filename) != part.filename ||
        (told['type'] ?? part.type) != part.type) {
      throw Mismatch('the part ${part.name}: ${part.filename}, ${part.type}');
    }
  }
  for (final part in left) {
    if (absent.contains(part.name)) {
      throw Mismatch('the part ${part.name} should be left out');
    }
  }
}
