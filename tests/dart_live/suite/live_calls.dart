/// Calls with one answer.
library;

import 'dart:async';
import 'dart:io';
import 'dart:typed_data';

import 'package:mothlight/io.dart';
import 'package:mothlight/mothlight.dart';
import 'package:telegraph_api/telegraph_api.dart';

import '../../../dart/mothlight/test/harness.dart';
import 'live.dart' as live;
import 'live.dart' hide url, secured, key, ledger;

/// Answers, and errors instead of them.
void answers() {
  withCalls('an answer', (api, _) async {
    equal(
      await api.judge(Review(text: 'so good')),
      Verdict(mood: Mood.good, score: 1, words: const ['so', 'good']),
    );
  });
  withCalls('a declared error is its class', (api, _) async {
    final error = await throws<TextTooLong>(
      () => api.judge(Review(text: 'much too long')),
    );
    equal([error.length, error.limit, error.status], [13, 12, 400]);
    check(error.callId!.length == 32, 'its call has an id');
  });
  withCalls('what does not fit is said field by field', (api, _) async {
    final error = await throws<InvalidRequestException>(
      () => api.judge(Review(text: 'x' * 21)),
    );
    equal(error.violations.single.path, 'text');
  });
  withCalls('an answer or an error as a value', (api, _) async {
    switch (await api.judge(Review(text: 'much too long')).result()) {
      case Ok(:final value):
        throw Failure('$value');
      case Err(:final error):
        check(error is TextTooLong);
    }
    final found = await api.square(number: 5).result();
    check(found is Ok<int> && found.value == 25);
  });
  withCalls('every scalar comes back as it was', (api, _) async {
    final packet = Packet(
      name: 'a"b\\ \u0000 é🦋',
      number: 9007199254740993,
      ratio: -0.1,
      isOpen: true,
      data: Uint8List.fromList([0, 255, 128]),
      at: DateTime.utc(2026, 1, 31, 12, 30, 45, 123, 456),
      day: DateTime.utc(2024, 2, 29),
      span: const Duration(days: 1, milliseconds: 4500),
      parts: const {
        '': [],
        'x': [1, -2],
      },
      inner: Packet(ratio: double.infinity),
    );
    equal(await api.relay(packet), packet);
  });
  withCalls('a default of the server', (api, _) async {
    equal(await api.square(), 9);
    equal(await api.count().toList(), [1, 2, 3]);
    await api.clear();
  });
  withCalls('what the server says beside the answer', (api, _) async {
    CallMetadata? metadata;
    await api.judge(
      Review(text: 'good'),
      options: CallOptions(onMetadata: (found) => metadata = found),
    );
    equal(metadata!.status, 200);
    equal(metadata!.attempts, 1);
    equal(metadata!.callId.length, 32);
    check(metadata!.timings['compute']!.duration! > Duration.zero);
  });
  withCalls('100 calls at a time, each with its own answer', (api, _) async {
    final found = await Future.wait([
      for (var i = 0; i < 100; i++) api.square(number: i),
    ]);
    equal(found, [for (var i = 0; i < 100; i++) i * i]);
  });
}

/// Files on their way.
void uploads() {
  withCalls('an upload tells how far it is', (api, _) async {
    final told = <(int, int)>[];
    final bytes = someBytes(4 << 20);
    final turned = await api.turn(
      FileData.bytes(bytes),
      options: CallOptions(
        onSendProgress: (sent, total) => told.add((sent, total)),
      ),
    );
    final found = await turned.read();
    equal(found.length, bytes.length);
    for (var i = 0; i < found.length; i += 997) {
      check(found[i] == bytes[bytes.length - 1 - i], 'byte $i');
    }
    check(told.length > 40, '${told.length} steps');
    for (var i = 1; i < told.length; i++) {
      check(told[i].$1 > told[i - 1].$1, 'it grows');
    }
    equal(told.last.$1, told.last.$2);
    check(told.last.$2 > bytes.length, 'the form is counted too');
  });
  withCalls('a file out of a stream', (api, _) async {
    final bytes = someBytes(100000);
    final label = await api.label(
      Parcel(
        file: FileData(
          name: 'Grüße "1" 🦋.bin',
          length: bytes.length,
          open:
              () => Stream.fromIterable([
                for (var at = 0; at < bytes.length; at += 1000)
                  bytes.sublist(at, at + 1000),
              ]),
        ),
        title: 't',
        tags: const ['a', 'b'],
        sender: Review(text: 'me'),
      ),
    );
    equal(
      [label.name, label.size, label.tags, label.sender?.text],
      [
        'Grüße "1" 🦋.bin',
        bytes.length,
        ['a', 'b'],
        'me',
      ],
    );
  });
  withCalls('an upload that is cancelled never runs', (api, _) async {
    final before = runs('label'), token = CancelToken();
    await throws<CancelledException>(
      () => api.label(
        Parcel(file: FileData.bytes(someBytes(12 << 20)), title: 'gone'),
        options: CallOptions(
          cancel: token,
          onSendProgress: (sent, total) {
            if (sent > total ~/ 4) token.cancel();
          },
        ),
      ),
    );
    await api.square(number: 1);
    equal(runs('label'), before);
  });
}

