/// What docs/from-the-tutorial.md says that its code prints: the tutorial's and ours, before the
/// demo and before servers that are slow, cut, or away. `from_the_tutorial.dart URL PHOTO`.
library;

import 'dart:async';
import 'dart:io';

import 'package:app/numbers_controller.dart';
import 'package:app/photo_controller.dart';
import 'package:app/sentiment_controller.dart';
import 'package:app/server.dart';
import 'package:demo_api/demo_api.dart';
import 'package:flutter/foundation.dart';
import 'package:image_picker/image_picker.dart';
import 'package:mothlight/mothlight.dart';
import 'package:tutorial/image_service.dart';
import 'package:tutorial/number_service.dart';
import 'package:tutorial/sentiment_service.dart';

late final String base;
late final File photo;
late final Transport transport;
late final DemoServices demo;

Future<void> main(List<String> arguments) async {
  base = arguments[0];
  photo = File(arguments[1]);
  transport = connect(Uri.parse(base));
  demo = DemoServices.over(transport);
  final sections = {
    'text, by hand': textByHand,
    'text': text,
    'photo, by hand': photoByHand,
    'photo': classify,
    'stream, by hand': streamByHand,
    'stream': stream,
  };
  for (final MapEntry(key: name, value: section) in sections.entries) {
    print('== $name');
    await section();
  }
  transport.close();
  await stdout.flush();
  exit(0); // the tutorial leaves connections open
}

Future<void> textByHand() async {
  final service = SentimentService(base);
  print('a lovely film: ${percent(await service.analyze('a lovely film'))}');
  print('an empty text: ${await service.analyze('')}');
  final slow = await Slow.start();
  final typed = SentimentService(slow.url);
  final shown = <double?>[];
  await Future.wait([
    typed.analyze('a').then(shown.add),
    slow.first.then((_) => typed.analyze('a lovely film').then(shown.add)),
  ]);
  print(
    'typed while the server is slow: ${shown.map(percent).join(', then ')}',
  );
  await slow.close();
  final whole = await Slow.start(answer: '{"score":1}');
  try {
    await SentimentService(whole.url).analyze('a lovely film');
  } on TypeError {
    print('a score of 1 instead of 1.0: TypeError');
  }
  await whole.close();
}

Future<void> text() async {
  final controller = SentimentController(demo.sentiment);
  await controller.read('a lovely film');
  print('a lovely film: ${percent(controller.score)}');
  await controller.read('');
  print('an empty text: ${controller.problem}');
  final slow = await Slow.start();
  final slowly = connect(Uri.parse(slow.url));
  final typed = SentimentController(SentimentClient(slowly));
  final shown = <double?>[];
  typed.addListener(() => shown.add(typed.score));
  final older = typed.read('a');
  await slow.first;
  await typed.read('a lovely film');
  await older;
  print(
    'typed while the server is slow: ${shown.map(percent).join(', then ')}',
  );
  slowly.close();
  await slow.close();
  final whole = await Slow.start(answer: '{"score":1}');
  final exact = connect(Uri.parse(whole.url));
  final sure = SentimentController(SentimentClient(exact));
  await sure.read('a lovely film');
  print('a score of 1 instead of 1.0: ${percent(sure.score)}');
  exact.close();
  await whole.close();
  final nobody = connect(await nowhere());
  final lost = SentimentController(SentimentClient(nobody));
  await lost.read('a lovely film');
  print('no server: ${lost.problem}');
  nobody.close();
  controller.dispose();
  final left = SentimentController(demo.sentiment);
  final leaving = left.read('a screen that is left');
  left.dispose();
  await leaving; // no setState() after dispose()
}

Future<void> photoByHand() async {
  final service = ImageService(base);
  print('coffee: ${await service.classify(photo)}');
  print(
    'no photo: ${await service.classify(File(Platform.script.toFilePath()))}',
  );
}

