/// The generated client through a network that tears connections, until a line
/// on standard input says that it was enough. Each call gives what it would
/// have given undisturbed.
///
///     dart torn_test.dart URL SEED
library;

import 'dart:async';
import 'dart:convert';
import 'dart:io';
import 'dart:math';
import 'dart:typed_data';

import 'package:mothlight/io.dart';
import 'package:mothlight/mothlight.dart';
import 'package:telegraph_api/telegraph_api.dart';

import '../../../dart/mothlight/test/harness.dart';

const int _workers = 48;

Future<void> main(List<String> arguments) async {
  final url = Uri.parse(arguments[0]);
  final seed = int.parse(arguments[1]);
  var isEnough = false;
  final told = stdin
      .transform(utf8.decoder)
      .transform(const LineSplitter())
      .listen((_) => isEnough = true);
  final counts = <String, int>{};
  test('each call gives what is its own', () async {
    final transport = Transport(
      url,
      adapter: IoAdapter(),
      options: const CallOptions(retries: 100, timeout: Duration(minutes: 2)),
    );
    final api = TelegraphClient(transport);
    var number = 0;
    Future<void> work(Random random) async {
      while (!isEnough) {
        final (name, call) = _kinds[random.nextInt(_kinds.length)];
        await call(api, number++);
        counts[name] = (counts[name] ?? 0) + 1;
      }
    }

    await Future.wait([
      for (var i = 0; i < _workers; i++) work(Random(seed + i)),
    ]);
    transport.close();
    for (final (name, _) in _kinds) {
      check((counts[name] ?? 0) > 0, 'no $name was made');
    }
    stdout.writeln('calls: $counts');
    await told.cancel();
  });
  await run(limit: const Duration(seconds: 100));
}

final List<(String, Future<void> Function(TelegraphClient api, int number))>
_kinds = [
  (
    'unary',
    (api, number) async {
      final verdict = await api.judge(Review(text: 'good $number'));
      equal(verdict.words, ['good', '$number']);
    },
  ),
  (
    'upload',
    (api, number) async {
      final bytes = Uint8List(20000 + number % 1000);
      final label = await api.label(
        Parcel(file: FileData.bytes(bytes), title: '$number'),
      );
      equal([label.size, label.title], [bytes.length, '$number']);
    },
  ),
  (
    'stream',
    (api, number) async {
      final words = [for (var i = 0; i < 100; i++) '${number + i}'];
      final items = await api.say(Speech(text: words.join(' '))).toList();
      equal(items, [for (final word in words) Word(text: word)]);
    },
  ),
  (
    'both ways',
    (api, number) async {
      final numbers = [for (var i = 0; i < 60; i++) number + i];
      final items = await api.double_(Stream.fromIterable(numbers)).toList();
      equal(items, [for (final one in numbers) 2 * one]);
    },
  ),
];
