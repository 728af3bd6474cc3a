/// WebSockets of the adapter of dart:io: against dart:io's own server, and
/// against one that says whatever a test wants.
library;

import 'dart:async';
import 'dart:convert';
import 'dart:io';
import 'dart:typed_data';

import 'package:mothlight/io.dart';
import 'package:mothlight/src/frames.dart';
import 'package:mothlight/src/http_adapter.dart';
import 'package:mothlight/src/io_socket.dart';

import 'harness.dart';
import 'server_frames.dart';

final Future<void> _never = Completer<void>().future;

/// A server of dart:io: [answer] is given each socket.
Future<HttpServer> _serve(void Function(WebSocket socket) answer) async {
  final server = await HttpServer.bind(InternetAddress.loopbackIPv4, 0);
  server.listen((request) async {
    if (!WebSocketTransformer.isUpgradeRequest(request)) {
      request.response.statusCode = 426;
      await request.response.close();
      return;
    }
    answer(
      await WebSocketTransformer.upgrade(
        request,
        protocolSelector: (protocols) => protocols.first,
      ),
    );
  });
  return server;
}

Future<MessageSocket> _connect(
  IoAdapter adapter,
  int port, {
  Future<void>? abort,
}) => adapter.connect(
  Uri.parse('ws://127.0.0.1:$port/talk'),
  protocols: ['mothlight.v1'],
  headers: {'x-caller': 'me'},
  abort: abort ?? _never,
);

/// The two ends of a connection.
Future<(Socket, Socket)> _pair() async {
  final server = await ServerSocket.bind(InternetAddress.loopbackIPv4, 0);
  final accepted = server.first;
  final near = await Socket.connect(server.address, server.port);
  final far = await accepted;
  far.done.ignore();
  return (near, far);
}

IoSocket _socket(Socket near, {int limit = 1 << 20, int pingMs = 60000}) =>
    IoSocket(
      near,
      limit: limit,
      pingInterval: Duration(milliseconds: pingMs),
      closeTime: const Duration(milliseconds: 200),
    );

/// The frames that a client has sent, without their masks.
Stream<(int, List<int>)> _sent(Stream<Uint8List> bytes) async* {
  final held = <int>[];
  await for (final chunk in bytes) {
    held.addAll(chunk);
    while (held.length >= 6) {
      check(held[1] & 0x80 != 0, 'a client masks');
      final short = held[1] & 0x7f;
      check(short < 126, 'the tests send short ones');
      if (held.length < 6 + short) break;
      final payload = [
        for (var i = 0; i < short; i++) held[6 + i] ^ held[2 + i % 4],
      ];
      yield (held[0] & 0xf, payload);
      held.removeRange(0, 6 + short);
    }
  }
}

void main() {
  _talking();
  _breaking();
  _refusing();
  unawaited(run(limit: const Duration(seconds: 20)));
}