/// How calls end, here and on the server.
void endings() {
  withCalls('to cancel reaches the server', (api, _) async {
    final before = await metric('sleep', 'cancelled'), token = CancelToken();
    final call = throws<CancelledException>(
      () => api.sleep(60, options: CallOptions(cancel: token)),
    );
    await Future<void>.delayed(const Duration(milliseconds: 150));
    token.cancel();
    await call;
    await counted('sleep', 'cancelled', before);
  });
  withCalls('to cancel at once, too', (api, _) async {
    final token = CancelToken()..cancel();
    await throws<CancelledException>(
      () => api.sleep(60, options: CallOptions(cancel: token)),
    );
    await throws<CancelledException>(
      () => api.drip(60, options: CallOptions(cancel: token)).toList(),
    );
  });
  withCalls('a timeout ends the work too', (api, _) async {
    final before =
        await metric('sleep', 'deadline_exceeded') +
        await metric('sleep', 'cancelled');
    final watch = Stopwatch()..start();
    await throws<CallTimeoutException>(
      () => api.sleep(
        60,
        options: const CallOptions(timeout: Duration(milliseconds: 300)),
      ),
    );
    check(watch.elapsed < const Duration(milliseconds: 1500));
    await until(
      () async =>
          await metric('sleep', 'deadline_exceeded') +
              await metric('sleep', 'cancelled') >
          before,
      'it ends on the server',
    );
  });
  withCalls('a closed transport ends its calls', (api, transport) async {
    final before = await metric('drip', 'cancelled');
    final calls = [
      throws<CancelledException>(() => api.sleep(60)),
      throws<CancelledException>(() => api.drip(0.01).toList()),
    ];
    await Future<void>.delayed(const Duration(milliseconds: 150));
    transport.close();
    await Future.wait(calls);
    await counted('drip', 'cancelled', before);
  });
  withCalls('the newest wins, here and on the server', (api, _) async {
    // The older one's connection is closed here before the server knows why.
    Future<double> ends() async =>
        await metric('sleep', 'aborted') + await metric('sleep', 'cancelled');
    final before = await ends();
    const options = CallOptions(supersede: SupersedeKey('slider'));
    final older = throws<SupersededException>(
      () => api.sleep(60, options: options),
    );
    await Future<void>.delayed(const Duration(milliseconds: 150));
    equal(await api.sleep(0.01, options: options), 0.01);
    await older;
    await until(() async => await ends() > before, 'it ends on the server');
  });
  withCalls('of 30 in a row the last is answered', (api, _) async {
    var superseded = 0;
    final found = await Future.wait([
      for (var i = 0; i < 30; i++)
        api
            .square(
              number: i,
              options: const CallOptions(supersede: SupersedeKey('typing')),
            )
            .then<int?>(
              (value) => value,
              onError: (Object error) {
                if (error is! SupersededException) throw error;
                superseded++;
                return null;
              },
            ),
    ]);
    equal(found.last, 29 * 29);
    check(superseded > 0, '$superseded were superseded');
  });
  test('nobody listens', () async {
    final socket = await ServerSocket.bind(InternetAddress.loopbackIPv4, 0);
    final port = socket.port;
    await socket.close();
    final transport = Transport(
      Uri.parse('http://127.0.0.1:$port'),
      adapter: IoAdapter(),
    );
    final error = await throws<ConnectionException>(
      () => TelegraphClient(
        transport,
      ).clear(options: const CallOptions(retries: 1)),
    );
    check(error.hint != null && error.isTransient);
    transport.close();
  });
  test('nothing is served there', () async {
    final transport = Transport(
      live.url.replace(path: '/elsewhere/'),
      adapter: IoAdapter(),
    );
    final error = await throws<ApiException>(
      () => TelegraphClient(transport).clear(),
    );
    equal([error.type, error.status], ['RouteNotFound', 404]);
    transport.close();
  });
}
