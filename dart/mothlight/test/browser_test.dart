/// WebSockets in a browser, which hides why one was refused.
library;

import 'dart:async';
import 'dart:convert';
import 'dart:io';

import 'package:mothlight/mothlight.dart';
import 'package:mothlight/testing.dart';

import 'harness.dart';
import 'rig.dart' show ms;
import 'sockets.dart';

/// What package:web_socket says, whatever has happened.
const AdapterException _hidden = AdapterException(
  'Failed to connect WebSocket',
);

ScriptedSocket _refused() => ScriptedSocket.refused(_hidden);

ScriptedSocket _open() => ScriptedSocket((server) async {
  server
    ..addJson({'call': 'c', 'received': 0})
    ..addJson('A')
    ..addJson({'end': true})
    ..end();
});

ScriptedAdapter _browser(List<Reply> replies, List<ScriptedSocket> sockets) =>
    ScriptedAdapter(replies, sockets)..sendsSocketHeaders = false;

Future<List<String>> _shouts(
  HttpAdapter adapter, {
  TokenSource? token,
  int retries = 2,
}) =>
    Transport(
      Uri.parse('http://test'),
      adapter: adapter,
      token: token,
      options: CallOptions(retries: retries, idle: ms(300)),
    ).duplex(shout, silent()).toList();

AdapterException _unauthenticated() => AdapterException(
  'the server refused the WebSocket (HTTP 401)',
  response: RawResponse(
    status: 401,
    headers: const {'content-type': 'application/problem+json'},
    body: Stream.value(utf8.encode('{"type": "Unauthenticated"}')),
  ),
);

final Reply _unknown = Reply.problem('CallNotFound', status: 404);

