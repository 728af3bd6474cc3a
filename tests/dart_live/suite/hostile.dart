/// Servers that mean ill, and calls of them.
library;

import 'dart:async';
import 'dart:convert';
import 'dart:io';

import 'package:mothlight/io.dart';
import 'package:mothlight/mothlight.dart';
import 'package:telegraph_api/telegraph_api.dart';

import '../../../dart/mothlight/test/harness.dart';
import 'wire.dart';

/// The beginning of an answer that is JSON.
const String json200 = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n';

const Duration _bound = Duration(seconds: 8);

/// What a server does with a connection, once it has read the head.
typedef Behaviour = Future<void> Function(Wire wire);

/// Says [text], and then [more] for ever.
Behaviour says(String text, [String more = '']) => (wire) async {
  await wire.send(latin1.encode(text));
  if (more.isEmpty) return wire.close();
  final piece = latin1.encode(more);
  while (true) {
    await wire.send(piece);
    if (piece.length < 100) {
      await Future<void>.delayed(const Duration(milliseconds: 1));
    }
  }
};

/// Says [text], and then nothing.
Behaviour stays(String text) => (wire) async {
  await wire.send(latin1.encode(text));
  await wire.gone();
};

/// A server that treats each connection so.
Future<ServerSocket> serve(Behaviour behaviour) async {
  final server = await ServerSocket.bind(InternetAddress.loopbackIPv4, 0);
  server.listen((socket) async {
    final wire = Wire(socket);
    try {
      wire.readHead(await wire.until('\r\n\r\n'));
      await behaviour(wire);
    } on Gone {
      // The client left.
    } finally {
      wire.destroy();
    }
  });
  return server;
}

/// A call of a server that behaves so must end with a [T] in time.
void ends<T extends MothlightException>(
  String name,
  Behaviour behaviour,
  Future<Object?> Function(TelegraphClient api) call, {
  int retries = 1,
  Duration timeout = const Duration(seconds: 2),
}) => test(name, () async {
  final server = await serve(behaviour);
  final transport = Transport(
    Uri.parse('http://127.0.0.1:${server.port}'),
    adapter: IoAdapter(),
    maxAnswer: 1 << 20,
    options: CallOptions(
      retries: retries,
      timeout: timeout,
      idle: const Duration(milliseconds: 400),
    ),
  );
  final watch = Stopwatch()..start();
  try {
    final error = await throws<MothlightException>(
      () => call(TelegraphClient(transport)),
    );
    if (error is! T) throw Failure('$T was due, and came $error');
    check(watch.elapsed < _bound, 'it took ${watch.elapsed}');
    check(error.message.length < 2000, 'the message is bounded');
  } finally {
    transport.close();
    await server.close();
  }
});

/// A unary call.
Future<Object?> judge(TelegraphClient api) => api.judge(Review(text: 'good'));

/// A stream.
Future<Object?> say(TelegraphClient api) =>
    api.say(Speech(text: 'a b')).toList();

/// A call both ways.
Future<Object?> converse(TelegraphClient api) =>
    api.double_(Stream.fromIterable([1, 2])).toList();

/// One whole answer.
Behaviour answering(String body, {String head = json200}) =>
    says('${head}content-length: ${body.length}\r\n\r\n$body');
