/// The vectors' service, its messages and answers as JSON.
library;

import 'dart:convert';

import 'package:mothlight/generated.dart';
import 'package:telegraph_api/telegraph_api.dart';

import 'match.dart';

/// A call of a vector: a method, and how its messages are read out of JSON and
/// its answers shown as JSON.
abstract interface class Caller {
  /// Which side streams.
  Cardinality get cardinality;

  /// A call with one answer.
  Future<Object?> unary(Transport transport, Object? json, CallOptions options);

  /// A call with a stream of answers.
  Stream<Object?> stream(
    Transport transport,
    Object? json,
    CallOptions options,
  );

  /// A call with a stream of messages and one answer.
  Future<Object?> collect(
    Transport transport,
    List<Object?> messages,
    CallOptions options,
  );

  /// A call with streams both ways.
  Stream<Object?> converse(
    Transport transport,
    List<Object?> messages,
    CallOptions options,
  );

  /// A call in the background: its answer, or its items.
  Future<(Future<Object?> Function(), Stream<Object?> Function())> begin(
    Transport transport,
    Object? json,
    CallOptions options,
  );
}

final class _Entry<I, O> implements Caller {
  const _Entry(this.method, this.read, this.show);

  final Method<I, O> method;
  final I Function(Object? json) read;
  final Object? Function(O value) show;

  @override
  Cardinality get cardinality => method.cardinality;

  @override
  Future<Object?> unary(
    Transport transport,
    Object? json,
    CallOptions options,
  ) async => show(await transport.unary(method, read(json), options: options));

  @override
  Stream<Object?> stream(
    Transport transport,
    Object? json,
    CallOptions options,
  ) => transport.serverStream(method, read(json), options: options).map(show);

  @override
  Future<Object?> collect(
    Transport transport,
    List<Object?> messages,
    CallOptions options,
  ) async => show(
    await transport.clientStream(
      method,
      Stream.fromIterable(messages.map(read)),
      options: options,
    ),
  );

  @override
  Stream<Object?> converse(
    Transport transport,
    List<Object?> messages,
    CallOptions options,
  ) => transport
      .duplex(method, Stream.fromIterable(messages.map(read)), options: options)
      .map(show);

  @override
  Future<(Future<Object?> Function(), Stream<Object?> Function())> begin(
    Transport transport,
    Object? json,
    CallOptions options,
  ) async {
    final begun = await transport.begin(method, read(json), options: options);
    return (
      () async => show(await begun.result()),
      () => begun.stream().map(show),
    );
  }
}

/// The methods by their names on the wire.
final Map<String, Caller> callers = {
  'judge': _Entry(TelegraphMethods.judge, Review.fromJson, _verdict),
  'square': _Entry(
    TelegraphMethods.square,
    (json) => json == null ? 3 : readInt(json),
    (value) => value,
  ),
  'relay': _Entry(
    TelegraphMethods.relay,
    Packet.fromJson,
    (value) => value.toJson(),
  ),
  'label': _Entry(
    TelegraphMethods.label,
    (json) => Parcel.fromJson(_files(json)),
    (value) => value.toJson(),
  ),
  'turn': _Entry(
    TelegraphMethods.turn,
    (json) => readFile(_files(json)),
    (value) => value,
  ),
  'clear': _Entry(TelegraphMethods.clear, readNothing, (_) => null),
  'count': _Entry(TelegraphMethods.count, readInt, (value) => value),
  'say': _Entry(
    TelegraphMethods.say,
    Speech.fromJson,
    (value) => value.toJson(),
  ),
  'double': _Entry(TelegraphMethods.double_, readInt, (value) => value),
  'total': _Entry(TelegraphMethods.total, readInt, (value) => value),
};

/// A mood that only a newer server knows is shown as null.
Object? _verdict(Verdict verdict) => {
  'mood': verdict.mood.wire,
  'score': verdict.score,
  'words': verdict.words,
  'note': verdict.note,
};

/// [json] with its files in their place.
Object? _files(Object? json) => switch (json) {
  {r'$file': final Object? file} => _file(asMap(file)),
  final Map<String, Object?> map => {
    for (final MapEntry(:key, :value) in map.entries) key: _files(value),
  },
  _ => json,
};

FileData _file(Map<String, Object?> told) {
  final bytes = base64.decode(told['base64']! as String);
  return FileData.bytes(
    bytes,
    name: told['name'] as String? ?? 'file',
    mediaType: told['type'] as String?,
  );
}
