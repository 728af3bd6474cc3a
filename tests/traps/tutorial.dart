/// The tutorial's three service classes (docs/from-the-tutorial.md has them) before the demo.
/// Prints one JSON line for each result: `tutorial.dart URL PHOTO`.
library;

import 'dart:async';
import 'dart:convert';
import 'dart:io';

import 'package:http/http.dart' as http;
import 'package:tutorial/image_service.dart';
import 'package:tutorial/number_service.dart';
import 'package:tutorial/sentiment_service.dart';

/// The stream as it ought to be read.
Stream<int> lines(String base, int count) async* {
  final client = http.Client();
  final request = http.Request(
    'GET',
    Uri.parse('$base/stream_numbers?count=$count'),
  );
  final response = await client.send(request);
  yield* response.stream
      .transform(utf8.decoder)
      .transform(const LineSplitter())
      .map(int.parse);
  client.close();
}

Future<void> main(List<String> arguments) async {
  final base = arguments[0];
  void show(String name, Object? value) =>
      print(jsonEncode({'name': name, 'value': value}));

  final texts = SentimentService(base);
  for (final text in [
    'I love Flutter',
    'A dull mess. \u{1F98B} \u00fc "quoted"',
  ]) {
    final double? score = await texts.analyze(text);
    show('score', score);
  }
  show('refused', await texts.analyze(''));

  final int? found = await ImageService(base).classify(File(arguments[1]));
  show('predicted_class', found);
  show(
    'not a picture',
    await ImageService(base).classify(File(Platform.script.toFilePath())),
  );

  final watch = Stopwatch()..start();
  final times = <int>[];
  final numbers = <int>[];
  await for (final number in NumberService(base).stream(10)) {
    numbers.add(number);
    times.add(watch.elapsedMilliseconds);
  }
  show('naive', numbers);
  show('milliseconds', times);
  show('lines', await lines(base, 12).toList());
  show('first of many', await NumberService(base).stream(10000).first);

  // What the tutorial leaves open (a body that is not drained, a client that is not closed) would
  // keep the program running.
  await stdout.flush();
  exit(0);
}
