/// The client vectors of conformance/ against the Dart runtime: each is played
/// by a server in this program, over real sockets.
///
///     dart vectors_test.dart FOLDER [NAME]
library;

import 'dart:async';
import 'dart:convert';
import 'dart:io';

import 'package:mothlight/io.dart';
import 'package:mothlight/mothlight.dart';

import '../../../dart/mothlight/test/harness.dart';
import 'match.dart';
import 'scripted.dart';
import 'telegraph.dart';

Future<void> main(List<String> arguments) async {
  final folder = Directory(arguments.first);
  final files = [...folder.listSync().whereType<File>()]
    ..sort((a, b) => a.path.compareTo(b.path));
  for (final file in files) {
    final group = file.uri.pathSegments.last.replaceAll('.json', '');
    final content = asMap(jsonDecode(file.readAsStringSync()));
    for (final vector in content['vectors']! as List<Object?>) {
      final told = asMap(vector);
      test('$group/${told['name']}', () => _play(told));
    }
  }
  await run(
    limit: const Duration(seconds: 20),
    only: arguments.length > 1 ? arguments[1] : null,
  );
}

Future<void> _play(Map<String, Object?> vector) async {
  final own = asMap(vector['expect_in'] ?? <String, Object?>{})['dart'];
  final expected = asMap(own ?? vector['expect']);
  final server = await Scripted.start(vector['exchanges']! as List<Object?>);
  final call = _Call(asMap(vector['call']), server.url);
  await call.make();
  if (expected['cancels'] == true) {
    for (var i = 0; i < 150 && server.cancels == 0; i++) {
      await Future<void>.delayed(const Duration(milliseconds: 20));
    }
  }
  await server.close();
  if (server.faults.isNotEmpty) {
    throw Failure('${server.faults}, and came ${call.outcome}');
  }
  await _compare(expected, call);
  final kind = asMap(expected['error'] ?? <String, Object?>{})['kind'];
  final isOurs = const {'answer', 'connection', 'foreign'}.contains(kind);
  if (!isOurs || expected.containsKey('cancels')) {
    equal(server.cancels > 0, expected['cancels'] ?? false, 'cancels');
  }
}

/// A vector's call, and what came of it.
final class _Call {
  _Call(this.told, Uri url) {
    final options = asMap(told['options'] ?? <String, Object?>{});
    final tokens = [...?options['token'] as List<Object?>?];
    most = options['leave_after'] as int?;
    transport = Transport(
      url,
      adapter: IoAdapter(),
      token:
          tokens.isEmpty
              ? null
              : ({required bool force}) {
                if (force) tokens.removeAt(0);
                return tokens.first as String?;
              },
    );
    this.options = CallOptions(
      timeout: _seconds(options['timeout']),
      idle: _seconds(options['idle']),
      retries: options['retries'] as int?,
      priority: options['priority'] as int?,
      supersede: switch (options['supersede']) {
        final String name => SupersedeKey(name),
        _ => null,
      },
      onSendProgress: (sent, total) => progress.add((sent, total)),
    );
  }

  final Map<String, Object?> told;
  late final Transport transport;
  late final CallOptions options;
  late final int? most;
  final List<(int, int)> progress = [];
  final List<Object?> items = [];
  final Map<String, Object?> outcome = {};

  Future<void> make() async {
    final caller = callers[told['method']]!;
    final message = told['message'];
    final messages = told['messages'] as List<Object?>? ?? const [];
    try {
      switch (caller.cardinality) {
        case _ when told['background'] == true:
          final (result, stream) = await caller.begin(
            transport,
            message,
            options,
          );
          if (caller.cardinality == Cardinality.unary) {
            outcome['value'] = await result();
          } else {
            await _take(stream());
          }
        case Cardinality.unary:
          outcome['value'] = await caller.unary(transport, message, options);
        case Cardinality.serverStream:
          await _take(caller.stream(transport, message, options));
        case Cardinality.clientStream:
          outcome['value'] = await caller.collect(transport, messages, options);
        case Cardinality.duplex:
          await _take(caller.converse(transport, messages, options));
      }
    } on MothlightException catch (error) {
      outcome['error'] = _error(error);
    }
    // Closing tells the server what it is still to be told.
    transport.close();
    await Future<void>.delayed(const Duration(milliseconds: 10));
  }

  Future<void> _take(Stream<Object?> stream) {
    final done = Completer<void>();
    late final StreamSubscription<Object?> taking;
    taking = stream.listen(
      (item) {
        items.add(item);
        if (items.length == most) {
          unawaited(taking.cancel());
          done.complete();
        }
      },
      onError: (Object error) {
        if (!done.isCompleted) done.completeError(error);
      },
      onDone: () {
        if (!done.isCompleted) done.complete();
      },
    );
    return done.future;
  }
}

Duration? _seconds(Object? json) =>
    json is num ? Duration(milliseconds: (json * 1000).round()) : null;

Map<String, Object?> _error(MothlightException error) => switch (error) {
  ConnectionException() => {'kind': 'connection', 'received': error.received},
  DecodeException() => {'kind': 'answer', 'path': error.path},
  CallTimeoutException() => {'kind': 'deadline'},
  CancelledException() => {'kind': 'cancelled'},
  ApiException(problem: Problem(:final fields, :final status))
      when fields.isEmpty =>
    {'kind': 'foreign', 'status': status},
  ApiException() => {
    'kind': 'api',
    'type': error.type,
    'code': error.code.wire,
    'status': error.status,
    'detail': error.message,
    'fields': error.problem.fields,
    'retry_after': switch (error.retryAfter) {
      null => null,
      final wait => wait.inMilliseconds / 1000,
    },
  },
};

Future<void> _compare(Map<String, Object?> expected, _Call call) async {
  final found = call.outcome;
  if (found.containsKey('error') != expected.containsKey('error')) {
    throw Failure('expected is $expected, and came $found');
  }
  if (expected['error'] case final Object? error?) {
    has(error, found['error'], 'the error');
  }
  if (expected.containsKey('items')) {
    equal(call.items, expected['items'], 'items');
  }
  if (expected.containsKey('value')) {
    equal(found['value'], expected['value']);
  }
  if (expected['has'] case final Object? some?) {
    has(some, found['value']);
  }
  if (expected['file'] case final Object? told?) {
    final file = found['value']! as FileData;
    final wanted = asMap(told);
    equal(base64.encode(await file.read()), wanted['base64'], 'file');
    equal(wanted['type'] ?? file.mediaType, file.mediaType, 'type');
  }
  if (expected['tensors'] case final Object? told?) {
    final tensors = await Tensors.fromFile(found['value']! as FileData);
    equal({
      for (final MapEntry(:key, :value) in tensors.entries)
        key: _numbers(value),
    }, told);
  }
  if (call.told['progress'] == true) {
    final (sent, total) = call.progress.last;
    check(sent == total && total > 300000, '$sent of $total');
    check(call.progress.length > 3, 'it comes in steps');
  }
}

Object? _numbers(Tensor tensor) => switch (tensor.dtype) {
  DType.float32 => [...tensor.asFloat32List()],
  _ => [...tensor.asIntList()],
};
