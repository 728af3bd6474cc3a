/// The adapter of apps over stand-ins for its packages: see stand_ins.
library;

import 'dart:async';
import 'dart:convert';
import 'dart:io';
import 'dart:typed_data';

import 'package:http/http.dart' as http;
import 'package:http/io_client.dart';
import 'package:mothlight/generated.dart';
import 'package:mothlight/http.dart';
import 'package:mothlight/io.dart';
import 'package:mothlight/src/http_web.dart' as web;
import 'package:web_socket/web_socket.dart' as web_socket;

import '../../dart/mothlight/test/harness.dart';
import '../../dart/mothlight/test/rig.dart';
import '../../dart/mothlight/test/sockets.dart'
    show SocketServer, shout, silent;

final Method<FileData, String> upload = method(
  'upload',
  Cardinality.unary,
  readString,
);

/// A client whose connections fail at once, as in a sandbox.
HttpClient failing(OSError why) =>
    HttpClient()
      ..connectionFactory =
          (url, host, port) => Future.error(
            SocketException(
              'Connection failed',
              osError: why,
              address: InternetAddress.loopbackIPv4,
              port: 5000,
            ),
          );

/// Takes a body as a whole, and answers [after] a time.
final class Whole implements http.Client {
  Whole(this.after);

  final Duration after;
  final List<String> verbs = [];

  @override
  Future<http.StreamedResponse> send(http.BaseRequest request) async {
    verbs.add(request.method);
    await request.finalize().toBytes();
    await Future<void>.delayed(after);
    return http.StreamedResponse(
      Stream.value(utf8.encode('"done"')),
      200,
      headers: const {'content-type': 'application/json'},
    );
  }

  @override
  void close() {}
}

void main() {
  test('a call over package:http', () async {
    final rig = await Rig.start((seen) => seen.answer('hi'));
    final transport = Transport(rig.url, adapter: PackageHttpAdapter());
    equal(await transport.unary(echo, 'hi'), 'hi');
    transport.close();
    await rig.stop();
  });

  for (final (why, expected) in [
    (
      const OSError('Operation not permitted', 1),
      'com.apple.security.network.client',
    ),
    (const OSError('Network is unreachable', 101), 'has a network'),
    (const OSError('No route to host', 113), 'has a network'),
  ]) {
    test('the hint for what the system says: $why', () async {
      final transport = Transport(
        Uri.parse('http://api.test:5000'),
        adapter: PackageHttpAdapter(IOClient(failing(why))),
        options: const CallOptions(retries: 0),
      );
      final error = await throws<ConnectionException>(
        () => transport.unary(echo, 'hi'),
      );
      check(error.hint!.contains(expected), '$error');
      check(error.message.contains(why.message), '$error');
      check(!error.message.contains('uri='), '$error');
      check(error.cause is SocketException, '${error.cause}');
      transport.close();
    });
  }

  test('a socket goes over the connector that is given', () async {
    final agents = <String?>[];
    final server = await SocketServer.start((visit) {
      agents.add(visit.header('user-agent'));
      visit
        ..greet()
        ..say({'end': true});
    });
    final mine = HttpClient()..userAgent = 'mine';
    for (final adapter in [
      PackageHttpAdapter(),
      PackageHttpAdapter(IOClient(mine), IoAdapter(mine).connect),
    ]) {
      final transport = server.transport(adapter: adapter);
      equal(await transport.duplex(shout, silent()).toList(), <String>[]);
      transport.close();
    }
    equal([for (final agent in agents) agent == 'mine'], [false, true]);
    await server.stop();
  });

  test('a client that takes a body as a whole has time to send it', () async {
    final client = Whole(ms(400));
    final transport = Transport(
      Uri.parse('http://test'),
      adapter: PackageHttpAdapter(client),
      options: CallOptions(idle: ms(200)),
    );
    final file = FileData.bytes(Uint8List(20000));
    equal(await transport.unary(upload, file), 'done');
    equal(client.verbs, ['POST']);
    transport.close();
  });

  test('a body that has left over dart:io needs no more time', () async {
    final rig = await Rig.start((seen) async {
      if (seen.request.method == 'GET') await seen.answer('asked for');
    });
    final transport = Transport(
      rig.url,
      adapter: PackageHttpAdapter(),
      options: CallOptions(idle: ms(200)),
    );
    final file = FileData.bytes(Uint8List(300000));
    equal(await transport.unary(upload, file), 'asked for');
    equal([rig.count('POST'), rig.count('GET')], [1, 1]);
    transport.close();
    await rig.stop();
  });

  test('what a browser says of a socket before it connects is final', () async {
    for (final (error, isPermanent) in [
      (StateError('SyntaxError: the subprotocol is invalid'), true),
      (const FormatException('no Error of Dart either'), true),
      (web_socket.WebSocketException('Failed to connect WebSocket'), false),
    ]) {
      web_socket.WebSocket.opens = (_, _) => Future.error(error);
      final failure = await throws<AdapterException>(
        () => web.connectSocket(
          Uri.parse('http://test'),
          const [],
          const {},
          longestMessage,
          Completer<void>().future,
        ),
      );
      equal(failure.isPermanent, isPermanent);
    }
  });

  unawaited(run(limit: const Duration(seconds: 20)));
}