void main() {
  test('a refused token is found out by HTTP, and asked for anew', () async {
    final adapter = _browser(
      [Reply.problem('Unauthenticated', status: 401)],
      [_refused(), _open()],
    );
    final asked = <bool>[];
    final items = await _shouts(
      adapter,
      retries: 0,
      token: ({required force}) {
        asked.add(force);
        return force ? 'new' : 'old';
      },
    );
    equal(items, ['A']);
    check(asked.contains(true), '$asked');
    equal(
      [for (final connection in adapter.connections) connection.protocols.last],
      ['mothlight.bearer.old', 'mothlight.bearer.new'],
    );
    final look = adapter.requests.single;
    final key = adapter.connections.first.url.queryParameters['key'];
    equal('$look', 'GET http://test/calls/$key');
    equal(look.headers['authorization'], 'Bearer old');
    equal(look.headers['idempotency-key'], null);
  });

  test('what the server refuses is the error of the call', () async {
    for (final (reply, type) in [
      (Reply.problem('Unauthenticated', status: 401), 'Unauthenticated'),
      (Reply.problem('Forbidden', status: 403), 'Forbidden'),
    ]) {
      final adapter = _browser([reply], [_refused()]);
      final error = await throws<ApiException>(() => _shouts(adapter));
      equal(error.type, type);
    }
  });

  test('whoever gives a token is not told to give one', () async {
    for (final isBrowser in [true, false]) {
      final refused = Reply.problem('Unauthenticated', status: 401);
      final adapter = ScriptedAdapter(
        [refused, refused],
        [
          for (var i = 0; i < 2; i++)
            isBrowser ? _refused() : ScriptedSocket.refused(_unauthenticated()),
        ],
      )..sendsSocketHeaders = !isBrowser;
      final error = await throws<UnauthenticatedException>(
        () => _shouts(adapter, token: ({required force}) => 'bad'),
      );
      equal(error.hint, null);
    }
  });

  test('a server that has no time yet is left alone for a while', () async {
    final watch = Stopwatch()..start();
    final adapter = _browser(
      [
        Reply.problem('Overloaded', status: 503, headers: {'retry-after': '1'}),
      ],
      [_refused(), _open()],
    );
    equal(await _shouts(adapter), ['A']);
    check(watch.elapsed >= const Duration(seconds: 1), '${watch.elapsed}');
  });

  test('where HTTP does what it should it is the socket that fails', () async {
    for (final reply in [
      _unknown,
      Reply.json({'state': 'running'}),
    ]) {
      final adapter = _browser([], [for (var i = 0; i < 3; i++) _refused()])
        ..answer = (_) => reply;
      final error = await throws<ConnectionException>(() => _shouts(adapter));
      equal(adapter.connections.length, 3);
      check(error.message.contains('WebSocket'), '$error');
      check(error.hint!.contains('opens no WebSocket'), '$error');
      check(error.hint!.contains('cors'), '$error');
    }
  });

  test('where HTTP fails too its words are hinted at', () async {
    final adapter = _browser([], [for (var i = 0; i < 3; i++) _refused()])
      ..answer =
          (_) => Reply.failure(
            error: const AdapterException('ClientException: Failed to fetch'),
          );
    final error = await throws<ConnectionException>(() => _shouts(adapter));
    check(error.hint!.contains('--cors'), '$error');
  });

  test('the background ends the look at HTTP, and it goes on later', () async {
    final adapter = _browser(
      [Reply.json({}, delay: const Duration(seconds: 5))],
      [_refused(), _open()],
    );
    final transport = Transport(
      Uri.parse('http://test'),
      adapter: adapter,
      options: const CallOptions(retries: 0),
    );
    final items = transport.duplex(shout, silent()).toList();
    while (adapter.requests.isEmpty) {
      await Future<void>.delayed(ms(2));
    }
    transport.pause();
    await Future<void>.delayed(ms(20));
    check(adapter.requests.single.isAborted);
    transport.resume();
    equal(await items, ['A']);
  });

  test('a real server refuses the token', () async {
    Future<void> refuse(HttpResponse to) {
      to
        ..statusCode = 401
        ..headers.contentType = ContentType('application', 'problem+json')
        ..write(jsonEncode({'type': 'Unauthenticated', 'detail': 'who?'}));
      return to.close();
    }

    final server = await SocketServer.start(
      (visit) =>
          visit
            ..greet()
            ..say({'end': true}),
      refuse: (request) {
        final caller = request.headers.value('sec-websocket-protocol')!;
        if (caller.endsWith('good')) return false;
        unawaited(refuse(request.response));
        return true;
      },
      guards:
          (request) => request.headers.value('authorization') == 'Bearer good',
    );
    final transport = server.transport(
      adapter: Browser(),
      token: ({required force}) => force ? 'good' : 'bad',
    );
    equal(await transport.duplex(shout, silent()).toList(), <String>[]);
    equal(server.visits, 1);
    transport.close();
    await server.stop();
  });

  test('a token that is no subprotocol is an error at once', () async {
    for (final token in ['YWJjZA==', 'a/b', 'x y']) {
      final adapter = _browser([], []);
      final error = await throws<UnauthenticatedException>(
        () => _shouts(adapter, token: ({required force}) => token),
      );
      check(
        error.message.contains(
          '"${token.replaceAll(RegExp('[a-zA-Z]'), '')[0]}"',
        ),
        '$error',
      );
      check(error.hint!.contains('base64url'), '$error');
      check(!'$error'.contains(token), 'the token is a secret');
      await Future<void>.delayed(ms(20));
      equal(adapter.requests, const <Object>[], 'nothing to cancel');
    }
    // By a header it can be sent.
    final adapter = ScriptedAdapter([], [_open()]);
    equal(await _shouts(adapter, token: ({required force}) => 'a/b='), ['A']);
  });

  test('a server that is silent while it connects is that', () async {
    final server = await SocketServer.start(
      (visit) => visit.cut(),
      refuse: (request) => true, // and never answers
    );
    final transport = server.transport(
      options: CallOptions(retries: 0, idle: ms(100)),
    );
    final error = await throws<ConnectionException>(
      () => transport.duplex(shout, silent()).toList(),
    );
    check(error.message.contains('nothing came for 0.1 s'), '$error');
    check(error.hint!.contains('server is up'), '$error');
    transport.close();
    await server.stop();
  });

  unawaited(run(limit: const Duration(seconds: 20)));
}
