/// Calls that take a stream, against a live server, also through a proxy that
/// tears every connection.
///
///     dart talk_test.dart URL [NAME]
library;

import 'dart:async';
import 'dart:io';
import 'dart:math';
import 'dart:typed_data';

import 'package:mothlight/generated.dart';
import 'package:mothlight/io.dart';

import '../../../dart/mothlight/test/harness.dart';

const ServiceContract _booth = ServiceContract(
  name: 'Booth',
  hash: '',
  command: '',
);

Method<I, O> _method<I, O>(
  String name,
  Decoder<O> decode, {
  Cardinality cardinality = Cardinality.duplex,
  bool isFile = false,
}) => Method<I, O>(
  contract: _booth,
  name: name,
  cardinality: cardinality,
  verb: 'POST',
  path: '/booth/$name',
  encode: (message) => message,
  decode: decode,
  isFile: isFile,
);

late final Uri _url;

/// A test with a transport of its own.
void _calls(
  String name,
  Future<void> Function(Transport transport) body, {
  Uri Function()? at,
}) => test(name, () async {
  final transport = Transport(at?.call() ?? _url, adapter: IoAdapter());
  try {
    await body(transport);
  } finally {
    transport.close();
  }
});

Future<void> main(List<String> arguments) async {
  _url = Uri.parse(arguments.first);
  for (final suffix in ['', '_async']) {
    _talk(suffix);
    for (final how in ['cancel', 'token', 'error', 'timeout', 'close']) {
      _leave('stay$suffix', how);
    }
  }
  await run(
    limit: const Duration(seconds: 100),
    only: arguments.length > 1 ? arguments[1] : null,
  );
}

const int _count = 10000;

final List<String> _words = [for (var i = 0; i < _count; i++) 'wörd $i'];

void _talk(String suffix) {
  final echo = _method<String, String>('echo$suffix', readString);
  final shouted = [for (final word in _words) word.toUpperCase()];

  _calls('$_count messages and items: echo$suffix', (transport) async {
    final words = Stream.fromIterable(_words);
    equal(await transport.duplex(echo, words).toList(), shouted);
  });

  test('$_count messages and items, torn: echo$suffix', () async {
    final proxy = await _Proxy.start(_url);
    final transport = Transport(proxy.url, adapter: IoAdapter());
    final resumings = <StreamState>[];
    final items =
        await transport
            .duplex(
              echo,
              Stream.fromIterable(_words),
              options: CallOptions(
                onState: (state) {
                  if (state == StreamState.resuming) resumings.add(state);
                },
              ),
            )
            .toList();
    equal(items, shouted);
    check(proxy.tears > 40, '${proxy.tears} tears');
    equal(resumings.length, proxy.tears);
    transport.close();
    await proxy.stop();
  });

  _calls('files both ways: copy$suffix', (transport) async {
    final copy = _method<FileData, FileData>(
      'copy$suffix',
      readFile,
      isFile: true,
    );
    final files = Stream.fromIterable([
      for (var i = 0; i < 5; i++)
        FileData.bytes(Uint8List.fromList([for (var j = 0; j < 50000; j++) i])),
    ]);
    final copies = await transport.duplex(copy, files).toList();
    for (final (i, file) in copies.indexed) {
      final bytes = await file.read();
      check(bytes.length == 50000 && bytes.every((byte) => byte == i));
    }
  });

  _calls('one answer: sum$suffix', (transport) async {
    final sum = _method<int, int>(
      'sum$suffix',
      readInt,
      cardinality: Cardinality.clientStream,
    );
    final numbers = Stream.fromIterable([for (var i = 0; i < 5000; i++) i]);
    equal(await transport.clientStream(sum, numbers), 12497500);
  });

  _calls('a listener that pauses holds everything up: echo$suffix', (
    transport,
  ) async {
    const count = 50000;
    var made = 0, got = 0;
    final words = Iterable.generate(count, (i) {
      made++;
      return 'x' * 1000;
    });
    final done = Completer<void>();
    final items = transport
        .duplex(echo, Stream.fromIterable(words))
        .listen((_) => got++, onDone: done.complete);
    items.pause();
    for (var before = -1; before != made || made == 0;) {
      before = made;
      await Future<void>.delayed(const Duration(milliseconds: 300));
    }
    check(made < count ~/ 2, '$made messages were taken');
    equal(got, 0);
    items.resume();
    await done.future;
    equal(got, count);
  });
}

/// The method leaves a mark when it ends, whatever ends it.
void _leave(String name, String how) {
  test('$how reaches $name', () async {
    final transport = Transport(_url, adapter: IoAdapter());
    final folder = Directory.systemTemp.createTempSync('booth');
    final mark = File('${folder.path}/mark.ended');
    final messages = StreamController<String>()..add('${folder.path}/mark');
    final token = CancelToken();
    final first = Completer<void>(), failed = Completer<Object>();
    final items = transport
        .duplex(
          _method<String, String>(name, readString),
          messages.stream,
          options: CallOptions(
            cancel: token,
            timeout: how == 'timeout' ? const Duration(seconds: 1) : null,
          ),
        )
        .listen((_) => first.complete(), onError: failed.complete);
    await first.future;
    switch (how) {
      case 'cancel':
        await items.cancel();
      case 'token':
        token.cancel();
        check(await failed.future is CancelledException);
      case 'error':
        messages.addError(const FormatException('of the microphone'));
        check(await failed.future is FormatException);
      case 'timeout':
        check(await failed.future is CallTimeoutException);
      case 'close':
        transport.close();
        check(await failed.future is CancelledException);
    }
    final watch = Stopwatch()..start();
    while (!mark.existsSync()) {
      check(watch.elapsed < const Duration(seconds: 5), 'it still runs');
      await Future<void>.delayed(const Duration(milliseconds: 2));
    }
    check(!messages.hasListener);
    transport.close();
    folder.deleteSync(recursive: true);
  });
}

/// Breaks every connection off after some bytes of the server, in the middle
/// of a frame where it can.
final class _Proxy {
  _Proxy._(this._server, this._target) {
    _server.listen((near) => unawaited(_relay(near)));
  }

  static Future<_Proxy> start(Uri target) async =>
      _Proxy._(await ServerSocket.bind('127.0.0.1', 0), target);

  final ServerSocket _server;
  final Uri _target;
  final Random _random = Random(5);

  /// Connections that were broken off.
  int tears = 0;

  Uri get url => Uri.parse('http://127.0.0.1:${_server.port}');

  Future<void> _relay(Socket near) async {
    near.done.ignore();
    final far = await Socket.connect(_target.host, _target.port);
    far.done.ignore();
    void end() {
      near.destroy();
      far.destroy();
    }

    near.listen(far.add, onError: (Object _) => end(), onDone: end);
    var left = 500 + _random.nextInt(3000);
    far.listen(
      (chunk) {
        left -= chunk.length;
        if (left > 0) return near.add(chunk);
        tears++;
        near.add(Uint8List.sublistView(chunk, 0, chunk.length ~/ 2));
        unawaited(
          near.flush().then((_) => end(), onError: (Object _) => end()),
        );
        left = 1 << 40;
      },
      onError: (Object _) => end(),
      onDone: end,
    );
  }

  Future<void> stop() => _server.close();
}
