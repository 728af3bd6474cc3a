/// The adapter of dart:io against a server in the same program, over sockets.
library;

import 'dart:async';
import 'dart:convert';
import 'dart:io';
import 'dart:typed_data';

import 'package:mothlight/io.dart';
import 'package:mothlight/src/http_adapter.dart';

import 'harness.dart';

final Future<void> _never = Completer<void>().future;

Future<HttpServer> _serve(
  FutureOr<void> Function(HttpRequest request) answer,
) async {
  final server = await HttpServer.bind(InternetAddress.loopbackIPv4, 0);
  server.listen((request) async {
    try {
      await answer(request);
    } on Object {
      // the client is gone
    }
  });
  return server;
}

/// A server that speaks bytes, for what HttpServer would not say.
Future<ServerSocket> _speak(
  FutureOr<void> Function(Socket socket, Stream<Uint8List> bytes) answer,
) async {
  final server = await ServerSocket.bind(InternetAddress.loopbackIPv4, 0);
  server.listen((socket) {
    socket.done.ignore();
    unawaited(
      Future(
        () => answer(socket, socket.asBroadcastStream()),
      ).catchError((_) {}),
    );
  });
  return server;
}

Uri _url(int port, [String path = '/', String scheme = 'http']) =>
    Uri.parse('$scheme://127.0.0.1:$port$path');

RawRequest _request(
  int port, {
  String method = 'POST',
  Map<String, String> headers = const {},
  Stream<List<int>>? body,
  int? length,
  Future<void>? abort,
}) => RawRequest(
  method: method,
  url: _url(port),
  headers: headers,
  body: body,
  contentLength: length,
  abort: abort ?? _never,
);

Future<String> _text(RawResponse response) => utf8.decodeStream(response.body);

Future<void> _head(Stream<Uint8List> bytes) async {
  var text = '';
  await for (final chunk in bytes) {
    text += latin1.decode(chunk);
    if (text.contains('\r\n\r\n')) return;
  }
}

void main() {
  _requests();
  _aborts();
  _failures();
  unawaited(run(limit: const Duration(seconds: 20)));
}

void _requests() {
  test('a request and its answer as they are', () async {
    final server = await _serve((request) async {
      final body = await utf8.decodeStream(request);
      request.response
        ..statusCode = 418
        ..headers.set('X-Seen', '${request.method} ${request.headers['x-a']}')
        ..headers.add('X-Many', 'a')
        ..headers.add('X-Many', 'b')
        ..write('$body ${request.headers.chunkedTransferEncoding}');
      await request.response.close();
    });
    final adapter = IoAdapter();
    final response = await adapter.send(
      _request(
        server.port,
        headers: {'x-a': '1'},
        body: Stream.value(utf8.encode('größer')),
        length: 8,
      ),
    );
    equal(response.status, 418);
    equal(response.headers['x-seen'], 'POST [1]');
    equal(response.headers['x-many'], 'a, b');
    equal(await _text(response), 'größer false');
    final chunked = await adapter.send(
      _request(server.port, body: Stream.value([97])),
    );
    equal(await _text(chunked), 'a true');
    for (final method in ['GET', 'DELETE', 'POST']) {
      final empty = await adapter.send(_request(server.port, method: method));
      equal(await _text(empty), ' false', method);
    }
    adapter.close();
    await server.close(force: true);
  });

  test('connections are used again; redirects are not followed', () async {
    final ports = <int>{};
    final server = await _serve((request) async {
      ports.add(request.connectionInfo!.remotePort);
      request.response
        ..statusCode = 307
        ..headers.set('location', '/other');
      await request.response.close();
    });
    final adapter = IoAdapter();
    for (var i = 0; i < 5; i++) {
      final response = await adapter.send(_request(server.port, method: 'GET'));
      equal(response.status, 307);
      await response.body.drain<void>();
    }
    equal(ports.length, 1);
    adapter.close();
    await server.close(force: true);
  });

  test('a body is sent no faster than the server reads', () async {
    final go = Completer<void>();
    final server = await _serve((request) async {
      await go.future;
      var read = 0;
      await for (final chunk in request) {
        read += chunk.length;
      }
      request.response.write('$read');
      await request.response.close();
    });
    const total = 32 * 1024 * 1024;
    var made = 0;
    Iterable<List<int>> chunks() sync* {
      for (; made < total; made += 65536) {
        yield Uint8List(65536);
      }
    }

    final adapter = IoAdapter();
    final sending = adapter.send(
      _request(server.port, body: Stream.fromIterable(chunks()), length: total),
    );
    await _settled(() => made);
    check(made < total ~/ 2, '$made bytes were taken');
    go.complete();
    equal(await _text(await sending), '$total');
    adapter.close();
    await server.close(force: true);
  });

  test('a paused answer is not read', () async {
    const total = 64 * 1024 * 1024;
    var written = 0;
    final server = await _serve((request) async {
      request.response.bufferOutput = false;
      for (; written < total; written += 65536) {
        request.response.add(Uint8List(65536));
        await request.response.flush();
      }
      await request.response.close();
    });
    final adapter = IoAdapter();
    final response = await adapter.send(_request(server.port));
    var read = 0;
    final done = Completer<void>();
    final reading = response.body.listen(
      (chunk) => read += chunk.length,
      onDone: done.complete,
    );
    reading.pause();
    await _settled(() => written);
    check(written < total ~/ 2, '$written bytes were taken');
    reading.resume();
    await done.future;
    equal(read, total);
    adapter.close();
    await server.close(force: true);
  });
}

/// Waits until a count does not change any more.
Future<void> _settled(int Function() count) async {
  var before = -1;
  while (before != count() || before == 0) {
    before = count();
    await Future<void>.delayed(const Duration(milliseconds: 100));
  }
}

