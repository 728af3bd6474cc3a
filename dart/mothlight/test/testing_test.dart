/// What tests of apps are made with.
library;

import 'dart:async';
import 'dart:convert';

import 'package:mothlight/generated.dart';
import 'package:mothlight/testing.dart';

import 'harness.dart';

const ServiceContract _contract = ServiceContract(
  name: 'S',
  hash: 'sha256:0',
  command: 'mothlight generate',
);

Method<Object?, int> _method(Cardinality cardinality) => Method(
  contract: _contract,
  name: 'm',
  cardinality: cardinality,
  verb: 'POST',
  path: '/m',
  encode: (message) => message,
  decode: readInt,
);

final Method<Object?, int> _unary = _method(Cardinality.unary);
final Method<Object?, int> _stream = _method(Cardinality.serverStream);
final Method<Object?, int> _duplex = _method(Cardinality.duplex);

Transport _over(ScriptedAdapter adapter) =>
    Transport(Uri.parse('http://test'), adapter: adapter);

RawRequest _request({Future<void>? abort, Stream<List<int>>? body}) =>
    RawRequest(
      method: 'POST',
      url: Uri.parse('http://test/m'),
      body: body,
      abort: abort ?? Completer<void>().future,
    );

/// The timers that [body] starts.
Future<List<Timer>> _timersOf(Future<void> Function() body) async {
  final timers = <Timer>[];
  await runZoned(
    body,
    zoneSpecification: ZoneSpecification(
      createTimer: (self, parent, zone, duration, run) {
        timers.add(parent.createTimer(zone, duration, run));
        return timers.last;
      },
    ),
  );
  return timers;
}