void _talking() {
  test('messages of all sizes both ways', () async {
    final server = await _serve((socket) => socket.listen(socket.add));
    final adapter = IoAdapter();
    final socket = await _connect(adapter, server.port);
    final frames = StreamIterator(socket.frames);
    for (final length in [0, 1, 125, 126, 65535, 65536, 300000]) {
      final bytes = Uint8List.fromList(
        List.generate(length, (i) => i * 31 & 0xff),
      );
      socket
        ..send('é' * length)
        ..send(bytes);
      await socket.flush();
      check(await frames.moveNext());
      check(frames.current == 'é' * length, 'text of $length');
      check(await frames.moveNext());
      check(frames.current is Uint8List);
      equal(frames.current, bytes);
    }
    await socket.close();
    equal(socket.closeCode, 1000);
    check(!await frames.moveNext());
    adapter.close();
    await server.close(force: true);
  });

  test('the server closes, with a code or without', () async {
    for (final code in [1000, 1008, 4012, null]) {
      final server = await _serve((socket) {
        socket.add('last');
        unawaited(socket.close(code));
      });
      final adapter = IoAdapter();
      final socket = await _connect(adapter, server.port);
      equal(await socket.frames.toList(), ['last']);
      equal(socket.closeCode, code ?? 1005);
      socket.send('too late'); // nothing happens
      await socket.close();
      adapter.close();
      await server.close(force: true);
    }
  });

  test(
    'pings are answered, also while messages wait for a paused listener',
    () async {
      final (near, far) = await _pair();
      final socket = _socket(near);
      final got = <Object>[];
      final reading = socket.frames.listen(got.add)..pause();
      final sent = StreamIterator(_sent(far));
      for (var round = 0; round < 3; round++) {
        for (var i = 0; i < 80; i++) {
          far.add(serverText('$i'));
        }
        far.add(serverFrame(Opcode.ping, [round]));
        check(await sent.moveNext());
        equal(sent.current.$1, Opcode.pong);
        equal(sent.current.$2, [round]);
      }
      equal(got, const <Object>[]);
      reading.resume();
      while (got.length < 240) {
        await Future<void>.delayed(Duration.zero);
      }
      equal(got, [for (var i = 0; i < 240; i++) '${i % 80}']);
      await socket.close();
      far.destroy();
    },
  );

  test('a paused listener stops the reading', () async {
    final (near, far) = await _pair();
    final socket = _socket(near);
    var read = 0;
    final reading = socket.frames.listen((_) => read++)..pause();
    final frame = serverFrame(Opcode.binary, Uint8List(65536));
    const count = 512; // 32 MiB, more than both sockets hold
    var written = 0;
    unawaited(() async {
      for (; written < count; written++) {
        far.add(frame);
        await far.flush();
      }
    }());
    for (var before = -1; before != written || written == 0;) {
      before = written;
      await Future<void>.delayed(const Duration(milliseconds: 100));
    }
    check(written < count ~/ 2, '$written frames were taken');
    reading.resume();
    while (read < count) {
      await Future<void>.delayed(const Duration(milliseconds: 5));
    }
    await socket.close();
    far.destroy();
  });

  test('what waits is bounded for a listener that pauses at each', () async {
    final (near, far) = await _pair();
    final socket = _socket(near);
    final chunk = [
      for (var i = 0; i < 650; i++)
        ...serverFrame(Opcode.binary, Uint8List(98)),
    ];
    const count = 512; // 33 MB, more than both sockets hold
    var written = 0;
    unawaited(() async {
      for (; written < count; written++) {
        far.add(chunk);
        await far.flush();
      }
    }());
    final frames = StreamIterator(socket.frames);
    for (var i = 0; i < 2 * count; i++) {
      check(await frames.moveNext()); // it is paused in between
      await Future<void>.delayed(Duration.zero);
    }
    check(written < count ~/ 2, '$written chunks were taken');
    await frames.cancel();
    await socket.close();
    far.destroy();
  });

  test('flush waits until a slow server reads', () async {
    final (near, far) = await _pair();
    final socket = _socket(near);
    socket.frames.listen(null);
    final reading = far.listen(null)..pause();
    for (var i = 0; i < 32; i++) {
      socket.send(Uint8List(1 << 20));
    }
    var isFlushed = false;
    final flushed = socket.flush().then((_) => isFlushed = true);
    await Future<void>.delayed(const Duration(milliseconds: 200));
    check(!isFlushed, '32 MiB do not fit between two sockets');
    reading.resume();
    await flushed;
    await socket.close();
    far.destroy();
  });
}