void _aborts() {
  test('abort before the head closes the connection at once', () async {
    final came = Completer<void>(), gone = Completer<void>();
    final server = await _speak((socket, bytes) async {
      await _head(bytes);
      came.complete();
      await bytes.drain<void>();
      gone.complete();
    });
    final abort = Completer<void>();
    final adapter = IoAdapter();
    final sending = adapter.send(_request(server.port, abort: abort.future));
    final failed = throws<AdapterException>(() => sending);
    await came.future;
    abort.complete();
    await failed;
    await gone.future.timeout(const Duration(seconds: 2));
    adapter.close();
    await server.close();
  });

  test('abort while the body is sent closes it, and the body', () async {
    final came = Completer<void>(), gone = Completer<void>();
    final server = await _speak((socket, bytes) async {
      await _head(bytes);
      came.complete();
      await bytes.drain<void>();
      gone.complete();
    });
    final abort = Completer<void>(), left = Completer<void>();
    final body = StreamController<List<int>>(onCancel: left.complete);
    body.add(Uint8List(10));
    final adapter = IoAdapter();
    final sending = adapter.send(
      _request(server.port, body: body.stream, length: 99, abort: abort.future),
    );
    final failed = throws<AdapterException>(() => sending);
    body.add(Uint8List(10));
    await came.future;
    abort.complete();
    await failed;
    await left.future.timeout(const Duration(seconds: 2));
    await gone.future.timeout(const Duration(seconds: 2));
    adapter.close();
    await server.close();
  });

  for (final isHeard in [true, false]) {
    for (final byAbort in [true, false]) {
      if (!isHeard && !byAbort) continue;
      final how = byAbort ? 'abort' : 'cancel';
      test('$how while the answer comes (heard: $isHeard)', () async {
        final gone = Completer<void>();
        final server = await _speak((socket, bytes) async {
          await _head(bytes);
          socket.write('HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nabc');
          await bytes.drain<void>();
          gone.complete();
        });
        final abort = Completer<void>();
        final adapter = IoAdapter();
        final response = await adapter.send(
          _request(server.port, abort: abort.future),
        );
        final came = Completer<void>(), failed = Completer<Object>();
        StreamSubscription<List<int>>? reading;
        if (isHeard) {
          reading = response.body.listen(
            (_) => came.complete(),
            onError: failed.complete,
          );
          await came.future;
        }
        if (byAbort) {
          abort.complete();
        } else {
          await reading!.cancel();
        }
        await gone.future.timeout(const Duration(seconds: 2));
        if (isHeard && byAbort) check(await failed.future is AdapterException);
        adapter.close();
        await server.close();
      });
    }
  }

  test('abort while it connects', () async {
    final server = await _speak((_, __) {});
    final adapter = IoAdapter();
    final sending = adapter.send(_request(server.port, abort: Future.value()));
    final error = await throws<AdapterException>(() => sending);
    equal(error.message, 'the request was aborted');
    adapter.close();
    await server.close();
  });
}

void _failures() {
  test('what cannot be reached, or breaks off', () async {
    final server = await _speak((socket, bytes) async {
      await _head(bytes);
      socket.destroy();
    });
    final adapter = IoAdapter();
    final cut = await throws<AdapterException>(
      () => adapter.send(_request(server.port)),
    );
    check(!cut.isPermanent);
    final port = server.port;
    await server.close();
    final refused = await throws<AdapterException>(
      () => adapter.send(_request(port)),
    );
    check(refused.message.contains('Connection refused'), refused.message);
    check(!refused.isPermanent);
    check(refused.cause is SocketException);
    adapter.close();
    final closed = await throws<AdapterException>(
      () => adapter.send(_request(port)),
    );
    check(closed.isPermanent, '$closed');
  });

  test('what can never work is permanent', () async {
    final adapter = IoAdapter();
    final scheme = RawRequest(
      method: 'GET',
      url: Uri.parse('ftp://127.0.0.1/'),
      abort: _never,
    );
    check(
      (await throws<AdapterException>(() => adapter.send(scheme))).isPermanent,
    );
    final server = await _speak((socket, bytes) async {
      await bytes.first;
      socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
    });
    final header = _request(server.port, headers: {'x-a': 'a\r\nb'});
    check(
      (await throws<AdapterException>(() => adapter.send(header))).isPermanent,
    );
    final tls = RawRequest(
      method: 'GET',
      url: _url(server.port, '/', 'https'),
      abort: _never,
    );
    final error = await throws<AdapterException>(() => adapter.send(tls));
    check(error.isPermanent, '$error');
    adapter.close();
    await server.close();
  });

  test('an answer that is cut is an error, not an end', () async {
    for (final length in ['content-length: 9', 'transfer-encoding: chunked']) {
      final server = await _speak((socket, bytes) async {
        await _head(bytes);
        socket.write('HTTP/1.1 200 OK\r\n$length\r\n\r\n3\r\nabc\r\n');
        await socket.flush();
        socket.destroy();
      });
      final adapter = IoAdapter();
      final response = await adapter.send(_request(server.port));
      await throws<AdapterException>(() => response.body.drain<void>());
      adapter.close();
      await server.close();
    }
  });

  test("the body's own error passes through", () async {
    final server = await _serve((request) => request.drain<void>());
    final adapter = IoAdapter();
    final body = Stream<List<int>>.error(StateError('the file is gone'));
    final error = await throws<StateError>(
      () => adapter.send(_request(server.port, body: body, length: 5)),
    );
    equal(error.message, 'the file is gone');
    adapter.close();
    await server.close(force: true);
  });
}
