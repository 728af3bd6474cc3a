/// What went wrong once: storms, callbacks that throw, servers that hang.
library;

import 'dart:async';
import 'dart:io';
import 'dart:typed_data';

import 'package:mothlight/generated.dart';
import 'package:mothlight/io.dart';
import 'package:mothlight/src/ending.dart';
import 'package:mothlight/testing.dart';

import 'harness.dart';
import 'rig.dart' show Rig, echo, method, ms, numbers;

Transport over(
  HttpAdapter adapter, [
  CallOptions options = const CallOptions(),
]) => Transport(Uri.parse('http://test'), adapter: adapter, options: options);

final Method<int, int> twice = method('twice', Cardinality.duplex, readInt);

/// JSON that is a list in a list, and so on.
final Method<int, Object> nested = method(
  'nested',
  Cardinality.unary,
  _readNest,
);

Object _readNest(Object? json) =>
    json is Map
        ? [JsonMap.of(json, 'Nest').read('of', _readNest)]
        : readInt(json);

final Method<FileData, String> upload = Method(
  contract: numbers.contract,
  name: 'upload',
  cardinality: Cardinality.unary,
  verb: 'POST',
  path: '/upload',
  encode: (file) => file,
  decode: readString,
  form: const [FormField('file', FormKind.file)],
  parameter: 'file',
);

/// The errors that nobody caught while [body] ran.
Future<List<Object>> uncaught(Future<void> Function() body) {
  final errors = <Object>[];
  final done = Completer<List<Object>>();
  runZonedGuarded(() async {
    try {
      await body();
      await Future<void>.delayed(ms(20));
      done.complete(errors);
    } catch (error, stack) {
      done.completeError(error, stack);
    }
  }, (error, _) => errors.add(error));
  return done.future;
}

/// A server that answers every request with [bytes].
Future<ServerSocket> raw(String bytes) async {
  final server = await ServerSocket.bind('127.0.0.1', 0);
  server.listen((socket) {
    socket.done.ignore();
    socket.listen((_) => socket.write(bytes), onError: (Object _) {});
  });
  return server;
}

