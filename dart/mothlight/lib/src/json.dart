import 'dart:convert';
import 'dart:typed_data';

import 'errors.dart';
import 'file.dart';
import 'integers.dart';
import 'misfit.dart';

export 'equality.dart';
export 'time.dart';

/// Reads a value out of JSON. Throws [DecodeException].
typedef Decoder<T> = T Function(Object? json);

/// The members of a JSON object, read with the path to what does not fit.
final class JsonMap {
  /// Wraps the members.
  const JsonMap(this.members);

  /// The members as they came.
  final Map<String, Object?> members;

  /// The object that [json] is. Throws [DecodeException], which names [what].
  static JsonMap of(Object? json, String what) => switch (json) {
    final Map<String, Object?> members => JsonMap(members),
    _ => throw misfit('an object ($what)', json),
  };

  /// The member [name], which must be there.
  T read<T>(String name, Decoder<T> decode) {
    final value = members[name];
    if (value == null && !members.containsKey(name)) {
      throw DecodeException('is not there', path: name);
    }
    try {
      return decode(value);
    } on DecodeException catch (error, stack) {
      Error.throwWithStackTrace(within(name, error), stack);
    }
  }

  /// The member [name], or [orElse] where it is not there.
  T readOr<T>(String name, Decoder<T> decode, T orElse) =>
      members.containsKey(name) ? read(name, decode) : orElse;
}

/// A float; an integer is one too, as are `"NaN"`, `"Infinity"` and
/// `"-Infinity"`.
double readFloat(Object? json) => switch (json) {
  final num value => value.toDouble(),
  'NaN' => double.nan,
  'Infinity' => double.infinity,
  '-Infinity' => double.negativeInfinity,
  _ => throw misfit('a number', json),
};

/// An integer. Throws where it has more bits than this platform's `int` keeps
/// (64 natively, 53 on the web).
int readInt(Object? json) {
  // Natively a parser makes a double of what is too large for an int, and a
  // double beyond 53 bits may have been another number.
  if (json is int && (!intsAreDoubles || json.abs() <= maxSafeInt)) return json;
  if (json is double &&
      json.abs() <= maxSafeInt &&
      json == json.truncateToDouble()) {
    return json.toInt();
  }
  if (json is num && json.abs() > maxSafeInt) {
    throw DecodeException(
      'has more than ${intsAreDoubles ? 53 : 64} bits',
      hint: 'Let the service give large numbers as strings.',
    );
  }
  throw misfit('an integer', json);
}

/// A boolean.
bool readBool(Object? json) =>
    json is bool ? json : throw misfit('a boolean', json);

/// A string.
String readString(Object? json) =>
    json is String ? json : throw misfit('a string', json);

/// Base64 (RFC 4648), of either alphabet, with or without padding.
Uint8List readBytes(Object? json) {
  final text = readString(json);
  try {
    // The decoder knows both alphabets, and wants the padding.
    return base64.decode(text.length % 4 == 0 ? text : base64.normalize(text));
  } on FormatException catch (error) {
    throw DecodeException('is not base64: ${error.message}');
  }
}

/// A file: base64, or a [FileData] that stands in its place.
FileData readFile(Object? json) => switch (json) {
  final FileData file => file,
  String() => FileData.bytes(readBytes(json)),
  _ => throw misfit('a file', json),
};

/// Any JSON value.
Object? readAny(Object? json) => json;

/// Nothing, whatever stands there.
void readNothing(Object? json) {}

/// A list of what [decode] reads; it cannot be changed.
Decoder<List<T>> listOf<T>(Decoder<T> decode) => (json) {
  if (json is! List<Object?>) throw misfit('a list', json);
  var index = 0;
  try {
    return List<T>.unmodifiable([
      for (; index < json.length; index++) decode(json[index]),
    ]);
  } on DecodeException catch (error, stack) {
    Error.throwWithStackTrace(within('[$index]', error), stack);
  }
};

/// A map of what [decode] reads; it cannot be changed.
Decoder<Map<String, T>> mapOf<T>(Decoder<T> decode) => (json) {
  final map = JsonMap.of(json, 'a map');
  return Map<String, T>.unmodifiable({
    for (final name in map.members.keys) name: map.read(name, decode),
  });
};

/// What [decode] reads, or null.
Decoder<T?> nullable<T>(Decoder<T> decode) =>
    (json) => json == null ? null : decode(json);

/// A float for JSON: as a string where it is not finite.
Object writeFloat(double value) => value.isFinite ? value : '$value';

/// Bytes for JSON: base64.
String writeBytes(Uint8List value) => base64.encode(value);
