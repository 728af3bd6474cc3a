/// Calls that take a stream of messages, over WebSockets: what both sides say,
/// and how they come back.
library;

import 'dart:async';
import 'dart:convert';
import 'dart:io';
import 'dart:typed_data';

import 'package:mothlight/generated.dart';

import 'harness.dart';
import 'rig.dart' show TooLong, method, ms;
import 'sockets.dart';

void main() {
  _calls();
  _coming();
  unawaited(run(limit: const Duration(seconds: 20)));
}

void _calls() {
  test('messages, items and the end', () async {
    final heard = <Object?>[];
    final server = await SocketServer.start((visit) async {
      equal(visit.header('priority'), 'u=2');
      equal(visit.header('authorization'), 'Bearer secret');
      equal(visit.header('x-mine'), 'yes');
      equal(visit.header('idempotency-key')!.length, 32);
      equal(visit.header('last-event-id'), null);
      check(double.parse(visit.header('request-timeout')!) > 8);
      visit.greet();
      for (Object? frame; (frame = await visit.hear()) != null;) {
        heard.add(frame);
        if (frame is String) visit.say(frame.toUpperCase());
        if (frame is Map) break;
      }
      visit.say({'end': true});
      await visit.socket.close(1000);
    });
    final transport = server.transport(token: ({required force}) => 'secret');
    final states = <String>[], metadata = <CallMetadata>[];
    final items = transport.duplex(
      shout,
      Stream.fromIterable(['a', 'ü']),
      options: CallOptions(
        timeout: const Duration(seconds: 9),
        priority: 2,
        headers: {'X-Mine': 'yes'},
        onState: (state) => states.add(state.name),
        onMetadata: metadata.add,
      ),
    );
    equal(server.lines, <String>[], 'it begins when it is listened to');
    equal(await items.toList(), ['A', 'Ü']);
    equal(heard, [
      'a',
      'ü',
      {'end': true},
    ]);
    equal(states, ['connecting', 'live', 'ended']);
    equal([metadata.single.status, metadata.single.attempts], [101, 1]);
    equal(server.lines, ['GET /try/shout'], 'nothing to cancel');
    transport.close();
    await server.stop();
  });

  test('what a browser cannot send as a header', () async {
    late Uri url;
    final server = await SocketServer.start((visit) {
      url = visit.request.uri;
      visit
        ..greet()
        ..say({'end': true});
    });
    final transport = server.transport(
      adapter: Browser(),
      token: ({required force}) => 'secret',
    );
    final items = transport.duplex(
      shout,
      const Stream<String>.empty(),
      options: const CallOptions(
        timeout: Duration(seconds: 9),
        priority: 1,
        supersede: SupersedeKey('a b'),
      ),
    );
    equal(await items.toList(), <String>[]);
    equal(server.protocols, ['mothlight.v1, mothlight.bearer.secret']);
    final query = url.queryParameters;
    equal(query.keys.toList(), ['key', 'supersede', 'timeout', 'priority']);
    equal(query['key']!.length, 32);
    check(query['supersede']!.endsWith('/a%20b'), '$query');
    equal(query['priority'], 'u=1');
    transport.close();
    await server.stop();
  });

  test('one answer; none; more than one', () async {
    final server = await SocketServer.start((visit) async {
      visit.greet();
      final count = await visit.hear() as String;
      for (var i = 0; i < int.parse(count); i++) {
        visit.say(42 + i);
      }
      visit.say({'end': true});
    });
    final transport = server.transport();
    Future<int> count(String answers) =>
        transport.clientStream(countAnswers, Stream.value(answers));
    equal(await count('1'), 42);
    for (final answers in ['0', '2']) {
      final error = await throws<DecodeException>(() => count(answers));
      check(error.message.contains('answer came'), '$error');
    }
    transport.close();
    await server.stop();
  });

  test('files are frames of bytes', () async {
    final server = await SocketServer.start((visit) async {
      visit.greet();
      final bytes = await visit.hear() as Uint8List;
      visit.socket.add(Uint8List.fromList(bytes.reversed.toList()));
      visit.say(base64.encode([9]));
      visit.say({'end': true});
    });
    final transport = server.transport();
    final file = FileData.bytes(Uint8List.fromList([1, 2, 3]));
    final files =
        await transport.duplex(copyFiles, Stream.value(file)).toList();
    equal(await files.first.read(), [3, 2, 1]);
    equal(await files.last.read(), [9]);
    transport.close();
    await server.stop();
  });

  test('a declared error, with the items before it', () async {
    final server = await SocketServer.start((visit) {
      visit
        ..greet()
        ..say('a')
        ..say({
          'error': {
            'type': 'TooLong',
            'code': 'invalid_argument',
            'status': 400,
            'detail': 'it is',
            'length': 7,
          },
        });
    });
    final transport = server.transport();
    final got = <String>[];
    final error = await throws<TooLong>(
      () => transport.duplex(shout, silent()).forEach(got.add),
    );
    equal(error.length, 7);
    equal(got, ['a']);
    equal(server.lines, ['GET /try/shout'], 'it is over: nothing to cancel');
    transport.close();
    await server.stop();
  });

  test('items that look like control frames but are none', () async {
    final any = method<String, Object?>('any', Cardinality.duplex, readAny);
    final items = [
      {'end': 'of the world'},
      {'error': 'a word'},
      {'end': true, 'more': 1},
      {'received': 'a letter'},
      {'call': 'me', 'end': true},
    ];
    final server = await SocketServer.start((visit) {
      visit.greet();
      items.forEach(visit.say);
      visit.say({'end': true});
    });
    final transport = server.transport();
    equal(await transport.duplex(any, silent()).toList(), items);
    transport.close();
    await server.stop();
  });
}

