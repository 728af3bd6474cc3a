/// Uploads by clients that take a body as a whole, and by those that do not.
library;

import 'dart:typed_data';

import 'package:mothlight/generated.dart';
import 'package:mothlight/testing.dart';

import 'harness.dart';
import 'rig.dart' show method, ms;

final Method<FileData, String> upload = method(
  'upload',
  Cardinality.unary,
  readString,
);

Future<void> main() async {
  /// The verbs of a call with a body of [bytes] whose answer comes after twice
  /// the silence of a lost connection.
  Future<List<String>> sent(int bytes, {bool streams = false}) async {
    final adapter = ScriptedAdapter([
      Reply.json('late', delay: ms(400)),
      Reply.json('asked for'),
    ])..streamsBodies = streams;
    await Transport(
      Uri.parse('http://test'),
      adapter: adapter,
      options: CallOptions(idle: ms(200)),
    ).unary(upload, FileData.bytes(Uint8List(bytes)));
    return [for (final request in adapter.requests) request.method];
  }

  test('a body that is taken as a whole is given time to arrive', () async {
    // As JSON 4/3 of it: more than 1 s of a slow network.
    equal(await sent(20000), ['POST']);
  });

  test('a small body is there soon', () async {
    equal(await sent(200), ['POST', 'GET']);
  });

  test('a body that is taken as it leaves has left with its end', () async {
    equal(await sent(200000, streams: true), ['POST', 'GET']);
  });

  test('a client that is dead has its end too', () async {
    final adapter = ScriptedAdapter([
      Reply.json('never', delay: const Duration(seconds: 9)),
      Reply.json('asked for'),
    ]);
    final watch = Stopwatch()..start();
    await Transport(
      Uri.parse('http://test'),
      adapter: adapter,
      options: CallOptions(idle: ms(200)),
    ).unary(upload, FileData.bytes(Uint8List(20000)));
    final elapsed = watch.elapsedMilliseconds;
    check(elapsed >= 1200 && elapsed < 2000, '$elapsed ms');
  });

  await run(limit: const Duration(seconds: 20));
}
