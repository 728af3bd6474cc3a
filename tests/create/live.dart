/// The template's controllers before the template's own server, with its real
/// models: `live.dart URL PHOTO`.
library;

import 'dart:async';
import 'dart:io';

import 'package:flutter_test/flutter_test.dart';
import 'package:mothlight/io.dart';
import 'package:mothlight/mothlight.dart';
import 'package:my_app/call_controller.dart';
import 'package:my_app/live_controller.dart';
import 'package:my_app_api/my_app_api.dart';

late final Uri url;
late final File photo;

Future<void> main(List<String> arguments) async {
  url = Uri.parse(arguments[0]);
  photo = File(arguments[1]);
  test('a text while it is typed: the newest answer stays', typeAhead);
  test('a photo goes with progress, and is named', classify);
  test('a photo can be cancelled', cancel);
  test('a stream ends, stops, and goes on after a pause', live);
  test('a declared error is its own class', tooLong);
  test('no server: the error says where', nowhere);
  await runAll();
}

Transport open([Uri? at]) => Transport(
  at ?? url,
  adapter: IoAdapter(),
  options: const CallOptions(retries: 0),
);

/// Completes when [holds] does, asked at each change.
Future<void> until(
  void Function(void Function()) listen,
  bool Function() holds,
) {
  final done = Completer<void>();
  void look() {
    if (!done.isCompleted && holds()) done.complete();
  }

  listen(look);
  look();
  return done.future;
}

Future<void> typeAhead() async {
  final transport = open();
  final api = ModelsClient(transport);
  final call = CallController<Verdict>(
    supersede: const SupersedeKey('analyze'),
  );
  const text = 'A lovely, clever film which nobody should miss';
  await Future.wait([
    for (var end = 1; end <= text.length; end++)
      call.run(
        (options) =>
            api.analyze(Review(text: text.substring(0, end)), options: options),
      ),
  ]);
  final alone = await api.analyze(const Review(text: text));
  expect(call.phase, isA<Done<Verdict>>());
  expect((call.latest!.score - alone.score).abs() < 1e-4, isTrue);
  expect(alone.score > 0.5, isTrue);
  call.dispose();
  transport.close();
}

Future<void> classify() async {
  final transport = open();
  final call = CallController<Prediction>();
  final sent = <double>[];
  call.addListener(() {
    if (call.phase case Running(sent: final part?)) sent.add(part);
  });
  await call.run((options) => ask(transport, options));
  final state = call.phase;
  expect(state, isA<Done<Prediction>>());
  expect((state as Done<Prediction>).value.guesses.length, 5);
  expect(state.value.guesses.first.label.contains('cat'), isTrue);
  expect(sent.length > 1 && sent.last == 1, isTrue);
  expect([...sent]..sort(), sent);
  call.dispose();
  transport.close();
}

Future<Prediction> ask(Transport transport, CallOptions options) =>
    ModelsClient(transport).classify(
      Photo(
        image: FileData(
          name: 'chelsea.jpg',
          length: photo.lengthSync(),
          open: photo.openRead,
        ),
      ),
      options: options,
    );

Future<void> cancel() async {
  final transport = open();
  final call = CallController<Prediction>();
  final ended = call.run((options) => ask(transport, options));
  call.cancel();
  await ended;
  expect(call.phase, isA<Idle<Prediction>>());
  await call.retry();
  expect(call.phase, isA<Done<Prediction>>());
  call.dispose();
  transport.close();
}

Future<void> live() async {
  final transport = open();
  final api = ModelsClient(transport);
  final live = LiveController<Token>();
  Stream<Token> write(CallOptions options) => api.write(
    const Prompt(text: 'Tell me of a moth.', maxTokens: 48),
    options: options,
  );
  String text() => live.items.map((token) => token.text).join();

  live.start(write);
  await until(live.addListener, () => !live.isRunning);
  expect(live.error, null);
  expect(live.connection, StreamState.ended);
  expect(live.count > 8 && live.rate > 0, isTrue);
  final whole = text();

  live.start(write);
  await until(live.addListener, () => live.count == 4);
  live.stop();
  expect(live.isRunning, false);
  expect(live.count, 4);

  final states = <StreamState?>{};
  live.addListener(() => states.add(live.connection));
  live.start(write);
  await until(live.addListener, () => live.count == 4);
  transport.pause();
  expect(live.connection, StreamState.paused);
  transport.resume();
  await until(live.addListener, () => !live.isRunning);
  expect(live.error, null);
  expect(states.contains(StreamState.resuming), isTrue);
  expect(text(), whole);
  live.dispose();
  transport.close();
}

Future<void> tooLong() async {
  final transport = open();
  final live = LiveController<Token>();
  live.start(
    (options) => ModelsClient(
      transport,
    ).write(Prompt(text: '1' * 2000), options: options),
  );
  await until(live.addListener, () => !live.isRunning);
  final error = live.error;
  expect(error, isA<PromptTooLong>());
  expect((error! as PromptTooLong).limit, 1024);
  expect((error as PromptTooLong).tokens >= 2000, isTrue);
  live.dispose();
  transport.close();
}

Future<void> nowhere() async {
  final closed = await ServerSocket.bind(InternetAddress.loopbackIPv4, 0);
  final port = closed.port;
  await closed.close();
  final transport = open(Uri.parse('http://127.0.0.1:$port'));
  final call = CallController<Verdict>();
  await call.run(
    (options) => ModelsClient(
      transport,
    ).analyze(const Review(text: 'hello'), options: options),
  );
  expect(call.phase, isA<Failed<Verdict>>());
  final error = (call.phase as Failed<Verdict>).error;
  expect(error, isA<ConnectionException>());
  expect((error as ConnectionException).url.port, port);
  call.dispose();
  transport.close();
}