void _breaking() {
  test('a lost connection ends the frames, without a code', () async {
    final (near, far) = await _pair();
    final socket = _socket(near);
    far.add(serverText('one'));
    await far.flush();
    final got = <Object>[];
    await for (final frame in socket.frames) {
      got.add(frame);
      far.destroy();
    }
    equal(got, ['one']);
    equal(socket.closeCode, null);
    socket.send('late');
    await socket.flush();
    await socket.close();
  });

  test('a server that answers no ping is dead', () async {
    final (near, far) = await _pair();
    final socket = _socket(near, pingMs: 50);
    far.listen(null);
    equal(await socket.frames.toList(), <Object>[]);
    equal(socket.closeCode, null);
    far.destroy();
  });

  test(
    'a server that answers pings lives; a paused listener kills none',
    () async {
      final (near, far) = await _pair();
      final socket = _socket(near, pingMs: 30);
      var pings = 0;
      _sent(far).forEach((frame) {
        if (frame.$1 != Opcode.ping || ++pings > 6) return;
        far.add(serverFrame(Opcode.pong, frame.$2));
        if (pings == 6) far.add(serverText('alive'));
      }).ignore(); // of the end, which may be a reset
      final got = <Object>[];
      final done = Completer<void>();
      final reading = socket.frames.listen(got.add, onDone: done.complete);
      while (got.isEmpty) {
        await Future<void>.delayed(const Duration(milliseconds: 5));
      }
      reading.pause();
      far.add(serverText('held')); // of which we know that nobody reads on
      await Future<void>.delayed(const Duration(milliseconds: 200));
      check(!done.isCompleted);
      reading.resume();
      await done.future; // no pong comes any more
      equal(got, ['alive', 'held']);
      far.destroy();
    },
  );

  test('a frame that breaks the protocol closes with its code', () async {
    for (final (code, bytes) in [
      (1009, serverFrame(Opcode.binary, Uint8List(101))),
      (1007, serverFrame(Opcode.text, [0xff])),
      (1002, serverFrame(Opcode.more, [])),
    ]) {
      final (near, far) = await _pair();
      final socket = _socket(near, limit: 100);
      far
        ..add(serverText('good'))
        ..add(bytes);
      equal(await socket.frames.toList(), ['good']);
      equal(socket.closeCode, code);
      final sent = await _sent(far).toList();
      equal([for (final (code, _) in sent) code], [Opcode.close]);
      equal(sent.single.$2, [code >> 8, code & 0xff]);
    }
  });

  test('close does not wait for a server that does not answer', () async {
    final (near, far) = await _pair();
    final socket = _socket(near);
    socket.frames.listen(null).pause();
    final watch = Stopwatch()..start();
    await socket.close(1001);
    check(watch.elapsedMilliseconds < 2000);
    equal([await for (final (code, _) in _sent(far)) code], [Opcode.close]);
  });
}

void _refusing() {
  test('a refused upgrade shows the answer', () async {
    final server = await HttpServer.bind(InternetAddress.loopbackIPv4, 0);
    server.listen((request) async {
      request.response
        ..statusCode = 401
        ..headers.contentType = ContentType('application', 'problem+json')
        ..write('{"type": "${request.headers['x-caller']}"}');
      await request.response.close();
    });
    final adapter = IoAdapter();
    final error = await throws<AdapterException>(
      () => _connect(adapter, server.port),
    );
    final response = error.response!;
    equal(response.status, 401);
    equal(response.headers['content-type'], 'application/problem+json');
    equal(await utf8.decodeStream(response.body), '{"type": "[me]"}');
    adapter.close();
    await server.close(force: true);
  });

  test('an upgrade that is none', () async {
    for (final head in [
      'upgrade: websocket\r\nsec-websocket-accept: wrong\r\n',
      'upgrade: h2c\r\n',
    ]) {
      final server = await ServerSocket.bind(InternetAddress.loopbackIPv4, 0);
      server.listen((socket) {
        socket.done.ignore();
        socket.listen((_) {}, onError: (Object _) {});
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\n'
          'connection: upgrade\r\n$head\r\n',
        );
      });
      final adapter = IoAdapter();
      await throws<AdapterException>(() => _connect(adapter, server.port));
      adapter.close();
      await server.close();
    }
  });

  test('abort while it is opened closes the connection', () async {
    final server = await ServerSocket.bind(InternetAddress.loopbackIPv4, 0);
    final came = Completer<void>(), gone = Completer<void>();
    server.listen((socket) {
      socket.done.ignore();
      socket.listen(
        (_) {
          if (!came.isCompleted) came.complete();
        },
        onDone: gone.complete,
        onError: (Object _) {},
      );
    });
    final abort = Completer<void>();
    final adapter = IoAdapter();
    final opening = _connect(adapter, server.port, abort: abort.future);
    final failed = throws<AdapterException>(() => opening);
    await came.future;
    abort.complete();
    await failed;
    await gone.future;
    adapter.close();
    await server.close();
  });
}
