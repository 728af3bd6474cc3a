/// Scores a text with the service of `mothlight demo`, which listens on port
/// 5000. Generated packages spare an app the [Method] and the decoding.
library;

import 'dart:io';

import 'package:mothlight/generated.dart';
import 'package:mothlight/io.dart';

final Method<String, double> _analyze = Method(
  contract: const ServiceContract(
    name: 'Sentiment',
    hash: '',
    command: 'mothlight generate dart',
  ),
  name: 'analyze',
  cardinality: Cardinality.unary,
  verb: 'POST',
  path: '/analyze',
  encode: (text) => {'text': text},
  decode: (json) => JsonMap.of(json, 'Sentiment').read('score', readFloat),
);

Future<void> main() async {
  final transport = Transport(
    Uri.parse('http://127.0.0.1:5000'),
    adapter: IoAdapter(),
    options: const CallOptions(timeout: Duration(seconds: 10)),
  );
  switch (await transport.unary(_analyze, 'What a splendid day!').result()) {
    case Ok(:final value):
      stdout.writeln('score: $value');
    case Err(:final error):
      stderr.writeln(error);
  }
  transport.close();
}
