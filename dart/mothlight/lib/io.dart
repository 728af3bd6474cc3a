/// Calls by dart:io, without any package: for programs and tests. Apps take
/// the adapter of `package:mothlight/http.dart`, which also runs in browsers.
library;

import 'dart:async';
import 'dart:io';

import 'src/abortable.dart';
import 'src/frames.dart';
import 'src/http_adapter.dart';
import 'src/io_client.dart';
import 'src/io_socket.dart';
import 'src/tls.dart';
import 'src/zone.dart';

/// The network of dart:io.
final class IoAdapter implements HttpAdapter {
  /// [client] is closed with the adapter.
  IoAdapter([HttpClient? client]) : _client = client ?? newHttpClient();

  final HttpClient _client;

  @override
  bool get sendsSocketHeaders => true;

  @override
  bool get streamsBodies => true;

  /// Errors of the request's own body pass through as they are.
  @override
  Future<RawResponse> send(RawRequest request) =>
      inOwnZone(() => _send(request));

  Future<RawResponse> _send(RawRequest request) async {
    final outgoing = await _open(
      request.method,
      request.url,
      request.headers,
      request.abort,
    );
    final body = request.body;
    outgoing.contentLength = body == null ? 0 : request.contentLength ?? -1;
    final source = _Source(body ?? const Stream<List<int>>.empty());
    try {
      final response = await _answer(outgoing, source, request.abort);
      return _response(response, request.abort);
    } on Object catch (error) {
      outgoing.abort();
      if (source.failure case (final failure, final stack)) {
        Error.throwWithStackTrace(failure, stack);
      }
      throw _failure(error);
    } finally {
      source.leave();
    }
  }

  @override
  Future<MessageSocket> connect(
    Uri url, {
    List<String> protocols = const [],
    Map<String, String> headers = const {},
    int maxMessage = longestMessage,
    required Future<void> abort,
  }) => inOwnZone(() => _connect(url, protocols, headers, maxMessage, abort));

  Future<MessageSocket> _connect(
    Uri url,
    List<String> protocols,
    Map<String, String> headers,
    int maxMessage,
    Future<void> abort,
  ) async {
    final key = socketKey();
    final scheme = switch (url.scheme) {
      'ws' => 'http',
      'wss' => 'https',
      final other => other,
    };
    final outgoing = await _open('GET', url.replace(scheme: scheme), {
      ...headers,
      'connection': 'Upgrade',
      'upgrade': 'websocket',
      'sec-websocket-key': key,
      'sec-websocket-version': '13',
      if (protocols.isNotEmpty) 'sec-websocket-protocol': protocols.join(', '),
    }, abort);
    final source = _Source(const Stream<List<int>>.empty());
    try {
      final response = await _answer(outgoing, source, abort);
      if (!_isUpgraded(response, key, protocols)) {
        throw AdapterException(
          'the server refused the WebSocket (HTTP ${response.statusCode})',
          response: _response(response, abort),
        );
      }
      return IoSocket(
        await response.detachSocket(),
        limit: maxMessage,
        pingInterval: const Duration(seconds: 20),
      );
    } on AdapterException {
      rethrow;
    } on Object catch (error) {
      outgoing.abort();
      throw _failure(error);
    }
  }

  @override
  void close() => _client.close();

  Future<HttpClientRequest> _open(
    String method,
    Uri url,
    Map<String, String> headers,
    Future<void> abort,
  ) async {
    try {
      final opening = _client.openUrl(method, url);
      final outgoing = await Future.any<HttpClientRequest?>([
        opening,
        abort.then((_) => null),
      ]);
      if (outgoing == null) {
        // It cannot be stopped while it connects; nothing has been sent.
        unawaited(opening.then(_abandon, onError: (Object _) {}));
        throw AdapterException.aborted;
      }
      try {
        outgoing.followRedirects = false; // with whose token?
        headers.forEach(outgoing.headers.set);
      } on Object {
        _abandon(outgoing);
        rethrow;
      }
      return outgoing;
    } on Object catch (error) {
      throw _failure(error);
    }
  }

  Future<HttpClientResponse> _answer(
    HttpClientRequest outgoing,
    _Source source,
    Future<void> abort,
  ) {
    outgoing.done.ignore(); // its error comes out of close too
    Future<HttpClientResponse> exchange() async {
      await outgoing.addStream(source.stream);
      return outgoing.close();
    }

    return Future.any([
      exchange(),
      abort.then((_) {
        outgoing.abort();
        throw AdapterException.aborted;
      }),
    ]);
  }
}

void _abandon(HttpClientRequest outgoing) {
  outgoing.done.ignore();
  outgoing.abort();
}

bool _isUpgraded(
  HttpClientResponse response,
  String key,
  List<String> protocols,
) {
  final headers = response.headers;
  final chosen = headers.value('sec-websocket-protocol');
  return response.statusCode == HttpStatus.switchingProtocols &&
      headers.value('upgrade')?.toLowerCase() == 'websocket' &&
      headers.value('sec-websocket-accept') == socketAccept(key) &&
      headers.value('sec-websocket-extensions') == null &&
      (chosen == null || protocols.contains(chosen));
}

RawResponse _response(HttpClientResponse response, Future<void> abort) {
  final headers = <String, String>{};
  response.headers.forEach((name, values) => headers[name] = values.join(', '));
  return RawResponse(
    status: response.statusCode,
    headers: headers,
    body: abortable(response, abort, _failure),
  );
}

/// The body of a request, which ends when nobody takes it any more, and keeps
/// its own error apart from the network's.
final class _Source {
  _Source(this._body);

  final Stream<List<int>> _body;
  StreamSubscription<List<int>>? _reading;
  (Object, StackTrace)? failure;

  late final StreamController<List<int>> _out = StreamController<List<int>>(
    sync: true,
    onListen:
        () =>
            _reading = _body.listen(
              _out.add,
              onError: (Object error, StackTrace stack) {
                failure ??= (error, stack);
                _out.addError(error, stack);
              },
              onDone: _out.close,
            ),
    onPause: () => _reading?.pause(),
    onResume: () => _reading?.resume(),
    onCancel: () => _reading?.cancel(),
  );

  Stream<List<int>> get stream => _out.stream;

  void leave() => unawaited(_reading?.cancel());
}

AdapterException _failure(Object error) => switch (error) {
  final AdapterException known => known,
  SocketException(:final message, :final osError) => AdapterException(
    {message, if (osError != null) osError.message}.join(': '),
    cause: error,
  ),
  TlsException(:final message, :final osError) => AdapterException(
    {message, if (osError != null) osError.message}.join(': '),
    cause: error,
    isPermanent: isTlsFault('$osError'),
  ),
  HttpException(:final message) => AdapterException(message, cause: error),
  OSError() => AdapterException('$error', cause: error),
  _ => AdapterException('$error', cause: error, isPermanent: true),
};