Future<void> classify() async {
  final picker = ImagePicker(photo.path);
  final controller = PhotoController(demo.photos, picker);
  final sent = <double>{};
  controller.addListener(
    () => sent.addAll([if (controller.sent case final part?) part]),
  );
  await controller.pick();
  final (width, height, quality) = picker.asked!;
  print(
    'the picker reduces to ${width!.round()} × ${height!.round()}, quality $quality',
  );
  print('sent: ${percent(sent.first)} … ${percent(sent.last)}');
  final Prediction(:label, :probability, :guesses) = controller.prediction!;
  print('$label: ${percent(probability)}, and ${guesses.length - 1} others');
  picker.path = Platform.script.toFilePath();
  await controller.pick();
  print('no photo: ${controller.error}');
  picker.path = photo.path;
  final older = controller.pick();
  final newer = controller.pick();
  await Future.wait([older, newer]);
  print('picked twice: ${controller.prediction!.label}');
  final cancelled = controller.pick();
  controller.cancel();
  await cancelled;
  print('cancelled: ${controller.prediction}, ${controller.error}');
  controller.dispose();
}

Future<void> streamByHand() async {
  final split = await HttpServer.bind('127.0.0.1', 0);
  final serving = split.first.then((request) async {
    request.response.bufferOutput = false;
    for (final chunk in ['9\n1', '0\n11', '\n']) {
      request.response.write(chunk);
      await request.response.flush();
    }
    await request.response.close();
  });
  final read = await NumberService(urlOf(split.port)).stream(3).toList();
  await serving;
  print('9, 10, 11 in other chunks: ${read.join(', ')}');
  final proxy = await Proxy.start(Uri.parse(base), cutAt: '\n4\n');
  final got = <int>[];
  try {
    await NumberService(proxy.url).stream(8).forEach(got.add);
    print('a cut: ${got.join(', ')}');
  } on HttpException catch (error) {
    print('a cut: ${got.join(', ')}, then ${error.message}');
  }
  await proxy.close();
  final mixed = <int>[];
  final enough = Completer<void>();
  final runs = [
    for (final count in [1, 10, 10000])
      NumberService(base).stream(count).listen((number) {
        mixed.add(number);
        if (mixed.length == 7) enough.complete();
      }),
  ];
  await enough.future;
  print('typed 1, 10, 10000: ${(mixed.take(7).toList()..sort()).join(', ')}');
  await Future.wait([for (final run in runs) run.cancel()]);
}

Future<void> stream() async {
  final proxy = await Proxy.start(Uri.parse(base), cutAt: 'data: 4\n');
  final shaky = connect(Uri.parse(proxy.url));
  final cut = NumbersController(NumbersClient(shaky));
  final states = <StreamState>[];
  cut.addListener(() {
    if (states.lastOrNull != cut.state) states.add(cut.state);
  });
  cut.read('8');
  await until(
    cut,
    () => cut.numbers.length == 8 && cut.state == StreamState.ended,
  );
  print('a cut: ${cut.numbers.join(', ')}');
  print('its states: ${states.map((state) => state.name).join(', ')}');
  shaky.close();
  await proxy.close();

  final numbers = Watched(demo.numbers);
  final typed = NumbersController(numbers)..read('1');
  typed.read('10'); // as one types
  typed.read('10000');
  await until(typed, () => typed.numbers.length == 3);
  print('typed 1, 10, 10000: ${typed.numbers.join(', ')}');
  typed.dispose();
  print('the screen is left: ${await numbers.end()} on the server');

  final wrong = NumbersController(demo.numbers)..read('0');
  await until(wrong, () => wrong.error != null);
  print('0: ${wrong.error}');

  const brief = CallOptions(timeout: Duration(milliseconds: 350));
  final timed = numbers.streamNumbers(count: 10000, options: brief);
  final answer = await timed.toList().result();
  final said = (answer as Err<List<int>>).error.runtimeType;
  print('a timeout of 350 ms: $said, ${await numbers.end()} on the server');
}

/// Remembers the last call.
final class Watched implements NumbersApi {
  Watched(this._numbers);