void _coming() {
  test('it comes back with the key, the items and the messages', () async {
    final keys = <String?>{}, after = <String?>[];
    final heard = <List<Object?>>[];
    final server = await SocketServer.start((visit) async {
      keys.add(visit.header('idempotency-key'));
      after.add(visit.header('last-event-id'));
      final had = [0, 1, 3][visit.number - 1];
      visit.greet(had);
      final mine = <Object?>[];
      heard.add(mine);
      switch (visit.number) {
        case 1:
          mine.addAll([await visit.hear(), await visit.hear()]);
          visit
            ..say({'received': 1})
            ..say('A')
            ..cut();
        case 2:
          mine.addAll([await visit.hear(), await visit.hear()]);
          visit
            ..say('B')
            ..say('C')
            ..cut();
        case 3:
          mine.add(await visit.hear());
          visit
            ..say('D')
            ..say({'end': true});
      }
    });
    final transport = server.transport();
    final states = <String>[];
    final items = transport.duplex(
      shout,
      Stream.fromIterable(['a', 'b', 'c']),
      options: CallOptions(onState: (state) => states.add(state.name)),
    );
    equal(await items.toList(), ['A', 'B', 'C', 'D']);
    equal(heard, [
      ['a', 'b'],
      ['b', 'c'],
      [
        {'end': true},
      ],
    ]);
    equal(keys.length, 1);
    equal(after, [null, '1', '3']);
    equal(states, [
      'connecting',
      'live',
      'resuming',
      'live',
      'resuming',
      'live',
      'ended',
    ]);
    transport.close();
    await server.stop();
  });

  test('without anything coming of it, the tries end', () async {
    final server = await SocketServer.start((visit) => visit.cut());
    final transport = server.transport();
    final error = await throws<ConnectionException>(
      () =>
          transport
              .duplex(shout, silent(), options: const CallOptions(retries: 2))
              .toList(),
    );
    equal(server.visits, 3);
    equal(error.received, 0);
    transport.close();
    await server.stop();
  });

  test('the app is away and back while the listener is paused', () async {
    final server = await SocketServer.start((visit) async {
      visit
        ..greet()
        ..say('${visit.number}');
      if (visit.number == 2) visit.say({'end': true});
      while (await visit.hear() != null) {}
    });
    final transport = server.transport();
    final states = <StreamState>[], items = <String>[];
    final first = Completer<void>(), done = Completer<void>();
    final listening = transport
        .duplex(shout, silent(), options: CallOptions(onState: states.add))
        .listen((item) {
          items.add(item);
          if (!first.isCompleted) first.complete();
        }, onDone: done.complete);
    await first.future;
    listening.pause();
    transport.pause();
    while (states.last != StreamState.paused) {
      await Future<void>.delayed(ms(2));
    }
    transport.resume();
    while (server.visits < 2) {
      await Future<void>.delayed(
        ms(2),
      ); // the call lives, though nobody listens
    }
    equal(items, ['1']);
    listening.resume();
    await done.future;
    equal(items, ['1', '2']);
    transport.close();
    await server.stop();
  });

  test('an open talk outlasts its retries', () async {
    final server = await SocketServer.start((visit) {
      if (visit.number > 1 && visit.number < 6) return visit.cut();
      visit
        ..greet()
        ..say('${visit.number}');
      if (visit.number == 1) return visit.cut();
      visit.say({'end': true});
    });
    final transport = server.transport();
    final items = transport.duplex(
      shout,
      silent(),
      options: const CallOptions(retries: 1),
    );
    equal(await items.toList(), ['1', '6']);
    transport.close();
    await server.stop();
  });

  test('a refusal is the answer, or the pause until another try', () async {
    var refusals = 0;
    Future<void> problem(HttpResponse to, int status, String type) {
      to
        ..statusCode = status
        ..headers.contentType = ContentType('application', 'problem+json')
        ..headers.set('retry-after', '0')
        ..write(jsonEncode({'type': type, 'code': 'x', 'detail': 'no'}));
      return to.close();
    }

    final server = await SocketServer.start(
      (visit) =>
          visit
            ..greet()
            ..say({'end': true}),
      refuse: (request) {
        final (status, type) = switch (++refusals) {
          1 => (401, 'Unauthenticated'),
          2 => (503, 'Overloaded'),
          3 => (0, ''),
          _ => (404, 'RouteNotFound'),
        };
        if (status == 0) return false;
        unawaited(problem(request.response, status, type));
        return true;
      },
    );
    final forced = <bool>[];
    final transport = server.transport(
      token: ({required force}) {
        forced.add(force);
        return 'token';
      },
    );
    equal(await transport.duplex(shout, silent()).toList(), <String>[]);
    check(forced.contains(true), 'the token was asked for anew');
    equal(server.visits, 1);
    final error = await throws<ApiException>(
      () => transport.duplex(shout, silent()).toList(),
    );
    equal(error.type, 'RouteNotFound');
    equal(refusals, 4);
    transport.close();
    await server.stop();
  });

  test('the background while it connects is no failure', () async {
    final server = await SocketServer.start(
      (visit) =>
          visit
            ..greet()
            ..say({'end': true}),
      refuse: (request) => true, // and never answers
    );
    final transport = server.transport(options: const CallOptions(retries: 0));
    final items = transport.duplex(shout, silent()).toList();
    while (server.lines.isEmpty) {
      await Future<void>.delayed(ms(2));
    }
    transport.pause();
    server.refuse = null;
    await Future<void>.delayed(ms(50));
    transport.resume();
    equal(await items, <String>[]);
    transport.close();
    await server.stop();
  });

  test('in the background there is no connection', () async {
    final server = await SocketServer.start((visit) async {
      visit.greet();
      visit.say('${visit.number}');
      if (visit.number == 2) visit.say({'end': true});
      await visit.hear();
    });
    final transport = server.transport();
    final states = <String>[], got = <String>[];
    final done = Completer<void>();
    transport
        .duplex(
          shout,
          silent(),
          options: CallOptions(onState: (state) => states.add(state.name)),
        )
        .listen((item) {
          got.add(item);
          if (got.length == 1) transport.pause();
        }, onDone: done.complete);
    while (!states.contains('paused')) {
      await Future<void>.delayed(ms(2));
    }
    await Future<void>.delayed(ms(100));
    equal(server.visits, 1);
    transport.resume();
    await done.future;
    equal(got, ['1', '2']);
    equal(states, [
      'connecting',
      'live',
      'paused',
      'resuming',
      'live',
      'ended',
    ]);
    equal(server.lines.where((line) => line.startsWith('DELETE')).length, 0);
    transport.close();
    await server.stop();
  });
}
