/// Calls by package:http: the adapter of apps, for all platforms.
library;

import 'dart:async';

import 'package:http/http.dart' as http;

import 'src/abortable.dart';
import 'src/http_adapter.dart';
// dart:io stands behind the condition: the package stays one for browsers.
import 'src/http_web.dart' if (dart.library.io) 'src/http_native.dart';
import 'src/tls.dart';
import 'src/zone.dart';

/// Opens a WebSocket, as [HttpAdapter.connect] does.
typedef SocketConnector =
    Future<MessageSocket> Function(
      Uri url, {
      List<String> protocols,
      Map<String, String> headers,
      int maxMessage,
      required Future<void> abort,
    });

/// The network of package:http, and WebSockets of dart:io or of the browser.
final class PackageHttpAdapter implements HttpAdapter {
  /// [client] may be any of package:http; it is closed with the adapter.
  /// cronet_http, cupertino_http and ok_http read on while a stream is paused:
  /// with them the server is not paused, and the items wait in memory.
  ///
  /// WebSockets do not go over [client] but over [connect], which is needed
  /// where a proxy or a certificate of one's own is:
  ///
  /// ```dart
  /// final client = HttpClient(context: mine);
  /// PackageHttpAdapter(IOClient(client), IoAdapter(client).connect);
  /// ```
  PackageHttpAdapter([http.Client? client, SocketConnector? connect])
    : _client = client ?? newClient(),
      _connect = connect;

  final http.Client _client;
  final SocketConnector? _connect;
  bool _isClosed = false;

  @override
  bool get sendsSocketHeaders => socketsSendHeaders;

  @override
  bool get streamsBodies => clientStreams(_client);

  /// Errors of the request's own body pass through as they are. Redirects are
  /// not followed.
  @override
  Future<RawResponse> send(RawRequest request) async {
    if (_isClosed) throw _closed;
    final outgoing = _Request(request);
    final http.StreamedResponse? response;
    try {
      final sending = inOwnZone(() => _client.send(outgoing));
      response = await Future.any([
        sending,
        request.abort.then((_) => null), // connecting cannot be aborted
      ]);
      if (response == null) {
        unawaited(sending.then(_abandon, onError: (Object _) {}));
        throw AdapterException.aborted;
      }
    } on Object catch (error) {
      outgoing.abort();
      if (outgoing.failure case (final failure, final stack)) {
        Error.throwWithStackTrace(failure, stack);
      }
      throw _failure(error);
    }
    final body = abortable(response.stream, request.abort, _failure);
    // After the body's own: package:http before 1.7 keeps a connection that
    // was aborted before anybody listened.
    unawaited(request.abort.then((_) => outgoing.abort()));
    return RawResponse(
      status: response.statusCode,
      headers: response.headers,
      body: body,
    );
  }

  @override
  Future<MessageSocket> connect(
    Uri url, {
    List<String> protocols = const [],
    Map<String, String> headers = const {},
    int maxMessage = longestMessage,
    required Future<void> abort,
  }) {
    final connect = _connect;
    return connect == null
        ? connectSocket(url, protocols, headers, maxMessage, abort)
        : connect(
          url,
          protocols: protocols,
          headers: headers,
          maxMessage: maxMessage,
          abort: abort,
        );
  }

  @override
  void close() {
    _isClosed = true;
    _client.close();
  }
}

/// A request whose body is only listened to by the client that sends it.
final class _Request extends http.BaseRequest with http.Abortable {
  _Request(this._request) : super(_request.method, _request.url) {
    headers.addAll(_request.headers);
    contentLength = _request.body == null ? 0 : _request.contentLength;
    followRedirects = false; // with whose token?
  }

  final RawRequest _request;

  /// The error of the body.
  (Object, StackTrace)? failure;

  final Completer<void> _aborted = Completer<void>();

  @override
  Future<void>? get abortTrigger => _aborted.future;

  /// Tells the client that nobody wants the answer any more.
  void abort() {
    if (!_aborted.isCompleted) _aborted.complete();
  }

  @override
  http.ByteStream finalize() {
    super.finalize();
    final body = _request.body ?? const Stream<List<int>>.empty();
    return http.ByteStream(
      body.handleError((Object error, StackTrace stack) {
        failure ??= (error, stack);
        Error.throwWithStackTrace(error, stack);
      }),
    );
  }
}

const AdapterException _closed = AdapterException(
  'the adapter is closed',
  isPermanent: true,
);

void _abandon(http.StreamedResponse response) =>
    unawaited(response.stream.listen(null, onError: (Object _) {}).cancel());

AdapterException _failure(Object error) => switch (error) {
  final AdapterException known => known,
  http.RequestAbortedException() => AdapterException.aborted,
  // Its message alone lacks what the system says, of which there are hints.
  http.ClientException(:final uri) => AdapterException(
    '$error'.replaceFirst(', uri=$uri', ''),
    cause: error,
  ),
  _ => AdapterException(
    '$error',
    cause: error,
    isPermanent:
        error is Error || error is FormatException || isTlsFault('$error'),
  ),
};