  final NumbersApi _numbers;
  String _id = '';

  @override
  Stream<int> streamNumbers({int count = 10, CallOptions? options}) =>
      _numbers.streamNumbers(
        count: count,
        options: CallOptions(
          onMetadata: (seen) => _id = seen.callId,
        ).merge(options),
      );

  /// How the call has ended on the server, within 20 s.
  Future<String> end() async {
    final call = transport.operation(NumbersMethods.streamNumbers, _id);
    final since = Stopwatch()..start();
    while (true) {
      final status = await call.status();
      if (status.isFinal)
        return status.error?.runtimeType.toString() ?? status.state.name;
      if (since.elapsed.inSeconds > 20) throw StateError('${status.state}');
      await Future<void>.delayed(const Duration(milliseconds: 20));
    }
  }
}

String percent(double? part) =>
    part == null ? 'null' : '${(100 * part).round()} %';

String urlOf(int port) => 'http://127.0.0.1:$port';

/// Where nobody listens.
Future<Uri> nowhere() async {
  final socket = await ServerSocket.bind('127.0.0.1', 0);
  final url = Uri.parse(urlOf(socket.port));
  await socket.close();
  return url;
}

/// Completes when [holds] does, asked at each change; fails after 20 s.
Future<void> until(ChangeNotifier changing, bool Function() holds) {
  final done = Completer<void>();
  void look() {
    if (!done.isCompleted && holds()) done.complete();
  }

  changing.addListener(look);
  look();
  return done.future.timeout(const Duration(seconds: 20));
}

/// Answers the first call, with 10 %, after the second, with 90 %; or each at once with [answer].
final class Slow {
  Slow._(this._server, this.answer) {
    _server.listen(_answer);
  }

  static Future<Slow> start({String? answer}) async =>
      Slow._(await HttpServer.bind('127.0.0.1', 0), answer);

  final HttpServer _server;
  final String? answer;
  final Completer<void> _first = Completer<void>();
  final Completer<void> _second = Completer<void>();

  String get url => urlOf(_server.port);

  Future<void> get first => _first.future;

  Future<void> _answer(HttpRequest request) async {
    final isFirst = !_first.isCompleted;
    await request.drain<void>();
    request.response.headers.contentType = ContentType.json;
    if (isFirst) {
      _first.complete();
      if (answer == null) await _second.future;
    }
    request.response.write(answer ?? '{"score":${isFirst ? 0.1 : 0.9}}');
    await request.response.close();
    if (!isFirst && !_second.isCompleted) _second.complete();
  }

  Future<void> close() => _server.close(force: true);
}

/// Passes connections on, and cuts the first one behind [cutAt].
final class Proxy {
  Proxy._(this._server, this._target, this.cutAt) {
    _server.listen(_pass);
  }

  static Future<Proxy> start(Uri target, {required String cutAt}) async =>
      Proxy._(await ServerSocket.bind('127.0.0.1', 0), target, cutAt);

  final ServerSocket _server;
  final Uri _target;
  final String cutAt;
  bool _hasCut = false;

  String get url => urlOf(_server.port);

  Future<void> _pass(Socket near) async {
    final far = await Socket.connect(_target.host, _target.port);
    near.done.ignore();
    far.done.ignore();
    near.listen(
      far.add,
      onDone: far.destroy,
      onError: (Object _) => far.destroy(),
    );
    final seen = StringBuffer();
    var isCut = false;
    far.listen(
      (bytes) async {
        if (isCut) return;
        near.add(bytes);
        seen.write(String.fromCharCodes(bytes));
        if (_hasCut || !'$seen'.replaceAll('\r', '').contains(cutAt)) return;
        isCut = _hasCut = true;
        await near.flush();
        // A reset throws away what the client has not read yet.
        await Future<void>.delayed(const Duration(milliseconds: 500));
        near.destroy();
        far.destroy();
      },
      onDone: near.destroy,
      onError: (Object _) => near.destroy(),
    );
  }

  Future<void> close() => _server.close();
}
