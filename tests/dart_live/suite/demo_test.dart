/// Every method of the demo, with its real models.
///
///     dart demo_test.dart URL EXAMPLES
library;

import 'dart:io';
import 'dart:math';
import 'dart:typed_data';

import 'package:demo_api/demo_api.dart';
import 'package:mothlight/io.dart';
import 'package:mothlight/mothlight.dart';

import '../../../dart/mothlight/test/harness.dart';

Future<void> main(List<String> arguments) async {
  final [url, examples] = arguments;
  final transport = Transport(Uri.parse(url), adapter: IoAdapter());
  final demo = DemoServices.over(transport);
  Future<FileData> example(String path) async => FileData.bytes(
    await File('$examples/$path').readAsBytes(),
    name: path.split('/').last,
  );

  test('the contract is the one that the package was made of', () async {
    for (final contract in [
      SentimentMethods.contract,
      PhotosMethods.contract,
      NumbersMethods.contract,
      WriterMethods.contract,
      VoiceMethods.contract,
    ]) {
      equal(await transport.check(contract), ContractCheck.same);
    }
  });
  test('analyze', () async {
    final good = await demo.sentiment.analyze(Review(text: 'I love this film'));
    final bad = await demo.sentiment.analyze(Review(text: 'I hate this film'));
    check(good.score > 0.5 && bad.score < 0.5, '$good $bad');
    final error = await throws<InvalidRequestException>(
      () => demo.sentiment.analyze(Review(text: '')),
    );
    equal(error.violations.single.path, 'text');
  });
  test('classify', () async {
    final photo = await example('photos/chelsea.jpg');
    final found = await demo.photos.classify(Photo(file: photo, topK: 3));
    equal(found.guesses.length, 3);
    check(found.label.contains('cat'), found.label);
    equal(found.guesses.first.index, found.predictedClass);
  });
  test('stream_numbers', () async {
    equal(await demo.numbers.streamNumbers(count: 3).toList(), [1, 2, 3]);
    equal(await demo.numbers.streamNumbers().take(2).toList(), [1, 2]);
  });
  test('write', () async {
    final pieces =
        await demo.writer
            .write(Prompt(text: 'Say hello.', maxTokens: 8))
            .toList();
    check(pieces.map((piece) => piece.text).join().trim().isNotEmpty);
    final error = await throws<PromptTooLong>(
      () => demo.writer.write(Prompt(text: '🦋' * 1900)).toList(),
    );
    check(error.tokens > error.limit);
  });
  test('find', () async {
    final found = await demo.voice.find(await example('sounds/speech.wav'));
    equal(found.segments.length, 2);
    check((found.segments.first.start - 0.6).abs() < 0.2, '$found');
  });
  test('listen', () async {
    final levels =
        await demo.voice.listen(await example('sounds/speech.wav')).toList();
    check(levels.any((level) => level.speech > 0.9));
    check(levels.first.speech < 0.5);
  });
  test('hear', () async {
    final wav = await File('$examples/sounds/speech.wav').readAsBytes();
    final samples = Uint8List.sublistView(wav, 44);
    Stream<FileData> chunks() async* {
      for (var at = 0; at < samples.length; at += 3200) {
        final end = min(at + 3200, samples.length);
        yield FileData.bytes(Uint8List.sublistView(samples, at, end));
      }
    }

    final heard = await demo.voice.hear(chunks()).toList();
    check(heard.first is Ready);
    final began = heard.whereType<SpeechBegan>().toList();
    final ended = heard.whereType<SpeechEnded>().toList();
    equal([began.length, ended.length], [2, 2]);
    check((ended.last.end - 5.0).abs() < 0.3, '$ended');
    if ((heard.first as Ready).text) {
      final said = heard.whereType<SpeechText>().map((text) => text.text);
      check(said.join(' ').toLowerCase().contains('lamp'), '$said');
    }
  });
  test('hear, left in the middle', () async {
    final first = await demo.voice.hear(Stream.empty()).first;
    check(first is Ready, '$first');
  });
  await run(limit: const Duration(seconds: 60));
}
