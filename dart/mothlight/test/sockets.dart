/// A server whose sockets a test answers, and methods that are called there.
library;

import 'dart:async';
import 'dart:convert';
import 'dart:io';

import 'package:mothlight/generated.dart';
import 'package:mothlight/io.dart';

import 'harness.dart';
import 'rig.dart' show method, ms;

final Method<String, String> shout = method(
  'shout',
  Cardinality.duplex,
  readString,
);
final Method<String, int> countAnswers = method(
  'count',
  Cardinality.clientStream,
  readInt,
);
final Method<FileData, FileData> copyFiles = method(
  'copy',
  Cardinality.duplex,
  readFile,
  isFile: true,
);

/// One socket as the server sees it.
final class Visit {
  Visit(this.request, this.socket, this.number)
    : frames = StreamIterator(socket.cast<Object>());

  final HttpRequest request;
  final WebSocket socket;
  final StreamIterator<Object> frames;

  /// From 1.
  final int number;

  String? header(String name) => request.headers.value(name);

  void say(Object? json) => socket.add(jsonEncode(json));

  void greet([int received = 0]) => say({'call': 'c', 'received': received});

  /// The next frame, JSON decoded; null at the end.
  Future<Object?> hear() async {
    if (!await frames.moveNext()) return null;
    final frame = frames.current;
    return frame is String ? jsonDecode(frame) : frame;
  }

  /// Breaks the connection off.
  void cut() => unawaited(socket.close(4000));
}

/// A server whose sockets a test answers, and which counts its other requests.
final class SocketServer {
  SocketServer._(this._server, this._visit) {
    _server.listen((request) async {
      lines.add('${request.method} ${request.uri.path}');
      if (!WebSocketTransformer.isUpgradeRequest(request)) {
        request.response.statusCode = guards?.call(request) ?? true ? 204 : 401;
        await request.response.close();
        return;
      }
      if (refuse?.call(request) ?? false) return;
      final protocols = request.headers.value('sec-websocket-protocol');
      this.protocols.add(protocols);
      final socket = await WebSocketTransformer.upgrade(
        request,
        protocolSelector: (_) => 'mothlight.v1',
      );
      try {
        await _visit(Visit(request, socket, ++visits));
      } on Object {
        // The client went away.
      }
    });
  }

  static Future<SocketServer> start(
    FutureOr<void> Function(Visit visit) visit, {
    bool Function(HttpRequest request)? refuse,
    bool Function(HttpRequest request)? guards,
  }) async =>
      SocketServer._(await HttpServer.bind('127.0.0.1', 0), visit)
        ..refuse = refuse
        ..guards = guards;

  final HttpServer _server;
  final FutureOr<void> Function(Visit visit) _visit;
  final List<String> lines = [];
  final List<String?> protocols = [];
  bool Function(HttpRequest request)? refuse;

  /// Whether it lets a usual request in.
  bool Function(HttpRequest request)? guards;
  int visits = 0;

  Transport transport({
    HttpAdapter? adapter,
    CallOptions options = const CallOptions(),
    TokenSource? token,
    int maxAnswer = 1 << 20,
  }) => Transport(
    Uri.parse('http://127.0.0.1:${_server.port}'),
    adapter: adapter ?? IoAdapter(),
    options: options,
    token: token,
    maxAnswer: maxAnswer,
  );

  /// Waits until the client has said that it leaves the call.
  Future<void> left() async {
    while (!lines.any((line) => line.startsWith('DELETE /calls/'))) {
      await Future<void>.delayed(ms(2));
    }
  }

  Future<void> stop() => _server.close(force: true);
}

/// What a browser cannot do.
final class Browser implements HttpAdapter {
  final IoAdapter _adapter = IoAdapter();

  @override
  bool get sendsSocketHeaders => false;

  @override
  bool get streamsBodies => false;

  @override
  Future<RawResponse> send(RawRequest request) => _adapter.send(request);

  @override
  Future<MessageSocket> connect(
    Uri url, {
    List<String> protocols = const [],
    Map<String, String> headers = const {},
    int maxMessage = longestMessage,
    required Future<void> abort,
  }) async {
    check(headers.isEmpty, 'a browser sends none');
    try {
      return await _adapter.connect(
        url,
        protocols: protocols,
        maxMessage: maxMessage,
        abort: abort,
      );
    } on AdapterException {
      throw const AdapterException('Failed to connect WebSocket');
    }
  }

  @override
  void close() => _adapter.close();
}

/// Messages that do not come.
Stream<String> silent() => StreamController<String>().stream;