Future<void> main() async {
  test('a stream of a server that is down ends when its tries do', () async {
    var requests = 0;
    final adapter =
        ScriptedAdapter()
          ..answer = (_) {
            requests++;
            return Reply.failure();
          };
    final stream = over(
      adapter,
      const CallOptions(retries: 2),
    ).serverStream(numbers, 1);
    await throws<ConnectionException>(() => stream.drain<void>());
    equal(requests, 3);
  });

  test('tries that wait long for a dead host are failures too', () async {
    final adapter = ScriptedAdapter([
      Reply.events(const [], isCut: true),
      Reply.problem('CallNotFound', status: 404), // the server does not keep it
      Reply.failure(delay: ms(150)), // longer than a connection "lives"
      Reply.events([1]),
    ]);
    final stream = over(
      adapter,
      const CallOptions(retries: 2, idle: Duration(milliseconds: 400)),
    ).serverStream(numbers, 1);
    await throws<ConnectionException>(() => stream.drain<void>());
  });

  test('a script without a reply left is no error of another call', () async {
    final errors = await uncaught(() async {
      final lone = ScriptedAdapter([Reply.json(3)]);
      await throws<DecodeException>(() => over(lone).unary(echo, 'a'));
      final left = ScriptedAdapter([
        Reply.events([1, 2], pause: ms(5)),
      ]);
      equal(await over(left).serverStream(numbers, 1).first, 1);
    });
    equal(errors, const <Object>[]);
  });

  test('a long-lived token keeps no calls that have ended', () async {
    final token = CancelToken();
    final endings = <WeakReference<Ending>>[];
    void call() {
      final ending = Ending()..watch(token, null, 'id');
      endings.add(WeakReference(ending));
      ending.over();
    }

    for (var i = 0; i < 100; i++) {
      call();
    }
    await collect();
    check(endings.where((one) => one.target != null).length < 10);
    token.cancel();
  });

  test('what was waited for is let go while the call goes on', () async {
    final ending = Ending();
    final answers = <WeakReference<Object>>[];
    Future<void> wait() async {
      final answer = Object();
      answers.add(WeakReference(answer));
      await ending.guard(Future.value(answer));
    }

    for (var i = 0; i < 100; i++) {
      await wait();
    }
    await collect();
    check(answers.where((one) => one.target != null).length < 10);
    check(ending.isLive);
  });

  test('a token that is cancelled ends calls at once', () async {
    final token = CancelToken();
    final adapter = ScriptedAdapter([Reply.json('late', delay: ms(500))]);
    final answer = over(
      adapter,
    ).unary(echo, 'a', options: CallOptions(cancel: token));
    await Future<void>.delayed(ms(20));
    token.cancel();
    await throws<CancelledException>(() => answer);
    check(adapter.requests.first.isAborted);
  });

  test('a progress callback that throws does not stop the upload', () async {
    final adapter = ScriptedAdapter([Reply.json('done')]);
    String? answer;
    final errors = await uncaught(() async {
      answer = await over(adapter)
          .unary(
            upload,
            FileData.bytes(Uint8List(200000)),
            options: CallOptions(
              onSendProgress: (_, _) => throw StateError('mine'),
            ),
          )
          .timeout(const Duration(seconds: 3));
    });
    equal(answer, 'done');
    check(errors.isNotEmpty && errors.every((error) => error is StateError));
  });

  test('what a callback throws is told in its own zone', () async {
    final rig = await Rig.start((seen) => seen.answer('done'));
    final errors = await uncaught(() async {
      final answer = await rig.transport().unary(
        echo,
        'a',
        options: CallOptions(
          onSendProgress: (_, _) => throw const FormatException('mine'),
        ),
      );
      equal(answer, 'done');
    });
    equal(errors.length, 1);
    await rig.stop();
  });

  test('a file that cannot be opened is the error of the call', () async {
    final adapter = ScriptedAdapter([Reply.json('done')]);
    final errors = await uncaught(() async {
      final file = FileData(
        name: 'a',
        length: 3,
        open: () => throw StateError('gone'),
      );
      final error = await throws<StateError>(
        () => over(
          adapter,
        ).unary(upload, file).timeout(const Duration(seconds: 3)),
      );
      equal(error.message, 'gone');
    });
    equal(errors, const <Object>[]);
  });

  test('going away and back does not use up the tries of a talk', () async {
    ScriptedSocket socket(int received) => ScriptedSocket((server) async {
      server.addJson({'call': 'c', 'received': received});
      await server.whenClosed;
    });
    final last = ScriptedSocket((server) async {
      server
        ..addJson({'call': 'c', 'received': 0})
        ..addJson(7)
        ..addJson({'end': true})
        ..end();
    });
    final adapter = ScriptedAdapter([], [
      for (var i = 0; i < 4; i++) socket(0),
      last,
    ]);
    final transport = over(adapter, const CallOptions(retries: 0));
    final messages = StreamController<int>();
    var lives = 0;
    final items =
        transport
            .duplex(
              twice,
              messages.stream,
              options: CallOptions(
                onState: (state) {
                  if (state != StreamState.live || ++lives > 4) return;
                  scheduleMicrotask(() {
                    transport
                      ..pause()
                      ..resume();
                  });
                },
              ),
            )
            .toList();
    equal(await items, [7]);
  });

  test('a pause that onState asks for is kept', () async {
    for (final isTalk in [false, true]) {
      final adapter = ScriptedAdapter(
        [
          Reply.events([7]),
        ],
        [
          ScriptedSocket((server) async {
            server
              ..addJson({'call': 'c', 'received': 0})
              ..addJson(7)
              ..addJson({'end': true})
              ..end();
          }),
        ],
      );
      final states = <StreamState>[];
      final transport = over(adapter);
      int asked() => adapter.requests.length + adapter.connections.length;
      int? early;
      final options = CallOptions(
        onState: (state) {
          states.add(state);
          if (states.length > 1) return;
          transport.pause();
          Timer(ms(50), () {
            early = asked();
            transport.resume();
          });
        },
      );
      final items =
          isTalk
              ? transport.duplex(
                twice,
                StreamController<int>().stream,
                options: options,
              )
              : transport.serverStream(numbers, 1, options: options);
      equal(await items.toList(), [7]);
      equal((early, asked()), (0, 1));
      equal(states.first, StreamState.connecting);
      check(states.contains(StreamState.paused), '$states');
    }
  });

  test('a talk that lived for long has not failed when it is lost', () async {
    ScriptedSocket lost(int life) => ScriptedSocket((server) async {
      server.addJson({'call': 'c', 'received': 0});
      await Future<void>.delayed(ms(life));
      server.end(null);
    });
    // The pauses of failures in a row double, up to 100, 200, 400 ms and so on.
    Future<Duration> talk(int life, int count) async {
      final watch = Stopwatch()..start();
      final items =
          over(
            ScriptedAdapter(
              [Reply(status: 204)],
              [
                for (var i = 0; i < count; i++) lost(life),
                ScriptedSocket((server) async {
                  server
                    ..addJson({'call': 'c', 'received': 0})
                    ..addJson({'end': true})
                    ..end();
                }),
              ],
            ),
            const CallOptions(idle: Duration(milliseconds: 400)),
          ).duplex(twice, StreamController<int>().stream).toList();
      equal(await items, const <int>[]);
      return watch.elapsed;
    }

    final [long, short] = await Future.wait([talk(150, 8), talk(0, 4)]);
    check(long < const Duration(seconds: 7), 'at least 9 s in a row: $long');
    check(short >= ms(750), 'they are failures in a row: $short');
  });

  test('a talk tells its end last', () async {
    final adapter = ScriptedAdapter([], [
      ScriptedSocket((server) async {
        server.addJson({'call': 'c', 'received': 0});
        await server.next();
        server.end(null); // lost while the messages fail
      }),
    ]);
    final states = <StreamState>[];
    final messages = StreamController<int>();
    final done = throws<FormatException>(
      () =>
          over(adapter)
              .duplex(
                twice,
                messages.stream,
                options: CallOptions(onState: states.add),
              )
              .drain<void>(),
    );
    messages
      ..add(1)
      ..addError(const FormatException('mine'));
    await done;
    await Future<void>.delayed(ms(300));
    equal(states.last, StreamState.ended);
  });

  test('a length beyond all is a lost connection', () async {
    final server = await raw(
      'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n'
      'content-length: 99999999999999999999\r\n\r\n"a"',
    );
    final errors = await uncaught(() async {
      final transport = Transport(
        Uri.parse('http://127.0.0.1:${server.port}'),
        adapter: IoAdapter(),
      );
      await throws<ConnectionException>(
        () => transport
            .unary(echo, 'a', options: const CallOptions(retries: 0))
            .timeout(const Duration(seconds: 3)),
      );
      transport.close();
    });
    await server.close();
    equal(errors, const <Object>[]);
  });

  test('a proxy may say 503 by a problem document of no type', () async {
    for (final type in [null, 'about:blank']) {
      final adapter = ScriptedAdapter([
        Reply.problem(
          '',
          status: 503,
          fields: {'type': type, 'title': 'Service Unavailable'},
        ),
        Reply.json('done'),
      ]);
      equal(await over(adapter).unary(echo, 'a'), 'done');
    }
    // One of the service's own is an answer.
    final adapter = ScriptedAdapter([Reply.problem('Asleep', status: 503)]);
    final error = await throws<ApiException>(
      () => over(adapter).unary(echo, 'a'),
    );
    equal(error.type, 'Asleep');
  });

  test('an answer may be nested deeper than a stack is high', () async {
    const depth = 1000000;
    final text = '${'{"of":' * depth}1${'}' * depth}';
    final adapter = ScriptedAdapter([
      Reply(headers: {'content-type': 'application/json'}, steps: [text]),
    ]);
    await throws<DecodeException>(() => over(adapter).unary(nested, 1));
  });

  test('the path to what does not fit has a bound', () async {
    Object? json = 'no integer';
    for (var i = 0; i < 1000; i++) {
      json = {'of': json};
    }
    final adapter = ScriptedAdapter([Reply.json(json)]);
    final error = await throws<DecodeException>(
      () => over(adapter).unary(nested, 1),
    );
    check(error.path.length <= 1000, '${error.path.length}');
    check(error.path.startsWith('of.of.'), error.path);
  });

  test('exceptions keep their names where classes have none', () {
    equal(
      '${const CancelledException()}',
      'CancelledException: the call was cancelled',
    );
    equal(
      '${ApiException(fakeProblem(type: 'TextTooLong', detail: 'no'))}',
      'TextTooLong: no',
    );
  });

  await run();
}

/// Gives the garbage collector reasons to work.
Future<void> collect() async {
  for (var i = 0; i < 60; i++) {
    List<List<int>>.generate(100, (_) => List<int>.filled(10000, i));
    await Future<void>.delayed(Duration.zero);
  }
}
