/// The template's controllers before a network that is a script.
library;

import 'dart:async';

import 'package:flutter_test/flutter_test.dart';
import 'package:mothlight/mothlight.dart';
import 'package:mothlight/testing.dart';
import 'package:my_app/call_controller.dart';
import 'package:my_app/live_controller.dart';
import 'package:my_app_api/my_app_api.dart';

Future<void> main() {
  test('an overloaded server, and another try', overload);
  test('an answer that is none', nonsense);
  test('a letter that comes late does not count', late);
  test('a call that nobody wants any more is heard of no more', disposed);
  test('a connection that is cut twice leaves no gap', cut);
  test('an error ends a stream', failed);
  test('what the server gave up is an error, and another try', givenUp);
  test('a stop reaches the server while the stream is quiet', quiet);
  return runAll();
}

const String text = 'text/plain';

(ScriptedAdapter, ModelsApi) script(List<Reply> replies) {
  final adapter = ScriptedAdapter(replies)..answer = (_) => Reply(status: 204);
  final transport = Transport(
    Uri.parse('http://test'),
    adapter: adapter,
    options: const CallOptions(retries: 1),
  );
  return (adapter, ModelsClient(transport));
}

Map<String, Object?> token(String text) => {'text': text};

String read(LiveController<Token> live) =>
    live.items.map((token) => token.text).join();

Future<void> ended(LiveController<Token> live) {
  final done = Completer<void>();
  live.addListener(() {
    if (!live.isRunning && !done.isCompleted) done.complete();
  });
  return done.future;
}

Future<void> overload() async {
  final (adapter, api) = script([
    Reply.problem('Overloaded', status: 503, code: 'unavailable'),
    Reply.json({'score': 1}),
  ]);
  final call = CallController<Verdict>();
  await call.run((o) => api.analyze(const Review(text: 'hm'), options: o));
  expect((call.phase as Failed<Verdict>).error, isA<OverloadedException>());
  await call.retry();
  expect((call.phase as Done<Verdict>).value.score, 1.0);
  expect(adapter.requests.length, 2);
  call.dispose();
}

Future<void> nonsense() async {
  final (_, api) = script([
    Reply(headers: const {'content-type': text}, steps: const ['<html>']),
  ]);
  final call = CallController<Verdict>();
  await call.run((o) => api.analyze(const Review(text: 'hm'), options: o));
  expect((call.phase as Failed<Verdict>).error, isA<DecodeException>());
  call.dispose();
}

Future<void> late() async {
  final (_, api) = script([
    Reply.json({'score': 0.1}, delay: const Duration(hours: 1)),
    Reply.json({'score': 0.9}),
  ]);
  final call = CallController<Verdict>(
    supersede: const SupersedeKey('analyze'),
  );
  final states = <CallPhase<Verdict>>[];
  call.addListener(() => states.add(call.phase));
  final older = call.run(
    (o) => api.analyze(const Review(text: 'a'), options: o),
  );
  await Future<void>.delayed(Duration.zero);
  await call.run((o) => api.analyze(const Review(text: 'ab'), options: o));
  await older;
  expect(call.latest?.score, 0.9);
  expect(states.whereType<Failed<Verdict>>(), <Object?>[]);
  expect(states.last, isA<Done<Verdict>>());
  call.dispose();
}

Future<void> disposed() async {
  final (adapter, api) = script([
    Reply.json({'score': 0.1}, delay: const Duration(hours: 1)),
  ]);
  final call = CallController<Verdict>();
  final running = call.run(
    (o) => api.analyze(const Review(text: 'a'), options: o),
  );
  while (adapter.requests.isEmpty) {
    await Future<void>.delayed(Duration.zero);
  }
  call.dispose(); // a notice after this one would throw
  await running;
  await Future<void>.delayed(Duration.zero);
  expect(adapter.requests.first.isAborted, isTrue);
}

Future<void> cut() async {
  final (adapter, api) = script([
    Reply.events([token('a'), token('b')], isCut: true),
    Reply.events([token('c')], first: 3, isCut: true),
    Reply.events([token('d')], first: 4).torn(3),
  ]);
  final live = LiveController<Token>();
  final states = <StreamState?>{};
  live.addListener(() => states.add(live.connection));
  live.start((o) => api.write(const Prompt(text: 'hm'), options: o));
  await ended(live);
  expect(live.error, null);
  expect(read(live), 'abcd');
  expect(live.count, 4);
  expect(states.contains(StreamState.resuming), isTrue);
  expect(live.connection, StreamState.ended);
  expect(adapter.requests[2].headers['last-event-id'], '3');
  live.dispose();
}

Future<void> failed() async {
  final (_, api) = script([
    Reply.events(
      [token('a')],
      problem: const {
        'type': 'PromptTooLong',
        'code': 'invalid_argument',
        'status': 400,
        'detail': 'too long',
        'tokens': 2000,
        'limit': 1024,
      },
    ),
    Reply.events([token('b')]),
  ]);
  final live = LiveController<Token>();
  live.start((o) => api.write(const Prompt(text: 'hm'), options: o));
  await ended(live);
  expect((live.error! as PromptTooLong).tokens, 2000);
  expect(read(live), 'a');
  live.retry();
  await ended(live);
  expect(live.error, null);
  expect(read(live), 'b');
  live.dispose();
}

Future<void> givenUp() async {
  const problem = {'type': 'Cancelled', 'code': 'cancelled', 'status': 499};
  final (_, api) = script([
    Reply.problem('Cancelled', status: 499, code: 'cancelled'),
    Reply.json({'score': 1}),
    Reply.events([token('a')], problem: problem),
    Reply.events([token('b')]),
  ]);
  final call = CallController<Verdict>();
  await call.run((o) => api.analyze(const Review(text: 'hm'), options: o));
  expect((call.phase as Failed<Verdict>).error, isA<CancelledException>());
  await call.retry();
  expect(call.latest?.score, 1.0);
  call.dispose();
  final live = LiveController<Token>();
  live.start((o) => api.write(const Prompt(text: 'hm'), options: o));
  await ended(live);
  expect(live.error, isA<CancelledException>());
  expect(read(live), 'a');
  live.retry();
  await ended(live);
  expect(read(live), 'b');
  live.dispose();
}

Future<void> quiet() async {
  final (adapter, api) = script([
    Reply.events([token('a')], pause: const Duration(hours: 1)),
  ]);
  final live = LiveController<Token>();
  live.start((o) => api.write(const Prompt(text: 'hm'), options: o));
  while (live.connection != StreamState.live) {
    await Future<void>.delayed(Duration.zero);
  }
  live.stop();
  expect(live.isRunning, false);
  while (adapter.requests.length < 2) {
    await Future<void>.delayed(Duration.zero);
  }
  expect(adapter.requests.first.isAborted, isTrue);
  expect(adapter.requests.last.method, 'DELETE');
  live.dispose();
}
