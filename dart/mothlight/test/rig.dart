/// A server of a test's own, on a real socket, and calls of it.
library;

import 'dart:async';
import 'dart:convert';
import 'dart:io';

import 'package:mothlight/generated.dart';
import 'package:mothlight/io.dart';

/// What came.
final class Seen {
  /// See the fields.
  Seen(this.request, this.body);

  /// The request itself.
  final HttpRequest request;

  /// Its whole body.
  final String body;

  /// `POST /try/echo`.
  String get line => '${request.method} ${request.uri}';

  /// A header.
  String? header(String name) => request.headers.value(name);

  /// The call's key.
  String? get key => header('idempotency-key');

  /// Answers JSON.
  Future<void> answer(
    Object? value, {
    int status = 200,
    String type = 'application/json',
    Map<String, String> headers = const {},
  }) => text(jsonEncode(value), status: status, type: type, headers: headers);

  /// Answers a problem document.
  Future<void> problem(
    String type,
    String code,
    int status, {
    Map<String, Object?> fields = const {},
    Map<String, String> headers = const {},
  }) => answer(
    {
      'type': type,
      'code': code,
      'status': status,
      'detail': 'it is $type',
      ...fields,
    },
    status: status,
    type: 'application/problem+json',
    headers: headers,
  );

  /// Answers text.
  Future<void> text(
    String text, {
    int status = 200,
    String type = 'text/html',
    Map<String, String> headers = const {},
  }) async {
    request.response
      ..statusCode = status
      ..headers.set('content-type', type);
    headers.forEach(request.response.headers.set);
    request.response.write(text);
    await request.response.close();
  }

  /// Begins a stream of events.
  HttpResponse events() =>
      request.response
        ..bufferOutput = false
        ..headers.set('content-type', 'text/event-stream')
        ..headers.set('call-id', key ?? request.uri.pathSegments.last);

  /// Cuts the connection without an answer.
  Future<void> cut() async {
    final socket = await request.response.detachSocket(writeHeaders: false);
    socket.destroy();
  }
}

/// Runs [body] before a rig that answers by [handle], over a transport of it.
Future<void> withRig(
  FutureOr<void> Function(Seen seen) handle,
  Future<void> Function(Rig rig, Transport transport) body, {
  CallOptions options = const CallOptions(),
  TokenSource? token,
  int maxAnswer = 1 << 20,
}) async {
  final rig = await Rig.start(handle);
  final transport = rig.transport(
    options: options,
    token: token,
    maxAnswer: maxAnswer,
  );
  try {
    await body(rig, transport);
  } finally {
    transport.close();
    await rig.stop();
  }
}

/// The server, and what it saw.
final class Rig {
  Rig._(this._server, this._handle) {
    _server.listen((request) async {
      final body = await utf8.decodeStream(request);
      final seen = Seen(request, body);
      this.seen.add(seen);
      try {
        await _handle(seen);
      } on Exception {
        // The client went away.
      }
    });
  }

  /// Starts one.
  static Future<Rig> start(FutureOr<void> Function(Seen seen) handle) async =>
      Rig._(await HttpServer.bind('127.0.0.1', 0), handle);

  final HttpServer _server;
  final FutureOr<void> Function(Seen seen) _handle;

  /// The requests, in their order.
  final List<Seen> seen = [];

  /// `POST /try/echo` and so on.
  List<String> get lines => [for (final one in seen) one.line];

  /// How many requests there were of a verb.
  int count(String verb) =>
      seen.where((one) => one.request.method == verb).length;

  /// Its address.
  Uri get url => Uri.parse('http://127.0.0.1:${_server.port}');

  /// Calls of it.
  Transport transport({
    CallOptions options = const CallOptions(),
    TokenSource? token,
    int maxAnswer = 1 << 20,
  }) => Transport(
    url,
    adapter: IoAdapter(),
    options: options,
    token: token,
    maxAnswer: maxAnswer,
  );

  /// Waits until [condition] holds of what it saw.
  Future<void> until(bool Function() condition) async {
    while (!condition()) {
      await Future<void>.delayed(const Duration(milliseconds: 2));
    }
  }

  /// Stops it.
  Future<void> stop() => _server.close(force: true);
}

/// A declared error.
final class TooLong extends ApiException {
  /// Out of its document.
  TooLong(super.problem) : length = problem.map.read('length', readInt);

  /// Its field.
  final int length;
}

/// A contract.
const ServiceContract contract = ServiceContract(
  name: 'Try',
  hash: 'sha256:ours',
  command: 'mothlight generate dart app:Try',
);

/// A method.
Method<I, O> method<I, O>(
  String name,
  Cardinality cardinality,
  Decoder<O> decode, {
  bool isFile = false,
}) => Method(
  contract: contract,
  name: name,
  cardinality: cardinality,
  verb: 'POST',
  path: '/try/$name',
  encode: (message) => message,
  decode: decode,
  isFile: isFile,
  errors: {'TooLong': TooLong.new},
);

/// A method with one answer.
final Method<String, String> echo = method(
  'echo',
  Cardinality.unary,
  readString,
);

/// A method with a stream of answers.
final Method<int, int> numbers = method(
  'numbers',
  Cardinality.serverStream,
  readInt,
);

/// An event of SSE.
String event(int id, Object? value) =>
    'id: $id\ndata: ${jsonEncode(value)}\n\n';

/// The last event.
const String endEvent = 'event: end\ndata: {}\n\n';

/// So many milliseconds.
Duration ms(int count) => Duration(milliseconds: count);