void main() {
  test('replies come in order, and requests are kept', () async {
    final adapter = ScriptedAdapter([
      Reply.json({'a': 1}, headers: {'call-id': 'x'}),
      Reply(status: 204),
    ]);
    final first = await adapter.send(
      _request(
        body: Stream.fromIterable([utf8.encode('{"k"'), utf8.encode(':1}')]),
      ),
    );
    equal((first.status, first.headers['call-id']), (200, 'x'));
    equal(await utf8.decodeStream(first.body), '{"a":1}');
    equal((await adapter.send(_request())).status, 204);
    equal(adapter.requests.first.json, {'k': 1});
    equal('${adapter.requests.last}', 'POST http://test/m');
    await throws<StateError>(() => adapter.send(_request()));
    adapter.answer = (request) => Reply.json(request.url.path);
    final last = await adapter.send(_request());
    equal(await utf8.decodeStream(last.body), '"/m"');
    adapter.close();
    check(adapter.isClosed);
  });

  test('a body is torn, waits, and is cut', () async {
    final adapter = ScriptedAdapter([
      Reply.json('äöü').torn(1),
      Reply(
        steps: [
          'a',
          const Duration(milliseconds: 20),
          [98],
          Reply.lost,
        ],
      ),
    ]);
    final torn = await (await adapter.send(_request())).body.toList();
    equal(torn.length, 8);
    check(torn.every((chunk) => chunk.length == 1));
    final watch = Stopwatch()..start();
    final got = <int>[];
    await throws<AdapterException>(
      () async =>
          (await adapter.send(
            _request(),
          )).body.listen(got.addAll).asFuture<void>(),
    );
    equal(got, [97, 98]);
    check(watch.elapsedMilliseconds >= 19);
  });

  test('to abort ends the wait for a head, and a body', () async {
    final adapter = ScriptedAdapter([
      Reply(delay: const Duration(minutes: 1)),
      Reply(steps: ['a', const Duration(minutes: 1), 'b']),
    ]);
    final before = Completer<void>();
    final waiting = adapter.send(_request(abort: before.future));
    before.complete();
    await throws<AdapterException>(() => waiting);
    check(adapter.requests.single.isAborted);
    final during = Completer<void>();
    final response = await adapter.send(_request(abort: during.future));
    final error = Completer<Object>();
    response.body.listen(
      (_) => during.complete(),
      onError: (Object e) => error.complete(e),
    );
    check(await error.future is AdapterException);
  });

  test('a paused body waits', () async {
    final adapter = ScriptedAdapter([
      Reply(steps: ['a', 'b', 'c']),
    ]);
    final got = <String>[];
    final done = Completer<void>();
    late final StreamSubscription<List<int>> reading;
    reading = (await adapter.send(_request())).body.listen((chunk) {
      got.add(utf8.decode(chunk));
      if (got.length == 1) {
        reading.pause();
        Timer(const Duration(milliseconds: 10), () {
          equal(got, ['a']);
          reading.resume();
        });
      }
    }, onDone: done.complete);
    await done.future;
    equal(got, ['a', 'b', 'c']);
  });

  test('calls are answered, and tried again', () async {
    final adapter = ScriptedAdapter([Reply.failure(), Reply.json(3)]);
    equal(await _over(adapter).unary(_unary, {'k': 1}), 3);
    equal(adapter.requests.length, 2);
    equal(adapter.requests.last.json, {'k': 1});
    final keys = {
      for (final request in adapter.requests)
        request.headers['idempotency-key'],
    };
    check(keys.length == 1 && keys.single != null);
  });

  test('problems are exceptions', () async {
    final adapter = ScriptedAdapter([
      Reply.problem(
        'TextTooLong',
        status: 400,
        code: 'invalid_argument',
        detail: 'too long',
        fields: {'length': 3},
      ),
    ]);
    final error = await throws<ApiException>(
      () => _over(adapter).unary(_unary, null),
    );
    equal(
      (error.type, error.status, error.message),
      ('TextTooLong', 400, 'too long'),
    );
    equal(error.problem.map.read('length', readInt), 3);
  });

  test('what is asked beside the calls takes none of their replies', () async {
    final adapter = ScriptedAdapter([
      Reply.events([1, 2], pause: const Duration(milliseconds: 5)),
      Reply.json('no integer'),
      Reply.json(3),
      Reply.json('no integer'),
    ]);
    final transport = _over(adapter);
    equal(await transport.serverStream(_stream, null).first, 1);
    await Future<void>.delayed(const Duration(milliseconds: 50));
    equal(adapter.requests.last.method, 'DELETE');
    var error = await throws<DecodeException>(
      () => transport.unary(_unary, null),
    );
    equal('${adapter.requests.last}', 'GET http://test/contract');
    equal(error.hint, null);
    equal(await transport.unary(_unary, null), 3);
    adapter.answer =
        (_) => Reply.json({
          'services': [
            {'name': 'S', 'hash': 'sha256:1'},
          ],
        });
    error = await throws<DecodeException>(
      () => _over(adapter).unary(_unary, null),
    );
    check(error.hint!.contains(_contract.command));
  });

  test('a reply leaves no timer behind', () async {
    final adapter = ScriptedAdapter([
      Reply(status: 204),
      Reply(delay: const Duration(minutes: 1)),
    ]);
    var timers = await _timersOf(() async {
      equal((await adapter.send(_request())).status, 204);
    });
    equal(timers, <Timer>[]);
    timers = await _timersOf(() async {
      final abort = Future<void>.delayed(const Duration(milliseconds: 2));
      await throws<AdapterException>(
        () => adapter.send(_request(abort: abort)),
      );
    });
    equal(timers.length, 2);
    check(timers.every((timer) => !timer.isActive));
  });

  test('a stream that is cut goes on where it was', () async {
    final adapter = ScriptedAdapter([
      Reply.events([1, 2], isCut: true).torn(3),
      Reply.events([3], first: 3, pause: const Duration(milliseconds: 1)),
    ]);
    equal(await _over(adapter).serverStream(_stream, null).toList(), [1, 2, 3]);
    equal(adapter.requests.last.headers['last-event-id'], '2');
  });

  test('a stream ends with a problem', () async {
    final adapter = ScriptedAdapter([
      Reply.events([1], problem: {'type': 'Odd', 'status': 500, 'detail': 'x'}),
    ]);
    final got = <int>[];
    final error = await throws<ApiException>(
      () =>
          _over(
            adapter,
          ).serverStream(_stream, null).listen(got.add).asFuture<void>(),
    );
    equal((got, error.type).toString(), '([1], Odd)');
  });

  test('a socket plays its part', () async {
    final adapter = ScriptedAdapter([], [
      ScriptedSocket((server) async {
        server.addJson({'call': 'c', 'received': 0});
        for (var i = 0; i < 2; i++) {
          final item = await server.nextJson() as int;
          server.addJson(item * 10);
        }
        equal(await server.nextJson(), {'end': true});
        server
          ..addJson({'end': true})
          ..end();
      }),
    ]);
    final messages = Stream<Object?>.fromIterable([1, 2]);
    equal(await _over(adapter).duplex(_duplex, messages).toList(), [10, 20]);
    check(adapter.connections.single.protocols.contains('mothlight.v1'));
    equal(adapter.connections.single.url.path, '/m');
  });

  test('a socket is refused, closed, lost', () async {
    final abort = Completer<void>().future;
    final adapter = ScriptedAdapter([], [
      ScriptedSocket.refused(),
      ScriptedSocket((server) async => server.end(null)),
      ScriptedSocket((server) async {
        await throws<SocketClosed>(server.next);
        equal(await server.whenClosed, 1000);
      }),
      ScriptedSocket((server) async => throw const FormatException('odd')),
    ]);
    final url = Uri.parse('ws://test/m');
    await throws<AdapterException>(() => adapter.connect(url, abort: abort));
    final lost = await adapter.connect(url, abort: abort);
    equal(await lost.frames.toList(), <Object>[]);
    equal(lost.closeCode, null);
    final closed = await adapter.connect(url, abort: abort);
    await closed.close();
    equal(await closed.frames.toList(), <Object>[]);
    equal(closed.closeCode, 1000);
    final broken = await adapter.connect(url, abort: abort);
    await throws<FormatException>(broken.frames.toList);
    await throws<StateError>(() => adapter.connect(url, abort: abort));
  });

  test('a stream is fed by hand', () async {
    final fake = FakeStream<int>();
    final got = <Object>[];
    check(!fake.isListened);
    final reading = fake.stream.listen(got.add, onError: got.add);
    await fake.whenListened;
    fake.add(1);
    await Future<void>.delayed(Duration.zero);
    equal(got, [1]);
    reading.pause();
    check(fake.isPaused);
    reading.resume();
    fake.fail(const CancelledException());
    await throws<CancelledException>(reading.asFuture<void>);
    check(!fake.isCancelled);
    final left = FakeStream<int>();
    await left.stream.listen(null).cancel();
    await left.whenCancelled;
    check(left.isCancelled && !left.isPaused);
    left.add(1); // nobody hears it
  });

  test('a stream feeds itself, and waits while it is paused', () async {
    equal(await FakeStream.of([1, 2, 3]).stream.toList(), [1, 2, 3]);
    final fake = FakeStream.of([1, 2], every: const Duration(milliseconds: 2));
    final got = <int>[];
    final done = Completer<void>();
    late final StreamSubscription<int> reading;
    reading = fake.stream.listen((item) {
      got.add(item);
      if (item == 1) {
        reading.pause(Future<void>.delayed(const Duration(milliseconds: 10)));
      }
    }, onDone: done.complete);
    await done.future;
    equal(got, [1, 2]);
  });

  test('a stream that feeds itself leaves no timer behind', () async {
    const long = Duration(minutes: 1);
    final timers = await _timersOf(() async {
      await FakeStream.of([1], every: long).stream.listen(null).cancel();
      final ended = FakeStream.of([1], every: long);
      final items = ended.stream.toList();
      await ended.whenListened;
      ended.end();
      equal(await items, <int>[]);
      const short = Duration(milliseconds: 2);
      equal(await FakeStream.of([1, 2], every: short).stream.first, 1);
    });
    equal(timers.length, 4);
    check(timers.every((timer) => !timer.isActive));
  });

  test('answers are given by hand, or later', () async {
    final answer = FakeAnswer<int>();
    answer.give(3);
    equal(await answer.future, 3);
    final error = FakeAnswer<int>()..fail(const CancelledException());
    await Future<void>.delayed(Duration.zero); // nobody listens yet
    await throws<CancelledException>(() => error.future);
    equal(await answerAfter(const Duration(milliseconds: 1), 4), 4);
    final overloaded = OverloadedException(
      fakeProblem(type: 'Overloaded', code: Code.unavailable, status: 503),
    );
    check(overloaded.isTransient);
    await throws<OverloadedException>(
      () => failAfter<int>(const Duration(milliseconds: 1), overloaded),
    );
  });

  run();
}
