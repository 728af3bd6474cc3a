import 'dart:convert';
import 'dart:typed_data';

import 'errors.dart';
import 'file.dart';

/// Reads a value out of JSON. Throws [DecodeException].
typedef Decoder<T> = T Function(Object? json);

/// The members of a JSON object, read with the path to what does not fit.
final class JsonMap {
  /// Wraps the members.
  const JsonMap(this.members);

  /// The members as they came.
  final Map<String, Object?> members;

  /// The object that [json] is. Throws [DecodeException], which names [what].
  static JsonMap of(Object? json, String what) =>
      throw UnimplementedError('being written');

  /// The member [name], which must be there.
  T read<T>(String name, Decoder<T> decode) =>
      throw UnimplementedError('being written');

  /// The member [name], or [orElse] where it is not there.
  T readOr<T>(String name, Decoder<T> decode, T orElse) =>
      throw UnimplementedError('being written');
}

/// A float; an integer is one too, as are `"NaN"`, `"Infinity"` and
/// `"-Infinity"`.
double readFloat(Object? json) => throw UnimplementedError('being written');

/// An integer. Throws where it has more bits than this platform's `int` keeps
/// (64 natively, 53 on the web).
int readInt(Object? json) => throw UnimplementedError('being written');

/// A boolean.
bool readBool(Object? json) => throw UnimplementedError('being written');

/// A string.
String readString(Object? json) => throw UnimplementedError('being written');

/// Base64 (RFC 4648), of either alphabet.
Uint8List readBytes(Object? json) => throw UnimplementedError('being written');

/// A date and time (RFC 3339). With an offset it is made UTC; without one it
/// stays without, as local time.
DateTime readDateTime(Object? json) =>
    throw UnimplementedError('being written');

/// A day, as midnight UTC.
DateTime readDate(Object? json) => throw UnimplementedError('being written');

/// A duration (ISO 8601), a year being 365 days, as pydantic writes it.
Duration readDuration(Object? json) =>
    throw UnimplementedError('being written');

/// A file: base64, or a [FileData] that stands in its place.
FileData readFile(Object? json) => throw UnimplementedError('being written');

/// Any JSON value.
Object? readAny(Object? json) => json;

/// Nothing, whatever stands there.
void readNothing(Object? json) {}

/// A list of what [decode] reads; it cannot be changed.
Decoder<List<T>> listOf<T>(Decoder<T> decode) =>
    throw UnimplementedError('being written');

/// A map of what [decode] reads; it cannot be changed.
Decoder<Map<String, T>> mapOf<T>(Decoder<T> decode) =>
    throw UnimplementedError('being written');

/// What [decode] reads, or null.
Decoder<T?> nullable<T>(Decoder<T> decode) =>
    throw UnimplementedError('being written');

/// A float for JSON: as a string where it is not finite.
Object writeFloat(double value) => throw UnimplementedError('being written');

/// Bytes for JSON: base64.
String writeBytes(Uint8List value) => base64.encode(value);

/// A date and time for JSON: with a `Z` where it is UTC.
String writeDateTime(DateTime value) =>
    throw UnimplementedError('being written');

/// A day for JSON: `2026-01-31`.
String writeDate(DateTime value) => throw UnimplementedError('being written');

/// A duration for JSON: `PT1.5S`.
String writeDuration(Duration value) =>
    throw UnimplementedError('being written');

/// Whether two JSON-like values are equal, lists and maps item by item.
bool deepEquals(Object? a, Object? b) =>
    throw UnimplementedError('being written');

/// A hash for which [deepEquals] values are equal.
int deepHash(Object? value) => throw UnimplementedError('being written');
